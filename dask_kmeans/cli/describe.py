"""`dask-kmeans describe`: a model, any rows -> what its clusters are like."""

from __future__ import annotations

import time
from typing import Any

import pandas as pd

from dask_kmeans import __version__
from dask_kmeans.cli.cluster import peak_memory, tasks_on
from dask_kmeans.cli.codes import DONE
from dask_kmeans.cli.fitted import model_for, source_for
from dask_kmeans.cli.log import logger
from dask_kmeans.cli.outputs import Outputs
from dask_kmeans.cli.report import write_report
from dask_kmeans.cli.streams import hand_over
from dask_kmeans.describe import Clusters
from dask_kmeans.write import staged


def run(
    source: str,
    model: str,
    top: int,
    features: dict[str, Any],
    nan: str | None,
    cluster: dict[str, Any],
    outputs: Outputs,
) -> int:
    """Do it, on the `cluster` that `tasks_on` makes; returns the exit code.

    `features` go to `open_source`; `nan` is that of the model where it is None.
    """
    start, report = time.perf_counter(), outputs.report
    outputs.check()
    estimator = model_for(model, nan)
    with tasks_on(**cluster) as client:
        logger.info("describing the clusters of %s", source)
        rows = source_for(estimator, source, features)
        if outputs.keep:
            rows = rows.carrying(outputs.keep)
        clusters = estimator.describe(rows, top=top)
        content = {
            "command": "describe",
            "version": __version__,
            "source": source,
            "model": model,
            **clusters.to_dict(),
            "peak_memory": peak_memory(client),
            "seconds": time.perf_counter() - start,
        }
    if report is not None and report.lower().endswith(".parquet"):
        with staged(report, overwrite=outputs.overwrite) as path:
            as_one_table(clusters).to_parquet(path, index=False)
    else:
        write_report(content, report, outputs.overwrite)
    if not outputs.quiet and report != "-":
        hand_over(f"{clusters!r}\n")
    return DONE


def as_one_table(clusters: Clusters) -> pd.DataFrame:
    """The table of clusters, with what there is of the nearest and farthest rows as lists.

    `nearest_row`, `nearest_distance` and one for each kept column, by rank; the same of `farthest`.
    """
    table = clusters.table.copy()
    for name, rows in (("nearest", clusters.nearest), ("farthest", clusters.farthest)):
        groups = dict(list(rows.groupby("cluster")))
        for column in rows.columns.drop(["cluster", "rank"]):
            table[f"{name}_{column}"] = [
                groups[cluster][column].tolist() if cluster in groups else []
                for cluster in table.index
            ]
    return table.reset_index()
