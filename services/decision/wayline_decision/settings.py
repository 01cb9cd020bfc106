"""The decision service's settings."""

from __future__ import annotations

from pydantic import Field

from wayline.settings import CatalogSettings


class DecisionSettings(CatalogSettings):
    """Read from `WAYLINE_…`."""

    decision_port: int = Field(7004, ge=1, le=65_535)
    decision_active: int = Field(2, ge=1, le=64, description="Requests worked on at once; more wait their turn.")
    decision_threads: int = Field(64, ge=1, le=1_024, description="Requests worked on, or waiting for something.")
    profile_address: str = Field("127.0.0.1:7002", description="Where the profile service listens.")
    profile_timeout_seconds: float = Field(0.25, gt=0, le=10, description="How long a decision waits for a profile.")
    view_cache_size: int = Field(50_000, ge=0, le=10_000_000, description="Customers whose views are kept in memory.")
    decisions_max_bytes: int = Field(2 << 30, ge=1 << 20)
    decisions_max_age_days: float = Field(7.0, gt=0, le=3_650)
    record_buffer_bytes: int = Field(
        64 << 20, ge=1 << 20, description="Records that wait for JetStream; more are dropped and counted."
    )
    models_max_bytes: int = Field(1 << 30, ge=1 << 20)
