"""Every complaint of this package about what the user gave: arrays, sources and parameters.

Functions named `check_*` raise or warn; functions named `*_error` build an exception for the caller
to raise where it found the fault. Each text says what was given, what is needed and, where there
is one, the line to type. scikit-learn's wording is kept where its own tests look for it.
"""

from __future__ import annotations

import inspect
import math
import numbers
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from dask.utils import parse_bytes

if TYPE_CHECKING:
    # Imported only where needed: workers load this module, and scikit-learn with all that it
    # brings takes 100 MB of each.
    from sklearn.exceptions import NotFittedError

ESTIMATOR = "KMeans"

INIT_NAMES = (
    "k-means||", "k-means++", "random", "random_partition", "random_pairs", "random_box",
)  # fmt: skip


class ReadError(OSError):
    """A part of the data could not be read; the text names the source, the part and its rows."""


class ClusterError(RuntimeError):
    """The cluster, not the data, ended a computation; the text says how to go on."""


class InvalidFileError(ValueError):
    """A file is not of the format that its name says; reading it again would not help."""


class NonFiniteError(ValueError):
    """A value of the data is NaN or infinite."""


class ParameterError(ValueError, TypeError):
    """A parameter of the estimator has a value that it cannot have."""


# ---------------------------------------------------------------------------------------- arrays


def check_two_dimensional(shape: Sequence[int], what: str = "array") -> None:
    """Raise ValueError unless `shape` is that of rows and features."""
    if len(shape) == 2:
        return
    if len(shape) == 0:
        raise ValueError(
            "Expected 2D array, got scalar array instead. Give one row a sample and one column a "
            "feature: X.reshape(1, 1)"
        )
    if len(shape) == 1:
        raise ValueError(
            f"Expected 2D array, got 1D array instead ({what} of shape {_shape(shape)}). Reshape "
            "your data: X.reshape(-1, 1) if it has a single feature, X.reshape(1, -1) if it is a "
            "single sample."
        )
    raise ValueError(
        f"Found {what} with dim {len(shape)} (shape={_shape(shape)}): {ESTIMATOR} expected <= 2, "
        "samples and features. Say which axis holds the features: X.reshape(-1, X.shape[-1]) if it "
        "is the last; labels.reshape(X.shape[:-1]) gives labels their shape back."
    )


def needs_feature_dim_error(sizes: Mapping[Any, int], given: Any = None) -> ValueError:
    """For labelled arrays of which it is not said, or wrongly said, where the features lie."""
    dims = ", ".join(f"{name} ({size})" for name, size in sizes.items())
    example = list(sizes)[-1] if sizes else "feature"
    if given is not None:
        return ValueError(
            f"feature_dim={given!r} is not a dimension of X, which has {dims or 'none'}. "
            f"Type feature_dim={example!r}"
        )
    return ValueError(
        f"X has {len(sizes)} dimensions, {dims}, and nothing says which of them holds the "
        f"features. Type feature_dim={example!r}"
    )


def unused_feature_dim_error(given: Any, what: str) -> ValueError:
    advice = (
        "its variables are the features; give one variable, X[name]"
        if what == "Dataset"
        else "its columns are the features; leave it out"
    )
    return ValueError(
        f"feature_dim={given!r} names a dimension of an xarray.DataArray, but X is a {what}: "
        f"{advice}"
    )


def variables_differ_error(dims: Mapping[Any, Sequence[Any]]) -> ValueError:
    listing = ", ".join(f"{name} {tuple(of)}" for name, of in dims.items())
    return ValueError(
        f"The variables of the Dataset differ in their dimensions: {listing}. They are the "
        "features of the same samples, so choose some that agree: X[[name, ...]]"
    )


def check_not_empty(n_rows: int, n_features: int) -> None:
    """Raise ValueError for data without rows or without features."""
    for number, what in ((n_rows, "sample"), (n_features, "feature")):
        if number == 0:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape=({n_rows}, {n_features})) while a minimum of "
                f"1 is required by {ESTIMATOR}."
            )


