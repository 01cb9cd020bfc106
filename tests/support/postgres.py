"""A real PostgreSQL server for tests: the one that benchmarks use."""

from __future__ import annotations

from wayline_bench.postgres_server import PostgresServer

__all__ = ["PostgresServer"]
