"""Whole fits in memory to strict convergence, from the same centers, against two peers.

    python benchmarks/settling.py                                        # what needs no files
    python benchmarks/settling.py --covertype covtype.npz --glove glove_6B_50d_emb.npy \
        --embeddings wordnet_minilm.npy --fashion-mnist fashion_mnist.npy --letter letter.npz \
        --xclara xclara.npy --output benchmarks/results/settling.json
    python benchmarks/settling.py --peers-python PATH     # peers from another environment

Every contender runs in a process of its own, on the same threads, from the same centers, until no
label changes: ours as it is by default, ours with every row examined (`algorithm="lloyd"`),
scikit-learn and scikit-learn-intelex, each in the best of its settings: Lloyd's and Elkan's
algorithm, with the kernels that the BLAS chooses and with the widest ones. Rounding may lead them
to another fixed point: the table shows iterations and inertia of all.

Then the same fits from a file, with a memory budget of a quarter of the data: how many iterations
read anything, and how much.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import cpu_name, in_own_process, markdown, versions, write_between_markers
from contenders import ALL, WIDE

SCRIPT = Path(__file__).resolve()
MOST_ITERATIONS = 10_000
SAMPLE = 30_000
"""Rows that starting centers are drawn from, by k-means++."""

SETTINGS: dict[str, list[tuple[str, dict[str, str]]]] = {
    "auto": [("auto", ALL)],
    "lloyd": [("lloyd", ALL)],
    "scikit-learn": [
        (algorithm, {**ALL, **blas}) for algorithm in ("lloyd", "elkan") for blas in ({}, WIDE)
    ],
    "scikit-learn-intelex": [("lloyd", ALL)],
}
"""Contender -> algorithms and environments to try."""

PEERS = ("scikit-learn", "scikit-learn-intelex")

FASHION_ROWS = 35_000
"""Rows of Fashion-MNIST that are used: the half of it."""

ROUNDS = 3
HOPELESS = 1.3
"""A setting that was slower than the best by this factor is not tried again."""

BUDGET = 0.25
"""Share of the data that may be kept in memory."""


def data_sets(options: argparse.Namespace) -> dict[str, tuple[Any, int]]:
    """Name -> (function that gives the rows, clusters) of what was asked for."""
    from fewer_reads import mixture, scaled  # which want more than peers have
    from sklearn.datasets import load_digits

    sets: dict[str, tuple[Any, int]] = {
        "mixture": (lambda: mixture(options.rows), 64),
        "separated mixture": (lambda: separated(options.rows), 64),
        "digits": (lambda: load_digits().data.astype(np.float32), 10),
    }
    if options.covertype:
        sets["covertype"] = (lambda: scaled(np.load(options.covertype)["X"]), 64)
    if options.glove:
        sets["GloVe"] = (lambda: np.load(options.glove).astype(np.float32), 100)
        sets["GloVe, many clusters"] = (lambda: np.load(options.glove).astype(np.float32), 1000)
    if options.embeddings:
        sets["embeddings"] = (lambda: np.load(options.embeddings).astype(np.float32), 1000)
    if options.fashion_mnist:
        sets["Fashion-MNIST"] = (lambda: np.load(options.fashion_mnist)[:FASHION_ROWS], 50)
    if options.letter:
        sets["Letter"] = (lambda: np.load(options.letter)["X"].astype(np.float32), 26)
    if options.xclara:
        sets["xclara"] = (lambda: np.load(options.xclara).astype(np.float64), 3)
    return {name: sets[name] for name in options.data or sets}


def separated(rows: int, features: int = 16, components: int = 64) -> np.ndarray:
    """Gaussians that hardly overlap: float32 (n, d)."""
    random = np.random.default_rng(0)
    centers = 3 * random.normal(size=(components, features))
    rows_of = random.integers(components, size=rows)
    return (centers[rows_of] + random.normal(size=(rows, features))).astype(np.float32)


def starting_centers(X: np.ndarray, k: int) -> np.ndarray:
    """k-means++ on some rows."""
    from sklearn.cluster import kmeans_plusplus

    sample = np.random.default_rng(0).permutation(len(X))[:SAMPLE]
    return kmeans_plusplus(X[sample].astype(np.float64), k, random_state=0)[0]


# What runs in a contender's own process


def work(contender: str, algorithm: str, folder: Path, threads: int) -> dict[str, Any]:
    """Time fits until they have taken a second together; the best counts."""
    X, init = np.load(folder / "X.npy"), np.load(folder / "init.npy")
    same = {"init": init, "n_init": 1, "tol": 0}
    if contender == "scikit-learn":
        from sklearn.cluster import KMeans
    elif contender == "scikit-learn-intelex":
        from sklearnex.cluster import KMeans
    else:
        import dask

        from dask_kmeans import KMeans

        dask.config.set(num_workers=threads)

    def fit(max_iter: int):
        start = time.perf_counter()
        model = KMeans(len(init), algorithm=algorithm, max_iter=max_iter, **same).fit(X)
        return time.perf_counter() - start, model

    fit(3)
    seconds: list[float] = []
    while not seconds or (sum(seconds) < 1 and len(seconds) < 50):
        took, model = fit(MOST_ITERATIONS)
        seconds.append(took)
    found = {
        "seconds": min(seconds),
        "iterations": int(model.n_iter_),
        "inertia": float(model.inertia_),
        "algorithm": algorithm,
        "versions": versions(contender),
    }
    if contender not in PEERS:
        found["examined"] = sum(each.examined for each in model.history_) / len(X) / model.n_iter_
    np.save(folder / f"labels-{contender}.npy", model.labels_)
    return found


def reads(folder: Path, threads: int) -> dict[str, Any]:
    """What a fit from a file reads with a quarter of the data in memory."""
    import dask

    from dask_kmeans import KMeans

    dask.config.set(num_workers=threads)
    X, init = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "init.npy")
    model = KMeans(
        len(init), init=init, tol=0, max_iter=MOST_ITERATIONS, memory_budget=int(BUDGET * X.nbytes)
    ).fit(str(folder / "X.npy"))
    read = [record.bytes_read for record in model.history_]
    np.save(folder / "labels-reads.npy", model.labels_.compute())
    return {
        "iterations": model.n_iter_,
        "reading": sum(each > 0 for each in read),
        "reading all": sum(each >= X.nbytes for each in read),
        "bytes": sum(read) / X.nbytes,
    }


# What the tables are made of


def compete(
    found: dict[str, Any],
    contender: str,
    algorithm: str,
    environment: dict[str, str],
    folder: Path,
    options: argparse.Namespace,
) -> None:
    """Put a contender's time in this setting into `found`, if that is its best."""
    tried = found.setdefault("tried", {})
    name = f"{contender} {algorithm} {sorted(environment.items())}"
    best = found.get(contender, {}).get("seconds", np.inf)
    if tried.get(name, 0) > HOPELESS * best:
        return
    environment = {key: value.format(threads=options.threads) for key, value in environment.items()}
    one = in_own_process(
        SCRIPT,
        ["--work", contender, algorithm, str(folder), "--threads", str(options.threads)],
        python=options.peers_python if contender in PEERS else sys.executable,
        environment=environment,
        timeout=options.timeout,
    )
    tried[name] = one.get("seconds", np.inf)
    if contender not in found or tried[name] < best:
        found[contender] = {**one, "setting": environment}


