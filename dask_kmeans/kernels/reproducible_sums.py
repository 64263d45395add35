"""Many sums of float64 numbers at once, none of which depends on the order of addition by a bit.

A number is cut into digits of 26 bits, at places that are the same for all numbers, and digits are
added as integers. A sum keeps N places, from the highest of any of its numbers downwards; what lies
below them is cut off. So which digits count, and what they add up to, follows from the numbers and
not from their order (reproducible summation: Demmel, Nguyen, "Parallel Reproducible Summation",
IEEE Transactions on Computers 64(7), 2015; there numbers are rounded to places, here they are cut).

N digits hold at least 26 (N - 1) + 1 bits below the highest one of the largest number: what is cut
off a number is less than 2**-26 (N - 1) of the largest. `ExactSums` cut nothing off, but take half
a kilobyte a sum.

Legend: s sums, N digits of a sum, m numbers.
"""

import math

import numpy as np

from .compiled import compiled, internal

DIGIT_BITS = 26
"""A 53-bit significand lies in three digits at most, and 2**37 of them fit into int64."""

LOWEST_EXPONENT = -1074
"""Exponent of the last bit of the smallest float64: the unit of place 0."""

NOTHING, NOT_FINITE = -1, 2**14
"""In place of the highest place: of no numbers, and of numbers that are not all finite."""


class ReproducibleSums:
    """Sums of float64 numbers that merge in any order to the same bits.

    Parameters
    ----------
    n_sums : int
    n_digits : int
        Digits of each sum.

    Attributes
    ----------
    digits : ndarray of shape (n_sums, n_digits), int64
        The highest place first.
    tops : ndarray of shape (n_sums,), int16
        The highest place of each sum.
    """

    def __init__(self, n_sums: int, n_digits: int) -> None:
        self.digits = np.zeros((n_sums, n_digits), np.int64)
        self.tops = np.full(n_sums, NOTHING, np.int16)

    def add(self, places: np.ndarray, numbers: np.ndarray) -> "ReproducibleSums":
        """Add numbers float64 (m,) to the sums at `places`, integers (m,); none where negative."""
        _add_numbers(np.asarray(places, np.int64), numbers, self.digits, self.tops)
        return self

    def merge(self, other: "ReproducibleSums") -> "ReproducibleSums":
        """Add the sums of other numbers, in place."""
        _merge(self.digits, self.tops, other.digits, other.tops)
        return self

    def moved(self, n_sums: int, places: np.ndarray) -> "ReproducibleSums":
        """These sums at other `places`, int (s,), among more."""
        moved = ReproducibleSums(n_sums, self.digits.shape[1])
        moved.digits[places], moved.tops[places] = self.digits, self.tops
        return moved

    def exact(self) -> list[tuple[int, int] | None]:
        """Each sum as an integer and the exponent of its unit; None where it is not finite."""
        n_digits = self.digits.shape[1]
        shifts = [DIGIT_BITS * place for place in reversed(range(n_digits))]
        return [
            None
            if top == NOT_FINITE
            else (
                sum(digit << shift for digit, shift in zip(digits, shifts, strict=True)),
                DIGIT_BITS * (max(top, 0) - n_digits + 1) + LOWEST_EXPONENT,
            )
            for digits, top in zip(self.digits.tolist(), self.tops.tolist(), strict=True)
        ]

    def values(self) -> np.ndarray:
        """The sums, float64 (s,), each rounded once; NaN where it is not finite."""
        return np.array([math.nan if each is None else as_float(*each) for each in self.exact()])


def as_float(whole: int, exponent: int) -> float:
    """whole * 2**exponent, rounded once; infinite beyond float64."""
    try:
        # The quotient of Python integers is correctly rounded.
        return float(whole << exponent) if exponent >= 0 else whole / (1 << -exponent)
    except OverflowError:
        return math.copysign(math.inf, whole)


@internal
def add_number(number, digits, tops, at):
    """Add a number to the sum `at`; one that is not finite makes the sum so."""
    bits = np.float64(number).view(np.int64)
    exponent = (bits >> 52) & 0x7FF
    significand = bits & 0x000FFFFFFFFFFFFF
    if exponent == 0x7FF:
        tops[at] = NOT_FINITE
        return
    # A subnormal has no leading bit and the exponent of the smallest normal number.
    if exponent:
        significand |= 0x0010000000000000
    else:
        exponent = np.int64(1)
    if significand == 0:
        return
    place, shift = (exponent + 51) // DIGIT_BITS, (exponent + 51) % DIGIT_BITS
    if place > tops[at]:
        _raise_top(digits[at], place - tops[at])
        tops[at] = place
    # Its digits, the highest first: those of significand * 2**shift.
    mask = (1 << DIGIT_BITS) - 1
    first = significand >> (2 * DIGIT_BITS - shift)
    second = (significand >> (DIGIT_BITS - shift)) & mask
    third = (significand << shift) & mask
    if bits < 0:
        first, second, third = -first, -second, -third
    slot, n_digits = tops[at] - place, digits.shape[1]
    if slot < n_digits:
        digits[at, slot] += first
    if slot + 1 < n_digits:
        digits[at, slot + 1] += second
    if slot + 2 < n_digits:
        digits[at, slot + 2] += third


@internal
def _raise_top(digits, by):
    """Move the digits (N,) of a sum down by some places; the lowest are cut off."""
    n_digits = len(digits)
    for slot in range(n_digits - 1, -1, -1):
        digits[slot] = digits[slot - by] if slot >= by else 0


@compiled
def _add_numbers(places, numbers, digits, tops):
    for i in range(len(numbers)):
        if places[i] >= 0:
            add_number(numbers[i], digits, tops, places[i])


@compiled
def _merge(digits, tops, others, other_tops):
    for at in range(len(digits)):
        if other_tops[at] > tops[at]:
            _raise_top(digits[at], np.int64(other_tops[at]) - tops[at])
            tops[at] = other_tops[at]
        slot = np.int64(tops[at]) - other_tops[at]
        for n in range(digits.shape[1] - slot):
            digits[at, slot + n] += others[at, n]
