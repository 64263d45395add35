"""Random numbers that are functions of (seed, purpose, global row), never of a stream's history.

A row's number is the same whoever computes it, in whatever block and order. The hash is the
finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), once for the stream and once for the row.
"""

import numba
import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
SQRT_HALF = 0.7071067811865476
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


@numba.njit(cache=True, nogil=True)
def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def _stream(seed, purpose):
    return _mix(_mix(seed + GOLDEN) + purpose * GOLDEN + GOLDEN)


@numba.njit(cache=True, nogil=True)
def _uniform(seed, purpose, first_row, out):
    stream = _stream(seed, purpose)
    for i in range(len(out)):
        bits = _mix(stream + (first_row + np.uint64(i)) * GOLDEN)
        out[i] = np.float64(bits >> np.uint64(11)) * 2.0**-53


@numba.njit(cache=True, nogil=True)
def _exponential(seed, purpose, first_row, out):
    stream = _stream(seed, purpose)
    for i in range(len(out)):
        bits = _mix(stream + (first_row + np.uint64(i)) * GOLDEN)
        # 52 bits and a half: inside (0, 1), and 1 - 2**-53 is the nearest to 1.
        out[i] = -_log((np.float64(bits >> np.uint64(12)) + 0.5) * 2.0**-52)


@numba.njit(cache=True, nogil=True)
def _log(u):
    """ln u for normal 0 < u < 1 by +, *, / alone: libm's bits differ from machine to machine.

    u = 2**e * f with f in [sqrt(1/2), sqrt(2)), ln f = 2 artanh(z), z = (f - 1) / (f + 1), |z| < 0.172.
    """
    e, f = _split(u)
    z = (f - 1.0) / (f + 1.0)
    y = z * z
    series = 0.0
    for i in range(10, 0, -1):
        series = (series + 1.0 / (2 * i + 1)) * y
    return e * LN2_HIGH + (2.0 * (z + z * series) + e * LN2_LOW)


@numba.njit(cache=True, nogil=True)
def _split(u):
    bits = np.float64(u).view(np.int64)
    e = (bits >> 52) - 1022
    f = np.int64((bits & 0x000FFFFFFFFFFFFF) | 0x3FE0000000000000).view(np.float64)
    if f < SQRT_HALF:
        f, e = f * 2.0, e - 1
    return np.float64(e), f