def compare(X: np.ndarray, k: int, options: argparse.Namespace) -> dict[str, Any]:
    """Every contender in its best setting, and the reads of a fit from a file."""
    with tempfile.TemporaryDirectory(prefix="settling-") as name:
        folder = Path(name)
        np.save(folder / "X.npy", np.ascontiguousarray(X))
        np.save(folder / "init.npy", starting_centers(X, k))
        found: dict[str, Any] = {"rows": len(X), "features": X.shape[1], "k": k}
        for _ in range(ROUNDS):  # in turn: a machine is not equally fast at all times
            for contender, settings in SETTINGS.items():
                for algorithm, environment in settings:
                    compete(found, contender, algorithm, environment, folder, options)
        compared = ("auto", "lloyd", "scikit-learn")
        labels = {each: np.load(folder / f"labels-{each}.npy") for each in compared}
        assert np.array_equal(labels["auto"], labels["lloyd"])
        found["same labels"] = float((labels["auto"] == labels["scikit-learn"]).mean())
        found["reads"] = in_own_process(
            SCRIPT, ["--reads", name, "--threads", str(options.threads)], timeout=options.timeout
        )
        assert np.array_equal(labels["auto"], np.load(folder / "labels-reads.npy"))
        del found["tried"]
    return found


def tables(results: dict[str, Any]) -> str:
    """Fits in memory, then reads with a budget."""
    rows, lazy = [], []
    for name, found in results.items():
        auto, lloyd = found["auto"], found["lloyd"]
        peers = [found[peer] for peer in PEERS if "seconds" in found.get(peer, {})]
        best = min(peer["seconds"] for peer in peers)
        shape = f"{name}: {found['rows']:_} x {found['features']}, k={found['k']}".replace("_", " ")
        rows.append(
            [
                shape,
                f"{auto['seconds']:.3g} s",
                f"{lloyd['seconds']:.3g} s",
                *(_seconds(found.get(peer, {})) for peer in PEERS),
                f"{found['scikit-learn']['seconds'] / auto['seconds']:.1f} x",
                f"{best / auto['seconds']:.1f} x",
                ", ".join(str(each["iterations"]) for each in (auto, *peers)),
                f"{100 * auto['examined']:.0f} %",
                ", ".join(f"{peer['inertia'] / auto['inertia']:.6f}" for peer in peers),
            ]
        )
        read, iterations = found["reads"], found["reads"]["iterations"]
        lazy.append(
            [
                shape,
                str(iterations),
                f"{read['reading']} ({100 * read['reading'] / iterations:.0f} %)",
                f"{read['reading all']} ({100 * read['reading all'] / iterations:.0f} %)",
                f"{100 * read['bytes'] / iterations:.0f} %",
            ]
        )
    fits = markdown(
        ["in memory, strict", "ours", "every row examined", *PEERS, "scikit-learn / ours",
         "best peer / ours", "iterations, theirs", "rows examined", "their inertia"], rows,
    )  # fmt: skip
    budget = markdown(
        ["a quarter in memory", "iterations", "that read anything", "that read all", "bytes"], lazy
    )
    return f"{fits}\n\n{budget}"


