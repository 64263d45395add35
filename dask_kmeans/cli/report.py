"""What a command leaves to be read: a table for people, JSON for programs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.cli.streams import hand_over
from dask_kmeans.result import FittedModel
from dask_kmeans.statistics import balance
from dask_kmeans.write import jsonable, staged

ROWS, COLUMNS = 20, 8
"""Clusters and features of a table at most; --json has them all."""


def write_report(content: dict[str, Any], url: str | None, overwrite: bool) -> None:
    """Write a report as JSON, to stdout for "-", nowhere for None."""
    if url is None:
        return
    shown = {
        name: checks.shown_url(value) if isinstance(value, str) else value
        for name, value in content.items()
    }
    text = json.dumps(jsonable(shown), indent=2, allow_nan=False) + "\n"
    if url == "-":
        hand_over(text)
        return
    with staged(url, overwrite=overwrite) as path, open(path, "w", encoding="utf-8") as file:
        file.write(text)


def table(model: FittedModel) -> str:
    """The clusters of a model, one a line, with centers in the unit of the data."""
    centers = model.cluster_centers
    names = model.feature_names or tuple(f"x{j}" for j in range(centers.shape[1]))
    header = ["cluster", "rows", *names[:COLUMNS]]
    rows = [
        [str(number), str(size), *(f"{value:.6g}" for value in center[:COLUMNS])]
        for number, (size, center) in enumerate(
            zip(model.cluster_sizes[:ROWS].tolist(), centers[:ROWS], strict=True)
        )
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in [header, *rows]]
    if len(centers) > ROWS or len(names) > COLUMNS:
        lines.append(f"... {len(centers)} clusters of {len(names)} features")
    return "\n".join(lines)


def _scaled(model: FittedModel) -> str:
    """What is done to features before they are compared."""
    if model.standardization is None:
        return ""
    standardized = model.parameters.get("standardize", True)
    return ", standardized" if standardized else ", by their weights"


def summary(model: FittedModel) -> str:
    """What a fit found, in a few lines."""
    n_clusters, n_features = model.cluster_centers.shape
    coarse, fraction = model.coarsening, model.parameters.get("fit_fraction", 1.0)
    return "\n".join(
        [
            f"{n_clusters} clusters, {np.sum(model.cluster_sizes)} rows of {n_features} features"
            + _scaled(model)
            + (f", by {model.metric}" if model.metric != "euclidean" else "")
            + ("" if coarse is None else f", made of {len(coarse.parent)} finer ones")
            + ("" if model.tree is None else ", leaves of a tree")
            + (f", fitted to a share of {fraction} of the rows" if fraction < 1 else ""),
            f"inertia {model.inertia!r}, {model.n_iter} iterations, {model.n_passes} passes",
            str(balance(model.cluster_sizes)),
            checks.stop_reason_for_shell(model.stop_reason),
            table(model),
        ]
    )
