"""The prediction service's settings."""

from __future__ import annotations

from pydantic import Field

from wayline.registry import DEFAULT_MAX_BYTES
from wayline.settings import CatalogSettings


class PredictionSettings(CatalogSettings):
    """Read from `WAYLINE_…`."""

    prediction_port: int = Field(7003, ge=1, le=65_535)
    profile_address: str = Field("127.0.0.1:7002", description="Where the profile service listens.")
    models_max_bytes: int = Field(DEFAULT_MAX_BYTES, ge=1 << 20, description="All ONNX files together.")
    prediction_loaded_models: int = Field(8, ge=1, le=1_000, description="Model versions kept loaded for Predict.")
