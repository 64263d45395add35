"""Nearest centers, and the sums of the rows that changed cluster, in one pass over a block.

A row is decided by the first of five stages that can prove its label (the proof is in `certify`):

1. few directions first, where most centers are ruled out by them (see `directions`), else
2. the filter in integers of 8 or 16 bits, where that pays (see `quantized`): a multiple of
3. the float32 filter, at the machine's peak rate of multiply-adds, for every row else;
4. the float64 filter, for the rows that are left, one in a thousand, say, where they are many;
5. the definition, for exact ties and pathological ranges: the float64 sum of (x - c)**2 in order.

Rows that a stage leaves are gathered into full tiles for the next one.

Legend: m rows, k centers, d features, B rows in a tile, CR centers that are compared at a time.
"""

from typing import NamedTuple

import numpy as np

from .certify import certify
from .compiled import compiled
from .directions import decide_along, may_pay, room, work_along, work_of_all
from .emitter import CR, tile_rows
from .layout import numeric, rows_of
from .margins import NO_MARGINS, NOTHING, Margins, keep_margins
from .prepared_centers import PreparedCenters
from .quantized import TileOfRows, decide, workspace
from .score import SCORE, UNDECIDED, lowest_bit, no_scores, not_equal, score, squared_differences
from .sums import NO_SUMS, FixedPoint, Sums, accumulate, accumulator, move_rows
from .tile import (
    EVERY_ROW,
    NEAR,
    Target,
    address_of,
    aligned,
    borrowed,
    fill,
    fill_side_by_side,
    locate,
    prefetch_picked,
    prefetch_rows,
)

MOVED_ITEMS = 1 << 14
"""Numbers in the rows whose moves are saved up before they are summed, while they are in cache."""

TRIAL = 32
"""One in so many rows goes to the quantized filter first, to see what it is worth."""

LARGE = 2**15
"""Numbers in the centers from which on picked rows go to the quantized filter, too."""

LITTLE = 2**18
"""Differences of coordinates that the definition takes before a float64 filter has been prepared
for the rows that are left; so small fits do not wait for one to be compiled."""

TRIED_ROWS = 128
"""About how many rows tell how many centers some directions leave."""

LEAST_ROWS = 1024
"""With fewer rows, centers are not worth placing along directions."""

WORTH_TRIAL = 2**31
"""Multiply-adds of a call from which on it is found out whether directions pay, which takes up to
20 ms."""

COMPARISON = 3000
"""Multiply-adds of one lane that comparing a candidate costs, beside 1.5 d."""


