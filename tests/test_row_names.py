"""What a message calls a row: its number among all rows, whatever the task that met it."""

import re

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from inputs import INPUTS, blobs

from dask_kmeans import KMeans

ROW, COLUMN = 583, 3

UNCOUNTED = ("dask DataFrame", "Parquet, dask DataFrame")
"""Lazy results of these are made one by one, and nobody knows how long the others are."""


def message(call):
    """What is said of a row, when it is computed in one thread: the first error is the one."""
    with dask.config.set(scheduler="synchronous"):
        try:
            result = call()
            if hasattr(result, "compute"):
                result.compute()
        except ValueError as error:
            return str(error)
    raise AssertionError("nothing was wrong")


def with_a_bad_value(value):
    X = blobs()
    bad = X.copy()
    bad[ROW, COLUMN] = value
    return X, bad


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("method", ["fit", "score", "predict", "transform"])
@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
def test_it_is_the_number_among_all_rows(name, method, value, tmp_path):
    X, bad = with_a_bad_value(value)
    model = KMeans(3, random_state=0, max_iter=3).fit(X)
    given = INPUTS[name](bad, tmp_path)
    said = message(lambda: getattr(model, method)(given))
    if name in UNCOUNTED and method in ("predict", "transform"):
        assert re.search(rf"at row \d+ of partition \d+ \(index {ROW}\), column 3", said)
    else:
        assert f"at row {ROW}, column {COLUMN}" in said


def test_chunks_of_unknown_length_are_told_by_number():
    X, bad = with_a_bad_value(np.nan)
    given = da.from_array(bad, chunks=(100, 5))
    given = given[da.from_array(np.ones(len(bad), bool), chunks=100)]
    model = KMeans(3, random_state=0, max_iter=3).fit(X)
    assert "at row 83 of chunk 5, column 3" in message(lambda: model.predict(given))
    assert f"at row {ROW}, column 3" in message(lambda: model.fit(given))


def test_partitions_tell_the_label_of_the_row():
    X, bad = with_a_bad_value(np.nan)
    frame = pd.DataFrame(bad, index=[f"customer {n}" for n in range(len(bad))])
    model = KMeans(3, random_state=0, max_iter=3).fit(X)
    said = message(lambda: model.predict(dd.from_pandas(frame, npartitions=7, sort=False)))
    assert re.search(rf"row \d+ of partition \d \(index customer {ROW}\), column {COLUMN}", said)


@pytest.mark.parametrize("dims", ["yxf", "fyx", "yfx"])
def test_samples_of_a_grid_are_numbered_in_its_order(dims):
    """C order of the sample dimensions, though chunks are tiles of the grid."""
    X, bad = with_a_bad_value(np.inf)
    grid = xr.DataArray(bad.reshape(20, 30, 5), dims=("y", "x", "f")).transpose(*dims)
    model = KMeans(3, random_state=0, max_iter=3, feature_dim="f")
    model.fit(xr.DataArray(X.reshape(20, 30, 5), dims=("y", "x", "f")))
    for given in (grid, grid.chunk(y=7, x=9, f=2)):
        for method in (model.predict, model.transform, model.fit):
            assert f"at row {ROW}, column {COLUMN}" in message(lambda m=method, g=given: m(g))
