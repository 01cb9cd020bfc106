"""`python -m wayline_decision`."""

from wayline.lifecycle import main
from wayline_decision.app import build
from wayline_decision.settings import DecisionSettings

main("decision", DecisionSettings, build)
