"""How fast a pass over a store is, beside merely reading and decoding it on the same threads.

    python benchmarks/streaming.py --folder /somewhere/with/2GB

One pass that examines every row (Lloyd's step from given centers) over 4 000 000 x 32 float32 in
Zarr (zstd, blosc lz4, uncompressed) and Parquet, against two ways to read the same rows with the
same threads and throw them away: as the store's own library does it (zarr: one slice a chunk;
pyarrow: one row group after the other, as columns), and as our blocks do it. Each the fastest of
several, taken in turns, page cache warm.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from common import cpu_name, markdown, versions
from zarr.codecs import BloscCodec, ZstdCodec

from dask_kmeans.blockwise import Blockwise, OpenBlock, parallelism
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
        there = as_points(path)
        if (there.n_rows, there.n_features) != (total, features):
            raise SystemExit(f"{path} has {there.n_rows} x {there.n_features} values: remove it")
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


def library_reads(path: Path, threads: int) -> Callable[[], None]:
    """Reading and decoding all of a store by its own library."""
    pool = ThreadPoolExecutor(threads)
    if path.suffix == ".parquet":
        groups = range(pq.ParquetFile(path).num_row_groups)

        def read(number: int) -> None:
            pq.ParquetFile(path).read_row_group(number, use_threads=False)

        return lambda: list(pool.map(read, groups)) and None
    array = zarr.open_array(path, mode="r")
    starts = range(0, array.shape[0], array.chunks[0])
    return lambda: (
        list(pool.map(lambda start: len(array[start : start + array.chunks[0]]), starts)) and None
    )


def fastest(repeat: int, **works: Callable[[], object]) -> dict[str, float]:
    """Seconds of each work; they take turns, so that a busy moment of the machine hits all."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeat):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return {name: min(measured) for name, measured in times.items()}


def measure(path: Path, clusters: int, repeat: int) -> dict[str, float]:
    """Bytes of the rows, and seconds of one pass over the store: read twice over, and stepped."""
    points = as_points(path)
    blockwise = Blockwise(points.blocks, points.in_memory)
    found = survey(points, blockwise, "raise")
    blockwise = blockwise.with_plan(blocks=points.with_counts(found.counts).blocks)
    centers = rows(0, clusters, points.n_features).astype(np.float64)
    fixed_point = found.fixed_point()
    step = 0

    def take_step() -> None:
        nonlocal step, centers
        step += 1
        previous, centers = prepare(centers), centers * (1 + 1e-4)
        requests = [Request(0, step, prepare(centers), previous if step > 1 else None)]
        blockwise.run(assign_block, requests, fixed_point, merge=merge_for(requests))

    take_step()
    seconds = fastest(
        repeat,
        library=library_reads(path, parallelism(in_memory=False)),
        blocks=lambda: blockwise.run(read_block, merge=add),
        step=take_step,
    )
    size = blockwise.run(read_block, merge=add)
    blockwise.close()
    return {"bytes": size, **seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--clusters", type=int, default=32)
    parser.add_argument("--chunk", type=int, default=250_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--output", type=Path, help="write the measurements here, as JSON")
    options = parser.parse_args()
    measured, table = {}, []
    for name, (file, how) in STORES.items():
        path = options.folder / file
        write(path, how, options.rows, options.features, options.chunk)
        found = measured[name] = measure(path, options.clusters, options.repeat)
        rates = [found["bytes"] / found[each] / 1e9 for each in ("library", "blocks", "step")]
        table.append(
            [name, *(f"{rate:.2f}" for rate in rates), f"{rates[2] / rates[0]:.0%}",
             f"{rates[2] / rates[1]:.0%}"]
        )  # fmt: skip
    header = ["store", "its library reads, GB/s", "our blocks read, GB/s", "a full step, GB/s",
              "of the library's rate", "of our blocks' rate"]  # fmt: skip
    print(markdown(header, table))
    software = versions("dask-kmeans", "zarr", "pyarrow", "dask", "numba")
    shape = f"{options.rows} x {options.features} float32, k={options.clusters}"
    print(f"\n{shape}; {cpu_name()}, {software}")
    if options.output:
        report = {"cpu": cpu_name(), "versions": software, "work": shape, "seconds": measured}
        options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
