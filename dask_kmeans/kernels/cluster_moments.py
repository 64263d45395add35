"""Means and deviations of every feature in every cluster, from one pass and in any order.

The sums of w x and w x**2 are kept with so many digits that nothing of a variance is lost where
features lie far from zero: products are split into two parts (`two_product`), and the difference of
the sums is taken from exact integers, and rounded once.

Legend: k clusters, d features, m rows, N digits of a sum.
"""

import math
from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .feature_moments import two_product
from .reproducible_sums import ReproducibleSums, add_number

WEIGHT_DIGITS = FIRST_DIGITS = 5
"""Digits of a sum of weights, or of w x: a float64 counts whole if it is at least 2**-52 of the
largest."""

SECOND_DIGITS = 6
"""Of a sum of w x**2: all 106 bits of a square count if it is at least 2**-24 of the largest."""


class ClusterMoments(NamedTuple):
    """Sums for k clusters of d features."""

    weights: ReproducibleSums
    """(k,): of w."""
    squared_weights: ReproducibleSums
    """(k,): of w**2."""
    first: ReproducibleSums
    """(k d,), the features of a cluster side by side: of w x."""
    second: ReproducibleSums
    """(k d,): of w x**2."""

    @classmethod
    def zero(cls, n_clusters: int, n_features: int) -> "ClusterMoments":
        """Those of no rows."""
        n_sums = n_clusters * n_features
        return cls(
            ReproducibleSums(n_clusters, WEIGHT_DIGITS),
            ReproducibleSums(n_clusters, WEIGHT_DIGITS),
            ReproducibleSums(n_sums, FIRST_DIGITS),
            ReproducibleSums(n_sums, SECOND_DIGITS),
        )

    def add(self, values: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> "ClusterMoments":
        """Add rows: values (m, d); weights float64 (m,); labels int (m,), -1 for no cluster.

        Rows of weight 0 or without a cluster may be anything; values of all others are finite.
        """
        assert len(self.weights.tops) * values.shape[1] == len(self.first.tops)
        labels = np.where(weights > 0, labels, -1).astype(np.int64)
        self.weights.add(labels, weights)
        self.squared_weights.add(labels, weights * weights)
        _add_rows(
            np.ascontiguousarray(values, np.float64), np.ascontiguousarray(weights), labels,
            self.first.digits, self.first.tops, self.second.digits, self.second.tops,
        )  # fmt: skip
        return self

    def merge(self, other: "ClusterMoments") -> "ClusterMoments":
        """Add the sums of other rows, in place."""
        for own, more in zip(self, other, strict=True):
            own.merge(more)
        return self

    def means_and_deviations(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each feature in each cluster, float64 (k, d) each.

        With W = sum(w), the variance is sum(w (x - mean)**2) / (W - sum(w**2) / W): of a sample,
        with the divisor n - 1 where weights are equal, whatever their unit. NaN where there is
        nothing to divide by: both of a cluster without rows, the deviation of a single row.
        """
        k = len(self.weights.tops)
        d = len(self.first.tops) // k
        moments = iter(zip(self.first.exact(), self.second.exact(), strict=True))
        found = np.full((2, k, d), math.nan)
        for j, (weight, squared) in enumerate(
            zip(self.weights.exact(), self.squared_weights.exact(), strict=True)
        ):
            for c in range(d):
                first, second = next(moments)
                if weight is not None and weight[0] and first is not None:
                    found[0, j, c] = _ratio(first, weight)
                    if squared is not None and second is not None:
                        found[1, j, c] = _deviation(weight, squared, first, second)
        return found[0], found[1]


Exact = tuple[int, int]
"""An integer and the exponent of its unit."""


def _ratio(a: Exact, b: Exact) -> float:
    """a / b, rounded once."""
    return math.ldexp(a[0] / b[0], a[1] - b[1])


def _deviation(weight: Exact, squared: Exact, first: Exact, second: Exact) -> float:
    """sqrt((W S2 - S1**2) / (W**2 - W2)); NaN for 0 / 0."""
    square, square_unit = _difference(_product(weight, second), _product(first, first))
    divisor, divisor_unit = _difference(_product(weight, weight), squared)
    if divisor <= 0:
        return math.nan
    unit = square_unit - divisor_unit
    odd = unit % 2
    # What has been cut off may leave a variance of 0 just below it.
    return math.ldexp(math.sqrt((max(square, 0) << odd) / divisor), (unit - odd) // 2)


def _product(a: Exact, b: Exact) -> Exact:
    return a[0] * b[0], a[1] + b[1]


def _difference(a: Exact, b: Exact) -> Exact:
    unit = min(a[1], b[1])
    return (a[0] << (a[1] - unit)) - (b[0] << (b[1] - unit)), unit


@compiled
def _add_rows(values, weights, labels, first, first_tops, second, second_tops):
    m, d = values.shape
    for i in range(m):
        if labels[i] < 0:
            continue
        w = weights[i]
        for j in range(d):
            x = values[i, j]
            at = labels[i] * d + j
            product, error = x, 0.0
            if w != 1.0:
                product, error = two_product(w, x)
            add_number(product, first, first_tops, at)
            square, of_square = two_product(product, x)
            add_number(square, second, second_tops, at)
            if of_square != 0:
                add_number(of_square, second, second_tops, at)
            if error != 0:
                add_number(error, first, first_tops, at)
                add_number(error * x, second, second_tops, at)
