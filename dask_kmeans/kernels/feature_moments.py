"""Means and deviations of features from one pass of exact sums: any order gives the same bits.

The sums of w, w x and w x**2 are kept without any rounding, as integers in base 2**32. So the
variance, their small difference where features lie far from zero, loses nothing: it is taken from
exact fractions, and rounded once.

Legend: d features, m rows, N digits of a sum.
"""

import math
from fractions import Fraction

import numpy as np

from .compiled import compiled, internal

DIGIT_BITS = 32

LOWEST_EXPONENT = -1074
"""Exponent of the last bit of the smallest float64: the unit of the last digit."""

DIGITS = (1024 - LOWEST_EXPONENT + 63) // DIGIT_BITS + 2
"""Digits of any float64, and room above them for the carries of 2**40 additions."""

MOST_ROWS = 2**24
"""Rows after which digits are carried. A row adds to a digit less than 2**33, six times at most."""

SPLIT = 2.0**27 + 1
"""Veltkamp's constant: it splits a float64 into two halves whose products are exact."""

WEIGHT, FIRST, SECOND = 0, 1, 2
"""Sums of a feature: of w, of w x, of w x**2."""


class FeatureMoments:
    """Exact sums of the weights, of the values and of their squares, for each of d features."""

    def __init__(self, n_features: int) -> None:
        self._digits = np.zeros((n_features, 3, DIGITS), np.int64)
        self._rows = 0

    def add(self, values: np.ndarray, weights: np.ndarray | None, counted: np.ndarray) -> None:
        """Add the rows that count.

        values : (m, d), any numeric dtype and strides; weights : float64 (m,) or None (1 each);
        counted : bool (m,); values of other rows are not looked at.
        """
        if self._rows + len(values) > MOST_ROWS:
            self._carry()
        self._rows += len(values)
        columns = np.ascontiguousarray(values.T, np.float64)
        _add(columns, np.empty(0) if weights is None else weights, counted, self._digits)

    def merge(self, other: "FeatureMoments") -> "FeatureMoments":
        """Add the sums of other rows, in place."""
        other._carry()
        self._carry()
        self._digits += other._digits
        self._rows = 1
        return self

    def of_features(self, chosen: np.ndarray) -> "FeatureMoments":
        """The sums of some features, bool (d,)."""
        made = FeatureMoments(0)
        made._digits, made._rows = self._digits[chosen], self._rows
        return made

    def _carry(self) -> None:
        """Bring all digits but the highest into 0 .. 2**32 - 1; the value stays what it is."""
        for n in range(DIGITS - 1):
            over = self._digits[..., n] >> DIGIT_BITS
            self._digits[..., n] -= over << DIGIT_BITS
            self._digits[..., n + 1] += over
        self._rows = 0

    def mean_and_deviation(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted mean and standard deviation (of the population) of each feature: (d,)."""
        means, deviations = [], []
        for sums in self._digits:
            weight, first, second = (_value(digits) for digits in sums)
            mean = first / weight
            means.append(float(mean))
            deviations.append(math.sqrt(float(max(second / weight - mean * mean, Fraction(0)))))
        return np.array(means), np.array(deviations)


def _value(digits: np.ndarray) -> Fraction:
    total = sum(digit << (DIGIT_BITS * n) for n, digit in enumerate(digits.tolist()))
    return Fraction(total, 1 << -LOWEST_EXPONENT)


@compiled
def _add(columns, weights, counted, digits):
    for j in range(len(columns)):
        of_weights, of_values, of_squares = digits[j, WEIGHT], digits[j, FIRST], digits[j, SECOND]
        for i in range(columns.shape[1]):
            if not counted[i]:
                continue
            x = columns[j, i]
            w = weights[i] if len(weights) else 1.0
            product, error = two_product(w, x)
            _add_number(w, of_weights)
            _add_number(product, of_values)
            _add_number(error, of_values)
            square, of_square = two_product(product, x)
            _add_number(square, of_squares)
            _add_number(of_square, of_squares)
            _add_number(error * x, of_squares)


@internal
def two_product(a, b):
    """fl(a b), and the rest of a b: exact unless it over- or underflows (Dekker, 1971)."""
    product = a * b
    scaled = SPLIT * a
    a_high = scaled - (scaled - a)
    scaled = SPLIT * b
    b_high = scaled - (scaled - b)
    a_low, b_low = a - a_high, b - b_high
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error


@internal
def _add_number(number, digits):
    """Add a finite number to a sum; numbers that are not finite are passed over."""
    if number == 0:
        return
    bits = np.float64(number).view(np.int64)
    exponent = (bits >> 52) & 0x7FF
    significand = bits & 0x000FFFFFFFFFFFFF
    if exponent == 0x7FF:
        return
    if exponent:
        significand |= 0x0010000000000000
        exponent -= 1
    place, shift = exponent // DIGIT_BITS, exponent % DIGIT_BITS
    low = (significand & 0xFFFFFFFF) << shift
    high = (significand >> DIGIT_BITS) << shift
    a, b, c = low & 0xFFFFFFFF, (low >> DIGIT_BITS) + (high & 0xFFFFFFFF), high >> DIGIT_BITS
    if bits < 0:
        a, b, c = -a, -b, -c
    digits[place] += a
    digits[place + 1] += b
    digits[place + 2] += c
