"""How often a fit reads the data: leaps on a sample, shared passes, and what that does to inertia.

    python benchmarks/fewer_reads.py                                     # the mixture alone
    python benchmarks/fewer_reads.py --covertype covtype.npz --flights nycflights13.parquet \
        --glove glove_6B_50d_emb.npy --output benchmarks/results/fewer-reads.json

For each data set, the fit as it is by default (`algorithm="auto"`, from our own seeds) beside plain
Lloyd (`algorithm="lloyd"`) from the same seeds, both to tol=1e-4: passes over the data, seeding and
the last pass included, and inertia relative to plain Lloyd's; medians over the seeds. Then the
passes of ten restarts and of a sweep over k beside those of their slowest member.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import cpu_name, markdown, versions, write_between_markers

from dask_kmeans import KMeans, sweep


def mixture(rows: int = 1_000_000, features: int = 16, components: int = 64) -> np.ndarray:
    """Overlapping Gaussians, so that Lloyd's iteration has something to do: float32 (n, d)."""
    random = np.random.default_rng(0)
    centers = random.normal(size=(components, features))
    rows_of = random.integers(components, size=rows)
    return (centers[rows_of] + random.normal(size=(rows, features))).astype(np.float32)


def scaled(X: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 of every feature that varies: float32 (n, d)."""
    X = X[:, X.std(axis=0) > 0].astype(np.float64)
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)


def flights(path: Path) -> np.ndarray:
    """The numeric columns of the flights, rows with missing values left out, scaled."""
    import pandas as pd

    return scaled(pd.read_parquet(path).select_dtypes("number").dropna().to_numpy(float))


def data_sets(options: argparse.Namespace) -> dict[str, tuple[np.ndarray, int]]:
    """Name -> (rows, clusters) of what was asked for."""
    sets = {"mixture": (mixture(options.rows), 64)}
    if options.covertype:
        sets["covertype"] = (scaled(np.load(options.covertype)["X"]), 64)
    if options.flights:
        sets["nycflights13"] = (flights(options.flights), 32)
    if options.glove:
        sets["GloVe"] = (np.load(options.glove).astype(np.float32), 100)
    return sets


def fitted(X: np.ndarray, k: int, seed: int, algorithm: str, **parameters: Any) -> dict[str, Any]:
    """Figures of one fit."""
    start = time.perf_counter()
    model = KMeans(k, random_state=seed, algorithm=algorithm, max_iter=1000, **parameters).fit(X)
    return {
        "seconds": time.perf_counter() - start,
        "passes": model.n_passes_,
        "iterations": model.n_iter_,
        "inertia": model.inertia_,
        "converged": model.converged_,
    }


def compare(X: np.ndarray, k: int, seeds: range) -> dict[str, Any]:
    """The default beside plain Lloyd, for every seed."""
    return {
        algorithm: [fitted(X, k, seed, algorithm) for seed in seeds]
        for algorithm in ("auto", "lloyd")
    }


def shared_passes(X: np.ndarray, k: int) -> dict[str, Any]:
    """Passes of ten restarts and of a sweep beside those of their members alone."""
    restarts = fitted(X, k, 0, "auto", n_init=10)
    alone = [fitted(X, k, seed, "auto")["passes"] for seed in range(10)]
    ks = range(2, 21)
    start = time.perf_counter()
    models = sweep(X, ks, random_state=0)
    together = time.perf_counter() - start
    singles = [fitted(X, each, 0, "auto") for each in ks]
    return {
        "n_init=10": {"passes": restarts["passes"], "slowest of ten alone": max(alone)},
        "sweep(2..20)": {
            "passes": models.n_passes,
            "slowest alone": max(single["passes"] for single in singles),
            "seconds": together,
            "seconds alone, all": sum(single["seconds"] for single in singles),
        },
    }


def table(results: dict[str, Any]) -> str:
    """Medians over the seeds."""
    rows = []
    for name, found in results.items():
        auto, lloyd = found["auto"], found["lloyd"]
        ratios = [a["inertia"] / b["inertia"] for a, b in zip(auto, lloyd, strict=True)]
        passes = [statistics.median(fit["passes"] for fit in fits) for fits in (auto, lloyd)]
        seconds = [statistics.median(fit["seconds"] for fit in fits) for fits in (auto, lloyd)]
        rows.append(
            [
                name,
                f"{passes[0]:g}",
                f"{passes[1]:g}",
                f"{passes[0] / passes[1]:.2f}",
                f"{statistics.median(ratios):.5f}",
                f"{seconds[0]:.2f}",
                f"{seconds[1]:.2f}",
            ]
        )
    header = ["data", "passes", "plain Lloyd", "ratio", "inertia to Lloyd's", "s", "Lloyd's s"]
    return markdown(header, rows)


def publish(measured: dict[str, Any], readme: Path | None) -> None:
    """Print the table, and write it where it is shown."""
    seeds = len(next(iter(measured["fits"].values()))["auto"])
    note = f"medians of {seeds} seeds, tol=1e-4, seeding and last pass included; seconds in memory"
    text = f"{table(measured['fits'])}\n\n{note}; {measured['machine']['cpu']}, {measured['date']}."
    print(text)
    if readme:
        write_between_markers(readme, "fewer reads table", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the mixture")
    parser.add_argument("--covertype", type=Path)
    parser.add_argument("--flights", type=Path)
    parser.add_argument("--glove", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--from", dest="source", type=Path, help="measure nothing: read this file")
    parser.add_argument("--readme", type=Path, help="write the table between this file's markers")
    options = parser.parse_args()
    if options.source:
        publish(json.loads(options.source.read_text()), options.readme)
        return
    results = {}
    for name, (X, k) in data_sets(options).items():
        results[name] = compare(X, k, range(options.seeds))
        print(table({name: results[name]}), flush=True)
    shared = shared_passes(mixture(options.rows // 4), 20)
    print(json.dumps(shared, indent=1))
    machine = {"cpu": cpu_name(), "versions": versions("dask-kmeans", "numba", "numpy", "dask")}
    measured = {
        "date": str(datetime.date.today()), "machine": machine, "fits": results, "shared": shared
    }  # fmt: skip
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(measured, indent=1))
    publish(measured, options.readme)


if __name__ == "__main__":
    main()
