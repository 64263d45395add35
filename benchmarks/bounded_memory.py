r"""Data many times larger than the memory of the workers: what a fit takes, and what it never does.

    python benchmarks/bounded_memory.py --folder /somewhere/with/12GB
    python benchmarks/bounded_memory.py --folder ... --gigabytes 20 --memory-limit 1GiB
    python benchmarks/bounded_memory.py --readme README.md \
        --from benchmarks/results/bounded-memory-*.json

Writes a Zarr store (zstd) of a mixture in float32, chunk by chunk; fits it on worker processes of
the given memory limit, started as `dask-kmeans fit --workers` does; writes labels to a store. Then
the workers' own high-water marks, what the scheduler noted of pauses and lost workers, and what the
workers noted of spilling. Fails if there was any of that, if a worker went beyond its limit or what
`dask_kmeans.memory` states, or if labels or inertia are not what NumPy makes of the same rows and
centers.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# No more than this here: workers of the job load this module too.
import jobs
import numpy as np
from common import cpu_name, in_own_process, markdown, versions, write_between_markers

CLUSTERS = 20
CHUNK_VALUES = 4_000_000
"""16 MB of float32 in each chunk."""

CHECKED_CHUNKS = 8
"""Chunks, spread over the store, whose labels NumPy finds again."""

WRITTEN = "written"
"""Attribute of a store that is complete."""

TIME_LIMIT = 3600

BLOCK = "bounded memory table"


def write_store(path: Path, gigabytes: float, features: int, threads: int) -> None:
    """The mixture, unless it is there from a run with --keep; no more than a chunk a thread."""
    import zarr
    from streaming import rows
    from zarr.codecs import ZstdCodec

    n_chunks, chunk_rows = round(gigabytes * 1e9 / (4 * CHUNK_VALUES)), CHUNK_VALUES // features
    shape = (n_chunks * chunk_rows, features)
    if path.exists():
        array = zarr.open_array(path, mode="r")
        if array.attrs.get(WRITTEN) and array.shape == shape:
            return
        shutil.rmtree(path)
    array = zarr.create_array(
        path, shape=shape, chunks=(chunk_rows, features), dtype="float32",
        compressors=[ZstdCodec()],
    )  # fmt: skip

    def write(number: int) -> None:
        first = number * chunk_rows
        array[first : first + chunk_rows] = rows(number, chunk_rows, features)

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(write, range(n_chunks)):
            pass
    array.attrs[WRITTEN] = True


# ---------------------------------------------------------------------------- the job, a process


def job(source: str, labels: str, workers: int, memory_limit: int) -> dict[str, Any]:
    """Fit and label on workers of its own, and what that took."""
    from dask_kmeans import KMeans
    from dask_kmeans.cli.cluster import peak_memory
    from dask_kmeans.write import write_labels

    begun = time.perf_counter()
    with jobs.watched_workers(workers, memory_limit) as (client, found):
        start = time.perf_counter()
        model = KMeans(CLUSTERS, random_state=0).fit(source)
        fitted = time.perf_counter()
        of_fit = peak_memory(client)["workers"]
        written = write_labels(model.labels_, labels)
        labelled = time.perf_counter()
    found |= {
        "rows": int(model.cluster_sizes_.sum()),
        "labels": written,
        "passes": model.n_passes_,
        "iterations": model.n_iter_,
        "converged": model.converged_,
        "inertia": model.inertia_,
        "centers": model.cluster_centers_.tolist(),
        "seconds_fit": fitted - start,
        "seconds_labels": labelled - fitted,
        "peak_workers_fit": of_fit,
    }
    found["seconds"] = time.perf_counter() - begun
    return found


# ------------------------------------------------------------------------------------ the checks


def complaints(report: dict[str, Any], source: Path, labels: Path) -> list[str]:
    """What is wrong with a run; nothing, it is hoped."""
    import zarr

    wrong = jobs.complaints(report)
    if max(report["peak_workers"]) > stated(report):
        wrong.append(f"dask_kmeans.memory states {stated(report) / 1e6:.0f} MB for a worker")
    if not report["rows"] == report["labels"] == report["n_rows"]:
        wrong.append(f"{report['rows']} rows, {report['labels']} labels of {report['n_rows']} rows")
    stored, written = zarr.open_array(source, mode="r"), zarr.open_array(labels, mode="r")
    centers = np.array(report["centers"])
    sampled, chunk_rows = [], stored.chunks[0]
    for number in np.linspace(0, report["n_rows"] // chunk_rows - 1, CHECKED_CHUNKS, dtype=int):
        chunk = slice(number * chunk_rows, (number + 1) * chunk_rows)
        part: Any = stored[chunk]
        squares = [((part.astype(np.float64) - center) ** 2).sum(axis=1) for center in centers]
        different = np.count_nonzero(np.argmin(squares, axis=0) != written[chunk])
        if different:
            wrong.append(f"{different} labels of chunk {number} are not NumPy's")
        sampled.append(np.min(squares, axis=0).mean())
    report["inertia_a_row"] = report["inertia"] / report["n_rows"]
    report["inertia_a_row_sampled"] = float(np.mean(sampled))
    if abs(report["inertia_a_row"] / report["inertia_a_row_sampled"] - 1) > 0.01:
        wrong.append(
            f"inertia of {report['inertia_a_row']} a row, by NumPy of a sample "
            f"{report['inertia_a_row_sampled']}"
        )
    return wrong


def stated(report: dict[str, Any]) -> int:
    """What `dask_kmeans.memory` says that a worker takes, bytes."""
    from dask_kmeans import memory, planning, sample
    from dask_kmeans.seed.k_means_parallel import candidates_per_round

    n_rows, features = report["n_rows"], report["features"]
    workers, threads = report["workers"], report["threads"]
    row_bytes = 4 * features
    plan = planning.plan_blocks(
        n_rows, CHUNK_VALUES // features, row_bytes, workers * threads,
        max_block_rows=planning.MAX_BLOCK_ROWS,
    )  # fmt: skip
    reading = memory.reading_bytes(plan.read_rows * row_bytes)
    block_rows = max(stop - start for start, stop in plan.bounds)
    piece_rows = planning.piece_rows(row_bytes)
    per_round = candidates_per_round(CLUSTERS, None)
    candidates = 2 * per_round
    seeding = (features, 4, candidates, per_round)
    sampled = sample.plan_sample(n_rows, features, CLUSTERS, 0)
    return memory.worker_bytes(
        memory.seeding_task_bytes(reading, block_rows, piece_rows, *seeding),
        threads,
        memory.seeding_partial_bytes(*seeding),
        memory.label_bytes(candidates) * n_rows // workers,
        report["memory_limit"],
        0 if sampled is None else int(sampled.share * n_rows * row_bytes / workers),
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Write, run, check, remove."""
    import zarr
    from dask.utils import parse_bytes

    source, labels = options.folder / "points.zarr", options.folder / "labels.zarr"
    start = time.perf_counter()
    write_store(source, options.gigabytes, options.features, options.workers)
    print(f"{source} is there after {time.perf_counter() - start:.0f} s", file=sys.stderr)
    if options.write_only:
        return {}
    shutil.rmtree(labels, ignore_errors=True)
    limit = parse_bytes(options.memory_limit)
    array = zarr.open_array(source, mode="r")
    report = {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_name(),
        "versions": versions("dask-kmeans", "dask", "distributed", "zarr", "numba", "numpy"),
        "bytes": array.nbytes,
        "bytes_stored": jobs.folder_bytes(source),
        "n_rows": array.shape[0],
        "features": array.shape[1],
    }
    try:
        found = in_own_process(
            Path(__file__),
            ["--job", str(source), str(labels), str(options.workers), str(limit)],
            timeout=TIME_LIMIT,
        )
        if "error" in found:
            raise SystemExit(f"the job failed: {found['error']}")
        report |= found
        report["complaints"] = complaints(report, source, labels)
        del report["centers"]
    finally:
        shutil.rmtree(labels, ignore_errors=True)
        if not options.keep:
            shutil.rmtree(source)
    return report


