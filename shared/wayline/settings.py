"""Settings: read once from the environment, frozen, and clear about what is wrong."""

from __future__ import annotations

import sys
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What every service needs. Each field is an environment variable: `nats_url` is `WAYLINE_NATS_URL`."""

    model_config = SettingsConfigDict(env_prefix="WAYLINE_", frozen=True)

    nats_url: str = "nats://127.0.0.1:4222"
    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless told otherwise.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    replicas: int = Field(1, ge=1, le=5, description="Copies of each stream; 3 in production.")
    shutdown_grace_seconds: float = Field(5.0, ge=0, le=300)


class CatalogSettings(Settings):
    """What every service that reads the catalogue needs."""

    catalog_max_bytes: int = Field(1 << 28, ge=1 << 20, description="All catalogue revisions together.")


S = TypeVar("S", bound=Settings)


def read(settings: type[S]) -> S:
    """Read `settings` from the environment, or end the process with one line per bad variable."""
    try:
        return settings()
    except ValidationError as error:
        for problem in error.errors():
            variable = "WAYLINE_" + ".".join(str(part) for part in problem["loc"]).upper()
            print(f"{variable}={problem['input']!r}: {problem['msg']}", file=sys.stderr)
        raise SystemExit(2) from None
