"""What is wrong with numbers of clusters, starting centers and the features of fitted models."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dask_kmeans.checks.arrays import check_numeric, masked_error
from dask_kmeans.checks.errors import ParameterError
from dask_kmeans.checks.wording import (
    ESTIMATOR,
    given_text,
    listing,
    sizes,
    text,
    typed,
    user_stack_level,
)

UNSETTLED = text(
    "stopped at max_iter before the labels settled: raise ",
    typed("max_iter, or tol", "--max-iter, or --tol"),
    " if the last changes in ",
    typed("history_", "the history of the report"),
    " are small enough for you",
)
"""Why a fit ended that did not converge."""


def stop_reason_for_shell(reason: str) -> str:
    """Why a fit ended, as the shell shows it; models keep it as Python does."""
    return UNSETTLED.shell if reason == UNSETTLED else reason


def check_n_clusters_against_rows(n_clusters: int, n_rows: int) -> None:
    """Raise ValueError for more clusters than rows (that count)."""
    if n_clusters > n_rows:
        raise ValueError(
            text(
                f"n_samples={n_rows} should be >= n_clusters={n_clusters}: each cluster needs a "
                "row. Type ",
                _n_clusters(max(n_rows, 1)),
                " or fewer",
            )
        )


def too_few_drawn_error(n_clusters: int, n_drawn: int, fit_fraction: float) -> ValueError:
    """For more clusters than rows (that count) of those that a fit looks at."""
    return ValueError(
        text(
            typed(f"fit_fraction={fit_fraction}", f"--fit-fraction {fit_fraction}"),
            f" leaves {n_drawn} rows that count, and each of the {n_clusters} clusters needs one. "
            "Type ",
            typed(f"{ESTIMATOR}(fit_fraction=1.0)", "--fit-fraction 1.0"),
        )
    )


def _n_clusters(number: int) -> str:
    return typed(f"{ESTIMATOR}(n_clusters={number})", f"--n-clusters {number}")


def warn_fewer_distinct_rows(n_clusters: int, n_found: int) -> None:
    """Warn that there are fewer distinct rows than clusters."""
    # Imported only here: workers load this module, and scikit-learn takes 100 MB of each.
    from sklearn.exceptions import ConvergenceWarning

    warnings.warn(
        text(
            f"Number of distinct clusters ({n_found}) found smaller than n_clusters "
            f"({n_clusters}). Possibly due to duplicate points in ",
            typed("X", "the data"),
            ". Type ",
            _n_clusters(n_found),
        ),
        ConvergenceWarning,
        stacklevel=user_stack_level(),
    )


def check_init(init: Any, n_clusters: int, n_features: int) -> np.ndarray:
    """Starting centers as the caller gave them.

    A feature may be NaN in all of them, as those of a fitted model are that the data had no value
    of; whether it has one now is seen later (`check_finite_init`).

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
        # With the masks of its rows. Of a plain array that takes long beside a small fit.
        given = init if type(init) is np.ndarray else np.ma.array(init)
    except ValueError as error:  # rows of different lengths
        raise ValueError(
            text(f"init is no array: {error}. It needs shape ({n_clusters}, {n_features})")
        ) from error
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise masked_error("init")
    check_numeric(given.dtype, "init")
    centers = np.array(given, np.float64)
    if centers.ndim != 2 or len(centers) != n_clusters:
        raise ValueError(
            text(
                f"The shape of the initial centers {sizes(centers.shape)} does not match the "
                f"number of clusters {n_clusters}: init needs shape ({n_clusters}, {n_features})"
            )
        )
    if centers.shape[1] != n_features:
        raise ValueError(
            text(
                f"The shape of the initial centers {sizes(centers.shape)} does not match the "
                f"number of features of the data {n_features}: init needs shape ({n_clusters}, "
                f"{n_features})"
            )
        )
    if not np.isfinite(centers).all():
        missing = np.isnan(centers).all(axis=0)
        check_finite_init(centers if missing.all() else np.where(missing, 0.0, centers))
    return centers


