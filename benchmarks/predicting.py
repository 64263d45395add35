"""Labels of rows by centers that are there: rows a second of ours, scikit-learn and faiss.

    python benchmarks/predicting.py
    python benchmarks/predicting.py --rows 20_000                  # does it run at all?

`predict` of 400 000 x 768 float32 in memory, k=1000, beside scikit-learn's `predict` and faiss's
`IndexFlatL2.search`: normal rows, whose centers are some of them, and rows like embeddings, of
length one in topics and with a spectrum that falls as theirs do, with the centers of five
iterations. Each program in a process of its own, in the settings of `contenders.py`, the fastest of
several calls. Labels that differ from ours are counted, and those of them that are no nearer.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import cpu_name, in_own_process, markdown, versions
from contenders import CONTENDERS, MIDDLE, OURS, setting_for

SCRIPT = Path(__file__).resolve()

TOPICS = 1500
"""Of rows like embeddings."""


def normal(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows float32 (n, d) without any structure, and k of them."""
    random = np.random.default_rng(1)
    rows = random.standard_normal((n, d), np.float32)
    return rows, rows[random.choice(n, k, replace=False)].astype(np.float64)


def like_embeddings(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows float32 (n, d) of length one, and centers in the middle of a fit."""
    from dask_kmeans import KMeans

    random = np.random.default_rng(2)
    spectrum = (np.arange(1, d + 1) ** -0.5).astype(np.float32)
    rows = random.standard_normal((n, d), np.float32)
    rows += 1.5 * random.standard_normal((TOPICS, d), np.float32)[random.integers(TOPICS, size=n)]
    rows *= spectrum
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    init = rows[random.choice(n, k, replace=False)].astype(np.float64)
    model = KMeans(k, init=init, max_iter=MIDDLE, tol=0, algorithm="lloyd").fit(rows)
    return rows, model.cluster_centers_.astype(np.float32).astype(np.float64)


DATA = {"random": normal, "like embeddings": like_embeddings}

# Programs: a function (centers, threads) -> predict(X) -> labels.


def ours(centers, threads):
    import dask

    from dask_kmeans import KMeans

    dask.config.set(num_workers=threads)
    return KMeans(len(centers), init=centers, max_iter=1).fit(centers).predict


def scikit_learn(centers, threads):
    from sklearn.cluster import KMeans

    centers = centers.astype(np.float32)
    model = KMeans(len(centers), init=centers, n_init=1, max_iter=1).fit(centers)
    return model.predict


def faiss(centers, threads):
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(centers.shape[1])
    index.add(centers.astype(np.float32))
    return lambda X: index.search(X, 1)[1][:, 0]


PREDICTORS: dict[str, Callable] = {OURS: ours, "scikit-learn": scikit_learn, "faiss": faiss}


def work(name: str, folder: Path, repeats: int, threads: int) -> dict[str, Any]:
    """Time the calls of one program; leave its labels in `folder`."""
    X, centers = np.load(folder / "X.npy"), np.load(folder / "centers.npy")
    predict = PREDICTORS[name](centers, threads)
    predict(X[: 4 * len(centers)])
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        labels = predict(X)
        seconds.append(time.perf_counter() - start)
    np.save(folder / "labels.npy", np.asarray(labels, np.int32))
    return {"seconds": min(seconds), "versions": versions(CONTENDERS[name].distribution)}


def worse_rows(X: np.ndarray, centers: np.ndarray, labels: np.ndarray, mine: np.ndarray) -> int:
    """Rows with another label than ours, of a center that float64 does not find nearer."""
    differ = np.flatnonzero(labels != mine)
    rows = X[differ].astype(np.float64)
    theirs = ((rows - centers[labels[differ]]) ** 2).sum(axis=1)
    return int(np.count_nonzero(theirs >= ((rows - centers[mine[differ]]) ** 2).sum(axis=1)))


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Every program on both kinds of rows."""
    results = []
    for kind, make in DATA.items():
        with tempfile.TemporaryDirectory(prefix="predicting-") as name:
            folder = Path(name)
            X, centers = make(options.rows, options.features, options.clusters)
            np.save(folder / "X.npy", X)
            np.save(folder / "centers.npy", centers)
            mine: Any = None
            for program in PREDICTORS:
                best: dict[str, Any] = {}
                for setting in CONTENDERS[program].settings:
                    environment = setting_for(setting, options.threads)
                    found = in_own_process(
                        SCRIPT,
                        ["--work", program, name, "--repeats", str(options.repeats),
                         "--threads", str(options.threads)],
                        environment=environment, timeout=900,
                    )  # fmt: skip
                    if not best or found.get("seconds", np.inf) < best.get("seconds", np.inf):
                        best = {**found, "setting": environment}
                        labels = np.load(folder / "labels.npy") if "error" not in found else None
                mine = labels if program == OURS else mine
                if labels is not None:
                    best["differ"] = int(np.count_nonzero(labels != mine))
                    best["no nearer"] = worse_rows(X, centers, labels, mine)
                results.append({"kind": kind, "program": program, **best})
                print(results[-1], flush=True)
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_name(),
        "threads": options.threads,
        "of": f"{options.rows:_} x {options.features}, k={options.clusters}".replace("_", " "),
        "rows": options.rows,
        "versions": versions("numpy", "numba"),
        "results": results,
    }


def table(report: dict[str, Any]) -> str:
    """One row a kind of rows: rows a second of each program, ours against the best peer."""
    lines, notes = [], []
    for kind in DATA:
        rates = {}
        for row in report["results"]:
            if row["kind"] != kind:
                continue
            if "error" in row:
                notes.append(f"* {row['program']}, {kind}: {row['error']}")
                continue
            rates[row["program"]] = report["rows"] / row["seconds"]
            if row["differ"]:
                notes.append(
                    f"* {row['program']}, {kind}: {row['differ']} other labels, "
                    f"{row['no nearer']} of them of centers that are no nearer"
                )
        best = max((rate for name, rate in rates.items() if name != OURS), default=np.nan)
        cells = [f"{rates[name]:.3g}" if name in rates else "-" for name in PREDICTORS]
        lines.append([f"{report['of']}, {kind}", *cells, f"{rates.get(OURS, np.nan) / best:.2f} x"])
    software = dict(report["versions"])
    for row in report["results"]:
        software |= row.get("versions", {})
    return "\n".join([
        markdown(["predict, rows a second", *PREDICTORS, "ours / best peer"], lines), "",
        f"float32, {report['threads']} threads of {report['cpu']}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(software.items()))
        + f"; {report['date']}. Below 1 x we lose.",
        *notes,
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--features", type=int, default=768)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=5, help="calls; the fastest counts")
    parser.add_argument("--output", type=Path, help="write the measurements here, as JSON")
    parser.add_argument("--from", dest="source", type=Path, help="measure nothing: read this file")
    parser.add_argument("--work", nargs=2, metavar=("PROGRAM", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        name, folder = options.work
        print(json.dumps(work(name, Path(folder), options.repeats, options.threads)))
        return
    report = json.loads(options.source.read_text()) if options.source else compare(options)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))


if __name__ == "__main__":
    main()
