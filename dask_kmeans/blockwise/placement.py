"""Placement: which worker a block goes to."""

from __future__ import annotations

import heapq
import math
from collections import Counter


def balanced(where: dict[int, str], workers: dict[str, int], blocks: list[int]) -> dict[int, str]:
    """Where blocks go: to the worker that has their cache, except what a new worker takes over.

    Blocks without a place (a first pass, a lost worker) are left to Dask, which knows where
    persisted data lies. A worker with more than its share of the blocks gives the surplus to those
    that have the least to do.
    """
    if not workers:
        return {}
    share = len(blocks) / sum(workers.values())
    placed: dict[int, str] = {}
    load: Counter[str] = Counter()
    surplus = []
    for index in blocks:
        address = where.get(index)
        if address not in workers:
            continue
        # Rounded up: a pass takes as long as its busiest worker, and no less than that share.
        if load[address] < math.ceil(share * workers[address]):
            placed[index] = address
            load[address] += 1
        else:
            surplus.append(index)
    if surplus:
        idlest = [(load[address] / threads, address) for address, threads in workers.items()]
        heapq.heapify(idlest)
        for index in surplus:
            busy, placed[index] = idlest[0]
            heapq.heapreplace(idlest, (busy + 1 / workers[placed[index]], placed[index]))
    return placed


def turns(where: dict[int, str], workers: dict[str, int], blocks: list[int]) -> list[list[int]]:
    """Blocks whose results may lie in the workers at once, turn by turn: of each as many as it has
    threads.

    What waits to be fetched is Dask's, which writes it to disk where memory is short. What is in a
    cache is ours, and stays in memory.
    """
    everywhere = sum(workers.values())
    seen: Counter[str | None] = Counter()
    found: dict[int, list[int]] = {}
    for index in blocks:
        address = where.get(index)
        threads = everywhere if address is None else workers[address]
        found.setdefault(seen[address] // threads, []).append(index)
        seen[address] += 1
    return list(found.values())
