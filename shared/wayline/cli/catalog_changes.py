"""`wayline catalog`, over time: which revisions there are, what differs between them, and going back to one."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import typer

from wayline.cli import catalog as catalogs
from wayline.cli import support
from wayline.cli.catalog_apply import apply_and_wait, stored

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline.catalog.findings import Finding
    from wayline.catalog.model import Catalog
    from wayline.catalog.revisions import Kept
    from wayline.catalog.store import CatalogStore, Uptake

app = catalogs.app
_EITHER = "A revision, or a file or directory."
Old = Annotated[str | None, typer.Argument(metavar="A", help=_EITHER, show_default=False)]
New = Annotated[str | None, typer.Argument(metavar="B", help=_EITHER, show_default=False)]
_CURRENT, _FORMER = "\0current", "\0former"
"""The revision that serves and the one before it: no path is called so."""
_SEE = "See which are kept: wayline catalog history"


@app.command()
def history(
    last: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 20,
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """List the revisions that are kept, newest first: when each was applied, by whom if that is known, and what serves.

    Examples:

    - `wayline catalog history`

    - `wayline catalog history --last 3 --json`
    """
    from wayline.cli.catalog_changes_view import history_of, render_history

    revisions, more, current, uptake = asyncio.run(_history(last, nats))
    if as_json:
        support.print_json(history_of(revisions, current, uptake))
        return
    for part in render_history(revisions, more, current, uptake):
        support.out.print(part)


@app.command()
def diff(
    old: Old = None,
    new: New = None,
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """Say what differs between two catalogues: revisions, or files and directories that are not applied yet.

    With one revision: what differs in the current one. With one PATH: what applying it would change. With none: what
    the current revision has changed. The exit code is 0 whether or not anything differs; --json has all values whole.

    Examples:

    - `wayline catalog diff`

    - `wayline catalog diff 3 5`

    - `wayline catalog diff new/`

    - `wayline catalog diff 3 new/ --json`
    """
    from wayline.catalog.diff import differences
    from wayline.catalog.problems import CatalogInvalid
    from wayline.cli.catalog_changes_view import render_differences

    try:
        before, after = asyncio.run(_sides(old, new, nats))
    except CatalogInvalid as error:
        catalogs.print_problems(error)
        raise typer.Exit(1) from None
    found = list(differences(before.catalog, after.catalog))
    if as_json:
        support.print_json({"old": before.name, "new": after.name, "differences": [asdict(one) for one in found]})
        return
    for part in render_differences(before.name, after.name, found):
        support.out.print(part)


@app.command()
def rollback(
    revision: Annotated[
        int | None,
        typer.Argument(
            min=1,
            help="Which one. Default: the one before the current; where that is refused, the one that decides.",
            show_default=False,
        ),
    ] = None,
    actor: catalogs.Applicant = "",
    nats: support.Nats = support.NATS_URL,
    decision: support.Decision = support.DECISION_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Go back: apply an earlier revision anew, as the next one. Running services change over within a second.

    It is checked and waited for as by `apply`. Your files stay as they are: correct them before you apply them again. A
    second `rollback` takes the first one back.

    Examples:

    - `wayline catalog rollback`

    - `wayline catalog rollback 3 --as ada`
    """
    again, catalog = asyncio.run(_earlier(revision, nats))
    applied = asyncio.run(apply_and_wait(catalog, nats, decision, lambda found: _refused(again, found), actor, again))
    catalogs.tell(catalog, applied, as_json, again)


async def _history(last: int, nats: str) -> tuple[list[Kept], bool, int, Uptake]:
    """The newest so many, whether there are more, the current one, and what the decision service has in use."""
    from contextlib import aclosing

    from wayline.catalog.revisions import kept

    revisions: list[Kept] = []
    async with support.connection(nats) as client:
        store, current = await stored(client)
        uptake = await store.uptake()
        async with aclosing(kept(client.jetstream(), store)) as found:
            async for one in found:
                if len(revisions) == last:
                    return revisions, True, current, uptake
                revisions.append(one)
    return revisions, False, current, uptake


class _Side(NamedTuple):
    name: str
    catalog: Catalog


async def _sides(old: str | None, new: str | None, nats: str) -> tuple[_Side, _Side]:
    if old is not None and new is None and not _is_revision(old):
        return await _side(_CURRENT, nats), await _side(old, nats)  # what would applying it change?
    return await _side(old or _FORMER, nats), await _side(new or _CURRENT, nats)


def _is_revision(text: str) -> bool:
    return text.isdecimal() and text.isascii()


async def _side(which: str, nats: str) -> _Side:
    """A revision, or what is at a path."""
    from wayline.catalog.load import load

    if which not in (_CURRENT, _FORMER) and not _is_revision(which):
        return _Side(which, load(Path(which)))
    from wayline.catalog.revisions import before

    async with support.connection(nats) as client:
        store, current = await stored(client)
        number = current
        if which == _FORMER:
            number = await before(client.jetstream(), current) or _no_former(current)
        elif which != _CURRENT:
            number = int(which)
        return _Side(f"revision {number}", await _fetched(store, number, current))


def _no_former(current: int) -> NoReturn:
    support.fail(f"No revision before the current one, {current}, is kept.")


async def _fetched(store: CatalogStore, number: int, current: int) -> Catalog:
    from wayline.errors import NotFound

    try:
        return await store.fetch(number)
    except NotFound:
        support.fail(f"Revision {number} is not kept; the current one is {current}. {_SEE}")


async def _earlier(revision: int | None, nats: str) -> tuple[int, Catalog]:
    """The revision to go back to, checked."""
    from wayline.catalog.check import check
    from wayline.catalog.revisions import before

    async with support.connection(nats) as client:
        store, current = await stored(client)
        uptake = await store.uptake()
        decides = uptake.in_use if uptake.refused == current else 0
        number = revision or decides or await before(client.jetstream(), current) or _no_former(current)
        if number == current:
            support.fail(f"Revision {number} is the current one: there is nothing to go back to. {_SEE}")
        catalog = await _fetched(store, number, current)
    if found := check(catalog):
        raise _refused(number, found)
    return number, catalog


def _refused(revision: int, found: list[Finding]) -> Exception:
    """The error that says why an earlier revision cannot decide any more."""
    from wayline.errors import Precondition

    told = "\n".join(f"  {'.'.join(map(str, one.path))}: {one.message}" for one in found[:10])
    return Precondition(
        f"Revision {revision} cannot decide any more, and nothing was changed:\n{told}\n"
        "Go back to another one, or correct your files and apply them: wayline catalog apply PATH"
    )
