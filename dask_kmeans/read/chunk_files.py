"""Local Zarr chunks, each read from its file straight into the array that the kernels take.

zarr itself decodes a chunk into memory of its own, allocates the slice that was asked for and
copies the one into the other; it does so by an event loop in a thread of its own. Of 4 000 000 x 32
float32 in chunks of 32 MB that is a third of the time for zstd, half of it for blosc, and most of
it where nothing is compressed. Here a chunk is decoded where it is used; one that is not compressed
is read little by little, so that rows are still in the processor's cache when they are compared.

Only for arrays of which that is the whole story: on a local disk, chunks of whole rows in C order
and in this machine's byte order, compressed by zstd or blosc or not at all. Whatever else there is,
and whatever goes wrong, is left to zarr.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np

from dask_kmeans.read.retry import Part, retried

BLOSC_HEADER = 16
"""Bytes: versions, flags, item size, and the sizes of the chunk decoded, of a block, encoded."""

READ_BYTES = 2 * 2**20
"""Read at once of a chunk that is not compressed: what stays in the cache of one core."""


@dataclass(frozen=True)
class ChunkFiles:
    """The chunks of an array (n_rows, n_columns), as files."""

    array: Any
    folder: Path
    codec: str | None
    """A name in `DECODED_BYTES`; None where nothing is compressed."""

    @classmethod
    def of(cls, array: Any) -> ChunkFiles | None:
        """The files of a Zarr array; None where reading them takes more than is done here."""
        from zarr.storage import LocalStore

        if type(array.store) is not LocalStore or array.shards is not None:
            return None
        if array.chunks[1] != array.shape[1] or not array.dtype.isnative:
            return None
        try:
            codec = _codec(array.metadata)
        except _NotDone:
            return None
        return cls(array, Path(array.store.root) / array.path, codec)

    def cuts(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Rows start..stop, in what is best read at once: chunks, or part of a large plain one."""
        height, n_columns = self.array.chunks
        rows = max(1, READ_BYTES // (n_columns * self.array.dtype.itemsize))
        if rows >= height:
            rows -= rows % height
        elif self.codec is not None:
            rows = height
        while start < stop:
            first = start - start % height
            after = min(stop, start + rows if rows < height else first + rows)
            if rows < height:
                after = min(after, first + height)
            yield start, after
            start = after

    def read(self, start: int, values: np.ndarray) -> Iterator[tuple[int, int]]:
        """Read rows from `start` on into `values` (m, n_columns), whole and in C order.

        Yields the rows (first, after) of each chunk that could not be read here: they are left to
        zarr, which knows what is wrong, or what the fill value is of a chunk that is not there.
        """
        height, stop = self.array.chunks[0], start + len(values)
        for number in range(start // height, -(-stop // height)):
            first, after = max(start, number * height), min(stop, (number + 1) * height)
            try:
                self._read(number, first - number * height, values[first - start : after - start])
            except Exception:  # codecs raise what they like
                yield first, after

    def require_whole(self, row: int, name: str) -> None:
        """Raise `checks.ReadError` where a row's chunk is shorter than it says that it is.

        zarr would hand out whatever blosc makes of it. name : the array's, for the error.
        """
        if self.codec == "blosc":
            height = self.array.chunks[0]
            number = row // height
            key = self.array.metadata.encode_chunk_key((number, 0))
            last = min(self.array.shape[0], (number + 1) * height)
            part = Part(f"chunk {key}", number * height, last)
            retried(partial(_require_whole, self.folder / key), name, part)

    def _read(self, number: int, start: int, values: np.ndarray) -> None:
        chunk_rows, n_columns = self.array.chunks
        path = self.folder / self.array.metadata.encode_chunk_key((number, 0))
        with open(path, "rb", buffering=0) as file:
            if self.codec is None:
                file.seek(start * values.strides[0])
                if file.readinto(values.data.cast("B")) != values.nbytes:
                    raise EOFError
                return
            content = file.readall()
        all_of_it = len(values) == chunk_rows
        whole = values if all_of_it else np.empty((chunk_rows, n_columns), values.dtype)
        # Decoders are content with a chunk that is too short, and leave the rest as it was.
        if DECODED_BYTES[self.codec](content) != whole.nbytes:
            raise EOFError
        numcodecs.get_codec({"id": self.codec}).decode(content, whole)
        if not all_of_it:
            values[:] = whole[start : start + len(values)]


def _zstd_bytes(content: bytes) -> int:
    """Decoded size in the header of a frame (RFC 8878, 3.1.1.1); -1 where it is not said."""
    descriptor = content[4]
    single, which = descriptor >> 5 & 1, descriptor >> 6
    width = (single, 2, 4, 8)[which]
    begin = 6 - single + (0, 1, 2, 4)[descriptor & 3]
    size = int.from_bytes(content[begin : begin + width], "little")
    return -1 if width == 0 else size + 256 * (width == 2)


def _blosc_bytes(content: bytes) -> int:
    """Decoded size in the header of a blosc chunk; -1 where it is not as long as it says."""
    if len(content) < BLOSC_HEADER:
        return -1
    decoded, _, encoded = struct.unpack_from("<III", content, 4)
    return decoded if encoded == len(content) else -1


def _require_whole(path: Path) -> None:
    if path.exists():  # else it holds the fill value
        content = path.read_bytes()
        if _blosc_bytes(content) < 0:
            raise EOFError(f"it has {len(content)} bytes, which are not as many as it says")


DECODED_BYTES: dict[str, Callable[[bytes], int]] = {"zstd": _zstd_bytes, "blosc": _blosc_bytes}


class _NotDone(Exception):
    """Such chunks are left to zarr."""


def _codec(metadata: Any) -> str | None:
    """What compresses the chunks, by its name."""
    from zarr.codecs import BloscCodec, BytesCodec, ZstdCodec

    if sys.byteorder != "little":
        raise _NotDone
    if metadata.zarr_format == 2:
        name = getattr(metadata.compressor, "codec_id", None)
        done = metadata.order == "C" and not metadata.filters
        compressed = metadata.compressor is not None
    else:
        first, *others = metadata.codecs
        names = {ZstdCodec: "zstd", BloscCodec: "blosc"}
        name = names.get(type(others[0])) if len(others) == 1 else None
        done = isinstance(first, BytesCodec) and "big" not in str(first.endian)
        compressed = bool(others)
    if not done or (compressed and name not in DECODED_BYTES):
        raise _NotDone
    return name
