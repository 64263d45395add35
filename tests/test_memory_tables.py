"""Peak memory of a process that writes labels as a table, against what `memory` states."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dask_kmeans import memory
from dask_kmeans.read.carry import CARRIED_ROWS
from dask_kmeans.write import partitions, row_table

MEASURE = """
import json, sys
import dask, numpy as np
from dask_kmeans import KMeans, open_source
from dask_kmeans.write import write_rows

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

small, large, out, clusters = *sys.argv[1:4], json.loads(sys.argv[4])
dask.config.set(scheduler="threads", num_workers=1)
model = KMeans(8, init="random", n_init=1, max_iter=2, random_state=0)
model.fit(np.random.default_rng(0).normal(size=(100, 4)).astype("f4"))

def write(path, name):
    source = open_source(path, columns=list("abcd")).carrying(["url"])
    write_rows(model._labelled_streams(source), f"{name}.{out}", with_distance=True,
               partitions=8 if clusters else None)

write(small, "small")  # everything imported, compiled and used once
before = peak()
write(large, "large")
print(json.dumps(peak() - before))
"""

NOISE = 32 * 2**20
"""What the interpreter and the allocators, NumPy's and Arrow's, take as well."""

ROWS = 3_000_000


def table(n_rows):
    rng = np.random.default_rng(1)
    columns = {name: rng.normal(size=n_rows).astype("f4") for name in "abcd"}
    numbers = np.char.zfill(np.arange(n_rows).astype(str), 64)
    return pa.table({**columns, "url": pa.array(numbers)})


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    pq.write_table(table(1000), folder / "small.parquet")
    with pq.ParquetWriter(folder / "large.parquet", table(1).schema) as writer:
        for _ in range(ROWS // 250_000):
            writer.write_table(table(250_000))
    return folder / "small.parquet", folder / "large.parquet"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("out", "by_cluster", "held"),
    [
        ("parquet", False, row_table.GROUP_BYTES),
        ("parquet", True, partitions.RUN_BYTES),
        ("csv", False, row_table.GROUP_BYTES),
    ],
)
def test_a_table_of_labels_is_written_in_what_is_stated(out, by_cluster, held, sources, tmp_path):
    row_bytes = 4 * 4 + 68
    reading = memory.reading_bytes(CARRIED_ROWS * row_bytes, parquet_columns=5)
    stated = memory.table_task_bytes(reading, 8, 4, held) + NOISE
    assert stated < ROWS * (68 + 12)  # less than the table itself
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, sources), out, json.dumps(by_cluster)],
        cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    measured = json.loads(ran.stdout)
    print(f"{out} {by_cluster}: {measured / 2**20:.0f} MiB of {stated / 2**20:.0f}")
    assert measured <= stated
