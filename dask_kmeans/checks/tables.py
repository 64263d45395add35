"""What is wrong with tables, files and stores."""

from __future__ import annotations

import shlex
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dask_kmeans.checks.errors import InvalidFileError, ReadError
from dask_kmeans.checks.wording import (
    ESTIMATOR,
    listing,
    sizes,
    text,
    typed,
    user_stack_level,
)


def check_feature_names(columns: Iterable[Any]) -> tuple[str, ...] | None:
    """Column names as `feature_names_in_`: all strings, or None where none is (as scikit-learn)."""
    columns = list(columns)
    kinds = sorted({type(column).__name__ for column in columns})
    strings = [isinstance(column, str) for column in columns]
    if columns and all(strings):
        return tuple(map(str, columns))
    if any(strings):
        raise TypeError(
            text(
                "Feature names are only supported if all input features have string names, but "
                f"your input has {kinds} as feature name / column name types. Type X.columns = "
                "X.columns.astype(str)"
            )
        )
    return None


def warn_dropped_columns(dropped: Mapping[Any, Any], what: str = "column") -> None:
    """Warn of the columns (name -> type) that are left out because they hold no numbers."""
    if dropped:
        names = ", ".join(f"{name!r} ({kind})" for name, kind in dropped.items())
        excluded = " ".join(f"--exclude {shlex.quote(str(name))}" for name in dropped)
        warnings.warn(
            text(
                f"{len(dropped)} {what}(s) without numbers left out: {names}. ",
                _categories_text(dropped, what),
                ", or ",
                typed(f"choose {what}s to silence this", f"type {excluded} to silence this"),
            ),
            UserWarning,
            stacklevel=user_stack_level(),
        )


def _categories_text(columns: Iterable[Any], what: str) -> str:
    """How columns, or variables of a Dataset, without numbers would be features."""
    if what != "column":
        return "Encode them to have them count"
    return typed(
        f"Have categories count by {ESTIMATOR}(one_hot={list(columns)!r})",
        "Have categories count by --one-hot",
    )


def warn_unnamed_columns(names: Sequence[Any]) -> None:
    """Warn of columns of numbers that are left out because they have no name of their own."""
    if names:
        warnings.warn(
            text(
                f"{len(names)} column(s) without a name left out: {listing(names)}. They look like "
                "row numbers that were written with the table; to have them count, rename them or "
                "choose columns"
            ),
            UserWarning,
            stacklevel=user_stack_level(),
        )


def warn_identifiers(reasons: Mapping[Any, str], leave_out: str) -> None:
    """Warn of features (name -> reason) that look like identifiers of rows.

    leave_out : what to type in Python to leave them out
    """
    if reasons:
        names = ", ".join(f"{name!r} ({reason})" for name, reason in reasons.items())
        excluded = " ".join(f"--exclude {shlex.quote(str(name))}" for name in reasons)
        warnings.warn(
            text(
                f"{len(reasons)} feature(s) look like identifiers of rows, which measure nothing "
                f"but count in every distance: {names}. To leave them out type ",
                typed(leave_out, excluded),
            ),
            UserWarning,
            stacklevel=user_stack_level(),
        )


def check_columns_differ(names: Iterable[Any], source: str) -> None:
    """Raise ValueError for columns of one name: which of them is meant cannot be told."""
    names = list(names)
    repeated = [name for name, number in Counter(names).items() if number > 1]
    if repeated:
        raise ValueError(
            text(
                f"{source} has several columns of one name: {listing(repeated)}. Give each a name "
                "of its own, or keep one of each"
            )
        )


def lazy_frame_error() -> TypeError:
    return TypeError(
        text(
            "X is a polars LazyFrame, which is a query and no table yet. Type X.collect(); or, of "
            "what does not fit in memory, write X.sink_parquet('table.parquet') and fit that path"
        )
    )


def partition_columns_error(declared: Iterable[Any], found: Iterable[Any]) -> ValueError:
    return ValueError(
        text(
            f"A partition of the Dask DataFrame has the columns {listing(found)}, and the "
            f"DataFrame was said to have {listing(declared)}. Give the function that made it the "
            "right meta"
        )
    )


def no_numeric_column_error(columns: Mapping[Any, Any], what: str = "column") -> ValueError:
    names = ", ".join(f"{name!r} ({kind})" for name, kind in columns.items()) or "none at all"
    return ValueError(
        text(
            f"X has no numeric {what}: {names}. {ESTIMATOR} needs at least one. ",
            _categories_text(columns, what),
        )
    )


