"""Columns of a store: which are features, which holds the weights."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans import checks


@dataclass(frozen=True)
class AllBut:
    """A choice of columns: those that are taken where none are chosen, but for some."""

    excluded: tuple[Any, ...]

    def of(self, names: Sequence[Any], source: str) -> list[Any]:
        """What is left of the columns of a source, which has to have all that are excluded."""
        missing = [name for name in self.excluded if name not in names]
        if missing:
            raise checks.unknown_column_error(missing, names, source)
        return self.kept(names)

    def kept(self, names: Sequence[Any]) -> list[Any]:
        """What is left of these columns."""
        return [name for name in names if name not in self.excluded]


def chosen(columns: Any, exclude: Sequence[Any]) -> Any:
    """The columns that are chosen (None: all), but for those that are excluded."""
    if not exclude:
        return columns
    but = AllBut(tuple(exclude))
    return but if columns is None else but.of(columns, "The choice of columns")


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
        cls,
        n_columns: int,
        columns: Sequence[Any] | AllBut | None,
        weight_column: Any,
        source: str,
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
        if isinstance(columns, AllBut):
            but = AllBut(tuple(map(position, columns.excluded)))
            columns = [c for c in but.kept(range(n_columns)) if c != weight]
        if columns is not None:
            return cls(n_columns, tuple(map(position, columns)), weight)
        if weight is None:
            return cls(n_columns, None, None)
        return cls(n_columns, tuple(c for c in range(n_columns) if c != weight), weight)

    def split(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Features and weights of rows (m, n_columns)."""
        weights = None if self.weight is None else values[:, self.weight]
        return (values if self.features is None else values[:, list(self.features)]), weights


@dataclass(frozen=True)
class FittedColumns:
    """What a model remembers of its features, to find them again in whatever is opened."""

    names: tuple[str, ...] | None
    """Where they came from a table, or had names otherwise."""
    positions: tuple[int, ...] | None
    """Where they were chosen from the columns of an array; None stands for all of them."""


UNNAMED = re.compile(r"|Unnamed: \d+|__index_level_\d+__")
"""What a column without a name is called: in a CSV, by pandas that has read one, in Arrow."""


def numeric_columns(
    dtypes: Mapping[Any, np.dtype | None],
    types: Mapping[Any, Any],
    names: Sequence[Hashable],
    columns: Sequence[Hashable] | AllBut | None = None,
    weight_column: Hashable | None = None,
    source: str = "X",
) -> tuple[Any, ...]:
    """The columns of a table that are features: the rule for tables of every kind.

    Parameters
    ----------
    dtypes : mapping
        Name -> NumPy dtype, or None for a column without numbers.
    types : mapping
        Name -> type in the store's own words, for messages.
    names : sequence
        All columns that features are taken from where none are chosen.
    columns : sequence, AllBut or None
        Columns that the user chose: each has to be there, once, and to hold numbers.
    weight_column : hashable or None
        Likewise; it is no feature unless it is among `columns`.

    Notes
    -----
    Left out, with a warning, are columns without numbers and, since they number the rows more often
    than not, those without a name.
    """
    if columns is not None and isinstance(columns, str):
        columns = [columns]
    if isinstance(columns, AllBut):
        names, columns = columns.of(names, source), None
    wanted = [*(columns or ()), *([weight_column] if weight_column is not None else ())]
    missing = [name for name in wanted if name not in dtypes]
    if missing:
        raise checks.unknown_column_error(missing, dtypes, source)
    relevant = names if columns is None else [name for name in names if name in wanted]
    checks.check_columns_differ(relevant, source)
    for name in wanted:
        if dtypes[name] is None:
            raise checks.non_numeric_column_error(name, types[name], source)
    if columns is not None:
        if not columns:
            raise checks.no_numeric_column_error({})
        checks.check_columns_differ(columns, "The choice of columns")
        return tuple(columns)
    numeric = [name for name in names if dtypes[name] is not None and name != weight_column]
    unnamed = [name for name in numeric if isinstance(name, str) and UNNAMED.fullmatch(name)]
    dropped = {name: types[name] for name in names if dtypes[name] is None}
    features = tuple(name for name in numeric if name not in unnamed)
    if not features:
        raise checks.no_numeric_column_error(dropped | {name: types[name] for name in unnamed})
    checks.warn_dropped_columns(dropped)
    checks.warn_unnamed_columns(unnamed)
    return features
