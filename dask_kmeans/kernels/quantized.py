"""The first filter: rows and centers rounded to integers of 8 or 16 bits.

Where one instruction multiplies four 8-bit integers, or two of 16 bits, in each 32-bit lane and
adds the products up, scores cost a quarter, or half, of what they cost in float32, and the products
are exact: all error is that of the rounding, made once for a row and once for a center. With y and
a_j as in `prepared_centers`,

    y = (Y' - e) / R,   |e| = rho          Y' integers; R, rho of the row
    a_j = A'_j / P - f_j,   |f_j| <= F     A'_j integers; P, F of a few centers of like norm

    y . a_j  =  Y' . A'_j / (R P)  -  e . A'_j / (R P)  -  y . f_j

so half - Y' . A'_j / (R P) differs from the score of `prepared_centers` by at most, with A the
largest of their |a_j|,

    E = rho (A + F) / R + |y| F

beside what the float32 filter's bound T has room for: the conversion of the product, its scale, one
subtraction and the sums that make a limit cost less than the d + 1 roundings of a dot product.

**Candidates.** Let b have the least score + E. A center whose score - E exceeds that by more than T
is not the nearest, for the reason given in `certify`. Mostly one center is left, and the
row is decided. Else the few that are left are compared in float32, and those that its bound cannot
tell apart by the definition. So a coarse grid never costs an answer, only candidates: eight bits do
for most data, sixteen where values are large beside the distances between centers, and float32
where those are too coarse too.

**Range.** `integer_products` says what rows and centers are scaled to, so that the sums are exact.
Some of it are norms of segments of features, so that R and P can be larger.
"""

from typing import NamedTuple

import numpy as np

from .certify import threshold
from .compiled import compiled, inlined, internal
from .emitter import CR
from .integer_dot import (
    LINE,
    count_candidates,
    dot,
    lanes_below,
    magnitudes,
    score_integers,
    to_integers,
    two_least,
)
from .integer_products import MOST_FEATURES, PRODUCTS
from .score import UNDECIDED, lowest_bit, squared_distance
from .tile import address_of
from .transpose import convert

FINEST, COARSEST = 2.0**60, 2.0**-60
"""The most integers for one unit of a row, and the least unit of a center's integers: zeros have no
scale of their own."""

LEAST_FEATURES, LEAST_NUMBERS = 16, 8192
"""Features, and numbers in all centers: with fewer, rounding rows costs as much as it saves."""

GROUP = 1024
"""Centers whose scores are kept at a time, while they are in cache."""


class QuantizedCenters(NamedTuple):
    """Centers rounded to 8 or 16 bits, in the order of their norms, CR at a time with one P.

    centers : int8 or int16 (k' / CR, p, CR, 4 or 2), the features that make a lane, CR centers side
    by side; base : int32 (k',), what dot products start with, since zero is UNSIGNED in rows of
    8 bits; half : float32 (k',), as in the filter; step : float32 (k' / CR,), 1 / P; size, rest :
    float32 (k' / CR,), A + F and F with room for roundings; order : int32 (k',), the numbers of the
    centers; limits : float32 (2,), LARGEST and REACH.
    """

    centers: np.ndarray
    base: np.ndarray
    half: np.ndarray
    step: np.ndarray
    size: np.ndarray
    rest: np.ndarray
    order: np.ndarray
    limits: np.ndarray
    segment: int


def may_quantize(k: int, d: int) -> bool:
    """Whether rounding k centers of d features may be of use."""
    return bool(PRODUCTS) and LEAST_FEATURES <= d <= MOST_FEATURES and k * d >= LEAST_NUMBERS


def quantized_by_bits(moved: np.ndarray, half: np.ndarray, k: int) -> tuple[QuantizedCenters, ...]:
    """Round the centers of the float32 filter, to fewer bits first; none where that has no use.

    moved : float32 (k', d), of which `k` are centers and the others zeros; half : float32 (k',).
    """
    d = moved.shape[1]
    if not may_quantize(k, d):
        return ()
    if not np.abs(moved).max() < 2.0**20:
        return ()
    order = np.argsort(half, kind="stable").astype(np.int32)
    with np.errstate(all="ignore"):
        return tuple(_quantized(moved, half, order, dtype) for dtype in PRODUCTS)


