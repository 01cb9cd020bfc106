"""Puts the parts together that serve the rights of customers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from nats.aio.client import Client

from wayline.audit import AuditLog, audit_stream
from wayline.bus import ensure_stream
from wayline.identifiers import IdentityRules
from wayline.publish import AckedPublisher
from wayline.suppression import open_suppressions
from wayline_profile.core.changes import Commit
from wayline_profile.core.values import Reading
from wayline_profile.leases import Leases
from wayline_profile.privacy.ageing import Ageing
from wayline_profile.privacy.control import ControlEvents
from wayline_profile.privacy.eraser import Eraser, Tools
from wayline_profile.privacy.export import Exporter
from wayline_profile.privacy.handlers import PrivacyHandlers
from wayline_profile.privacy.ledger import Ledger
from wayline_profile.privacy.readmission import Readmission
from wayline_profile.privacy.receipts import Signer
from wayline_profile.privacy.restoring import restore_bars
from wayline_profile.privacy.settling import Settling, ends_of
from wayline_profile.privacy.witness import Witness
from wayline_profile.settings import ProfileSettings
from wayline_profile.store import ProfileStore
from wayline_profile.writes import Writer

_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is there already."""

    settings: ProfileSettings
    client: Client
    publisher: AckedPublisher
    store: ProfileStore
    writer: Writer
    leases: Leases
    partitions: int
    reading: Callable[[], Reading | None]
    now_ms: Callable[[], int]


class Privacy(NamedTuple):
    """What is served, who writes down, and what runs in the background."""

    handlers: PrivacyHandlers
    witness: Witness
    eraser: Eraser
    ageing: Ageing | None
    """None: nobody goes for age."""
    leases: Leases

    def tasks(self) -> Iterator[asyncio.Task[None]]:
        """Start what runs for as long as the process lives."""
        yield asyncio.create_task(self.eraser.run(), name="eraser")
        if self.ageing is not None:
            yield asyncio.create_task(self.ageing.run(lambda: self.leases.holds("ageing")), name="ageing")


async def open_privacy(parts: Parts) -> Privacy:
    """Make the streams that are missing, and wire everything."""
    settings, js = parts.settings, parts.client.jetstream()
    audit = audit_stream(max_bytes=settings.audit_max_bytes, max_age_seconds=settings.audit_days * _DAY_SECONDS)
    await ensure_stream(js, audit, settings.replicas)
    suppressed = await open_suppressions(js, replicas=settings.replicas, max_bytes=settings.suppressed_max_bytes)

    def now() -> datetime:
        return datetime.fromtimestamp(parts.now_ms() / 1_000, UTC)

    def rules() -> IdentityRules:
        reading = parts.reading()
        return reading.definitions.identity if reading else IdentityRules()

    async def write(commit: Commit) -> None:
        await parts.writer.run(lambda: parts.store.commit(commit))

    log = AuditLog(parts.client, now=now)
    witness = Witness(log)
    ledger = Ledger(parts.store, write)
    await restore_bars(parts.store, ledger, parts.writer, suppressed, parts.client, parts.partitions)
    control = ControlEvents(parts.publisher, parts.partitions)
    signer = Signer(settings.receipt_key or settings.profile_data.with_name("receipt-key.pem"))
    settling = Settling(
        parts.store,
        ledger,
        suppressed,
        control,
        lambda partitions: ends_of(parts.client, partitions),
        partitions=parts.partitions,
        now=now,
    )
    tools = Tools(
        client=parts.client,
        ledger=ledger,
        settling=settling,
        suppressed=suppressed,
        audit=log,
        signer=signer,
        rules=rules,
        now=now,
    )
    eraser = Eraser(tools, may_work=lambda: parts.leases.holds("erasures"))
    exporter = Exporter(parts.store, parts.client, reading=parts.reading, rules=rules, now_ms=parts.now_ms)
    handlers = PrivacyHandlers(
        parts.store,
        ledger,
        exporter,
        control,
        signer,
        witness,
        Readmission(parts.store, suppressed, control, now=now),
        reading=parts.reading,
        wake=eraser.wake,
        now=now,
    )
    ageing = Ageing(parts.store, control, days=settings.profile_days, now=now) if settings.profile_days else None
    return Privacy(handlers, witness, eraser, ageing, parts.leases)
