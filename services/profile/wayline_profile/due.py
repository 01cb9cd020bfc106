"""Judges customers without an event: those whose time has come, and, under another catalogue, all of them.

Each turn is bounded, and keeps in its commit how far it came: after a crash it goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from hashlib import blake2b
from itertools import islice
from time import perf_counter

from wayline import logging
from wayline.catalog.traits import TopTrait
from wayline.v1 import audiences_pb2, profile_pb2
from wayline_profile.core.changes import Commit, RecordKey
from wayline_profile.core.standing import Cause
from wayline_profile.core.strands import Source
from wayline_profile.core.values import Evaluated, Reading, view_of
from wayline_profile.standings import Standings, due_of
from wayline_profile.store import Conflict, ProfileStore, UnitOfWork
from wayline_profile.store.records import CHANGE, DUE, JUDGING
from wayline_profile.writes import Writer

AT_MOST = 200
"""Customers in one turn."""
DUTY = "audiences"
_FROM_THE_FIRST_MS = 60_000
_ONLY = b""
_POLL_SECONDS = 1.0
_RULES_OF_JUDGEMENT = b"1"
"""Counts up when a standing is made of a profile in another way."""
Views = list[profile_pb2.CustomerView]
Records = dict[RecordKey, bytes | None]
log = logging.get("audiences")


class Rejudging:
    """Turns over customers."""

    def __init__(
        self,
        store: ProfileStore,
        writer: Writer,
        standings: Standings,
        *,
        now_ms: Callable[[], int],
        is_filling: Callable[[], bool] = lambda: False,
    ) -> None:
        """Judge by `now_ms`, the clock of audiences.

        While traits are filled in (`is_filling`), not all customers are judged anew: they would leave audiences only to
        enter them again.
        """
        self._store = store
        self._writer = writer
        self._standings = standings
        self._now_ms = now_ms
        self._is_filling = is_filling
        self._after = b""
        self._began_ms = 0

    async def run(
        self,
        reading: Callable[[], Reading | None],
        holds: Callable[[str], bool],
        publish: Callable[[Views], Awaitable[None]],
    ) -> None:
        """Take turns for ever, and work at most half of the time.

        Args:
            reading: how profiles are read now; None: not yet.
            holds: whether a duty is this process's.
            publish: views of customers that changed.
        """
        while True:
            started = perf_counter()
            current = reading()
            views = await self.turn(current) if current and holds(DUTY) else None
            if views and reading() is current:  # otherwise followers have dropped all views, and ask anew
                await publish(views)
            await asyncio.sleep(_POLL_SECONDS if views is None else perf_counter() - started)

    async def turn(self, reading: Reading) -> Views | None:
        """Judge whose time has come, else the next page of all. Returns whose standing changed; None: nothing to do."""
        try:
            views = await self._take_due(reading)
            return await self._walk(reading) if views is None else views
        except Conflict as error:
            log.warning("judging_waits", error=str(error))
            return None  # these customers change all the time, and are judged with that

    def progress(self, source: Source, reading: Reading) -> audiences_pb2.Judging:
        """How far all customers have been judged by the catalogue in use."""
        held = source.records(JUDGING, [_ONLY]).get(_ONLY, b"")
        so_far, fingerprint = audiences_pb2.Judging.FromString(held), fingerprint_of(reading)
        if so_far.fingerprint == fingerprint:
            return so_far
        # Where there are no audiences, and never were, there is nothing to judge.
        return audiences_pb2.Judging(fingerprint=fingerprint, done=not (held or reading.judged_by))

    async def _take_due(self, reading: Reading) -> Views | None:
        now_ms = self._now_ms()
        # Not from the first each time: there a store has to walk over what was removed a moment ago. A customer is due
        # a minute from now at the earliest; but the clock may be set back, or be behind in the process that judged.
        if not 0 <= now_ms - self._began_ms < _FROM_THE_FIRST_MS:
            self._after, self._began_ms = b"", now_ms
        rows = await self._writer.run(lambda: self._store.scan(DUE, after=self._after, at_most=AT_MOST))
        due = [row for row, _ in rows if due_of(row)[0] <= now_ms]
        if not due:
            return None
        ids = {due_of(row)[1] for row in due}
        taken: Records = dict.fromkeys(((DUE, row) for row in due), None)
        views = await self._judge(ids, reading, now_ms, audiences_pb2.CHANGE_CAUSE_TIME, lambda _: dict(taken))
        self._after = due[-1]
        return views

    async def _walk(self, reading: Reading) -> Views | None:
        so_far = await self._writer.run(lambda: self.progress(self._store, reading))
        if so_far.done or await self._writer.run(self._is_filling):
            return None
        page = await self._writer.run(lambda: list(islice(self._store.profiles(after=so_far.after), AT_MOST)))

        def further(unit: UnitOfWork) -> Records:
            reached = self.progress(unit, reading)
            reached.judged += len(page)
            reached.done = len(page) < AT_MOST
            if page:
                reached.after = page[-1].profile_id
            return {(JUDGING, _ONLY): reached.SerializeToString(deterministic=True)}

        ids = {one.profile_id for one in page}
        views = await self._judge(ids, reading, self._now_ms(), audiences_pb2.CHANGE_CAUSE_CATALOG, further)
        if len(page) < AT_MOST:
            log.info("judged_all", customers=so_far.judged + len(page))
        return views

    async def _judge(
        self,
        ids: Collection[str],
        reading: Reading,
        now_ms: int,
        cause: Cause,
        records: Callable[[UnitOfWork], Records],
    ) -> Views:
        profiles: dict[str, profile_pb2.Profile] = {}
        said: dict[str, Evaluated] = {}

        def project(unit: UnitOfWork) -> Commit:
            commit = Commit(records=records(unit))
            profiles.clear()
            profiles.update(unit.get_many(ids))
            said.clear()
            said.update(self._standings.add_to(commit, profiles, reading, now_ms, cause=cause, renew=True, source=unit))
            return commit

        commit, version = await self._writer.write(project)
        changed = {due_of(key)[1] for kind, key in commit.records if kind == CHANGE}
        return [view_of(profiles[name], reading, now_ms, version, said[name]) for name in sorted(changed)]


def fingerprint_of(reading: Reading) -> bytes:
    """16 bytes that differ when standings may: of the audiences, and of all the traits that they are made of."""
    digest = blake2b(_RULES_OF_JUDGEMENT, digest_size=16)
    for name in sorted(reading.judged_by):
        trait = reading.traits[name]
        digest.update(f"\n{name} {name in reading.audiences} {trait.model_dump_json()}".encode())
        if isinstance(trait, TopTrait):
            digest.update(reading.traits[trait.of].model_dump_json().encode())
    for name, purpose in reading.gated:
        declared = reading.catalog.purposes.get(purpose)
        digest.update(f"\n{name} for {purpose} {declared.model_dump_json() if declared else ''}".encode())
    return digest.digest()
