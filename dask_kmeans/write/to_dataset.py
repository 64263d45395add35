"""Labels with dimensions and coordinates, as an xarray dataset in Zarr."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from dask_kmeans.blockwise import computing
from dask_kmeans.read.from_xarray import labelled, without_description
from dask_kmeans.write.place import (
    LABELS_ATTRIBUTES,
    ZARR_MARKER,
    filled,
    marker_last,
    zarr_store,
)


def write_dataset(labels: xr.DataArray, url: str, overwrite: bool) -> int:
    """A dataset with the variable `labels`: `xr.open_zarr(url).labels` gives the labels back.

    Where a coordinate has that name already, the variable is called `labels_`.
    """
    bare = labelled(without_description(labels), labels.data.astype(np.int32))
    dataset = bare.to_dataset().assign_attrs(LABELS_ATTRIBUTES)
    # Zarr has no index of several levels: they become plain coordinates.
    stacked = [dim for dim in dataset.dims if isinstance(dataset.indexes.get(dim), pd.MultiIndex)]
    dataset = dataset.reset_index(stacked)
    # Zarr wants equal chunks.
    dataset = dataset.chunk({dim: max(sizes) for dim, sizes in labels.chunksizes.items()})
    with filled(url, overwrite=overwrite) as place:
        values = dataset.to_zarr(
            zarr_store(place), mode="a", zarr_format=3, consolidated=False, compute=False
        )
        with marker_last(place, ZARR_MARKER), computing():
            values.compute()
        with warnings.catch_warnings():
            # What xr.open_zarr looks for first, and warns if it is missing.
            warnings.filterwarnings("ignore", "Consolidated metadata")
            zarr.consolidate_metadata(zarr_store(place))
    return labels.size
