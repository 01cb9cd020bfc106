"""Making a catalogue the current revision: what stands against it, and what the decision service makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from wayline.cli import support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from nats.aio.client import Client

    from wayline.catalog.findings import Finding
    from wayline.catalog.model import Catalog
    from wayline.catalog.store import CatalogStore

Refusal = Callable[[list["Finding"]], Exception]
"""Makes the error that says what is wrong."""
_UPTAKE_SECONDS = 10.0
_POLL_SECONDS = 0.1


async def apply_if_new(
    catalog: Catalog, url: str, refusal: Refusal | None = None, actor: str = "", again: int = 0
) -> tuple[int, bool]:
    """Make `catalog` current. Returns its revision, and False when that one was current already.

    Args:
        catalog: that was checked otherwise.
        url: of NATS.
        refusal: the error to raise where a champion reads what its purposes may not use, or an arm names a revision
            that cannot decide. Without it, that is left to the decision service: it does not use such a model, and
            leaves such an arm out, which is told here.
        actor: who applies it; '' is the user of this machine.
        again: the earlier revision that it repeats.
    """
    from wayline import settings
    from wayline.catalog.experiment_checks import refused_arms
    from wayline.catalog.label_checks import refused_models
    from wayline.catalog.store import Origin, open_store
    from wayline.registry import champions

    limits = settings.read(settings.CatalogSettings)
    async with support.connection(url) as client:
        store = await open_store(client.jetstream(), replicas=limits.replicas, max_bytes=limits.catalog_max_bytes)
        current = await store.current_revision()
        arms = list(refused_arms(catalog, await _refused_revisions(catalog, store, current)))
        if refusal and arms:
            raise refusal(arms)
        for finding in arms:
            told = f"arm '{finding.path[3]}': {finding.message}; its customers get what everybody gets"
            support.err.print(told, style="yellow", markup=False, highlight=False, soft_wrap=True)
        if current and await _is_same(store, current, catalog):
            return current, False
        if refusal and (refused := list(refused_models(catalog, await champions(client.jetstream())))):
            raise refusal(refused)
        return await store.apply(catalog, Origin(support.acting_name(actor), again)), True


class Found(NamedTuple):
    """What the decision service made of a revision."""

    in_use: bool | None = None
    """False: it refuses it. None: not known."""
    note: str = ""
    """What to know and what to do next, where it is not in use."""


class Applied(NamedTuple):
    """A revision, whether it is new, and what the decision service made of it."""

    revision: int
    changed: bool
    found: Found


async def apply_and_wait(
    catalog: Catalog, nats: str, decision: str, refusal: Refusal, actor: str, again: int = 0
) -> Applied:
    """As `apply_if_new`, and wait for the decision service."""
    revision, changed = await apply_if_new(catalog, nats, refusal, actor, again)
    return Applied(revision, changed, await _uptake(revision, nats, decision))


async def _uptake(revision: int, nats: str, decision: str) -> Found:
    """Wait until the decision service has a revision in use or has refused it; not when none answers."""
    from wayline.health import probe

    alive = await probe(decision)
    if not alive.healthy:
        return Found(
            note=f"No decision service can be asked whether it has it in use: {alive.detail}. Start one with: wayline "
            "up; or, where one runs, say where it listens with --decision."
        )
    async with support.connection(nats) as client:
        store = await store_of(client)
        for _ in range(round(_UPTAKE_SECONDS / _POLL_SECONDS)):
            uptake = await store.uptake()
            if uptake.in_use == revision:
                return Found(in_use=True)
            if uptake.refused == revision:
                goes_on = f"goes on with revision {uptake.in_use}" if uptake.in_use else "has no other to go on with"
                back = f", or go back: wayline catalog rollback {uptake.in_use}" if uptake.in_use else ""
                return Found(
                    in_use=False,
                    note=f"The decision service refuses revision {revision} and {goes_on}: {uptake.because}. "
                    f"Correct the catalogue and apply it again{back}.",
                )
            await asyncio.sleep(_POLL_SECONDS)
    return Found(
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
    from wayline.catalog.diff import differences
    from wayline.errors import Poison

    try:
        # Equal models may differ: 4 equals 4.0 and true equals 1, but not in rules.
        return next(differences(await store.fetch(revision), catalog), None) is None
    except Poison as error:
        # Applying is how an unreadable revision is mended.
        support.err.print(f"{error}; it is replaced", style="yellow", markup=False, highlight=False)
        return False


async def stored(client: Client) -> tuple[CatalogStore, int]:
    """The store as it is, and the current revision.

    Raises:
        NotFound: there is none yet.
    """
    from nats.js.errors import BucketNotFoundError

    from wayline.errors import NotFound

    try:
        store = await store_of(client)
    except BucketNotFoundError:
        current = 0
    else:
        current = await store.current_revision()
    if not current:
        raise NotFound("no catalogue has been applied yet. Apply one with: wayline catalog apply PATH")
    return store, current


async def store_of(client: Client) -> CatalogStore:
    """The store as it is: nothing is created."""
    from wayline.bus import CATALOG_BUCKET
    from wayline.catalog.store import CatalogStore

    return CatalogStore(await client.jetstream().key_value(CATALOG_BUCKET))
