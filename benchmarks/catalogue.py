"""A catalogue of vectors from the shell: fitted by cosine, labelled with ids, a folder a cluster.

    python benchmarks/catalogue.py --folder /somewhere/with/4GB
    python benchmarks/catalogue.py --folder ... --rows 500_000        # does it run at all?

Writes a folder of Parquet files, float16 vectors in a list column beside an id: directions in a few
thousand topics of very unequal sizes. Then `dask-kmeans fit --metric cosine`, and `dask-kmeans
predict --keep id --with distance --partition-by cluster`, on workers of the given memory limit.
Fails if a worker spilled, paused or was lost, or went beyond its limit; if an id is missing or
there twice; or if labels and distances of some row groups are not what NumPy finds in float64.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# No more than this here: workers of the job load this module too.
import jobs
import numpy as np
from common import cpu_name, markdown, versions, write_between_markers

TOPICS, SPREAD = 3000, 0.8
"""Directions, and the length of the noise about one: rows have a cosine of 0.78 with theirs."""

PARTS, GROUP_ROWS = 20, 50_000
"""Files, and rows of a row group: 12.8 MB of 128 float16."""

PRIME, FACTOR = 2_147_483_647, 48_271
"""ids are row * FACTOR modulo PRIME: each once, in no order, and the row is found again."""

CHECKED_GROUPS = 4
"""Row groups, spread over the source, whose labels NumPy finds again."""

WRITTEN = "_written"
"""File beside the Parquet files of a source that is complete."""

TIME_LIMIT = 5400

BLOCK = "catalogue table"


def vectors(number: int, size: int, features: int) -> np.ndarray:
    """Row group `number`, float16 (size, features)."""
    topics = np.random.default_rng(0).standard_normal((TOPICS, features), np.float32)
    topics /= np.linalg.norm(topics, axis=1, keepdims=True)
    random = np.random.default_rng([number, features])
    of = (TOPICS * random.random(size) ** 2).astype(int)  # the first topics are the largest
    noise = random.standard_normal((size, features), np.float32)
    noise *= np.float32(SPREAD / features**0.5)
    found = topics[of] + noise
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def write_source(folder: Path, rows: int, features: int, threads: int) -> None:
    """The catalogue, unless it is there from a run with --keep; a part a thread at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    written, size = folder / WRITTEN, f"{rows} x {features}"
    if written.exists() and written.read_text() == size:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    groups = -(-rows // GROUP_ROWS)
    schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float16()))])

    def write(part: int) -> None:
        with pq.ParquetWriter(
            folder / f"part-{part}.parquet", schema, use_dictionary=False, compression="zstd"
        ) as file:
            for number in range(groups * part // PARTS, groups * (part + 1) // PARTS):
                first = number * GROUP_ROWS
                count = min(GROUP_ROWS, rows - first)
                ids = (first + np.arange(count)) * FACTOR % PRIME
                ends = np.arange(count + 1, dtype=np.int32) * features
                lists = pa.ListArray.from_arrays(ends, vectors(number, count, features).ravel())
                file.write_table(pa.table([ids, lists], schema=schema), row_group_size=GROUP_ROWS)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, range(PARTS)))
    written.write_text(size)


def run(options: argparse.Namespace, source: Path) -> dict[str, Any]:
    """Fit and label, from the shell."""
    from dask.utils import parse_bytes

    model, labels = options.folder / "model.zarr", options.folder / "labels.parquet"
    for old in (model, labels):
        shutil.rmtree(old, ignore_errors=True)
    limit = parse_bytes(options.memory_limit)
    with jobs.watched_workers(options.workers, limit) as (client, found):
        there = ["--scheduler", client.scheduler.address]
        fit = jobs.command(
            "fit", f"{source}/*.parquet", "--columns", "vector", "--metric", "cosine",
            "--n-clusters", str(options.clusters), "--model", str(model), *there,
            timeout=TIME_LIMIT,
        )  # fmt: skip
        predict = jobs.command(
            "predict", f"{source}/*.parquet", "--model", str(model), "--labels", str(labels),
            "--keep", "id", "--with", "distance", "--partition-by", "cluster", *there,
            timeout=TIME_LIMIT,
        )  # fmt: skip
    return found | {
        "n_rows": options.rows,
        "features": options.features,
        "clusters": options.clusters,
        "passes": fit["n_passes"],
        "iterations": fit["n_iter"],
        "converged": fit["converged"],
        "mean_cosine": 1 - fit["inertia"] / options.rows,
        "mean_cosine_labelled": 1 - predict["inertia"] / options.rows,
        "seconds_fit": fit["wall"],
        "seconds_labels": predict["wall"],
        "peak_fit": fit["peak_memory"],
        "peak_predict": predict["peak_memory"],
        "bytes_stored": jobs.folder_bytes(source),
        "files": sum(1 for _ in labels.rglob("*.parquet")),
        "bytes_labels": jobs.folder_bytes(labels),
    }


