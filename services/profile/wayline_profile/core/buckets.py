"""Buckets of time, sorted by index: those beside the newest are kept, and which came first leaves no trace."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Any

index_of = attrgetter("index")


def bucket_at(buckets: Any, index: int, kept: int) -> Any:
    """The bucket of an index, made if need be.

    Args:
        buckets: a repeated field of messages with an `index`, sorted by it; changed in place.
        index: of time, in widths of a bucket.
        kept: how far back from the newest they are kept, in buckets.

    Returns:
        The message; None when the index is further back.
    """
    if not buckets:
        return buckets.add(index=index)
    last = buckets[-1]
    newest: int = last.index
    if newest == index:  # nearly always
        return last
    if index > newest:
        added = buckets.add(index=index)
        while buckets[0].index < index - kept:
            del buckets[0]
        return added
    if index < newest - kept:
        return None
    at = bisect_left(buckets, index, key=index_of)
    if buckets[at].index != index:
        buckets.insert(at, type(buckets[at])(index=index))
    return buckets[at]
