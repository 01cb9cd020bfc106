"""Each benchmark runs to its end at a small size, and has the figures that it promises. What they are is not tested."""

from __future__ import annotations

from typing import Any

import pytest

from wayline_bench import batch, collect, decide, freshness, peers
from wayline_bench.report import Report
from wayline_bench.world import WorldSize

pytestmark = pytest.mark.e2e
SMALL = WorldSize(customers=300)


def numbers(report: Report, *keys: str) -> dict[str, Any]:
    found = report.as_dict()
    assert set(keys) <= found.keys()
    assert all(found[key] > 0 for key in keys)
    return found


async def test_decide_compares_with_a_bare_server() -> None:
    report = await decide.bench(decide.DecideSize(world=SMALL, rounds=1, seconds=2.0))
    found = numbers(
        report,
        *("echo_per_s", "direct_per_s", "decide_per_s", "ratio", "ratio_to_direct"),
        *("p50_ms", "p99_ms", "in_process_us", "concurrency"),
    )
    assert found["load"] in ("h2load", "own")


async def test_peers_are_timed_beside_the_whole_path_and_answer_rightly() -> None:
    report = await peers.bench(peers.PeersSize(world=SMALL, rounds=2, seconds=1.0))
    kinds = ("vw_squarecb", "vw_epsilon", "gorules_table", "gorules_expression", "unleash", "numpy_thompson")
    found = numbers(
        report,
        *("wayline_us", "wayline_first_us", "wayline_record_us"),
        *(f"{kind}_{figure}" for kind in kinds for figure in ("us", "ratio", "ratio_to_first")),
    )
    assert (found["gorules_table_does"], found["numpy_thompson_does"]) == ("conditions", "scores, exploration, slots")
    assert found["vw_squarecb_version"].startswith("vowpalwabbit 9")


async def test_batch_counts_decisions() -> None:
    report = await batch.bench(batch.BatchSize(world=SMALL, seconds=0.5))
    assert numbers(report, "decisions_per_s", "cold_decisions_per_s")["customers"] == 300


@pytest.mark.parametrize("store", ["rocksdb", "postgresql"])
async def test_collect_counts_what_is_accepted_and_folded_and_weighs_what_is_kept(store) -> None:
    report = await collect.bench(
        collect.CollectSize(store=store, seconds=20.0, most_events=4_000, visitors=100, cached_views=5_000)
    )
    found = numbers(
        report,
        *("accepted_per_s", "folded_per_s", "folded_per_cpu_s"),
        *("disk_bytes_per_profile", "disk_bytes_per_event", "view_memory_bytes"),
    )
    assert (found["events"], found["profiles"], found["store"]) == (4_000, 100, store)
    assert (found["traits"] >= 20, found["audiences"]) == (True, 5)


async def test_freshness_finds_no_stale_decision() -> None:
    report = await freshness.bench(freshness.FreshnessSize(seconds=2.0, events_per_s=200, visitors=100))
    assert numbers(report, "p50_ms", "p99_ms", "at_least_p99_ms")["stale"] == 0
