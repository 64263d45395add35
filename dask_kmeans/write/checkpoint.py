"""The state of a fit as one file: arrays in NumPy's npz format and a JSON header among them.

One file, because one file can be replaced at once: whoever is killed while writing leaves the state
before untouched. Nothing in it is ever unpickled (`allow_pickle=False`), nothing is decompressed, a
digest finds flipped bits, and every array is checked against the header before it is believed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from dask_kmeans import checks
from dask_kmeans.kernels import Sums
from dask_kmeans.read.retry import PAUSES, PERMANENT
from dask_kmeans.result import FitState
from dask_kmeans.state import (
    Anchor,
    IterationRecord,
    LatestStep,
    RunState,
    StopReason,
    new_run,
)
from dask_kmeans.write.jsonable import jsonable
from dask_kmeans.write.place import Output, check_output, staged

FORMAT_VERSION = 2
"""Raised whenever another version of the package could misread what is written. Version 1 knew its
data by counts and ranges alone."""

HEADER = "header"

T = TypeVar("T")


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
        OSError
            Where no checkpoint can be kept: no folder, a folder of that name, no permission.
        """
        content = self._tried(self._content, "read")
        if content is None:
            return None
        try:
            header, arrays = _unpacked(content)
            _check_header(header)
        except Exception as error:  # whatever a hostile file makes zip, NumPy and JSON raise
            raise checks.invalid_checkpoint_error(self._place.url, error) from error
        # First, since they decide which rows are seen: by cosine these are unit vectors.
        self._check_same("parameters", header["parameters"], self._parameters)
        self._check_same("data", header["data"], jsonable(data))
        try:
            return _state(header, arrays)
        except Exception as error:
            raise checks.invalid_checkpoint_error(self._place.url, error) from error

    def _content(self) -> bytes | None:
        place = self._place
        check_output(place.url, overwrite=True)
        place.fs.invalidate_cache()
        try:
            return place.fs.cat_file(place.path)
        except FileNotFoundError:
            return None

    def _tried(self, action: Callable[[], T], what: str) -> T:
        """`action()`, tried again where that can help, with an error that names the checkpoint."""
        for pause in (*PAUSES, None):
            try:
                return action()
            except Exception as error:  # stores raise what their drivers raise
                if pause is None or self._place.is_local or isinstance(error, PERMANENT):
                    url = self._place.url
                    cause = checks.as_cause(error)
                    raise checks.unreachable_checkpoint_error(what, url, error) from cause
            time.sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")

    def _check_same(self, what: str, kept: dict[str, Any], given: dict[str, Any]) -> None:
        if kept != given:
            raise checks.other_checkpoint_error(self._place.url, what, kept, given)

    def save(self, state: FitState) -> None:
        """Replace what is kept there by `state`, at once."""
        header = {
            "dask_kmeans": "checkpoint",
            "format_version": FORMAT_VERSION,
            "data": jsonable(state.data),
            "parameters": self._parameters,
            "passes": state.passes,
            "seed": state.seed,
            "runs": [_run_header(run) for run in state.runs],
        }
        arrays: dict[str, np.ndarray] = {}
        for run in state.runs:
            arrays |= _run_arrays(run)
        content = _packed(header, arrays)
        self._tried(lambda: self._replace(content), "write")

    def _replace(self, content: bytes) -> None:
        place = self._place
        if not place.is_local:
            place.fs.pipe_file(place.path, content)  # object stores put whole objects
            return
        with staged(place.url, overwrite=True) as path, open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the state before is gone once this one takes its name


def _packed(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """Header and arrays as an npz file, with a digest of the arrays in the header."""
    header = {**header, "digest": _digest(arrays)}
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{HEADER: np.array(json.dumps(header))}, **arrays)
    return content.getvalue()


def _unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        if any(member.compress_type != zipfile.ZIP_STORED for member in file.infolist()):
            raise ValueError("it is compressed")  # and might be many times what it seems
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = dict(stored)
    header = json.loads(str(arrays.pop(HEADER)))
    if header["digest"] != _digest(arrays):
        raise ValueError("its arrays are not those that were written")
    return header, arrays


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _run_header(run: RunState) -> dict[str, Any]:
    return {
        "number": run.number,
        "scatter_offset": run.scatter_offset,
        "history": [list(record) for record in run.history],
        "reason": None if run.reason is None else run.reason.name,
        "plain": run.is_lloyd_step,
        "lowest_inertia": run.lowest_inertia if run.history else None,
        "longest_leap": run.longest_leap,
        "anchors": len(run.anchors),
    }


