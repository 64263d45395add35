"""How the time of an iteration grows with rows, clusters, features and workers: four pictures.

    python benchmarks/costs.py --output results/costs.json --plot results/costs.png
    python benchmarks/costs.py --from results/costs.json --plot results/costs.png   # draw again

Lloyd's own iterations (`algorithm="lloyd"`), every row examined, as `history_` times them: the
median of a fit without its first two, the lowest of several fits. Rows in memory, on all cores; for
workers, a lazy array on `dask.distributed`, in processes of one thread each, which keep their rows
between passes (`memory_budget`), without a dashboard, and set as the clusters that the command line
starts: Dask's profiler off, and processes asked once a second, not fifty times, if they are alive.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from common import cpu_name, versions

from dask_kmeans import KMeans
from dask_kmeans.cli.cluster import OWN_CLUSTER

BASE = {"rows": 400_000, "clusters": 64, "features": 32}
GRID = {
    "rows": [25_000, 50_000, 100_000, 200_000, 400_000, 800_000, 1_600_000],
    "clusters": [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    "features": [2, 4, 8, 16, 32, 64, 128, 256],
}
ON_WORKERS = {"rows": 4_000_000, "clusters": 1024, "features": 64}
WORKERS = [1, 2]
CHUNK_ROWS = 62_500


def rows(rows: int, features: int, first: int = 0) -> np.ndarray:
    """Gaussian noise, float32: nothing that converges soon."""
    random = np.random.default_rng([first, features])
    return random.standard_normal((rows, features), dtype=np.float32)


def seconds(X: Any, start: np.ndarray, iterations: int, repeat: int) -> float:
    """Of one iteration from `start`: the median of a fit, the lowest of several fits."""
    found = []
    for _ in range(repeat):
        model = KMeans(
            len(start), init=start, algorithm="lloyd", max_iter=iterations, tol=0,
            memory_budget="8 GiB",
        ).fit(X)  # fmt: skip
        # The first iterations also measure distances, and add up every row.
        found.append(statistics.median(record.seconds for record in model.history_[2:]))
    return min(found)


def in_memory(repeat: int) -> dict[str, list[dict[str, float]]]:
    """Seconds along each axis of the grid."""
    measured: dict[str, list[dict[str, float]]] = {}
    for axis, values in GRID.items():
        measured[axis] = []
        for value in values:
            shape = {**BASE, axis: value}
            X = rows(shape["rows"], shape["features"])
            found = seconds(X, X[: shape["clusters"]].astype(float), 10, repeat)
            measured[axis].append({axis: value, "seconds": found})
            print(axis, value, f"{found * 1000:.2f} ms", flush=True)
    return measured


def on_workers(repeat: int) -> list[dict[str, float]]:
    """Seconds with one worker process and with two, of one thread each."""
    import dask
    import dask.array as da
    from dask import delayed
    from distributed import Client, LocalCluster

    n, k, d = (ON_WORKERS[axis] for axis in ("rows", "clusters", "features"))
    chunks = [
        da.from_delayed(delayed(rows)(CHUNK_ROWS, d, first), (CHUNK_ROWS, d), np.float32)
        for first in range(0, n, CHUNK_ROWS)
    ]
    X, start = da.concatenate(chunks), rows(k, d, -1 % 2**31).astype(float)
    best = dict.fromkeys(WORKERS, np.inf)
    for _ in range(repeat):  # in turn: a machine is not equally fast at all times
        for workers in WORKERS:
            with (
                dask.config.set(OWN_CLUSTER),
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None
                ) as cluster,
                Client(cluster),
            ):
                found = seconds(X, start, 8, 1)
            best[workers] = min(best[workers], found)
            print("workers", workers, f"{found * 1000:.1f} ms", flush=True)
    return [{"workers": workers, "seconds": found} for workers, found in best.items()]


def draw(report: dict[str, Any], path: Path) -> None:
    """Four panels: measured points, and the straight line of proportional growth."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
    for panel, (axis, points) in zip(panels.flat, report["seconds"].items(), strict=True):
        x = np.array([point[axis] for point in points], float)
        y = np.array([point["seconds"] for point in points]) * 1000
        fixed = report["on workers"] if axis == "workers" else report["base"]
        panel.plot(x, y, "o-", color="C0", label="measured")
        if axis == "workers":
            ideal, what = y[0] / x, f"half of one worker's (measured: {y[0] / y[-1]:.2f} x)"
            panel.set_xticks(x)
            panel.set_ylim(0, 1.15 * y.max())
            panel.set_xlim(0.8, 2.2)
        else:
            ideal, what = y[-1] * x / x[-1], f"in proportion to {axis}"
            panel.set_xscale("log", base=2)
            panel.set_yscale("log", base=2)
            panel.set_xticks(x, [f"{value:g}" if value < 1e4 else f"{value:.3g}" for value in x])
            ticks = 2.0 ** np.arange(np.floor(np.log2(y.min())), np.ceil(np.log2(y.max())) + 1)
            panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
            panel.tick_params(axis="x", labelrotation=40)
        panel.plot(x, ideal, "--", color="0.6", label=what)
        others = (f"{name} {size}" for name, size in fixed.items() if name != axis)
        panel.set_title(", ".join(others), fontsize=10)
        panel.set_xlabel("worker processes of one thread" if axis == "workers" else axis)
        panel.set_ylabel("ms an iteration")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=9)
    threads = f"{report['threads']} threads, float32"
    figure.suptitle(f"One iteration of Lloyd, every row examined ({threads}, {report['cpu']})")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--from", dest="source", type=Path, help="measure nothing: read this file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # about fits that end at max_iter, as they are meant to
    if options.source:
        report = json.loads(options.source.read_text())
    else:
        measured = in_memory(options.repeat)
        report = {
            "date": datetime.date.today().isoformat(),
            "cpu": cpu_name(),
            "threads": os.cpu_count(),
            "versions": versions("dask-kmeans", "numba", "numpy", "distributed"),
            "base": BASE,
            "on workers": ON_WORKERS,
            "seconds": {**measured, "workers": on_workers(options.repeat)},
        }
    one, two = (point["seconds"] for point in report["seconds"]["workers"])
    print(f"two workers against one: {one / two:.2f} x")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    if options.plot:
        draw(report, options.plot)


if __name__ == "__main__":
    main()