def _seconds(found: dict[str, Any]) -> str:
    if "seconds" not in found:
        return "-"
    return f"{found['seconds']:.3g} s ({found['algorithm']})"


def publish(measured: dict[str, Any], readme: Path | None) -> None:
    """Print the tables, and write them where they are shown."""
    machine = measured["machine"]
    known: dict[str, str] = {}
    for found in measured["results"].values():
        for peer in PEERS:
            known |= found.get(peer, {}).get("versions", {})
    peers = ", ".join(f"{peer} {version}" for peer, version in sorted(known.items()))
    text = (
        f"{tables(measured['results'])}\n\n{machine['threads']} threads of {machine['cpu']}, "
        f"{peers}, each in the best of its settings; bytes as a share of reading all in every "
        f"iteration; {measured['date']}."
    )
    print(text)
    if readme:
        write_between_markers(readme, "settling table", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the mixtures")
    for name in ("covertype", "glove", "embeddings", "fashion-mnist", "letter", "xclara"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--data", nargs="+", help="only these")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter of the peers")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one fit")
    parser.add_argument("--output", type=Path, help="JSON; what it has of other data is kept")
    parser.add_argument("--from", dest="source", type=Path, help="measure nothing: read this file")
    parser.add_argument("--readme", type=Path, help="write the tables between this file's markers")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--reads", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        contender, algorithm, folder = options.work
        print(json.dumps(work(contender, algorithm, Path(folder), options.threads)))
        return
    if options.reads:
        print(json.dumps(reads(options.reads, options.threads)))
        return
    if options.source:
        publish(json.loads(options.source.read_text()), options.readme)
        return
    results: dict[str, Any] = {}
    if options.output and options.output.exists():
        results = json.loads(options.output.read_text())["results"]
    for name, (rows, k) in data_sets(options).items():
        results[name] = compare(rows(), k, options)
        print(tables({name: results[name]}), file=sys.stderr, flush=True)
    measured = {
        "date": str(datetime.date.today()),
        "machine": {
            "cpu": cpu_name(),
            "threads": options.threads,
            "versions": versions("dask-kmeans", "numba", "numpy"),
        },
        "results": results,
    }
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(measured, indent=1) + "\n")
    publish(measured, options.readme)


if __name__ == "__main__":
    main()
