"""The arithmetic of a score as answers and records hold it: encoded once, and kept with it."""

from __future__ import annotations

from wayline.v1 import decision_pb2
from wayline_decision.core.known import Arithmetic
from wayline_decision.wire import ONE_DOUBLE, sized, tag

_SCORE = tag(decision_pb2.Selection, "score")
_SCORE_TAGS = [tag(decision_pb2.Score, name) for name in ("propensity", "context", "value", "lever", "priority")]
_SOURCE = tag(decision_pb2.Score, "propensity_source")
_UNSMOOTHED = tag(decision_pb2.Score, "unsmoothed_propensity")
_RECORDED = [tag(decision_pb2.RecordedSelection, name) for name in ("priority", "propensity")]


def figures_of(arithmetic: Arithmetic) -> tuple[bytes, bytes]:
    """The score of an answer's selection, and the priority and propensity of a record's."""
    if arithmetic.encoded is None:
        one = arithmetic
        values = (one.propensity, one.context, one.value, one.lever, one.priority)
        score = b"".join(tag_ + ONE_DOUBLE.pack(value) for tag_, value in zip(_SCORE_TAGS, values, strict=True))
        score += sized(_SOURCE, one.source.encode())
        if one.unsmoothed is not None:
            score += _UNSMOOTHED + ONE_DOUBLE.pack(one.unsmoothed)
        recorded = _RECORDED[0] + ONE_DOUBLE.pack(one.priority) + _RECORDED[1] + ONE_DOUBLE.pack(one.propensity)
        arithmetic.encoded = (sized(_SCORE, score), recorded)
    return arithmetic.encoded
