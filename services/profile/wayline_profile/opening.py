"""Opens what the settings name: the store, and what goes with it when several processes share one."""

from __future__ import annotations

import socket
from concurrent.futures import Executor, ThreadPoolExecutor

from wayline.errors import Retryable
from wayline_profile.leases import Leases, SharedLeases, SoleOwner
from wayline_profile.settings import ProfileSettings
from wayline_profile.store import ProfileStore
from wayline_profile.store.postgres import PostgresProfileStore
from wayline_profile.store.postgres_leases import PostgresLeases
from wayline_profile.store.postgres_link import BadAddress
from wayline_profile.store.postgres_schema import SchemaTooNew
from wayline_profile.store.rocksdb import RocksProfileStore

ROCKSDB = "rocksdb"


def open_store(settings: ProfileSettings) -> ProfileStore:
    """The profile store.

    Raises:
        SystemExit: it cannot be used; says why.
    """
    where = settings.profile_store.get_secret_value()
    if where == ROCKSDB:
        return RocksProfileStore(
            settings.profile_data,
            sync=settings.profile_sync,
            cache_bytes=settings.profile_cache_bytes,
            compress=settings.profile_compress,
        )
    try:
        return PostgresProfileStore(
            where, sync=settings.profile_sync, timeout_seconds=settings.profile_store_timeout_seconds
        )
    except BadAddress as error:
        raise SystemExit(f"WAYLINE_PROFILE_STORE: neither rocksdb nor the address of a database: {error}") from None
    except (Retryable, SchemaTooNew) as error:
        raise SystemExit(str(error)) from None


def open_leases(settings: ProfileSettings, partitions: int) -> Leases:
    """What is this process's: with RocksDB, everything.

    Raises:
        Retryable: the database cannot be reached.
    """
    where = settings.profile_store.get_secret_value()
    if where == ROCKSDB:
        return SoleOwner(partitions)
    # Whoever cannot reach the table gives up in time to try again before the lease is over.
    seconds = settings.profile_lease_seconds
    # Nobody else listens there, so a process that is started again is known again.
    name = f"{socket.gethostname()}:{settings.profile_port}"
    return SharedLeases(PostgresLeases(where, name, timeout_seconds=seconds / 2), partitions, seconds=seconds)


def open_executor(settings: ProfileSettings) -> Executor | None:
    """Where units of work wait for the database; None for RocksDB, which answers at once."""
    if settings.profile_store.get_secret_value() == ROCKSDB:
        return None
    return ThreadPoolExecutor(1, thread_name_prefix="store")
