"""Peak memory of a process that fits stored data, against what `memory` says that it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from dask_kmeans import memory, planning
from dask_kmeans.blockwise import MERGE_ARITY
from dask_kmeans.seed.k_means_parallel import candidates_per_round

ROUNDS = 2
"""Of k-means||: as many as it makes by itself of all but a few data sets."""

MEASURE = """
import json, sys
import dask, numpy as np, zarr
from dask_kmeans import KMeans

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

small, large, init, k, n_init = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
dask.config.set(scheduler="threads", num_workers=1)

def fit(path, k):
    KMeans(k, init=init, n_init=n_init, init_rounds=ROUNDS, max_iter=4, tol=0, random_state=0,
           algorithm="lloyd").fit(path)

fit(small, 3)  # everything imported, compiled and used once
before = peak()
fit(large, k)
print(json.dumps(peak() - before))
"""

NOISE = 16 * 2**20
"""What the interpreter and the allocator, with an arena for each thread of zarr, take as well."""

SHAPES = [
    # rows, features, rows of a chunk, clusters, restarts
    (400_000, 16, 50_000, 8, 1),
    (2_000_000, 2, 250_000, 16, 1),
    (60_000, 128, 10_000, 64, 1),
    (20_000, 512, 2_000, 256, 1),
    (300_000, 8, 300_000, 5, 1),
    (500_000, 8, 20_000, 10, 6),
]


def stated(rows, features, chunk, clusters, runs, init):
    """Bytes of one task, and what lies beside it in a process: labels of all rows, partial results,
    what the driver does with them."""
    row_bytes = 4 * features
    plan = planning.plan_blocks(rows, chunk, row_bytes, 1)
    reading = memory.reading_bytes(plan.read_rows * row_bytes)
    block_rows = max(last - first for first, last in plan.bounds)
    piece_rows = min(plan.read_rows, planning.piece_rows(row_bytes))
    labels = memory.label_bytes(clusters) * rows * runs
    held = MERGE_ARITY + 2
    most = labels + held * memory.sums_bytes(clusters, features) * runs + memory.task_bytes(
        reading, block_rows, piece_rows, features, clusters, runs
    )  # fmt: skip
    if init == "k-means||":
        per_round = candidates_per_round(clusters, None)
        candidates = ROUNDS * per_round
        seeding = memory.label_bytes(candidates) * rows + max(
            memory.seeding_task_bytes(
                reading, block_rows, piece_rows, features, 4, candidates, per_round
            )
            + held * memory.seeding_partial_bytes(features, 4, candidates, per_round),
            memory.summary_bytes(candidates, features),
        )
        most = max(most, seeding)
    return most + NOISE


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's high-water mark")
@pytest.mark.parametrize("init", ["random", "k-means||"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_peak_is_within_the_formula(shape, init, tmp_path):
    rows, features, chunk, clusters, runs = shape
    for name, count in (("small", 3000), ("large", rows)):
        array = zarr.create_array(
            str(tmp_path / name), shape=(count, features), dtype="f4", chunks=(chunk, features)
        )
        generator = np.random.default_rng(0)
        for first in range(0, count, chunk):
            last = min(count, first + chunk)
            array[first:last] = generator.normal(size=(last - first, features))
    allowed = stated(*shape, init)
    # The allocator's noise only ever adds: the smallest of a few runs is what the fit needs.
    peak = measured(tmp_path, init, clusters, runs)
    for _ in range(2):
        if peak > allowed:
            peak = min(peak, measured(tmp_path, init, clusters, runs))
    print(f"{shape}, {init}: {peak / 2**20:.1f} of {allowed / 2**20:.1f} MiB")
    assert peak <= allowed


def test_workers_do_not_load_what_tasks_do_not_need():
    """scikit-learn, pandas and what they bring take more memory than the tasks."""
    code = (
        "import sys, dask_kmeans.step.measure, dask_kmeans.survey, dask_kmeans.sample\n"
        "import dask_kmeans.seed, dask_kmeans.predict, dask_kmeans.read.from_zarr\n"
        "print(sorted({'sklearn', 'pandas', 'pyarrow', 'xarray', 'dask.array'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert ran.stdout == "[]\n"


def measured(folder, init, clusters, runs):
    """High-water mark of a process that fits the large store, above that of one that is warm."""
    done = subprocess.run(
        [sys.executable, "-c", f"{ROUNDS=}\n{MEASURE}", str(folder / "small"),
         str(folder / "large"), init, str(clusters), str(runs)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's high-water mark")
def test_workers_hold_what_is_stated_and_spill_nothing(tmp_path):
    """The benchmark with data many times larger than its workers, in small."""
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, str(root / "benchmarks" / "bounded_memory.py"), "--folder", str(tmp_path),
         "--gigabytes", "0.5", "--output", str(tmp_path / "report.json")],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rows"] == report["labels"] == 3_875_000
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
