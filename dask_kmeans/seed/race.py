"""Weighted draws in one pass over data of unknown total weight: an exponential race.

Row i runs for a time key_i = E_i / mass_i, with E_i ~ Exp(1): the rows with the l smallest keys are
l draws without replacement, each in proportion to the mass of the rows that are left (Efraimidis
and Spirakis, Information Processing Letters 97(5), 2006, with exponentials in place of powers of
uniforms). Nobody has to know the total mass beforehand, so the draw can share a pass with the very
update that makes the masses; and since E_i depends on the row's global number alone, the winners
do not depend on how the rows are cut into blocks and pieces, nor on who finishes first.

Winners are distinct in their *values*: of equal rows the first to arrive enters and the others are
turned away. Equal rows together still win in proportion to their joint mass. Two centers in the
same place would be one center too few.
"""

from __future__ import annotations

import numpy as np

from dask_kmeans.kernels import dense, nearest, prepare, rows_with_nan

LAST = np.finfo(np.float64).max
"""Key of a row whose key overflows: it takes part, behind all others."""


class Race:
    """The distinct rows with the smallest keys so far, first to last.

    Races of one size form a commutative monoid under `merge`: an empty race changes nothing, and
    no order of entering and merging changes who wins. Equal keys go in the order of the rows.

    Parameters
    ----------
    size : int
        How many can win.

    Attributes
    ----------
    keys : ndarray of shape (m,), float64
        Ascending; m <= size.
    rows : ndarray of shape (m,), int64
        Global row numbers.
    values : ndarray of shape (m, d) or None
        In the dtype of the data; None before the first row has entered.
    """

    def __init__(self, size: int):
        self.size = size
        self.keys = np.empty(0)
        self.rows = np.empty(0, np.int64)
        self.values: np.ndarray | None = None

    def enter(
        self, exponentials: np.ndarray, mass: np.ndarray, values: np.ndarray, first_row: int
    ) -> None:
        """Let consecutive rows run.

        Parameters
        ----------
        exponentials : ndarray of shape (m,), float64
            Exp(1) variates of the rows.
        mass : ndarray of shape (m,), float64
            Rows whose mass is 0, negative or NaN do not run.
        values : ndarray of shape (m, d)
        first_row : int
            Global number of the first of them.
        """
        runs = mass > 0
        keys = np.full(len(mass), np.inf)
        with np.errstate(over="ignore"):
            np.divide(exponentials, mass, out=keys, where=runs)
        np.minimum(keys, LAST, out=keys, where=runs)
        pool = np.flatnonzero(keys < self._bound())
        if len(pool) == 0:
            return
        heat = Race(self.size)
        while len(pool) and len(heat.keys) < self.size:
            near = keys[pool] <= _cut(keys[pool], 2 * self.size)
            heat._admit(keys[pool[near]], first_row + pool[near], dense(values[pool[near]]))
            pool = pool[~near]
            if len(pool) and len(heat.keys) < self.size:
                # So few distinct rows: turn away all copies of those that are in, lest the rest
                # be sifted in many small portions.
                assert heat.values is not None
                pool = pool[~_among(dense(values[pool]), heat.values)]
        self.merge(heat)

    def merge(self, other: Race) -> Race:
        """Both races as one; changes and returns this one."""
        if self.values is None:
            self.keys, self.rows, self.values = other.keys, other.rows, other.values
        elif other.values is not None:
            self._admit(other.keys, other.rows, other.values)
        return self

    def winners(self) -> np.ndarray:
        """Their values as float64 (m, d), first to last."""
        if self.values is None:
            return np.empty((0, 0))
        return self.values.astype(np.float64)

    def _bound(self) -> float:
        """Keys from here on cannot win any more: later rows lose ties."""
        return self.keys[-1] if len(self.keys) == self.size else np.inf

    def _admit(self, keys: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
        if self.values is not None:
            keys = np.concatenate([self.keys, keys])
            rows = np.concatenate([self.rows, rows])
            values = np.concatenate([self.values, values])
        order = np.lexsort((rows, keys))
        order = order[first_of_equals(values[order])][: self.size]
        self.keys, self.rows, self.values = keys[order], rows[order], values[order]


def distinct_winners(*races: Race) -> np.ndarray:
    """The winners of several races over the same rows, of which one has a winner: float64 (m,
    d)."""
    values = np.concatenate([race.winners() for race in races if len(race.keys)])
    return values[first_of_equals(values)]


def first_of_equals(values: np.ndarray) -> np.ndarray:
    """Ascending indices of the rows of `values` (m, d) that equal no row before them."""
    # As raw bytes, which sort much faster than np.unique(axis=0); adding zero makes -0.0 into 0.0.
    values = np.ascontiguousarray(values + values.dtype.type(0))
    whole_rows = values.view(np.dtype((np.void, values.itemsize * values.shape[1])))
    return np.sort(np.unique(whole_rows.ravel(), return_index=True)[1])


def counting_mass(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """float64 (m,): the weights of the rows; 0 for rows with a NaN, which never win."""
    mass = np.ones(len(values)) if weights is None else weights
    if np.issubdtype(values.dtype, np.floating):
        mass = np.where(rows_with_nan(values), 0.0, mass)
    return mass


def _cut(keys: np.ndarray, wanted: int) -> float:
    """The `wanted` smallest keys, and their ties, are those up to this one."""
    return np.inf if len(keys) <= wanted else np.partition(keys, wanted - 1)[wanted - 1]


def _among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """bool (m,): which rows equal one of the distinct rows `known` (none may be missed but by
    underflow)."""
    labels = np.empty(len(values), np.int32)
    nearest(values, prepare(known), labels)
    return (values == known[labels]).all(axis=1)
