"""A hash of rows: the same for the same numbers, however they are held and wherever they are cut.

A row is hashed by its values as float64 and its weight: a value of feature j is mixed with j, and
the mixed values are added modulo 2**64. Rows are then the coefficients of a polynomial, modulo the
prime p = 2**61 - 1, at a fixed place r:

    hash(rows) = sum of h_i r**(n - 1 - i),    hash(A then B) = hash(A) r**len(B) + hash(B)

So the order of rows counts, as it does for draws by row number, and the hashes of blocks can be
joined without a look at their rows. Data that differ in any row have the same hash with
probability n / p at most (Schwartz and Zippel): 10**-9 for 10**9 rows.

Equal numbers are hashed alike: 0.0 and -0.0, float32 and float64, and all NaN.

Legend: m rows, d features.
"""

import numpy as np

from .compiled import compiled, inlined

PRIME = 2**61 - 1

PLACE = 0x1B2E3A5D94C7F163 % PRIME
"""Where the polynomial is evaluated: an arbitrary number."""

STRIP_VALUES = 1 << 16
"""Values that are converted at a time, so that the copy stays in the cache."""

NAN_BITS = 0x7FF8000000000000

_HALF = np.uint64(2**31 - 1)
_THIRTY = np.uint64(2**30 - 1)
_PRIME, _PLACE = np.uint64(PRIME), np.uint64(PLACE)
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_NAN = np.uint64(NAN_BITS)


def content_hash(X: np.ndarray, weights: np.ndarray | None, before: int = 0) -> int:
    """The hash of the rows hashed `before`, followed by those of X.

    X : (m, d), any numeric dtype and strides; weights : float64 (m,) or None.
    """
    step = max(1, STRIP_VALUES // max(1, X.shape[1]))
    for first in range(0, len(X), step):
        strip = slice(first, first + step)
        values = np.ascontiguousarray(X[strip], np.float64)
        strip_weights = np.empty(0) if weights is None else np.ascontiguousarray(weights[strip])
        before = int(_hash_rows(values, strip_weights, np.uint64(before)))
    return before


def join_hashes(hash_a: int, hash_b: int, rows_b: int) -> int:
    """The hash of the rows of A followed by those of B, of which there are `rows_b`."""
    return (hash_a * pow(PLACE, rows_b, PRIME) + hash_b) % PRIME


@compiled
def _hash_rows(values, weights, total):
    m, d = values.shape
    for i in range(m):
        row = np.uint64(0)
        for j in range(d):
            row += _mixed(values[i, j], np.uint64(j))
        if len(weights):
            row += _mixed(weights[i], np.uint64(d))
        # One more mixing, since sums of few mixed values that share some are alike.
        row = _mix(row)
        total = _times_place(total) + (row & _PRIME) + (row >> np.uint64(61))
        total = (total & _PRIME) + (total >> np.uint64(61))
        if total >= _PRIME:
            total -= _PRIME
    return total


@inlined
def _mixed(value, column):
    bits = np.float64(value + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0
    bits = _NAN if value != value else bits
    return _mix(bits + (column + np.uint64(1)) * _STEP)


@inlined
def _mix(bits):
    """The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    return bits ^ (bits >> np.uint64(31))


@inlined
def _times_place(number):
    """number * PLACE modulo 2**61 - 1, not fully reduced: below 2**62. From halves of 31 bits."""
    high, low = number >> np.uint64(31), number & _HALF
    place_high, place_low = _PLACE >> np.uint64(31), _PLACE & _HALF
    middle = low * place_high + high * place_low
    product = (
        high * place_high * np.uint64(2)
        + (middle >> np.uint64(30))
        + ((middle & _THIRTY) << np.uint64(31))
        + low * place_low
    )
    return (product & _PRIME) + (product >> np.uint64(61))
