"""Events that come twice, in any order, while processes are killed: the state is that of a quiet run, byte for byte.

The same with 200,000 events is `wayline bench exactly-once`.
"""

from __future__ import annotations

import pytest

from wayline_bench.exactly_once import ExactlyOnceSize, bench

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("store", ["rocksdb", "postgresql"])
async def test_repeats_disorder_and_kills_leave_the_state_of_a_quiet_run(store) -> None:
    report = await bench(ExactlyOnceSize(store=store, events=5_000, kills=4, nats_kills=1, batch=64))
    found = report.as_dict()
    assert (found["differences"], found["miscounted"]) == (0, 0), report.notes
    assert found["duplicates"] > 0
    assert found["kills_under_load"] > 0
    assert found["rows_messages"] == 5_000 - found["poison"]
