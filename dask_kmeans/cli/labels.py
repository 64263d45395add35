"""The labels that a command writes: with what beside them, and in which form."""

from __future__ import annotations

import contextlib

from dask_kmeans import checks
from dask_kmeans.cli.log import progress
from dask_kmeans.cli.outputs import Outputs
from dask_kmeans.estimator import KMeans
from dask_kmeans.read import Source
from dask_kmeans.write import check_carried, write_and_count, write_rows
from dask_kmeans.write.tally import Tally


def carrying(source: Source, outputs: Outputs) -> Source:
    """The source with what its labels are to have beside them.

    Columns that are kept; else, in a table of labels of several files, where each row lies.

    Raises
    ------
    ValueError
        For columns that cannot be kept, and for labels with dimensions, which are no table.
    """
    if outputs.are_a_table and source.has_dimensions:
        assert outputs.labels is not None
        raise checks.labels_no_table_error(outputs.labels, source.description)
    if outputs.keep:
        assert outputs.labels is not None
        source = source.carrying(outputs.keep)
        assert source.carry is not None
        check_carried(source.carry, outputs.labels)
        return source
    if outputs.are_a_table and source.n_files > 1:
        return source.carrying(None)
    return source


def write(estimator: KMeans, source: Source, outputs: Outputs) -> Tally:
    """Label the rows of a source, and write that: one read."""
    with contextlib.closing(progress(outputs.quiet)) as follow:
        tally = _write(estimator, source, outputs)
        follow.finish("labels are written")
    return tally


def _write(estimator: KMeans, source: Source, outputs: Outputs) -> Tally:
    assert outputs.labels is not None
    if not outputs.are_a_table:
        return write_and_count(estimator._labelled(source), outputs.labels, outputs.overwrite)
    return write_rows(
        estimator._labelled_streams(source),
        outputs.labels,
        outputs.overwrite,
        with_distance=outputs.with_distance,
        partitions=None if outputs.partition_by is None else len(estimator.cluster_centers_),
    )
