"""The decision service's settings."""

from __future__ import annotations

import sys

from pydantic import Field, field_validator

from wayline.settings import CatalogSettings
from wayline_decision.breaker import BreakerLimits


class DecisionSettings(CatalogSettings):
    """Read from `WAYLINE_…`."""

    decision_port: int = Field(7004, ge=1, le=65_535)
    decision_workers: int = Field(1, ge=1, le=64, description="Processes that share the port; more than one: Linux.")
    decision_worker: int = Field(0, ge=0, le=64, description="Which of them this is. Their supervisor sets it.")
    decision_siblings: int = Field(
        0, ge=0, description="The descriptor of the memory that they share. Their supervisor sets it."
    )
    decision_silence_seconds: float = Field(
        10.0, ge=1, le=3_600, description="A worker that says nothing for so long hangs: another takes its place."
    )
    decision_active: int = Field(2, ge=1, le=64, description="Threads for what is not answered at once.")
    decision_threads: int = Field(64, ge=1, le=1_024, description="The same, with those that wait for something.")
    decision_budget_seconds: float = Field(0.25, gt=0, le=60, description="A decision that takes longer is a breach.")
    breaker_least: int = Field(20, ge=1, description="The breaker opens after so many decisions in the window, ...")
    breaker_share: float = Field(0.5, gt=0, le=1, description="... if such a part of them were breaches.")
    breaker_window_seconds: float = Field(10.0, gt=0, le=600)
    breaker_pause_seconds: float = Field(5.0, gt=0, le=600, description="Until the breaker tries one again.")
    profile_address: str = Field("127.0.0.1:7002", description="Where the profile service listens.")
    profile_timeout_seconds: float = Field(0.25, gt=0, le=10, description="How long a decision waits for a profile.")
    view_cache_size: int = Field(50_000, ge=0, le=10_000_000, description="Customers whose views are kept in memory.")
    decisions_max_bytes: int = Field(2 << 30, ge=1 << 20)
    decisions_max_age_days: float = Field(7.0, gt=0, le=3_650)
    record_buffer_bytes: int = Field(
        64 << 20, ge=1 << 20, description="Records that wait for JetStream; more are dropped and counted."
    )
    models_max_bytes: int = Field(1 << 30, ge=1 << 20)

    @field_validator("decision_workers")
    @classmethod
    def _share_a_port(cls, workers: int) -> int:
        if workers > 1 and sys.platform != "linux":
            raise ValueError("several workers on one port need Linux; here, start one process for each port instead")
        return workers

    @property
    def breaker(self) -> BreakerLimits:
        """When the breaker opens, and for how long."""
        return BreakerLimits(
            least=self.breaker_least,
            share=self.breaker_share,
            window_seconds=self.breaker_window_seconds,
            pause_seconds=self.breaker_pause_seconds,
        )
