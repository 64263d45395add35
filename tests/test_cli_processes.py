"""The command as a process: workers of its own, a cluster, signals."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import zarr

from dask_kmeans.write import load_fitted

pytestmark = pytest.mark.slow  # each test starts a job, most of them with workers

COMMAND = (sys.executable, "-m", "dask_kmeans")


def run(*arguments, **options):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )


@pytest.fixture
def source(tmp_path, xclara):
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=xclara, chunks=(500, 2))
    return path


def test_workers_are_started_and_give_the_same_bits(source, tmp_path):
    here = run("fit", source, "-k", 5, "--model", tmp_path / "here.zarr")
    there = run(
        "fit", source, "-k", 5, "--model", tmp_path / "there.zarr", "--labels", tmp_path / "l.zarr",
        "--workers", 2, "--threads", 1, "--memory-limit", "2GiB", "--report", tmp_path / "r.json",
    )  # fmt: skip
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert here.stdout == there.stdout
    a, b = (load_fitted(tmp_path / f"{name}.zarr") for name in ("here", "there"))
    assert a.cluster_centers.tobytes() == b.cluster_centers.tobytes()
    report = json.loads((tmp_path / "r.json").read_text())
    assert len(report["peak_memory"]["workers"]) == 2
    # Nothing of what Dask's processes say to each other.
    # After the date and the time.
    said = {line.split()[2] for line in there.stderr.splitlines()} - {"compiling"}
    expected = {"reading", "seeding", "iteration", "converged", "writing", "labels"}
    assert said == expected, there.stderr


def test_the_workers_of_a_scheduler(source, tmp_path, processes):
    ran = run(
        "fit", source, "-k", 3, "--model", tmp_path / "m.zarr",
        "--scheduler", processes.scheduler_address,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert load_fitted(tmp_path / "m.zarr").inertia == pytest.approx(611605.8806933896, rel=1e-12)


def test_an_error_in_a_worker_is_one_line(tmp_path, xclara):
    rows = xclara.copy()
    rows[1234, 1] = np.inf
    np.save(tmp_path / "x.npy", rows)
    ran = run("fit", tmp_path / "x.npy", "-k", 3, "--model", tmp_path / "m.zarr", "--workers", 1)
    assert ran.returncode == 1
    lines = [line for line in ran.stderr.splitlines() if not line.startswith("compiling")]
    assert len(lines) == 1, ran.stderr
    assert "row 1234, column 1" in ran.stderr


@pytest.mark.parametrize("where", [(), ("--workers", "1")], ids=["threads", "workers"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number, where, tmp_path):
    """One line, its own exit code, nothing half-written, the state kept, no process left."""
    rows = np.random.default_rng(0).normal(size=(200_000, 20)).astype("float32")
    np.save(tmp_path / "x.npy", rows)
    process = subprocess.Popen(
        [*COMMAND, "fit", tmp_path / "x.npy", "-k", "300", "--tol", "0", "--model",
         tmp_path / "m.zarr", "--checkpoint", tmp_path / "state", *where],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    for line in process.stderr:
        if " iteration 2:" in line:
            break
    else:
        pytest.fail(f"it ended before the second iteration: {process.wait()}")
    # A terminal sends SIGINT to all processes of the group, the workers among them.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    started = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert time.monotonic() - started < 30
    last = err.splitlines()[-1]
    assert last.startswith(
        f"dask-kmeans: stopped by {number.name}; no output was left half-written"
    )
    said = {line.split()[2] for line in err.splitlines()[:-1]}  # after the date and the time
    assert said <= {"iteration", "compiling"}, err
    assert out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state", "x.npy"]
    assert _gone(process.pid)


def _gone(group):
    """Whether all processes of the group have ended, within ten seconds."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_help_is_quick(tmp_path):
    """No numerical library is imported to say how to call it."""
    code = (
        "import sys\n"
        "from dask_kmeans.cli import main\n"
        "try:\n    main(['fit', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numba', 'zarr', 'pandas', 'sklearn', 'dask.array', 'distributed'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stderr == "[]\n"
