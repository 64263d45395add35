"""Few directions before all of them: most centers are ruled out by a few numbers of each row.

Let V (p, d) have rows that are nearly orthonormal, and y, a_j be as in `prepared_centers`, rounded
to float32. With  P = V y,  Q_j = V a_j,  e = y - V'P,  f_j = a_j - V'Q_j

    y . a_j  <=  P . Q_j + |e| |f_j|        if V V' = I (Pythagoras and Cauchy-Schwarz)

so half_j - (P, |e|) . (Q_j, |f_j|), a product of p + 1 numbers, bounds the score of a center from
below. A center whose bound exceeds the score of any center by more than the filter's bound T is not
the nearest, for the reason given in `certify`. The few that are left are compared in all features.
The directions in which centers differ most leave the fewest; V has no say in what is found.

**Rounding.** u = 2**-24; Y, A_j = |y|, |a_j|; D bounds the norm of V V' - I. A computed P differs
from V y by a vector whose norm is at most  t Y,  t = 1.01 sqrt(p) d u (each number is a dot product
with a row of V, whose norm is within 1 +- D), and so does Q_j by t A_j. For *any* P and Q_j

    y . a_j = (V'P + e) . (V'Q_j + f_j),    |V e| <= t Y + D |P|,    |V f_j| <= t A_j + D |Q_j|
    y . a_j <= P . Q_j + |e| |f_j| + (3 D + 2 t) 1.02 Y A_j
    |e|**2  = Y**2 - 2 P . V y + P . V V' P  <=  Y**2 - |P|**2 + (D + 2 t) 1.02 Y**2

where |P| <= 1.01 Y, since D and t are below 0.001 or nothing is made. Computed, Y**2 errs by
(d + 2) u, |P|**2 and what is left of Y**2 without it by 2 (p + 2) u, and the sum of p + 1 products
by (p + 3) u Y A_j, 1.02 times over. Since

    |e| |f| + z Y A  <=  sqrt(|e|**2 + z Y**2) sqrt(|f|**2 + z A**2)

one number has room for all of it:  R**2 = Y**2 - |P|**2 + z Y**2  stands in place of |e|**2, and
the like in place of |f_j|**2, with

    z = 1.1 (4 D + 4 t + (d + 3 p + 16) u)

The two roundings that are left, of the difference from half_j and of the limit, cost less than T.
So a center stays where its bound is at most  S_b + 2 T,  for any center b with the score S_b. What
underflows is less than 64 (d + 8) w for each of p + 1 products (`certify`), which is added to 2 T.

Legend: k centers, k' of them padded to a multiple of CR, d features, p directions, a multiple of
CR, B rows in a tile.
"""

from typing import Any, NamedTuple

import numpy as np

from .certify import BOUND, threshold
from .compiled import internal
from .emitter import CR, VECTOR_BITS
from .projection import AT_ONCE, dots, project, scores_within
from .quantized import convert_row, nearest_of_chain
from .score import UNDECIDED, lowest_bit, score
from .tile import address_of

ROUNDS = 2
"""Steps of subspace iteration: more of them leave hardly fewer centers."""

LEAST_FEATURES, LEAST_CENTERS = 64, 64
"""With fewer, all features cost little more than some."""

UNIT = 2.0**-24
"""Unit roundoff of float32."""


class Directions(NamedTuple):
    """Centers along few directions, and how much they have in all others.

    basis : float32 (p, d), V; along : float32 (k', p + 1), Q_j and R_j; wide : float32, z;
    floor : float32, what underflow costs.
    """

    basis: np.ndarray
    along: np.ndarray
    wide: np.float32
    floor: np.float32


def principal_directions(moved: np.ndarray, most: int) -> np.ndarray:
    """The directions in which centers differ most, the first ones first: float32 (most, d).

    moved : float32 (k', d), about an origin in their middle.
    """
    basis = moved[np.linspace(0, len(moved) - 1, most).astype(np.intp)].T
    for _ in range(ROUNDS):
        basis = np.linalg.qr(moved.T @ (moved @ basis))[0]
    placed = moved @ basis
    _, turned = np.linalg.eigh(placed.T @ placed)
    return np.ascontiguousarray((basis @ turned[:, ::-1]).T)


