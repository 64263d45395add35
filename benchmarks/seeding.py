"""How good are the seeds, and what do they cost? The k-means|| paper's tables beside ours.

    python benchmarks/seeding.py                              # GaussMixture
    python benchmarks/seeding.py --spam spambase.npz          # and Spam
    python benchmarks/seeding.py --spam spambase.npz --output results/seeding.json

GaussMixture: 10 000 rows in 15 dimensions, unit-variance Gaussians around 50 centers which are
drawn from N(0, R^2) themselves: R acts as their *standard deviation*, or the published costs cannot
be met. Each seeding has its own draw of the mixture. Spam: the UCI Spambase data, 4601 rows; an
.npz with X (57 features) and y, which is the 58th feature of the paper.
Each number is the median of 11 seedings, iterations are means, as in the paper.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from common import cpu_name, markdown

from dask_kmeans import KMeans
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.centers import MeanCenters
from dask_kmeans.read import as_points
from dask_kmeans.seed import SeedParameters, make_seeds
from dask_kmeans.survey import survey

SEEDINGS = 11
METHODS = ("random", "k-means++", "k-means||")

# Bahmani et al., "Scalable K-Means++", PVLDB 5(7), 2012, tables 1 and 2: (seed, final).
PAPER = {
    "GaussMixture": {
        "random": [(None, 14), (None, 201), (None, 23337)],
        "k-means++": [(23, 14), (62, 31), (30, 15)],
        "k-means\\|\\|, l = k/2, 5 rounds": [(21, 14), (36, 28), (23, 15)],
        "k-means\\|\\|, l = 2k, 5 rounds": [(17, 14), (27, 25), (16, 15)],
    },
    "Spam": {
        "random": [(None, 1528), (None, 1488), (None, 1384)],
        "k-means++": [(460, 233), (110, 68), (40, 24)],
        "k-means\\|\\|, l = 2k, 5 rounds": [(260, 234), (69, 66), (24, 24)],
    },
}
UNIT = {"GaussMixture": 1e4, "Spam": 1e5}


class Case(NamedTuple):
    """A column of the paper's table."""

    data: str
    name: str
    draw: Callable[[int], np.ndarray]
    """The data for one seeding, by its number"""
    n_clusters: int


class Seeding(NamedTuple):
    """One seeding and the fit that followed."""

    seed_cost: float
    final_cost: float
    passes: int
    iterations: int
    seconds: float


def gauss_mixture(standard_deviation: float, number: int) -> np.ndarray:
    """float64 (10000, 15)"""
    draws = np.random.default_rng(number)
    centers = standard_deviation * draws.normal(size=(50, 15))
    return centers[draws.integers(50, size=10_000)] + draws.normal(size=(10_000, 15))


def cases(spam: Path | None) -> Iterator[Case]:
    for deviation in (1, 10, 100):
        yield Case(
            "GaussMixture", f"R = {deviation}", functools.partial(gauss_mixture, deviation), 50
        )
    if spam is not None:
        with np.load(spam) as stored:
            X = np.column_stack([stored["X"], stored["y"].astype(float)])
        for n_clusters in (20, 50, 100):
            yield Case("Spam", f"k = {n_clusters}", lambda number: X, n_clusters)


def seed_and_fit(case: Case, method: str, random_state: int) -> Seeding:
    """Seed once, and run Lloyd's iterations from there until no label changes."""
    X = case.draw(random_state)
    points = as_points(X)
    blockwise = Blockwise(points.blocks, points.in_memory)
    found = survey(points, blockwise, "raise")
    points = points.with_counts(found.counts)
    blockwise = blockwise.with_plan(blocks=points.blocks)
    surveyed, start = blockwise.passes, time.perf_counter()
    rule = MeanCenters(found.fixed_point())
    parameters = SeedParameters(method, 1, None, None, random_state)
    seeds = make_seeds(points, blockwise, found, rule, case.n_clusters, parameters)
    seconds = time.perf_counter() - start
    passes = blockwise.passes - surveyed
    blockwise.close()
    model = KMeans(case.n_clusters, init=seeds.centers[0], tol=0, max_iter=1000).fit(X)
    return Seeding(model.history_[0].inertia, model.inertia_, passes, model.n_iter_, seconds)


def measure(case: Case, method: str) -> Seeding:
    """Medians over the seedings; the mean of the iterations."""
    seedings = [seed_and_fit(case, method, random_state) for random_state in range(SEEDINGS)]
    columns = Seeding(*zip(*seedings, strict=True))
    iterations = sum(columns.iterations) / SEEDINGS
    return Seeding(*map(median, columns))._replace(iterations=iterations)


def table(data: str, names: list[str], ours: dict[str, list[Seeding]]) -> str:
    """The paper's rows, then ours: seed cost / final cost."""

    def cost(value: float | None) -> str:
        return "-" if value is None else f"{value:.0f}" if value >= 1000 else f"{value:.1f}"

    rows = [
        [
            f"paper: {method}",
            *(f"{cost(seed)} / {cost(final)}" for seed, final in costs),
            "",
            "",
            "",
        ]
        for method, costs in PAPER[data].items()
    ]
    for method, seedings in ours.items():
        each = [
            f"{cost(s.seed_cost / UNIT[data])} / {cost(s.final_cost / UNIT[data])}"
            for s in seedings
        ]
        more = [
            ", ".join(f"{s.passes:.0f}" for s in seedings),
            ", ".join(f"{s.iterations:.0f}" for s in seedings),
            ", ".join(f"{1000 * s.seconds:.0f}" for s in seedings),
        ]
        rows.append([f"**dask_kmeans: {method}**".replace("||", "\\|\\|"), *each, *more])
    title = f"{data}, cost / {UNIT[data]:.0e}, seed / final"
    header = [title, *names, "passes", "iterations", "ms to seed"]
    return markdown(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spam", type=Path, help=".npz with X (4601, 57) and y")
    parser.add_argument("--output", type=Path, help="keep the medians here, as JSON")
    arguments = parser.parse_args()

    columns: dict[str, list[Case]] = {}
    for case in cases(arguments.spam):
        columns.setdefault(case.data, []).append(case)
    results = {
        data: {method: [measure(case, method) for case in column] for method in METHODS}
        for data, column in columns.items()
    }
    print(f"Medians of {SEEDINGS} seedings (iterations: mean) on {cpu_name()}\n")
    for data, ours in results.items():
        print(table(data, [case.name for case in columns[data]], ours), end="\n\n")
    if arguments.output is not None:
        kept = {
            data: {method: [s._asdict() for s in seedings] for method, seedings in ours.items()}
            for data, ours in results.items()
        }
        arguments.output.write_text(json.dumps({"cpu": cpu_name(), "medians": kept}, indent=1))


if __name__ == "__main__":
    main()
