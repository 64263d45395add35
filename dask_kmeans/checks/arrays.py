"""What is wrong with arrays: dimensions, dtypes, values."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dask_kmeans.checks.errors import DataChangedError, NonFiniteError
from dask_kmeans.checks.wording import ESTIMATOR, SKIP_NAN, listing, sizes, text, typed


def check_two_dimensional(shape: Sequence[int], what: str = "array") -> None:
    """Raise ValueError unless `shape` is that of rows and features."""
    if len(shape) == 2:
        return
    if len(shape) == 0:
        raise ValueError(
            text(
                "Expected 2D array, got scalar array instead. Give one row a sample and one column "
                "a feature",
                typed(": type np.reshape(X, (1, 1))", ""),
            )
        )
    if len(shape) == 1:
        raise ValueError(
            text(
                f"Expected 2D array, got 1D array instead ({what} of shape {sizes(shape)}). ",
                typed(
                    "Reshape your data: type X.reshape(-1, 1) if it has a single feature, "
                    "type X.reshape(1, -1) if it is a single sample.",
                    "Store one row a sample and one column a feature",
                ),
            )
        )
    raise ValueError(
        text(
            f"Found {what} with dim {len(shape)} (shape={sizes(shape)}): {ESTIMATOR} expected <= "
            "2, samples and features. ",
            typed(
                "Say which axis holds the features: type X.reshape(-1, X.shape[-1]) if it is the "
                "last. Then labels.reshape(X.shape[:-1]) gives labels their shape back.",
                "Store one row a sample and one column a feature",
            ),
        )
    )


def needs_feature_dim_error(sizes: Mapping[Any, int], likely: Any, given: Any = None) -> ValueError:
    """For labelled arrays of which it is not said, or wrongly said, where the features lie.

    likely : what `feature_dim` might be.
    """
    dims = ", ".join(f"{name} ({size})" for name, size in sizes.items())
    if given is not None:
        what = "some of the dimensions" if isinstance(given, list | tuple) else "a dimension"
        return ValueError(
            text(
                typed(f"feature_dim={given!r}", _dim_option(given)),
                f" is not {what} of X, which has {dims or 'none'} and needs at least one more for "
                "its rows. Type ",
                typed(f"{ESTIMATOR}(feature_dim={likely!r})", _dim_option(likely)),
            )
        )
    return ValueError(
        text(
            f"X has {len(sizes)} dimensions, {dims}, and nothing says which of them holds the "
            f"features. If {likely!r} does, type ",
            typed(f"{ESTIMATOR}(feature_dim={likely!r})", _dim_option(likely)),
        )
    )


def _dim_option(dims: Any) -> str:
    """Dimensions of features as the shell has them."""
    names = dims if isinstance(dims, list | tuple) else [dims]
    return f"--feature-dim {shlex.quote(','.join(map(str, names)))}"


def unused_feature_dim_error(given: Any, what: str) -> ValueError:
    return ValueError(
        text(
            typed(f"feature_dim={given!r}", _dim_option(given)),
            typed(" names a dimension of an xarray object, but X is ", " names a dimension, but "),
            f"{what}",
            typed("", " has none"),
            ": its columns are the features. ",
            typed(f"Type {ESTIMATOR}(feature_dim=None)", "Leave out --feature-dim"),
        )
    )


def feature_coordinate_error(dim: Any, fitted: np.ndarray, given: np.ndarray) -> ValueError:
    """For features along `dim` that are not where those of the fit were."""
    same = len(fitted) == len(given) and set(fitted.tolist()) == set(given.tolist())
    advice = f"Type X.sel({dim}=model.labelled_centers_[{dim!r}])"
    return ValueError(
        text(
            f"The features of X lie elsewhere than those of the fit: its coordinate {dim!r} has "
            + (f"another order. {advice}" if same else "other values. Interpolate X to those")
        )
    )


def variables_differ_error(dims: Mapping[Any, Sequence[Any]]) -> ValueError:
    listing = ", ".join(f"{name} {tuple(of)}" for name, of in dims.items())
    like = [[name for name in dims if set(dims[name]) == set(of)] for of in dims.values()]
    names = max(like, key=len)
    return ValueError(
        text(
            f"The variables of the Dataset differ in their dimensions: {listing}. They are the "
            "features of the same samples, so choose some that agree: type ",
            typed(f"X[{names!r}]", f"--columns {shlex.quote(','.join(map(str, names)))}"),
        )
    )


def check_not_empty(n_rows: int, n_features: int) -> None:
    """Raise ValueError for data without rows or without features."""
    for number, what in ((n_rows, "sample"), (n_features, "feature")):
        if number == 0:
            raise ValueError(
                text(
                    f"Found array with 0 {what}(s) (shape=({n_rows}, {n_features})) while a "
                    f"minimum of 1 is required by {ESTIMATOR}."
                )
            )


def check_numeric(dtype: np.dtype, what: str = "X") -> None:
    """Raise unless values of `dtype` are real numbers."""
    if dtype.kind in "biuf":
        return
    if dtype.kind == "c":
        raise ValueError(
            text(
                f"Complex data not supported: {what} has dtype {dtype}. Give real features, for "
                "example ",
                typed(
                    "the two parts side by side: type np.hstack([X.real, X.imag])",
                    "the two parts as columns side by side",
                ),
            )
        )
    raise not_numbers_error(f"dtype {dtype}", what)


def not_numbers_error(given: str, what: str = "X") -> TypeError:
    # "argument must be ... string ... number" is what scikit-learn's own checks look for.
    return TypeError(
        text(
            f"{what} has {given}, and every value of this argument must be a real number, not a "
            "string or another object that is no number. Encode or drop what is not numeric",
            typed(f", then type {what}.astype('float64')", ""),
        )
    )


def sparse_error(given: Any, in_chunks: bool = False) -> TypeError:
    """For sparse data; `in_chunks`: the chunks of a dask array are sparse."""
    of_blocks = "X.map_blocks(lambda rows: rows.toarray(), dtype=X.dtype)"
    dense = of_blocks if in_chunks else "X.toarray()"
    return TypeError(
        text(
            f"Sparse data was passed ({type(given).__name__}), but dense data is required. Where "
            f"it fits in memory, type {dense}"
        )
    )


def unknown_collection_error(given: Any) -> TypeError:
    advice = (
        "Type X.to_frame()"
        if hasattr(given, "to_frame")
        else "dask.array.from_delayed makes one of a Delayed, dask.dataframe.from_delayed of many"
    )
    return TypeError(
        text(
            f"X is a dask {type(given).__name__}; a dask array or DataFrame of rows and features "
            f"is needed. {advice}"
        )
    )


def ragged_error(reason: Any) -> ValueError:
    return ValueError(
        text(f"X cannot be made an array: {reason}. Every row needs the same number of features")
    )


def matrix_error() -> TypeError:
    return TypeError(text("np.matrix is not supported. Type np.asarray(X)"))


def masked_error(what: str = "X") -> TypeError:
    """For masked values in the argument `what`: X, sample_weight or init."""
    fill = "0" if what == "sample_weight" else "np.nan"
    filled = (
        f"Type np.ma.array({what}, float).filled({fill}), or of a dask array type "
        f"dask.array.ma.filled({what}.astype(float), {fill})"
    )
    advice = {
        "X": f"{filled}, together with {SKIP_NAN}, which leaves masked rows out",
        "sample_weight": f"{filled}, which leaves masked rows out",
        "init": "Each starting center needs all its values",
    }
    return TypeError(
        text(f"A masked array was given as {what}, whose mask would be lost. {advice[what]}")
    )


def unknown_columns_error(what: str) -> ValueError:
    return ValueError(
        text(
            f"The number of features of {what} is unknown (its shape has a nan). "
            "Type X.compute_chunk_sizes() first"
        )
    )


NO_DIRECTION = float(np.array(0x7FF8000000000D1F).view(np.float64))
"""The NaN that stands for all features of a row of zeros where directions are compared."""

NO_VALUE = float(np.array(0x7FF8000000000D1E).view(np.float64))
"""The NaN that stands for nodata: its row is left out, whatever is to be done about other NaN."""


def declared_nodata_text(declared: Sequence[Mapping[float, str]]) -> str:
    """For numbers (of each feature, or of all) that the data itself says to stand for no value."""
    said = {number: name for numbers in declared for number, name in numbers.items()}
    numbers = ", ".join(f"{number!r} ({name})" for number, name in said.items())
    return text(
        f"{numbers} stands for no value, as attributes of X say: rows with it are left out (label "
        "-1); nodata=False counts them"
    )


def non_finite_error(
    row: int | str, column: int, value: float, feature_names: Sequence[str] | None
) -> NonFiniteError:
    """For the first `value` of X that is NaN or infinite; `row` as `read.RowName` names it."""
    if np.float64(value).tobytes() == np.float64(NO_DIRECTION).tobytes():
        return NonFiniteError(
            text(
                f"Row {row} of X is a row of zeros, which has no direction for metric='cosine' to "
                "compare. To leave such rows out (label -1) type ",
                SKIP_NAN,
            )
        )
    where = f"row {row}, column {column}"
    if feature_names is not None:
        where += f" ({feature_names[column]!r})"
    if np.isnan(value):
        return NonFiniteError(
            text(
                f"Input X contains NaN: the first is at {where}. To leave rows with NaN out (label "
                "-1) type ",
                SKIP_NAN,
                "; otherwise fill them",
                typed(", for example with sklearn.impute.SimpleImputer", ""),
            )
        )
    return NonFiniteError(
        text(
            f"Input X contains infinity: the first inf is at {where}. Replace it, or turn it into "
            "NaN and type ",
            SKIP_NAN,
        )
    )


def features_left_out_text(missing: Sequence[int], names: Sequence[str] | None) -> str:
    """For features (by position) of which the data has no value."""
    shown = listing((at if names is None else names[at] for at in missing), limit=10)
    return text(
        f"{len(missing)} feature(s) without any value are left out; centers have NaN there: {shown}"
    )


def check_squares(minimum: np.ndarray, maximum: np.ndarray) -> None:
    """Raise ValueError for features whose squares are beyond float64, by their ranges."""
    wide = np.maximum(np.abs(minimum), np.abs(maximum)) > np.sqrt(np.finfo(np.float64).max)
    if wide.any():
        raise ValueError(
            text(
                f"Feature {int(np.argmax(wide))} is too wide to be standardized: its variance is "
                "beyond float64. Divide it by a constant first"
            )
        )


SPARE = 2.0**-20
"""Share of the largest float64 that a bound of what is to be computed may come to. It leaves room
for what is added to it on the way, such as steps beyond the range of the data."""


def check_spread(
    bound: float, minimum: np.ndarray, maximum: np.ndarray, max_weight: float | None
) -> None:
    """Raise ValueError where sums of squared distances, by a `bound` of them, pass float64.

    minimum, maximum : of the features, of all rows that count and of the starting centers.
    """
    if not bound < SPARE * sys.float_info.max:
        with np.errstate(over="ignore"):
            widest = int(np.argmax(maximum - minimum))
        heavy = max_weight is not None and max_weight > 1
        raise ValueError(
            text(
                f"Feature {widest} of the data (or of init) has values from {minimum[widest]:.3g} "
                f"to {maximum[widest]:.3g}: sums of squared distances would be beyond the largest "
                f"float64, 1.8e308. Rescale the features{', or the weights' if heavy else ''}",
                typed(": type X / abs(X).max()", ""),
            )
        )


def check_finite_inertia(inertia: float) -> None:
    """Raise ValueError for an inertia that is beyond float64."""
    if not np.isfinite(inertia):
        raise ValueError(
            text(
                f"The inertia is {inertia}: squared distances of rows to their centers are beyond "
                "the largest float64, 1.8e308. Rescale the features, or drop rows that lie that "
                "far away"
            )
        )


def data_changed_error(what: str) -> DataChangedError:
    """For data that is no longer what it was when it was first read; `what` says how it shows."""
    return DataChangedError(
        text(
            f"The data changed while it was read: {what}. The result would be of neither state. "
            "Fit again once nothing writes to it, or give a copy",
            typed(": type X.copy()", ""),
        )
    )
