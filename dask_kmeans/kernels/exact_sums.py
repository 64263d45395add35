"""Exact sums of float64 numbers by label, so that no order of addition can change a bit of them."""

import numpy as np

from .compiled import compiled
from .exact_sum import weighted

LIMB = 32
"""Bits of a limb."""

LIMBS = 68
"""Those of the largest number, a significand times 2**2046 in units of 2**-1075, and two more that
are carried over to."""

MOST = 2**28
"""Additions after which limbs have to be carried over: each adds less than 2**33 to a limb."""


class ExactSums:
    """Sums of float64 numbers by label, each exact until `values` rounds it once.

    What `ExactSum` is for one sum, in limbs of a long integer: half a kilobyte a label, where bins
    for each exponent would take 33. Sums merge in any order. NaN is skipped; an infinity makes its
    sum infinite.

    Parameters
    ----------
    n : int
        Labels are 0 to n - 1.
    """

    # Axes: m numbers, n labels.

    def __init__(self, n: int):
        self._limbs = np.zeros((n, LIMBS), np.int64)
        self._infinite = np.zeros(n)
        self._additions = 0

    def add(
        self, values: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
    ) -> "ExactSums":
        """Add `values` float64 (m,), each times its weight (rounded once) if weights are given.

        labels : int32 (m,); numbers with a negative one are skipped.
        """
        values = weighted(np.ascontiguousarray(values, np.float64), weights)
        for start in range(0, len(values), MOST):
            some = slice(start, start + MOST)
            _add(values[some], np.ascontiguousarray(labels[some]), self._limbs, self._infinite)
            self._count(len(values[some]))
        return self

    def merge(self, other: "ExactSums") -> "ExactSums":
        """Add other sums to these, in place."""
        self._limbs += other._limbs
        self._infinite += other._infinite
        self._count(other._additions)
        return self

    def _count(self, additions: int) -> None:
        """Carry over before limbs could overflow."""
        self._additions += additions
        if self._additions > MOST:
            for low in range(LIMBS - 1):
                over = self._limbs[:, low] >> LIMB
                self._limbs[:, low] -= over << LIMB
                self._limbs[:, low + 1] += over
            self._additions = 1

    def values(self) -> np.ndarray:
        """The sums, each rounded once to the nearest float64: (n,)."""
        return np.array([self._value(label) for label in range(len(self._limbs))])

    def _value(self, label: int) -> float:
        if self._infinite[label]:
            return float(self._infinite[label])
        limbs = self._limbs[label]
        total = sum(int(limbs[at]) << (LIMB * int(at)) for at in np.flatnonzero(limbs))
        try:
            return total / (1 << 1075)  # the quotient of Python integers is correctly rounded
        except OverflowError:
            return float("inf") if total > 0 else float("-inf")

    def __getstate__(self) -> tuple[int, np.ndarray, np.ndarray, int]:
        used = np.flatnonzero(self._limbs.any(axis=0))
        first, stop = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        return first, self._limbs[:, first:stop].copy(), self._infinite, self._additions

    def __setstate__(self, state: tuple[int, np.ndarray, np.ndarray, int]) -> None:
        first, limbs, self._infinite, self._additions = state
        self._limbs = np.zeros((len(limbs), LIMBS), np.int64)
        self._limbs[:, first : first + limbs.shape[1]] = limbs


@compiled
def _add(values, labels, limbs, infinite):
    """Add the finite values to the limbs of their labels, the infinite ones to `infinite`."""
    low_bits = np.int64(2**LIMB - 1)
    for i in range(len(values)):
        label = labels[i]
        bits = np.float64(values[i]).view(np.int64)
        exponent = (bits >> 52) & 0x7FF
        significand = bits & 0x000FFFFFFFFFFFFF
        if label < 0:
            continue
        if exponent == 0x7FF:
            if significand == 0:
                infinite[label] += values[i]
            continue
        # A subnormal has no leading bit and the exponent of the smallest normal number.
        if exponent:
            significand |= 0x0010000000000000
        else:
            exponent = np.int64(1)
        at, shift = exponent >> 5, exponent & 31  # in limbs of 32 bits
        low = (significand & low_bits) << shift
        high = (significand >> 32) << shift
        sign = np.int64(-1) if bits < 0 else np.int64(1)
        limbs[label, at] += sign * (low & low_bits)
        limbs[label, at + 1] += sign * ((low >> 32) + (high & low_bits))
        limbs[label, at + 2] += sign * (high >> 32)
