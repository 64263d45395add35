"""Labels as a column of a Parquet or CSV table."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from dask_kmeans.blockwise import computing
from dask_kmeans.write.place import FOLDER_MARKER, SIGNATURE, filled, staged
from dask_kmeans.write.stream import in_order, lazy_blocks
from dask_kmeans.write.tally import Tally, labels_of, tally_of

COLUMN = "label"

CSV_ROWS = 1 << 20
"""Rows turned into text at a time."""


def write_parquet(labels: Any, url: str, overwrite: bool) -> Tally:
    """A Parquet file; of lazy labels a folder with a part for each block."""
    if not dask.is_dask_collection(labels):
        with staged(url, overwrite=overwrite) as path:
            pq.write_table(_table(labels), path)
        return tally_of(labels)
    with filled(url, overwrite=overwrite) as place:
        write_part = dask.delayed(_write_part, pure=False)
        blocks = lazy_blocks(labels)
        digits = max(5, len(str(len(blocks))))  # so that names sort as the blocks do
        parts = [f"part-{number:0{digits}}.parquet" for number in range(len(blocks))]
        with computing():
            written = dask.compute(
                *(
                    write_part(block, f"{place.url.rstrip('/')}/{part}")
                    for block, part in zip(blocks, parts, strict=True)
                )
            )
        place.fs.pipe_file(place.inside(FOLDER_MARKER), f"{SIGNATURE} labels\n".encode())
    tally = Tally()
    for of_part in written:
        tally.merge(of_part)
    return tally


def write_csv(labels: Any, url: str, overwrite: bool) -> Tally:
    """One CSV file with a header."""
    with staged(url, overwrite=overwrite) as path, open(path, "w", newline="") as file:
        tally, header = Tally(), True
        for block in in_order(labels):
            tally.add(block)
            for first in range(0, len(block), CSV_ROWS):
                rows = _frame(block[first : first + CSV_ROWS])
                rows.to_csv(file, header=header, index=False, lineterminator="\n")
                header = False
    return tally


def _write_part(block: Any, url: str) -> Tally:
    """The task that writes one part, on whatever worker has the block."""
    fs, path = url_to_fs(url)
    with fs.open(path, "wb") as file:
        pq.write_table(_table(block), file)
    return tally_of(block)


def _table(labels: np.ndarray | pd.Series) -> pa.Table:
    return pa.Table.from_pandas(_frame(labels), preserve_index=False)


def _frame(labels: np.ndarray | pd.Series) -> pd.DataFrame:
    """The column of labels, after the index that the caller's rows have, if they have any."""
    if not isinstance(labels, pd.Series):
        return pd.DataFrame({COLUMN: np.asarray(labels_of(labels), dtype=np.int32)})
    frame = labels.astype(np.int32).to_frame(COLUMN)
    names = ["index" if name is None else str(name) for name in frame.index.names]
    return frame.rename_axis(names).reset_index()