def along(basis: np.ndarray, moved: np.ndarray, half: np.ndarray, bound: np.ndarray) -> Any:
    """The centers of the float32 filter along the directions of a basis; None if it is no basis.

    basis : float32 (p, d); moved : float32 (k', d); half : float32 (k',); bound : `certify.Bound`.
    """
    p, d = basis.shape
    wide = basis.astype(np.float64)
    away = 1.01 * np.linalg.norm(wide @ wide.T - np.eye(p)) + 2.0**-40
    rounding = 1.01 * np.sqrt(p) * d * UNIT
    if not max(away, rounding) < 1e-3:
        return None
    z = 1.1 * (4 * away + 4 * rounding + (d + 3 * p + 16) * UNIT)
    placed = np.empty((len(moved), p + 1), np.float32)
    placed[:, :p] = moved @ basis.T
    squares = 2 * half.astype(np.float64)
    squares[~np.isfinite(squares)] = 0.0  # of the zeros beside the centers
    rest = squares * (1 + z) - (placed[:, :p].astype(np.float64) ** 2).sum(axis=1)
    placed[:, p] = np.sqrt(np.maximum(rest, 0.0)) * (1 + 4 * UNIT)
    floor = np.float32(bound[BOUND.underflow] * (p + 1))
    return Directions(np.ascontiguousarray(basis), placed, np.float32(z), floor)


LADDER = (16, 32, 64, 128)
"""Numbers of directions that are tried."""

SAMPLE = 256
"""About how many centers the directions are taken from."""


COMPARED = VECTOR_BITS // 64
"""Multiply-adds of one lane, for each feature, that comparing a candidate costs: its center comes
from a cache that gives no more bytes to wider vectors. Laying a row side by side costs three times
as much."""

IN_INTEGERS = 0.3
"""What a multiply-add costs where integers take its place."""


def work_along(p: int, k: int, d: int, candidates: float, labelled: bool) -> float:
    """Multiply-adds of one lane that a row costs along p directions, where so many are left.

    A row without a label is placed twice, and compared with all centers twice.
    """
    placed = (k * (p + 5) + 3 * COMPARED * d) * (1 if labelled else 2)
    return p * d + placed + candidates * (COMPARED * d + 300)


def work_of_all(k: int, d: int, in_integers: bool) -> float:
    """Multiply-adds of one lane that a row costs without directions."""
    return k * d * (IN_INTEGERS if in_integers else 1.0)


def may_pay(centers: np.ndarray) -> bool:
    """Whether few directions may rule out most of so many centers (k, d)."""
    k, d = centers.shape
    return d >= LEAST_FEATURES and k >= LEAST_CENTERS


