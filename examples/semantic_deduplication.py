"""Semantic deduplication of embeddings: from Parquet to Parquet, on a local cluster.

Rows are clustered by direction, and only rows of one cluster are compared with each other: n rows
in k clusters take n^2 / k comparisons instead of n^2, and no task holds more than a cluster. Of
rows whose cosine is above a threshold one is kept, the one that is farthest from its center
(SemDeDup, https://arxiv.org/abs/2303.09540). Pairs across the border of two clusters are not seen.

    python semantic_deduplication.py [FOLDER OF PARQUET FILES WITH THE COLUMNS id AND vector]
"""

import subprocess
import sys
from pathlib import Path

import dask
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from dask.distributed import Client, LocalCluster

THRESHOLD = 0.95
ROWS_A_CLUSTER = 100
BLOCK = 1024  # rows that are compared with all of their cluster at once


def make_embeddings(folder, n_rows=4000, n_copies=400, d=64):
    """Vectors about 20 topics, some of them copies of others with a little noise."""
    rng = np.random.default_rng(0)
    topics = rng.normal(size=(20, d))
    vectors = topics[rng.integers(20, size=n_rows)] + rng.normal(size=(n_rows, d))
    copied = rng.choice(n_rows, n_copies, replace=False)
    copies = vectors[copied] + rng.normal(size=(n_copies, d)) * 0.1
    table = pa.table({"id": np.arange(n_rows), "vector": list(vectors.astype("f2"))})
    more = pa.table({"id": n_rows + np.arange(n_copies), "vector": list(copies.astype("f2"))})
    Path(folder).mkdir()
    for part in range(4):
        rows = pa.concat_tables([table.slice(part * 1000, 1000), more.slice(part * 100, 100)])
        pq.write_table(rows, f"{folder}/part-{part}.parquet", use_dictionary=False)
    return n_copies


def deduplicate(cluster):
    """Which rows of a cluster are kept, and of those that are not, which row they are like."""
    table = pa.concat_tables([pq.read_table(part) for part in sorted(cluster.glob("*.parquet"))])
    table = table.sort_by([("distance", "descending"), ("id", "ascending")])
    ids = table["id"].combine_chunks()
    vectors = np.stack(table["vector"].to_numpy()).astype("f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    like, cosine = np.full(len(ids), -1), np.full(len(ids), np.nan, "f4")
    for first in range(0, len(ids), BLOCK):
        own = slice(first, first + BLOCK)
        for row, candidates in enumerate(vectors[own] @ vectors[: own.stop].T, first):
            near = np.flatnonzero(candidates[:row] >= THRESHOLD)  # of the rows before it
            near = near[like[near] < 0]  # of those that are kept
            if len(near):
                best = near[candidates[near].argmax()]
                like[row], cosine[row] = best, candidates[best]
    verdict = pa.table(
        {
            "id": ids,
            "kept": like < 0,
            "like": ids.take(pa.array(like, mask=like < 0)),
            "cosine": cosine,
        }
    )
    pq.write_table(verdict, f"verdicts/{cluster.name}.parquet")
    return len(ids), int((like >= 0).sum())


if __name__ == "__main__":
    source = sys.argv[1] if len(sys.argv) > 1 else "embeddings"
    planted = make_embeddings(source) if len(sys.argv) == 1 else 0
    n_rows = sum(pq.read_metadata(part).num_rows for part in Path(source).glob("*.parquet"))

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="1GiB") as cluster,
        Client(cluster),
    ):
        # One command clusters the vectors, and writes each cluster with what it takes to compare.
        subprocess.run(
            [
                *(sys.executable, "-m", "dask_kmeans", "fit", source, "--columns", "vector"),
                *("--n-clusters", str(max(2, n_rows // ROWS_A_CLUSTER)), "--metric", "cosine"),
                *("--model", "model.zarr", "--labels", "by_cluster.parquet"),
                *("--keep", "id,vector", "--with", "distance", "--partition-by", "cluster"),
                *("--scheduler", cluster.scheduler_address, "--quiet"),
            ],
            check=True,
        )
        Path("verdicts").mkdir()
        clusters = sorted(Path("by_cluster.parquet").glob("cluster=*"))
        counts = dask.compute(*(dask.delayed(deduplicate)(each) for each in clusters))

    rows, dropped = map(sum, zip(*counts, strict=True))
    print(f"{rows} rows in {len(clusters)} clusters: {rows - dropped} kept, {dropped} dropped")
    if planted:
        print(f"{dropped / planted:.0%} of the planted copies found")
