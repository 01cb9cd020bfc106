"""Learns, from the training half, how likely a customer is to visit after each of the three actions.

One model per arm (a T-learner): the arm was drawn at random, so that within an arm nothing but the customer matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from hillstrom.reader import ACTIONS
from hillstrom.views import Known
from wayline.catalog.rules import RuleCompiler
from wayline.catalog.schema import Schema
from wayline.scoring import InputEncoder
from wayline.v1.prediction_pb2 import ModelInput, ModelManifest

ARMS = tuple(sorted(ACTIONS.values()))
"""The columns of the model's output."""

INPUTS = (
    ModelInput(trait="recency"),
    ModelInput(trait="history"),
    ModelInput(trait="mens"),
    ModelInput(trait="womens"),
    ModelInput(trait="newbie"),
    ModelInput(cel="profile.zip_code == 'Rural'"),
    ModelInput(cel="profile.zip_code == 'Surburban'"),
    ModelInput(cel="profile.channel == 'Web'"),
    ModelInput(cel="profile.channel == 'Multichannel'"),
)
FOLDS = 5
_SEED = 0  # of the folds: the same customers, the same model
_REGULARISATIONS = (0.001, 0.01, 0.1, 1.0)

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Examples:
    """The training half as numbers: [n, inputs], and for each row the column of its arm, and whether a visit came."""

    rows: Rows
    arms: NDArray[np.intp]
    visited: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Response:
    """A fitted model per arm, in the order of ARMS, and what cross-validation said of it."""

    models: tuple[Any, ...]
    kind: str
    measures: dict[str, float]

    def predict(self, rows: Rows) -> Floats:
        """[n, arms]: the chance of a visit after each action."""
        return _chances(self.models, rows)


def examples_of(known: Sequence[Known], schema: Schema) -> Examples:
    """What the profile service holds of the training half, encoded by the code that encodes it for decisions."""
    compiler = RuleCompiler(schema)
    encoder = InputEncoder(ModelManifest(inputs=INPUTS), schema, compiler)
    context, now = schema.context(), datetime.now(UTC)  # the inputs read neither
    rows = [encoder.encode(one.traits, context, compiler.activation(one.traits, context, now)) for one in known]
    return Examples(
        np.stack(rows),
        np.array([ARMS.index(one.traits.arm) for one in known], np.intp),
        np.array([one.traits.visits > 0 for one in known]),
    )


def train(examples: Examples, on_candidate: Callable[[], None]) -> Response:
    """Choose among the candidates by their cross-validated log loss, and fit the best on all examples.

    Args:
        examples: of the training half only.
        on_candidate: told each time that a candidate was tried.
    """
    best: tuple[float, str, Floats] | None = None
    for name, make in candidates().items():
        chances = _out_of_fold(make, examples)
        loss = float(log_loss(examples.visited, _own(chances, examples.arms)))
        if best is None or loss < best[0]:
            best = loss, name, chances
        on_candidate()
    assert best is not None, "there are candidates"
    loss, name, chances = best
    measures = {"rows": float(len(examples.rows)), "log_loss": loss}
    for column, arm in enumerate(ARMS):
        mine = examples.arms == column
        measures[f"auc {arm}"] = float(roc_auc_score(examples.visited[mine], chances[mine, column]))
    return Response(_fit(candidates()[name], examples, np.arange(len(examples.rows))), name, measures)


def candidates() -> dict[str, Callable[[], BaseEstimator]]:
    """Logistic regressions by name: with and without interactions, and more or less regularised."""
    found: dict[str, Callable[[], BaseEstimator]] = {}
    for strength in _REGULARISATIONS:
        found[f"linear, C={strength:g}"] = partial(_linear, strength)
        found[f"with interactions, C={strength:g}"] = partial(_with_interactions, strength)
    return found


def _linear(strength: float) -> BaseEstimator:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1_000))


def _with_interactions(strength: float) -> BaseEstimator:
    products = PolynomialFeatures(2, include_bias=False)
    logistic = LogisticRegression(C=strength, max_iter=1_000)
    return make_pipeline(StandardScaler(), products, StandardScaler(), logistic)


def _out_of_fold(make: Callable[[], BaseEstimator], examples: Examples) -> Floats:
    """[n, arms]: each row predicted by models that have not seen it."""
    chances = np.zeros((len(examples.rows), len(ARMS)))
    strata = 2 * examples.arms + examples.visited
    for seen, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=_SEED).split(examples.rows, strata):
        chances[unseen] = _chances(_fit(make, examples, seen), examples.rows[unseen])
    return chances


def _fit(make: Callable[[], BaseEstimator], examples: Examples, seen: NDArray[np.intp]) -> tuple[Any, ...]:
    models = []
    for column in range(len(ARMS)):
        mine = seen[examples.arms[seen] == column]
        model: Any = make()
        models.append(model.fit(examples.rows[mine], examples.visited[mine]))
    return tuple(models)


def _chances(models: Sequence[Any], rows: Rows) -> Floats:
    return np.column_stack([model.predict_proba(rows)[:, 1] for model in models])


def _own(chances: Floats, arms: NDArray[np.intp]) -> Floats:
    own: Floats = chances[np.arange(len(arms)), arms]
    return own
