"""How the data is cut into blocks and pieces: pure functions of shapes.

    |<---------------- block: what one task reads ---------------->|
    |<- piece ->|<- piece ->|...                                      what kernels take, one by one
    |c|c|c|c|c|c|c|c|c|c|c|c|...                                      storage chunks

Where a cut lies never changes a result, only how fast it comes and what it takes in memory, so
plans may depend on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

PIECE_BYTES = 16 * 2**20
"""What is read and handed over at once: large for a store, small beside a worker's memory."""

BLOCKS_PER_THREAD = 4
"""Tasks a thread has in a pass: enough that no thread idles long at its end, and no
more, since a task costs the distributed scheduler half a millisecond."""

MIN_BLOCK_BYTES = 2 * 2**20
"""Bytes of a store below which a block is not worth a task of its own."""

MAX_BLOCK_ROWS = 2**24
"""Rows of a block of a store at most: a task holds a label for each of them."""

SMALL = 200_000
"""Values below which one task is faster than several, where the work is not known."""

SMALL_WORK, MOVING_IN = 2**26, 32
"""Values, each times the centers that it is compared with, below which one thread has done a pass
before others have woken up: half a millisecond; and the centers that bringing a value into place
costs as much as."""

ROW_ALIGNMENT = 1024
"""Rows that blocks in memory are a multiple of, so that kernels seldom meet a partial tile."""


STRIP_VALUES = 1 << 18
"""Values that are mapped at a time, so that the copies of a piece stay in the cache."""

TILE_ROWS = 64
"""Rows that a kernel works on at once, as many as any instruction set has it take."""


class Plan(NamedTuple):
    """Blocks of a row-addressed source, and how it is read inside them."""

    bounds: list[tuple[int, int]]
    """First row, and row after the last, of every block."""
    read_rows: int
    """Rows that one read takes: whole storage chunks."""


