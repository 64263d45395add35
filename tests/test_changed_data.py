"""Data that is written to while it is read: an error that says so, not centers of two states."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from inputs import blobs

from dask_kmeans import KMeans
from dask_kmeans.checks import DataChangedError, ReadError

X = blobs(6000, 3, 6, seed=4)
OTHER = {
    "other rows of the same range": X[np.random.default_rng(0).permutation(len(X))],
    "a wider range": X * 3,
    "a narrower range": X / 2 + 1,
    "far away": X + 1e6,
    "so far that integers overflow": X * 1e200,
}
"""What the data has become."""


def npy(folder, values):
    np.save(folder / "data.npy", values)
    return str(folder / "data.npy")


def store(folder, values):
    array = zarr.create_array(
        str(folder / "data.zarr"), data=values, chunks=(500, 3), overwrite=True
    )
    return str(array.store_path)


def csv(folder, values):
    pd.DataFrame(values, columns=list("abc")).to_csv(folder / "data.csv", index=False)
    return str(folder / "data.csv")


def parquet(folder, values):
    pd.DataFrame(values, columns=list("abc")).to_parquet(folder / "data.parquet")
    return str(folder / "data.parquet")


WRITERS = {"npy": npy, "zarr": store, "CSV": csv, "Parquet": parquet}


def fit_while(change, X, at=2, weights=None, **parameters):
    """A fit during which `change()` is called after the iteration `at`."""

    def listen(record):
        if record.iteration == at:
            change()

    parameters = {"n_clusters": 6, "init": globals()["X"][:6], "tol": 0.0, **parameters}
    return KMeans(callbacks=[listen], random_state=0, **parameters).fit(X, sample_weight=weights)


def test_the_start_takes_iterations_enough():
    assert KMeans(6, init=X[:6], tol=0.0).fit(X).n_iter_ > 4


@pytest.mark.parametrize("algorithm", ["auto", "lloyd"])
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("other", OTHER)
def test_a_file_that_is_rewritten(kind, other, algorithm, tmp_path):
    write = WRITERS[kind]
    path = write(tmp_path, X)
    with pytest.raises(DataChangedError, match=r"The data changed while it was read: .*Fit again"):
        fit_while(lambda: write(tmp_path, OTHER[other]), path, algorithm=algorithm)


@pytest.mark.parametrize(("kind", "rows"), [("CSV", 5990), ("Parquet", 5990), ("Parquet", 6010)])
def test_a_file_that_gets_more_or_fewer_rows(kind, rows, tmp_path):
    write = WRITERS[kind]
    path = write(tmp_path, X)
    with pytest.raises(ReadError):
        fit_while(lambda: write(tmp_path, np.resize(X, (rows, 3))), path)


def test_lines_that_are_appended_to_a_csv_are_not_of_the_data(tmp_path):
    """What was there when the fit began is read to its end, and nothing else."""
    path = csv(tmp_path, X)
    alone = fit_while(lambda: None, path)
    model = fit_while(lambda: csv(tmp_path, np.resize(X, (6010, 3))), path)
    assert model.cluster_centers_.tobytes() == alone.cluster_centers_.tobytes()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("other", OTHER)
def test_an_array_that_a_callback_writes_to(other, weighted):
    values = X.copy()
    weights = np.random.default_rng(1).random(len(X)) if weighted else None

    def change():
        values[:] = OTHER[other]

    with pytest.raises(DataChangedError):
        fit_while(change, values, weights=weights)


def test_a_copy_as_the_error_says_does_not_change():
    values = X.copy()

    def change():
        values[:] = 0.0

    with pytest.raises(DataChangedError, match=r"or give a copy: type X\.copy\(\)$"):
        fit_while(change, values)
    values = X.copy()
    model = fit_while(change, values.copy())
    assert model.cluster_centers_.tobytes() == fit_while(lambda: None, X).cluster_centers_.tobytes()


@pytest.mark.parametrize("rows", [slice(0, 3000), slice(0, None, 40), slice(17, 18)])
def test_some_rows_that_are_written_to(rows):
    values = X.copy()

    def change():
        values[rows] += 1000.0

    with pytest.raises(DataChangedError):
        fit_while(change, values)


def test_rows_that_become_nan():
    values = X.copy()

    def change():
        values[::50] = np.nan

    with pytest.raises(DataChangedError, match="rows without NaN of the first pass have become"):
        fit_while(change, values)
    lazy = da.from_array(X.copy(), chunks=(1000, 3))
    lazy = da.map_blocks(_nan_after, lazy, calls := [], dtype=float)
    with pytest.raises(DataChangedError):
        fit_while(lambda: calls.append(1), lazy, nan="skip")


def _nan_after(block, calls):
    return np.where(len(calls) and np.arange(len(block))[:, None] % 9 == 0, np.nan, block)


def test_weights_that_are_written_to():
    weights = np.random.default_rng(1).random(len(X))

    def change():
        weights[:] = weights[::-1].copy()

    with pytest.raises(DataChangedError):
        fit_while(change, X, weights=weights)


def test_a_partition_that_has_other_rows_each_time():
    """As a dask graph with a random filter in it gives: not one data set but many."""
    random = np.random.default_rng(0)

    def some(block):
        return block[random.random(len(block)) < 0.9]

    lazy = da.from_array(X, chunks=(1000, 3)).map_blocks(some, chunks=((np.nan,) * 6, (3,)))
    with pytest.raises(DataChangedError, match=r"where rows \d+ to \d+ were, there are"):
        KMeans(3, random_state=0).fit(lazy)
