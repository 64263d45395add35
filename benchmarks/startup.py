"""From the shell to a model of a small file: warm, and with nothing compiled yet.

    python benchmarks/startup.py --output benchmarks/results/startup.json

Every fit is a process of its own, from its start to its end: the command, the same from Python, and
scikit-learn from Python, which imports its clusters and fits the same rows. Warm fits find compiled
kernels in a folder that one fit before the first round has filled; cold ones find an empty folder.
All take turns, round after round, and the table shows medians.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import REPOSITORY, cpu_name, markdown, versions

PYTHON = """
import numpy as np
from {module} import KMeans
KMeans({clusters}, random_state=0).fit(np.load({data!r}))
"""
PEER = "scikit-learn, Python"


def commands(data: Path, clusters: int, folder: Path) -> dict[str, list[str]]:
    """What is typed, by the name of who is to answer."""
    python = {
        name: ["-c", PYTHON.format(module=module, clusters=clusters, data=str(data))]
        for name, module in (("dask_kmeans, Python", "dask_kmeans"), (PEER, "sklearn.cluster"))
    }
    shell = ["-m", "dask_kmeans", "fit", str(data), "--n-clusters", str(clusters), "--overwrite"]
    return {"dask_kmeans, shell": [*shell, "--model", str(folder / "model.zarr")], **python}


def seconds(arguments: list[str], compiled: Path) -> float:
    """Of a process from its start to its end, which keeps compiled kernels in a folder."""
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "NUMBA_CACHE_DIR": str(compiled),
    }
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def measured(data: Path, clusters: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each round, warm and cold, by name."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        typed = commands(data, clusters, folder)
        for arguments in typed.values():
            seconds(arguments, folder / "warm")
        found: dict[str, dict[str, list[float]]] = {name: {"warm": []} for name in typed}
        for number in range(rounds):
            for name, arguments in typed.items():
                found[name]["warm"].append(seconds(arguments, folder / "warm"))
                if name != PEER:  # which compiles nothing
                    cold = seconds(arguments, folder / f"cold {number} {name}")
                    found[name].setdefault("cold", []).append(cold)
        return found


def table(report: dict[str, Any]) -> str:
    """Medians, and what they come to."""
    medians = {
        name: {kind: statistics.median(times) for kind, times in kinds.items()}
        for name, kinds in report["seconds"].items()
    }
    rows = []
    for name, of in medians.items():
        row = [name, f"{of['warm']:.2f} s", f"{of['warm'] / medians[PEER]['warm']:.2f} x"]
        cold = [f"{of['cold']:.2f} s", f"{of['cold'] - of['warm']:.2f} s"] if "cold" in of else []
        rows.append([*row, *(cold or ["", ""])])
    header = ["from the shell to a model", "warm", "beside scikit-learn", "cold", "more than warm"]
    found = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    return (
        f"{markdown(header, rows)}\n\n{report['data']}, {report['clusters']} clusters; medians of "
        f"{report['rounds']} rounds in turns, {report['cpu']}; {found}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=REPOSITORY / "examples/data/xclara.npy")
    parser.add_argument("--clusters", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    report = {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_name(),
        "versions": versions("dask-kmeans", "numba", "dask", "scikit-learn"),
        "data": options.data.name,
        "clusters": options.clusters,
        "rounds": options.rounds,
        "seconds": measured(options.data.resolve(), options.clusters, options.rounds),
    }
    print(table(report))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
