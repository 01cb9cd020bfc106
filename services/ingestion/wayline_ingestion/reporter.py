"""Publishes what was counted, so that data quality can be looked at later: the stream QUALITY."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator

from wayline import logging
from wayline.bus import QUALITY_SUBJECT
from wayline.errors import LimitExceeded, Retryable
from wayline.publish import AckedPublisher, Message
from wayline.v1.quality_pb2 import QualityDelta, QualityFigures
from wayline_ingestion.core.tally import Tally

MAX_MESSAGE_BYTES = 512 << 10
_MOST_WAITING = 64
log = logging.get("quality")


class QualityReporter:
    """Publishes the counts of a tally now and then.

    What could not be published waits and goes out, once, with the next; meanwhile the tally goes on counting within its
    limits. A process that is killed loses what it counted since it published last.
    """

    def __init__(self, tally: Tally, publisher: AckedPublisher, process_id: str) -> None:
        """`process_id` tells this process from all others, of former days too."""
        self._tally = tally
        self._publisher = publisher
        self._process_id = process_id
        self._number = 0
        self._waiting: deque[Message] = deque()

    async def run(self, every_seconds: float) -> None:
        """Publish for ever."""
        while True:
            await asyncio.sleep(every_seconds)
            await self.flush()

    async def flush(self) -> None:
        """Publish what there is. Where that fails it waits for the next time."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting += self._messages(self._tally.drain())
        try:
            while self._waiting:
                await self._publisher.publish([self._waiting[0]])
                self._waiting.popleft()
        except (Retryable, LimitExceeded) as error:
            log.warning("figures_wait", messages=len(self._waiting), error=str(error))

    def _messages(self, figures: Iterable[QualityFigures]) -> Iterator[Message]:
        for bundle in _bundles(figures):
            self._number += 1
            delta = QualityDelta(process_id=self._process_id, number=self._number, figures=bundle)
            yield Message(QUALITY_SUBJECT, delta.SerializeToString(), f"{self._process_id}:{self._number}")


def _bundles(figures: Iterable[QualityFigures]) -> Iterator[list[QualityFigures]]:
    bundle: list[QualityFigures] = []
    size = 0
    for one in figures:
        if bundle and size + one.ByteSize() > MAX_MESSAGE_BYTES:
            yield bundle
            bundle, size = [], 0
        bundle.append(one)
        size += one.ByteSize() + 8
    if bundle:
        yield bundle
