"""One array as every kind of input that the package takes, and the way back to NumPy."""

from __future__ import annotations

import itertools

import dask.array as da
import dask.dataframe as dd
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr
import zarr
from sklearn.datasets import make_blobs

from dask_kmeans import KMeans
from dask_kmeans.parameters import Thresholds

FEATURES = ("V1", "V2", "V3", "V4", "V5")


def _frame(X):
    return pd.DataFrame(X, columns=list(FEATURES[: X.shape[1]]))


def _dask(X, folder):
    return da.from_array(X, chunks=(701, X.shape[1]))


def _dask_unknown(X, folder):
    """Row chunks of sizes that nobody knows, one of them empty."""
    array = da.from_array(X, chunks=(701, X.shape[1]))
    return array[da.from_array(np.ones(len(X), bool), chunks=701)]


def _dask_columns(X, folder):
    return da.from_array(X, chunks=(997, 1))


def _zarr(X, folder):
    out = zarr.create_array(str(folder / "points.zarr"), data=np.array(X), chunks=(512, X.shape[1]))
    return zarr.open_array(out.store, mode="r")


def _zarr_sharded(X, folder):
    shape = (256, X.shape[1])
    zarr.create_array(
        str(folder / "sharded.zarr"), data=np.array(X), chunks=shape, shards=(1024, X.shape[1])
    )
    return zarr.open_array(str(folder / "sharded.zarr"), mode="r")


def _zarr_path(X, folder):
    _zarr(X, folder)
    return str(folder / "points.zarr")


def _zarr_member(X, folder):
    group = zarr.open_group(str(folder / "group.zarr"), mode="w")
    group.create_array("points", data=np.array(X), chunks=(512, X.shape[1]))
    group.create_array("other", data=np.zeros(3))
    return str(folder / "group.zarr" / "points")


def _data_array(X, folder):
    return xr.DataArray(
        X, dims=("row", "feature"), coords={"feature": list(FEATURES[: X.shape[1]])}
    )


def _data_array_dask(X, folder):
    return _data_array(X, folder).chunk({"row": 640})


