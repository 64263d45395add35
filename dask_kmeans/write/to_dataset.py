"""Labels with dimensions and coordinates, as an xarray dataset in Zarr."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
import zarr

from dask_kmeans.blockwise import computing, threads_of_its_own
from dask_kmeans.read.from_xarray import labelled, without_description
from dask_kmeans.write.place import (
    LABELS_ATTRIBUTES,
    ZARR_MARKER,
    filled,
    marker_last,
    zarr_store,
)
from dask_kmeans.write.stream import lazy_blocks
from dask_kmeans.write.tally import Tally, labels_of, tally_of


def write_dataset(labels: xr.DataArray, url: str, overwrite: bool) -> Tally:
    """A dataset with the variable `labels`: `xr.open_zarr(url).labels` gives the labels back.

    Where a coordinate has that name already, the variable is called `labels_`. Lazy labels, also
    with distances (`predict.LABELLED`), are written by the tasks that find them.
    """
    # Zarr wants equal chunks; labels in memory become one.
    labels = labels.chunk({dim: max(sizes) for dim, sizes in labels.chunksizes.items()})
    bare = labelled(without_description(labels), labels_of(labels.data).astype(np.int32))
    dataset = bare.to_dataset().assign_attrs(LABELS_ATTRIBUTES)
    # Zarr has no index of several levels: they become plain coordinates.
    stacked = [dim for dim in dataset.dims if isinstance(dataset.indexes.get(dim), pd.MultiIndex)]
    dataset = dataset.reset_index(stacked)
    scalars = {name: of.compute() for name, of in dataset.coords.items() if not of.ndim}
    dataset = dataset.assign_coords(scalars)
    with filled(url, overwrite=overwrite) as place:
        store = zarr_store(place)
        # What lies in memory is written at once, and of what is lazy how it is kept.
        dataset.to_zarr(store, mode="a", zarr_format=3, consolidated=False, compute=False)
        tasks = _label_tasks(labels.data, zarr.open_array(store, path=str(bare.name)))
        coordinates = _lazy_coordinates(dataset, store)
        with marker_last(place, ZARR_MARKER), computing(), threads_of_its_own():
            _, *tallies = dask.compute(coordinates, *tasks)
        with warnings.catch_warnings():
            # What xr.open_zarr looks for first, and warns if it is missing.
            warnings.filterwarnings("ignore", "Consolidated metadata")
            zarr.consolidate_metadata(zarr_store(place))
    tally = Tally()
    for of_block in tallies:
        tally.merge(of_block)
    return tally


def _label_tasks(labels: da.Array, array: zarr.Array) -> list[Any]:
    """A task for each block of labels, which writes and counts it."""
    write = dask.delayed(_write_block, pure=False)
    starts = itertools.product(*(np.cumsum((0, *sizes[:-1])).tolist() for sizes in labels.chunks))
    return [
        write(block, array, corner)
        for block, corner in zip(lazy_blocks(labels), starts, strict=True)
    ]


def _write_block(block: np.ndarray, array: zarr.Array, corner: tuple[int, ...]) -> Tally:
    """The task that writes the labels of one block, which starts at `corner`."""
    ends = (start + size for start, size in zip(corner, block.shape, strict=True))
    array[tuple(map(slice, corner, ends))] = labels_of(block).astype(np.int32)
    return tally_of(block)


def _lazy_coordinates(dataset: xr.Dataset, store: Any) -> Any:
    """What writes the coordinates that are lazy, whose arrays are there; None: there are none."""
    lazy = [name for name, of in dataset.coords.items() if of.chunks is not None]
    if not lazy:
        return None
    alone = dataset.reset_coords()[lazy]
    alone = alone.drop_vars(list(alone.coords))
    everywhere = {str(dim): slice(None) for dim in alone.dims}
    return alone.to_zarr(store, region=everywhere, consolidated=False, compute=False)
