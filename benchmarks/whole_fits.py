"""Whole fits, seeding included, of one mixture: ours from the store, others as they like best.

    python benchmarks/whole_fits.py --folder /somewhere/with/room       # 4 000 000 x 32, k=32
    python benchmarks/whole_fits.py --rows 50_000 --clusters 8          # does it run at all?

The data lie in Zarr (zstd, the default codec) for ours and dask-ml, in Parquet for Spark, which
caches them, and in memory for scikit-learn, scikit-learn-intelex and faiss, whose time does not
count the reading. Ours keep the rows (`memory_budget`), as Spark does, or read them anew in every
pass; so does dask-ml (`persist`). Each contender runs in a process of its own, warmed up on the
first 100 000 rows, with each of some seeds, of which the medians count; with one seed where that
takes minutes. It has its own seeding and tol=1e-4 in its own meaning of it: a share of changed
labels for ours, a shift of the centers for scikit-learn, scikit-learn-intelex, dask-ml and Spark;
faiss has none and makes its default number of iterations. The inertia that counts is computed here
from the centers, in float64 on all rows.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import cpu_name, in_own_process, markdown, versions, write_between_markers
from contenders import inertia

SCRIPT = Path(__file__).resolve()
TOL = 1e-4
FEW = 100_000
LONG = 60
"""Seconds of fits after which a contender is not asked for another one."""


class Problem(NamedTuple):
    """What is to be clustered, and how."""

    folder: Path
    rows: int
    features: int
    clusters: int
    chunk: int
    seed: int
    max_iter: int
    threads: int
    random_state: int = 0
    """Of the fits; `seed` is that of the data."""

    @property
    def bytes(self) -> int:
        """Of the rows, decoded."""
        return 4 * self.rows * self.features

    @property
    def zarr(self) -> str:
        return str(self.folder / "mixture.zarr")

    @property
    def parquet(self) -> str:
        return str(self.folder / "mixture.parquet")


def make_chunk(problem: Problem, number: int) -> np.ndarray:
    """Rows of twice as many Gaussians as clusters are asked for, so that no answer is obvious."""
    means = np.random.default_rng(problem.seed).normal(
        scale=1.0, size=(2 * problem.clusters, problem.features)
    )
    rng = np.random.default_rng([problem.seed, number])
    rows = min(problem.chunk, problem.rows - number * problem.chunk)
    X = rng.standard_normal((rows, problem.features), np.float32)
    X += means[rng.integers(len(means), size=rows)].astype(np.float32)
    return X


def make_data(problem: Problem) -> None:
    """Write the mixture to Zarr and to Parquet, chunk by chunk, unless it is there."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zarr

    marker = problem.folder / "mixture.json"
    sizes = [problem.rows, problem.features, problem.clusters, problem.chunk, problem.seed]
    if marker.exists() and json.loads(marker.read_text()) == sizes:
        return
    Path(problem.parquet).mkdir(exist_ok=True)
    array = zarr.create_array(
        problem.zarr, shape=(problem.rows, problem.features), dtype="float32",
        chunks=(problem.chunk, problem.features), overwrite=True,
    )  # fmt: skip
    for number in range(-(-problem.rows // problem.chunk)):
        X = make_chunk(problem, number)
        array[number * problem.chunk : number * problem.chunk + len(X)] = X
        columns = {f"x{column:03}": values for column, values in enumerate(X.T)}
        pq.write_table(pa.table(columns), f"{problem.parquet}/part-{number:05}.parquet")
    marker.write_text(json.dumps(sizes))


def in_memory(problem: Problem) -> np.ndarray:
    import zarr

    return zarr.open_array(problem.zarr, mode="r")[:]


# Contenders: a function (problem) -> fit(few=False) -> (centers, what it says of the fit). Each
# fits a few rows first when asked to, so that compilers, thread pools and the JVM are warm: enough
# of them to call for all that a fit does.


def _of_model(model) -> dict[str, Any]:
    return {"iterations": int(model.n_iter_), "says": float(model.inertia_)}


def ours(problem, memory_budget=None):
    import dask
    import dask.array as da
    import zarr

    from dask_kmeans import KMeans

    dask.config.set(num_workers=problem.threads)
    array = zarr.open_array(problem.zarr, mode="r")

    def fit(few=False):
        X = da.from_zarr(array)[:FEW] if few else array
        model = KMeans(
            problem.clusters, tol=TOL, max_iter=problem.max_iter,
            random_state=problem.random_state, memory_budget=memory_budget,
        ).fit(X)  # fmt: skip
        # Iterations say what they read; the passes before and after them read all there is.
        iterating = sum(record.bytes_read for record in model.history_)
        others = 1 if memory_budget else model.n_passes_ - model.n_iter_
        return model.cluster_centers_, {
            **_of_model(model),
            "passes": model.n_passes_,
            "bytes_read": iterating + others * problem.bytes,
        }

    return fit


def ours_kept(problem):
    return ours(problem, memory_budget=2 * problem.bytes)


def ours_in_memory(problem):
    import dask

    from dask_kmeans import KMeans

    dask.config.set(num_workers=problem.threads)
    X = in_memory(problem)

    def fit(few=False):
        model = KMeans(
            problem.clusters, tol=TOL, max_iter=problem.max_iter, random_state=problem.random_state
        ).fit(X[:FEW] if few else X)
        return model.cluster_centers_, {**_of_model(model), "passes": model.n_passes_}

    return fit


def _like_scikit_learn(problem, kmeans):
    X = in_memory(problem)

    def fit(few=False):
        model = kmeans(
            problem.clusters, tol=TOL, max_iter=problem.max_iter, random_state=problem.random_state
        ).fit(X[:FEW] if few else X)
        return model.cluster_centers_, _of_model(model)

    return fit


def scikit_learn(problem):
    from sklearn.cluster import KMeans

    return _like_scikit_learn(problem, KMeans)


def intelex(problem):
    from sklearnex.cluster import KMeans

    return _like_scikit_learn(problem, KMeans)


def faiss(problem):
    import faiss

    faiss.omp_set_num_threads(problem.threads)
    X = in_memory(problem)

    def fit(few=False):
        model = faiss.Kmeans(
            problem.features, problem.clusters, seed=problem.random_state,
            min_points_per_centroid=1, max_points_per_centroid=len(X),
        )  # fmt: skip
        says = model.train(X[:FEW] if few else X)
        return model.centroids, {"iterations": len(model.obj), "says": float(says)}

    return fit


def dask_ml_kept(problem):
    return dask_ml(problem, kept=True)


def dask_ml(problem, kept=False):
    import dask
    import dask.array as da
    from dask_ml.cluster import KMeans

    dask.config.set(scheduler="threads", num_workers=problem.threads)
    counted = []  # bytes of the chunks that were read; appending is one step for threads

    def count(chunk):
        counted.append(chunk.nbytes)
        return chunk

    array = da.from_zarr(problem.zarr)
    array = array.map_blocks(count, dtype=array.dtype, meta=np.empty((0, 0), array.dtype))

    def fit(few=False):
        counted.clear()
        X = array[:FEW].persist() if few else array.persist() if kept else array
        model = KMeans(
            problem.clusters, tol=TOL, max_iter=problem.max_iter, random_state=problem.random_state
        ).fit(X)
        return model.cluster_centers_, {
            **_of_model(model),
            "passes": round(sum(counted) / problem.bytes, 1),
            "bytes_read": sum(counted),
        }

    return fit


def spark(problem):
    from pyspark.ml.clustering import KMeans
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master(f"local[{problem.threads}]")
        .config("spark.driver.memory", "12g")
        .config("spark.ui.enabled", "false")
        .config("spark.local.dir", str(problem.folder))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    table = session.read.parquet(problem.parquet)
    vectors = VectorAssembler(inputCols=table.columns, outputCol="features")

    def fit(few=False):
        data = vectors.transform(table.limit(FEW) if few else table).select("features").cache()
        model = (
            KMeans(k=problem.clusters, tol=TOL, maxIter=problem.max_iter)
            .setSeed(problem.random_state)
            .fit(data)
        )
        summary = model.summary
        return np.array(model.clusterCenters()), {
            "iterations": summary.numIter,
            "says": float(summary.trainingCost),
            "bytes_read": problem.bytes,  # once, into its cache
        }

    return fit


class Contender(NamedTuple):
    prepare: Callable
    distribution: str
    environment: tuple[tuple[str, str], ...] = ()


# OpenBLAS takes newer CPUs than it knows for older ones than they are. It does as it is told even
# where the CPU has no AVX-512: --plain-blas is for such machines.
WIDE = (("OPENBLAS_CORETYPE", "SkylakeX"),)

CONTENDERS = {
    "dask_kmeans, from Zarr, kept": Contender(ours_kept, "dask-kmeans"),
    "dask_kmeans, from Zarr": Contender(ours, "dask-kmeans"),
    "dask_kmeans, in memory": Contender(ours_in_memory, "dask-kmeans"),
    "scikit-learn, in memory": Contender(scikit_learn, "scikit-learn", WIDE),
    "scikit-learn-intelex, in memory": Contender(intelex, "scikit-learn-intelex"),
    "faiss, in memory": Contender(faiss, "faiss-cpu", WIDE),
    "dask-ml, from Zarr, kept": Contender(dask_ml_kept, "dask-ml", WIDE),
    "dask-ml, from Zarr": Contender(dask_ml, "dask-ml", WIDE),
    "Spark MLlib, from Parquet, cached": Contender(spark, "pyspark"),
}
OURS = "dask_kmeans, from Zarr, kept"


def work(name: str, problem: Problem) -> dict[str, Any]:
    """One fit of one contender, timed; its centers go to the folder."""
    contender = CONTENDERS[name]
    fit = contender.prepare(problem)
    fit(few=True)
    start = time.perf_counter()
    centers, says = fit()
    seconds = time.perf_counter() - start
    np.save(problem.folder / "centers.npy", centers)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": seconds,
        "peak_memory": peak,
        "versions": versions(contender.distribution),
        **says,
    }


def true_inertia(problem: Problem, centers: np.ndarray) -> float:
    chunks = range(-(-problem.rows // problem.chunk))
    return sum(inertia(make_chunk(problem, number), centers) for number in chunks)


def one_fit(
    name: str, random_state: int, problem: Problem, options: argparse.Namespace
) -> dict[str, Any]:
    """What one fit in a process of its own says, and its true inertia."""
    contender = CONTENDERS[name]
    environment = {} if options.plain_blas else dict(contender.environment)
    found = in_own_process(
        SCRIPT,
        ["--work", name, "--random-state", str(random_state), *options.arguments],
        python=sys.executable if name.startswith("dask_kmeans") else options.peers_python,
        environment={**environment, "OMP_NUM_THREADS": str(problem.threads)},
        timeout=options.timeout,
    )
    if "error" not in found:
        found["inertia"] = true_inertia(problem, np.load(problem.folder / "centers.npy"))
    return found


def compare(problem: Problem, options: argparse.Namespace) -> dict[str, Any]:
    results = []
    for name in options.contenders:
        found: dict[str, Any] = {"fits": []}
        for random_state in range(options.fits):
            fit = one_fit(name, random_state, problem, options)
            if "error" in fit:
                found = fit
                break
            found["fits"].append(fit)
            if sum(each["seconds"] for each in found["fits"]) > LONG:
                break
        if fits := found.get("fits"):
            middle = {
                key: statistics.median(each[key] for each in fits)
                for key, value in fits[0].items()
                if isinstance(value, int | float)
            }
            found = {"versions": fits[0]["versions"], **middle, **found}
        results.append({"contender": name, **found})
        outcome = found.get("error") or f"{found['seconds']:.1f} s, inertia {found['inertia']:.6g}"
        print(f"{name}: {outcome}", file=sys.stderr, flush=True)
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_name(),
        "problem": {**problem._asdict(), "folder": None},
        "results": results,
    }


def table(report: dict[str, Any]) -> str:
    """One row a contender."""
    problem, rows, notes = report["problem"], [], []
    software: dict[str, str] = {}
    ours = next((row for row in report["results"] if row["contender"] == OURS), {})
    for row in report["results"]:
        if "error" in row:
            rows.append([row["contender"], *["-"] * 7])
            notes.append(f"* {row['contender']}: {row['error']}")
            continue
        software |= row["versions"]
        ratio = f"{row['seconds'] / ours['seconds']:.2f} x" if "seconds" in ours else "-"
        rows.append([
            row["contender"], f"{row['seconds']:.2f} s", ratio, f"{row['inertia']:.5g}",
            f"{row['iterations']:g}", f"{row['passes']:g}" if "passes" in row else "not said",
            f"{row['bytes_read'] / 1e9:.2f} GB" if "bytes_read" in row else "in memory",
            f"{row['peak_memory'] / 1e9:.1f} GB",
        ])  # fmt: skip
        if abs(row["says"] / row["inertia"] - 1) > 1e-3:
            notes.append(f"* {row['contender']} reports an inertia of {row['says']:.5g}")
    fits = max(len(row.get("fits", ())) for row in report["results"])
    header = ["whole fit", "time", "against ours", "inertia", "iterations", "passes",
              "read from the store", "peak memory"]  # fmt: skip
    n = f"{problem['rows']:_}".replace("_", " ")
    return "\n".join([
        markdown(header, rows),
        "",
        f"{n} x {problem['features']} float32, k={problem['clusters']}, tol={TOL:g}, "
        f"{problem['threads']} threads of {report['cpu']}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(software.items()))
        + f"; {report['date']}. Medians of up to {fits} seeds, of fewer where fits take over "
        f"{LONG} s. Memory is that of the Python process (Spark's JVM not counted).",
        *notes,
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = lambda text: int(text.replace("_", ""))  # noqa: E731
    parser.add_argument("--rows", type=size, default=4_000_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--clusters", type=int, default=32)
    parser.add_argument("--chunk", type=size, default=250_000, help="rows of a chunk or file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random-state", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--fits", type=int, default=3, help="seeds, of which the medians count")
    parser.add_argument("--max-iter", type=int, default=300)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, help="keep the data here; default: a temporary one")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--plain-blas", action="store_true", help="for a CPU without AVX-512")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one contender")
    parser.add_argument("--output", type=Path, help="write the measurements here, as JSON")
    parser.add_argument("--readme", type=Path, help="write the table between this file's markers")
    parser.add_argument("--work", metavar="CONTENDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whole-fits-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        problem = Problem(
            folder, options.rows, options.features, options.clusters, options.chunk,
            options.seed, options.max_iter, options.threads, options.random_state,
        )  # fmt: skip
        if options.work:
            print(json.dumps(work(options.work, problem)))
            return
        names = ("rows", "features", "clusters", "chunk", "seed", "max_iter", "threads", "folder")
        options.arguments = [
            part
            for name in names
            for part in (f"--{name.replace('_', '-')}", str(getattr(problem, name)))
        ]
        make_data(problem)
        report = compare(problem, options)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    text = table(report)
    print(text)
    if options.readme:
        write_between_markers(options.readme, "whole fits table", text)


if __name__ == "__main__":
    main()
