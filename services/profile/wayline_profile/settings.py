"""The profile service's settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from wayline.settings import CatalogSettings


class ProfileSettings(CatalogSettings):
    """Read from `WAYLINE_…`."""

    profile_port: int = Field(7002, ge=1, le=65_535)
    profile_store: SecretStr = Field(
        SecretStr("rocksdb"), description="rocksdb, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
    )
    profile_store_timeout_seconds: float = Field(
        10.0, gt=0, le=600, description="How long PostgreSQL may take for one statement, and to come back."
    )
    profile_data: Path = Field(Path("data/profile"), description="Directory of RocksDB.")
    profile_sync: bool = Field(False, description="Each commit reaches the disk before it counts.")
    profile_batch: int = Field(256, ge=1, le=5_000, description="Events in one commit at most.")
    profile_cache_bytes: int = Field(256 << 20, ge=1 << 20, description="RocksDB's block cache.")
    message_id_days: float = Field(7.0, gt=0, le=90, description="How long message ids are remembered.")
    timeline_days: float = Field(90.0, gt=0, le=3_650, description="How long events stay in timelines.")
