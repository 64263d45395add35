"""Labels written: every kind to every format, whole or not at all, a few blocks at a time."""

import math

import dask
import dask.array as da
import dask.dataframe as dd
import fsspec
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from hypothesis import example, given
from hypothesis import strategies as st

from dask_kmeans.write import check_labels_output, to_zarr, write_labels
from dask_kmeans.write import stream as streams

LABELS = (np.arange(100, dtype=np.int32) * 7) % 5 - 1


def series():
    return pd.Series(LABELS, index=pd.Index(np.arange(100) * 2, name="station"))


def uncounted():
    """A dask array whose chunks nobody has counted."""
    frame = dd.from_pandas(pd.DataFrame({"label": LABELS}), npartitions=3)
    return frame["label"].to_dask_array(lengths=None)


FLAT = {
    "ndarray": lambda: LABELS,
    "dask array": lambda: da.from_array(LABELS, chunks=((10, 0, 55, 35),)),
    "uncounted dask array": uncounted,
    "Series": series,
    "dask Series": lambda: dd.from_pandas(series(), npartitions=3),
    "DataArray": lambda: xr.DataArray(LABELS, dims="time", coords={"time": np.arange(100) * 0.5}),
    "lazy DataArray": lambda: xr.DataArray(LABELS, dims="time").chunk(time=33),
}


@pytest.fixture(params=["local", "remote"])
def folder(request, tmp_path):
    """Where labels may go: a local folder, and a store that cannot move things."""
    if request.param == "local":
        yield str(tmp_path)
    else:
        yield f"memory://{tmp_path.name}"
        fsspec.filesystem("memory").store.clear()


def read(url, labels):
    """What any reader of the format finds."""
    if url.endswith(".npy"):
        with fsspec.open(url) as file:
            return np.load(file)
    if url.endswith(".zarr"):
        if isinstance(labels, xr.DataArray):
            return xr.open_zarr(url).labels.values
        return zarr.open_array(url, mode="r")[...]
    return (pd.read_csv if url.endswith(".csv") else pd.read_parquet)(url)["label"].to_numpy()


@pytest.mark.parametrize("ending", ["zarr", "parquet", "csv", "npy"])
@pytest.mark.parametrize("kind", FLAT)
def test_every_kind_to_every_format(kind, ending, folder):
    labels = FLAT[kind]()
    url = f"{folder}/labels.{ending}"
    assert write_labels(labels, url) == 100
    found = read(url, labels)
    assert found.dtype == (np.int64 if ending == "csv" else np.int32)
    np.testing.assert_array_equal(found, LABELS)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("kind", ["Series", "dask Series"])
def test_a_table_keeps_the_index(kind, ending, folder):
    url = f"{folder}/labels.{ending}"
    write_labels(FLAT[kind](), url)
    found = (pd.read_csv if ending == "csv" else pd.read_parquet)(url)
    assert list(found.columns) == ["station", "label"]
    np.testing.assert_array_equal(found["station"], np.arange(100) * 2)


def test_several_levels_of_an_index_become_columns(tmp_path):
    index = pd.MultiIndex.from_product([["a", "b"], range(50)], names=["site", None])
    write_labels(pd.Series(LABELS, index=index), tmp_path / "labels.csv")
    found = pd.read_csv(tmp_path / "labels.csv")
    assert list(found.columns) == ["site", "index", "label"]


@pytest.mark.parametrize("lazy", [False, True])
def test_a_raster_keeps_dimensions_and_coordinates(lazy, folder):
    labels = xr.DataArray(
        LABELS.reshape(4, 25), dims=("y", "x"), coords={"y": [4.0, 3.0, 2.0, 1.0]}, name="whatever"
    )
    labels.y.encoding["chunks"] = (3,)  # as a coordinate has it that comes from another store
    url = f"{folder}/labels.zarr"
    assert write_labels(labels.chunk(y=3, x=10) if lazy else labels, url) == 100
    xr.testing.assert_equal(xr.open_zarr(url).labels, labels)


