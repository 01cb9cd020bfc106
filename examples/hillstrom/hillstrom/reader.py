"""Reads the trial's CSV, and says which line does not hold what it should."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from wayline.errors import WaylineError

COLUMNS = (
    *("recency", "history_segment", "history", "mens", "womens", "zip_code", "newbie", "channel"),
    *("segment", "visit", "conversion", "spend"),
)
ACTIONS = {"Mens E-Mail": "mens-email", "No E-Mail": "no-email", "Womens E-Mail": "womens-email"}
"""The arms of the trial, as they stand in the file, and the actions of the catalogue that they are."""

ZIP_CODES = ("Urban", "Surburban", "Rural")  # spelt as in the file
CHANNELS = ("Phone", "Web", "Multichannel")


class BadFile(WaylineError):
    """The file is not the trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """One row: what was known before, the arm that was drawn, and what happened in the two weeks after."""

    number: int
    """Of the row, from 1."""
    training: bool
    """Of the half that models learn from."""
    recency: int
    """Months since the last purchase."""
    history_segment: str
    history: float
    """Dollars spent in the past year."""
    mens: bool
    womens: bool
    zip_code: str
    newbie: bool
    channel: str
    arm: str
    """The action that was drawn for the customer."""
    visit: bool
    conversion: bool
    spend: float
    """Dollars."""


def read_trial(path: Path) -> list[Customer]:
    """All customers, in the order of the file.

    Raises:
        BadFile: the file cannot be read, or names the line and column that do not hold what was expected.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: {error}") from error
    if not lines or tuple(next(csv.reader(lines[:1]))) != COLUMNS:
        raise BadFile(f"{path}: expected the columns {', '.join(COLUMNS)} in line 1")
    return list(_customers(path, lines[1:]))


def is_training(number: int, line: str) -> bool:
    """Which half a row belongs to: the lowest bit of the BLAKE2b hash of its number and text."""
    return blake2b(f"{number}:{line}".encode(), digest_size=8).digest()[-1] & 1 == 0


def _customers(path: Path, lines: list[str]) -> Iterator[Customer]:
    for number, (line, cells) in enumerate(zip(lines, csv.reader(lines), strict=True), start=1):
        try:
            yield _customer(number, line, cells)
        except ValueError as error:
            raise BadFile(f"{path}:{number + 1}: {error}") from None


def _customer(number: int, line: str, cells: list[str]) -> Customer:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} columns, got {len(cells)}")
    cell = dict(zip(COLUMNS, cells, strict=True))
    customer = Customer(
        number=number,
        training=is_training(number, line),
        recency=_months(cell["recency"]),
        history_segment=cell["history_segment"],
        history=_dollars("history", cell["history"]),
        mens=_flag("mens", cell["mens"]),
        womens=_flag("womens", cell["womens"]),
        zip_code=_one_of("zip_code", cell["zip_code"], ZIP_CODES),
        newbie=_flag("newbie", cell["newbie"]),
        channel=_one_of("channel", cell["channel"], CHANNELS),
        arm=ACTIONS[_one_of("segment", cell["segment"], tuple(ACTIONS))],
        visit=_flag("visit", cell["visit"]),
        conversion=_flag("conversion", cell["conversion"]),
        spend=_dollars("spend", cell["spend"]),
    )
    if customer.conversion != (customer.spend > 0) or (customer.conversion and not customer.visit):
        raise ValueError("expected spend with a conversion and only then, and no conversion without a visit")
    return customer


def _flag(column: str, text: str) -> bool:
    return _one_of(column, text, ("0", "1")) == "1"


def _one_of(column: str, text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise ValueError(f"{column}: expected one of {', '.join(known)}, got '{text[:40]}'")
    return text


def _months(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 12):
        raise ValueError(f"recency: expected 1 to 12 months, got '{text[:40]}'")
    return int(text)


def _dollars(column: str, text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise ValueError(f"{column}: expected dollars, 0 or more, got '{text[:40]}'")
    return amount
