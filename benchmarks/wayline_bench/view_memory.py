"""`python -m wayline_bench.view_memory FILE COUNT`: prints what a view takes in the decision service's cache, in bytes.

A process of its own, so that nothing else has grown or freed memory. The file holds a `BatchGetViewsResponse`, whose
views are cached again and again under identity keys of their own.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from wayline.identity import KEY_BYTES
from wayline.v1 import profile_pb2, profile_pb2_grpc
from wayline_decision.views import ViewCache


class _Answers:
    """Answers as the profile service does: each view in a message of its own, since pages ask for one customer."""

    def __init__(self, views: Sequence[profile_pb2.CustomerView]) -> None:
        self._views = views

    def BatchGetViews(self, request: profile_pb2.BatchGetViewsRequest, timeout: float) -> object:  # noqa: ARG002, N802
        answer = profile_pb2.BatchGetViewsResponse()
        for key in request.identity_keys:
            view = answer.views.add()
            view.CopyFrom(self._views[int.from_bytes(key, "big") % len(self._views)])
            view.profile_id = key.hex()
            view.identity_keys[0] = key
        return profile_pb2.BatchGetViewsResponse.FromString(answer.SerializeToString())


def bytes_per_view(views: Sequence[profile_pb2.CustomerView], count: int) -> float:
    """What the process grows by for each of `count` views, by its resident memory (Linux)."""
    stub = cast(profile_pb2_grpc.ProfileServiceStub, _Answers(views))
    cache = ViewCache(stub, size=count, timeout_seconds=1.0)
    cache.follow(True)
    gc.collect()
    before = _resident_bytes()
    for number in range(count):
        cache.get([number.to_bytes(KEY_BYTES, "big")])
    gc.collect()
    if len(cache) != count:
        raise AssertionError(f"{len(cache)} of {count} views were cached")
    return (_resident_bytes() - before) / count


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    response = profile_pb2.BatchGetViewsResponse.FromString(Path(sys.argv[1]).read_bytes())
    print(round(bytes_per_view(response.views, int(sys.argv[2])), 1))
