"""Rows of a Zarr array: many chunks in one read, and one by one where the store fails."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.read.retry import Part, retried


def read_rows(array: Any, name: str, start: int, stop: int) -> np.ndarray:
    """Rows start..stop of `array`.

    A read of many chunks fails whenever one of them does, and of a store that fails now and then
    one among many always does. So after a failure each chunk is read by itself, with as many tries
    as any: what came well is not asked for again, and what cannot be read is known by its name.

    Parameters
    ----------
    array : zarr.Array of shape (n_rows, ...)
    name : str
        What the user called it, for the error.
    start, stop : int

    Raises
    ------
    checks.ReadError
        Names the first chunk that cannot be read, and its rows.
    """
    try:
        return np.asarray(array[start:stop])
    except (checks.ReadError, MemoryError):
        raise
    except Exception:  # what stores and codecs raise; `retried` tells what may pass from the rest
        return _chunk_by_chunk(array, name, start, stop)


def _chunk_by_chunk(array: Any, name: str, start: int, stop: int) -> np.ndarray:
    shape, chunk = array.shape, array.shards or array.chunks
    out = np.empty((stop - start, *shape[1:]), array.dtype)
    rows = range(start // chunk[0], -(-stop // chunk[0]))
    others = [range(-(-size // step)) for size, step in zip(shape[1:], chunk[1:], strict=True)]
    for at in itertools.product(rows, *others):
        first, after = (min(number * chunk[0], shape[0]) for number in (at[0], at[0] + 1))
        there = (
            slice(max(first, start), min(after, stop)),
            *(slice(n * step, (n + 1) * step) for n, step in zip(at[1:], chunk[1:], strict=True)),
        )
        here = (slice(there[0].start - start, there[0].stop - start), *there[1:])
        part = Part(f"chunk {array.metadata.encode_chunk_key(at)}", first, after)
        out[here] = retried(partial(array.__getitem__, there), name, part)
    return out
