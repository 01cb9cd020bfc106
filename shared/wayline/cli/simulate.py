"""`wayline simulate`: what another catalogue or model would have decided, and what that is worth."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from wayline.cli import program, support

_PROGRAM = "wayline_decision.simulate"


def simulate(
    catalog: Annotated[
        Path | None,
        typer.Option(help="File or directory of the catalogue to try. Default: the current one.", exists=True),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VERSION", help="Let this version score, instead of the champion. Repeatable."),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="AGE|TIME", help="Decisions since then: 90m, 24h, 7d, or 2026-09-01T08:00Z.")
    ] = "24h",
    reward: Annotated[
        Literal["auto", "click", "conversion"],
        typer.Option(help="What counts as a success. auto: conversions where there are any, else clicks."),
    ] = "auto",
    segment: Annotated[
        list[str] | None, typer.Option(metavar="TRAIT", help="Tell changes apart by this trait. Repeatable.")
    ] = None,
    nats: support.Nats = support.NATS_URL,
    as_json: support.Json = False,
) -> None:
    """Decide what was recorded anew under another catalogue or model: what changes, and what is it worth?

    Nothing is applied, and no customer sees anything of it.

    Examples:

    - `wayline simulate --catalog new/`

    - `wayline simulate --catalog new/ --since 7d --segment tier --reward click`

    - `wayline simulate --model accept=12 --since 2h --json`
    """
    from wayline.catalog.load import load
    from wayline.cli.simulate_view import render

    job = {
        "since": program.moment(since, datetime.now(UTC), "--since").isoformat(),
        "catalog": load(catalog).model_dump(mode="json", by_alias=True, exclude_unset=True) if catalog else None,
        "models": dict(map(_version, model or ())),
        "reward": reward,
        "segments": segment or [],
    }
    result = program.run(_PROGRAM, job, nats, quiet=as_json)
    if as_json:
        support.print_json(result)
        return
    for part in render(result):
        support.out.print(part)


def _version(text: str) -> tuple[str, int]:
    name, _, version = text.partition("=")
    if not name or not version.isdecimal() or int(version) < 1:
        raise typer.BadParameter(f"expected NAME=VERSION, such as accept=12, got '{text}'", param_hint="--model")
    return name, int(version)
