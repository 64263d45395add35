"""What is wrong with numbers of clusters, starting centers and the features of fitted models."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_kmeans.checks.arrays import check_numeric, masked_error
from dask_kmeans.checks.wording import ESTIMATOR, given_text, sizes, user_stack_level

if TYPE_CHECKING:
    # Imported only where needed: workers load this module, and scikit-learn with all that it
    # brings takes 100 MB of each.
    from sklearn.exceptions import NotFittedError


def check_n_clusters_against_rows(n_clusters: int, n_rows: int) -> None:
    """Raise ValueError for more clusters than rows (that count)."""
    if n_clusters > n_rows:
        raise ValueError(
            f"n_samples={n_rows} should be >= n_clusters={n_clusters}: each cluster needs a row. "
            f"Type {ESTIMATOR}(n_clusters={max(n_rows, 1)}) or fewer"
        )


def warn_fewer_distinct_rows(n_clusters: int, n_found: int) -> None:
    """Warn that there are fewer distinct rows than clusters."""
    from sklearn.exceptions import ConvergenceWarning

    warnings.warn(
        f"Number of distinct clusters ({n_found}) found smaller than n_clusters ({n_clusters}). "
        f"Possibly due to duplicate points in X. Type {ESTIMATOR}(n_clusters={n_found})",
        ConvergenceWarning,
        stacklevel=user_stack_level(),
    )


def check_init(init: Any, n_clusters: int, n_features: int) -> np.ndarray:
    """Starting centres as the caller gave them.

    Returns
    -------
    ndarray of shape (n_clusters, n_features), float64
        A copy.

    Raises
    ------
    ValueError
        For another shape, or for NaN or infinity in it.
    TypeError
        For values that are not real numbers, or are masked.
    """
    if hasattr(init, "compute"):  # a dask array would turn into an array without its mask
        init = init.compute()
    try:
        given = np.ma.array(init)  # with the masks of its rows
    except ValueError as error:  # rows of different lengths
        raise ValueError(
            f"init is no array: {error}. It needs shape ({n_clusters}, {n_features})"
        ) from error
    if np.ma.is_masked(given):
        raise masked_error("init")
    check_numeric(given.dtype, "init")
    centers = np.array(given, np.float64)
    if centers.ndim != 2 or len(centers) != n_clusters:
        raise ValueError(
            f"The shape of the initial centers {sizes(centers.shape)} does not match the number "
            f"of clusters {n_clusters}: init needs shape ({n_clusters}, {n_features})"
        )
    if centers.shape[1] != n_features:
        raise ValueError(
            f"The shape of the initial centers {sizes(centers.shape)} does not match the number "
            f"of features of the data {n_features}: init needs shape ({n_clusters}, {n_features})"
        )
    bad = np.argwhere(~np.isfinite(centers))
    if len(bad):
        row, column = map(int, bad[0])
        raise ValueError(
            f"init contains {'NaN' if np.isnan(centers[row, column]) else 'infinity'} at cluster "
            f"{row}, feature {column}. Starting centers must be finite"
        )
    return centers


def check_sweep(n_clusters: Iterable[int], parameters: Mapping[str, Any]) -> list[int]:
    """The numbers of clusters of a sweep: at least one, none twice; and parameters all share."""
    ks = list(n_clusters)
    if not ks or len(set(ks)) < len(ks):
        raise ValueError(
            f"n_clusters of a sweep must be distinct numbers, at least one. Got {given_text(ks)}. "
            "Type n_clusters=range(1, 11)"
        )
    for name in ("n_clusters", "checkpoint"):
        if parameters.get(name) is not None:
            raise TypeError(f"sweep takes no {name!r} for KMeans: leave it out")
    init = parameters.get("init")
    if len(ks) > 1 and init is not None and not isinstance(init, str) and not callable(init):
        raise ValueError(
            "An init of given centers fits one number of clusters, and the sweep asks for "
            f"{len(ks)}. Type init='k-means||'"
        )
    return ks


def warn_single_start(n_init: int) -> None:
    """Warn that restarts from the same given centers would all be the same run."""
    warnings.warn(
        f"Explicit initial center position passed: performing only one init instead of n_init="
        f"{n_init}. Type n_init='auto'",
        RuntimeWarning,
        stacklevel=user_stack_level(),
    )


def check_same_features(
    fitted_names: Sequence[str] | None,
    fitted_count: int,
    names: Sequence[str] | None,
    count: int,
) -> None:
    """Raise ValueError unless X has the features the model was fitted to.

    Warns, as scikit-learn does, where only one of both has names.
    """
    if fitted_names is None and names is not None:
        warnings.warn(
            f"X has feature names, but {ESTIMATOR} was fitted without feature names",
            UserWarning,
            stacklevel=user_stack_level(),
        )
    elif fitted_names is not None and names is None:
        warnings.warn(
            f"X does not have valid feature names, but {ESTIMATOR} was fitted with feature names",
            UserWarning,
            stacklevel=user_stack_level(),
        )
    elif fitted_names is not None and names is not None and tuple(fitted_names) != tuple(names):
        raise ValueError(_names_differ(list(fitted_names), list(names)))
    if count != fitted_count:
        raise ValueError(
            f"X has {count} features, but {ESTIMATOR} is expecting {fitted_count} features as "
            "input."
        )


def _names_differ(fitted: list[str], given: list[str]) -> str:
    unseen, missing = sorted(set(given) - set(fitted)), sorted(set(fitted) - set(given))
    text = "The feature names should match those that were passed during fit.\n"
    if unseen:
        text += "Feature names unseen at fit time:\n" + _bullets(unseen)
    if missing:
        text += "Feature names seen at fit time, yet now missing:\n" + _bullets(missing)
    if not unseen and not missing:
        text += "Feature names must be in the same order as they were in fit.\n"
    return text + "Type X[list(model.feature_names_in_)]"


def _bullets(names: list[str], limit: int = 5) -> str:
    return "".join(f"- {name}\n" for name in names[:limit]) + (
        "- ...\n" if len(names) > limit else ""
    )


def not_fitted_error(method: str) -> NotFittedError:
    from sklearn.exceptions import NotFittedError

    return NotFittedError(
        f"This {ESTIMATOR} instance is not fitted yet. Call 'fit' with appropriate arguments "
        f"before using {method}: model.fit(X).{method}(X)"
    )
