"""`wayline catalog`: check, apply and look at the catalogue."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from wayline.cli import support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from nats.aio.client import Client

    from wayline.catalog.files import Sources
    from wayline.catalog.model import Catalog
    from wayline.catalog.problems import CatalogInvalid, Problem
    from wayline.catalog.store import CatalogStore

app = typer.Typer(
    help="Check, apply and look at the catalogue: what can be offered to whom.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Where = Annotated[Path, typer.Argument(help="A YAML file, or a directory of *.yaml files.", metavar="PATH")]
_WIDTH = 150
_UPTAKE_SECONDS = 10.0
_POLL_SECONDS = 0.1


@app.command()
def validate(path: Where, as_json: support.Json = False) -> None:
    """Check a catalogue, and list its problems with file and line: rules once its shape is right. Ends with 1 if any.

    Examples:

    - `wayline catalog validate shop/`

    - `wayline catalog validate shop.yaml --json`
    """
    from wayline.catalog.load import load
    from wayline.catalog.problems import CatalogInvalid

    try:
        catalog = load(path)
    except CatalogInvalid as error:
        if as_json:
            problems = [asdict(problem) for problem in error.problems]
            support.print_json({"valid": False, "problems": problems, "left_out": error.left_out})
        else:
            _print_problems(error)
        raise typer.Exit(1) from None
    if as_json:
        support.print_json({"valid": True, "problems": [], "left_out": 0, **_figures(catalog)})
    else:
        support.out.print(f"{path}: no problems; {_in_words(catalog)}.", markup=False, highlight=False, soft_wrap=True)


@app.command()
def apply(
    path: Where,
    nats: support.Nats = support.NATS_URL,
    decision: support.Decision = support.DECISION_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Check a catalogue and make it the one that decides. Running services change over within a second.

    Nothing happens when it has a problem, or when it is the same as the current one. It waits, for ten seconds at most,
    until the decision service has it in use, and ends with 1 when the service refuses it.

    Examples:

    - `wayline catalog apply shop/`

    - `wayline catalog apply shop/ --nats nats://nats.example.org:4222`
    """
    from wayline.catalog.load import load_with_sources
    from wayline.catalog.problems import CatalogInvalid

    try:
        catalog, sources = load_with_sources(path)
        revision, changed, found = asyncio.run(_apply(catalog, sources, nats, decision))
    except CatalogInvalid as error:
        _print_problems(error)
        raise typer.Exit(1) from None
    if as_json:
        said = {"revision": revision, "changed": changed, "in_use": found.in_use}
        support.print_json({**said, **_figures(catalog)})
    elif changed:
        state = "serves" if found.in_use else "is stored"
        support.out.print(f"Revision {revision} {state}: {_in_words(catalog)}.", highlight=False, soft_wrap=True)
    else:
        support.out.print(f"Nothing to do: the current revision {revision} is the same.", highlight=False)
    if found.in_use is False:
        support.fail(found.note)
    if found.note:
        support.err.print(found.note, style="yellow", markup=False, highlight=False, soft_wrap=True)


