"""The kinds of records that a store keeps beside profiles. A key belongs to one kind; kinds share nothing."""

from __future__ import annotations

STRAND = "strand"
"""Identity key to `Profile`: what the events filed under one identifier of a merged customer say."""
