"""What is wrong with columns of vectors."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dask_kmeans.checks.errors import RaggedError
from dask_kmeans.checks.wording import listing, text, typed


def vector_weights_error(column: Any, kind: Any, source: str) -> TypeError:
    return TypeError(
        text(
            f"Column {column!r} of {source} holds vectors ({kind}), and a weight is one number. "
            "Name a column of numbers for the weights"
        )
    )


def no_vector_error(column: Any, source: str) -> ValueError:
    return ValueError(
        text(
            f"Column {column!r} of {source} has no vector with a number in it, whose length would "
            "say how many features it is. Leave the column out: type ",
            typed(f"X.drop(columns=[{column!r}])", f"--exclude {shlex.quote(str(column))}"),
        )
    )


def ragged_column_error(column: Any, width: int, found: Any, row: str) -> RaggedError:
    """For a column of vectors of which one is of another length, or is no vector (its repr)."""
    return RaggedError(
        text(
            f"Column {column!r} holds vectors of {width} numbers (by its first row, or its type), "
            f"and at row {row} there is "
            f"{found if isinstance(found, str) else f'one of {found}'}. Give every row a vector "
            "of the same length, or none where it is missing"
        )
    )


def vector_parts_error(
    widths: Mapping[Any, int | None], chosen: Sequence[Any], source: str
) -> ValueError:
    """For features that are some of the numbers of vectors; `widths` : of the columns chosen."""
    lengths = ", ".join(
        f"column {name!r} has vectors of {width}" for name, width in widths.items() if width
    )
    return ValueError(
        text(
            f"{source} has not the features {listing(chosen, 5)}: {lengths} numbers, which are "
            "taken whole and in order. Choose such a column by its own name; a model needs vectors "
            "of the length that it was fitted to"
        )
    )
