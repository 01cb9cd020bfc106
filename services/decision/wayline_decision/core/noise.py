"""Chance, worked out from a seed: the same bits for the same seed, whatever the machine and NumPy's version.

Nothing here uses NumPy's own generators, whose normals may change from one version to the next (NumPy enhancement
proposal 19). Bits come from SplitMix64 (Steele, Lea and Flood, 'Fast splittable pseudorandom number generators', 2014):
whole numbers, and so exact everywhere. Normals come from a bank that is worked out once; a decision looks at a slice of
it, which costs a hundredth of setting up a generator.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Seeds = NDArray[np.uint64]

BANK = 1 << 21
"""Normals in the bank: 16 MB. Its finite size moves a chance p by about sqrt(p (1 - p) / BANK), 0.0003 at most."""
LONGEST = 1 << 17
"""Of one slice. Longer noise is made of several, or the slices of all seeds would be nearly the same."""
_BANK_SEED = 0x5741594C494E4531
_BLOCK = 1 << 14  # so many fit the cache of a core
WORD = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_STEPS = np.uint64(STEP)
UNIT = 2.0**-53


def uniforms(seed: int, count: int) -> tuple[float, ...]:
    """Evenly distributed numbers from 0 up to, but not including, 1.

    They are independent of the normals of the same seed.

    Args:
        seed: 0 to 2^64 - 1.
        count: how many. The first ones are the same for every count.
    """
    # Callers may count their seeds on by SplitMix64's own step: unmixed, they would get each other's lots.
    state = _mixed(seed + STEP & WORD)
    return tuple((_mixed(state + at * STEP & WORD) >> 11) * UNIT for at in range(1, count + 1))


def children(seed: int, count: int) -> Seeds:
    """[count] seeds that follow from one, for parts of a whole that draw apart from each other."""
    start = np.uint64(_mixed(seed ^ _SECOND))
    return all_mixed(np.arange(1, count + 1, dtype=np.uint64) * _STEPS + start)


class Noise:
    """A bank of 2^21 standard normals. All instances hold the same numbers; a process needs one.

    Seeds that are neighbours have slices that are far apart, and nothing in common. Two seeds may have slices that
    overlap; one action's noise is then another's, which is no dependence within either decision.
    """

    def __init__(self) -> None:
        """Make the bank when it is first asked for."""
        self._bank: Floats | None = None
        self._greatest: float | None = None

    @property
    def bank(self) -> Floats:
        """[BANK] standard normals, read-only. The first use takes some 50 ms: ask for it before requests come."""
        if self._bank is None:
            self._bank = _standard_normals(BANK)
            self._bank.flags.writeable = False
        return self._bank

    @property
    def greatest(self) -> float:
        """No number of the bank is further from 0."""
        if self._greatest is None:
            self._greatest = float(np.abs(self.bank).max())
        return self._greatest

    def normals(self, seed: int, count: int) -> Floats:
        """[count] standard normals: a read-only view of the bank, where count is at most LONGEST.

        Args:
            seed: 0 to 2^64 - 1.
            count: how many. Other counts give other numbers: it is part of what must be the same in a replay.
        """
        if count > LONGEST:
            return self._long(seed, count)
        at = (_mixed(seed + STEP & WORD) >> 32) * (BANK - count + 1) >> 32
        return self.bank[at : at + count]

    def batch(self, seeds: Seeds, count: int) -> Floats:
        """[seeds, count]: row i is what `normals(seeds[i], count)` gives. A copy."""
        if count > LONGEST:
            return np.stack([self._long(seed, count) for seed in seeds.tolist()])
        at = (all_mixed(seeds + _STEPS) >> np.uint64(32)) * np.uint64(BANK - count + 1) >> np.uint64(32)
        windows = np.lib.stride_tricks.sliding_window_view(self.bank, count)
        return windows[at.astype(np.intp)]

    def _long(self, seed: int, count: int) -> Floats:
        whole, rest = divmod(count, LONGEST)
        counts = [LONGEST] * whole + [rest]
        pieces = children(seed, len(counts)).tolist()
        return np.concatenate([self.normals(piece, length) for piece, length in zip(pieces, counts, strict=True)])


def _mixed(word: int) -> int:
    """SplitMix64's output for a state: every bit of it depends on every bit of the state."""
    word = (word ^ word >> 30) * _FIRST & WORD
    word = (word ^ word >> 27) * _SECOND & WORD
    return word ^ word >> 31


def all_mixed(words: Seeds) -> Seeds:
    """SplitMix64's output for each of an array of states, which is overwritten."""
    words ^= words >> np.uint64(30)
    words *= np.uint64(_FIRST)
    words ^= words >> np.uint64(27)
    words *= np.uint64(_SECOND)
    words ^= words >> np.uint64(31)
    return words


def _standard_normals(size: int) -> Floats:
    """Box and Muller (1958): sqrt(-2 ln u) times the cosine and the sine of 2 pi v.

    Logarithm and sine may differ in the last of 53 bits from one machine to the next. Rounding to the 24 bits of a
    float32 takes that away. They are kept as float64 all the same, since arithmetic then needs no conversion.
    """
    normals = np.empty(size, np.float64)
    half = _BLOCK // 2
    steps = np.arange(_BLOCK, dtype=np.uint64) * _STEPS
    for start in range(0, size, _BLOCK):
        bits = all_mixed(steps + np.uint64(_BANK_SEED + start * STEP & WORD))
        bits >>= np.uint64(11)
        drawn = bits * UNIT
        radius, angle = drawn[:half], drawn[half:]
        np.subtract(1.0, radius, out=radius)  # the logarithm of 0 is not wanted
        np.log(radius, out=radius)
        radius *= -2.0
        np.sqrt(radius, out=radius)
        angle *= 2.0 * np.pi
        normals[start : start + half] = (radius * np.cos(angle)).astype(np.float32)
        normals[start + half : start + _BLOCK] = (radius * np.sin(angle)).astype(np.float32)
    return normals
