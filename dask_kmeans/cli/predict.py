"""`dask-kmeans predict`: a model, new rows -> labels."""

from __future__ import annotations

import time
from typing import Any

from dask_kmeans import __version__
from dask_kmeans.cli.cluster import peak_memory, tasks_on
from dask_kmeans.cli.codes import DONE
from dask_kmeans.cli.log import logger, start_log
from dask_kmeans.cli.report import write_report
from dask_kmeans.estimator import load_model
from dask_kmeans.read import FittedColumns, open_source
from dask_kmeans.write import check_labels_output, check_output, load_fitted, write_labels


def run(
    source: str,
    model: str,
    labels: str,
    columns: list[str] | None,
    report: str | None,
    overwrite: bool,
    quiet: bool,
    cluster: dict[str, Any],
) -> int:
    """Do it, on the `cluster` that `tasks_on` makes; returns the exit code."""
    start = time.perf_counter()
    start_log(quiet)
    check_labels_output(labels, overwrite=overwrite)
    if report not in (None, "-"):
        check_output(report, overwrite=overwrite)
    fitted = load_fitted(model)
    estimator = load_model(model)
    with tasks_on(**cluster) as client:
        rows = open_source(source, columns or FittedColumns(fitted.feature_names, fitted.columns))
        logger.info("labelling %s: writing %s", source, labels)
        n_rows = write_labels(estimator.predict(rows), labels, overwrite)
        content = {
            "command": "predict",
            "version": __version__,
            "source": source,
            "model": model,
            "labels": labels,
            "n_rows": n_rows,
            "n_features": rows.n_features,
            "peak_memory": peak_memory(client),
            "seconds": time.perf_counter() - start,
        }
    write_report(content, report, overwrite)
    return DONE
