"""A whole job against a real S3 server on loopback: read, fit, interrupt, go on, write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import dask.dataframe as dd
import fsspec
import numpy as np
import pandas as pd
import pytest
import zarr
from dying_job import JOB
from inputs import blobs

from dask_kmeans import KMeans, load_model
from dask_kmeans.write import write_labels

pytestmark = pytest.mark.slow  # a server of its own, and jobs that write to it

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")

X = blobs(1200, 3, 4, seed=2)
PARAMETERS = {"n_clusters": 4, "random_state": 1, "tol": 0.0}


@pytest.fixture(scope="module")
def endpoint():
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def environment(endpoint, monkeypatch):
    """Endpoint and credentials as on any machine: nothing about them is told to dask_kmeans."""
    usual = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in usual.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(environment):
    fsspec.filesystem("s3").clear_instance_cache()
    fs = fsspec.filesystem("s3")
    fs.mkdir("job")
    zarr.create_array("s3://job/points.zarr", data=X, chunks=(200, 3))
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for number, part in enumerate(np.array_split(frame.index, 3)):
        frame.loc[part].to_parquet(f"s3://job/points/part-{number}.parquet")
    yield fs
    fs.rm("job", recursive=True)
    fs.clear_instance_cache()


@pytest.fixture(scope="module")
def expected():
    return KMeans(**PARAMETERS).fit(X)


def same(model, expected):
    assert model.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    assert model.inertia_ == expected.inertia_


@pytest.mark.parametrize("source", ["points.zarr", "points", "points/*.parquet"])
def test_fit_save_load_and_label(source, bucket, expected):
    url = f"s3://job/{source}"
    model = KMeans(**PARAMETERS).fit(url)
    same(model, expected)
    model.save("s3://job/model.zarr")
    same(load_model("s3://job/model.zarr"), expected)
    write_labels(load_model("s3://job/model.zarr").predict(url), "s3://job/labels.zarr")
    found = zarr.open_array("s3://job/labels.zarr", mode="r")[...]
    np.testing.assert_array_equal(found, expected.labels_)
    write_labels(model.labels_, "s3://job/labels.parquet")
    found = dd.read_parquet("s3://job/labels.parquet").compute()["label"]
    np.testing.assert_array_equal(found, expected.labels_)


def test_endpoint_and_credentials_by_fsspecs_configuration(bucket, endpoint, expected, monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    options = {"endpoint_url": endpoint, "key": "key", "secret": "secret"}
    monkeypatch.setitem(fsspec.config.conf, "s3", options)
    bucket.clear_instance_cache()
    same(KMeans(**PARAMETERS).fit("s3://job/points.zarr"), expected)
    same(KMeans(**PARAMETERS).fit("s3://job/points"), expected)


class Interruption(Exception):
    pass


def test_a_checkpoint(bucket, expected):
    def stop(record):
        if record.iteration == 2:
            raise Interruption

    url = "s3://job/state/checkpoint"
    with pytest.raises(Interruption):
        KMeans(**PARAMETERS, checkpoint=url, callbacks=[stop]).fit("s3://job/points.zarr")
    assert bucket.find("job/state") == ["job/state/checkpoint"]
    heard = []
    model = KMeans(**PARAMETERS, checkpoint=url, callbacks=[heard.append])
    same(model.fit("s3://job/points.zarr"), expected)
    assert heard[0].iteration == 3
    bucket.pipe_file(url, bucket.cat_file(url)[:-100])
    with pytest.raises(ValueError, match=r"s3://job/state/checkpoint is not a valid checkpoint"):
        KMeans(**PARAMETERS, checkpoint=url).fit("s3://job/points.zarr")


def test_a_checkpoint_in_a_bucket_that_does_not_exist(bucket, monkeypatch):
    monkeypatch.setattr("dask_kmeans.write.checkpoint.PAUSES", (0.01,))
    with pytest.raises(OSError, match=r"the checkpoint s3://nowhere/state: "):
        KMeans(**PARAMETERS, checkpoint="s3://nowhere/state").fit(X)


def test_the_command_line_from_end_to_end(bucket, expected):
    """As processes of their own, on workers of their own: all that they know is the environment."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", "from dask_kmeans.cli import main; main()", *arguments],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    run("fit", "s3://job/points", "--n-clusters", "4", "--random-state", "1", "--tol", "0",
        "--model", "s3://job/m.zarr", "--labels", "s3://job/l.parquet", "--checkpoint",
        "s3://job/state", "--report", "s3://job/report.json", "--workers", "2")  # fmt: skip
    same(load_model("s3://job/m.zarr"), expected)
    assert not bucket.exists("job/state")
    assert bucket.exists("job/report.json")
    run("predict", "s3://job/points.zarr", "--model", "s3://job/m.zarr", "--columns", "0,1,2",
        "--labels", "s3://job/l.zarr")  # fmt: skip
    for labels in (
        dd.read_parquet("s3://job/l.parquet").compute()["label"],
        zarr.open_array("s3://job/l.zarr", mode="r")[...],
    ):
        np.testing.assert_array_equal(labels, expected.labels_)


@pytest.mark.parametrize("ending", ["zarr", "parquet"])
def test_a_job_killed_while_it_writes_is_run_again(ending, bucket, expected):
    def run(moment):
        return subprocess.run(
            [sys.executable, "-c", JOB, moment, "fit", "s3://job/points.zarr", "-k", "4",
             "--random-state", "1", "--tol", "0", "--quiet", "--overwrite", "--model",
             "s3://job/m.zarr", "--labels", f"s3://job/l.{ending}"],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    assert run("labels, half written").returncode == -signal.SIGKILL
    assert bucket.exists(f"job/l.{ending}.incomplete")
    again = run("")
    assert again.returncode == 0, again.stderr
    assert not bucket.exists(f"job/l.{ending}.incomplete")
    same(load_model("s3://job/m.zarr"), expected)
    if ending == "zarr":
        found = zarr.open_array("s3://job/l.zarr", mode="r")[...]
    else:
        found = dd.read_parquet("s3://job/l.parquet").compute()["label"]
    np.testing.assert_array_equal(found, expected.labels_)
