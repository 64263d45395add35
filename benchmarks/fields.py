"""Packed fields of the sea, far larger than memory, from the shell: regimes in time, or regions.

    python benchmarks/fields.py --folder /somewhere/with/10GB         # rows are times
    python benchmarks/fields.py --folder ... --rows-are points        # or grid points
    python benchmarks/fields.py --folder ... --gigabytes 2            # does it run at all?

Writes time x lat x lon as `Dataset.to_zarr` does, int16 with scale_factor, add_offset, _FillValue
(land), which xarray decodes to float64: `--gigabytes` counts these. Times are rows by
`--feature-dim lat,lon`, of chunks that are whole in lat and lon; grid points are rows by
`--feature-dim time`, of chunks that are small in lat and lon. Labels go to Zarr. Fails if a worker
spilled, paused or was lost, or went beyond its limit; if labels do not open with the coordinates of
the field; if those of a sample of rows are not what NumPy finds in float64; or, of data up to 4 GB,
if scikit-learn goes on from the centers to another inertia.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

# No more than this here: workers of the job load this module too.
import jobs
import numpy as np
from common import cpu_name, markdown, versions

REGIMES = 4
LAND = -32768
PACKING = {"scale_factor": 0.01, "add_offset": 280.0, "_FillValue": LAND, "dtype": "int16"}
CHECKED = 4
"""Chunks of rows, spread over the field, whose labels NumPy finds again."""

TIME_LIMIT = 5400


class Layout(NamedTuple):
    """How a field lies, and what its rows are."""

    dims: tuple[int, int]
    """lat, lon."""
    chunks: tuple[int, int, int]
    feature_dim: str
    fixed_times: int | None = None
    """Times; None: as many as make the bytes, of a fixed grid."""


LAYOUTS = {
    "times": Layout((180, 360), (128, 180, 360), "lat,lon"),
    "points": Layout((1, 2880), (124, 30, 96), "time", 1488),
}


def shape_of(layout: Layout, gigabytes: float) -> tuple[int, int, int]:
    """time, lat, lon; whole chunks."""
    values = gigabytes * 1e9 / 8
    lat, lon = layout.dims
    if layout.fixed_times is not None:
        times, band = layout.fixed_times, layout.chunks[1]
        return times, band * max(1, round(values / times / lon / band)), lon
    step = layout.chunks[0]
    return step * max(1, round(values / (lat * lon) / step)), lat, lon


def wave(size: int, number: int) -> np.ndarray:
    """A smooth line, float64 (size,)."""
    return np.sin(np.linspace(0, np.pi * (2 + number), size) + number)


def is_land(lat: np.ndarray, lon: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Three tenths or so of the grid, whatever the time: boolean (lat, lon)."""
    return wave(shape[1], 3)[lat, None] * wave(shape[2], 5)[None, lon] > 0.3


