"""What a fit is to do: the parameters of an estimator as those of the loop and of a checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from dask.utils import parse_bytes
from sklearn.utils import check_random_state

from dask_kmeans import checks
from dask_kmeans.parameters import FitParameters
from dask_kmeans.read import Points, feature_weights
from dask_kmeans.write.checkpoint import CheckpointFile

RESTARTS_OF_PLAIN_DRAWS = 10
"""Restarts with n_init="auto" where seeds are drawn without a look at the distances."""


def fit_parameters(models: Sequence[Any], X: Any, points: Points) -> FitParameters:
    """What `KMeans` that differ in n_clusters alone, with checked parameters, are to do with X."""
    model = models[0]
    init, n_init = model.init, model.n_init
    if hasattr(init, "cluster_centers_"):
        init = init.cluster_centers_
    if callable(init):
        init = _BoundInit(init, X, model.random_state)
    elif not isinstance(init, str):
        init = checks.check_init(init, model.n_clusters, points.n_features)
    if n_init == "auto":
        plain = callable(init) or (isinstance(init, str) and init.startswith("random"))
        n_init = RESTARTS_OF_PLAIN_DRAWS if plain else 1
    elif isinstance(init, np.ndarray) and n_init > 1:
        checks.warn_single_start(n_init)
        n_init = 1
    return FitParameters(
        n_clusters=tuple(int(each.n_clusters) for each in models),
        init=init,
        n_init=int(n_init),
        max_iter=int(model.max_iter),
        tol=float(model.tol),
        oversampling_factor=_unless_auto(model.oversampling_factor),
        init_rounds=_unless_auto(model.init_rounds),
        nan=model.nan,
        metric=model.metric,
        standardize=bool(model.standardize),
        feature_weight=feature_weights(model.feature_weight, points),
        fit_fraction=float(model.fit_fraction),
        memory_budget=parse_bytes(str(model.memory_budget)) if model.memory_budget else 0,
        accelerated=model.algorithm == "auto" and isinstance(init, str),
        bounded=model.algorithm != "lloyd",
        seed=_seed(model.random_state),
        thresholds=model._thresholds,
    )


def checkpoint_file(model: Any, parameters: FitParameters) -> CheckpointFile | None:
    """Where the fit of a `KMeans` keeps its state, if anywhere."""
    if model.checkpoint is None:
        return None
    decisive = dataclasses.asdict(parameters)
    del decisive["bounded"]  # which rows are looked at has no say in the result
    (decisive["n_clusters"],) = parameters.n_clusters  # sweeps keep no checkpoint
    del decisive["memory_budget"]  # what is kept has no say in the result
    del decisive["thresholds"]
    if model.random_state is None:
        del decisive["seed"]  # drawn anew by each fit; the state that is kept has its own
    if parameters.feature_weight is None:
        del decisive["feature_weight"]
    else:
        decisive["feature_weight"] = parameters.feature_weight.tolist()
    if not isinstance(parameters.init, str):
        decisive["init"] = _name_of_init(parameters.init)
    return CheckpointFile(model.checkpoint, decisive)


class _BoundInit:
    """A caller's `init(X, n_clusters, random_state)`, bound to its X and its random state."""

    def __init__(self, function: Callable, X: Any, random_state: Any):
        self._X, self.function = X, function
        self._random_state = np.random.RandomState(_seed(random_state) % 2**32)

    def __call__(self, n_clusters: int) -> Any:
        return self.function(self._X, n_clusters, random_state=self._random_state)


def _unless_auto(value: Any) -> Any:
    return None if isinstance(value, str) and value == "auto" else value


def _seed(random_state: Any) -> int:
    """64 random bits: an int as it is, or the next draw of a generator."""
    if isinstance(random_state, numbers.Integral):
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    return int(check_random_state(random_state).randint(2**63, dtype=np.int64))


def _name_of_init(init: np.ndarray | _BoundInit) -> str:
    """What a checkpoint keeps of starting centers, or of the function that makes them."""
    if isinstance(init, np.ndarray):
        return f"array {hashlib.sha256(init.tobytes()).hexdigest()}"
    return f"callable {getattr(init.function, '__qualname__', type(init.function).__qualname__)}"
