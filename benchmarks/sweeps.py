"""What a sweep out of core takes beside fitting each number of clusters alone.

    python benchmarks/sweeps.py --folder /somewhere/with/1GB --output benchmarks/results/sweeps.json

`sweep(2..20)` of 4 000 000 x 32 float32 in Zarr (zstd) on disk, page cache warm, against the sum of
19 fits of the same store with the same parameters, from seeding to the last pass, to tol=1e-4; for
several seeds, since a single run that crosses a plateau, in the sweep or alone, makes many passes.

A sweep shares what a pass costs to read and decode. It cannot share the comparing of rows with
centers: each member has its own. So the ratio has a floor, the sweep's share of computing, which
the table states: the seconds of the sweep that are left when its reading is taken away, over the
seconds of all fits alone. Steps on the sample, which is in memory, are such computing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from pathlib import Path
from typing import Any

from common import cpu_name, markdown, versions
from streaming import STORES, add, read_block, write

from dask_kmeans import KMeans, accelerate, sweep
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.read import as_points


class OnTheSample:
    """Seconds that fits spend on their samples, while this is entered."""

    def __enter__(self) -> OnTheSample:
        self.seconds = 0.0
        self._own = {name: getattr(accelerate.Accelerator, name) for name in ("warm_up", "leap")}
        for name, method in self._own.items():
            setattr(accelerate.Accelerator, name, self._timed(method))
        return self

    def __exit__(self, *_: object) -> None:
        for name, method in self._own.items():
            setattr(accelerate.Accelerator, name, method)

    def _timed(self, method: Any) -> Any:
        def timed(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = method(*arguments)
            self.seconds += time.perf_counter() - start
            return result

        return timed


def reading_seconds(path: Path) -> float:
    """Of one pass that only reads and decodes, the fastest of three."""
    points = as_points(path)
    blockwise = Blockwise(points.blocks, points.in_memory)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        blockwise.run(read_block, merge=add)
        times.append(time.perf_counter() - start)
    blockwise.close()
    return min(times)


def timed(work: Any) -> tuple[Any, dict[str, float]]:
    with OnTheSample() as sample:
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
    return result, {"seconds": seconds, "on the sample": sample.seconds}


def compare(path: Path, ks: range, seed: int, **parameters: Any) -> dict[str, Any]:
    """Figures of the sweep, and of its members alone."""
    KMeans(2, max_iter=1).fit(path)  # compiles
    models, together = timed(lambda: sweep(path, ks, random_state=seed, **parameters))
    together["passes"] = models.n_passes
    alone = []
    for k in ks:
        model, found = timed(lambda k=k: KMeans(k, random_state=seed, **parameters).fit(path))
        found |= {"k": k, "passes": model.n_passes_, "inertia": model.inertia_}
        found["inertia in the sweep"] = models[k].inertia_
        alone.append(found)
        print(found, flush=True)
    return {"together": together, "alone": alone}


def table(report: dict[str, Any]) -> str:
    rows = []
    for name, found in report["measured"].items():
        together, alone = found["together"], found["alone"]
        total = sum(fit["seconds"] for fit in alone)
        computing = together["seconds"] - together["passes"] * report["reading"]
        slowest = max(fit["passes"] for fit in alone)
        rows.append([
            name, f"{together['seconds']:.1f} s", f"{total:.1f} s",
            f"{together['seconds'] / total:.2f}", f"{max(0.0, computing) / total:.2f}",
            f"{together['on the sample']:.1f} s",
            f"{sum(fit['on the sample'] for fit in alone):.1f} s",
            f"{together['passes']}", f"{slowest}", f"{sum(fit['passes'] for fit in alone)}",
        ])  # fmt: skip
    header = ["sweep(2..20)", "time", "19 fits alone", "ratio", "floor", "of it on the sample",
              "alone on the sample", "passes", "slowest alone", "all alone"]  # fmt: skip
    return "\n".join([
        markdown(header, rows),
        "",
        f"{report['work']}, {report['reading']:.2f} s to read and decode once; {report['cpu']}, "
        f"{report['versions']}, {report['date']}.",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--chunk", type=int, default=250_000)
    parser.add_argument("--largest", type=int, default=20, help="number of clusters")
    parser.add_argument("--kinds", nargs="+", default=["auto", "lloyd"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    file, how = STORES["Zarr, zstd"]
    path = options.folder / file
    write(path, how, options.rows, options.features, options.chunk)
    kinds: dict[str, dict[str, Any]] = {
        "auto": {},
        "lloyd": {"algorithm": "lloyd", "max_iter": 10},
    }
    names = {"auto": "to tol=1e-4", "lloyd": "10 iterations of Lloyd"}
    ks = range(2, options.largest + 1)
    report = {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_name(),
        "versions": versions("dask-kmeans", "zarr", "numba", "dask"),
        "work": f"{options.rows} x {options.features} float32 in Zarr (zstd)",
        "reading": reading_seconds(path),
        "measured": {
            f"{names[kind]}, seed {seed}": compare(path, ks, seed, **kinds[kind])
            for kind in options.kinds
            for seed in options.seeds
        },
    }
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))


if __name__ == "__main__":
    main()
