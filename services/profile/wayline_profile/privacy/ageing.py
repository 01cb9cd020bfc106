"""Erases customers who were not seen for too long: by an event, as all else, so that a replay loses them too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice

from wayline import logging
from wayline.errors import WaylineError
from wayline.v1 import events_pb2
from wayline_profile.privacy.control import ControlEvents
from wayline_profile.privacy.finding import of_profile
from wayline_profile.store import ProfileStore

_PAGE = 500
_PAUSE_SECONDS = 5.0
log = logging.get("ageing")


class Ageing:
    """Walks over all profiles, a page at a time, round and round."""

    def __init__(
        self, store: ProfileStore, control: ControlEvents, *, days: float, now: Callable[[], datetime]
    ) -> None:
        """Erase who was last seen more than so many `days` ago."""
        self._store = store
        self._control = control
        self._age = timedelta(days=days)
        self._now = now
        self._after = ""

    async def run(self, may_work: Callable[[], bool]) -> None:
        """Walk for ever, while it is this process's duty."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            if may_work():
                try:
                    await self.step()
                except WaylineError as error:
                    log.warning("ageing_waits", error=str(error))

    async def step(self) -> int:
        """Look at a page of profiles; how many of them go.

        Raises:
            Retryable, LimitExceeded: the event stream did not take the erasure; the page is looked at again.
        """
        cutoff = self._now() - self._age
        cutoff_ms = int(cutoff.timestamp() * 1_000)
        page = list(islice(self._store.profiles(after=self._after), _PAGE))
        old = [one for one in page if 0 < one.last_seen_ms <= cutoff_ms]
        for profile in old:
            erasure = events_pb2.Erasure(identity_keys=sorted(of_profile(profile)), received_until_ms=cutoff_ms)
            await self._control.publish_erasure(erasure, self._now().astimezone(UTC))
        self._after = page[-1].profile_id if len(page) == _PAGE else ""
        if old:
            log.info("profiles_over_their_age", profiles=len(old))
        return len(old)