def unknown_column_error(missing: Sequence[Any], columns: Iterable[Any], source: str) -> ValueError:
    return ValueError(text(f"{source} has no column {listing(missing)}; it has {listing(columns)}"))


def column_positions_error(given: Any, n_columns: int, source: str) -> ValueError:
    return ValueError(
        text(
            f"{source} has {n_columns} columns without names: {given!r} is not the position of "
            f"one. Give positions from 0 to {n_columns - 1}"
        )
    )


def non_numeric_column_error(column: Any, kind: Any, source: str) -> TypeError:
    return TypeError(
        text(
            f"Column {column!r} of {source} holds {kind}, not numbers, so it can be neither a "
            "feature nor a weight. Leave it out of the columns"
        )
    )


def missing_path_error(source: str) -> FileNotFoundError:
    return FileNotFoundError(
        text(f"Nothing exists at {source}. Check the path, and for a glob its folder")
    )


def empty_folder_error(source: str, passed_over: Sequence[str] = ()) -> FileNotFoundError:
    there = f"; there are {listing(passed_over, 5)}" if passed_over else ""
    return FileNotFoundError(
        text(f"{source} holds no Parquet file and nothing else that can be read{there}")
    )


def mixed_folder_error(source: str, counts: Mapping[str, int]) -> ValueError:
    found = " and ".join(f"{number} {kind} file(s)" for kind, number in sorted(counts.items()))
    folder = source.rstrip("/").rpartition("/")[0] if "*" in source else source.rstrip("/")
    return ValueError(
        text(
            f"Cannot tell which files of {source} are the table: it holds {found}. Give a glob of "
            f"one kind, such as {folder}/*.parquet or {folder}/*.csv"
        )
    )


def mixed_paths_error(source: str, counts: Mapping[str, int]) -> ValueError:
    found = " and ".join(f"{number} of {kind} files" for kind, number in sorted(counts.items()))
    return ValueError(
        text(f"Several paths need to be of one kind, and {source} are {found}. Give those of one")
    )


def shapes_differ_error(
    first: str, other: str, there: Sequence[int], here: Sequence[int]
) -> ValueError:
    return ValueError(
        text(
            f"NumPy files disagree in their number of columns: {first} has shape {sizes(there)}, "
            f"{other} has {sizes(here)}. Give files of one table"
        )
    )


def warn_passed_over(source: str, names: Sequence[str]) -> None:
    """Warn of what lies in a folder and is not read."""
    if names:
        warnings.warn(
            text(
                f"{len(names)} file(s) in {source} passed over, since nothing says that they "
                f"belong to the table: {listing(names, 5)}. Move them elsewhere to silence this, "
                "or name the files to be read by a glob"
            ),
            UserWarning,
            stacklevel=user_stack_level(),
        )


def table_format_error(source: str, kind: str, table: str) -> ValueError:
    """For a folder that a table format keeps records of: not all files in it are the table."""
    lines = {
        "Delta": f"deltalake.DeltaTable({table!r}).to_pyarrow_table()",
        "Iceberg": "pyiceberg.table.StaticTable.from_metadata("
        f"'{table}/metadata/NEWEST.metadata.json').scan().to_arrow()",
        "Hudi": f"pyarrow.Table.from_batches(hudi.HudiTableBuilder.from_base_uri({table!r})"
        ".build().read_snapshot())",
    }
    return ValueError(
        text(
            f"{source} is of the {kind} table {table}, whose own records say which of its files "
            "count: others have been removed or replaced. ",
            typed(f"Fit what its own library reads, {lines[kind]}, or copy", "Copy"),
            " the table to Parquet files without records",
        )
    )


def unknown_format_error(source: str) -> ValueError:
    return ValueError(
        text(
            f"Cannot tell what {source} is. Known are Parquet files, folders and globs "
            "(*.parquet, *.pq), Zarr arrays, CSV files (*.csv, *.csv.gz), NumPy files (*.npy) and "
            "HDF5 files (*.h5, *.hdf5): name it so"
        )
    )


def unknown_scheme_error(source: str, scheme: str) -> ValueError:
    return ValueError(
        text(
            f"{source}: fsspec knows no {scheme + '://'!r}. Use a local path or a known one, such "
            "as s3://, gs://, abfs:// or https://"
        )
    )


def missing_driver_error(source: str, scheme: str, reason: Any) -> ImportError:
    package = {
        "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs",
        "http": "aiohttp", "https": "aiohttp",
    }.get(scheme)  # fmt: skip
    advice = f"Type pip install {package}" if package else f"fsspec says: {reason}"
    return ImportError(text(f"{source}: the driver for {scheme}:// is not installed. {advice}"))


