"""Rows of length one, as cosine compares them: the same bits on every machine.

The length of a row is the square root of the float64 sum of its squares, added up in the order of
the features (`distances`, to the origin); then each feature is divided by it. A row whose squares
leave float64, or would lose digits below it, is first multiplied by a power of two, which rounds
nothing: so the scale of a row has no say in its direction.

Legend: m rows, d features.
"""

import numpy as np

from .distances import labelled_distances
from .layout import numeric

LEAST_SQUARE = 2.0**-900
"""Sum of squares below which some of them may have lost digits."""

ROUNDED = 2.0**-40
"""By how much rounding may take the length of a unit vector from one, at most."""


def unit_vectors(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows divided by their lengths, float64 (m, d), and these lengths, float64 (m,).

    X : (m, d), any numeric dtype and strides. A row that is not finite stays as it is; one of zeros
    becomes NaN, its length is 0.
    """
    X = numeric(X)
    squares = labelled_distances(
        X, np.zeros((1, X.shape[1])), np.zeros(len(X), np.int32), np.empty(len(X))
    )
    usual = (squares >= LEAST_SQUARE) & (squares < np.inf)
    lengths = np.sqrt(squares, out=squares)
    if usual.all():
        return np.divide(X, lengths[:, None], dtype=np.float64), lengths
    units = np.divide(X, np.where(usual, lengths, 1.0)[:, None], dtype=np.float64)
    others = np.flatnonzero(~usual)
    others = others[np.isfinite(units[others]).all(axis=1)]
    units[others], lengths[others] = _scaled(units[others])
    return units, lengths


def of_length_one(X: np.ndarray) -> bool:
    """Whether all rows (m, d) are unit vectors, but for rounding."""
    return bool((abs(unit_vectors(X)[1] - 1) <= ROUNDED).all())


def _scaled(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The unit vectors and the lengths of finite rows, by way of powers of two."""
    exponents = np.frexp(np.abs(rows).max(axis=1))[1]
    half = exponents // 2  # in two steps, either of which float64 can hold
    scaled = np.ldexp(np.ldexp(rows, -half[:, None]), (half - exponents)[:, None])
    lengths = np.sqrt(np.cumsum(scaled * scaled, axis=1)[:, -1])
    with np.errstate(over="ignore", invalid="ignore"):
        return scaled / lengths[:, None], np.ldexp(lengths, exponents)
