"""`python -m wayline_profile`."""

from wayline.lifecycle import main
from wayline_profile.app import build
from wayline_profile.settings import ProfileSettings

main("profile", ProfileSettings, build)
