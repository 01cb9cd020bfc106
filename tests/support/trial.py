"""Customers like those of the Hillstrom trial, made up."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hillstrom.reader import ACTIONS, CHANNELS, COLUMNS, ZIP_CODES, Customer, read_trial

_BASE = {"Mens E-Mail": 0.3, "No E-Mail": 0.05, "Womens E-Mail": 0.15}


def lines_of(count: int, seed: int = 1) -> list[str]:
    """Rows of the file, without its header. Who bought women's goods answers the women's e-mail best."""
    chance = Random(seed)
    rows = []
    for _ in range(count):
        arm, womens = chance.choice(list(ACTIONS)), chance.random() < 0.5
        likely = 0.6 if womens and arm == "Womens E-Mail" else _BASE[arm]
        visit = chance.random() < likely
        conversion = visit and chance.random() < 0.3
        history = round(30 + chance.expovariate(1 / 200), 2)
        cells = (
            *(chance.randint(1, 12), "2) $100 - $200", history, int(chance.random() < 0.5), int(womens)),
            *(chance.choice(ZIP_CODES), int(chance.random() < 0.5), chance.choice(CHANNELS)),
            *(arm, int(visit), int(conversion), round(chance.uniform(10, 300), 2) if conversion else 0),
        )
        rows.append(",".join(str(cell) for cell in cells))
    return rows


def write_trial(path: Path, count: int, seed: int = 1) -> list[Customer]:
    """A file of made-up customers, and what the reader makes of it."""
    path.write_text("\n".join([",".join(COLUMNS), *lines_of(count, seed)]) + "\n")
    return read_trial(path)
