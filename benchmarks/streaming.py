"""How fast a pass over a store is, beside merely reading and decoding it on the same threads.

    python benchmarks/streaming.py --folder /somewhere/with/2GB

One pass that examines every row (Lloyd's step from given centers) over 4 000 000 x 32 float32 in
Zarr (zstd, blosc lz4, uncompressed) and Parquet, against the same blocks read and decoded by the
same threads and thrown away; both the fastest of several, page cache warm.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from common import cpu_name, markdown, versions
from zarr.codecs import BloscCodec, ZstdCodec

from dask_kmeans.blockwise import Blockwise, OpenBlock
from dask_kmeans.kernels import prepare
from dask_kmeans.read import as_points
from dask_kmeans.step.assign import Request, assign_block
from dask_kmeans.step.combine import merge_for
from dask_kmeans.survey import survey

STORES = {
    "Zarr, zstd": ("zstd.zarr", {"compressors": [ZstdCodec()]}),
    "Zarr, blosc lz4": ("blosc.zarr", {"compressors": [BloscCodec(cname="lz4")]}),
    "Zarr, uncompressed": ("plain.zarr", {"compressors": None}),
    "Parquet": ("rows.parquet", {}),
}


def rows(number: int, size: int, features: int) -> np.ndarray:
    """Chunk `number` of a mixture, float32 (size, features)."""
    random = np.random.default_rng([number, features])
    centers = np.random.default_rng(0).normal(size=(64, features)) * 2
    noise = random.standard_normal((size, features), dtype=np.float32)
    return centers[random.integers(64, size=size)].astype(np.float32) + noise


def write(path: Path, options: dict, total: int, features: int, chunk: int) -> None:
    """One store of the mixture, unless it is there from an earlier run."""
    if path.exists():
        return
    if path.suffix == ".parquet":
        names = [f"x{number}" for number in range(features)]
        schema = pa.schema([(name, pa.float32()) for name in names])
        with pq.ParquetWriter(path, schema) as writer:
            for number in range(total // chunk):
                columns = list(rows(number, chunk, features).T.copy())
                writer.write_table(pa.table(columns, schema=schema), row_group_size=chunk)
        return
    array = zarr.create_array(
        path, shape=(total, features), chunks=(chunk, features), dtype="float32", **options
    )
    for number in range(total // chunk):
        array[number * chunk : (number + 1) * chunk] = rows(number, chunk, features)


def read_block(block: OpenBlock) -> int:
    """Read and decode a block, and throw it away."""
    return sum(values.nbytes for values, _ in block.pieces())


def add(a: int, b: int) -> int:
    return a + b


def fastest(repeat: int, work) -> float:
    """Seconds."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(path: Path, clusters: int, repeat: int) -> tuple[float, float, int]:
    """(seconds to read, seconds of a step, bytes) of one pass over the store."""
    points = as_points(path)
    blockwise = Blockwise(points.blocks, points.in_memory)
    found = survey(points, blockwise, "raise")
    blockwise.blocks = points.with_counts(found.counts).blocks
    centers = rows(0, clusters, points.n_features).astype(np.float64)
    fixed_point = found.fixed_point()
    size = blockwise.run(read_block, merge=add)
    step = 0

    def take_step() -> None:
        nonlocal step, centers
        step += 1
        previous, centers = prepare(centers), centers * (1 + 1e-4)
        requests = [Request(0, step, prepare(centers), previous if step > 1 else None, 0)]
        blockwise.run(assign_block, requests, fixed_point, merge=merge_for(requests))

    take_step()
    reading = fastest(repeat, lambda: blockwise.run(read_block, merge=add))
    stepping = fastest(repeat, take_step)
    blockwise.close()
    return reading, stepping, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--clusters", type=int, default=32)
    parser.add_argument("--chunk", type=int, default=250_000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    table = []
    for name, (file, how) in STORES.items():
        path = options.folder / file
        write(path, how, options.rows, options.features, options.chunk)
        reading, stepping, size = measure(path, options.clusters, options.repeat)
        table.append(
            [name, f"{size / reading / 1e9:.2f}", f"{size / stepping / 1e9:.2f}",
             f"{reading / stepping:.0%}"]
        )  # fmt: skip
    print(markdown(["store", "read, GB/s", "a full step, GB/s", "of the reading rate"], table))
    print(f"\n{cpu_name()}, {versions('dask-kmeans', 'zarr', 'pyarrow', 'dask', 'numba')}")


if __name__ == "__main__":
    main()