def table(reports: list[dict[str, Any]]) -> str:
    """One line a run."""
    header = ["data", "rows", "workers", "passes", "fit", "labels", "GB/s", "peak of a worker",
              "of its limit", "formula", "driver", "spills, pauses, lost workers"]  # fmt: skip
    lines = []
    for report in sorted(reports, key=lambda report: report["bytes"]):
        read = report["bytes"] * report["passes"]
        workers, peak, share, troubles = jobs.told(report)
        lines.append([
            f"{report['bytes'] / 1e9:.0f} GB",
            f"{report['n_rows'] / 1e6:.0f} M x {report['features']}",
            workers, str(report["passes"]),
            f"{report['seconds_fit']:.0f} s",
            f"{report['seconds_labels']:.0f} s", f"{read / report['seconds_fit'] / 1e9:.2f}",
            peak, share, f"{stated(report) / 1e6:.0f} MB",
            f"{report['peak_driver'] / 1e6:.0f} MB", troubles,
        ])  # fmt: skip
    last = reports[-1]
    return "\n".join([
        markdown(header, lines), "",
        f"Zarr (zstd), float32, k={CLUSTERS}, from our own seeds, labels "
        "written to Zarr; GB of decoded values; the driver's memory is that of its scheduler too; "
        f"{last['cpu']}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(last["versions"].items()))
        + f", {last['date']}.",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the stores go for a while")
    parser.add_argument("--gigabytes", type=float, default=12.0)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-limit", default="768MB", help="of each worker")
    parser.add_argument("--keep", action="store_true", help="leave the store, for another run")
    parser.add_argument("--write-only", action="store_true", help="write the store, and end")
    parser.add_argument("--output", type=Path, help="write the measurements here, as JSON")
    parser.add_argument(
        "--from", dest="sources", type=Path, nargs="+", help="measure nothing: read such files"
    )
    parser.add_argument("--readme", type=Path, help="write the table between this file's markers")
    parser.add_argument(
        "--job", nargs=4, metavar=("SOURCE", "LABELS", "WORKERS", "BYTES"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.job:
        source, labels, workers, limit = options.job
        print(json.dumps(job(source, labels, int(workers), int(limit))))
        return
    if options.sources:
        reports = [json.loads(path.read_text()) for path in options.sources]
    elif options.folder is None:
        parser.error("--folder or --from is needed")
    else:
        reports = [measure(options)]
        if options.write_only:
            return
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(reports[0], indent=1) + "\n")
    text = table(reports)
    print(text)
    if options.readme:
        write_between_markers(options.readme, BLOCK, text)
    if wrong := [complaint for report in reports for complaint in report["complaints"]]:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
