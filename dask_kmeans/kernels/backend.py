"""The operations on rows, found by the type of the batch that holds the rows.

A pass hands batches of rows on as they were read, and calls the functions below: which code runs
is looked up here and nowhere else. Rows in an ndarray are the only batches of the package; another
kind (sparse rows, rows on a GPU) is a class with the few properties of `RowBatch` and a `Backend`
that is registered for it. Every backend gives the same labels and sums, to the bit, as the
definitions say: a label is the argmin of float64 sums of (x - c)**2 in the order of the features, a
sum is made of the integers of `FixedPoint`.

Random draws are no operations on rows: they depend on the numbers of rows alone (see `draws`).

Legend: m rows, k centers, d features.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import assign as _assign
from . import distances as _distances
from . import extent as _extent
from . import sums as _sums
from .assign import Tally
from .margins import NO_MARGINS, Margins
from .prepared_centers import PreparedCenters
from .sums import FixedPoint, Sums


class RowBatch(Protocol):
    """Rows (m, d), of which nothing is known but this."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def nbytes(self) -> int: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> Any:
        """A batch of some of the rows: those of a slice, of a mask, or with these numbers."""


class Assignment(Protocol):
    """Rows, with labels and sums that are updated in place: what all assignments of them share."""

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


class Backend(NamedTuple):
    """What passes do with batches of one type; arguments as for the functions of the same names."""

    assignment: Callable[..., Assignment]
    accumulate: Callable[..., None]
    distances: Callable[..., np.ndarray]
    labelled_distances: Callable[..., np.ndarray]
    second_distances: Callable[..., np.ndarray]
    extent: Callable[..., tuple[int, int, bool, int]]
    concatenate: Callable[..., Any]
    dense: Callable[..., np.ndarray]


DENSE = Backend(
    assignment=_assign.DenseAssignment,
    accumulate=_sums.accumulate,
    distances=_distances.distances,
    labelled_distances=_distances.labelled_distances,
    second_distances=_distances.second_distances,
    extent=_extent.extent,
    concatenate=np.concatenate,
    dense=np.asarray,
)
"""Rows in an ndarray of any numeric dtype and strides."""

_BACKENDS: dict[type, Backend] = {np.ndarray: DENSE}


def register(batch: type, backend: Backend) -> None:
    """Let rows in batches of this type, or of a type derived from it, be worked on by `backend`."""
    _BACKENDS[batch] = backend


def is_batch(rows: Any) -> bool:
    """Whether a backend is registered for what holds these rows."""
    return _registered(rows) is not None


def backend_of(rows: Any) -> Backend:
    """The operations on rows in such a batch."""
    backend = _registered(rows)
    if backend is None:
        raise TypeError(f"no backend is registered for rows in a {type(rows).__name__}")
    return backend


def _registered(rows: Any) -> Backend | None:
    """The backend of the nearest type that has one."""
    own = _BACKENDS.get(type(rows))  # as a rule
    if own is not None:
        return own
    return next((_BACKENDS[batch] for batch in type(rows).__mro__ if batch in _BACKENDS), None)


def assignment(
    rows: RowBatch,
    weights: np.ndarray | None,
    fixed_point: FixedPoint,
    labels: np.ndarray,
    sums: Sums,
) -> Assignment:
    """Rows that are to be assigned to centers, maybe several times.

    weights : float64 (m,) or None; labels : int32 (m,), side by side, -1 = in no cluster yet.
    """
    return backend_of(rows).assignment(rows, weights, fixed_point, labels, sums)


def assign(
    rows: RowBatch,
    weights: np.ndarray | None,
    prepared: PreparedCenters,
    fixed_point: FixedPoint,
    labels: np.ndarray,
    sums: Sums,
    picks: np.ndarray | None = None,
    margins: Margins = NO_MARGINS,
) -> Tally:
    """`nearest`, and move rows whose label changed from the old cluster's sums to the new one's.

    For rows that are assigned once; see `assignment` and `Assignment.to`.
    """
    return assignment(rows, weights, fixed_point, labels, sums).to(prepared, picks, margins)


def nearest(
    rows: RowBatch,
    prepared: PreparedCenters,
    labels: np.ndarray,
    picks: np.ndarray | None = None,
    margins: Margins = NO_MARGINS,
) -> Tally:
    """Write the label of every row's nearest center, ties to the lowest, -1 for a row with a NaN.

    labels : int32 (m,), written; picks, margins : see `Assignment.to`.
    """
    labels[slice(None) if picks is None else picks] = -1  # what lies there says nothing
    nothing = _sums.NO_SUMS, labels, _sums.NO_SUMS.zero_sums(0)
    return assignment(rows, None, *nothing).to(prepared, picks, margins)


def accumulate(
    rows: RowBatch,
    weights: np.ndarray | None,
    fixed_point: FixedPoint,
    old: np.ndarray,
    new: np.ndarray,
    sums: Sums,
) -> None:
    """Move every row whose label differs from the sums of `old` to those of `new`, in place.

    weights : float64 (m,) or None; old, new : int32 (m,), -1 = in no cluster.
    """
    backend_of(rows).accumulate(rows, weights, fixed_point, old, new, sums)


def distances(rows: RowBatch, centers: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Squared distance of every row to every center.

    centers : (k, d); out : float64 (m, k), written and returned.
    """
    return backend_of(rows).distances(rows, centers, out)


def labelled_distances(
    rows: RowBatch, centers: np.ndarray, labels: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Squared distance of every row to the center of its label; NaN where the label is -1.

    centers : (k, d); labels : int32 (m,); out : float64 (m,), written and returned.
    """
    return backend_of(rows).labelled_distances(rows, centers, labels, out)


def second_distances(
    rows: RowBatch, centers: np.ndarray, labels: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Squared distance of every row to the nearest of the centers but that of its label.

    centers : (k, d); labels : int32 (m,), -1 = of none; out : float64 (m,), written and returned;
    infinite where there is no other center.
    """
    return backend_of(rows).second_distances(rows, centers, labels, out)


def extent(rows: RowBatch, minimum: np.ndarray, maximum: np.ndarray) -> tuple[int, int, bool, int]:
    """Widen the running minimum and maximum of every feature by the rows, NaN ignored.

    minimum, maximum : float64 (d,), updated in place (start from +inf and -inf).

    Returns
    -------
    (row, column, is_nan, nan_rows) : where the first non-finite value lies in row-major order
    (-1, -1 where there is none), whether it is a NaN, and how many rows hold a NaN.
    """
    return backend_of(rows).extent(rows, minimum, maximum)


def concatenate(batches: Sequence[Any]) -> Any:
    """The rows of several batches of one type, of which there is at least one, in one batch."""
    return backend_of(batches[0]).concatenate(batches)


def dense(rows: RowBatch) -> np.ndarray:
    """Rows as an ndarray (m, d): for a few of them, and for what takes arrays alone: transforms,
    moments of features and the hash of the content."""
    return backend_of(rows).dense(rows)


def rows_with_nan(rows: RowBatch) -> np.ndarray:
    """Which rows hold a NaN: bool (m,)."""
    origin, labels = np.zeros((1, rows.shape[1])), np.zeros(len(rows), np.int32)
    return np.isnan(labelled_distances(rows, origin, labels, np.empty(len(rows))))
