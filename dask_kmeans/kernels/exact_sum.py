"""An exact sum of float64 numbers, so that no order of addition can change a bit of it."""

import math

import numpy as np

from .compiled import compiled

FEW = 2048
"""Numbers that `math.fsum` adds sooner."""

SPLIT = 27
"""A 53-bit significand is added in two parts of at most 27 bits: 2**36 additions fit into int64."""

MOST = 2**35
"""Additions after which sums have to be carried over."""

EXPONENTS = 2047 + 2 * SPLIT
"""Those of finite numbers, and those that are carried over to."""


def weighted(distances: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Distances (m,) times weights (m,) or None; 0 for weight 0, be the row infinitely far."""
    if weights is None:
        return distances
    return np.multiply(distances, weights, where=weights > 0, out=np.zeros(len(distances)))


class ExactSum:
    """The sum of float64 numbers, exact until `value` rounds it once: equal to `math.fsum`.

    Significands are added as integers, one pair of int64 for each exponent that occurs. Sums merge
    in any order. NaN is skipped; an infinity makes the value infinite.
    """

    def __init__(self) -> None:
        self._bins = np.zeros((EXPONENTS, 2), np.int64)
        self._infinite = 0.0
        self._additions = 0

    def add(self, values: np.ndarray, weights: np.ndarray | None = None) -> "ExactSum":
        """Add `values` float64 (m,), each times its weight (rounded once) if weights are given."""
        values = weighted(np.ascontiguousarray(values, np.float64).ravel(), weights)
        self._infinite += _add(values, self._bins)
        self._additions += len(values)
        return self

    def merge(self, other: "ExactSum") -> "ExactSum":
        """Add another sum to this one, in place."""
        self._bins += other._bins
        self._infinite += other._infinite
        self._additions += other._additions
        if self._additions > MOST:
            self._carry()
        return self

    def _carry(self) -> None:
        """Bring both parts of every sum down to about 27 bits.

        2**(2 SPLIT) of one exponent are one of the exponent that is 2 SPLIT higher.
        """
        low, high = self._bins[:, 0], self._bins[:, 1]
        over = low >> SPLIT
        low -= over << SPLIT
        high += over
        over = high[: -2 * SPLIT] >> SPLIT
        high[: -2 * SPLIT] -= over << SPLIT
        low[2 * SPLIT :] += over
        self._additions = MOST // 2**10

    def _used(self) -> np.ndarray:
        """Exponents that occur, in order."""
        return _used(self._bins)

    def value(self) -> float:
        """The sum, rounded once to the nearest float64."""
        if self._infinite:
            return self._infinite
        total = 0
        used = self._used()
        for exponent, (low, high) in zip(used.tolist(), self._bins[used].tolist(), strict=True):
            total += ((high << SPLIT) + low) << exponent
        try:
            return total / (1 << 1075)  # the quotient of Python integers is correctly rounded
        except OverflowError:
            return float("inf") if total > 0 else float("-inf")

    def __getstate__(self) -> tuple[int, np.ndarray, float, int]:
        used = self._used()
        first, stop = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        return first, self._bins[first:stop].copy(), self._infinite, self._additions

    def __setstate__(self, state: tuple[int, np.ndarray, float, int]) -> None:
        first, bins, self._infinite, self._additions = state
        self._bins = np.zeros((EXPONENTS, 2), np.int64)
        self._bins[first : first + len(bins)] = bins


def exact_total(values: np.ndarray) -> float:
    """The sum of finite float64 numbers, rounded once.

    `math.fsum` for few numbers, which it adds sooner than `ExactSum` finds its bins; the result is
    the same, since both round the exact sum.
    """
    if values.size <= FEW:
        return math.fsum(values.ravel().tolist())
    return ExactSum().add(values).value()


@compiled
def _add(values, bins):
    """Add the finite values to the bins; return the sum of the infinite ones."""
    infinite = 0.0
    for i in range(len(values)):
        bits = np.float64(values[i]).view(np.int64)
        exponent = (bits >> 52) & 0x7FF
        significand = bits & 0x000FFFFFFFFFFFFF
        if exponent == 0x7FF:
            if significand == 0:
                infinite += values[i]
            continue
        # A subnormal has no leading bit and the exponent of the smallest normal number.
        if exponent:
            significand |= 0x0010000000000000
        else:
            exponent = np.int64(1)
        low, high = significand & (2**SPLIT - 1), significand >> SPLIT
        if bits < 0:
            low, high = -low, -high
        bins[exponent, 0] += low
        bins[exponent, 1] += high
    return infinite


@compiled
def _used(bins):
    """Rows of `bins` that are not zero; every small fit waits for this two times."""
    used, count = np.empty(len(bins), np.int64), 0
    for exponent in range(len(bins)):
        used[count] = exponent
        count += (bins[exponent, 0] | bins[exponent, 1]) != 0
    return used[:count]
