"""What commands do that start from a model."""

from __future__ import annotations

from typing import Any

from dask_kmeans.estimator import load_model
from dask_kmeans.fitted import FittedClusters
from dask_kmeans.read import Source, open_source


def model_for(url: str, nan: str | None) -> FittedClusters:
    """The model at a path or URL; `nan` is as it was fitted where it is None."""
    model = load_model(url)
    if nan is not None:
        model.set_params(nan=nan)
    return model


def source_for(model: FittedClusters, source: str, features: dict[str, Any]) -> Source:
    """What lies at `source`: the columns that the model was fitted to, unless others are chosen.

    `features` go to `open_source`.
    """
    if features["columns"] is None and not features["exclude"]:
        features = features | {"columns": model._fitted_columns()}
    else:
        features = features | {"one_hot": model._fitted_columns().categories}
    return open_source(source, **features)
