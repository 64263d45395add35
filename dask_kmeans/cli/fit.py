"""`dask-kmeans fit`: outputs checked -> read -> fit -> written."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from dask_kmeans import __version__, checks
from dask_kmeans.cli.cluster import peak_memory, tasks_on
from dask_kmeans.cli.codes import DONE, UNCONVERGED, Stopped
from dask_kmeans.cli.labels import carrying, write
from dask_kmeans.cli.log import logger, progress
from dask_kmeans.cli.outputs import Outputs
from dask_kmeans.cli.report import summary, write_report
from dask_kmeans.cli.streams import say, warn
from dask_kmeans.estimator import KMeans
from dask_kmeans.pages import write_page
from dask_kmeans.read import open_source
from dask_kmeans.result import FittedModel
from dask_kmeans.statistics import balance
from dask_kmeans.write import check_output, save_model
from dask_kmeans.write.place import Output


class Kept(NamedTuple):
    """Where the state of a fit is kept, and whether one that is there is gone on from."""

    checkpoint: str | None
    resume: bool


def run(
    source: str,
    model: str,
    features: dict[str, Any],
    parameters: dict[str, Any],
    cluster: dict[str, Any],
    outputs: Outputs,
    kept: Kept,
    require_convergence: bool,
) -> int:
    """Do it, on the `cluster` that `tasks_on` makes, with the `parameters` of `KMeans`.

    `features` go to `open_source`. Returns the exit code.
    """
    start, checkpoint = time.perf_counter(), kept.checkpoint
    if _goes_on(kept):
        # The state goes last of all: where it is, outputs that are there are of the run before.
        outputs = dataclasses.replace(outputs, overwrite=True)
    check_output(model, overwrite=outputs.overwrite)
    outputs.check()
    with tasks_on(**cluster) as client:
        rows = open_source(source, **features)
        labelled = carrying(rows, outputs)
        with (
            _kept_said(checkpoint),
            contextlib.closing(progress(outputs.quiet, parameters["max_iter"])) as follow,
        ):
            estimator = KMeans(callbacks=[follow], checkpoint=checkpoint, **parameters).fit(rows)
            follow.finish(estimator.stop_reason_)
        fitted = estimator._fitted_model()
        refused = require_convergence and not fitted.converged
        if not refused:
            save_model(fitted, model, outputs.overwrite)
            if outputs.labels is not None:
                logger.info("writing labels to %s", outputs.labels)
                write(estimator, labelled, outputs)
        content = {
            "command": "fit",
            "version": __version__,
            "source": source,
            "model": None if refused else model,
            "labels": None if refused else outputs.labels,
            "html": outputs.html,
            **_told(fitted),
            "peak_memory": peak_memory(client),
            "seconds": time.perf_counter() - start,
        }
    reason = checks.stop_reason_for_shell(fitted.stop_reason)
    write_report(content, outputs.report, outputs.overwrite)
    if outputs.html is not None:
        write_page(
            estimator, outputs.html, overwrite=outputs.overwrite, source=source, reason=reason
        )
    if not outputs.quiet and outputs.report != "-":
        click.echo(summary(fitted))
    if refused:
        say(f"not converged, so no model was written: {reason}")
        return UNCONVERGED
    if not fitted.converged:
        warn(reason)
    if checkpoint is not None:
        _remove(checkpoint)
    return DONE


def _told(fitted: FittedModel) -> dict[str, Any]:
    """What a report tells of a model: everything but the centers and where their features lie."""
    fields = {field.name: getattr(fitted, field.name) for field in dataclasses.fields(fitted)}
    centers = fields.pop("cluster_centers")
    del fields["coarsening"], fields["stream"], fields["tree"]  # a fit of KMeans makes none
    del fields["features"]
    return {
        "n_rows": int(fitted.cluster_sizes.sum()),
        "n_features": centers.shape[1],
        **fields,
        **balance(fitted.cluster_sizes)._asdict(),
        "stop_reason": checks.stop_reason_for_shell(fitted.stop_reason),
    }


def _goes_on(kept: Kept) -> bool:
    """Whether there is the state of a run that has not ended, to go on from.

    Raises
    ------
    FileExistsError
        If there is one and `kept.resume` is False.
    """
    if kept.checkpoint is None or not Output(kept.checkpoint).exists():
        return False
    if not kept.resume:
        raise checks.kept_state_error(kept.checkpoint)
    return True


@contextlib.contextmanager
def _kept_said(checkpoint: str | None) -> Iterator[None]:
    """Tell who stopped the command where the state is that it can go on from."""
    try:
        yield
    except Stopped as stopped:
        if checkpoint is not None and Output(checkpoint).exists():
            stopped.kept = f"; go on from the state in {checkpoint} by --resume"
        raise


def _remove(url: str) -> None:
    """Remove the state of a fit that has ended: nothing is left to go on with."""
    place = Output(url)
    if place.exists():
        place.fs.rm_file(place.path)