def check_finite_init(centers: np.ndarray) -> None:
    """Raise ValueError for starting centers (k, d) that are not finite."""
    finite = np.isfinite(centers)
    if not finite.all():
        row, column = map(int, np.argwhere(~finite)[0])
        kind = "NaN" if np.isnan(centers[row, column]) else "infinity"
        raise ValueError(
            text(
                f"init contains {kind} at cluster {row}, feature {column}. Starting centers must "
                "be finite"
            )
        )


def check_directions(centers: np.ndarray) -> None:
    """Raise ValueError for starting centers (k, d) of which one was zero, and so has become NaN."""
    missing = np.isnan(centers).any(axis=1)
    if missing.any():
        raise ValueError(
            text(
                f"init has zeros throughout at cluster {int(np.argmax(missing))}, which is no "
                "direction. Starting centers for metric='cosine' need one, at any length"
            )
        )


def unknown_fields_text(what: str, names: Sequence[str]) -> str:
    """For what a stored model has beyond what this version knows."""
    return text(
        f"it has {what} that this dask_kmeans does not know: {listing(names)}. Type pip install "
        "--upgrade dask-kmeans, if a newer one wrote them"
    )


def unstorable_model_error(reason: str) -> ValueError:
    return ValueError(
        text(
            f"This model cannot be saved, since it could not be loaded again: {reason}. Fit it "
            "anew, to rescaled features where numbers are not finite"
        )
    )


def foreign_model_error(given: Any) -> TypeError:
    """For a model of another library that cannot become one of ours."""
    steps = getattr(given, "steps", None)
    shown = type(given).__name__
    if steps is not None:
        shown += " of " + ", ".join(type(step).__name__ for _, step in steps)
    return TypeError(
        text(
            "from_sklearn takes a fitted KMeans or MiniBatchKMeans of scikit-learn, or a Pipeline "
            "of a StandardScaler, or a Normalizer(norm='l2'), and one of these. "
            f"Got {shown}"
        )
    )


def no_unit_centers_error() -> ValueError:
    """For a k-means behind a Normalizer whose centers are means of unit vectors, as they are."""
    return ValueError(
        text(
            "The centers behind the Normalizer are not of length one, so that the nearest of them "
            "is not the one with the largest cosine. Give them as init to a "
            f"{ESTIMATOR}(metric='cosine') and fit that"
        )
    )


def check_coarsen(n_clusters: Any, cluster_sizes: np.ndarray) -> None:
    """Raise ValueError unless so many clusters can be made of clusters of these sizes."""
    there = int(np.count_nonzero(cluster_sizes))
    if there == 0:
        raise ValueError(
            text("coarsen weights clusters by their sizes, which this model of scikit-learn lacks")
        )
    whole = isinstance(n_clusters, numbers.Integral) and not isinstance(n_clusters, bool)
    if not whole or not 1 <= n_clusters <= there:
        raise ValueError(
            text(
                f"coarsen(n_clusters) takes an int from 1 to {there}, the clusters that have rows. "
                f"Got {given_text(n_clusters)}. Type model.coarsen({-(-there // 2)})"
            )
        )


def coarse_model_error(n_finest: int) -> ValueError:
    """For what cannot be said by centers alone of a model that `coarsen` has made."""
    return ValueError(
        text(
            f"This model was made by coarsen: its labels are found by the {n_finest} finer centers "
            "and parent_, and those of scikit-learn's KMeans are the nearest centers. Use the "
            "finer model, and parent_[labels]"
        )
    )


def tree_model_error() -> ValueError:
    """For what cannot be said by centers alone of a model of `BisectingKMeans`."""
    return ValueError(
        text(
            "Rows find the labels of this BisectingKMeans down its tree_, and those of "
            "scikit-learn's KMeans are the nearest centers, which may be others. For a KMeans that "
            f"starts from these centers, give them as init to {ESTIMATOR} and fit that"
        )
    )


