"""Models, labels and the command line against a real S3 server on loopback."""

import json

import dask.array as da
import fsspec
import numpy as np
import pytest
import zarr

from dask_kmeans import KMeans, cli, load_model
from dask_kmeans.write import load_fitted, write_labels

pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")

LABELS = np.arange(1000, dtype=np.int32) % 7


@pytest.fixture(scope="module")
def endpoint():
    """An S3 server for the module; credentials that it takes."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    """A bucket whose endpoint and credentials come from the environment, as on a machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    fsspec.filesystem("s3").clear_instance_cache()
    fs = fsspec.filesystem("s3")
    fs.mkdir("bucket")
    yield fs
    fs.rm("bucket", recursive=True)
    fs.clear_instance_cache()


def test_a_model(bucket, xclara):
    model = KMeans(n_clusters=3, random_state=0).fit(xclara)
    model.save("s3://bucket/models/m.zarr")
    with pytest.raises(FileExistsError, match="exists already"):
        model.save("s3://bucket/models/m.zarr")
    model.save("s3://bucket/models/m.zarr", overwrite=True)
    again = load_model("s3://bucket/models/m.zarr")
    assert again.cluster_centers_.tobytes() == model.cluster_centers_.tobytes()
    assert not [name for name in bucket.find("bucket") if "incomplete" in name]


def test_the_models_of_a_sweep(bucket, tmp_path, xclara):
    np.save(tmp_path / "x.npy", xclara)
    for last in (3, 2):
        with pytest.raises(SystemExit) as end:
            cli.main(
                ["sweep", str(tmp_path / "x.npy"), "--max-clusters", str(last), "--quiet",
                 "--models", "s3://bucket/sweep", "--overwrite"]
            )  # fmt: skip
        assert end.value.code == 0
    assert len(load_fitted("s3://bucket/sweep/2.zarr").cluster_centers) == 2
    assert not bucket.exists("bucket/sweep/3.zarr")
    assert not [name for name in bucket.find("bucket") if "incomplete" in name]


@pytest.mark.parametrize("ending", ["zarr", "parquet", "csv", "npy"])
def test_labels(bucket, ending):
    url = f"s3://bucket/labels.{ending}"
    write_labels(da.from_array(LABELS, chunks=300), url)
    write_labels(da.from_array(LABELS, chunks=170), url, overwrite=True)
    if ending == "zarr":
        np.testing.assert_array_equal(zarr.open_array(url, mode="r")[...], LABELS)
    elif ending == "npy":
        with fsspec.open(url) as file:
            np.testing.assert_array_equal(np.load(file), LABELS)
    else:
        import pandas as pd

        read = pd.read_csv if ending == "csv" else pd.read_parquet
        np.testing.assert_array_equal(read(url)["label"], LABELS)


def test_a_failure_leaves_the_bucket_empty(bucket):
    def fail(block):
        raise OSError("no such row")

    labels = da.from_array(LABELS, chunks=300).map_blocks(fail, dtype="i4", meta=LABELS[:0])
    for ending in ("zarr", "parquet", "csv", "npy"):
        with pytest.raises(OSError, match="no such row"):
            write_labels(labels, f"s3://bucket/labels.{ending}")
    assert bucket.find("bucket") == []


def test_the_command_reads_and_writes_there(bucket, xclara, capsys):
    zarr.create_array("s3://bucket/x.zarr", data=xclara, chunks=(500, 2))
    fit = (
        "fit", "s3://bucket/x.zarr", "-k", "3", "--model", "s3://bucket/m.zarr",
        "--labels", "s3://bucket/l.parquet", "--report", "s3://bucket/r.json",
        "--checkpoint", "s3://bucket/state", "--quiet",
    )  # fmt: skip
    for arguments in (fit, (*fit, "--overwrite")):
        with pytest.raises(SystemExit) as end:
            cli.main(list(arguments))
        assert end.value.code == 0, capsys.readouterr().err
    assert load_fitted("s3://bucket/m.zarr").inertia == pytest.approx(611605.8806933896, rel=1e-12)
    assert json.loads(bucket.cat_file("bucket/r.json"))["n_rows"] == 3000
    assert not bucket.exists("bucket/state")


def test_a_bucket_that_does_not_exist_is_one_line(bucket, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["fit", "s3://nowhere/x.zarr", "-k", "3", "--model", "s3://bucket/m.zarr"])
    assert end.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "s3://nowhere/x.zarr" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "parquet", "clusters"])
def test_tables_of_labels_with_what_is_kept(bucket, tmp_path, form):
    import pandas as pd

    rows = pd.DataFrame({"id": np.arange(1000)[::-1], "x": LABELS * 10.0})
    for part in range(2):
        rows[part * 500 :][:500].to_parquet(f"s3://bucket/rows/{part}.parquet", row_group_size=200)
    model = KMeans(7, random_state=0).fit(rows[["x"]])
    model.save("s3://bucket/m.zarr")
    url = f"s3://bucket/labels.{'csv' if form == 'csv' else 'parquet'}"
    by_cluster = ["--partition-by", "cluster"] if form == "clusters" else []
    arguments = ["predict", "s3://bucket/rows", "--model", "s3://bucket/m.zarr", "--labels", url]
    for more in ([], ["--overwrite"]):
        with pytest.raises(SystemExit) as end:
            cli.main([*arguments, "--keep", "id", *by_cluster, *more])
        assert end.value.code == 0
    read = pd.read_csv if form == "csv" else pd.read_parquet
    found = read(url).set_index("id")["label"].sort_index(ascending=False)
    np.testing.assert_array_equal(found, model.labels_)
    names = [name for name in bucket.find("bucket") if "labels" in name]
    assert len(names) == {"csv": 1, "clusters": 8}.get(form, len(names))
    assert not any("parts" in name or "_runs" in name for name in names)