def complaints(report: dict[str, Any], folder: Path) -> list[str]:
    """What is wrong with a run; nothing, it is hoped."""
    import pyarrow.dataset as ds

    from dask_kmeans import load_model

    rows = report["n_rows"]
    partitions = ds.partitioning(flavor="hive")
    table = ds.dataset(folder / "labels.parquet", partitioning=partitions).to_table()
    ids, labels, distances = (table[name].to_numpy() for name in ("id", "cluster", "distance"))
    row = ids * pow(FACTOR, -1, PRIME) % PRIME
    order = np.argsort(row)
    wrong = jobs.complaints(report)
    if not np.array_equal(row[order], np.arange(rows)):
        return [*wrong, f"{len(ids)} labelled ids, which are not those of the {rows} rows"]
    labels, distances = labels[order], distances[order]
    centers = load_model(folder / "model.zarr").cluster_centers_
    different, farthest = 0, 0.0
    report["checked_rows"] = 0
    for number in np.unique(np.linspace(0, rows // GROUP_ROWS - 1, CHECKED_GROUPS, dtype=int)):
        some = slice(number * GROUP_ROWS, (number + 1) * GROUP_ROWS)
        values = vectors(number, GROUP_ROWS, report["features"]).astype(np.float64)
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        away = 1 - values @ centers.T
        nearest = np.argmin(away, axis=1)
        different += int(np.count_nonzero(nearest != labels[some]))
        farthest = max(farthest, float(np.abs(away.min(axis=1) - distances[some]).max()))
        report["checked_rows"] += GROUP_ROWS
    report |= {"different_labels": different, "distance_error": farthest}
    if different:
        wrong.append(f"{different} of {report['checked_rows']} labels are not NumPy's")
    if farthest > 1e-6:
        wrong.append(f"distances differ from NumPy's by up to {farthest:.3g}")
    return wrong


def table(report: dict[str, Any]) -> str:
    """One line."""
    read = report["n_rows"] * report["features"] * 2 * report["passes"]
    workers, *others = jobs.told(report)
    header = ["vectors", "clusters", "workers", "passes", "fit", "GB/s", "labels", "mean cosine",
              *jobs.TOLD[1:]]  # fmt: skip
    line = [
        f"{report['n_rows'] / 1e6:g} M x {report['features']}", str(report["clusters"]), workers,
        str(report["passes"]), f"{report['seconds_fit']:.0f} s",
        f"{read / report['seconds_fit'] / 1e9:.2f}", f"{report['seconds_labels']:.0f} s",
        f"{report['mean_cosine']:.4f}", *others,
    ]  # fmt: skip
    return "\n".join([
        markdown(header, [line]), "",
        f"float16 lists in Parquet ({report['bytes_stored'] / 1e9:.1f} GB) beside an id; "
        "`fit --metric cosine`, then `predict --keep id --with distance --partition-by cluster` "
        f"({report['files']} files), each from the shell to its end; "
        f"{report['checked_rows']} labels found again by NumPy in float64; "
        f"{report['cpu']}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(report["versions"].items()))
        + f", {report['date']}.",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where all of it goes for a while")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-limit", default="1GiB", help="of each worker")
    parser.add_argument("--keep", action="store_true", help="leave the vectors, for another run")
    parser.add_argument("--output", type=Path, help="write the measurements here, as JSON")
    parser.add_argument("--from", dest="source", type=Path, help="measure nothing: read this file")
    parser.add_argument("--readme", type=Path, help="write the table between this file's markers")
    options = parser.parse_args()
    if options.source:
        report = json.loads(options.source.read_text())
    elif options.folder is None:
        parser.error("--folder or --from is needed")
    else:
        source = options.folder / "vectors"
        write_source(source, options.rows, options.features, options.workers)
        try:
            report = run(options, source)
            report |= {
                "date": datetime.date.today().isoformat(),
                "cpu": cpu_name(),
                "versions": versions("dask-kmeans", "dask", "distributed", "pyarrow", "numpy"),
            }
            report["complaints"] = complaints(report, options.folder)
        finally:
            for made in ("model.zarr", "labels.parquet", *([] if options.keep else ["vectors"])):
                shutil.rmtree(options.folder / made, ignore_errors=True)
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(report, indent=1) + "\n")
    text = table(report)
    print(text)
    if options.readme:
        write_between_markers(options.readme, BLOCK, text)
    if report["complaints"]:
        sys.exit("\n".join(report["complaints"]))


if __name__ == "__main__":
    main()
