"""What is wrong with sample weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dask_kmeans.checks.errors import BadWeightError
from dask_kmeans.checks.wording import brief, listing, sizes, text, typed


def check_weight_shape(shape: Sequence[int], n_rows: int | None) -> None:
    """Raise ValueError unless weights of `shape` are one number a row; n_rows None: not known."""
    if len(shape) != 1:
        raise ValueError(
            text(
                f"Sample weights must be 1D array or scalar: sample_weight.shape == "
                f"{sizes(shape)}. Type sample_weight.ravel()"
            )
        )
    if n_rows is not None and shape[0] != n_rows:
        raise ValueError(
            text(
                f"sample_weight.shape == {sizes(shape)}, expected ({n_rows},): one weight for each "
                "row of X"
            )
        )


def weight_kind_error(given: Any, data: str, needed: str) -> TypeError:
    return TypeError(
        text(f"sample_weight is a {type(given).__name__} and X is {data}: {needed} is needed")
    )


def weights_twice_error(source: str) -> ValueError:
    return ValueError(
        text(
            f"{source} brings weights in a column of its own, and sample_weight was given as well. "
            "Leave out one of the two"
        )
    )


def check_weighted_names(weighted: Iterable[Any], names: Sequence[str]) -> None:
    """Raise ValueError for weights of features that are not there."""
    unknown = [name for name in weighted if name not in names]
    if unknown:
        raise ValueError(
            text(
                f"feature_weight has {listing(unknown, 5)}, and the features are "
                f"{listing(names) if names else 'without names'}. Give weights of features that "
                "are there, or an array of one for each"
            )
        )


def check_feature_weights(weights: np.ndarray, n_features: int, grid: Sequence[int] | None) -> None:
    """Raise ValueError unless weights are a number above 0 for each feature."""
    if weights.shape not in ((n_features,), grid):
        also = "" if grid is None or len(grid) < 2 else f", or {sizes(grid)}"
        raise ValueError(
            text(
                f"feature_weight has shape {sizes(weights.shape)}, and it needs one weight for "
                f"each of the features: ({n_features},){also}"
            )
        )
    bad = ~(np.isfinite(weights) & (weights > 0)).reshape(-1)
    if bad.any():
        feature = int(np.argmax(bad))
        raise ValueError(
            text(
                f"feature_weight has {weights.reshape(-1)[feature]} for feature {feature}: weights "
                "are finite and above 0. Leave features that are not to count out of X"
            )
        )


def weight_dims_error(
    given: Sequence[Any], needed: Sequence[Any], what: str = "sample_weight"
) -> ValueError:
    foreign = [dim for dim in given if dim not in needed]
    return ValueError(
        text(
            f"{what} has dimensions {tuple(given)}; the {what.partition('_')[0]}s of X have "
            f"{tuple(needed)}, and none but these can be used. Reduce it, for example: type "
            f"{what}.mean({foreign!r})"
        )
    )


def weight_sizes_error(
    dim: Any, given: int, needed: int, what: str = "sample_weight"
) -> ValueError:
    return ValueError(
        text(
            f"{what} has size {given} along dimension {dim!r}, X has {needed}: one weight "
            "for each of them is needed, or leave the dimension out where the weight is the same "
            "along it"
        )
    )


def weight_labels_error(
    where: str, given: Any, needed: Any, what: str = "sample_weight"
) -> ValueError:
    """For weights whose labels are not those of X; `given`, `needed`: pandas.Index."""
    if given.is_unique and needed.is_unique:
        missing, unknown = needed.difference(given), given.difference(needed)
        difference = (
            f"{len(missing)} labels of X have no weight ({listing(missing, 3)}), "
            f"{len(unknown)} labels of {what} are not in X ({listing(unknown, 3)})"
        )
    else:
        twice = needed[needed.duplicated()] if given.is_unique else given[given.duplicated()]
        difference = (
            f"labels come twice ({listing(twice.unique(), 3)}), so that no order is certain"
        )
    return ValueError(
        text(
            f"{what} and X have other labels along {where}: {difference}. Select the weights of "
            f"what X has. To take them by position, give values without labels: type {what}.values"
        )
    )


def weight_coordinate_error(coordinate: Any, dim: Any) -> ValueError:
    return ValueError(
        text(
            f"sample_weight and X differ in the coordinate {coordinate!r} along dimension {dim!r}, "
            "which has no index to align them by. Where they are in the same order, type "
            f"sample_weight.drop_vars({coordinate!r})"
        )
    )


def weight_chunks_error(weight_chunks: Any, row_chunks: Any) -> ValueError:
    return ValueError(
        text(
            f"sample_weight is chunked {brief(weight_chunks)} and the rows of X "
            f"{brief(row_chunks)}; with unknown chunk sizes they cannot be aligned. Make both from "
            "one DataFrame, or type X.compute_chunk_sizes() and type "
            "sample_weight.compute_chunk_sizes() first"
        )
    )


def check_weights(weights: np.ndarray | None, first_row: int) -> None:
    """Raise for the first of some rows' weights, float64 (m,), that is negative or not finite."""
    if weights is not None:
        usable = np.isfinite(weights) & (weights >= 0)
        if not usable.all():
            row = int(np.argmin(usable))
            raise bad_weight_error(first_row + row, float(weights[row]))


def bad_weight_error(row: int, weight: float) -> BadWeightError:
    kind = "negative" if weight < 0 else "not finite"
    return BadWeightError(
        text(
            typed("sample_weight", "The sample weight"),
            f" is {kind} at row {row}: {weight!r}. Weights must be finite and >= 0 "
            "(0 leaves a row out)",
        )
    )


LARGEST_WEIGHT = 2.0**500
"""What the largest weight may be, and its reciprocal the least that it may be. Products of weights,
values and squared distances then stay inside float64."""


def check_weight_scale(max_weight: float) -> None:
    """Raise ValueError for a largest weight whose products would leave float64."""
    if not 1 / LARGEST_WEIGHT <= max_weight <= LARGEST_WEIGHT:
        raise ValueError(
            text(
                f"The largest sample weight is {max_weight:.3g}, and must be between "
                f"{1 / LARGEST_WEIGHT:.1g} and {LARGEST_WEIGHT:.1g}, so that products with it stay "
                "within float64. Clusters depend on the ratios of weights alone: ",
                typed("type sample_weight / sample_weight.max()", "rescale the column"),
            )
        )


def nothing_counts_error(n_rows: int, nan_rows: int, weighted: bool) -> ValueError:
    """For data of which no row is left."""
    if nan_rows == n_rows:
        return ValueError(
            text(
                f"Every one of the {n_rows} rows contains NaN (or nodata), so none is left. "
                "Look for a feature that is always NaN and ",
                typed("drop it", "leave it out by --exclude NAME"),
            )
        )
    skipped = f" (and {nan_rows} rows contain NaN)" if nan_rows else ""
    assert weighted
    return ValueError(
        text(
            typed("sample_weight", "The sample weight"),
            f" is zero in all rows that could count{skipped}: at least one weight must be above 0",
        )
    )
