"""One Lloyd iteration of every k-means that is installed, on the same data from the same centers.

    python benchmarks/contenders.py                     # all shapes in float32
    python benchmarks/contenders.py --dtype float64
    python benchmarks/contenders.py --peers-python PATH    # peers from another environment
    python benchmarks/contenders.py --glove glove.npy --fashion-mnist fashion_mnist.npy \\
        --embeddings embeddings.npy                     # real rows, too, with many centers
    python benchmarks/contenders.py --rows 0.02 --repeats 1     # does it run at all?

Every contender runs in a process of its own, warmed up, in each of its promising settings (threads
of the BLAS, kernels that the BLAS is made to use); the best one counts. Data lie in memory in C
order. The time of an iteration is (time of a long fit - time of a short fit) / (difference of
iterations), so that checks, copies and the last labelling cancel; the time of the long fit is
shown too. Normal rows start from some of them; real rows from the centers of some iterations, so
that what is timed is the middle of a fit. The inertia of the centers that each contender returns is
computed here, in float64, and compared. The FMA peak is that of a large matrix product with the
best kernels of the BLAS, on the same threads, in the same run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import cpu_name, in_own_process, markdown, versions, write_between_markers

SCRIPT = Path(__file__).resolve()
SHORT = 1
"""Iterations of the short fit; the long one has `Shape.iterations` more."""


class Shape(NamedTuple):
    """One problem."""

    n: int
    d: int
    k: int
    iterations: int
    """Iterations that are timed: enough for tenths of a second."""
    rows: Path | None = None
    """A .npy file of real rows; None: normal rows."""
    name: str = ""
    """What real rows are."""

    def __str__(self) -> str:
        size = f"{self.n:_} x {self.d}, k={self.k}".replace("_", " ")
        return f"{self.name}, {size}" if self.name else size


SHAPES = {
    "w1": Shape(2_000_000, 16, 8, 20),
    "w2": Shape(500_000, 64, 256, 10),
    "w3": Shape(250_000, 128, 1024, 5),
    "w4": Shape(8_000_000, 2, 4, 20),
    "w5": Shape(100_000, 768, 1000, 5),
}

REAL = {"fashion_mnist": (100, 1000), "embeddings": (1000,), "glove": (1000, 5000)}
"""Numbers of clusters for real rows, by the option that names their file."""

MIDDLE = 5
"""Iterations before the centers that a fit of real rows starts from."""


def shapes_of(options: argparse.Namespace) -> dict[str, Shape]:
    """The problems that were asked for, by their codes: real rows as well, where there are any."""
    shapes = {code: SHAPES[code] for code in options.shapes}
    for name, clusters in REAL.items():
        path = getattr(options, name)
        if path is None:
            continue
        n, *features = np.load(path, mmap_mode="r").shape
        for k in clusters:
            title = path.stem.replace("_", " ")
            shapes[f"{name}-{k}"] = Shape(n, int(np.prod(features)), k, 5, path, title)
    return shapes


# Contenders: a function (X, init, threads) -> fit(max_iter) -> (centers, iterations made).


def ours(X, init, threads):
    import dask

    from dask_kmeans import KMeans

    dask.config.set(num_workers=threads)

    def fit(max_iter):
        model = KMeans(len(init), init=init, max_iter=max_iter, tol=0, algorithm="lloyd").fit(X)
        return model.cluster_centers_, model.n_iter_

    return fit


def scikit_learn(X, init, threads):
    from sklearn.cluster import KMeans

    def fit(max_iter):
        model = KMeans(
            len(init), init=init, n_init=1, max_iter=max_iter, tol=0, algorithm="lloyd"
        ).fit(X)
        return model.cluster_centers_, model.n_iter_

    return fit


def intelex(X, init, threads):
    from sklearnex.cluster import KMeans

    def fit(max_iter):
        model = KMeans(
            len(init), init=init, n_init=1, max_iter=max_iter, tol=0, algorithm="lloyd"
        ).fit(X)
        return model.cluster_centers_, model.n_iter_

    return fit


def faiss(X, init, threads):
    import faiss

    if X.dtype != np.float32:
        raise TypeError("float32 only")
    faiss.omp_set_num_threads(threads)

    def fit(max_iter):
        model = faiss.Kmeans(
            X.shape[1], len(init), niter=max_iter,
            min_points_per_centroid=1, max_points_per_centroid=len(X),  # all rows, no subsample
        )  # fmt: skip
        model.train(X, init_centroids=init.astype(np.float32))
        return model.centroids, max_iter

    return fit


def dask_ml(X, init, threads):
    import dask
    import dask.array as da
    from dask_ml.cluster import KMeans

    dask.config.set(scheduler="threads", num_workers=threads)
    chunked = da.from_array(X, chunks=(-(-len(X) // threads), X.shape[1]), name="X")

    def fit(max_iter):
        model = KMeans(len(init), init=init.astype(X.dtype), max_iter=max_iter, tol=0).fit(chunked)
        return model.cluster_centers_, model.n_iter_

    return fit


class Contender(NamedTuple):
    """Who runs, and in which settings to look for the best one."""

    prepare: Callable
    distribution: str
    """What it is called where it is installed from."""
    settings: tuple[dict[str, str], ...] = ({},)
    """Environment variables; "{threads}" is filled in."""


ALL = {"OMP_NUM_THREADS": "{threads}", "OPENBLAS_NUM_THREADS": "{threads}"}
ONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# OpenBLAS takes newer CPUs than it knows for older ones than they are.
WIDE = {"OPENBLAS_CORETYPE": "SkylakeX"}

CONTENDERS = {
    "dask_kmeans": Contender(ours, "dask-kmeans"),
    "scikit-learn": Contender(scikit_learn, "scikit-learn", (ALL, {**ALL, **WIDE})),
    "scikit-learn-intelex": Contender(intelex, "scikit-learn-intelex", (ALL,)),
    "faiss": Contender(
        faiss, "faiss-cpu", (ALL, {**ALL, **WIDE}, {**ALL, **WIDE, "FAISS_OPT_LEVEL": "AVX512"})
    ),
    "dask-ml": Contender(dask_ml, "dask-ml", (ALL, {**ONE, **WIDE}, {**ALL, **WIDE})),
}
OURS = "dask_kmeans"


# What runs in a contender's own process


def work(name: str, folder: Path, iterations: int, repeats: int, threads: int) -> dict[str, Any]:
    """Time the fits of one contender; leave its centers in `folder`."""
    contender = CONTENDERS[name]
    X, init = np.load(folder / "X.npy"), np.load(folder / "init.npy")
    warm_up = contender.prepare(X[: 4 * len(init)], init, threads)
    warm_up(2)
    fit = contender.prepare(X, init, threads)
    short, long = [], []
    for _ in range(repeats):
        for max_iter, seconds in ((SHORT, short), (SHORT + iterations, long)):
            start = time.perf_counter()
            centers, made = fit(max_iter)
            seconds.append(time.perf_counter() - start)
    np.save(folder / "centers.npy", centers)
    return {
        "iteration": (min(long) - min(short)) / (made - SHORT),
        "fit": min(long),
        "made": int(made),
        "versions": versions(contender.distribution),
    }


def measure_peak(dtype: str, threads: int) -> dict[str, Any]:
    """Floating-point operations a second of a large matrix product."""
    size = 4096
    a = np.random.default_rng(0).random((size, size), np.float32).astype(dtype)
    best = np.inf
    for _ in range(6):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return {"peak": 2 * size**3 / best}


# What the table is made of


def inertia(X: np.ndarray, centers: np.ndarray) -> float:
    """Sum of squared distances to the nearest centers, float64, centered on the data's mean."""
    shift = X[:: max(1, len(X) // 100_000)].mean(axis=0, dtype=np.float64)
    centers = np.asarray(centers, np.float64) - shift
    norms = (centers**2).sum(axis=1)
    total = 0.0
    step = max(1, 20_000_000 // len(centers))
    for first in range(0, len(X), step):
        rows = X[first : first + step] - shift
        total += (rows**2).sum() + (norms - 2 * rows @ centers.T).min(axis=1).sum()
    return total


def make_data(shape: Shape, dtype: str, folder: Path) -> np.ndarray:
    """Rows and, as centers, some of them, or those of some iterations."""
    from dask_kmeans import KMeans

    rng = np.random.default_rng(1)
    if shape.rows is None:
        X = rng.standard_normal((shape.n, shape.d), np.float32).astype(dtype)
    else:
        X = np.load(shape.rows)[: shape.n].reshape(shape.n, shape.d).astype(dtype)
    init = X[rng.choice(shape.n, shape.k, replace=False)].astype(np.float64)
    if shape.rows is not None:
        fit = KMeans(shape.k, init=init, max_iter=MIDDLE, tol=0, algorithm="lloyd").fit(X)
        init = fit.cluster_centers_
    np.save(folder / "X.npy", X)
    np.save(folder / "init.npy", init)
    return X


def find_peak(options: argparse.Namespace) -> float:
    """The FMA peak with the best kernels that the BLAS has; 0 where none of them runs."""
    found = [
        in_own_process(
            SCRIPT,
            ["--peak", options.dtype, "--threads", str(options.threads)],
            environment=setting_for(setting, options.threads),
            timeout=300,
        )
        for setting in (ALL, {**ALL, **WIDE})
    ]
    return max(each.get("peak", 0.0) for each in found)


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Run every contender on every shape."""
    peak = find_peak(options)
    results = []
    for code, shape in shapes_of(options).items():
        shape = shape._replace(n=max(4 * shape.k, int(shape.n * options.rows)))
        with tempfile.TemporaryDirectory(prefix="contenders-") as name:
            folder = Path(name)
            X = make_data(shape, options.dtype, folder)
            for contender in options.contenders:
                found = _best_setting(contender, shape, folder, options)
                if "error" not in found:
                    found["inertia"] = inertia(X, np.load(folder / "best.npy"))
                    found["rate"] = 2 * shape.n * shape.d * shape.k / found["iteration"]
                results.append({"shape": code, "of": str(shape), "contender": contender, **found})
                _tell(results[-1])
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_name(),
        "threads": options.threads,
        "dtype": options.dtype,
        "rows": options.rows,
        "peak": max(peak, find_peak(options)),
        "python": sys.version.split()[0],
        "versions": versions("numpy", "numba", "dask", "scipy"),
        "results": results,
    }


def _best_setting(
    name: str, shape: Shape, folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    best: dict[str, Any] = {}
    for setting in CONTENDERS[name].settings:
        environment = setting_for(setting, options.threads)
        found = in_own_process(
            SCRIPT,
            ["--work", name, str(folder), "--iterations", str(shape.iterations),
             "--repeats", str(options.repeats), "--threads", str(options.threads)],
            python=sys.executable if name == OURS else options.peers_python,
            environment=environment,
            timeout=options.timeout,
        )  # fmt: skip
        if not best or found.get("iteration", np.inf) < best.get("iteration", np.inf):
            best = {**found, "setting": environment}
            if "error" not in found:
                (folder / "centers.npy").replace(folder / "best.npy")
    return best


def setting_for(setting: dict[str, str], threads: int) -> dict[str, str]:
    """Environment variables of a setting, for so many threads."""
    return {name: value.format(threads=threads) for name, value in setting.items()}


def _tell(row: dict[str, Any]) -> None:
    outcome = row.get("error") or f"{row['iteration'] * 1e3:.1f} ms an iteration"
    print(f"{row['of']}: {row['contender']}: {outcome}", file=sys.stderr, flush=True)


def table(report: dict[str, Any]) -> str:
    """One row a shape: milliseconds an iteration of each contender; ours against them."""
    names = list(dict.fromkeys(row["contender"] for row in report["results"]))
    peers = [name for name in names if name != OURS]
    rows, notes = [], []
    for code in dict.fromkeys(row["shape"] for row in report["results"]):
        found = {row["contender"]: row for row in report["results"] if row["shape"] == code}
        times = {name: row["iteration"] for name, row in found.items() if "error" not in row}
        fastest = min(times, key=times.get, default=None)
        cells = [found[names[0]]["of"]]
        for name in names:
            row = found[name]
            if "error" in row:
                cells.append("-")
                notes.append(f"{name} on {row['of']}: {row['error']}")
                continue
            text = f"{row['iteration'] * 1e3:.1f} ms"
            cells.append(f"**{text}**" if name == fastest else text)
        if OURS in times:
            mine = times[OURS]
            against = [times[name] / mine for name in peers if name in times]
            cells.append(f"{100 * found[OURS]['rate'] / report['peak']:.0f} %")
            cells.append(
                f"{times['scikit-learn'] / mine:.2f} x" if "scikit-learn" in times else "-"
            )
            cells.append(f"{min(against):.2f} x" if against else "-")
        else:
            cells += ["-", "-", "-"]
        rows.append(cells)
        notes += _disagreements(found)
    header = ["one iteration", *names, "of FMA peak", "scikit-learn / ours", "best peer / ours"]
    software = dict(report["versions"])
    for row in report["results"]:
        software |= row.get("versions", {})
    lines = [
        markdown(header, rows),
        "",
        f"{report['dtype']}, {report['threads']} threads of {report['cpu']}, FMA peak "
        f"{report['peak'] / 1e9:.0f} GF/s, Python {report['python']}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(software.items()))
        + f"; {report['date']}."
        + (f" Rows reduced to {report['rows']:g} of the full size." if report["rows"] != 1 else "")
        + " Below 1 x we lose.",
    ]
    return "\n".join(lines + [f"* {note}" for note in dict.fromkeys(notes)])


def _disagreements(found: dict[str, dict[str, Any]]) -> list[str]:
    """Contenders whose centers are worse or better than the others' by more than rounding."""
    inertias = {name: row["inertia"] for name, row in found.items() if "error" not in row}
    if OURS not in inertias:
        return []
    return [
        f"{name} on {found[name]['of']}: {value / inertias[OURS]:.5f} x our inertia"
        for name, value in inertias.items()
        if abs(value / inertias[OURS] - 1) > 1e-4
    ]


def main() -> None:
    import os

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--shapes", nargs="*", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--glove", type=Path, help=".npy of these rows; as the next two")
    parser.add_argument("--fashion-mnist", type=Path)
    parser.add_argument("--embeddings", type=Path)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--repeats", type=int, default=3, help="fits of each length; the best counts"
    )
    parser.add_argument("--rows", type=float, default=1.0, help="this share of each shape's rows")
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one contender")
    parser.add_argument("--output", type=Path, help="write the measurements here, as JSON")
    parser.add_argument(
        "--from", dest="source", type=Path, help="measure nothing: read such a file"
    )
    parser.add_argument("--readme", type=Path, help="write the table between this file's markers")
    parser.add_argument("--work", nargs=2, metavar=("CONTENDER", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--iterations", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--peak", metavar="DTYPE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(json.dumps(measure_peak(options.peak, options.threads)))
        return
    if options.work:
        name, folder = options.work
        found = work(name, Path(folder), options.iterations, options.repeats, options.threads)
        print(json.dumps(found))
        return
    report = json.loads(options.source.read_text()) if options.source else compare(options)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    text = table(report)
    print(text)
    if options.readme:
        write_between_markers(options.readme, f"benchmark table {report['dtype']}", text)


if __name__ == "__main__":
    main()
