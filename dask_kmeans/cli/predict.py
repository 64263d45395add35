"""`dask-kmeans predict`: a model, new rows -> labels."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from dask_kmeans import __version__
from dask_kmeans.cli.cluster import peak_memory, tasks_on
from dask_kmeans.cli.codes import DONE
from dask_kmeans.cli.fitted import model_for, source_for
from dask_kmeans.cli.labels import carrying, write
from dask_kmeans.cli.log import logger
from dask_kmeans.cli.outputs import Outputs
from dask_kmeans.cli.report import write_report
from dask_kmeans.statistics import balance


def run(
    source: str,
    model: str,
    features: dict[str, Any],
    nan: str | None,
    cluster: dict[str, Any],
    outputs: Outputs,
) -> int:
    """Do it, on the `cluster` that `tasks_on` makes; returns the exit code.

    `features` go to `open_source`; `nan` is that of the model where it is None.
    """
    start, labels = time.perf_counter(), outputs.labels
    assert labels is not None
    outputs.check()
    estimator = model_for(model, nan)
    with tasks_on(**cluster) as client:
        rows = carrying(source_for(estimator, source, features), outputs)
        logger.info("labelling %s: writing %s", source, labels)
        # One read gives the labels and what there is to watch in them.
        tally = write(estimator, rows, outputs)
        sizes = np.zeros(len(estimator.cluster_centers_), np.int64)
        sizes[: len(tally.sizes)] = tally.sizes
        content = {
            "command": "predict",
            "version": __version__,
            "source": source,
            "model": model,
            "labels": labels,
            "n_rows": tally.n_rows,
            "n_features": estimator.n_features_in_,
            "rows_left_out": tally.n_rows - int(sizes.sum()),
            "cluster_sizes": sizes,
            **balance(sizes)._asdict(),
            "inertia": tally.inertia.value(),
            "peak_memory": peak_memory(client),
            "seconds": time.perf_counter() - start,
        }
    write_report(content, outputs.report, outputs.overwrite)
    return DONE
