"""What each arm of the trial for everybody is worth: `python examples/hillstrom/what_if.py CSV`. See README.md."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from hillstrom.reader import read_trial
from hillstrom.what_if import Reward, what_if
from wayline.cli import support

app = typer.Typer(add_completion=False)


@app.command()
def main(
    csv: Annotated[Path, typer.Argument(help="The trial's CSV.", exists=True, dir_okay=False, show_default=False)],
    reward: Annotated[Reward, typer.Option(help="What counts.")] = "visit",
    as_json: support.Json = False,
) -> None:
    """Estimate what each arm for everybody is worth, off-policy, and compare it with the mean of that arm."""
    found = what_if(read_trial(csv), reward)
    if as_json:
        support.print_json({arm: asdict(one) for arm, one in found.items()})
        return
    table = Table("policy", f"{reward}: mean of the arm", "IPS", "95 % interval", "SNIPS", "effective sample")
    for arm, one in found.items():
        table.add_row(
            f"{arm} to all",
            f"{one.mean:.6f}",
            f"{one.ips.value:.6f}",
            f"{one.ips.low:.4f} to {one.ips.high:.4f}",
            f"{one.snips.value:.6f}",
            f"{one.ips.effective_sample_size:,.0f}",
        )
    support.out.print(table)


if __name__ == "__main__":
    support.run_app(app)