def _run_arrays(run: RunState) -> dict[str, np.ndarray]:
    arrays = {f"{run.number}/centers": run.centers}
    if run.latest is not None:
        arrays[f"{run.number}/assigned"] = run.latest.assigned
        arrays[f"{run.number}/image"] = run.latest.lloyd_centers
        for name, part in zip(Sums._fields, run.latest.sums, strict=True):
            arrays[f"{run.number}/{name}"] = part
    for at, each in enumerate(run.anchors):
        for name, part in zip(Anchor._fields, each, strict=True):
            arrays[_anchor_name(run.number, at, name)] = part
    return arrays


def _anchor_name(run: int, at: int, field: str) -> str:
    return f"{run}/anchor {at}/{field}"


def _check_header(header: Any) -> None:
    if not isinstance(header, dict) or header.get("dask_kmeans") != "checkpoint":
        raise ValueError("its header does not say that it is one")
    if header.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"format_version is {header.get('format_version')!r}, this dask_kmeans reads "
            f"{FORMAT_VERSION}"
        )
    kinds = {"data": dict, "parameters": dict, "passes": int, "seed": int, "runs": list}
    for name, kind in kinds.items():
        if not isinstance(header.get(name), kind):
            raise ValueError(f"{name} is not a {kind.__name__}")


def _state(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> FitState:
    shape = header["parameters"]["n_clusters"], header["data"]["features"]
    runs = [_run(number, shape, entry, arrays) for number, entry in enumerate(header["runs"])]
    if not runs or header["passes"] < 1:
        raise ValueError("there is no run in it")
    return FitState(header["data"], tuple(runs), header["passes"], header["seed"])


def _run(
    number: int, shape: tuple[int, int], entry: dict[str, Any], arrays: dict[str, np.ndarray]
) -> RunState:
    if entry["number"] != number:
        raise ValueError("its runs are not numbered from 0")
    k, _ = shape
    history = tuple(_record(at, record) for at, record in enumerate(entry["history"], 1))
    run = new_run(number, _checked(arrays[f"{number}/centers"], np.float64, shape))
    anchors = []
    for at in range(entry["anchors"]):
        parts = [arrays[_anchor_name(number, at, name)] for name in Anchor._fields]
        shapes = [shape, shape, (k,)]
        anchors.append(
            Anchor(*(_checked(part, np.float64, s) for part, s in zip(parts, shapes, strict=True)))
        )
    return run._replace(
        latest=_latest(number, shape, arrays) if history else None,
        is_lloyd_step=bool(entry["plain"]),
        longest_leap=int(entry["longest_leap"]),
        lowest_inertia=_number(entry["lowest_inertia"]) if history else run.lowest_inertia,
        scatter_offset=_number(entry["scatter_offset"]),
        history=history,
        reason=None if entry["reason"] is None else StopReason[entry["reason"]],
        anchors=tuple(anchors),
    )


def _latest(number: int, shape: tuple[int, int], arrays: dict[str, np.ndarray]) -> LatestStep:
    parts, k = [arrays[f"{number}/{name}"] for name in Sums._fields], shape[0]
    weights = k if len(parts[-1]) else 0
    shapes = [shape, shape, (k,), (weights,), (weights,)]
    return LatestStep(
        _checked(arrays[f"{number}/assigned"], np.float64, shape),
        Sums(*(_checked(part, np.int64, s) for part, s in zip(parts, shapes, strict=True))),
        _checked(arrays[f"{number}/image"], np.float64, shape),
    )


def _record(iteration: int, values: list[Any]) -> IterationRecord:
    record = IterationRecord(*values)
    whole = (record.iteration, record.changed, record.examined, record.bytes_read)
    if record.iteration != iteration or not all(type(value) is int for value in whole):
        raise ValueError(f"record {iteration} of its history is not one")
    return record._replace(
        inertia=_number(record.inertia),
        center_shift=_number(record.center_shift),
        seconds=_number(record.seconds),
    )


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _checked(array: np.ndarray, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"an array is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("centers are not finite")
    return array
