"""Random numbers that are functions of (seed, purpose, global row), never of a stream's history.

A row's number is the same whoever computes it, in whatever block and order. The hash is the
finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), once for the stream and once for the row.
"""

import numpy as np

from .compiled import compiled, internal

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
SQRT_HALF_BITS = int(np.float64(0.7071067811865476).view(np.int64))
LN2_HIGH = 6.93147180369123816490e-01  # ln 2 in two parts: exponent * LN2_HIGH is exact
LN2_LOW = 1.90821492927058770002e-10


def uniform(seed: int, purpose: int, first_row: int, out: np.ndarray) -> np.ndarray:
    """Fill `out` (m,) float64 with numbers in [0, 1) for rows first_row, first_row + 1, ..."""
    _uniform(np.uint64(seed), np.uint64(purpose), np.uint64(first_row), out)
    return out


def exponential(seed: int, purpose: int, first_row: int, out: np.ndarray) -> np.ndarray:
    """Fill `out` (m,) float64 with Exp(1) variates, > 0, for rows first_row, first_row + 1, ..."""
    _exponential(np.uint64(seed), np.uint64(purpose), np.uint64(first_row), out)
    return out


@internal
def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@internal
def _stream(seed, purpose):
    return _mix(_mix(seed + GOLDEN) + purpose * GOLDEN + GOLDEN)


@compiled
def _uniform(seed, purpose, first_row, out):
    stream = _stream(seed, purpose)
    for i in range(len(out)):
        bits = _mix(stream + (first_row + np.uint64(i)) * GOLDEN)
        out[i] = np.float64(bits >> np.uint64(11)) * 2.0**-53


@compiled
def _exponential(seed, purpose, first_row, out):
    stream = _stream(seed, purpose)
    for i in range(len(out)):
        bits = _mix(stream + (first_row + np.uint64(i)) * GOLDEN)
        # 52 bits and a half: inside (0, 1), and 1 - 2**-53 is the nearest to 1.
        out[i] = -_log((np.float64(bits >> np.uint64(12)) + 0.5) * 2.0**-52)


@internal
def _log(u):
    """ln u for normal 0 < u < 1 by +, *, / alone: libm's bits differ from machine to machine.

    u = 2**e f with f in [sqrt(1/2), sqrt(2)); ln f = 2 artanh z = 2 (z + z**3 / 3 + z**5 / 5 + ...)
    with z = (f - 1) / (f + 1), |z| < 0.172, of which ten terms leave 2**-53. No branches, so that
    the loop over rows runs in vector lanes.
    """
    bits = np.float64(u).view(np.int64)
    # How far the significand lies above that of sqrt(1/2) decides where the exponent ends.
    e = (bits - SQRT_HALF_BITS) >> 52
    f = np.int64(bits - (e << 52)).view(np.float64)
    z = (f - 1.0) / (f + 1.0)
    y = z * z
    series = y * (1 / 19 + y * (1 / 21))
    series = y * (1 / 15 + y * (1 / 17 + series))
    series = y * (1 / 11 + y * (1 / 13 + series))
    series = y * (1 / 7 + y * (1 / 9 + series))
    series = y * (1 / 3 + y * (1 / 5 + series))
    return e * LN2_HIGH + (2.0 * (z + z * series) + e * LN2_LOW)
