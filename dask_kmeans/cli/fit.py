"""`dask-kmeans fit`: outputs checked -> read -> fit -> written."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import click

from dask_kmeans import __version__, checks
from dask_kmeans.cli.cluster import peak_memory, tasks_on
from dask_kmeans.cli.codes import DONE, UNCONVERGED, Stopped
from dask_kmeans.cli.log import logger, progress
from dask_kmeans.cli.report import summary, write_report
from dask_kmeans.cli.streams import say, warn
from dask_kmeans.estimator import KMeans
from dask_kmeans.read import open_source
from dask_kmeans.write import check_labels_output, check_output, save_model, write_labels
from dask_kmeans.write.place import Output


def run(
    source: str,
    model: str,
    labels: str | None,
    features: dict[str, Any],
    sample_weight: str | None,
    checkpoint: str | None,
    resume: bool,
    require_convergence: bool,
    report: str | None,
    overwrite: bool,
    quiet: bool,
    cluster: dict[str, Any],
    parameters: dict[str, Any],
) -> int:
    """Do it, on the `cluster` that `tasks_on` makes, with the `parameters` of `KMeans`.

    `features` go to `open_source`. Returns the exit code.
    """
    start = time.perf_counter()
    # The state goes last of all: where it is, outputs that are there are those of the run before.
    overwrite = overwrite or _goes_on(checkpoint, resume)
    _check_outputs(model, labels, report, overwrite)
    with tasks_on(**cluster) as client:
        rows = open_source(source, weight_column=sample_weight, **features)
        with (
            _kept_said(checkpoint),
            contextlib.closing(progress(quiet, parameters["max_iter"])) as follow,
        ):
            estimator = KMeans(callbacks=[follow], checkpoint=checkpoint, **parameters).fit(rows)
            follow.finish(estimator.stop_reason_)
        fitted = estimator._fitted_model()
        refused = require_convergence and not fitted.converged
        if not refused:
            save_model(fitted, model, overwrite)
            if labels is not None:
                logger.info("writing labels to %s", labels)
                write_labels(estimator.labels_, labels, overwrite)
        content = {
            "command": "fit",
            "version": __version__,
            "source": source,
            "model": None if refused else model,
            "labels": None if refused else labels,
            "n_rows": int(fitted.cluster_sizes.sum()),
            "n_features": rows.n_features,
            **{
                field.name: getattr(fitted, field.name)
                for field in dataclasses.fields(fitted)
                if field.name != "cluster_centers"
            },
            "stop_reason": checks.stop_reason_for_shell(fitted.stop_reason),
            "peak_memory": peak_memory(client),
            "seconds": time.perf_counter() - start,
        }
    write_report(content, report, overwrite)
    if not quiet and report != "-":
        click.echo(summary(fitted))
    reason = checks.stop_reason_for_shell(fitted.stop_reason)
    if refused:
        say(f"not converged, so no model was written: {reason}")
        return UNCONVERGED
    if not fitted.converged:
        warn(reason)
    if checkpoint is not None:
        _remove(checkpoint)
    return DONE


def _goes_on(checkpoint: str | None, resume: bool) -> bool:
    """Whether there is the state of a run that has not ended, to go on from.

    Raises
    ------
    FileExistsError
        If there is one and `resume` is False.
    """
    if checkpoint is None or not Output(checkpoint).exists():
        return False
    if not resume:
        raise checks.kept_state_error(checkpoint)
    return True


def _check_outputs(model: str, labels: str | None, report: str | None, overwrite: bool) -> None:
    """Raise for outputs that cannot be written, before hours are spent on what goes into them."""
    check_output(model, overwrite=overwrite)
    if labels is not None:
        check_labels_output(labels, overwrite=overwrite)
    if report not in (None, "-"):
        check_output(report, overwrite=overwrite)


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
