"""`dask-kmeans inspect`: what is in a model."""

from __future__ import annotations

import dataclasses
import json

import click

from dask_kmeans.cli.codes import DONE
from dask_kmeans.cli.report import summary
from dask_kmeans.write import jsonable, load_fitted


def run(model: str, as_json: bool) -> int:
    """Print the model at a path or URL."""
    fitted = load_fitted(model)
    if as_json:
        click.echo(json.dumps(jsonable(dataclasses.asdict(fitted)), indent=2, allow_nan=False))
    else:
        click.echo(summary(fitted))
        click.echo(f"parameters {json.dumps(fitted.parameters)}")
    return DONE
