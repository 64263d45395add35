"""What is wrong with what is to be drawn."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

from dask_kmeans.checks.wording import given_text, listing, sizes, text


def missing_matplotlib_error(reason: Any) -> ImportError:
    return ImportError(
        text(
            f"Pictures are drawn by matplotlib, which is not installed ({reason}). Type "
            "pip install 'dask-kmeans[plot]'"
        )
    )


def check_sample_size(sample_size: Any) -> None:
    """Raise for anything but a whole number of rows, 1 or more."""
    if not isinstance(sample_size, numbers.Integral) or sample_size < 1:
        raise ValueError(
            text(
                f"sample_size is {given_text(sample_size)}: it needs to be a number of rows, 1 or "
                "more"
            )
        )


def check_several_clusters(n_clusters: int) -> None:
    """Raise where there is no second nearest center."""
    if n_clusters < 2:
        raise ValueError(
            text(
                "The silhouette compares the nearest center with the second nearest: it needs a "
                f"model of 2 clusters or more, not of {n_clusters}"
            )
        )


def check_sweep_given(given: Any, picture: str) -> None:
    """Raise for anything but a sweep where one is drawn."""
    if not hasattr(given, "transitions"):
        raise TypeError(
            text(
                f"plot.{picture} draws what dask_kmeans.sweep returns, not a "
                f"{type(given).__name__}: one fit has no other number of clusters to compare with. "
                "Type sweep(X, range(1, 11))"
            )
        )


def metric_drawn_error(given: Any, known: Iterable[str]) -> ValueError:
    return ValueError(
        text(f"metric is {given_text(given)}: it needs to be one of {listing(known)}")
    )


def flat_data_error(n_features: int) -> ValueError:
    return ValueError(
        text(
            f"The axes have three dimensions and the data has {n_features} feature"
            f"{'s' * (n_features > 1)}: give axes of two dimensions, or none"
        )
    )


def check_label_map(shape: Sequence[int], dims: Sequence[Any] | None) -> None:
    """Raise for labels that are no map."""
    if len(shape) == 2 and min(shape) > 0:
        return
    if dims is not None and len(shape) > 2:
        how = f"Type labels.isel({dims[0]}=0) for one map of them"
    else:
        how = "Those of an image are a map after labels.reshape(height, width)"
    raise ValueError(
        text(f"A map needs labels of two dimensions, and these have shape {sizes(shape)}. {how}")
    )


def check_center_maps(shape: Sequence[int], dims: Sequence[Any] | None) -> None:
    """Raise for centers that are no maps."""
    if len(shape) == 3 and min(shape) > 0:
        return
    if dims is None or len(shape) < 3:
        how = "Fit a DataArray with two dimensions of features, KMeans(feature_dim=('lat', 'lon'))"
    else:
        how = f"Type model.labelled_centers_.isel({dims[1]}=0) for one map of each center"
    raise ValueError(
        text(
            "Maps of centers need two dimensions of features, and these centers have shape "
            f"{sizes(shape)}. {how}"
        )
    )


def not_labels_error(dtype: Any) -> ValueError:
    return ValueError(
        text(
            f"These are no labels (dtype {dtype}): a map needs whole numbers from 0, and -1 or NaN "
            "for what was left out"
        )
    )
