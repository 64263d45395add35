"""Columns of a store: which are features, which holds the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans import checks


@dataclass(frozen=True)
class Columns:
    """Positions of the features (None: all of `n_columns`) and of the weights in a store's rows."""

    n_columns: int
    features: tuple[int, ...] | None
    weight: int | None

    def __len__(self) -> int:
        return self.n_columns if self.features is None else len(self.features)

    @classmethod
    def of_positions(
        cls, n_columns: int, columns: Sequence[Any] | None, weight_column: Any, source: str
    ) -> Columns:
        """Columns given by position (as ints or digits), for stores without names."""

        def position(given: Any) -> int:
            try:
                number = int(given)
            except (TypeError, ValueError):
                number = -1
            if not 0 <= number < n_columns:
                raise checks.column_positions_error(given, n_columns, source)
            return number

        weight = None if weight_column is None else position(weight_column)
        if columns is not None:
            return cls(n_columns, tuple(map(position, columns)), weight)
        if weight is None:
            return cls(n_columns, None, None)
        return cls(n_columns, tuple(c for c in range(n_columns) if c != weight), weight)

    def split(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Features and weights of rows (m, n_columns)."""
        weights = None if self.weight is None else values[:, self.weight]
        return (values if self.features is None else values[:, list(self.features)]), weights


def numeric_columns(
    dtypes: Mapping[str, np.dtype | None],
    types: Mapping[str, Any],
    names: Sequence[str],
    columns: Sequence[str] | None,
    weight_column: str | None,
    source: str,
) -> tuple[str, ...]:
    """The columns of a table that are features.

    Parameters
    ----------
    dtypes : mapping
        Name -> NumPy dtype, or None for a column without numbers.
    types : mapping
        Name -> type in the store's own words, for messages.
    names : sequence of str
        Columns to take features from where none are chosen.
    columns : sequence of str or None
        Columns that the user chose: each has to be there and to hold numbers.
    weight_column : str or None
        Likewise; it is no feature unless it is among `columns`.
    """
    chosen = [*(columns or ()), *([weight_column] if weight_column is not None else ())]
    missing = [name for name in chosen if name not in dtypes]
    if missing:
        raise checks.unknown_column_error(missing, dtypes, source)
    for name in chosen:
        if dtypes[name] is None:
            raise checks.non_numeric_column_error(name, types[name], source)
    if columns is not None:
        if not columns:
            raise checks.no_numeric_column_error({})
        return tuple(columns)
    numeric = tuple(name for name in names if dtypes[name] is not None and name != weight_column)
    dropped = {name: types[name] for name in names if dtypes[name] is None}
    if not numeric:
        raise checks.no_numeric_column_error(dropped)
    checks.warn_dropped_columns(dropped)
    return numeric