def check_sweep(n_clusters: Iterable[int], parameters: Mapping[str, Any]) -> list[int]:
    """The numbers of clusters of a sweep: at least one, none twice; and parameters all share."""
    ks = list(n_clusters)
    if not ks or len(set(ks)) < len(ks):
        raise ValueError(
            text(
                "n_clusters of a sweep must be distinct numbers, at least one. Got "
                f"{given_text(ks)}. Type sweep(X, n_clusters=range(1, 11))"
            )
        )
    for name in ("n_clusters", "checkpoint"):
        if parameters.get(name) is not None:
            raise TypeError(text(f"sweep takes no {name!r} for {ESTIMATOR}: leave it out"))
    init = parameters.get("init")
    if len(ks) > 1 and init is not None and not isinstance(init, str) and not callable(init):
        raise ValueError(
            text(
                "An init of given centers fits one number of clusters, and the sweep asks for "
                f"{len(ks)}. Type sweep(X, {ks!r}, init='k-means||')"
            )
        )
    return ks


def warn_no_elbow(n_clusters: Sequence[int], strength: float, needed: float) -> None:
    """Warn that the inertia bends nowhere as it does where clusters come to an end."""
    warnings.warn(
        text(
            f"The inertia of {min(n_clusters)} to {max(n_clusters)} clusters has no elbow "
            f"(strength {strength:.3g}, where {needed:.3g} is needed): there are no clusters, or "
            "they overlap, or there are more of them than were tried. Choose by what they are for",
        ),
        UserWarning,
        stacklevel=user_stack_level(),
    )


def check_top(top: Any) -> None:
    """Raise ParameterError unless `top` is a number of rows."""
    if not isinstance(top, numbers.Integral) or isinstance(top, bool) or top < 0:
        raise ParameterError(
            text(
                "top, the number of nearest and of farthest rows of each cluster, must be an int "
                f">= 0. Got {given_text(top)}. Type model.describe(X, top=10)"
            )
        )


def warn_single_start(n_init: int) -> None:
    """Warn that restarts from the same given centers would all be the same run."""
    warnings.warn(
        text(
            "Explicit initial center position passed: performing only one init instead of n_init="
            f"{n_init}. Type {ESTIMATOR}(n_init='auto')"
        ),
        RuntimeWarning,
        stacklevel=user_stack_level(),
    )


def check_same_features(
    fitted_names: Sequence[str] | None,
    fitted_count: int,
    names: Sequence[str] | None,
    count: int,
    opened: str | None = None,
) -> None:
    """Raise ValueError unless X has the features the model was fitted to.

    opened : what X is the source of, if it was opened

    Warns, as scikit-learn does, where only one of both has names.
    """
    if fitted_names is None and names is not None:
        warnings.warn(
            text(f"X has feature names, but {ESTIMATOR} was fitted without feature names"),
            UserWarning,
            stacklevel=user_stack_level(),
        )
    elif fitted_names is not None and names is None:
        warnings.warn(
            text(
                f"X does not have valid feature names, but {ESTIMATOR} was fitted with feature "
                "names"
            ),
            UserWarning,
            stacklevel=user_stack_level(),
        )
    elif fitted_names is not None and names is not None and tuple(fitted_names) != tuple(names):
        raise ValueError(_names_differ(list(fitted_names), list(names), opened))
    if count != fitted_count:
        raise ValueError(
            text(
                f"X has {count} features, but {ESTIMATOR} is expecting {fitted_count} features as "
                "input.",
                typed("", " Choose them by --columns"),
            )
        )


def _names_differ(fitted: list[str], given: list[str], opened: str | None) -> str:
    unseen, missing = sorted(set(given) - set(fitted)), sorted(set(fitted) - set(given))
    said = "The feature names should match those that were passed during fit.\n"
    if unseen:
        said += "Feature names unseen at fit time:\n" + _bullets(unseen)
    if missing:
        said += "Feature names seen at fit time, yet now missing:\n" + _bullets(missing)
    if not unseen and not missing:
        said += "Feature names must be in the same order as they were in fit.\n"
    if missing:  # no choice of columns brings them
        return text(said, "Give the features of the fit: ", ", ".join(map(repr, fitted[:5])))
    names = "list(model.feature_names_in_)"
    return text(
        said,
        typed(
            f"Type X[{names}]" if opened is None else f"Type open_source({opened!r}, {names})",
            "Leave out --columns and --column: the columns of the model are found by name",
        ),
    )


def _bullets(names: list[str], limit: int = 5) -> str:
    return "".join(f"- {name}\n" for name in names[:limit]) + (
        "- ...\n" if len(names) > limit else ""
    )
