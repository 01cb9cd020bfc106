"""`wayline catalog`: check, apply and look at the catalogue."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wayline.cli import support
from wayline.cli.catalog_apply import Applied, apply_and_wait, stored
from wayline.cli.catalog_apply import apply_if_new as apply_if_new

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline.catalog.model import Catalog
    from wayline.catalog.problems import CatalogInvalid, Problem

app = typer.Typer(
    help="Check, apply and look at the catalogue: what can be offered to whom; what changed, and the way back.\n\n"
    "Examples:\n\n- `wayline catalog diff new/`\n\n- `wayline catalog apply new/`\n\n- `wayline catalog rollback`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Applicant = Annotated[
    str,
    typer.Option(
        "--as", envvar="WAYLINE_ACTOR", help="Who applies it, for `wayline catalog history`. Else this machine's user."
    ),
]
Where = Annotated[Path, typer.Argument(help="A YAML file, or a directory of *.yaml files.", metavar="PATH")]
_WIDTH = 150


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
            print_problems(error)
        raise typer.Exit(1) from None
    if as_json:
        support.print_json({"valid": True, "problems": [], "left_out": 0, **_figures(catalog)})
    else:
        support.out.print(f"{path}: no problems; {_in_words(catalog)}.", markup=False, highlight=False, soft_wrap=True)


@app.command()
def apply(
    path: Where,
    actor: Applicant = "",
    nats: support.Nats = support.NATS_URL,
    decision: support.Decision = support.DECISION_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Check a catalogue and make it the one that decides. Running services change over within a second.

    Nothing happens when it has a problem, or when it is the same as the current one. It waits, for ten seconds at most,
    until the decision service has it in use, and ends with 1 when the service refuses it. See first what it changes
    with `diff`, and go back with `rollback`.

    Examples:

    - `wayline catalog apply shop/`

    - `wayline catalog apply shop/ --nats nats://nats.example.org:4222`
    """
    from wayline.catalog.load import invalid, load_with_sources
    from wayline.catalog.problems import CatalogInvalid

    try:
        catalog, sources = load_with_sources(path)
        applied = asyncio.run(apply_and_wait(catalog, nats, decision, partial(invalid, sources), actor))
    except CatalogInvalid as error:
        print_problems(error)
        raise typer.Exit(1) from None
    tell(catalog, applied, as_json)


def tell(catalog: Catalog, applied: Applied, as_json: bool, again: int = 0) -> None:
    """Say what came of applying a catalogue, which may be that of an earlier revision, `again`."""
    revision, changed, found = applied
    if as_json:
        said = {"revision": revision, "changed": changed, "in_use": found.in_use}
        support.print_json({**said, **({"again": again} if again else {}), **_figures(catalog)})
    elif changed:
        state = ("serves" if found.in_use else "is stored") + (f", as revision {again} was" if again else "")
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


async def _fetch(revision: int | None, url: str) -> tuple[int, Catalog]:
    async with support.connection(url) as client:
        store, current = await stored(client)
        wanted = revision or current
        return wanted, await store.fetch(wanted)


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


def print_problems(error: CatalogInvalid) -> None:
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
