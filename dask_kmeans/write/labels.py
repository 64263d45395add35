"""Labels to a file or a store, in the format that the name ends in.

| ending     | what is written                               | lazy labels                      |
|------------|-----------------------------------------------|----------------------------------|
| `.zarr`    | an int32 array; of a DataArray a dataset with | by the workers, in parallel      |
|            | dimensions and coordinates                    |                                  |
| `.parquet` | a column `label`, after the index of a Series | a folder, a part a block, by the |
|            |                                               | workers (in memory: one file)    |
| `.csv`     | the same                                      | one file, block after block      |
| `.npy`     | an int32 array                                | one file, block after block      |

Rows keep their order. Lazy labels are computed here for the first time, a few blocks at a time, and
never lie in memory whole. Tables of the labels of a store (`write_rows`) may have more columns, and
are written by the workers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from dask_kmeans import checks
from dask_kmeans.read.carry import Carry
from dask_kmeans.read.stored import Streams
from dask_kmeans.write.follow import followed, followed_rows
from dask_kmeans.write.place import Output, check_output
from dask_kmeans.write.tally import Tally

ENDINGS = (".zarr", ".parquet", ".csv", ".npy")


def write_labels(labels: Any, url: str | os.PathLike, overwrite: bool = False) -> int:
    """Write labels to a local path or any fsspec URL, whole or not at all.

    Parameters
    ----------
    labels : ndarray, dask array, pandas or dask Series, or xarray.DataArray of int32
        As `predict` returns them.
    url : str
        Ends in .zarr, .parquet, .csv or .npy.
    overwrite : bool, default=False
        Whether to replace what is there.

    Returns
    -------
    int
        How many labels were written.

    Raises
    ------
    ValueError
        For another ending, or labels that have no form in that format.
    FileExistsError
        If something is there and `overwrite` is False, or a folder that this package did not write.
    """
    return write_and_count(labels, url, overwrite).n_rows


def write_and_count(labels: Any, url: str | os.PathLike, overwrite: bool = False) -> Tally:
    """As `write_labels`, also of labels with distances.

    Returns
    -------
    Tally
        With sizes and inertia where `labels` are `predict.LABELLED`.
    """
    place = check_labels_output(url, overwrite=overwrite)
    ending = _ending(place)
    if _is_data_array(labels):
        if ending == ".zarr":
            from dask_kmeans.write.to_dataset import write_dataset

            with followed(labels.data) as data:
                return write_dataset(labels.copy(data=data), place.url, overwrite)
        labels = labels.data
    if labels.ndim != 1 and ending in (".parquet", ".csv"):
        raise checks.labels_dimensions_error(place.url, labels.ndim)
    with followed(labels) as labels:
        return _writer(ending)(labels, place.url, overwrite)


def write_rows(
    streams: Streams,
    url: str | os.PathLike,
    overwrite: bool = False,
    *,
    with_distance: bool = False,
    partitions: int | None = None,
) -> Tally:
    """Labels of a store as a table, after the columns that the store carries.

    Parameters
    ----------
    streams : read.stored.Streams
        Of `predict.LABELLED`.
    url : str
        Ends in .parquet or .csv.
    overwrite : bool, default=False
    with_distance : bool, default=False
        Whether a column of distances comes after that of labels.
    partitions : int, optional
        Number of clusters, each of which gets a folder of its own: of Parquet.
    """
    place = check_labels_output(url, overwrite=overwrite)
    from dask_kmeans.write import row_table

    with followed_rows(streams.blocks) as work:
        table = row_table.RowTable(streams, with_distance, work)
        if partitions is not None:
            from dask_kmeans.write.partitions import write_partitions

            return write_partitions(table, place.url, overwrite, partitions)
        write = row_table.write_csv if _ending(place) == ".csv" else row_table.write_parquet
        return write(table, place.url, overwrite)


def check_labels_output(url: str | os.PathLike, *, overwrite: bool = False) -> Output:
    """The place for labels; raises as `write_labels` would, before there are labels."""
    if _ending(Output(url)) not in ENDINGS:
        raise checks.output_format_error(os.fspath(url), "labels", ENDINGS)
    return check_output(url, overwrite=overwrite)


def check_carried(carry: Carry, url: str | os.PathLike) -> None:
    """Raise for columns that cannot be written to `url` beside labels."""
    import pyarrow as pa

    if _ending(Output(url)) != ".csv":
        return
    for column in carry.schema:
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            raise checks.no_text_column_error(column.name, str(column.type), os.fspath(url))


def _writer(ending: str) -> Callable[[Any, str, bool], Tally]:
    """What writes this format; its libraries are imported only now."""
    if ending == ".zarr":
        from dask_kmeans.write.to_zarr import write_zarr

        return write_zarr
    if ending == ".npy":
        from dask_kmeans.write.to_npy import write_npy

        return write_npy
    from dask_kmeans.write import to_table

    return to_table.write_parquet if ending == ".parquet" else to_table.write_csv


def _ending(place: Output) -> str:
    return PurePosixPath(place.path).suffix.lower()


def _is_data_array(labels: Any) -> bool:
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(labels, xarray.DataArray)
