"""Carry: what comes along with the features of a row, such as its key, in the same read.

A source that carries columns of its table, of any type, or where each row lies, hands them out
beside the pieces; whoever only wants pieces does without, and a fit never reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from dask_kmeans import checks
from dask_kmeans.read.folder import Listing
from dask_kmeans.read.pieces import Piece, RowSource

if TYPE_CHECKING:
    import pyarrow as pa

FILE, ROW = "file", "row"
"""Columns that say where a row lies: the path of its file, relative to the source, and the row's
number in it, from 0."""

CARRIED_ROWS = 2**13
"""Rows that are read at once beside columns of the table, at most: a text may be long."""


class Batch(NamedTuple):
    """Consecutive rows."""

    piece: Piece
    carried: Any = None
    """A `pyarrow.Table` of as many rows; None where nothing is carried."""


class CarryingRows(RowSource, Protocol):
    """Rows that one task reads, with what is carried beside them."""

    def batches(self) -> Iterator[Batch]:
        """The rows, batch by batch and in order; may be called again."""


@dataclass(frozen=True)
class Carry:
    """What is carried beside the features of the rows of a file.

    Attributes
    ----------
    schema : pyarrow.Schema
    located : bool
        Whether it says where rows lie; else it is columns of the table.
    same : mapping
        What all rows of the file have.
    """

    schema: Any
    located: bool
    same: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_places(cls) -> Carry:
        """Where each row lies: `file` and `row`."""
        import pyarrow as pa

        return cls(pa.schema({FILE: pa.dictionary(pa.int32(), pa.string()), ROW: pa.int64()}), True)

    @classmethod
    def of_columns(cls, columns: Sequence[str], types: Mapping[str, Any], source: str) -> Carry:
        """Columns of a table, of which `types` has all.

        Raises
        ------
        ValueError
            For columns that are not there, or named twice.
        """
        import pyarrow as pa

        missing = [name for name in columns if name not in types]
        if missing:
            raise checks.unknown_column_error(missing, types, source)
        checks.check_columns_differ(columns, "The choice of columns that are kept")
        return cls(pa.schema([(name, types[name]) for name in columns]), False)

    def in_files(self, listing: Listing, folders: Mapping[str, Any]) -> list[Carry]:
        """The same in each file; `folders`: columns that the folders of files stand for."""
        if self.located:
            return [replace(self, same={FILE: name}) for name in listing.names]
        keys = [key for key in folders if key in self.schema.names]

        def value(key: str, text: str | None) -> int | str | None:
            return text if text is None or folders[key] is None else int(text)

        return [
            replace(self, same={key: value(key, each.get(key)) for key in keys})
            for each in listing.partitions
        ]

    @property
    def read(self) -> list[str]:
        """The columns that are read from the file."""
        return [] if self.located else [name for name in self.schema.names if name not in self.same]

    def table(self, first: int, n_rows: int, column: Callable[[str], Any] | None) -> pa.Table:
        """What is carried beside some rows.

        Parameters
        ----------
        first : int
            Number of the first of them in their file.
        n_rows : int
        column : callable or None
            Name -> the Arrow array of these rows; None for an array, which has no such columns.
        """
        import pyarrow as pa

        def values(of: Any) -> Any:
            if of.name in self.same:
                return _repeated(self.same[of.name], n_rows, of.type)
            if self.located or column is None:
                return pa.array(np.arange(first, first + n_rows))
            found = column(of.name)
            return found if found.type == of.type else found.cast(of.type)

        return pa.Table.from_arrays(list(map(values, self.schema)), schema=self.schema)


def folder_types(folders: Mapping[str, Any]) -> dict[str, Any]:
    """Arrow types of the columns that `folder.partition_columns` has found."""
    import pyarrow as pa

    return {key: pa.string() if numbers is None else pa.int64() for key, numbers in folders.items()}


def _repeated(value: Any, n_rows: int, kind: Any) -> Any:
    import pyarrow as pa

    if not pa.types.is_dictionary(kind):
        return pa.repeat(pa.scalar(value, kind), n_rows)
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(n_rows, np.int32)), pa.array([value], kind.value_type)
    )
