"""`dask-kmeans sweep`: outputs checked -> read -> fits -> table, report, models, picture."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import click

from dask_kmeans import __version__, checks
from dask_kmeans.cli.cluster import peak_memory, tasks_on
from dask_kmeans.cli.codes import DONE, UNCONVERGED
from dask_kmeans.cli.log import logger, progress
from dask_kmeans.cli.outputs import Outputs
from dask_kmeans.cli.report import write_report
from dask_kmeans.cli.streams import say, warn
from dask_kmeans.plot.files import write_picture
from dask_kmeans.read import open_source
from dask_kmeans.sweeps import Sweep, sweep
from dask_kmeans.write import check_output, save_models


def run(
    source: str,
    n_clusters: range,
    models: str | None,
    features: dict[str, Any],
    parameters: dict[str, Any],
    cluster: dict[str, Any],
    outputs: Outputs,
    require_convergence: bool,
) -> int:
    """Do it, on the `cluster` that `tasks_on` makes, with the `parameters` of `KMeans`.

    `features` go to `open_source`; `models` is the folder for them. Returns the exit code.
    """
    start = time.perf_counter()
    if models is not None:
        check_output(models, overwrite=outputs.overwrite)
    outputs.check()
    with tasks_on(**cluster) as client:
        rows = open_source(source, **features)
        with contextlib.closing(progress(outputs.quiet, parameters["max_iter"])) as follow:
            found = sweep(rows, n_clusters, callbacks=[follow], **parameters)
            follow.finish(found[n_clusters[-1]].stop_reason_)
        unsettled = [k for k, model in found.items() if not model.converged_]
        refused = require_convergence and bool(unsettled)
        if models is not None and not refused:
            logger.info("writing models to %s", models)
            fitted = {k: model._fitted_model() for k, model in found.items()}
            save_models(fitted, models, outputs.overwrite)
        content = {
            "command": "sweep",
            "version": __version__,
            "source": source,
            "models": None if refused else models,
            "plot": outputs.plot,
            **_told(found),
            "peak_memory": peak_memory(client),
            "seconds": time.perf_counter() - start,
        }
    write_report(content, outputs.report, outputs.overwrite)
    if outputs.plot is not None:
        write_picture(lambda ax: found.plot(ax=ax), outputs.plot, overwrite=outputs.overwrite)
    if not outputs.quiet and outputs.report != "-":
        click.echo(_summary(found, content))
    if unsettled:
        reason = checks.stop_reason_for_shell(found[unsettled[0]].stop_reason_)
        reason = f"with {', '.join(map(str, unsettled))} clusters: {reason}"
        if refused:
            say(f"not converged, so no models were written: {reason}")
            return UNCONVERGED
        warn(reason)
    return DONE


def _told(found: Sweep) -> dict[str, Any]:
    """What a report tells of a sweep."""
    fitted = next(iter(found.values()))._fitted_model()
    return {
        "n_rows": int(fitted.cluster_sizes.sum()),
        "n_features": fitted.cluster_centers.shape[1],
        "n_passes": found.n_passes,
        "feature_names": fitted.feature_names,
        "parameters": {**fitted.parameters, "n_clusters": found.n_clusters},
        "table": [
            {**row, "stop_reason": checks.stop_reason_for_shell(found[k].stop_reason_)}
            for k, row in zip(found, found.table.reset_index().to_dict("records"), strict=True)
        ],
        "elbow": found.elbow_,
        "elbow_strength": found.elbow_strength_,
        "transitions": [
            {"n_clusters": k, "next_n_clusters": following, "counts": counts}
            for (k, following), counts in found.transitions.items()
        ],
        "clustergram": found.clustergram.reset_index().to_dict("records"),
    }


def _summary(found: Sweep, content: dict[str, Any]) -> str:
    """What a sweep found, in a few lines."""
    elbow, strength = content["elbow"], content["elbow_strength"]
    return "\n".join(
        [
            f"{min(found)} to {max(found)} clusters, {content['n_rows']} rows of "
            f"{content['n_features']} features, {found.n_passes} passes",
            found.table.reset_index().to_string(
                index=False, float_format="{:.6g}".format, na_rep="-"
            ),
            f"elbow: {'none' if elbow is None else elbow} (strength {strength:.3g})",
        ]
    )
