"""`python -m wayline_ingestion`."""

from wayline.lifecycle import main
from wayline_ingestion.app import build
from wayline_ingestion.settings import IngestionSettings

if __name__ == "__main__":
    main("ingestion", IngestionSettings, build)
