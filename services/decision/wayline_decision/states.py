"""What is decided with: a plan, its models, and the variants of both that experiments ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wayline import logging
from wayline.catalog.model import Catalog
from wayline.catalog.store import CatalogStore
from wayline.catalog.variants import Variant, revisions_of, variants_of
from wayline.errors import NotFound, Poison
from wayline_decision.answers import AnswerWriter
from wayline_decision.codec import Situations
from wayline_decision.core.compile import compile_plan
from wayline_decision.core.experiments import Assignment
from wayline_decision.core.plan import Plan
from wayline_decision.core.score import Models
from wayline_decision.ledger import Counted
from wayline_decision.models import Loaded, fit
from wayline_decision.record_writer import RecordWriter

UNCOMPILABLE = (ValueError, KeyError)
"""What compiling raises where the checks were passed by: of schemas, rules, templates, and names that lead nowhere."""
log = logging.get("states")


def variant_of(assignment: Assignment) -> Variant:
    """What a customer's arms change; `AS_IS` when that is nothing that takes another plan."""
    return Variant(assignment.catalog, assignment.formula, tuple(sorted(assignment.models.items())))


@dataclass(frozen=True, slots=True)
class State:
    """A plan and the models that fit it. Requests hold on to the one they began with."""

    plan: Plan
    models: Models
    answers: AnswerWriter
    records: RecordWriter
    situations: Situations
    counted: Counted
    variants: Mapping[Variant, State] = field(default_factory=dict)


def state_of(
    plan: Plan,
    models: Models,
    variants: Mapping[Variant, State] | None = None,
    counted: Counted | None = None,
) -> State:
    """Put a state together; what is counted, where that is not said, follows from the plan alone."""
    versions = {model.name: model.version for model in models.in_use}
    counted = counted_by([plan]) if counted is None else counted
    return State(
        plan,
        models,
        AnswerWriter(plan),
        RecordWriter(plan, versions),
        Situations(plan.schema),
        counted,
        variants or {},
    )


def counted_by(plans: Iterable[Plan]) -> Counted:
    """What any of them limits."""
    contacts = [plan.contact for plan in plans]
    channels = [one.counted_on for one in contacts]
    everywhere = any(one is None for one in channels)
    on = None if everywhere else frozenset().union(*(one for one in channels if one is not None))
    return Counted(any(not one.empty for one in contacts), on)


def varied(catalog: Catalog, variant: Variant) -> Catalog:
    """The catalogue as a variant has it; `variant.catalog` is the caller's business."""
    if variant.formula is not None:
        arbitration = catalog.arbitration.model_copy(update={"formula": variant.formula})
        catalog = catalog.model_copy(update={"arbitration": arbitration})
    if variant.models:
        catalog = _with_models(catalog, dict(variant.models))
    return catalog


def plans_of(plan: Plan, catalogs: Mapping[int, Catalog]) -> dict[Variant, Plan]:
    """The plans of all variants.

    Args:
        plan: the one for everybody.
        catalogs: the revisions that arms name. A variant of one that is not here, or that does not compile, is left
            out: its customers get what everybody gets.

    Raises:
        InvalidField: there are too many of them.
    """
    plans: dict[Variant, Plan] = {}
    for variant in variants_of(plan.catalog.experiments):
        base = plan.catalog if variant.catalog is None else catalogs.get(variant.catalog)
        if base is None:
            continue
        try:
            plans[variant] = compile_plan(varied(base, variant), plan.revision)
        except UNCOMPILABLE as error:
            log.error(
                "arm_left_out",
                revision=plan.revision,
                catalog=variant.catalog,
                formula=variant.formula,
                error=in_words(error),
            )
    return plans


async def catalogs_of(plan: Plan, store: CatalogStore) -> dict[int, Catalog]:
    """The revisions that arms name, without those that are not there or cannot be read.

    A later revision than the plan's is not there either: it may have come since, and then a replica that starts now
    would decide otherwise than the others, and a replay otherwise than the decision.
    """
    found: dict[int, Catalog] = {}
    for revision in revisions_of(plan.catalog.experiments):
        try:
            if revision > plan.revision:
                raise NotFound(f"catalogue revision {revision} was not there when revision {plan.revision} was applied")
            found[revision] = await store.fetch(revision)
        except (NotFound, Poison) as error:
            log.error("arm_left_out", revision=plan.revision, catalog=revision, error=str(error))
    return found


def in_words(error: Exception) -> str:
    """Why a catalogue does not compile."""
    return f"it names {error}, which is not there" if isinstance(error, KeyError) else str(error)


def fitted(plan: Plan, plans: Mapping[Variant, Plan], champions: Mapping[str, Loaded]) -> State:
    """The state of a plan, its variants, and the models that are there."""
    counted = counted_by([plan, *plans.values()])
    variants = {variant: state_of(other, fit(other, champions), counted=counted) for variant, other in plans.items()}
    return state_of(plan, fit(plan, champions), variants, counted)


async def compiled(catalog: Catalog, revision: int, store: CatalogStore) -> tuple[Plan, dict[Variant, Plan]]:
    """A plan and those of its variants, compiled off the loop. Variants are left out as in `plans_of`.

    Raises:
        ValueError, KeyError: the plan does not compile.
        InvalidField: there are too many variants.
    """
    plan = await asyncio.to_thread(compile_plan, catalog, revision)
    others = await catalogs_of(plan, store)
    return plan, await asyncio.to_thread(plans_of, plan, others)


def _with_models(catalog: Catalog, names: Mapping[str, str]) -> Catalog:
    issues = []
    for issue in catalog.issues:
        groups = []
        for group in issue.groups:
            actions = [
                action.model_copy(
                    update={
                        "propensity": action.propensity.model_copy(
                            update={"model": names.get(action.propensity.model or "", action.propensity.model)}
                        )
                    }
                )
                for action in group.actions
            ]
            groups.append(group.model_copy(update={"actions": tuple(actions)}))
        issues.append(issue.model_copy(update={"groups": tuple(groups)}))
    return catalog.model_copy(update={"issues": tuple(issues)})