def check_numeric(dtype: np.dtype, what: str = "X") -> None:
    """Raise unless values of `dtype` are real numbers."""
    if dtype.kind in "biuf":
        return
    if dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {what} has dtype {dtype}. Give real features, for "
            "example np.hstack([X.real, X.imag])"
        )
    raise not_numbers_error(f"dtype {dtype}", what)


def not_numbers_error(given: str, what: str = "X") -> TypeError:
    # "argument must be ... string ... number" is what scikit-learn's own checks look for.
    return TypeError(
        f"{what} has {given}, and every value of this argument must be a real number, not a string "
        "or another object that is no number. Encode or drop what is not numeric, then type "
        "astype('float64')"
    )


def sparse_error(given: Any) -> TypeError:
    return TypeError(
        f"Sparse data was passed ({type(given).__name__}), but dense data is required. Where it "
        "fits in memory, type X.toarray()"
    )


def unknown_collection_error(given: Any) -> TypeError:
    return TypeError(
        f"X is a dask {type(given).__name__}; a dask array or DataFrame of rows and features is "
        "needed. A Series becomes one by X.to_frame(), a Delayed by dask.array.from_delayed"
    )


def ragged_error(reason: Any) -> ValueError:
    return ValueError(
        f"X cannot be made an array: {reason}. Every row needs the same number of features"
    )


def matrix_error() -> TypeError:
    return TypeError("np.matrix is not supported. Type np.asarray(X)")


def masked_error() -> TypeError:
    return TypeError(
        "A masked array was given, whose mask would be lost. Type X.filled(np.nan) (of a float "
        'array) together with nan="skip", which leaves masked rows out'
    )


def unknown_columns_error(what: str) -> ValueError:
    return ValueError(
        f"The number of features of {what} is unknown (its shape has a nan). "
        "Type X.compute_chunk_sizes() first"
    )


def non_finite_error(
    row: int, column: int, is_nan: bool, feature_names: Sequence[str] | None
) -> NonFiniteError:
    """For the first value of X that is NaN or infinite."""
    where = f"row {row}, column {column}"
    if feature_names is not None:
        where += f" ({feature_names[column]!r})"
    if is_nan:
        return NonFiniteError(
            f"Input X contains NaN: the first is at {where}. To leave rows with NaN out (label -1) "
            f'type {ESTIMATOR}(nan="skip"); otherwise fill them, for example with '
            "sklearn.impute.SimpleImputer"
        )
    return NonFiniteError(
        f"Input X contains infinity: the first inf is at {where}. Replace it, or turn it into NaN "
        f'and type {ESTIMATOR}(nan="skip")'
    )


# ------------------------------------------------------------------------------ tables, sources


def check_feature_names(columns: Iterable[Any]) -> tuple[str, ...] | None:
    """Column names as `feature_names_in_`: all strings, or None where none is (as scikit-learn)."""
    columns = list(columns)
    kinds = sorted({type(column).__name__ for column in columns})
    strings = [isinstance(column, str) for column in columns]
    if columns and all(strings):
        return tuple(map(str, columns))
    if any(strings):
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your "
            f"input has {kinds} as feature name / column name types. Type X.columns = "
            "X.columns.astype(str)"
        )
    return None


def warn_dropped_columns(dropped: Mapping[Any, Any], what: str = "column") -> None:
    """Warn of the columns (name -> type) that are left out because they hold no numbers."""
    if dropped:
        names = ", ".join(f"{name!r} ({kind})" for name, kind in dropped.items())
        warnings.warn(
            f"{len(dropped)} {what}(s) without numbers left out: {names}. Encode them to have them "
            "count, or choose columns to silence this",
            UserWarning,
            stacklevel=_outside(),
        )


def no_numeric_column_error(columns: Mapping[Any, Any], what: str = "column") -> ValueError:
    names = ", ".join(f"{name!r} ({kind})" for name, kind in columns.items()) or "none at all"
    return ValueError(
        f"X has no numeric {what}: {names}. {ESTIMATOR} needs at least one; encode categories, for "
        "example with pandas.get_dummies(X)"
    )


