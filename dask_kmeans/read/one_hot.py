"""One-hot columns: a column of categories is as many features, with 1 in that of a row's category.

A category is a text, whatever holds it: the text itself, a whole number as it is written, True or
False. So the same table has the same features in every container.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask
import numpy as np

from dask_kmeans import checks
from dask_kmeans.read.columns import several

MAX_CATEGORIES = 10_000
"""A column with more tells rows apart; each category is a feature in every row and every center."""

WHOLE_NUMBER = re.compile(r"-?\d{1,18}")

OneHot = Mapping[str, tuple[str, ...] | None]
"""Columns that are one-hot, with their categories; None where these are still to be found."""

Find = Callable[[], Collection[str]]
"""What finds the categories of a column, in any order."""


def requested(one_hot: Any) -> OneHot:
    """What `KMeans(one_hot=...)` says: names of columns, or the categories of each by its name."""
    if isinstance(one_hot, Mapping):
        return {
            name: None if given is None else tuple(map(str, given))
            for name, given in one_hot.items()
        }
    return dict.fromkeys(several(one_hot) or ())


def column_of(names: Iterable[str], categories: OneHot) -> list[str]:
    """Names of features, with the name of a one-hot column in place of those of its categories."""
    owner = {
        f"{column}={category}": column
        for column, of_column in categories.items()
        for category in of_column or ()
    }
    return list(dict.fromkeys(owner.get(name, name) for name in names))


def finders(one_hot: OneHot, find: Callable[[str], Find], source: str) -> dict[str, Any]:
    """What gives the categories of each column, in order, known or found.

    find : name of a column -> what finds its categories; it raises for one that has none
    """
    return {name: partial(_in_order, name, known, find, source) for name, known in one_hot.items()}


def _in_order(
    name: str, known: tuple[str, ...] | None, find: Callable[[str], Find], source: str
) -> tuple[str, ...]:
    look = find(name)
    if known is not None:
        return known
    found = look()
    if not found:
        raise checks.no_category_error(name, source)
    check_few(found, name)
    if all(map(WHOLE_NUMBER.fullmatch, found)):
        return tuple(sorted(found, key=lambda text: (int(text), text)))
    return tuple(sorted(found))


def check_few(found: Collection[str], name: str) -> None:
    """Raise ValueError where a column has more categories than any column of categories has."""
    if len(found) > MAX_CATEGORIES:
        raise checks.many_categories_error(name, MAX_CATEGORIES)


def found_by(tasks: Iterable[Any], name: str) -> set[str]:
    """The categories that some tasks, each a `Delayed`, find in parts of a column."""
    found: set[str] = set()
    for each in dask.compute(*tasks):
        found.update(each)
        check_few(found, name)
    return found


def found_in(columns: Iterable[Any], name: str, *, empty_is_missing: bool = False) -> set[str]:
    """The categories in Arrow arrays that are parts of a column."""
    import pyarrow.compute as pc

    found: set[str] = set()
    for column in columns:
        texts = pc.unique(as_texts(column, name, empty_is_missing=empty_is_missing))
        found.update(text for text in texts.to_pylist() if text is not None)
        check_few(found, name)
    return found


def declared(column: Any, name: str) -> set[str]:
    """The categories of an Arrow array: of dictionaries all that they have, be they used or not."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return found_in([column], name)
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return found_in((chunk.dictionary for chunk in chunks), name)


def is_categorical(kind: Any) -> bool:
    """Whether values of an Arrow type can be categories."""
    import pyarrow as pa

    of = pa.types
    kind = kind.value_type if of.is_dictionary(kind) else kind
    tests = (
        of.is_string, of.is_large_string, of.is_string_view, of.is_boolean, of.is_integer,
        of.is_null,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def as_texts(column: Any, name: str, *, empty_is_missing: bool = False) -> Any:
    """An Arrow array of categories as texts, with nulls where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_categorical(column.type):
        raise checks.no_categories_error(name, column.type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "True", "False").cast(pa.large_string())
    texts = column.cast(pa.large_string())
    if empty_is_missing:
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.large_string()), texts)
    return texts


def repeated(category: str | None, n_rows: int) -> Any:
    """An Arrow array of the same category in so many rows."""
    import pyarrow as pa

    return pa.repeat(pa.scalar(category, pa.large_string()), n_rows)


@dataclass(frozen=True)
class OneHotColumn:
    """A column of categories in memory, made features a slice at a time.

    Attributes
    ----------
    codes : ndarray of shape (m,), int32
        Number of each row's category; -1 where it has none.
    width : int
        Number of categories.
    """

    codes: np.ndarray
    width: int
    dtype = np.dtype(np.float32)
    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.codes), self.width

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice) -> OneHotColumn:
        return OneHotColumn(self.codes[rows], self.width)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        values = np.zeros(self.shape, dtype or self.dtype)
        there = np.flatnonzero(self.codes >= 0)
        values[there, self.codes[there]] = 1
        values[self.codes < 0] = np.nan
        return values


def encoded(
    column: Any,
    categories: Sequence[str],
    name: str,
    row_name: Callable[[int], str] = str,
    *,
    empty_is_missing: bool = False,
) -> OneHotColumn:
    """A column of categories, an Arrow array, as features.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
    categories : sequence of str
    name : str
        Of the column.
    row_name : callable
        What an error calls a row, by its position.
    empty_is_missing : bool
        Whether an empty text is none, as in CSV.

    Raises
    ------
    checks.CategoryError
        For a category that is not among `categories`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = as_texts(column, name, empty_is_missing=empty_is_missing)
    places = pc.index_in(texts, value_set=pa.array(categories, pa.large_string()))
    codes = np.asarray(places.fill_null(-1), dtype=np.int32)
    unknown = np.asarray(pc.and_(places.is_null(), texts.is_valid()))
    if unknown.any():
        row = int(np.argmax(unknown))
        raise checks.unknown_category_error(name, texts[row].as_py(), categories, row_name(row))
    return OneHotColumn(codes, len(categories))
