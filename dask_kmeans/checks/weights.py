"""What is wrong with sample weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dask_kmeans.checks.wording import brief, sizes


def check_weight_shape(shape: Sequence[int], n_rows: int | None) -> None:
    """Raise ValueError unless weights of `shape` are one number a row; n_rows None: not known."""
    if len(shape) != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar: sample_weight.shape == {sizes(shape)}. "
            "Type sample_weight.ravel()"
        )
    if n_rows is not None and shape[0] != n_rows:
        raise ValueError(
            f"sample_weight.shape == {sizes(shape)}, expected ({n_rows},): one weight for each "
            "row of X"
        )


def weight_kind_error(given: Any, data: str, needed: str) -> TypeError:
    return TypeError(
        f"sample_weight is a {type(given).__name__} and X is {data}: {needed} is needed"
    )


def weights_twice_error(source: str) -> ValueError:
    return ValueError(
        f"{source} brings weights in a column of its own, and sample_weight was given as well. "
        "Leave out one of the two"
    )


def weight_dims_error(given: Sequence[Any], needed: Sequence[Any]) -> ValueError:
    return ValueError(
        f"sample_weight has dimensions {tuple(given)}; the samples of X have {tuple(needed)}, and "
        "these are needed"
    )


def weight_chunks_error(weight_chunks: Any, row_chunks: Any) -> ValueError:
    return ValueError(
        f"sample_weight is chunked {brief(weight_chunks)} and the rows of X {brief(row_chunks)}; "
        "with unknown chunk sizes they cannot be aligned. Make both from one DataFrame, or type "
        "X.compute_chunk_sizes() and sample_weight.compute_chunk_sizes() first"
    )


def bad_weight_error(row: int, weight: float) -> ValueError:
    kind = "negative" if weight < 0 else "not finite"
    return ValueError(
        f"sample_weight is {kind} at row {row}: {weight!r}. Weights must be finite and >= 0 "
        "(0 leaves a row out)"
    )


def nothing_counts_error(n_rows: int, nan_rows: int, weighted: bool) -> ValueError:
    """For data of which no row is left."""
    if nan_rows == n_rows:
        return ValueError(
            f"Every one of the {n_rows} rows contains NaN, so none is left. Look for a feature "
            "that is always NaN and drop it"
        )
    skipped = f" (and {nan_rows} rows contain NaN)" if nan_rows else ""
    assert weighted
    return ValueError(
        f"sample_weight is zero in all rows that could count{skipped}: at least one weight must be "
        "above 0"
    )
