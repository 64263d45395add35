"""The clustergram of a store far larger than memory: it takes no pass more than the sweep.

    python benchmarks/clustergram.py --folder /somewhere/with/2GB --picture clustergram.png
    python benchmarks/clustergram.py --folder ... --rows 5_000_000       # does it run at all?
    python benchmarks/clustergram.py --source flights.parquet --standardize --picture flights.png

`sweep(1..12)` of rows in Zarr, or of another source, on workers of the given memory limit. A store
that is made here is gone when the clustergram is drawn. Fails if a worker spilled, paused or was
lost, or went beyond its limit or what `dask_kmeans.memory` states; if transitions do not add up to
the clusters' sizes; or if labels of some chunks are not what NumPy makes of the same rows and
centers.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

# No more than this here: workers of the job load this module too.
import jobs
import numpy as np
from bounded_memory import CHECKED_CHUNKS, CHUNK_VALUES, write_store
from common import cpu_name, markdown, versions


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Sweep on workers, check, and draw without the source."""
    from dask.utils import parse_bytes

    from dask_kmeans import sweep

    source = options.source or options.folder / "points.zarr"
    generated = options.source is None
    if generated:
        gigabytes = 4e-9 * options.rows * options.features
        write_store(source, gigabytes, options.features, options.workers)
    ks = range(1, options.largest + 1)
    with jobs.watched_workers(options.workers, parse_bytes(options.memory_limit)) as (_, found):
        start = time.perf_counter()
        models = sweep(
            source, ks, random_state=options.seed, standardize=options.standardize, nan="skip"
        )
        seconds = time.perf_counter() - start
        wrong = wrong_labels(source, models[ks[-1]]) if generated else []
    rows = int(models[1].cluster_sizes_.sum())
    report = found | {
        "source": "Zarr (zstd), float32" if generated else source.name,
        "rows": rows,
        "features": models[1].n_features_in_,
        "largest": ks[-1],
        "passes": models.n_passes,
        "passes_of_members": {k: models[k].n_passes_ for k in ks},
        "iterations": {k: models[k].n_iter_ for k in ks},
        "seconds": seconds,
        "elbow": models.elbow_,
        "complaints": wrong + jobs.complaints(found) + wrong_counts(models, rows),
    }
    if generated:
        report["stated"] = stated(report)
        if max(report["peak_workers"]) > report["stated"]:
            report["complaints"].append(f"dask_kmeans.memory states {report['stated']} bytes")
        if not options.keep:
            shutil.rmtree(source)
    if options.picture:
        report["seconds_to_draw"] = draw(models, options.picture)
    print(models.table.to_string(), file=sys.stderr)
    return report


def draw(models: Any, picture: Path) -> float:
    """Save the clustergram; seconds that it takes, matplotlib's start left out."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    _, ax = pyplot.subplots(layout="constrained")
    start = time.perf_counter()
    models.plot_clustergram(ax=ax).figure.savefig(picture, dpi=120)
    return time.perf_counter() - start


def wrong_counts(models: Any, rows: int) -> list[str]:
    """Where sizes and transitions do not add up."""
    wrong = []
    for (k, following), counts in models.transitions.items():
        sums = [(k, counts.sum(axis=1)), (following, counts.sum(axis=0))]
        wrong += [
            f"transitions {k} to {following}: {total.tolist()} rows of the clusters"
            for number, total in sums
            if not np.array_equal(total, models[number].cluster_sizes_) or total.sum() != rows
        ]
    return wrong


def wrong_labels(source: Path, model: Any) -> list[str]:
    """Labels that NumPy does not find."""
    import zarr

    stored: Any = zarr.open_array(source, mode="r")
    labels, centers, wrong = model.labels_, model.cluster_centers_, []
    chunk_rows = stored.chunks[0]
    numbers = np.linspace(0, stored.shape[0] // chunk_rows - 1, CHECKED_CHUNKS, dtype=int)
    for number in np.unique(numbers):
        chunk = slice(number * chunk_rows, (number + 1) * chunk_rows)
        part = stored[chunk].astype(np.float64)
        squares = [((part - center) ** 2).sum(axis=1) for center in centers]
        different = np.count_nonzero(np.argmin(squares, axis=0) != np.asarray(labels[chunk]))
        if different:
            wrong.append(f"{different} labels of chunk {number} are not NumPy's")
    return wrong


def stated(report: dict[str, Any]) -> int:
    """What `dask_kmeans.memory` says that a worker takes for the steps, bytes."""
    from dask_kmeans import memory, planning

    features, largest, runs = report["features"], report["largest"], report["largest"]
    row_bytes = 4 * features
    plan = planning.plan_blocks(
        report["rows"], CHUNK_VALUES // features, row_bytes, report["workers"] * report["threads"],
        max_block_rows=planning.MAX_BLOCK_ROWS,
    )  # fmt: skip
    task = memory.task_bytes(
        memory.reading_bytes(plan.read_rows * row_bytes),
        max(stop - start for start, stop in plan.bounds), planning.piece_rows(row_bytes),
        features, largest, runs,
    )  # fmt: skip
    labels = memory.label_bytes(largest) * report["rows"] * runs // report["workers"]
    return memory.worker_bytes(
        task, report["threads"], runs * memory.sums_bytes(largest, features), labels,
        report["memory_limit"],
    )  # fmt: skip


def table(report: dict[str, Any]) -> str:
    """One line."""
    workers, *others = jobs.told(report)
    header = ["sweep", "rows", "workers", "passes", "most iterations", "time", *jobs.TOLD[1:3],
              "formula", jobs.TOLD[3], "then the clustergram"]  # fmt: skip
    line = [
        f"1..{report['largest']}", f"{report['rows'] / 1e6:g} M x {report['features']}", workers,
        str(report["passes"]), str(max(report["iterations"].values())),
        f"{report['seconds']:.0f} s", *others[:2],
        f"{report['stated'] / 1e6:.0f} MB" if "stated" in report else "-", others[2],
        f"{report['seconds_to_draw']:.2f} s, 0 passes" if "seconds_to_draw" in report else "-",
    ]  # fmt: skip
    return "\n".join([
        markdown(header, [line]), "",
        f"{report['source']}, to tol=1e-4; {report['cpu']}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(report["versions"].items()))
        + f", {report['date']}.",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the rows go for a while")
    parser.add_argument("--source", type=Path, help="rows to take instead, such as FILE.parquet")
    parser.add_argument("--standardize", action="store_true")
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--features", type=int, default=4)
    parser.add_argument("--largest", type=int, default=12, help="number of clusters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-limit", default="1GiB", help="of each worker")
    parser.add_argument("--picture", type=Path, help="save the clustergram here")
    parser.add_argument("--keep", action="store_true", help="leave the store, for another run")
    parser.add_argument("--output", type=Path, help="write the measurements here, as JSON")
    parser.add_argument("--from", dest="report", type=Path, help="measure nothing: read this file")
    options = parser.parse_args()
    if options.report:
        report = json.loads(options.report.read_text())
    elif options.folder is None and options.source is None:
        parser.error("--folder, --source or --from is needed")
    else:
        report = measure(options) | {
            "date": datetime.date.today().isoformat(),
            "cpu": cpu_name(),
            "versions": versions("dask-kmeans", "dask", "distributed", "zarr", "numpy"),
        }
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))
    if report["complaints"]:
        sys.exit("\n".join(report["complaints"]))


if __name__ == "__main__":
    main()
