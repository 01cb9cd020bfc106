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
    profile_lease_seconds: float = Field(
        6.0, gt=0.1, le=600, description="After so long without a sign of life, others take a process's partitions."
    )
    profile_data: Path = Field(Path("data/profile"), description="Directory of RocksDB.")
    profile_sync: bool = Field(False, description="Each commit reaches the disk before it counts.")
    profile_compress: bool = Field(True, description="RocksDB compresses its files.")
    profile_batch: int = Field(
        2_000, ge=1, le=5_000, description="Events in one commit at most, which only a backlog reaches."
    )
    profile_cache_bytes: int = Field(256 << 20, ge=1 << 20, description="RocksDB's block cache.")
    changes_max_bytes: int = Field(256 << 20, ge=1 << 20, description="When it is full, the oldest are forgotten.")
    changes_max_age_days: float = Field(7.0, gt=0, le=3_650, description="How long changes of audiences are kept.")
    message_id_days: float = Field(7.0, gt=0, le=90, description="How long message ids are remembered.")
    timeline_days: float = Field(90.0, gt=0, le=3_650, description="How long events stay in timelines.")
    profile_days: float = Field(
        0.0, ge=0, le=36_500, description="Who was not seen for so long is erased. 0: nobody is, for age."
    )
    audit_days: float = Field(1_096.0, ge=1, le=36_500, description="How long the audit log is kept.")
    audit_max_bytes: int = Field(1 << 30, ge=1 << 20, description="When it is full, what must be audited is refused.")
    suppressed_max_bytes: int = Field(256 << 20, ge=1 << 20, description="Hashes of erased customers' identifiers.")
    receipt_key: Path | None = Field(
        None, description="Ed25519 key, PEM, that signs receipts; made when missing. None: beside the data directory."
    )