def _dataset(X, folder):
    """One variable a feature, over two sample dims."""
    shape = (len(X) // 50, 50)
    return xr.Dataset(
        {
            name: (("y", "x"), column.reshape(shape))
            for name, column in zip(FEATURES, X.T, strict=False)
        }
    )


def _dataset_dask(X, folder):
    return _dataset(X, folder).chunk({"y": 17, "x": 50})


def _pandas(X, folder):
    return _frame(X)


def _dask_frame(X, folder):
    return dd.from_pandas(_frame(X), npartitions=5, sort=False)


def _parquet_file(X, folder):
    _frame(X).to_parquet(folder / "points.parquet", row_group_size=800)
    return folder / "points.parquet"


def _parquet_folder(X, folder):
    (folder / "points").mkdir()
    frame = _frame(X)
    edges = [0, 900, 900, 1900, len(X)]
    for part, (first, last) in enumerate(itertools.pairwise(edges)):
        frame[first:last].to_parquet(folder / "points" / f"part-{part:03}.parquet")
    return str(folder / "points")


def _parquet_glob(X, folder):
    return _parquet_folder(X, folder) + "/part-*.parquet"


def _parquet_dask(X, folder):
    return dd.read_parquet(_parquet_folder(X, folder))


def _csv(X, folder):
    # repr() of a float64 reads back as the same float64.
    _frame(X).to_csv(folder / "points.csv", index=False)
    return str(folder / "points.csv")


def _npy(X, folder):
    np.save(folder / "points.npy", X)
    return str(folder / "points.npy")


def _shards(X, folder):
    """Files in natural order, of both memory orders, one of them empty."""
    (folder / "shards").mkdir()
    edges = [0, 7, 7, *np.linspace(8, len(X), 10).astype(int)]
    for part, (first, last) in enumerate(itertools.pairwise(edges)):
        rows = X[first:last]
        np.save(folder / "shards" / f"x-{part}.npy", np.asfortranarray(rows) if part % 2 else rows)
    return str(folder / "shards")


def _hdf5(X, folder):
    with h5py.File(folder / "points.h5", "w") as file:
        file.create_dataset("group/points", data=X, chunks=(300, 2), compression="gzip")
    return str(folder / "points.h5")


def _vectors(X, folder):
    pq.write_table(pa.table({"V": list(X)}), folder / "vectors.parquet", row_group_size=800)
    return folder / "vectors.parquet"


def _memmap(X, folder):
    _npy(X, folder)
    return np.load(folder / "points.npy", mmap_mode="r")


def _polars(X, folder):
    return pl.DataFrame(np.array(X), schema=list(FEATURES[: X.shape[1]]))


def _arrow(X, folder):
    return pa.Table.from_pandas(_frame(X))


INPUTS = {
    "NumPy": lambda X, folder: X,
    "NumPy, Fortran order": lambda X, folder: np.asfortranarray(X),
    "NumPy, memory-mapped": _memmap,
    "list of lists": lambda X, folder: X.tolist(),
    "dask": _dask,
    "dask, unknown chunks": _dask_unknown,
    "dask, column chunks": _dask_columns,
    "zarr.Array": _zarr,
    "zarr.Array, sharded": _zarr_sharded,
    "Zarr, path": _zarr_path,
    "Zarr, member of a group": _zarr_member,
    "xarray DataArray": _data_array,
    "xarray DataArray, dask": _data_array_dask,
    "xarray Dataset": _dataset,
    "xarray Dataset, dask": _dataset_dask,
    "pandas": _pandas,
    "polars": _polars,
    "pyarrow": _arrow,
    "dask DataFrame": _dask_frame,
    "Parquet, file": _parquet_file,
    "Parquet, folder": _parquet_folder,
    "Parquet, glob": _parquet_glob,
    "Parquet, dask DataFrame": _parquet_dask,
    "CSV": _csv,
    ".npy": _npy,
    ".npy, shards": _shards,
    "HDF5": _hdf5,
    "Parquet, vectors": _vectors,
}
"""name -> function(X, folder) -> the same rows; X is float64 (n, d), n % 50 == 0, d <= 5"""

KINDS_OF_LABELS = {
    "NumPy": np.ndarray,
    "NumPy, Fortran order": np.ndarray,
    "NumPy, memory-mapped": np.ndarray,
    "list of lists": np.ndarray,
    "dask": da.Array,
    "dask, unknown chunks": da.Array,
    "dask, column chunks": da.Array,
    "zarr.Array": da.Array,
    "zarr.Array, sharded": da.Array,
    "Zarr, path": da.Array,
    "Zarr, member of a group": da.Array,
    "xarray DataArray": xr.DataArray,
    "xarray DataArray, dask": xr.DataArray,
    "xarray Dataset": xr.DataArray,
    "xarray Dataset, dask": xr.DataArray,
    "pandas": pd.Series,
    "polars": pl.Series,
    "pyarrow": pa.Array,
    "dask DataFrame": dd.Series,
    "Parquet, dask DataFrame": dd.Series,
}
"""What labels of each kind of input are; files that hold tables are left to the reader's choice."""


def as_numpy(result):
    """Labels or distances of any kind as NumPy, sample dims flattened in the order of the rows."""
    if hasattr(result, "compute"):
        result = result.compute()
    values = np.asarray(result)
    return values.reshape(-1) if isinstance(result, xr.DataArray) else values


def blobs(n=600, d=5, k=5, seed=0):
    """Overlapping clusters, float64: a fit from random rows takes some ten iterations."""
    return make_blobs(n, d, centers=k, cluster_std=4.0, random_state=seed)[0]


class Unchecked:
    """A function of rows as `Points.apply` takes it, which objects to no row."""

    def __init__(self, function):
        self.function = function

    def __call__(self, values):
        return self.function(values)

    def check(self, values, name):
        """Nothing is wrong with any row."""


def kmeans_with(**thresholds) -> type[KMeans]:
    """A `KMeans` in which one way of working gives over to another elsewhere: see `Thresholds`."""
    return type("KMeans", (KMeans,), {"_thresholds": Thresholds(**thresholds)})
