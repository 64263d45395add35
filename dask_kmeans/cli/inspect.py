"""`dask-kmeans inspect`: what is in a model."""

from __future__ import annotations

import dataclasses
import json

from dask_kmeans import checks
from dask_kmeans.cli.codes import DONE
from dask_kmeans.cli.report import summary
from dask_kmeans.cli.streams import hand_over
from dask_kmeans.write import jsonable, load_fitted


def run(model: str, as_json: bool) -> int:
    """Print the model at a path or URL."""
    fitted = load_fitted(model)
    if as_json:
        shown = json.dumps(jsonable(dataclasses.asdict(fitted)), indent=2, allow_nan=False)
    else:
        parameters = checks.shown_url(json.dumps(fitted.parameters))
        shown = f"{summary(fitted)}\nparameters {parameters}"
    hand_over(f"{shown}\n")
    return DONE
