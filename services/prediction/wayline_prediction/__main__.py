"""`python -m wayline_prediction`."""

from wayline.lifecycle import main
from wayline_prediction.app import build
from wayline_prediction.settings import PredictionSettings

main("prediction", PredictionSettings, build)
