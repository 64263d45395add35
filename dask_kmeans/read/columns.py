"""Columns of a store: which are features, which holds the weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.read.identifiers import suspects


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


def several(columns: Any) -> Any:
    """One column, by its name or position, as a list of it; anything else as it is."""
    return [columns] if isinstance(columns, str | int) else columns


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
    variables: tuple[str, ...] | None
    """The variables of a Dataset that they were, or lay in, where that is known."""
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of the one-hot columns among them."""


UNNAMED = re.compile(r"|Unnamed: \d+|__index_level_\d+__")
"""What a column without a name is called: in a CSV, by pandas that has read one, in Arrow."""


ELEMENT = re.compile(r"(.+)\[\d+\]", re.DOTALL)
"""The name of a feature that is one number of the vectors in a column."""


@dataclass(frozen=True)
class Features:
    """Columns of a table that are features: one of vectors is as many as these are long."""

    columns: tuple[Any, ...]
    widths: tuple[int | None, ...]
    """Of each column the length of its vectors, or the number of its categories; None where it
    holds numbers."""
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of the one-hot columns."""

    def __len__(self) -> int:
        return sum(1 if width is None else width for width in self.widths)

    def items(self) -> Iterator[tuple[Any, int | None]]:
        """Each column with its width."""
        return zip(self.columns, self.widths, strict=True)

    @property
    def with_vectors(self) -> bool:
        return any(width is not None for width in self.widths)

    @property
    def names(self) -> tuple[Any, ...]:
        """The name of each feature."""
        return tuple(
            name
            for column, width in self.items()
            for name in feature_names(column, width, self.categories.get(column))
        )


def feature_names(
    column: Any, width: int | None, categories: Sequence[str] | None = None
) -> list[Any]:
    """Names of the features that a column is: `v[0]`, `v[1]`, ... where it holds vectors, and
    `color=blue`, `color=red`, ... where it is one-hot."""
    if categories is not None:
        return [f"{column}={category}" for category in categories]
    if width is None:
        return [column]
    return [f"{column}[{n}]" if isinstance(column, str) else (column, n) for n in range(width)]


def _whole_columns(
    chosen: Sequence[Any], dtypes: Mapping[Any, Any], widths: Mapping[Any, Any]
) -> list[Any]:
    """The columns that are chosen, where some may be by the names of their features."""
    columns: list[Any] = []
    for name in chosen:
        element = None if name in dtypes or not isinstance(name, str) else ELEMENT.fullmatch(name)
        if element is None or element[1] not in widths:
            columns.append(name)
        elif element[1] not in columns[-1:]:
            columns.append(element[1])
    return columns


def numeric_columns(
    dtypes: Mapping[Any, np.dtype | None],
    types: Mapping[Any, Any],
    names: Sequence[Hashable],
    columns: Sequence[Hashable] | AllBut | None = None,
    weight_column: Hashable | None = None,
    source: str = "X",
    widths: Mapping[Any, Callable[[], int | None]] = MappingProxyType({}),
    in_order: Callable[[Any], bool] = lambda name: False,
    leave_out: str = "X.drop(columns={})",
    one_hot: Mapping[str, Callable[[], tuple[str, ...]]] = MappingProxyType({}),
) -> Features:
    """The columns of a table that are features: the rule for tables of every kind.

    Parameters
    ----------
    dtypes : mapping
        Name -> NumPy dtype, of a column of vectors that of their numbers, or None for a column
        without numbers.
    types : mapping
        Name -> type in the store's own words, for messages.
    names : sequence
        All columns that features are taken from where none are chosen.
    columns : sequence, AllBut or None
        Columns that the user chose: each has to be there, once, and to hold numbers. One of vectors
        may also be chosen by the names of all of its features.
    weight_column : hashable or None
        Likewise; it is no feature unless it is among `columns`.
    widths : mapping
        Name of a column of vectors -> what finds how long they are (None: there is no vector). It
        is asked of features only.
    in_order : callable
        Name of a column -> whether its integers tell rows apart, as far as is seen at once.
    leave_out : str
        What to type in Python to leave out a list of columns: {} stands for it.
    one_hot : mapping
        Name of a one-hot column -> what gives its categories (`one_hot.finders`). Each is a
        feature, after those that are chosen if it is not among them; it has a dtype, too.

    Notes
    -----
    Where none are chosen, columns without numbers are left out with a warning, and so are, since
    they number the rows more often than not, those without a name. One that looks like an
    identifier otherwise is a feature, with a warning.
    """
    excluded = () if weight_column is None else (weight_column,)
    if isinstance(columns, AllBut):
        excluded += columns.excluded
        names, columns = columns.of(names, source), None
    if both := [name for name in one_hot if name in excluded]:
        raise checks.one_hot_excluded_error(both)
    if columns is None:
        names = [*names, *(name for name in one_hot if name not in names)]  # an index, perhaps
    elif one_hot:
        columns = [*columns, *(name for name in one_hot if name not in columns)]
    parts = columns or ()
    if columns is not None:
        columns = _whole_columns(columns, dtypes, widths)
    wanted = [
        *(one_hot if columns is None else columns),
        *([weight_column] if weight_column is not None else ()),
    ]
    missing = [name for name in wanted if name not in dtypes]
    if missing:
        raise checks.unknown_column_error(missing, dtypes, source)
    relevant = names if columns is None else [name for name in names if name in wanted]
    checks.check_columns_differ(relevant, source)
    for name in wanted:
        if dtypes[name] is None:
            raise checks.non_numeric_column_error(name, types[name], source)
    if weight_column in widths:
        raise checks.vector_weights_error(weight_column, types[weight_column], source)
    if columns is None:
        columns = _all_numeric(dtypes, types, [name for name in names if name != weight_column])
        numbers = [name for name in columns if name not in widths and name not in one_hot]
        like = suspects(numbers, in_order)
        checks.warn_identifiers(like, leave_out.format(list(like)))
    elif not columns:
        raise checks.no_numeric_column_error({})
    checks.check_columns_differ(columns, "The choice of columns")
    categories = {name: one_hot[name]() for name in columns if name in one_hot}
    features = Features(
        tuple(columns),
        tuple(
            len(categories[name]) if name in categories else _width(name, widths, source)
            for name in columns
        ),
        categories,
    )
    checks.check_columns_differ(features.names, source)
    width_of = dict(features.items())
    given = [
        each
        for name in parts
        for each in feature_names(name, width_of.get(name), categories.get(name))
    ]
    if parts and tuple(given) != features.names:
        raise checks.vector_parts_error(width_of, parts, source)
    return features


def _all_numeric(
    dtypes: Mapping[Any, np.dtype | None], types: Mapping[Any, Any], names: Sequence[Any]
) -> list[Any]:
    """The columns that are features where none are chosen."""
    numeric = [name for name in names if dtypes[name] is not None]
    unnamed = [name for name in numeric if isinstance(name, str) and UNNAMED.fullmatch(name)]
    dropped = {name: types[name] for name in names if dtypes[name] is None}
    features = [name for name in numeric if name not in unnamed]
    if not features:
        raise checks.no_numeric_column_error(dropped | {name: types[name] for name in unnamed})
    checks.warn_dropped_columns(dropped)
    checks.warn_unnamed_columns(unnamed)
    return features


def _width(name: Any, widths: Mapping[Any, Callable[[], int | None]], source: str) -> int | None:
    """Length of the vectors of a column; None where it holds numbers."""
    if name not in widths:
        return None
    width = widths[name]()
    if not width:
        raise checks.no_vector_error(name, source)
    return width