class FewDirections:
    """How many directions pay, for some centers and those that follow them: see `PreparedCenters`.

    basis : float32 (p, d), the most directions of `LADDER` that are of use, the first ones first;
    None where there are none, or none have been looked for. best : how many of them pay, 0 = none
    do, for rows that have labels already (True), and for others (False), once they were tried.
    """

    def __init__(self) -> None:
        self.basis: np.ndarray | None = None
        self.best: dict[bool, int] = {}

    def find(self, moved: np.ndarray, numbers: tuple[int, ...] = LADDER) -> tuple[int, ...]:
        """Look for directions; return those of the numbers that are worth a trial.

        moved : float32 (k, d), centers about an origin in their middle.
        """
        k, d = moved.shape
        ladder = tuple(p for p in numbers if 2 * p <= min(d, k))
        if not may_pay(moved) or not ladder or not np.isfinite(moved).all():
            return ()
        self.basis = principal_directions(moved[:: -(-k // SAMPLE)], ladder[-1])
        return ladder


class Room(NamedTuple):
    """Memory that `decide_along` works in, for tiles of B rows.

    lines : float32 (p + 1, B), P and R of the rows; rows : float32 (B, d), the rows side by side;
    numbers : float32 (8, B), see `decide_along`; scores : float32 (CR, B); found : uint64 (CR,);
    guess, head : int32 (B,); center, link : int32, the candidates' centers and the next candidate
    of each one's row; low, score : float32, of each candidate; others : int64 (AT_ONCE,);
    products : float32 (AT_ONCE,); numbered : int32 (AT_ONCE,); exact : float64 (d,).
    """

    lines: np.ndarray
    rows: np.ndarray
    numbers: np.ndarray
    scores: np.ndarray
    found: np.ndarray
    guess: np.ndarray
    head: np.ndarray
    center: np.ndarray
    link: np.ndarray
    low: np.ndarray
    score: np.ndarray
    others: np.ndarray
    products: np.ndarray
    numbered: np.ndarray
    exact: np.ndarray


@internal
def room(directions, d, B):
    """Memory for `decide_along`."""
    k, lines = directions.along.shape
    most = B * (8 + k // 8) + B
    return Room(
        np.empty((lines, B), np.float32),
        np.empty((B, d), np.float32),
        np.empty((8, B), np.float32),
        np.empty((CR, B), np.float32),
        np.empty(CR, np.uint64),
        np.empty(B, np.int32),
        np.empty(B, np.int32),
        np.empty(most, np.int32),
        np.empty(most, np.int32),
        np.empty(most, np.float32),
        np.empty(most, np.float32),
        np.zeros(AT_ONCE, np.int64),
        np.empty(AT_ONCE, np.float32),
        np.empty(AT_ONCE, np.int32),
        np.empty(d, np.float64),
    )


SQUARE, BEST, LIMIT, LEAST, SECOND, REST = range(6)
"""The lines of `Room.numbers`: Y**2, the score of the center that is known, the most that the bound
of a candidate may be, and what the guess of a center needs; the rest of R**2."""


@internal
def decide_along(rows, tile, prepared, directions, room):
    """Label the rows of a tile by their nearest center, UNDECIDED where that stays unknown.

    tile : `TileOfRows`, whose labels say which center is near, if any is known, and are written;
    prepared : the float32 `prepared_centers.Filter`. Returns how many pairs of a row and a center
    were left to be compared.
    """
    lanes, index, half = tile.lanes, tile.labels, prepared.half
    lines, numbers, basis = room.lines, room.numbers, directions.basis
    p, B, k = len(basis), len(index), len(prepared.half)
    _place(rows, tile, prepared, room)
    for i in range(0, p, CR):
        project(basis, i, lanes, rows.d, lines)
    rest, unknown = numbers[REST], 0
    for r in range(B):
        rest[r] = numbers[SQUARE, r] + directions.wide * numbers[SQUARE, r]
        unknown += index[r] < 0
    for i in range(p):
        for r in range(B):
            rest[r] -= lines[i, r] * lines[i, r]
    for r in range(B):
        lines[p, r] = np.sqrt(max(rest[r], np.float32(0)))
    if unknown:
        numbers[LEAST : SECOND + 1] = np.inf
        room.guess[:] = 0
        for j in range(0, k, CR):
            score(
                directions.along, j, half, lines, p + 1, numbers[LEAST], numbers[SECOND], room.guess
            )
        for r in range(B):
            if index[r] < 0:
                index[r] = room.guess[r]
        _place(rows, tile, prepared, room)
    for r in range(B):
        most = threshold(numbers[SQUARE, r], numbers[BEST, r], prepared.bound)
        numbers[LIMIT, r] = numbers[BEST, r] + (2 * most + directions.floor)
        room.head[r] = -1
    n = _list_candidates(directions, half, room)
    if n < 0:
        index[:] = UNDECIDED
        return len(room.center)
    _settle(rows, tile, prepared, room)
    return n


@internal
def _place(rows, tile, prepared, room):
    """Lay rows side by side; write their Y**2, and the scores of the centers in `tile.labels`."""
    B, d = room.rows.shape
    origin, centers = address_of(prepared.origin), address_of(prepared.centers)
    at_rows, size = address_of(room.rows), prepared.centers.itemsize * d
    side_by_side, others = rows.column_stride == rows.itemsize, room.others
    for r in range(B):
        row = at_rows + r * size
        if side_by_side:
            convert_row(rows, tile.addresses[r], origin, prepared.scale, row)
        else:
            for feature in range(d):
                room.rows[r, feature] = tile.lanes[feature * B + r]
        j = max(tile.labels[r], 0)
        others[:] = row
        others[1] = centers + j * size
        dots(row, others, d, room.products)
        room.numbers[SQUARE, r] = room.products[0]
        room.numbers[BEST, r] = prepared.half[j] - room.products[1]


@internal
def _list_candidates(directions, half, room):
    """List the centers whose bounds are within the limits; return how many, -1 for too many."""
    lines, limit, scores, found = room.lines, room.numbers[LIMIT], room.scores, room.found
    head, center, link, low, n = room.head, room.center, room.link, room.low, 0
    most = len(center) - CR * len(head)
    for j in range(0, len(half), CR):
        if not scores_within(directions.along, j, half, lines, len(lines), limit, scores, found):
            continue
        for which in range(CR):
            within = found[which]
            while within != 0:
                r = lowest_bit(within)
                within &= within - np.uint64(1)
                center[n], link[n], low[n] = j + which, head[r], scores[which, r]
                head[r] = n
                n += 1
        if n > most:
            return -1
    return n


@internal
def _settle(rows, tile, prepared, room):
    """Find the nearest of each row's candidates, in all features.

    Those whose bound exceeds the least score so far by too much need no score.
    """
    # Fields are taken out of their tuples once: in the loop that would count references.
    index, n_rows, addresses = tile.labels, tile.n_rows, tile.addresses
    half, bound, padded = prepared.half, prepared.bound, prepared.padded
    center, link, low, score, head = room.center, room.link, room.low, room.score, room.head
    others, numbered, products, exact = room.others, room.numbered, room.products, room.exact
    squares, bests, limits = room.numbers[SQUARE], room.numbers[BEST], room.numbers[LIMIT]
    centers, at_rows = address_of(prepared.centers), address_of(room.rows)
    no_origin = np.zeros(rows.d)
    at_exact, at_none, size = address_of(exact), address_of(no_origin), half.itemsize * rows.d
    side_by_side = rows.column_stride == rows.itemsize
    for r in range(n_rows):
        known, row, n, waiting = index[r], at_rows + r * size, head[r], 0
        best = bests[r]
        reach = limits[r] - best
        while n >= 0:
            j = center[n]
            if j == known:
                score[n] = bests[r]
            elif low[n] <= best + reach:
                others[waiting], numbered[waiting] = centers + j * size, n
                waiting += 1
            else:
                score[n] = np.inf
            n = link[n]
            if waiting == AT_ONCE or (n < 0 and waiting):
                for w in range(waiting, AT_ONCE):
                    others[w] = row
                dots(row, others, rows.d, products)
                for w in range(waiting):
                    which = numbered[w]
                    score[which] = half[center[which]] - products[w]
                    best = min(best, score[which])
                waiting = 0
        limit, close, n = best + threshold(squares[r], best, bound), 0, head[r]
        while n >= 0:
            if score[n] <= limit:
                close += 1
                known = center[n]
            n = link[n]
        index[r] = known if close == 1 else UNDECIDED
        if close > 1 and side_by_side:
            convert_row(rows, addresses[r], at_none, 1.0, at_exact)
            index[r] = nearest_of_chain(room, head[r], limit, padded)
    return no_origin[0]  # whose memory was in use until here