def packed(corner: tuple[slice, ...], shape: tuple[int, int, int], rows_are: str) -> np.ndarray:
    """A chunk of the field, int16: a pattern of the regime, slow noise, and noise of each value."""
    times, lat, lon = (np.arange(part.start, part.stop) for part in corner)
    random = np.random.default_rng([part.start for part in corner])
    if rows_are == "times":
        regime = times // 200 % REGIMES  # they last for 200 steps
        maps = [
            300 * wave(shape[1], r)[lat, None] * wave(shape[2], r + 1)[None, lon]
            for r in range(REGIMES)
        ]
        field = np.array(maps).astype(np.int16)[regime]
    else:
        region = (lat[:, None] * 7 // shape[1] + lon[None] * 5 // shape[2]) % REGIMES
        courses = np.array([300 * wave(shape[0], r)[times] for r in range(REGIMES)])
        field = np.ascontiguousarray(np.moveaxis(courses.astype(np.int16)[region], -1, 0))
    field += random.integers(-200, 200, (len(times), 1, 1), np.int16)
    field += random.integers(-30, 30, field.shape, np.int8)
    field[:, is_land(lat, lon, shape)] = LAND
    return field


def write_field(path: Path, options: argparse.Namespace) -> tuple[int, int, int]:
    """The field, unless it is there from a run with --keep; a chunk a thread at a time."""
    import dask.array as da
    import pandas as pd
    import xarray as xr
    import zarr

    layout = LAYOUTS[options.rows_are]
    shape = shape_of(layout, options.gigabytes)
    written = path / ".written"
    if written.exists() and written.read_text() == str(shape):
        return shape
    shutil.rmtree(path, ignore_errors=True)
    coords = {
        "time": pd.date_range("1900-01-01", periods=shape[0], freq="h"),
        "lat": np.linspace(-89.5, 89.5, shape[1]), "lon": np.linspace(0, 359, shape[2]),
    }  # fmt: skip
    lazy = da.zeros(shape, chunks=layout.chunks)
    field = xr.DataArray(lazy, coords, tuple(coords), attrs={"units": "K"})
    encoding = {"sst": {**PACKING, "chunks": layout.chunks}}
    field.to_dataset(name="sst").to_zarr(path, encoding=encoding, compute=False)
    array = zarr.open_array(path, path="sst")

    def write(chunk: tuple[int, ...]) -> None:
        corner = tuple(
            slice(c * size, min(n, (c + 1) * size))
            for c, size, n in zip(chunk, layout.chunks, shape, strict=True)
        )
        array[corner] = packed(corner, shape, options.rows_are)

    counts = [-(-n // size) for n, size in zip(shape, layout.chunks, strict=True)]
    with ThreadPoolExecutor(options.workers) as pool:
        for _ in pool.map(write, np.ndindex(*counts)):
            pass
    written.write_text(str(shape))
    return shape


def run(options: argparse.Namespace, source: Path, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Fit and label, from the shell."""
    from dask.utils import parse_bytes

    model, labels = options.folder / "model.zarr", options.folder / "labels.zarr"
    for old in (model, labels):
        shutil.rmtree(old, ignore_errors=True)
    limit = parse_bytes(options.memory_limit)
    with jobs.watched_workers(options.workers, limit) as (client, found):
        fit = jobs.command(
            "fit", str(source), "--feature-dim", LAYOUTS[options.rows_are].feature_dim,
            "--nan", "skip", "--n-clusters", str(REGIMES), "--model", str(model),
            "--labels", str(labels), "--scheduler", client.scheduler.address, timeout=TIME_LIMIT,
        )  # fmt: skip
    return found | {
        "rows_are": options.rows_are,
        "shape": shape,
        "bytes": 8 * int(np.prod(shape)),
        "bytes_stored": jobs.folder_bytes(source),
        "n_rows": fit["n_rows"],
        "features": fit["n_features"],
        "passes": fit["n_passes"],
        "iterations": fit["n_iter"],
        "converged": fit["converged"],
        "inertia": fit["inertia"],
        "seconds": fit["wall"],
        "peak_fit": fit["peak_memory"],
    }


def complaints(report: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """What is wrong with a run; nothing, it is hoped."""
    import xarray as xr

    from dask_kmeans import load_model

    wrong = jobs.complaints(report)
    labels = xr.open_zarr(options.folder / "labels.zarr").labels
    field = xr.open_zarr(options.folder / "field.zarr").sst
    of_times = options.rows_are == "times"
    rows, features = (("time",), ("lat", "lon")) if of_times else (("lat", "lon"), ("time",))
    if labels.dims != rows or not all(labels[dim].equals(field[dim]) for dim in rows):
        return [*wrong, f"labels of {labels.sizes} without the coordinates of the rows"]
    model = load_model(options.folder / "model.zarr")
    centers = model.cluster_centers_
    field = field.transpose(*rows, *features)
    there = ~np.isnan(centers[0])
    size = LAYOUTS[options.rows_are].chunks[0 if of_times else 1]
    report["checked_rows"] = report["left_out"] = 0
    whole = report["bytes"] <= 4e9
    starts = np.arange(0, field.shape[0], size)
    parts = []
    for start in starts if whole else starts[np.linspace(0, len(starts) - 1, CHECKED, dtype=int)]:
        some = {rows[0]: slice(start, start + size)}
        values = field.isel(some).to_numpy().reshape(-1, centers.shape[1])[:, there]
        out = np.isnan(values).any(axis=1)
        squares = np.array([((values - center[there]) ** 2).sum(axis=1) for center in centers])
        nearest = np.where(out, -1, np.argmin(squares, axis=0))
        different = np.count_nonzero(nearest != labels.isel(some).to_numpy().ravel())
        if different:
            wrong.append(f"{different} labels of {some} are not NumPy's")
        report["checked_rows"] += len(values)
        report["left_out"] += int(out.sum())
        parts += [values[~out]] if whole else []
    if whole:
        from sklearn.cluster import KMeans

        theirs = KMeans(REGIMES, init=centers[:, there], n_init=1).fit(np.concatenate(parts))
        report["scikit_learn"] = theirs.inertia_ / report["inertia"]
        if abs(report["scikit_learn"] - 1) > 1e-4:
            wrong.append(f"scikit-learn's inertia is {report['scikit_learn']} of ours")
    return wrong


def table(report: dict[str, Any]) -> str:
    """One line."""
    workers, *others = jobs.told(report)
    header = ["field", "rows", "features", "workers", "passes", "fit and labels", "GB/s",
              *jobs.TOLD[1:]]  # fmt: skip
    line = [
        f"{report['bytes'] / 1e9:.0f} GB, " + " x ".join(map(str, report["shape"])),
        f"{report['n_rows']} {report['rows_are']}", str(report["features"]), workers,
        str(report["passes"]), f"{report['seconds']:.0f} s",
        f"{report['bytes'] * report['passes'] / report['seconds'] / 1e9:.2f}", *others,
    ]  # fmt: skip
    return "\n".join([
        markdown(header, [line]), "",
        "time x lat x lon of float64, packed in int16 "
        f"(zstd, {report['bytes_stored'] / 1e9:.1f} GB), "
        f"three tenths land, k={REGIMES}, from the shell to its end; GB of decoded values; "
        f"{report['checked_rows']} labels found again by NumPy in float64; {report['cpu']}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(report["versions"].items()))
        + f", {report['date']}.",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where all of it goes for a while")
    parser.add_argument("--rows-are", choices=LAYOUTS, default="times")
    parser.add_argument("--gigabytes", type=float, default=40.0, help="of decoded values")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-limit", default="1GiB", help="of each worker")
    parser.add_argument("--keep", action="store_true", help="leave the field, for another run")
    parser.add_argument("--write-only", action="store_true", help="write the field, and end")
    parser.add_argument("--output", type=Path, help="write the measurements here, as JSON")
    parser.add_argument("--from", dest="report", type=Path, help="measure nothing: read this file")
    options = parser.parse_args()
    if options.report:
        report = json.loads(options.report.read_text())
    elif options.folder is None:
        parser.error("--folder or --from is needed")
    else:
        source = options.folder / "field.zarr"
        start = time.perf_counter()
        shape = write_field(source, options)
        print(f"{source} is there after {time.perf_counter() - start:.0f} s", file=sys.stderr)
        if options.write_only:
            return
        try:
            report = run(options, source, shape)
            report |= {
                "date": datetime.date.today().isoformat(),
                "cpu": cpu_name(),
                "versions": versions("dask-kmeans", "dask", "distributed", "xarray", "zarr"),
            }
            report["complaints"] = complaints(report, options)
        finally:
            for made in ("model.zarr", "labels.zarr", *([] if options.keep else ["field.zarr"])):
                shutil.rmtree(options.folder / made, ignore_errors=True)
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))
    if report["complaints"]:
        sys.exit("\n".join(report["complaints"]))


if __name__ == "__main__":
    main()