def zarr_group_error(
    source: str, members: Mapping[str, Sequence[int] | None], opened: bool = False
) -> ValueError:
    """For a Zarr group that is no Dataset, given where an array is meant.

    Parameters
    ----------
    source : str
    members : mapping
        Paths and shapes of its arrays; the shape is None for a Dataset, a group in the group.
    opened : bool
        Whether a `zarr.Group` was given, not its path.
    """
    if not members:
        return ValueError(
            text(f"{source} is a Zarr group without any array in it; an array is needed")
        )
    listing = ", ".join(
        f"{name} {'(a Dataset)' if shape is None else sizes(shape)}"
        for name, shape in members.items()
    )
    example = next(
        (name for name, shape in members.items() if shape is None or len(shape) == 2),
        next(iter(members)),
    )
    return ValueError(
        text(
            f"{source} is a Zarr group, and one array, or the group of a Dataset, is needed. It "
            f"has {listing}. Type ",
            f"X[{example!r}]" if opened else f"{source.rstrip('/')}/{example}",
        )
    )


def packing_error(source: str, attributes: Mapping[str, Any], reason: Any) -> ValueError:
    """For attributes of a Zarr array that do not say how its numbers are packed."""
    return ValueError(
        text(
            f"{source} is packed by attributes that cannot be used ({dict(attributes)}): {reason}. "
            "Correct them",
            typed(
                ", or take the numbers as they are stored and unpack them yourself: type "
                f"dask.array.from_zarr({source!r})",
                "",
            ),
        )
    )


def schemas_differ_error(
    first: str, other: str, differences: Mapping[str, tuple[Any, Any]]
) -> ValueError:
    """For files of one table that disagree; `differences`: column -> (type in first, in other)."""
    listing = "; ".join(
        f"column {name!r} is {there or 'missing'} there and {here or 'missing'} here"
        for name, (there, here) in differences.items()
    )
    return ValueError(
        text(
            f"Parquet files disagree in schema: {first} (there) and {other} (here): {listing}. "
            "Rewrite one of them, or choose columns that agree"
        )
    )


def headers_differ_error(first: str, other: str, there: Any, here: Any) -> ValueError:
    return ValueError(
        text(
            f"CSV files disagree in their header: {first} has {listing(there)}; {other} has "
            f"{listing(here)}"
        )
    )


def no_header_error(source: str, line: str) -> ValueError:
    return ValueError(
        text(
            f"The first line of {source} is {line!r}: numbers, where the names of the columns are "
            "needed. Write a line with names on top"
        )
    )


def text_among_numbers_error(source: str, column: str, row: int, found: str) -> InvalidFileError:
    return InvalidFileError(
        text(
            f"Column {column!r} of {source} holds numbers (or nothing) at its beginning, and the "
            f"text {found[:60]!r} at row {row}. Mend that value, or leave the column out: type ",
            typed(
                f"open_source({source!r}, exclude=[{column!r}])",
                f"--exclude {shlex.quote(column)}",
            ),
        )
    )


def break_in_quotes_error(source: str, part: str) -> InvalidFileError:
    return InvalidFileError(
        text(
            f"{source} has a text in quotes with a line end in it at {part}, and none in its first "
            "MiB that would have said so: its rows cannot be told apart. Write it as Parquet",
            typed(f", type pandas.read_csv({source!r}).to_parquet('table.parquet')", ""),
        )
    )


def invalid_file_error(source: str, wanted: str, reason: Any) -> InvalidFileError:
    return InvalidFileError(text(f"{source} is not a {wanted} file: {reason}"))


def unreadable_error(
    source: str, part: str, start: int | None, stop: int | None, reason: Exception
):
    """ReadError for one part (chunk, row group, file) of a source, and the rows that are in it."""
    rows = "" if start is None or stop is None else f" (rows {start} to {stop - 1})"
    detail = str(reason).strip() or "no reason given"
    if isinstance(reason, PermissionError):
        advice = "Ask for the right to read it"
    elif isinstance(reason, FileNotFoundError):
        advice = "Put it back and run again"
    else:
        advice = "Run again once the store answers; if the data is damaged, restore it"
    return ReadError(
        text(f"Cannot read {part}{rows} of {source}: {type(reason).__name__}: {detail}. {advice}")
    )


def no_columns_to_keep_error(source: str) -> ValueError:
    return ValueError(
        text(
            f"{source} is no table: it has no columns beside its features to keep, and rows of its "
            "labels stand in its order. Leave out ",
            typed("the columns", "--keep"),
        )
    )
