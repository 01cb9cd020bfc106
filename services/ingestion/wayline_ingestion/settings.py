"""The settings of ingestion, with the limits of the streams that it owns."""

from __future__ import annotations

from pydantic import Field

from wayline.settings import CatalogSettings

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30
DAY_SECONDS = 86_400.0


class IngestionSettings(CatalogSettings):
    """Each field is an environment variable: `events_max_bytes` is `WAYLINE_EVENTS_MAX_BYTES`."""

    ingestion_port: int = Field(7001, ge=1, le=65_535)

    events_max_bytes: int = Field(8 * GiB, ge=MiB, description="When the stream is full, events are refused.")
    events_max_age_seconds: float = Field(7 * DAY_SECONDS, ge=1)
    dead_letters_max_bytes: int = Field(256 * MiB, ge=MiB, description="When it is full, the oldest are forgotten.")
    dead_letters_max_age_seconds: float = Field(30 * DAY_SECONDS, ge=1)
    partitions: int = Field(16, ge=1, le=1_024, description="Fixed when the stream is created.")
    duplicate_window_seconds: float = Field(120.0, ge=1, le=DAY_SECONDS)
    quality_max_bytes: int = Field(GiB, ge=MiB, description="Figures; when it is full, the oldest are forgotten.")
    quality_max_age_seconds: float = Field(15 * DAY_SECONDS, ge=1, description="A week, and the week before it.")
    quality_interval_seconds: float = Field(
        10.0, ge=0.1, le=600, description="A kill loses the figures of one interval."
    )
    late_after_seconds: float = Field(DAY_SECONDS, ge=1, description="Events that are older count as late.")

    max_events: int = Field(1_000, ge=1, le=10_000, description="Events in one call.")
    max_event_bytes: int = Field(64 * KiB, ge=KiB, le=512 * KiB, description="NATS takes messages of 1 MiB.")
    max_call_bytes: int = Field(16 * MiB, ge=MiB, le=64 * MiB, description="A larger call is not read at all.")
    max_in_flight_bytes: int = Field(64 * MiB, ge=MiB, description="Calls beyond it are refused: send again later.")
    max_concurrent: int = Field(512, ge=1, description="Calls and streams at a time.")
    publish_timeout_seconds: float = Field(5.0, gt=0, le=60)
