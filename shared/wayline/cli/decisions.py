"""`wayline decisions`: why a decision came out as it did, why not otherwise, and whether it can be made anew."""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wayline.cli import program, support

if TYPE_CHECKING:  # the rest is imported when a command runs: `--help` stays quick
    from wayline.v1.decision_pb2 import ExplainResponse

app = typer.Typer(
    help="List decisions, say why one came out as it did, why not otherwise, and make it anew.\n\n"
    "Examples:\n\n- `wayline decisions list --customer user_id:ada`\n\n"
    "- `wayline decisions show 019b3c5e7a10f4c2d8e6b9a1c3d5e7f9`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
DecisionId = Annotated[str, typer.Argument(metavar="ID", help="The decision_id of the answer.", show_default=False)]
_PROGRAM = "wayline_decision.replay_many"
_TIMEOUT_SECONDS = 30.0
_SHOWN = 10


@app.command()
def show(
    decision_id: DecisionId,
    dropped: Annotated[
        int, typer.Option("--dropped", min=0, help="Show at most so many of the actions that were dropped.")
    ] = 20,
    decision: support.Decision = support.DECISION_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Show what was chosen, the arithmetic of each score, what spoke for it, and where all others were dropped.

    Examples:

    - `wayline decisions show 019b3c5e7a10f4c2d8e6b9a1c3d5e7f9`

    - `wayline decisions show 019b3c5e7a10f4c2d8e6b9a1c3d5e7f9 --json`
    """
    from wayline.cli.decisions_view import render

    explained = _explain(decision, decision_id)
    if as_json:
        support.print_json(support.plain(explained))
        return
    for part in render(explained, dropped):
        support.out.print(part)


@app.command("why-not")
def why_not(
    decision_id: DecisionId,
    action: Annotated[str, typer.Argument(help="The id of the action that was expected.", show_default=False)],
    decision: support.Decision = support.DECISION_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Say at which stage an action was dropped, by which rule, and what would have to change.

    Examples:

    - `wayline decisions why-not 019b3c5e7a10f4c2d8e6b9a1c3d5e7f9 red-shoes`

    - `wayline decisions why-not 019b3c5e7a10f4c2d8e6b9a1c3d5e7f9 red-shoes --json`
    """
    from wayline.cli.decisions_view import render_why_not, why_not_of

    explained = _explain(decision, decision_id)
    found = why_not_of(explained, action)
    if not found:
        support.fail(_unknown(explained, action))
    if as_json:
        support.print_json({"decision_id": decision_id, "action": action, "placements": found})
        return
    for part in render_why_not(action, found):
        support.out.print(part)


@app.command()
def replay(
    decision_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Which decisions. None: see --since.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="AGE|TIME", help="All decisions since then: 90m, 24h, 7d, or a time.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="With --since: the first so many.")] = None,
    nats: support.Nats = support.NATS_URL,
    decision: support.Decision = support.DECISION_ADDRESS,
    as_json: support.Json = False,
) -> None:
    """Make decisions anew from their records, and compare bit for bit. Exit code 1 when any differs.

    Each is made under the catalogue and the model versions that it was made with, whatever serves now.

    Examples:

    - `wayline decisions replay 019b3c5e7a10f4c2d8e6b9a1c3d5e7f9`

    - `wayline decisions replay --since 1h`

    - `wayline decisions replay --since 2026-09-01T08:00Z --limit 10000 --json`
    """
    from wayline.cli.decisions_view import render_replay

    if bool(decision_ids) == bool(since):
        support.fail("say which decisions: either their ids, or --since, for instance --since 1h", code=2)
    if limit is not None and not since:
        support.fail("--limit goes with --since: ids are all replayed", code=2)
    if since:
        at = program.moment(since, datetime.now(UTC), "--since")
        result = program.run(_PROGRAM, {"since": at.isoformat(), "limit": limit}, nats, quiet=as_json)
    else:
        result = _replay_each(decision, decision_ids or [])
    if as_json:
        support.print_json(result)
    else:
        for part in render_replay(result):
            support.out.print(part)
    if result["different"] or result["not_replayed"]:
        raise typer.Exit(1)


def _replay_each(address: str, decision_ids: list[str]) -> dict[str, Any]:
    """As `wayline_decision.replay_many` gives it, by the service itself."""
    explained = {one: _explain(address, one) for one in decision_ids}
    different = [name for name, one in explained.items() if not one.reproduced]
    differences = [
        {"decision_id": name, "differences": [f"selections: {_changed(explained[name])}"]} for name in different
    ]
    gone = {note.split()[0].removeprefix("model:") for one in explained.values() for note in _gone(one)}
    return {
        "decisions": len(explained),
        "identical": len(explained) - len(different),
        "different": len(different),
        "differences": differences,
        "not_replayed": {},
        "models_gone": sorted(gone),
    }


def _changed(explained: ExplainResponse) -> str:
    then = [f"{one.placement} {one.action}/{one.treatment}" for one in explained.record.selections]
    now = [
        f"{at.placement} {one.action}/{one.treatment}" for at in explained.decision.placements for one in at.selections
    ]
    if then == now:
        return f"{', '.join(then) or 'nothing'}, with other figures"
    return f"{', '.join(then) or 'nothing'} then, {', '.join(now) or 'nothing'} now"


def _gone(explained: ExplainResponse) -> list[str]:
    return [one for one in explained.decision.warnings if one.startswith("model:")]


def _explain(address: str, decision_id: str) -> ExplainResponse:
    import grpc

    from wayline.v1 import decision_pb2, decision_pb2_grpc

    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        stub = decision_pb2_grpc.DecisionServiceStub(channel)
        request = decision_pb2.ExplainRequest(decision_id=decision_id)
        explained: ExplainResponse = stub.Explain(request, timeout=_TIMEOUT_SECONDS)
        return explained


def _unknown(explained: ExplainResponse, action: str) -> str:
    places, known = [], set()
    for one in explained.decision.placements:
        places.append(one.placement)
        known |= {selection.action for selection in one.selections} | {drop.action for drop in one.dropped}
    there = f"{' or '.join(places)} in revision {explained.record.catalog_revision} of the catalogue"
    return f"'{action}' has no treatment for {there}, by which it was decided. {_instead(action, sorted(known))}"


def _instead(action: str, known: list[str]) -> str:
    """What may have been meant, of the actions that have a treatment there."""
    if close := get_close_matches(action, known, n=3):
        return f"Did you mean {' or '.join(close)}?"
    if not known:
        return "No action has one."
    more = len(known) - _SHOWN
    return f"These have one: {', '.join(known[:_SHOWN])}" + (f", and {more} more." if more > 0 else ".")
