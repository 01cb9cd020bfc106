"""Names that were misspelt: which of those that are known was meant."""

from __future__ import annotations

import difflib

_LONGEST = 64


def did_you_mean(wrong: str, known: list[str]) -> str:
    """'; did you mean ...?' when something known looks like `wrong`, else nothing."""
    close = difflib.get_close_matches(wrong[:_LONGEST], known, 1, 0.66)
    return f"; did you mean '{close[0]}'?" if close else ""
