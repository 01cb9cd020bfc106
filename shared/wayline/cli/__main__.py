"""`python -m wayline.cli`: the same as `wayline`."""

from wayline.cli import main

main()