def plan_blocks(
    n_rows: int,
    chunk_rows: int,
    row_bytes: int,
    threads: int,
    *,
    piece_bytes: int = PIECE_BYTES,
    max_block_rows: int | None = None,
) -> Plan:
    """Cut a regularly chunked store into blocks.

    Parameters
    ----------
    n_rows, chunk_rows : int
        Rows of the store and of one storage chunk (the last may be shorter).
    row_bytes : int
        Bytes of one row once decoded.
    threads : int
        Threads that a pass has.
    piece_bytes : int
        What a task may read at once; a single storage chunk is read whole even if it is larger.
    max_block_rows : int, optional
        Rows of a block at most, even where a storage chunk has more: several blocks then decode it.

    Returns
    -------
    Plan
        Blocks that cover every row once, in order, none empty. Each begins at a storage chunk,
        unless chunks have more than `max_block_rows`.
    """
    chunk_rows = max(1, min(chunk_rows, n_rows))
    if max_block_rows is not None and max_block_rows < chunk_rows:
        parts = -(-chunk_rows // max_block_rows)
        cuts = spread(chunk_rows, parts)[:-1]
        edges = [first + cut for first in range(0, n_rows, chunk_rows) for cut in cuts]
        return Plan(_pairs([*(edge for edge in edges if edge < n_rows), n_rows]), chunk_rows)

    n_chunks = -(-n_rows // chunk_rows)
    chunk_bytes = max(1, chunk_rows * row_bytes)
    wanted = max(1, min(BLOCKS_PER_THREAD * threads, n_rows * row_bytes // MIN_BLOCK_BYTES))
    # A read takes several chunks where these are small, but not so many that threads go without.
    chunks_per_read = max(1, min(piece_bytes // chunk_bytes, -(-n_chunks // wanted)))
    if max_block_rows is not None:
        chunks_per_read = min(chunks_per_read, max_block_rows // chunk_rows)
    read_rows = chunks_per_read * chunk_rows
    n_reads = -(-n_chunks // chunks_per_read)
    n_blocks = min(n_reads, wanted)
    if max_block_rows is not None:
        n_blocks = max(n_blocks, -(-n_reads // (max_block_rows // read_rows)))
    edges = [min(n_rows, edge * read_rows) for edge in spread(n_reads, n_blocks)]
    return Plan(_pairs(edges), read_rows)


def plan_in_memory(
    n_rows: int, n_features: int, threads: int, n_clusters: int | None = None
) -> list[tuple[int, int]]:
    """Cut an array in memory into blocks: one where it is small, else a few a thread.

    n_clusters : centers that each row is compared with; by default as many as make little of it
        worth a thread.
    """
    values = n_rows * n_features
    if n_clusters is None:
        small = values < SMALL
    else:
        small = values * (n_clusters + MOVING_IN) < SMALL_WORK
    if small or threads == 1:
        return [(0, n_rows)]
    n_blocks = max(1, min(BLOCKS_PER_THREAD * threads, values // (SMALL // 2)))
    if n_blocks > threads:  # as many for each: one with another one's share costs as much again
        n_blocks -= n_blocks % threads
    edges = [edge // ROW_ALIGNMENT * ROW_ALIGNMENT for edge in spread(n_rows, n_blocks)]
    edges[-1] = n_rows
    return _pairs(edges)


def group_chunks(
    sizes: Sequence[int], threads: int, *, group_bytes: int = PIECE_BYTES
) -> list[tuple[int, int]]:
    """Group neighbouring chunks of unequal sizes, all of which a task holds at once.

    Parameters
    ----------
    sizes : sequence of int
        Bytes of each chunk.
    threads : int
        Threads that a pass has: groups stay small enough to give each of them a few.
    group_bytes : int
        Bytes of a group at most, unless a single chunk has more.

    Returns
    -------
    list of (int, int)
        First chunk, and chunk after the last, of every group.
    """
    fair = -(-sum(sizes) // (BLOCKS_PER_THREAD * threads))
    return _grouped(sizes, min(group_bytes, max(fair, MIN_BLOCK_BYTES)))


def group_parts(
    sizes: Sequence[int], threads: int, *, max_group: int | None = None
) -> list[tuple[int, int]]:
    """Group neighbouring parts of unequal sizes, which a task reads one after the other.

    Parameters
    ----------
    sizes : sequence of int
        Bytes of each part.
    threads : int
        Threads that a pass has: each gets a few groups of about the same size.
    max_group : int, optional
        Bytes of a group at most, unless a single part has more.
    """
    fair = -(-sum(sizes) // (BLOCKS_PER_THREAD * threads))
    limit = max(fair, MIN_BLOCK_BYTES)
    return _grouped(sizes, limit if max_group is None else min(limit, max_group))


def group_unsized(number: int, threads: int) -> list[tuple[int, int]]:
    """Group neighbouring parts of which only the number is known."""
    return _pairs(spread(number, min(number, BLOCKS_PER_THREAD * threads)))


def _grouped(sizes: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Groups of neighbours of at most `limit` in all, unless one alone has more."""
    edges, held = [0], 0
    for number, size in enumerate(sizes):
        if number > edges[-1] and held + size > limit:
            edges.append(number)
            held = 0
        held += size
    return _pairs([*edges, len(sizes)])


def pieces(n_rows: int, row_bytes: int, piece_bytes: int = PIECE_BYTES) -> list[tuple[int, int]]:
    """Cut rows that are in memory into pieces of at most `piece_bytes` each."""
    return _pairs([*range(0, n_rows, piece_rows(row_bytes, piece_bytes)), n_rows])


def piece_rows(row_bytes: int, piece_bytes: int = PIECE_BYTES) -> int:
    """Rows of a piece: whole tiles of the kernels, many of them unless rows are very long."""
    rows = max(TILE_ROWS, piece_bytes // max(1, row_bytes))
    return rows - rows % (ROW_ALIGNMENT if rows > ROW_ALIGNMENT else TILE_ROWS)


def strip_rows(n_features: int) -> int:
    """Rows of a piece that are mapped at a time, by what rows go through before comparing."""
    return max(TILE_ROWS, STRIP_VALUES // n_features)


def spread(total: int, parts: int) -> list[int]:
    """Edges of `parts` nearly equal parts of `total`."""
    return [total * part // parts for part in range(parts + 1)]


def _pairs(edges: list[int]) -> list[tuple[int, int]]:
    return [(a, b) for a, b in pairwise(edges) if b > a]