def unknown_column_error(missing: Sequence[Any], columns: Iterable[Any], source: str) -> ValueError:
    names = ", ".join(map(repr, missing))
    return ValueError(f"{source} has no column {names}; it has {_listing(columns)}")


def column_positions_error(given: Any, n_columns: int, source: str) -> ValueError:
    return ValueError(
        f"{source} has {n_columns} columns without names: {given!r} is not the position of one. "
        f"Give positions from 0 to {n_columns - 1}"
    )


def non_numeric_column_error(column: Any, kind: Any, source: str) -> TypeError:
    return TypeError(
        f"Column {column!r} of {source} holds {kind}, not numbers, so it can be neither a feature "
        "nor a weight. Leave it out of the columns"
    )


def missing_path_error(source: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"Nothing exists at {source}. Check the path, and for a glob its folder"
    )


def empty_folder_error(source: str, wanted: str = "Parquet") -> FileNotFoundError:
    return FileNotFoundError(f"{source} holds no {wanted} file, and nothing else that can be read")


def unknown_format_error(source: str) -> ValueError:
    return ValueError(
        f"Cannot tell what {source} is. Known are Parquet files, folders and globs (*.parquet, "
        "*.pq), Zarr arrays, CSV files (*.csv, *.csv.gz) and NumPy files (*.npy): name it so"
    )


def unknown_scheme_error(source: str, scheme: str) -> ValueError:
    return ValueError(
        f"{source}: fsspec knows no {scheme + '://'!r}. Use a local path or a known one, such as "
        "s3://, gs://, abfs:// or https://"
    )


def missing_driver_error(source: str, scheme: str, reason: Any) -> ImportError:
    package = {
        "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs",
        "http": "aiohttp", "https": "aiohttp",
    }.get(scheme)  # fmt: skip
    advice = f"Type pip install {package}" if package else f"fsspec says: {reason}"
    return ImportError(f"{source}: the driver for {scheme}:// is not installed. {advice}")


def zarr_group_error(source: str, members: Mapping[str, Sequence[int]]) -> ValueError:
    """For a Zarr group given where an array is meant; `members` are paths and shapes of arrays."""
    if not members:
        return ValueError(f"{source} is a Zarr group without any array in it; an array is needed")
    listing = ", ".join(f"{name} {_shape(shape)}" for name, shape in members.items())
    example = next(
        (name for name, shape in members.items() if len(shape) == 2), next(iter(members))
    )
    return ValueError(
        f"{source} is a Zarr group, and one array is needed. Its arrays are {listing}. "
        f"Type {source.rstrip('/')}/{example}"
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
        f"Parquet files disagree in schema: {first} (there) and {other} (here): {listing}. Rewrite "
        "one of them, or choose columns that agree"
    )


def headers_differ_error(first: str, other: str, there: Any, here: Any) -> ValueError:
    return ValueError(
        f"CSV files disagree in their header: {first} has {_listing(there)}; {other} has "
        f"{_listing(here)}"
    )


def no_header_error(source: str, line: str) -> ValueError:
    return ValueError(
        f"The first line of {source} is {line!r}: numbers, where the names of the columns are "
        "needed. Write a line with names on top"
    )


def invalid_file_error(source: str, wanted: str, reason: Any) -> InvalidFileError:
    return InvalidFileError(f"{source} is not a {wanted} file: {reason}")


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
        f"Cannot read {part}{rows} of {source}: {type(reason).__name__}: {detail}. {advice}"
    )


def existing_output_error(path: str) -> FileExistsError:
    return FileExistsError(
        f"{path} exists already and is left as it is. Choose another place, or type --overwrite "
        "(overwrite=True) to replace it"
    )


# ------------------------------------------------------------------------------------------ weights


