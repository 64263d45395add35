"""What is wrong with the parameters of the estimator."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from dask.utils import parse_bytes

from dask_kmeans.checks.errors import ParameterError
from dask_kmeans.checks.wording import ESTIMATOR, for_shell, given_text, text, typed

INIT_NAMES = (
    "k-means||", "k-means++", "random", "random_partition", "random_pairs", "random_box",
)  # fmt: skip


LARGEST_SEED = 2**64 - 1
"""What the counter-based random numbers of the kernels take: 64 bits."""


class Rule(NamedTuple):
    """What a parameter may be: the one rule of the estimator and of the command line."""

    holds: Callable[[Any], bool]
    needed: str
    example: str
    """A value as Python's source spells it."""


def _is_integer(value: Any) -> bool:
    if type(value) is int:  # which an abstract class takes long to find out
        return True
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


def _are_columns(value: Any) -> bool:
    """Whether it is None, the name of a column, several, or several with their categories."""
    if value is None or isinstance(value, str):
        return True
    if isinstance(value, Mapping):
        given = [each for each in value.values() if each is not None]
        if not all(isinstance(each, list | tuple) and len(each) for each in given):
            return False
    elif not isinstance(value, list | tuple):
        return False
    return all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _are_weights(value: Any) -> bool:
    """Whether it may be weights of features: their numbers are seen when the data is."""
    if value is None or isinstance(value, Mapping):
        return True
    return not isinstance(value, str) and np.ndim(value) > 0


def _is_seed(value: Any) -> bool:
    if _is_integer(value):
        return 0 <= value <= LARGEST_SEED
    kinds = np.random.RandomState, np.random.Generator
    return value is None or value is np.random or isinstance(value, kinds)


RULES: dict[str, Rule] = {
    "n_clusters": Rule(lambda v: _is_integer(v) and v >= 1, "an int >= 1", "8"),
    "init": Rule(
        _is_start,
        "one of " + ", ".join(map(repr, INIT_NAMES)) + ", an array of shape (n_clusters, "
        "n_features), a fitted KMeans or a callable(X, n_clusters, random_state)",
        "'k-means||'",
    ),
    "n_init": Rule(lambda v: v == "auto" if isinstance(v, str) else _is_integer(v) and v >= 1,
                   typed("'auto' or an int >= 1", "auto or an int >= 1"), "'auto'"),
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
    "metric": Rule(_one_of("euclidean", "cosine"),
                   typed("'euclidean' or 'cosine'", "euclidean or cosine"), "'cosine'"),
    "standardize": Rule(lambda v: isinstance(v, (bool, np.bool_)), "True or False", "True"),
    "nan": Rule(_one_of("raise", "skip"), typed("'raise' or 'skip'", "raise or skip"), "'skip'"),
    "nodata": Rule(
        lambda v: v is None or (isinstance(v, (bool, np.bool_)) and not v) or _is_real(v),
        typed("None, False, or the finite number that stands for no value (for NaN: nan='skip')",
              "the finite number that stands for no value (for NaN: --nan skip)"), "-9999",
    ),
    "feature_weight": Rule(
        _are_weights,
        "None, an array or DataArray with a number above 0 for each feature, or such numbers by "
        "the names of features",
        "None",
    ),
    "fit_fraction": Rule(lambda v: _is_real(v) and 0 < v <= 1,
                         "a number above 0 and at most 1, the share of the rows that the fit looks "
                         "at", "0.9"),
    "random_state": Rule(
        _is_seed,
        typed("None, an int from 0 to 2**64 - 1, a numpy.random.Generator or a "
              "numpy.random.RandomState", "an int from 0 to 2**64 - 1"),
        "0",
    ),
    "verbose": Rule(lambda v: isinstance(v, (bool, np.bool_)) or (_is_integer(v) and v >= 0),
                    "a bool or an int >= 0", "1"),
    "callbacks": Rule(_are_callables, "None or a list of callables, each taking an IterationRecord",
                      "[print]"),
    "checkpoint": Rule(lambda v: v is None or isinstance(v, (str, os.PathLike)),
                       "None, a path or a URL", "'fit.checkpoint'"),
    "one_hot": Rule(
        _are_columns,
        "None, the names of columns of categories, or these with a list of the categories of each",
        "None",
    ),
    "memory_budget": Rule(
        _is_size, "None, bytes as an int >= 0, or a text such as '2 GiB'", "'2 GiB'"
    ),
}  # fmt: skip
"""What each parameter may be; what depends on the data is checked with the data."""


def check_parameters(estimator: Any) -> None:
    """Raise ParameterError for the first parameter of `estimator` that breaks its rule."""
    for name, rule in RULES.items():
        if not hasattr(estimator, name):
            continue  # estimators have those parameters that mean something to them
        value = getattr(estimator, name)
        if name == "init" and hasattr(value, "fit") and not hasattr(value, "cluster_centers_"):
            raise ParameterError(
                text(
                    f"The 'init' parameter is a {type(value).__name__} that is not fitted yet. "
                    f"Type {ESTIMATOR}(init=init.fit(X))"
                )
            )
        if not rule.holds(value):
            raise parameter_error(name, value, type(estimator).__name__)
    if estimator.metric == "cosine" and getattr(estimator, "feature_weight", None) is not None:
        raise ParameterError(
            text(
                "metric='cosine' compares unit vectors, which would be none after feature_weight. "
                f"Multiply the features yourself, or type {ESTIMATOR}(feature_weight=None)"
            )
        )
    if estimator.metric == "cosine" and estimator.standardize:
        raise ParameterError(
            text(
                "metric='cosine' compares directions as seen from the origin, and standardize=True "
                f"would move that to the mean. Type {ESTIMATOR}(metric='cosine')"
            )
        )


def check_partial_fit(estimator: Any) -> None:
    """Raise ParameterError for a parameter that has no meaning where rows come in batches."""
    whys = {
        "standardize": (False, "needs the means and deviations of rows that are still to come"),
        "feature_weight": (None, "would have to weight the rows before, too"),
        "fit_fraction": (1.0, "draws from rows that come together"),
        "checkpoint": (None, "keeps the state of one fit; between batches, save the model"),
    }
    for name, (neutral, why) in whys.items():
        given = getattr(estimator, name)
        if given is not neutral and (neutral is None or given != neutral):
            raise ParameterError(
                text(
                    f"partial_fit takes no {name}, which {why}. Type "
                    f"{ESTIMATOR}({name}={neutral!r})"
                )
            )


def check_every_feature(missing: np.ndarray) -> None:
    """Raise ValueError for features (bool, each) of which a batch, or the fit before, has no value.

    A fit leaves them out; batches would leave out other ones.
    """
    if missing.any():
        raise ValueError(
            text(
                "partial_fit needs some value of every feature in each batch, and feature "
                f"{int(np.argmax(missing))} has none. Leave it out of all batches"
            )
        )


def parameter_error(name: str, given: Any, owner: str = ESTIMATOR) -> ParameterError:
    """For a value that breaks the rule of the parameter `name`."""
    needed, example = RULES[name].needed, RULES[name].example
    command = f"--{name.replace('_', '-')} " + example.strip("'")
    return ParameterError(
        text(
            typed(
                f"The {name!r} parameter of {owner} must be {needed}. Got {given_text(given)} "
                f"instead. Type {owner}({name}={example})",
                f"{given} is not {for_shell(needed)}. Type {command}",
            )
        )
    )
