"""The examples of pipelines: each is parsed, and run as far as it goes without its scheduler."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import types
from pathlib import Path

import naive
import numpy as np
import pandas as pd
import pytest
import yaml
from reports import checked

from dask_kmeans import load_model

ROOT = Path(__file__).parent.parent
PIPELINES = ROOT / "examples" / "pipelines"
DAY = "2026-11-30"
FEATURES = ["visits", "euros"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the examples call /srv/segments, as the current folder; `dask-kmeans` is found."""
    rng = np.random.default_rng(0)
    for place, n in (("customers", 300), (f"incoming/{DAY}", 60)):
        (tmp_path / place).mkdir(parents=True)
        kind = rng.integers(3, size=n)
        frame = pd.DataFrame({
            "customer_id": np.arange(n), "visits": rng.poisson(np.array([2, 30, 90])[kind]),
            "euros": rng.normal(np.array([20, 900, 100])[kind], 9),
        })  # fmt: skip
        for part, rows in enumerate(np.array_split(np.arange(n), 2)):
            frame.iloc[rows].to_parquet(tmp_path / place / f"{part}.parquet")
    for path in PIPELINES.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "bin").mkdir()
    commands = {"dask-kmeans": '-m dask_kmeans "$@"', "dask": '-m dask "$@"'}
    for name, arguments in commands.items():
        executable(tmp_path / "bin" / name, f"exec {sys.executable} {arguments}")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def executable(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def shell(command):
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return ran


def held(day=DAY):
    """The labels of a day are those of a brute force; the reports are as they should be."""
    model = load_model("customers.zarr")
    rows = pd.read_parquet(f"incoming/{day}")[FEATURES].to_numpy(float)
    mean, scale = model.standardization_.mean, model.standardization_.scale
    expected = naive.nearest((rows - mean) / scale, (model.cluster_centers_ - mean) / scale)
    found = pd.read_parquet(f"labels/{day}.parquet")
    assert found["label"].tolist() == expected.tolist()
    reports = [checked(Path(f"reports/{name}.json").read_text()) for name in ("fit", day)]
    assert [report["n_rows"] for report in reports] == [300, 60]


def test_all_are_here():
    assert {path.name for path in PIPELINES.iterdir()} == {
        "job.toml", "nightly.sh", "crontab.txt", "airflow_dag.py", "prefect_flow.py", "slurm.sh",
        "jobqueue.py", "cronjob.yaml",
    }  # fmt: skip
    assert os.access(PIPELINES / "nightly.sh", os.X_OK)


FIELDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


@pytest.mark.slow
def test_cron(folder):
    lines = (folder / "crontab.txt").read_text().splitlines()
    jobs = [line for line in lines if not line.startswith("#")]
    assert len(jobs) == 2
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    if today != DAY:
        (folder / "incoming" / today).symlink_to(folder / "incoming" / DAY)
    for job in jobs:
        *times, command = job.split(maxsplit=5)
        for time, (low, high) in zip(times, FIELDS, strict=True):
            assert time == "*" or low <= int(time) <= high
        assert "%" not in command  # which cron takes for the end of a line
        shell(command.replace("/srv/segments", "."))
    held(today)
    for log in ("fit.log", "nightly.log"):
        lines = [json.loads(line) for line in (folder / log).read_text().splitlines()]
        assert {line["level"] for line in lines} == {"info"}


@pytest.mark.slow
def test_airflow(folder, monkeypatch):
    operators = []

    class BashOperator:
        def __init__(self, task_id, bash_command, cwd):
            self.command, self.cwd = bash_command, cwd
            operators.append(self)

        def __rshift__(self, other):
            assert operators.index(self) < operators.index(other)

    def dag(dag_id, schedule, start_date, catchup, default_args):
        return contextlib.nullcontext()

    bash = types.SimpleNamespace(BashOperator=BashOperator)
    monkeypatch.setitem(sys.modules, "airflow", types.ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", types.SimpleNamespace(DAG=dag))
    for name in ("providers", "providers.standard", "providers.standard.operators"):
        monkeypatch.setitem(sys.modules, f"airflow.{name}", types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "airflow.providers.standard.operators.bash", bash)
    runpy.run_path("airflow_dag.py")
    for _ in range(2):  # a task may be tried again
        for operator in operators:
            assert operator.cwd == "/srv/segments"
            shell(re.sub(r"\{\{ *ds *\}\}", DAY, operator.command))
    held()


@pytest.mark.slow
def test_prefect(folder, monkeypatch):
    def decorator(function=None, **settings):
        return decorator if function is None else function

    prefect = types.SimpleNamespace(flow=decorator, task=decorator)
    monkeypatch.setitem(sys.modules, "prefect", prefect)
    segments = runpy.run_path("prefect_flow.py", run_name="flow")["segments"]
    drift = segments(DAY)
    held()
    assert 0.5 < drift < 1.5
    assert segments(DAY) == drift


@pytest.mark.slow
def test_slurm(folder):
    """With an `srun` that runs its command here, once."""
    shell("bash -n slurm.sh")
    executable(folder / "bin" / "srun", 'shift; exec "$@"')
    shell("bash slurm.sh")
    assert checked((folder / "reports" / "fit.json").read_text())["n_rows"] == 300
    assert not list(folder.glob("scheduler-*"))


@pytest.mark.slow
def test_jobqueue(folder, monkeypatch, capsys):
    """The script that it would hand to Slurm; then the fit, on workers of this process."""
    interrupt = signal.getsignal(signal.SIGINT)
    jobqueue = pytest.importorskip("dask_jobqueue")
    signal.signal(signal.SIGINT, interrupt)  # its import sets one that exits, for later tests too
    from distributed import LocalCluster

    scripts = []

    class Cluster(LocalCluster):
        def __init__(self, **settings):
            with jobqueue.SLURMCluster(**settings) as cluster:
                scripts.append(cluster.job_script())
            super().__init__(n_workers=1, processes=False, dashboard_address=":0")

        def scale(self, jobs):
            super().scale(jobs)

    stub = types.SimpleNamespace(SLURMCluster=Cluster)
    monkeypatch.setitem(sys.modules, "dask_jobqueue", stub)
    runpy.run_path("jobqueue.py")
    assert "#SBATCH --cpus-per-task=8" in scripts[0]
    assert "#SBATCH -t 02:00:00" in scripts[0]
    assert "converged" in capsys.readouterr().out
    assert load_model("customers.zarr").n_features_in_ == 2


def test_kubernetes(folder, monkeypatch):
    """The options in the environment of the container are those of the command."""
    job = yaml.safe_load((folder / "cronjob.yaml").read_text())
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    shown = shell(" ".join([*container["command"], "--show-config"])).stdout
    assert 'model = "s3://shop/customers.zarr"  # DASK_KMEANS_MODEL\n' in shown
    assert shown.count("# DASK_KMEANS_") == len(container["env"])