def check_weight_shape(shape: Sequence[int], n_rows: int | None) -> None:
    """Raise ValueError unless weights of `shape` are one number a row; n_rows None: not known."""
    if len(shape) != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar: sample_weight.shape == {_shape(shape)}. "
            "Type sample_weight.ravel()"
        )
    if n_rows is not None and shape[0] != n_rows:
        raise ValueError(
            f"sample_weight.shape == {_shape(shape)}, expected ({n_rows},): one weight for each "
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
        f"sample_weight is chunked {_brief(weight_chunks)} and the rows of X {_brief(row_chunks)}; "
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


# ------------------------------------------------------------- clusters, starts, fitted models


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
        stacklevel=_outside(),
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
        For values that are not real numbers.
    """
    try:
        centers = np.asarray(init)
    except ValueError as error:  # rows of different lengths
        raise ValueError(
            f"init is no array: {error}. It needs shape ({n_clusters}, {n_features})"
        ) from error
    check_numeric(centers.dtype, "init")
    if centers.ndim != 2 or len(centers) != n_clusters:
        raise ValueError(
            f"The shape of the initial centers {_shape(centers.shape)} does not match the number "
            f"of clusters {n_clusters}: init needs shape ({n_clusters}, {n_features})"
        )
    if centers.shape[1] != n_features:
        raise ValueError(
            f"The shape of the initial centers {_shape(centers.shape)} does not match the number "
            f"of features of the data {n_features}: init needs shape ({n_clusters}, {n_features})"
        )
    centers = centers.astype(np.float64)
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
            f"n_clusters of a sweep must be distinct numbers, at least one. Got {_given(ks)}. "
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
        stacklevel=_outside(),
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
            stacklevel=_outside(),
        )
    elif fitted_names is not None and names is None:
        warnings.warn(
            f"X does not have valid feature names, but {ESTIMATOR} was fitted with feature names",
            UserWarning,
            stacklevel=_outside(),
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


# --------------------------------------------------------------------------------------- parameters


class Rule(NamedTuple):
    """What a parameter may be."""

    holds: Callable[[Any], bool]
    needed: str
    example: str


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def _is_real(value: Any) -> bool:
    return (
        isinstance(value, numbers.Real)
        and not isinstance(value, (bool, np.bool_))
        and math.isfinite(value)
    )


def _one_of(*names: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in names


def _is_start(value: Any) -> bool:
    if isinstance(value, str):
        return value in INIT_NAMES
    # An array, or rows in sequences; whether they make one is seen by `check_init`.
    shaped = isinstance(value, Sequence) or np.ndim(value) > 0
    return callable(value) or hasattr(value, "cluster_centers_") or shaped


def _are_callables(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, (list, tuple)) and all(map(callable, value))


def _is_size(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, str):
        try:
            return parse_bytes(value) >= 0
        except (ValueError, OverflowError):
            return False
    return _is_integer(value) and value >= 0


def _is_seed(value: Any) -> bool:
    # What sklearn.utils.check_random_state takes.
    if _is_integer(value):
        return 0 <= value < 2**32
    return value is None or value is np.random or isinstance(value, np.random.RandomState)


RULES: dict[str, Rule] = {
    "n_clusters": Rule(lambda v: _is_integer(v) and v >= 1, "an int >= 1", "8"),
    "init": Rule(
        _is_start,
        "one of " + ", ".join(map(repr, INIT_NAMES)) + ", an array of shape (n_clusters, "
        "n_features), a fitted KMeans or a callable(X, n_clusters, random_state)",
        "'k-means||'",
    ),
    "n_init": Rule(lambda v: v == "auto" if isinstance(v, str) else _is_integer(v) and v >= 1,
                   "'auto' or an int >= 1", "'auto'"),
    "max_iter": Rule(lambda v: _is_integer(v) and v >= 1, "an int >= 1", "300"),
    "tol": Rule(lambda v: _is_real(v) and v >= 0,
                "a number >= 0, the share of rows whose label may still change", "1e-4"),
    "oversampling_factor": Rule(
        lambda v: v == "auto" if isinstance(v, str) else _is_real(v) and v > 0,
        "'auto' or a number > 0", "'auto'",
    ),
    "init_rounds": Rule(lambda v: v == "auto" if isinstance(v, str) else _is_integer(v) and v >= 1,
                        "'auto' or an int >= 1", "'auto'"),
    "algorithm": Rule(_one_of("auto", "lloyd"), "'auto' or 'lloyd'", "'auto'"),
    "metric": Rule(_one_of("euclidean"), "'euclidean'", "'euclidean'"),
    "nan": Rule(_one_of("raise", "skip"), "'raise' or 'skip'", "'raise'"),
    "random_state": Rule(_is_seed, "None, an int from 0 to 2**32 - 1 or a numpy random state, "
                         "numpy.random.RandomState(seed)", "0"),
    "verbose": Rule(lambda v: isinstance(v, (bool, np.bool_)) or (_is_integer(v) and v >= 0),
                    "a bool or an int >= 0", "1"),
    "callbacks": Rule(_are_callables, "None or a list of callables, each taking an IterationRecord",
                      "[print]"),
    "checkpoint": Rule(lambda v: v is None or isinstance(v, (str, os.PathLike)),
                       "None, a path or a URL", "'fit.checkpoint'"),
    "memory_budget": Rule(
        _is_size, "None, bytes as an int >= 0, or a text such as '2 GiB'", "'2 GiB'"
    ),
}  # fmt: skip
"""What each parameter may be; what depends on the data is checked with the data."""


def check_parameters(estimator: Any) -> None:
    """Raise ParameterError for the first parameter of `estimator` that breaks its rule."""
    for name, rule in RULES.items():
        value = getattr(estimator, name)
        if name == "init" and hasattr(value, "fit") and not hasattr(value, "cluster_centers_"):
            raise ParameterError(
                f"The 'init' parameter is a {type(value).__name__} that is not fitted yet. "
                "Type init=other.fit(X)"
            )
        if not rule.holds(value):
            raise ParameterError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {rule.needed}. "
                f"Got {_given(value)} instead. Type {name}={rule.example}"
            )


# -------------------------------------------------------------------------------------- the cluster

_GO_ON = (
    "With checkpoint=URL (--checkpoint, --resume) a fit goes on from its last iteration instead of "
    "starting anew"
)


def workers_lost_error(times: int, task: str) -> ClusterError:
    """For a task whose worker died each time that it was tried."""
    return ClusterError(
        f"The cluster gave up after {times} workers died over the same task, {task}: most often "
        "for want of memory. Give workers more memory or fewer threads, for example "
        f"LocalCluster(memory_limit='4 GiB', threads_per_worker=1). {_GO_ON}"
    )


def client_closed_error() -> ClusterError:
    return ClusterError(
        "The dask.distributed client was closed, or lost its scheduler, while it was in use. Keep "
        f"it open until the work is done: with Client(...): model.fit(X). {_GO_ON}"
    )


def cancelled_error() -> ClusterError:
    return ClusterError(
        "The tasks were cancelled on the cluster (Client.cancel, Client.restart, or a source whose "
        f"futures were released). Start them again. {_GO_ON}"
    )


# ------------------------------------------------------------------------------------------ wording


def _given(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def _shape(shape: Sequence[int]) -> str:
    return str(tuple(int(size) if size == size else "nan" for size in shape)).replace("'", "")


def _brief(chunks: Any) -> str:
    chunks = tuple(chunks)
    shown = ", ".join(map(str, chunks[:4]))
    return f"({shown}{', ...' if len(chunks) > 4 else ''}; {len(chunks)} in all)"


def _listing(names: Iterable[Any], limit: int = 30) -> str:
    names = list(names)
    shown = ", ".join(map(repr, names[:limit])) or "none"
    return shown + (f", ... ({len(names)} in all)" if len(names) > limit else "")


def _outside() -> int:
    """Stack level of the first frame outside this package: warnings show the user's line."""
    package = __name__.partition(".")[0]
    frame = inspect.currentframe()
    level = 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(package):
        level, frame = level + 1, frame.f_back
    return level