def test_stacked_dimensions_become_coordinates(tmp_path):
    raster = xr.DataArray(
        LABELS.reshape(4, 25), dims=("y", "x"), coords={"y": np.arange(4), "x": np.arange(25)}
    )
    write_labels(raster.stack(pixel=("y", "x")), tmp_path / "labels.zarr")
    found = xr.open_zarr(tmp_path / "labels.zarr")
    xr.testing.assert_equal(
        found.set_index(pixel=["y", "x"]).labels.unstack().astype("int32"), raster
    )


def test_a_raster_to_npy(tmp_path):
    labels = xr.DataArray(LABELS.reshape(4, 25), dims=("y", "x")).chunk(y=3, x=10)
    write_labels(labels, tmp_path / "labels.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), LABELS.reshape(4, 25))


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_raster_is_no_table(ending, tmp_path):
    labels = xr.DataArray(LABELS.reshape(4, 25), dims=("y", "x"))
    with pytest.raises(ValueError, match=r"Labels of 2 dimensions are no column .* in \.zarr"):
        write_labels(labels, tmp_path / f"labels.{ending}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["labels", "labels.txt", "labels.zarr.zip"])
def test_an_unknown_ending(name, tmp_path):
    with pytest.raises(ValueError, match=r"Cannot tell .* ends in \.zarr, \.parquet, \.csv, \.npy"):
        check_labels_output(tmp_path / name)


@pytest.mark.parametrize("ending", ["zarr", "parquet", "csv", "npy"])
@pytest.mark.parametrize("kind", ["ndarray", "dask array"])
def test_existing_labels_are_left_alone_unless_told(kind, ending, folder):
    labels = FLAT[kind]()
    url = f"{folder}/labels.{ending}"
    write_labels(labels[:50], url)
    with pytest.raises(FileExistsError, match="exists already"):
        write_labels(labels, url)
    np.testing.assert_array_equal(read(url, labels), LABELS[:50])
    write_labels(labels, url, overwrite=True)
    np.testing.assert_array_equal(read(url, labels), LABELS)


@pytest.mark.parametrize("first", ["ndarray", "dask array"])
@pytest.mark.parametrize("second", ["ndarray", "dask array"])
def test_a_file_replaces_a_folder_of_parts_and_the_other_way_round(first, second, folder):
    url = f"{folder}/labels.parquet"
    write_labels(FLAT[first]()[:10], url)
    write_labels(FLAT[second](), url, overwrite=True)
    np.testing.assert_array_equal(read(url, None), LABELS)


def test_somebody_elses_parquet_folder_is_never_replaced(tmp_path):
    data = tmp_path / "data.parquet"
    dd.from_pandas(pd.DataFrame({"x": range(5)}), npartitions=1).to_parquet(data)
    with pytest.raises(FileExistsError, match="did not write"):
        write_labels(LABELS, data, overwrite=True)
    assert len(pd.read_parquet(data)) == 5


@pytest.mark.parametrize("ending", ["zarr", "parquet", "csv", "npy"])
def test_a_failure_leaves_nothing_behind(ending, folder, tmp_path):
    def fail(block, block_info=None):
        if block_info[0]["chunk-location"] == (3,):
            raise OSError("cannot read row 66")
        return block

    labels = da.from_array(LABELS, chunks=10).map_blocks(fail, dtype=np.int32)
    url = f"{folder}/labels.{ending}"
    with pytest.raises(OSError, match="cannot read row 66"):
        write_labels(labels, url)
    assert list(tmp_path.iterdir()) == []
    assert fsspec.filesystem("memory").find("/") == []


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    def stop(block):
        raise KeyboardInterrupt

    labels = da.from_array(LABELS, chunks=10).map_blocks(stop, dtype=np.int32, meta=LABELS[:0])
    with pytest.raises(KeyboardInterrupt), dask.config.set(scheduler="synchronous"):
        write_labels(labels, tmp_path / "labels.zarr")
    assert list(tmp_path.iterdir()) == []


def test_remote_labels_cannot_be_opened_before_they_are_whole():
    fs = fsspec.filesystem("memory")
    seen = []

    def look(block):
        seen.append(sorted(fs.find("/early")))
        return block

    labels = da.from_array(LABELS, chunks=50).map_blocks(look, dtype=np.int32, meta=LABELS[:0])
    with dask.config.set(scheduler="synchronous"):
        write_labels(labels, "memory://early/labels.zarr")
    assert seen[0] == ["/early/labels.zarr.incomplete"]
    assert "/early/labels.zarr/zarr.json" not in seen[1]
    assert fs.exists("/early/labels.zarr/zarr.json")
    assert not fs.exists("/early/labels.zarr.incomplete")
    fs.store.clear()


@pytest.mark.parametrize("ending", ["csv", "npy"])
def test_single_files_are_streamed(ending, tmp_path, monkeypatch):
    """Never more blocks at once than a few for each thread."""
    sizes = []
    compute = dask.compute

    def counted(*blocks, **kwargs):
        sizes.append(len(blocks))
        return compute(*blocks, **kwargs)

    monkeypatch.setattr(streams.dask, "compute", counted)
    labels = da.from_array(np.tile(LABELS, 10), chunks=10)
    with dask.config.set(num_workers=2):
        write_labels(labels, tmp_path / f"labels.{ending}")
    assert sum(sizes) == 100
    assert max(sizes) == 2 * streams.BLOCKS_A_THREAD


def test_blocks_of_odd_sizes_share_no_chunk(tmp_path, monkeypatch):
    """Two tasks that write to one chunk would lose rows now and then."""
    monkeypatch.setattr(to_zarr, "CHUNK_ROWS", 16)
    sizes = tuple(np.random.default_rng(0).integers(1, 60, size=200).tolist())
    labels = np.arange(sum(sizes), dtype=np.int32)
    for attempt in range(3):
        url = str(tmp_path / f"{attempt}.zarr")
        write_labels(da.from_array(labels, chunks=(sizes,)), url)
        np.testing.assert_array_equal(zarr.open_array(url)[...], labels)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.sampled_from([1, 125_000, 2**18]))
@example([7], 10_000_019)
@example([1, 1], 10_000_019)
def test_common_chunks(blocks, unit):
    """Every block is whole chunks of them, but the last."""
    blocks = tuple(unit * n for n in blocks)
    chunk = to_zarr._common_chunk(blocks)
    if chunk is None:
        common = math.gcd(*blocks[:-1])
        sizes = range(to_zarr.FEWEST_CHUNK_ROWS, min(common, to_zarr.CHUNK_ROWS) + 1)
        assert all(common % size for size in sizes)
    else:
        assert chunk <= to_zarr.CHUNK_ROWS
        assert all(block % chunk == 0 for block in blocks[:-1])


def test_blocks_of_whole_chunks_move_no_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(da.Array, "rechunk", None)
    labels = np.arange(450_000, dtype=np.int32) % 7
    write_labels(da.from_array(labels, chunks=200_000), tmp_path / "l.zarr")
    array = zarr.open_array(tmp_path / "l.zarr", mode="r")
    assert array.chunks == (200_000,)
    np.testing.assert_array_equal(array[...], labels)


@pytest.mark.parametrize("ending", ["zarr", "parquet", "csv", "npy"])
def test_workers_in_other_processes_write(ending, client, tmp_path):
    url = str(tmp_path / f"labels.{ending}")
    assert write_labels(da.from_array(LABELS, chunks=30), url) == 100
    np.testing.assert_array_equal(read(url, None), LABELS)
    assert [path.name for path in tmp_path.iterdir()] == [f"labels.{ending}"]


def test_the_same_labels_give_the_same_bytes(tmp_path):
    written = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        for ending in ("zarr", "parquet", "csv", "npy"):
            write_labels(FLAT["dask array"](), folder / f"labels.{ending}")
        files = (path for path in folder.rglob("*") if path.is_file())
        written.append({path.relative_to(folder): path.read_bytes() for path in files})
    assert written[0] == written[1]
