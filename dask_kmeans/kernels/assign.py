"""Nearest centers, and the sums of the rows that changed cluster, in one pass over a block.

A row is decided by the first of four stages that can prove its label (the proof is in
`prepared_centers`):

1. the filter in integers of 8 or 16 bits, where that pays (see `quantized`): a multiple of
2. the float32 filter, at the machine's peak rate of multiply-adds, for every row else;
3. the float64 filter, for the rows that are left, one in a thousand, say, where they are many;
4. the definition, for exact ties and pathological ranges: the float64 sum of (x - c)**2 in order.

Rows that a stage leaves are gathered into full tiles for the next one.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .integer_dot import BEST, SECOND, SQUARE
from .lanes import (
    CR,
    UNDECIDED,
    certify,
    lowest,
    not_equal,
    score,
    squared_differences,
    tile_rows,
)
from .layout import numeric, owned, rows_of
from .margins import NO_MARGINS, NOTHING, Margins, keep_margins, widths
from .prepared_centers import PreparedCenters
from .quantized import decide, workspace
from .sums import FixedPoint, Sums, accumulate, checked_weights, move_rows
from .tile import (
    EVERY_ROW,
    address_of,
    aligned,
    fill,
    fill_side_by_side,
    locate,
    prefetch_picked,
    prefetch_rows,
)

MOVED_ITEMS = 1 << 14
"""Numbers in the rows whose moves are saved up before they are summed, while they are in cache."""

NEAR = 2**19
"""Bytes of rows that lie in a cache which needs no notice."""

TRIAL = 32
"""One in so many rows goes to the quantized filter first, to see what it is worth."""

LARGE = 2**15
"""Numbers in the centers from which on picked rows go to the quantized filter, too."""

LITTLE = 2**18
"""Differences of coordinates that the definition takes before a float64 filter has been prepared
for the rows that are left; so small fits do not wait for one to be compiled."""

COMPARISON = 3000
"""What comparing a candidate costs beside 1.5 d, in multiply-adds of one lane."""

_NO_SUMS = FixedPoint.from_range(np.empty(0), np.empty(0), 0)


class Tally(NamedTuple):
    """What one call did.

    changed : rows whose label changed.
    candidates : pairs of a row and a center that the quantized filter left to be compared.
    coarse : rows that it left to the float32 filter.
    undecided : rows that the float32 filter could not decide.
    tied : rows that the float64 filter could not decide either.
    """

    changed: int
    candidates: int
    coarse: int
    undecided: int
    tied: int


def nearest(
    X: np.ndarray,
    prepared: PreparedCenters,
    labels: np.ndarray,
    picks: np.ndarray | None = None,
    margins: Margins = NO_MARGINS,
) -> Tally:
    """Write the label of every row's nearest center, ties to the lowest, -1 for a row with a NaN.

    X : (m, d), any numeric dtype and strides; labels : int32 (m,), written; picks, margins : see
    `Assignment.to`.
    """
    return assign(X, None, prepared, _NO_SUMS, labels, _NO_SUMS.zero_sums(0), picks, margins)


def assign(
    X: np.ndarray,
    weights: np.ndarray | None,
    prepared: PreparedCenters,
    fixed_point: FixedPoint,
    labels: np.ndarray,
    sums: Sums,
    picks: np.ndarray | None = None,
    margins: Margins = NO_MARGINS,
) -> Tally:
    """`nearest`, and move rows whose label changed from the old cluster's sums to the new one's.

    See `Assignment`, for which these are its rows.
    """
    return Assignment(X, weights, fixed_point, labels, sums).to(prepared, picks, margins)


class Assignment:
    """Rows, with labels and sums that are updated in place: what all assignments of them share.

    X : (m, d), any numeric dtype and strides; weights : float64 (m,) or None;
    labels : int32 (m,), side by side, -1 = in no cluster yet.
    """

    def __init__(
        self,
        X: np.ndarray,
        weights: np.ndarray | None,
        fixed_point: FixedPoint,
        labels: np.ndarray,
        sums: Sums,
    ):
        X = numeric(X)
        if labels.dtype != np.int32 or not labels.flags.c_contiguous:
            raise ValueError(
                f"int32 labels side by side expected, got {labels.dtype}, strides {labels.strides}"
            )
        if fixed_point.lift is None:
            self._lifted = None
        else:
            self._lifted = X, weights, fixed_point, sums
            fixed_point, weights, sums = _NO_SUMS, None, _NO_SUMS.zero_sums(0)
        self._X = X  # whose memory the rows are
        self._rows, self._labels, self._left = rows_of(X), labels, np.empty(len(X), np.int64)
        self._move = (
            checked_weights(weights, fixed_point), owned(fixed_point.shift),
            owned(fixed_point.scale), fixed_point.weight_scale, sums,
        )  # fmt: skip

    def to(
        self,
        prepared: PreparedCenters,
        picks: np.ndarray | None = None,
        margins: Margins = NO_MARGINS,
    ) -> Tally:
        """Give rows the label of their nearest center, and move those whose label changes.

        picks : int64, the rows to look at, or None for all of them; margins : of m rows, those of
        the rows looked at are written; or of no rows.
        """
        if picks is not None and len(picks) == 0:
            return Tally(0, 0, 0, 0, 0)
        if self._lifted is None:
            return self._to(prepared, picks, margins)
        X, weights, fixed_point, sums = self._lifted
        before = self._labels.copy()
        tally = self._to(prepared, picks, margins)
        accumulate(X, weights, fixed_point, before, self._labels, sums)
        return tally

    def _to(self, prepared: PreparedCenters, picks: np.ndarray | None, margins: Margins) -> Tally:
        rows, labels, left, move = self._rows, self._labels, self._left, self._move
        padded = prepared.padded

        def look(chosen, first, last, n_left, prepared, quantized=None):
            return _filter(
                rows, chosen, first, last, prepared, quantized, padded, labels, left, n_left,
                widths(prepared), margins, *move,
            )  # fmt: skip

        chosen, m = (EVERY_ROW, rows.m) if picks is None else (picks, len(picks))
        size = len(prepared.centers) * rows.d
        changed = candidates = n_left = looked = 0
        # Rows are picked since their two nearest centers are about as far: the integers leave
        # candidates.
        for quantized in prepared.quantized_by_bits if picks is None or size > LARGE else ():
            per_lane = quantized.centers.shape[3]
            for until in (min(m, looked + m // TRIAL), m):
                left_before, seen = n_left, until - looked
                more, n_left, compared = look(
                    chosen, looked, until, n_left, prepared.single, quantized
                )
                changed, candidates, looked = changed + more, candidates + compared, until
                lost = compared * (1.5 * rows.d + COMPARISON) + (n_left - left_before) * size
                if lost * per_lane > seen * size:
                    break
            if looked == m:
                break
        coarse = n_left
        if n_left:
            more, n_left, _ = look(left, 0, n_left, 0, prepared.single)
            changed += more
        if looked < m:
            more, n_left, _ = look(chosen, looked, m, n_left, prepared.single)
            changed += more
        undecided = n_left
        if n_left * size > LITTLE:
            more, n_left, _ = look(left, 0, n_left, 0, prepared.double)
            changed += more
        if n_left:
            if len(margins.values):
                margins.values[left[:n_left]] = NOTHING
            origin, k = np.zeros(rows.d), len(prepared.centers)
            changed += _define(rows, left[:n_left], padded, k, origin, labels, *move)
        return Tally(changed, candidates, coarse, undecided, n_left)


@njit(cache=True, nogil=True)
def _filter(
    rows, picks, first, last, prepared, quantized, padded, labels, left, n_left, widths, margins,
    weights, shift, scale, weight_scale, sums,
):  # fmt: skip
    """Label the rows whose nearest center this filter proves; list the others in `left`.

    picks : rows, of which those from `first` to `last` are looked at, may be `left` itself; empty =
    rows `first` to `last`. quantized : the centers in fewer bits, to compare with first, or None;
    padded : float64 (k', d), the centers. n_left : rows that are in `left` already.
    widths, margins : to keep those of the rows that are labelled, unless they are of no rows.
    Returns (rows whose label changed, rows in `left`, candidates that were compared).
    """
    # Fields are taken out of their tuples once: in the loop that would count references.
    centers, half, origin, factor, bound = prepared
    d, B = rows.d, tile_rows(half)
    tile, best, second = aligned((d + 3) // 4 * 4 * B, half), aligned(B, half), aligned(B, half)
    tile[d * B :] = 0
    squares, keeping = aligned(B, half), len(margins.values) > 0
    work = np.empty((2, B), np.float32)
    index, was, addresses = np.empty(B, np.int32), np.empty(B, np.int32), np.empty(B, np.int64)
    at_labels, at_was = address_of(labels), address_of(was)
    room = max(B, MOVED_ITEMS // d)
    which = np.empty(room + B, np.int64)
    before, after = np.empty(room + B, np.int32), np.empty(room + B, np.int32)
    at_addresses, at_origin, at_tile = address_of(addresses), address_of(origin), address_of(tile)
    if quantized is not None:
        memory = workspace(quantized, d, B)
    side_by_side = rows.row_stride == rows.itemsize
    far = rows.m * abs(rows.row_stride) > NEAR
    changed = n_moved = compared = 0
    for start in range(first, last, B):
        count = min(B, last - start)
        if side_by_side and count == B and len(picks) == 0:
            address = rows.address + start * rows.itemsize
            fill_side_by_side(rows, B, address, at_origin, factor, at_tile)
        else:
            locate(rows, picks, start, addresses, count)
            fill(rows, B, at_addresses, at_origin, factor, at_tile)
            if len(picks) == 0 and far:
                prefetch_rows(rows, B, start + B)
            elif far:
                prefetch_picked(rows, picks, start + count, min(start + 2 * B, last))
        if quantized is not None:
            compared += decide(
                rows, addresses, count, tile, prepared, padded, quantized, memory, keeping, index
            )
            if keeping:
                lanes = memory.lanes
                keep_margins(
                    picks, start, count, index, lanes[BEST], lanes[SECOND], lanes[SQUARE], widths,
                    work, margins,
                )  # fmt: skip
        else:
            for r in range(B):
                best[r] = np.inf
                second[r] = np.inf
                index[r] = 0
            for j in range(0, len(half), CR):
                score(centers, j, half, tile, d, best, second, index)
            certify(tile, d, best, second, bound, squares, index)
            if keeping:
                keep_margins(
                    picks, start, count, index, best, second, squares, widths, work, margins
                )
        if len(picks) or count < B:
            for r in range(B):
                i = start + min(r, count - 1)
                was[r] = labels[picks[i] if len(picks) else i]
                index[r] = index[r] if r < count else was[r]
            differ = not_equal(half, index, at_was)
        else:
            differ = not_equal(half, index, at_labels + start * labels.itemsize)
        # One by one: in most tiles that is none, and going through all costs as much as a filter.
        while differ:
            r = lowest(differ)
            differ &= differ - np.uint64(1)
            i = picks[start + r] if len(picks) else start + r
            if index[r] == UNDECIDED:
                left[n_left] = i
                n_left += 1
            else:
                which[n_moved], before[n_moved], after[n_moved] = i, labels[i], index[r]
                labels[i] = index[r]
                n_moved += 1
                changed += 1
        if n_moved > room:
            moved = which[:n_moved]
            move_rows(rows, moved, before, after, weights, shift, scale, weight_scale, sums)
            n_moved = 0
    moved = which[:n_moved]
    move_rows(rows, moved, before, after, weights, shift, scale, weight_scale, sums)
    return changed, n_left, compared


@njit(cache=True, nogil=True)
def _define(rows, picks, centers, k, origin, labels, weights, shift, scale, weight_scale, sums):
    """Label the picked rows by the definition; return how many labels changed."""
    d, B = rows.d, tile_rows(centers)
    tile, out = aligned(d * B, centers), np.empty((CR, B))
    best, index, addresses = np.empty(B), np.empty(B, np.int32), np.empty(B, np.int64)
    before = np.empty(B, np.int32)
    at_addresses, at_origin, at_tile = address_of(addresses), address_of(origin), address_of(tile)
    changed = 0
    for start in range(0, len(picks), B):
        count = min(B, len(picks) - start)
        locate(rows, picks, start, addresses, count)
        fill(rows, B, at_addresses, at_origin, 1.0, at_tile)
        for r in range(B):
            best[r] = np.inf
        for j in range(0, k, CR):
            squared_differences(centers, j, tile, d, out)
            if j == 0:
                for r in range(B):
                    # Centers are finite, so only a NaN in the row can make this one.
                    index[r] = -1 if np.isnan(out[0, r]) else 0
            for c in range(min(CR, k - j)):
                for r in range(B):
                    if out[c, r] < best[r]:
                        best[r] = out[c, r]
                        index[r] = j + c
        for r in range(count):
            i = picks[start + r]
            before[r], labels[i] = labels[i], index[r]
            changed += before[r] != index[r]
        chosen = picks[start : start + count]
        move_rows(rows, chosen, before, index, weights, shift, scale, weight_scale, sums)
    return changed
