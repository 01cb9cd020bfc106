"""The Hillstrom example on made-up customers, as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.trial import write_trial

from hillstrom.events import events_of

pytestmark = pytest.mark.e2e
RUN = Path(__file__).parents[2] / "examples" / "hillstrom" / "run.py"


def test_the_trial_is_imported_whole_and_the_policy_beats_every_static_arm(tmp_path: Path):
    customers = write_trial(tmp_path / "trial.csv", 4_000)
    others = [one for one in customers if not one.training]
    command = [sys.executable, str(RUN), str(tmp_path / "trial.csv"), "--json"]
    ran = subprocess.run(command, capture_output=True, timeout=110, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    said = json.loads(ran.stdout)
    assert said["events_accepted"] == sum(len(events_of(one)) for one in customers)
    assert said["store"]["events_folded"] == said["events_accepted"]
    assert (said["profiles"], said["decided"]) == (len(customers), len(others))
    assert set(said["static_arms"]) == {"mens-email", "no-email", "womens-email"}
    assert said["random"] == pytest.approx(sum(one.visit for one in others) / len(others))
    low, high = said["interval"]
    assert low < said["visits_per_customer"] < high
    assert said["visits_per_customer"] > max(said["static_arms"].values())


def test_a_file_that_is_not_the_trial_is_refused_before_anything_starts(tmp_path: Path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    command = [sys.executable, str(RUN), str(tmp_path / "other.csv"), "--data", str(tmp_path / "data")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "expected the columns recency, history_segment" in ran.stderr.replace("\n", " ")
    assert not (tmp_path / "data").exists()
