"""A file system whose reads are slow or fail, as told; each process has to be told."""

from __future__ import annotations

import time
from collections import Counter

import fsspec
from fsspec.implementations.local import LocalFileSystem

from dask_kmeans.read import retry

PROTOCOL = "faulty"


class FaultyFileSystem(LocalFileSystem):
    """Local files at `faulty:///path`, which count as far away."""

    protocol = PROTOCOL
    cachable = False
    failures = 0
    """How often the first reads of each file fail."""
    only = ""
    """What names of files that fail contain."""
    latency = 0.0
    """Seconds that each read takes longer."""
    asked: Counter[str] = Counter()  # noqa: RUF012
    """Reads of each file so far."""

    def _open(self, path, mode="rb", **options):
        self._meet(path, mode)
        return super()._open(path, mode, **options)

    def cat_file(self, path, start=None, end=None, **options):
        with self.open(path) as file:  # so that reads of whole files are met as well
            file.seek(start or 0)
            return file.read() if end is None else file.read(end - (start or 0))

    @classmethod
    def _meet(cls, path, mode):
        if "r" not in mode:
            return
        time.sleep(cls.latency)
        cls.asked[str(path)] += 1
        if cls.only in str(path) and cls.asked[str(path)] <= cls.failures:
            raise OSError(5, "the network is down")


def arrange(client=None, *, failures=0, only="", latency=0.0):
    """Have reads of files fail from now on, here and on the workers of a client.

    The pauses before new tries are cut short.
    """

    def tell():
        fsspec.register_implementation(PROTOCOL, FaultyFileSystem, clobber=True)
        FaultyFileSystem.failures, FaultyFileSystem.only = failures, only
        FaultyFileSystem.latency, FaultyFileSystem.asked = latency, Counter()
        retry.PAUSES = (0.01,) * len(retry.PAUSES)

    tell()
    if client is not None:
        client.run(tell)


def reads(client=None):
    """How often files that may fail were read, here and on the workers."""
    here = sum(FaultyFileSystem.asked.values())
    return here + (0 if client is None else sum(client.run(reads).values()))
