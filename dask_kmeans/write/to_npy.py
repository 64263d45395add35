"""Labels as a NumPy file."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from dask_kmeans.write.place import staged
from dask_kmeans.write.stream import in_order
from dask_kmeans.write.tally import Tally, labels_of


def write_npy(labels: Any, url: str, overwrite: bool) -> Tally:
    """One `.npy` file: the labels alone, in the order of the rows."""
    if getattr(labels, "chunks", None):
        # Whole rows of the first axis follow each other in the file.
        labels = labels.rechunk(dict.fromkeys(range(1, labels.ndim), -1))
    row_shape = tuple(labels.shape[1:])
    with staged(url, overwrite=overwrite) as path, open(path, "wb") as file:
        _write_header(file, (0, *row_shape))
        values_start, rows, tally = file.tell(), 0, Tally()
        for block in in_order(labels):
            tally.add(block)
            values = np.ascontiguousarray(labels_of(block), dtype="<i4")
            file.write(values.data)
            rows += len(values)
        # NumPy pads a header so that its first axis can grow: the true one fits over the empty one.
        file.seek(0)
        _write_header(file, (rows, *row_shape))
        assert file.tell() == values_start
    return tally


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<i4", "fortran_order": False, "shape": shape}
    )
