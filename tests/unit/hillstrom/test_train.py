from __future__ import annotations

import numpy as np
import pytest
from tests.support.trial import write_trial

from hillstrom.export import OUTPUT, export
from hillstrom.train import ARMS, INPUTS, Examples, Response, candidates, examples_of, train
from hillstrom.trial import CATALOG
from hillstrom.views import Known
from wayline.catalog.load import load
from wayline.catalog.schema import build_schema
from wayline.scoring import Scorer
from wayline.v1.prediction_pb2 import ModelManifest, ModelOutput


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """A training half as the profile service would give it."""
    customers = write_trial(tmp_path_factory.mktemp("trial") / "trial.csv", 3_000)
    schema = build_schema(load(CATALOG))
    known = []
    for one in customers:
        attributes = {
            "recency": one.recency,
            "history": one.history,
            "mens": one.mens,
            "womens": one.womens,
            "newbie": one.newbie,
            "zip_code": one.zip_code,
            "channel": one.channel,
        }
        known.append(Known(one, schema.traits(arm=one.arm, visits=int(one.visit), **attributes)))
    return examples_of(known, schema)


@pytest.fixture(scope="module")
def response(examples: Examples) -> Response:
    return train(examples, lambda: None)


def test_inputs_are_what_the_manifest_says(examples: Examples):
    assert examples.rows.shape == (3_000, len(INPUTS))
    assert examples.rows.dtype == np.float32
    zip_codes = examples.rows[:, 5:7].sum(axis=1)
    assert set(zip_codes) == {0, 1}, "a customer lives in one kind of place"


def test_the_model_learns_whom_the_womens_email_reaches(examples: Examples, response: Response):
    womens = examples.rows[:, 3] == 1
    best = np.array(ARMS)[response.predict(examples.rows).argmax(axis=1)]
    assert (best[womens] == "womens-email").mean() > 0.95
    assert (best[~womens] == "mens-email").mean() > 0.95
    assert set(response.measures) == {"rows", "log_loss", *(f"auc {arm}" for arm in ARMS)}
    assert response.kind in candidates()


def test_the_same_examples_give_the_same_model(examples: Examples, response: Response):
    again = train(examples, lambda: None)
    assert again.measures == response.measures
    assert np.array_equal(again.predict(examples.rows), response.predict(examples.rows))


@pytest.mark.parametrize("kind", ["linear, C=0.1", "with interactions, C=0.1"])
def test_decisions_score_with_the_exported_graph_as_it_was_trained(kind: str, examples: Examples):
    models = tuple(
        candidates()[kind]().fit(examples.rows[examples.arms == arm], examples.visited[examples.arms == arm])
        for arm in range(len(ARMS))
    )
    response = Response(models, kind, {})
    outputs = [ModelOutput(tensor=OUTPUT, column=column, action=arm) for column, arm in enumerate(ARMS)]
    scorer = Scorer(ModelManifest(name="visit", inputs=INPUTS, outputs=outputs), export(response, examples.rows))
    assert np.allclose(scorer.run(examples.rows), response.predict(examples.rows), atol=1e-5)