class Tally(NamedTuple):
    """What one call did.

    changed : rows whose label changed, those of weight 0 left out.
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


class Found(NamedTuple):
    """Where a filter writes what it finds, flat, since records in records take long.

    labels : int32 (m,); left : int64 (m,), the rows that are left for the next stage, of which
    there are `n_left` already; margins, drift : see `Margins`.
    """

    labels: np.ndarray
    left: np.ndarray
    n_left: int
    margins: np.ndarray
    drift: np.ndarray


class DenseAssignment:
    """A `backend.Assignment` of rows in an ndarray.

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
            fixed_point, weights, sums = NO_SUMS, None, NO_SUMS.zero_sums(0)
        self._X = X  # whose memory the rows are
        self._rows, self._labels, self._left = rows_of(X), labels, np.empty(len(X), np.int64)
        self._sums = accumulator(weights, fixed_point, fixed_point.shift, sums)

    def to(
        self,
        prepared: PreparedCenters,
        picks: np.ndarray | None = None,
        margins: Margins = NO_MARGINS,
    ) -> Tally:
        """Give rows the label of their nearest center: see `backend.Assignment`."""
        if picks is not None and len(picks) == 0:
            return Tally(0, 0, 0, 0, 0)
        if self._lifted is None:
            return self._to(prepared, picks, margins)
        X, weights, fixed_point, sums = self._lifted
        before = self._labels.copy()
        tally = self._to(prepared, picks, margins)
        accumulate(X, weights, fixed_point, before, self._labels, sums)
        if weights is None:
            return tally
        changed = np.count_nonzero((before != self._labels) & (weights > 0))
        return tally._replace(changed=int(changed))

    def _to(self, prepared: PreparedCenters, picks: np.ndarray | None, margins: Margins) -> Tally:
        """Run the stages."""
        left, size = self._left, len(prepared.centers) * self._rows.d
        chosen, m = (EVERY_ROW, self._rows.m) if picks is None else (picks, len(picks))
        changed = candidates = looked = n_left = 0
        if not len(margins.values):  # bounds along directions make poor margins
            chosen, looked, changed, n_left, candidates = self._along_few(chosen, m, prepared)
        # Rows are picked since their two nearest centers are about as far: the integers leave
        # candidates.
        if looked < m and (picks is None or size > LARGE) and prepared.quantized_by_bits:
            looked, more, n_left, compared = self._in_integers(
                chosen, (looked, m), n_left, prepared, margins
            )
            changed, candidates = changed + more, candidates + compared
        coarse = n_left
        if coarse:
            more, n_left, _ = self._look(left, 0, coarse, 0, prepared.single, margins)
            changed += more
        if looked < m:
            more, n_left, _ = self._look(chosen, looked, m, n_left, prepared.single, margins)
            changed += more
        undecided = n_left
        if undecided * size > LITTLE:
            more, n_left, _ = self._look(left, 0, undecided, 0, prepared.double, margins)
            changed += more
        if n_left:
            changed += self._define(left[:n_left], prepared, margins)
        return Tally(changed, candidates, coarse, undecided, n_left)

    def _along_few(
        self, chosen: np.ndarray, m: int, prepared: PreparedCenters
    ) -> tuple[np.ndarray, int, int, int, int]:
        """Compare along few directions first, if that pays.

        Returns (rows to look at, those looked at, rows whose label changed, rows left, candidates
        compared).
        """
        best, dear = prepared.few.best, m * prepared.centers.size >= WORTH_TRIAL
        if m < LEAST_ROWS or not (best or (dear and may_pay(prepared.centers))):
            return chosen, 0, 0, 0, 0
        labels = self._labels[chosen] if len(chosen) else self._labels
        labelled = bool(labels.max() >= 0)
        if labelled not in best and dear:
            best[labelled] = self._best_directions(chosen, m, prepared, labelled)
        directions = prepared.along(best.get(labelled, 0))
        if directions is None:
            return chosen, 0, 0, 0, 0
        if labelled:
            # Rows of one cluster have the same candidates, which then lie in cache.
            order = np.argsort(labels, kind="stable")
            chosen = chosen[order] if len(chosen) else order
        changed, n_left, candidates = self._look(
            chosen, 0, m, 0, prepared.single, NO_MARGINS, directions=directions
        )
        return chosen, m, changed, n_left, candidates

    def _best_directions(
        self, chosen: np.ndarray, m: int, prepared: PreparedCenters, labelled: bool
    ) -> int:
        """How many directions pay: what some rows tell, whose labels stay as they are."""
        (k, d), best = prepared.centers.shape, 0
        if prepared.quantizes and not labelled:
            return 0  # integers take less time where no row has a center to begin with
        some = np.arange(0, m, -(-m // TRIED_ROWS))
        some = chosen[some] if len(chosen) else some
        rows, labels = self._X[some], self._labels[some]
        least = work_of_all(k, d, prepared.quantizes)
        for p in prepared.few.find(prepared.single.centers[:k]):
            trial = DenseAssignment(rows, None, NO_SUMS, labels.copy(), NO_SUMS.zero_sums(0))
            directions = prepared.along(p)
            if directions is None:
                break
            _, left, compared = trial._look(
                EVERY_ROW, 0, len(some), 0, prepared.single, NO_MARGINS, directions=directions
            )
            work = work_along(p, k, d, compared / len(some), labelled)
            if left < len(some) / 4 and work < least:
                best, least = p, work
        return best

    def _in_integers(
        self,
        chosen: np.ndarray,
        span: tuple[int, int],
        n_left: int,
        prepared: PreparedCenters,
        margins: Margins,
    ) -> tuple[int, int, int, int]:
        """Compare small integers for as long as that pays.

        Returns (rows looked at, rows whose label changed, rows left, candidates compared).
        """
        d, size = self._rows.d, len(prepared.centers) * self._rows.d
        (looked, m), changed, candidates = span, 0, 0
        for quantized in prepared.quantized_by_bits:
            per_lane = quantized.centers.shape[3]
            for until in (min(m, looked + m // TRIAL), m):
                left_before, seen = n_left, until - looked
                more, n_left, compared = self._look(
                    chosen, looked, until, n_left, prepared.single, margins, quantized
                )
                changed, candidates, looked = changed + more, candidates + compared, until
                lost = compared * (1.5 * d + COMPARISON) + (n_left - left_before) * size
                if lost * per_lane > seen * size:
                    break
            if looked == m:
                break
        return looked, changed, n_left, candidates

    def _look(
        self, picks, first, last, n_left, prepared, margins, quantized=None, directions=None
    ) -> tuple[int, int, int]:
        """Run one filter over picks[first:last]."""
        found = Found(self._labels, self._left, n_left, *margins)
        return _filter(
            self._rows, picks, (first, last), prepared, quantized, directions, found, self._sums
        )

    def _define(self, picks: np.ndarray, prepared: PreparedCenters, margins: Margins) -> int:
        """Label rows by the definition; return how many labels changed."""
        if len(margins.values):
            margins.values[picks] = NOTHING
        k, origin = len(prepared.centers), np.zeros(self._rows.d)
        return _define(self._rows, picks, prepared.padded, k, origin, self._labels, self._sums)


@compiled
def _filter(rows, picks, span, prepared, quantized, directions, found, accumulator):
    """Label the rows whose nearest center this filter proves; list the others in `left`.

    picks : rows, of which those from `first` to `last`, the span, are looked at, may be `left`
    itself; empty = rows `first` to `last`. prepared : Filter; quantized : the centers in fewer
    bits, to compare with first, or None; directions : the centers along few directions, or None.
    Margins are kept of the rows that are labelled, unless they are of no rows.
    Returns (rows that count whose label changed, rows in `left`, candidates that were compared).
    """
    # Fields are taken out of their tuples once: in the loop that would count references.
    labels, left, n_left, margins, drift = found
    n_centers = len(prepared.half)
    first, last = span
    weights = accumulator.weights
    centers, half, origin, factor, bound, widths, _ = prepared
    d, B = rows.d, tile_rows(half)
    tile, scores = aligned((d + 3) // 4 * 4 * B, half), aligned(len(SCORE) * B, half)
    tile[d * B :] = 0
    best = scores[SCORE.best * B : (SCORE.best + 1) * B]
    second = scores[SCORE.second * B : (SCORE.second + 1) * B]
    squares = scores[SCORE.square * B : (SCORE.square + 1) * B]
    work, kept, keeping = np.empty((2, B), np.float32), Margins(margins, drift), len(margins) > 0
    index, was, addresses = np.empty(B, np.int32), np.empty(B, np.int32), np.empty(B, np.int64)
    target = Target(address_of(addresses), address_of(origin), factor, address_of(tile))
    at_labels, at_was = address_of(labels), address_of(was)
    full = max(B, MOVED_ITEMS // d)
    which = np.empty(full + B, np.int64)
    before, after = np.empty(full + B, np.int32), np.empty(full + B, np.int32)
    if quantized is not None:
        owner = workspace(quantized, d, B)
        memory, lent, single = borrowed(owner), borrowed(quantized), borrowed(prepared)
        scores = owner.lanes.reshape(owner.lanes.size)
    if directions is not None:
        space = room(directions, d, B)
    far, changed, n_moved, compared = rows.m * abs(rows.row_stride) > NEAR, 0, 0, 0
    for start in range(first, last, B):
        count = min(B, last - start)
        if rows.row_stride == rows.itemsize and count == B and len(picks) == 0:
            fill_side_by_side(rows, B, rows.address + start * rows.itemsize, target)
        else:
            locate(rows, picks, start, addresses, count)
            fill(rows, B, target)
            if len(picks) == 0 and far:
                prefetch_rows(rows, start + B, start + 2 * B)
            elif far:
                prefetch_picked(rows, picks, start + count, min(start + 2 * B, last))
        if directions is not None:
            for r in range(B):
                i = start + min(r, count - 1)
                index[r] = labels[picks[i] if len(picks) else i]
                index[r] = index[r] if index[r] < n_centers else -1
            of_rows = TileOfRows(addresses, count, tile, index)
            compared += decide_along(rows, of_rows, prepared, directions, space)
        elif quantized is not None:
            of_rows = borrowed(TileOfRows(addresses, count, tile, index))
            compared += decide(rows, of_rows, single, lent, memory, keeping)
        else:
            no_scores(best, second, index)
            for j in range(0, len(half), CR):
                score(centers, j, half, tile, d, best, second, index)
            certify(tile, d, best, second, bound, squares, index)
        if keeping:
            keep_margins(picks, start, count, index, scores, widths, work, kept)
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
            r = lowest_bit(differ)
            differ &= differ - np.uint64(1)
            i = picks[start + r] if len(picks) else start + r
            if index[r] == UNDECIDED:
                left[n_left] = i
                n_left += 1
            else:
                which[n_moved], before[n_moved], after[n_moved] = i, labels[i], index[r]
                labels[i] = index[r]
                n_moved += 1
                changed += len(weights) == 0 or weights[i] > 0
        if n_moved > full:
            move_rows(rows, which[:n_moved], before, after, accumulator)
            n_moved = 0
    move_rows(rows, which[:n_moved], before, after, accumulator)
    if quantized is not None:
        compared += 0 * len(owner.lanes)  # whose memory is lent until here
    return changed, n_left, compared


@compiled
def _define(rows, picks, centers, k, origin, labels, accumulator):
    """Label the picked rows by the definition; return how many labels changed.

    centers : float64 (k', d), padded to a multiple of CR; origin : zeros (d,).
    """
    d, B = rows.d, tile_rows(centers)
    tile, out = aligned(d * B, centers), np.empty((CR, B))
    best, index, addresses = np.empty(B), np.empty(B, np.int32), np.empty(B, np.int64)
    before, weights = np.empty(B, np.int32), accumulator.weights
    target = Target(address_of(addresses), address_of(origin), 1.0, address_of(tile))
    changed = 0
    for start in range(0, len(picks), B):
        count = min(B, len(picks) - start)
        locate(rows, picks, start, addresses, count)
        fill(rows, B, target)
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
            changed += before[r] != index[r] and (len(weights) == 0 or weights[i] > 0)
        move_rows(rows, picks[start : start + count], before, index, accumulator)
    return changed