def _quantized(moved, half, order, dtype):
    products, per_lane = PRODUCTS[dtype], 4 // np.dtype(dtype).itemsize
    padded, d = moved.shape
    tiles, p, segment = padded // CR, -(-d // per_lane), products.lanes * per_lane
    sizes = np.empty((3, padded))
    _magnitudes(moved, segment, sizes)
    extent, reach, largest = sizes[:, order].reshape(3, -1, CR).max(axis=2)
    integers = np.zeros((tiles, p, CR, per_lane), dtype)
    base, rest = np.zeros((tiles, -(-p // products.lanes), CR), np.int32), np.zeros(tiles)
    step = np.maximum(extent / products.center, reach / products.reach)
    step = np.maximum(step, COARSEST).astype(np.float32)
    _round(moved, order, step, integers, rest)
    _begin(integers, products, base)
    size, left = (1.05 * (largest + rest)).astype(np.float32), (1.05 * rest).astype(np.float32)
    limits = np.array([products.row, products.reach], np.float32)
    return QuantizedCenters(integers, base, half[order], step, size, left, order, limits, segment)


@compiled
def _magnitudes(moved, segment, sizes):
    """The largest size of a number, the largest norm of a segment, and the norm of each center."""
    for j in range(len(moved)):
        extent, reach, square = 0.0, 0.0, 0.0
        for begin in range(0, moved.shape[1], segment):
            part = 0.0
            for x in moved[j, begin : begin + segment]:
                wide = np.float64(x)
                extent, part = max(extent, abs(wide)), part + wide * wide
            reach, square = max(reach, part), square + part
        sizes[0, j], sizes[1, j], sizes[2, j] = extent, np.sqrt(reach), np.sqrt(square)


@compiled(fastmath={"reassoc"})
def _round(moved, order, step, integers, rest):
    """Write the centers in units of `step`, and F into `rest`."""
    d, per_lane = moved.shape[1], integers.shape[3]
    whole = np.zeros(integers.shape[1] * per_lane, integers.dtype)
    for n in range(len(order)):
        tile, square = n // CR, 0.0
        unit, center = np.float64(step[tile]), moved[order[n]]
        for feature in range(d):
            wide = np.float64(center[feature])
            rounded = np.rint(wide / unit)
            away = rounded * unit - wide
            whole[feature] = np.int32(rounded)
            square += away * away
        for lane in range(integers.shape[1]):
            for part in range(per_lane):
                integers[tile, lane, n % CR, part] = whole[lane * per_lane + part]
        rest[tile] = max(rest[tile], np.sqrt(square))


@compiled
def _begin(integers, products, base):
    """Write what sums of segments begin with into `base`."""
    tiles, p, _, per_lane = integers.shape
    _, _, zero, _, lanes, in_halves = products
    if zero == 0:
        return
    for tile in range(tiles):
        for lane in range(p):
            for r in range(CR):
                low = high = np.int64(0)
                for part in range(per_lane):
                    if in_halves and 2 * part >= per_lane:
                        high -= zero * integers[tile, lane, r, part]
                    else:
                        low -= zero * integers[tile, lane, r, part]
                g = lane // lanes
                before = np.int64(base[tile, g, r])
                if in_halves:  # which do not carry from one into the other
                    low, high = (before + low) & 0xFFFF, (before >> 16) + high
                    base[tile, g, r] = np.int32((high << 16) | low)
                else:
                    base[tile, g, r] = np.int32(before + low)


class Workspace(NamedTuple):
    """Memory that `decide` works in, for tiles of B rows.

    integers : int32 (p, B), the rows in small integers; scores : float32 (<= GROUP, B); lanes :
    float32, see `integer_dot.Lanes`; found : uint64 (CR,); number, head : int32 (B,), how many
    candidates a row has, and one of them; center, link : int32, the candidates' centers and the
    next candidate of each one's row; score : float32, of each; row, exact : float32 and float64
    (d,), a row in lanes and as it is.
    """

    integers: np.ndarray
    scores: np.ndarray
    lanes: np.ndarray
    found: np.ndarray
    number: np.ndarray
    head: np.ndarray
    center: np.ndarray
    link: np.ndarray
    score: np.ndarray
    row: np.ndarray
    exact: np.ndarray


@internal
def workspace(quantized, d, B):
    """Memory for `decide`."""
    k, p = len(quantized.half), quantized.centers.shape[1]
    most = B * max(8, k // 8)  # with more candidates float32 is faster
    return Workspace(
        np.empty((p, B), np.int32),
        np.empty((min(k, GROUP), B), np.float32),
        np.empty((len(LINE), B), np.float32),
        np.empty(CR, np.uint64),
        np.empty(B, np.int32),
        np.empty(B, np.int32),
        np.empty(most, np.int32),
        np.empty(most, np.int32),
        np.empty(most, np.float32),
        np.empty(d, np.float32),
        np.empty(d, np.float64),
    )


@internal(error_model="numpy")
def _round_tile(tile, d, quantized, integers, lanes):
    """Round a tile to integers, and write what `score_integers` needs of each lane."""
    unit, squares, scale = lanes[LINE.unit], lanes[LINE.square], lanes[LINE.scale]
    square, largest = lanes[LINE.scratch], lanes[LINE.best]
    extent, reach = lanes[LINE.of_centers], lanes[LINE.of_rounding]
    squares[:] = 0
    extent[:] = 0
    reach[:] = 0
    B = len(unit)
    for begin in range(0, d, quantized.segment):
        magnitudes(tile, begin, min(begin + quantized.segment, d), square, largest)
        for r in range(B):
            squares[r] += square[r]
            reach[r] = square[r] if square[r] > reach[r] else reach[r]
            extent[r] = largest[r] if largest[r] > extent[r] else extent[r]
    most, norm, finest = quantized.limits[0], quantized.limits[1], np.float32(FINEST)
    for r in range(B):
        coarse, fine = most / extent[r], norm / np.sqrt(reach[r])
        fine = coarse if coarse < fine else fine
        scale[r] = fine if fine < finest else finest
    to_integers(quantized.centers, tile, quantized.centers.shape[1], scale, integers, square)
    wider = np.float32(1.01)  # has room for the roundings of norms, units and errors
    for r in range(B):
        unit[r] = -1 / scale[r]
        lanes[LINE.of_centers, r] = wider * np.sqrt(square[r]) / scale[r]
        lanes[LINE.of_rounding, r] = wider * np.sqrt(squares[r])


class TileOfRows(NamedTuple):
    """A tile, and what its columns are.

    addresses : int64 (B,), of the rows; n_rows : how many of them there are; lanes : float32, the
    tile, with lines of zeros up to a multiple of 4 features; labels : int32 (B,), of the rows.
    """

    addresses: np.ndarray
    n_rows: int
    lanes: np.ndarray
    labels: np.ndarray


@internal
def decide(rows, tile, prepared, quantized, workspace, keeping):
    """Label the rows of a tile by their nearest center, UNDECIDED where that stays unknown.

    tile : `TileOfRows`, whose labels are written; prepared : the float32 `prepared_centers.Filter`.
    Returns how many pairs of a row and a center were compared once more. If `keeping`, lanes `best`
    and `second` bound the scores of a decided row, as `margins` needs them: of its own center from
    above, of every other one from below.
    """
    scores, lanes, head, count = workspace.scores, workspace.lanes, workspace.head, workspace.number
    squares, best, limit = lanes[LINE.square], lanes[LINE.best], lanes[LINE.limit]
    bound, index, integers = prepared.bound, tile.labels, workspace.integers
    k, p, B, n = len(quantized.half), quantized.centers.shape[1], len(head), 0
    _round_tile(tile.lanes, rows.d, quantized, integers, lanes)
    for r in range(B):
        best[r] = lanes[LINE.first, r] = lanes[LINE.second, r] = np.inf
        head[r] = -1
        count[r] = 0
    for begin in range(0, k, GROUP):
        end = min(begin + GROUP, k)
        for j in range(begin, end, CR):
            score_integers(quantized, j, integers, p, lanes, scores, j - begin)
        for r in range(B):
            limit[r] = best[r] + threshold(squares[r], best[r], bound)
        if begin:
            for r in range(B):
                if count[r] == 1 and head[r] < 0:  # so far: it becomes the first link of a chain
                    n = _link(workspace, n, r, index[r])
        count_candidates(quantized, begin, end, lanes, scores, count, index)
        if keeping:
            for j in range(begin, end, CR):
                two_least(quantized, j, lanes, scores, j - begin)
        several = 0
        for r in range(B):
            limit[r] = limit[r] if count[r] > 1 else np.float32(np.nan)
            several += count[r] > 1
        if several:
            n = _list_candidates(quantized, begin, end, workspace, n)
            if n > len(workspace.center) - 2 * B:
                index[:] = UNDECIDED
                return n
    for r in range(B):
        index[r] = index[r] if count[r] == 1 else UNDECIDED
    if n == 0 and not keeping:
        return 0
    return _settle(rows, tile, prepared, workspace, keeping)


@internal
def _link(workspace, n, r, center):
    """Make a center the n-th candidate, one of row r; return how many there are."""
    workspace.center[n], workspace.link[n] = center, workspace.head[r]
    workspace.head[r] = n
    return n + 1


@internal
def _list_candidates(quantized, begin, end, workspace, n):
    """List the candidates of the rows that have a limit, as long as there is memory for them."""
    scores, lanes, found, head = workspace.scores, workspace.lanes, workspace.found, workspace.head
    center, link, order = workspace.center, workspace.link, quantized.order
    for j in range(begin, end, CR):
        if not lanes_below(quantized, j, lanes, scores, j - begin, found):
            continue
        for which in range(CR):
            below = found[which]
            while below != 0:
                r = lowest_bit(below)
                below &= below - np.uint64(1)
                center[n], link[n] = order[j + which], head[r]
                head[r] = n
                n += n < len(center) - 1
    return n


@internal
def _settle(rows, tile, prepared, workspace, keeping):
    """Find the nearest of each row's candidates; return how many had to be compared.

    Centers that are no candidates have scores above the limit. So where there is one candidate, the
    lane `first` is its own and `second` bounds the others'; else the limit bounds them, and
    candidates are compared. The score of the own center is made anew in float32, if it is to be
    kept: near its center a row's distance is small beside the error of the quantized centers.
    """
    addresses, n_rows, lanes, index = tile
    limits, squares = workspace.lanes[LINE.limit], workspace.lanes[LINE.square]
    own, others = workspace.lanes[LINE.best], workspace.lanes[LINE.second]
    count, head, center = workspace.number, workspace.head, workspace.center
    link, score = workspace.link, workspace.score
    half, centers, bound = prepared.half, prepared.centers, prepared.bound
    row, exact, no_origin = workspace.row, workspace.exact, np.zeros(rows.d)
    at_origin, at_centers = address_of(prepared.origin), address_of(centers)
    at_none, at_exact, at_row = address_of(no_origin), address_of(exact), address_of(row)
    side_by_side, size = rows.column_stride == rows.itemsize, centers.itemsize * rows.d
    B, compared = len(head), 0
    for r in range(n_rows):
        if count[r] == 0 or (count[r] == 1 and not keeping):
            continue
        if side_by_side:
            convert_row(rows, addresses[r], at_origin, prepared.scale, at_row)
        else:
            for feature in range(rows.d):
                row[feature] = lanes[feature * B + r]
        if count[r] == 1:
            j = index[r]
            own[r] = half[j] - dot(at_row, at_centers + j * size, rows.d)
            continue
        best, nearest, n = np.float32(np.inf), 0, head[r]
        second = best
        while n >= 0:
            j = center[n]
            score[n] = half[j] - dot(at_row, at_centers + j * size, rows.d)
            compared += 1
            second = min(second, max(best, score[n]))
            if score[n] < best:
                best, nearest = score[n], j
            n = link[n]
        limit, close, n = best + threshold(squares[r], best, bound), 0, head[r]
        while n >= 0:
            close += score[n] <= limit
            n = link[n]
        own[r], others[r] = limit, min(limits[r], best)
        if close == 1:
            index[r] = nearest
            own[r], others[r] = best, min(limits[r], second)
        elif close > 1 and side_by_side:
            convert_row(rows, addresses[r], at_none, 1.0, at_exact)
            index[r] = nearest_of_chain(workspace, head[r], limit, prepared.padded)
    return compared


@inlined
def nearest_of_chain(workspace, first, limit, padded):
    """The center of a chain, within the limit, that is by definition nearest to the row `exact`.

    workspace : has `center`, `link` and `score` of the candidates, and `exact`.
    """
    least, nearest, n = np.inf, UNDECIDED, first
    while n >= 0:
        if workspace.score[n] <= limit:
            j = workspace.center[n]
            distance = squared_distance(workspace.exact, padded, j)
            if distance < least or (distance == least and j < nearest):
                least, nearest = distance, j
        n = workspace.link[n]
    return nearest


@internal
def convert_row(rows, address, origin, scale, out):
    """Write a row as `fill` would, with its features side by side."""
    for feature in range(0, rows.d, 16):
        convert(16, rows, address, min(feature, rows.d - 16), origin, scale, out)
