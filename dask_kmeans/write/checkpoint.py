"""The state of a fit as one file: arrays in NumPy's npz format and a JSON header among them.

One file, because one file can be replaced at once: whoever is killed while writing leaves the state
before untouched. Nothing in it is ever unpickled (`allow_pickle=False`), zip's CRC-32 finds flipped
bits, and every array is checked against the header before it is believed.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from typing import Any

import numpy as np

from dask_kmeans.kernels import Sums
from dask_kmeans.result import FitState
from dask_kmeans.step.run import IterationRecord, Run
from dask_kmeans.step.stop import StopReason
from dask_kmeans.write.jsonable import jsonable
from dask_kmeans.write.place import Output

FORMAT_VERSION = 1
HEADER = "header"


class CheckpointFile:
    """Where a fit keeps its state.

    Parameters
    ----------
    url : str
        A local path or any fsspec URL of one file.
    parameters : dict
        What, besides the data, decides the result; a state of other parameters is refused.
    """

    def __init__(self, url: str | os.PathLike, parameters: dict[str, Any]):
        self._place = Output(url)
        self._parameters = jsonable(parameters)

    def load(self, data: dict[str, Any]) -> FitState | None:
        """The state that is kept there; None where there is none.

        Raises
        ------
        ValueError
            For a file that is not a whole checkpoint, or one of other data or parameters.
        """
        place = self._place
        place.fs.invalidate_cache()
        if not place.fs.exists(place.path):
            return None
        try:
            with np.load(io.BytesIO(place.fs.cat_file(place.path)), allow_pickle=False) as arrays:
                header = json.loads(str(arrays[HEADER]))
                _check_header(header)
                state = _state(header, arrays)
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
                raise
            raise ValueError(
                f"{place.url} is not a valid checkpoint: {str(error) or type(error).__name__}. "
                "Remove it, or give checkpoint= another path"
            ) from error
        self._check_same("data", header["data"], jsonable(data))
        self._check_same("parameters", header["parameters"], self._parameters)
        return state

    def _check_same(self, what: str, kept: dict[str, Any], given: dict[str, Any]) -> None:
        differing = [
            f"{name} was {kept.get(name)!r} and is {given.get(name)!r}"
            for name in sorted(kept.keys() | given.keys())
            if kept.get(name) != given.get(name)
        ]
        if differing:
            raise ValueError(
                f"The checkpoint {self._place.url} is of other {what}: {'; '.join(differing)}. Go "
                "on with what it was made of, remove it, or give checkpoint= another path"
            )

    def save(self, state: FitState) -> None:
        """Replace what is kept there by `state`, at once."""
        header = {
            "dask_kmeans": "checkpoint",
            "format_version": FORMAT_VERSION,
            "data": jsonable(state.data),
            "parameters": self._parameters,
            "passes": state.passes,
            "runs": [_run_header(run) for run in state.runs],
        }
        arrays = {HEADER: np.array(json.dumps(header))}
        for run in state.runs:
            arrays |= _run_arrays(run)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        place = self._place
        if not place.is_local:
            place.fs.pipe_file(place.path, content.getvalue())  # object stores put whole objects
            return
        beside = f"{place.path}.{os.getpid()}.partial"
        try:
            with open(beside, "wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, place.path)
        finally:
            if os.path.exists(beside):
                os.unlink(beside)


def _run_header(run: Run) -> dict[str, Any]:
    return {
        "number": run.number,
        "scatter_offset": run.scatter_offset,
        "history": [list(record) for record in run.history],
        "reason": None if run.reason is None else run.reason.name,
        "plain": run.plain,
        "lowest_inertia": run.lowest_inertia if run.history else None,
        "longest_leap": run.longest_leap,
    }


def _run_arrays(run: Run) -> dict[str, np.ndarray]:
    arrays = {f"{run.number}/centers": run.centers}
    if run.assigned is not None and run.image is not None and run.sums is not None:
        arrays[f"{run.number}/assigned"] = run.assigned
        arrays[f"{run.number}/image"] = run.image
        for name, part in zip(Sums._fields, run.sums, strict=True):
            arrays[f"{run.number}/{name}"] = part
    return arrays


def _check_header(header: Any) -> None:
    if not isinstance(header, dict) or header.get("dask_kmeans") != "checkpoint":
        raise ValueError("its header does not say that it is one")
    if header.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"format_version is {header.get('format_version')!r}, this dask_kmeans reads "
            f"{FORMAT_VERSION}"
        )
    for name, kind in (("data", dict), ("parameters", dict), ("passes", int), ("runs", list)):
        if not isinstance(header.get(name), kind):
            raise ValueError(f"{name} is not a {kind.__name__}")


def _state(header: dict[str, Any], arrays: Any) -> FitState:
    runs = [_run(entry, arrays) for entry in header["runs"]]
    if not runs or len({run.centers.shape for run in runs}) != 1:
        raise ValueError("its runs do not belong together")
    return FitState(header["data"], runs, header["passes"])


def _run(entry: dict[str, Any], arrays: Any) -> Run:
    number = int(entry["number"])
    centers = arrays[f"{number}/centers"]
    if centers.ndim != 2:
        raise ValueError("centers are not a matrix")
    k, d = centers.shape
    history = [IterationRecord(*record) for record in entry["history"]]
    run = Run(
        number,
        _checked(centers, np.float64, (k, d)),
        scatter_offset=float(entry["scatter_offset"]),
        history=history,
        reason=None if entry["reason"] is None else StopReason[entry["reason"]],
        plain=bool(entry["plain"]),
        longest_leap=int(entry["longest_leap"]),
    )
    if history:
        run.lowest_inertia = float(entry["lowest_inertia"])
        run.image = _checked(arrays[f"{number}/image"], np.float64, (k, d))
        run.assigned = _checked(arrays[f"{number}/assigned"], np.float64, (k, d))
        parts = [arrays[f"{number}/{name}"] for name in Sums._fields]
        weights = k if len(parts[-1]) else 0
        shapes = [(k, d), (k, d), (k,), (weights,), (weights,)]
        run.sums = Sums(
            *(_checked(part, np.int64, shape) for part, shape in zip(parts, shapes, strict=True))
        )
    return run


def _checked(array: np.ndarray, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(
            f"an array is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("centers are not finite")
    return array
