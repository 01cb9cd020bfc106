"""A new action reaches a share of its customers, which grows with its positive responses; and each customer's number.

Whether a customer is within an action's share is settled by a number in [0, 1) that belongs to customer and action for
good. So a share that grows only adds customers: whoever was reached once stays reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wayline.catalog.arbitration import Maturity
from wayline_decision.core.noise import STEP, UNIT, WORD, all_mixed

Salts = NDArray[np.uint64]
_WORD_BYTES = 8
_TO_53_BITS = np.uint64(11)


def share_of(positives: NDArray[Any], maturity: Maturity) -> NDArray[np.float64]:
    """The share of customers that each action may reach: from `start`, in a straight line, to all.

    Args:
        positives: [A] positive responses so far, 0 or more.
        maturity: as declared.

    Returns:
        [A] min(1, start + (1 - start) x positives / maturity.positives)
    """
    grown: NDArray[np.float64] = maturity.start + (1.0 - maturity.start) * (positives / maturity.positives)
    return np.minimum(1.0, grown)


def action_salts(ids: Sequence[str]) -> Salts:
    """[A] a salt for each id, the same for ever. Lots for different ends need different ids: put a word before them."""
    words = b"".join(blake2b(one.encode(), digest_size=_WORD_BYTES).digest() for one in ids)
    return np.frombuffer(words, "<u8").astype(np.uint64)


def lot_numbers(lot: bytes, salts: Salts) -> NDArray[np.float64]:
    """A customer's number for each action, evenly spread over [0, 1), and the same for ever.

    Args:
        lot: what the customer's lots are drawn by, usually 16 bytes.
        salts: [A] as `action_salts` gives them.

    Returns:
        [A] multiples of 2^-53: the SplitMix64 that starts from the customer's hash plus the action's salt.
    """
    customer = int.from_bytes(blake2b(lot, digest_size=_WORD_BYTES).digest(), "little")
    mixed = all_mixed(salts + np.uint64((customer + STEP) & WORD)) >> _TO_53_BITS
    return mixed.astype(np.float64) * UNIT


def reached(lot: bytes, actions: Salts, share: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each action reaches the customer.

    Args:
        lot: as in `lot_numbers`.
        actions: [A] as `action_salts` gives them.
        share: [A] 0 reaches nobody, 1 everybody.

    Returns:
        [A]
    """
    return lot_numbers(lot, actions) < share
