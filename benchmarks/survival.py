"""Kill workers and drivers of a fit at random moments; count the fits that end with the same bytes.

    python benchmarks/survival.py [--workers 20] [--drivers 20] [--seed 0]

A worker of two is killed by SIGKILL while the driver waits for it; its nanny starts another one. A
driver is killed by SIGKILL, then the same fit is started again and goes on from its checkpoint.
Moments are drawn uniformly from the time that the undisturbed fit took, by a seeded generator.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import zarr
from common import REPOSITORY

from dask_kmeans import KMeans

ROWS, FEATURES, CLUSTERS = 120_000, 8, 24
TIME_LIMIT = 120
"""Seconds after which a fit counts as hanging."""


def write_data(path: str) -> None:
    """Overlapping clusters, so that a fit takes its time."""
    generator = np.random.default_rng(1)
    means = generator.normal(scale=3, size=(CLUSTERS, FEATURES))
    rows = means[generator.integers(CLUSTERS, size=ROWS)]
    rows += generator.normal(scale=2, size=rows.shape)
    zarr.create_array(path, data=rows, chunks=(ROWS // 16, FEATURES))


def fit(path: str, checkpoint: str | None = None, callbacks=None) -> KMeans:
    model = KMeans(
        CLUSTERS, random_state=7, tol=0, max_iter=60, algorithm="lloyd", checkpoint=checkpoint,
        callbacks=callbacks,
    )  # fmt: skip
    return model.fit(path)


def digest(model: KMeans) -> str:
    """Of everything that has to agree: centers, labels, inertia, iterations."""
    found = hashlib.sha256(model.cluster_centers_.tobytes())
    found.update(np.asarray(model.labels_).tobytes())
    found.update(f"{model.inertia_.hex()} {model.n_iter_} {model.cluster_sizes_.tolist()}".encode())
    return found.hexdigest()


def drive(path: str, checkpoint: str) -> None:
    """The driver that is killed: says when it begins, each iteration, and what it found."""
    print("begins", flush=True)
    model = fit(path, checkpoint, [lambda record: print(record.iteration, flush=True)])
    print(json.dumps({"digest": digest(model)}), flush=True)


# ------------------------------------------------------------------------------------------ workers


def kill_workers(path: str, expected: str, count: int, generator: random.Random) -> int:
    """Fits that ended with the expected bytes although one of their two workers was killed."""
    same, span = 0, 0.0
    for number in range(-1, count):  # the first one is left alone
        while True:
            with two_workers() as client:
                moment, victim = generator.random() * span, generator.choice(pids(client))
                killer = threading.Timer(moment, os.kill, (victim, signal.SIGKILL))
                if number >= 0:
                    killer.start()
                start = time.perf_counter()
                ended = digest(fit(path))
            if number < 0 or not killer.is_alive():
                break
            killer.cancel()  # the fit was faster than that moment: draw another one
        if number < 0:
            span = time.perf_counter() - start
            print(f"undisturbed on two workers: {span:.1f} s")
            continue
        same += ended == expected
        print(
            f"worker {number + 1:2}: killed after {moment:.2f} s: "
            f"{'same bytes' if ended == expected else 'OTHER BYTES'}",
            flush=True,
        )
    return same


@contextlib.contextmanager
def two_workers() -> Iterator[Any]:
    """A client of two worker processes, whose nannies start dead ones again."""
    from distributed import Client, LocalCluster

    with (
        # Else it parts for good with one that is being started again 15 s after an earlier death.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 d"}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            worker_dashboard_address=None, silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client


def pids(client: Any) -> list[int]:
    """Of the worker processes."""
    return sorted(client.run(os.getpid).values())


# ------------------------------------------------------------------------------------------ drivers


def start_driver(path: str, checkpoint: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, __file__, "--drive", path, checkpoint],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *filter(None, sys.path)]),
        },
    )


def kill_drivers(path: str, expected: str, count: int, generator: random.Random) -> int:
    """Fits that ended with the expected bytes although their driver was killed."""
    same = 0
    with tempfile.TemporaryDirectory() as folder, start_driver(path, f"{folder}/state") as process:
        assert process.stdout is not None
        process.stdout.readline()
        start = time.perf_counter()
        process.stdout.read()
        span = time.perf_counter() - start
    print(f"undisturbed in one process: {span:.1f} s")
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = f"{folder}/state"
            moment = generator.random() * span
            while True:
                with start_driver(path, checkpoint) as process:
                    process.stdout.readline()
                    time.sleep(moment)
                    process.send_signal(signal.SIGKILL)
                    lines = process.stdout.read().splitlines()
                ended = bool(lines) and lines[-1].startswith("{")
                if process.returncode == -signal.SIGKILL and not ended:
                    break
                moment /= 2  # it had ended before
                Path(checkpoint).unlink(missing_ok=True)
            with start_driver(path, checkpoint) as process:
                output, _ = process.communicate(timeout=TIME_LIMIT)
            found = json.loads(output.splitlines()[-1])["digest"]
            same += found == expected
            where = f"iteration {lines[-1]}" if lines else "seeding"
            print(
                f"driver {number + 1:2}: killed after {moment:.2f} s, in {where}: "
                f"{'same bytes' if found == expected else 'OTHER BYTES'}",
                flush=True,
            )
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=20, help="workers to kill")
    parser.add_argument("--drivers", type=int, default=20, help="drivers to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--drive", nargs=2, metavar=("DATA", "CHECKPOINT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        drive(*options.drive)
        return 0
    generator = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="survival-") as folder:
        path = f"{folder}/points.zarr"
        write_data(path)
        expected = digest(fit(path))
        same = kill_workers(path, expected, options.workers, generator) if options.workers else 0
        if options.drivers:
            same += kill_drivers(path, expected, options.drivers, generator)
    count = options.workers + options.drivers
    print(f"{same} of {count} end with the same bytes")
    return int(same != count)


if __name__ == "__main__":
    sys.exit(main())
