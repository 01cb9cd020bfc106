"""How far a back-fill is, in figures that people read."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from wayline.v1 import backfill_pb2
from wayline_profile.core.backfill import FilledStates, Walk
from wayline_profile.core.fingerprints import name_of
from wayline_profile.core.fold import Definitions

_BITS = 64
_BYTES = _BITS // 8


def share_done(walk: Walk) -> float:
    """From 0 to 1. Identity keys are digests, and so evenly spread: the last one says how many are done."""
    if walk.finished_ms:
        return 1.0
    return int.from_bytes((walk.after + bytes(_BYTES))[:_BYTES], "big") / float(1 << _BITS)


def status_of(
    definitions: Definitions, filled: FilledStates, walk: Walk | None, earlier: tuple[float, Walk] | None
) -> backfill_pb2.GetBackfillResponse:
    """What is known of each trait, and of the walk.

    Args:
        definitions: of the catalogue in use.
        filled: what all customers have.
        walk: the last one; None: there was none.
        earlier: so many seconds ago the walk was there; None: it is not going on in this process.
    """
    response = backfill_pb2.GetBackfillResponse()
    for name, key in sorted(definitions.keys.items()):
        trait = response.traits.add(name=name, state_key=key, filled=key in filled.states)
        state = filled.states.get(key)
        if state is not None and state.filled_ms:
            trait.filled_at.CopyFrom(_time(state.filled_ms))
            if state.events_since_ms:
                trait.events_since.CopyFrom(_time(state.events_since_ms))
    if walk is None:
        return response
    response.running = not walk.finished_ms
    done = share_done(walk)
    progress = backfill_pb2.BackfillProgress(
        traits=[name_of(key) for key in walk.states],
        strands=walk.strands,
        strands_total=round(walk.strands / done) if done else 0,
        events=walk.events,
        done=done,
        started_at=_time(walk.started_ms),
    )
    if walk.finished_ms:
        progress.finished_at.CopyFrom(_time(walk.finished_ms))
    if walk.events_since_ms:
        progress.events_since.CopyFrom(_time(walk.events_since_ms))
    if response.running and earlier is not None:
        seconds, before = earlier
        progress.events_per_second = max(0, walk.events - before.events) / seconds if seconds else 0.0
        gained = done - share_done(before)
        progress.seconds_left = (1 - done) * seconds / gained if gained > 0 else 0.0
    response.progress.CopyFrom(progress)
    return response


def _time(at_ms: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(at_ms)
    return time
