"""The first filter: rows and centers rounded to integers of 16 bits.

Where one instruction multiplies pairs of 16-bit integers and adds the products up in 32 bits, a dot
product takes half the instructions that it takes in float32, and it is exact: all error is that of
the rounding, made once for a row and once for a center. With y and a_j as in `panel`,

    y = (Y' - e) / R,   |e| <= sqrt(d) / 2        Y' integers; R of the row, as large as may be
    a_j = A'_j / P - f_j,   |f_j| <= F            A'_j integers; P, F of all centers

    y . a_j  =  Y' . A'_j / (R P)  -  e . A'_j / (R P)  -  y . f_j

so half - Y' . A'_j / (R P) differs from the score of `panel` by at most, with A the largest |a_j|,

    E = sqrt(d) / (2 R) (A + F) + |y| F

beside what the float32 filter's bound has room for: the conversion of the product, its scale and
one subtraction cost less than the d + 1 roundings of a dot product. The label is certified
with T + 2 E in the place of T.

A sum fits into 32 bits if its factors have norms below 2**15.5 (Cauchy-Schwarz), whatever it passes
through on its way, since integers wrap around. Features are summed in segments, so that only the
norms of segments count, and R and P can be larger where there are many features.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .lanes import CR, PAIRS, SEGMENT, magnitudes, pack_pairs

LARGEST, REACH = 32_000.0, 45_500.0
"""What may become of a number and of the norm of a segment: less than 2**15 and 2**15.5 by what rounding adds."""

FINEST = 2.0**60
"""Integers for one unit of a row, at most: a row of zeros has no scale of its own."""

LEAST_FEATURES, LEAST_CENTERS = 8, 24
"""Where there are fewer, rounding the rows costs as much as it saves."""


class Lattice(NamedTuple):
    """Centers rounded to 16 bits.

    centers : int32 (k' / CR, p, CR), features 2n and 2n + 1 of CR centers side by side; step : float32, 1 / P;
    slack : float32 (2,), E for one unit of |y| and of 1 / R, twice and with room for roundings.
    """

    centers: np.ndarray
    step: np.floating
    slack: np.ndarray


def lattice(moved: np.ndarray, k: int) -> Lattice | None:
    """Round the centers of the float32 filter; None where that would not be of use.

    moved : float32 (k', d), of which `k` are centers and the others zeros.
    """
    padded, d = moved.shape
    if not PAIRS or d < LEAST_FEATURES or k < LEAST_CENTERS:
        return None
    extent, reach, largest = _magnitudes(moved)
    if not 2.0**-20 < extent < 2.0**20:
        return None
    step = np.float32(max(extent / LARGEST, reach / REACH))
    integers = np.zeros((padded // CR, (d + 1) // 2, CR, 2), np.int16)
    F = _round(moved, float(step), integers)
    slack = np.array([F, np.sqrt(d) / 2 * (largest + F)]) * 2.1
    return Lattice(integers.view(np.int32)[..., 0], step, slack.astype(np.float32))


@njit(cache=True, nogil=True)
def _magnitudes(moved):
    """The largest size of a number, norm of a segment, norm of a center."""
    extent = reach = largest = 0.0
    for j in range(len(moved)):
        square = 0.0
        for begin in range(0, moved.shape[1], 2 * SEGMENT):
            part = 0.0
            for x in moved[j, begin : begin + 2 * SEGMENT]:
                wide = np.float64(x)
                extent, part = max(extent, abs(wide)), part + wide * wide
            reach, square = max(reach, part), square + part
        largest = max(largest, square)
    return extent, np.sqrt(reach), np.sqrt(largest)


@njit(cache=True, nogil=True)
def _round(moved, step, integers):
    """Write the centers in units of `step`; return the largest norm of what rounding took away."""
    largest = 0.0
    for j in range(len(moved)):
        square = 0.0
        for feature in range(moved.shape[1]):
            wide = np.float64(moved[j, feature])
            whole = np.rint(wide / step)
            integers[j // CR, feature // 2, j % CR, feature % 2] = np.int16(whole)
            away = whole * step - wide
            square += away * away
        largest = max(largest, square)
    return np.sqrt(largest)


@njit(cache=True, nogil=True, error_model="numpy")
def to_lattice(tile, d, step, slack, scratch, pairs, unit, room):
    """Round a tile; write -1 / (R P) into `unit` and 2 E into `room`, of each lane.

    tile : float32 (d rounded up to even, B), a line of zeros below an odd d; scratch : float32
    (4, B); pairs : int32 (p, B); unit, room : float32 (B,).
    """
    squares, largest, extent, scale = scratch[0], scratch[1], scratch[2], scratch[3]
    for r in range(len(unit)):
        room[r] = unit[r] = extent[r] = 0
    for begin in range(0, d, 2 * SEGMENT):
        magnitudes(tile, begin, min(begin + 2 * SEGMENT, d), squares, largest)
        for r in range(len(unit)):
            room[r] += squares[r]
            unit[r] = max(unit[r], squares[r])
            extent[r] = max(extent[r], largest[r])
    for r in range(len(unit)):
        R = min(np.float32(LARGEST) / extent[r], np.float32(REACH) / np.sqrt(unit[r]))
        R = min(R, np.float32(FINEST))
        scale[r] = R
        unit[r] = -step / R
        room[r] = slack[0] * np.sqrt(room[r]) + slack[1] / R
    pack_pairs(tile, (d + 1) // 2, scale, pairs)