@app.command()
def show(
    revision: Annotated[int | None, typer.Option(min=1, help="Which one. Default: the current one.")] = None,
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """Show the catalogue that decides: actions with their treatments and rules, placements, traits.

    Examples:

    - `wayline catalog show`

    - `wayline catalog show --revision 3 --json`
    """
    from wayline.cli.catalog_view import render

    number, catalog = asyncio.run(_fetch(revision, nats))
    if as_json:
        data = catalog.model_dump(mode="json", exclude_unset=True, by_alias=True)
        support.print_json({"revision": number, "catalog": data})
        return
    for part in render(catalog, number):
        support.out.print(part)


async def apply_if_new(catalog: Catalog, url: str, sources: Sources | None = None) -> tuple[int, bool]:
    """Make `catalog` current. Returns its revision, and False when that one was current already.

    Raises:
        CatalogInvalid: a champion reads what its purposes may not use, or an arm names a revision that cannot decide.
            Without `sources`, where it is written, that is left to the decision service: it does not use such a model,
            and leaves such an arm out, which is told here.
    """
    from wayline import settings
    from wayline.catalog.experiment_checks import refused_arms
    from wayline.catalog.label_checks import refused_models
    from wayline.catalog.load import invalid
    from wayline.catalog.store import open_store
    from wayline.registry import champions

    limits = settings.read(settings.CatalogSettings)
    async with support.connection(url) as client:
        store = await open_store(client.jetstream(), replicas=limits.replicas, max_bytes=limits.catalog_max_bytes)
        current = await store.current_revision()
        arms = list(refused_arms(catalog, await _refused_revisions(catalog, store, current)))
        if sources and arms:
            raise invalid(sources, arms)
        for finding in arms:
            told = f"arm '{finding.path[3]}': {finding.message}; its customers get what everybody gets"
            support.err.print(told, style="yellow", markup=False, highlight=False, soft_wrap=True)
        if current and await _is_same(store, current, catalog):
            return current, False
        if sources and (refused := list(refused_models(catalog, await champions(client.jetstream())))):
            raise invalid(sources, refused)
        return await store.apply(catalog), True


class _Found(NamedTuple):
    """What the decision service made of a revision."""

    in_use: bool | None = None
    """False: it refuses it. None: not known."""
    note: str = ""
    """What to know and what to do next, where it is not in use."""


async def _apply(catalog: Catalog, sources: Sources, nats: str, decision: str) -> tuple[int, bool, _Found]:
    revision, changed = await apply_if_new(catalog, nats, sources)
    return revision, changed, await _uptake(revision, nats, decision)


async def _uptake(revision: int, nats: str, decision: str) -> _Found:
    """Wait until the decision service has a revision in use or has refused it; not when none answers."""
    from wayline.health import probe

    alive = await probe(decision)
    if not alive.healthy:
        return _Found(
            note=f"No decision service can be asked whether it has it in use: {alive.detail}. Start one with: wayline "
            "up; or, where one runs, say where it listens with --decision."
        )
    async with support.connection(nats) as client:
        store = await _store(client)
        for _ in range(round(_UPTAKE_SECONDS / _POLL_SECONDS)):
            uptake = await store.uptake()
            if uptake.in_use == revision:
                return _Found(in_use=True)
            if uptake.refused == revision:
                goes_on = f"goes on with revision {uptake.in_use}" if uptake.in_use else "has no other to go on with"
                return _Found(
                    in_use=False,
                    note=f"The decision service refuses revision {revision} and {goes_on}: {uptake.because}. "
                    "Correct the catalogue and apply it again.",
                )
            await asyncio.sleep(_POLL_SECONDS)
    return _Found(
        note=f"The decision service has not taken revision {revision} within {_UPTAKE_SECONDS:g} s. A large catalogue "
        f"takes longer; else look into its log (catalog_in_use, catalog_refused), and whether {decision} is the one "
        "that follows this NATS."
    )


async def _refused_revisions(catalog: Catalog, store: CatalogStore, current: int) -> dict[int, str]:
    """The revisions that arms name and that cannot decide, and why."""
    from wayline.catalog.check import check
    from wayline.catalog.variants import revisions_of
    from wayline.errors import NotFound, Poison

    refused: dict[int, str] = {}
    for revision in revisions_of(catalog.experiments):
        try:
            # Its own experiments do not count in an arm.
            found = [one for one in check(await store.fetch(revision)) if one.path[:1] != ("experiments",)]
        except NotFound:
            there = f"the current one is {current}" if current else "none was applied yet"
            refused[revision] = f"there is no revision {revision} of the catalogue ({there}); name one that was applied"
        except Poison as error:
            refused[revision] = f"{error}; name another"
        else:
            if found:
                refused[revision] = f"revision {revision} of the catalogue cannot decide: {found[0].message}"
    return refused


async def _is_same(store: CatalogStore, revision: int, catalog: Catalog) -> bool:
    from wayline.errors import Poison

    try:
        return await store.fetch(revision) == catalog
    except Poison as error:
        # Applying is how an unreadable revision is mended.
        support.err.print(f"{error}; it is replaced", style="yellow", markup=False, highlight=False)
        return False


async def _fetch(revision: int | None, url: str) -> tuple[int, Catalog]:
    from nats.js.errors import BucketNotFoundError

    from wayline.errors import NotFound

    async with support.connection(url) as client:
        try:
            store = await _store(client)
        except BucketNotFoundError:
            current = 0
        else:
            current = await store.current_revision()
        if not current:
            raise NotFound("no catalogue has been applied yet. Apply one with: wayline catalog apply PATH")
        wanted = revision or current
        return wanted, await store.fetch(wanted)


async def _store(client: Client) -> CatalogStore:
    """The store as it is: nothing is created."""
    from wayline.bus import CATALOG_BUCKET
    from wayline.catalog.store import CatalogStore

    return CatalogStore(await client.jetstream().key_value(CATALOG_BUCKET))


def _figures(catalog: Catalog) -> dict[str, Any]:
    from wayline.catalog.rule_checks import expressions

    actions = [action for _, _, action in catalog.actions()]
    return {
        "name": catalog.name,
        "actions": len(actions),
        "treatments": sum(len(action.treatments) for action in actions),
        "rules": len({text for _, text, _ in expressions(catalog)}),
        "traits": len(catalog.traits),
        "audiences": len(catalog.audiences),
        "placements": len(catalog.placements),
    }


def _in_words(catalog: Catalog) -> str:
    figures = _figures(catalog)
    return (
        f"{figures['actions']} actions with {figures['treatments']} treatments, {figures['rules']} different rules, "
        f"{figures['placements']} placements, {figures['traits']} traits"
        + (f", {figures['audiences']} audiences" if figures["audiences"] else "")
    )


def _print_problems(error: CatalogInvalid) -> None:
    for problem in error.problems:
        support.err.print(str(problem), style="bold", markup=False, highlight=False, soft_wrap=True)
        for line in _excerpt(problem):
            support.err.print(line, markup=False, highlight=False, soft_wrap=True)
    count = len(error.problems) + error.left_out
    more = f"; {error.left_out} are not shown" if error.left_out else ""
    words = "1 problem" if count == 1 else f"{count} problems{more}"
    support.err.print(words, style="red", markup=False, highlight=False)


def _excerpt(problem: Problem) -> list[str]:
    """The line that the problem is on, and a caret below the column."""
    if not problem.line:
        return []
    lines = Path(problem.file).read_text(encoding="utf-8", errors="replace").split("\n")
    if problem.line > len(lines):
        return []
    start = max(0, problem.column - _WIDTH // 2)
    text = lines[problem.line - 1].replace("\t", " ").rstrip()[start : start + _WIDTH]
    margin = f"{problem.line:>5} | "
    return [margin + text, " " * (len(margin) - 2) + "| " + " " * (problem.column - 1 - start) + "^"]
