"""What is wrong with columns of categories that are one-hot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dask_kmeans.checks.errors import CategoryError
from dask_kmeans.checks.wording import ESTIMATOR, listing, text, typed


def unknown_category_error(
    column: str, found: str, categories: Sequence[str], row: str
) -> CategoryError:
    return CategoryError(
        text(
            f"Column {column!r} has the category {found!r} at row {row}, which is none of those "
            f"that it is one-hot by: {listing(categories, 10)}. Leave such rows out, or fit the "
            "model to data that has them",
        )
    )


def no_categories_error(column: str, kind: Any) -> TypeError:
    return TypeError(
        text(
            f"Column {column!r} holds {kind}, and categories are texts, whole numbers or true and "
            "false. ",
            typed(
                f"Make them whole numbers, for example with X[{column!r}].astype('Int64'), or "
                "leave the column out of one_hot",
                "Leave it out of --one-hot",
            ),
        )
    )


def no_category_error(column: str, source: str) -> ValueError:
    return ValueError(
        text(
            f"Column {column!r} of {source} has no category in any row. Leave it out of ",
            typed("one_hot", "--one-hot"),
        )
    )


def many_categories_error(column: str, most: int) -> CategoryError:
    return CategoryError(
        text(
            f"Column {column!r} has more than {most:,} categories, each of which would be a "
            "feature of every row: it tells rows apart, not groups of them. Leave it out of ",
            typed("one_hot", "--one-hot"),
        )
    )


def one_hot_excluded_error(columns: Iterable[str]) -> ValueError:
    columns = list(columns)
    return ValueError(
        text(
            f"Column(s) {listing(columns)} cannot be one-hot and no feature, or the weight, at "
            "once. Leave them out of ",
            typed("one_hot", "--one-hot"),
        )
    )


def unused_one_hot_error(columns: Iterable[str], what: str) -> ValueError:
    """For one-hot columns of what is no table."""
    return ValueError(
        text(
            f"{listing(columns)} cannot be one-hot: {what} is no table, and has numbers alone. ",
            typed(f"Type {ESTIMATOR}(one_hot=None)", "Leave out --one-hot"),
        )
    )


def opened_without_one_hot_error(columns: Iterable[str], source: str) -> ValueError:
    """For one-hot columns of a source that was opened before, without them or with others."""
    columns = list(columns)
    return ValueError(
        text(
            f"one_hot names {listing(columns)}, and {source} was opened with other columns. Type ",
            f"open_source({source!r}, one_hot={columns!r})",
        )
    )
