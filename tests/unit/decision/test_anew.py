"""A recorded decision is made anew bit for bit, whatever was decided by, and whatever has changed since."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from tests.support.worlds import MODEL, OTHER, Shop, a_full_catalog, a_full_model, a_full_state

from wayline.catalog.model import Catalog
from wayline.v1 import decision_pb2
from wayline_decision.anew import decide_anew, differences
from wayline_decision.models import Loaded
from wayline_decision.states import State

Record = decision_pb2.DecisionRecord


def models(version: int) -> dict[str, Loaded]:
    return {name: a_full_model(name, version) for name in (MODEL, OTHER)}


def read_back(catalog: Catalog) -> Catalog:
    """As the store gives it."""
    return Catalog.model_validate_json(catalog.model_dump_json(by_alias=True, exclude_unset=True))


def state(revision: int, version: int) -> State:
    return a_full_state(read_back(a_full_catalog(revision)), revision, models(version), read_back(a_full_catalog()))


def past(record: Record) -> State:
    """What a record names: compiled and loaded anew. Versions are the same for both models here."""
    version = next(iter(record.model_versions.values()), 0)
    key = (record.catalog_revision, version)
    if key not in PAST:
        PAST[key] = (
            state(*key)
            if version
            else a_full_state(read_back(a_full_catalog(key[0])), key[0], {}, read_back(a_full_catalog()))
        )
    return PAST[key]


PAST: dict[tuple[int, int], State] = {}


@pytest.fixture(scope="module")
def shop() -> Shop:
    """Decisions under three catalogues and three versions of the models, and some without any model."""
    shop = Shop()
    for revision, version in ((1, 1), (2, 1), (2, 2), (3, 3)):
        shop.use(state(revision, version))
        shop.ask(60)
    shop.use(a_full_state(a_full_catalog(3), 3, {}, a_full_catalog()))
    shop.ask(40)
    return shop


def test_every_decision_is_made_anew_bit_for_bit_after_catalogues_and_models_have_changed(shop: Shop) -> None:
    records = shop.records
    wrong = [found for one in records if (found := differences(one, decide_anew(one, past(one))))]
    assert len(records) > 500
    assert wrong == []


def test_those_decisions_were_of_every_kind(shop: Shop) -> None:
    """Or the test above would show less than it says."""
    kinds: Counter[str] = Counter()
    for one in shop.records:
        kinds[decision_pb2.Personalisation.Name(one.personalisation)] += 1
        kinds.update(f"arm {arm}" for arm in one.experiments.values())
        kinds["exhausted"] += bool(one.exhausted)
        kinds["reserved"] += bool(one.reserved)
        kinds["scored"] += bool(one.propensities)
        kinds["a content that failed"] += any(note.startswith("content:") for note in one.notes)
        kinds.update(f"in {selection.placement}" for selection in one.selections)
        kinds.update(selection.action for selection in one.selections)
        chances = [each.selection_probability for each in one.selections if each.HasField("selection_probability")]
        kinds["a chance in hindsight"] += len(chances) < len(one.selections)
        kinds["a chance below 1"] += any(chance < 1 for chance in chances)
    arms = ("formula", "model", "all", "random", "propensity", "no_levers", "eligibility", "random_propensity")
    wanted = [
        *(f"PERSONALISATION_{name}" for name in ("FULL", "UNKNOWN_CUSTOMER", "NO_CONSENT", "UNAVAILABLE")),
        *(f"arm {name}" for name in (*arms, "older", "held_out")),
        *(f"in {name}" for name in ("hero", "list", "chat", "best", "offer")),
        *("limited", "rare", "office", "gold", "urgent", "new", "left", "right", "scored-0", "scored-5"),
        *("exhausted", "reserved", "scored", "a content that failed", "a chance in hindsight", "a chance below 1"),
    ]
    assert [name for name in wanted if kinds[name] < 3] == []


def test_a_decision_that_was_made_otherwise_is_told(shop: Shop) -> None:
    record = next(one for one in shop.records if one.selections and one.propensities)
    for change, words in (
        ({"seed": record.seed ^ 1}, "selections"),
        ({"personalisation": decision_pb2.PERSONALISATION_UNAVAILABLE}, "propensities"),
        ({"catalog_revision": 1 + record.catalog_revision % 3}, "selections"),
    ):
        told = []
        for one in shop.records:
            if one.propensities:
                other = Record()
                other.CopyFrom(one)
                for name, value in change.items():
                    setattr(other, name, value)
                told += differences(other, decide_anew(other, past(other)))
        assert any(words in one for one in told), change
    other = Record()
    other.CopyFrom(record)
    other.selections[0].priority *= 1 + 2**-52
    (said,) = differences(other, decide_anew(other, past(other)))
    assert said.startswith("selections: ")


def test_a_model_that_failed_then_fails_again(shop: Shop) -> None:
    """The catalogue's base rates decided; that the model answers today changes nothing."""

    class Broken(type(a_full_model(MODEL, 1).scorer)):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def run(self, rows: object) -> object:
            raise RuntimeError("broken")

    failing = {MODEL: replace(a_full_model(MODEL, 1), scorer=Broken()), OTHER: a_full_model(OTHER, 1)}
    other = Shop(seed=1)
    other.use(a_full_state(a_full_catalog(), 1, failing))
    other.ask(40)
    assert any(note.startswith(f"model:{MODEL}@1 failed") for one in other.records for note in one.notes)
    assert [found for one in other.records if (found := differences(one, decide_anew(one, past(one))))] == []
