"""Jobs on workers that are watched, and commands of the shell that run there.

The workers are those that `dask-kmeans fit --workers` starts, but their cluster is watched from
here: commands are told its address.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import REPOSITORY

TROUBLES = ("spilled_bytes", "spills", "pauses", "lost_workers")
"""What workers with enough memory never have."""


class Watch:
    """Asks the scheduler, again and again, how much of the workers' data lies on disk."""

    def __init__(self, client: Any, every: float = 0.5):
        self.most_spilled, self.most_resident = 0, 0
        self._client, self._every = client, every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(self._every):
            for worker in self._client.scheduler_info(n_workers=-1)["workers"].values():
                metrics = worker["metrics"]
                self.most_spilled = max(self.most_spilled, metrics["spilled_bytes"]["disk"])
                self.most_resident = max(self.most_resident, metrics["memory"])

    def troubles(self) -> dict[str, int]:
        """What befell the workers, as they and the scheduler noted it."""
        client = self._client
        addresses = list(client.scheduler_info(n_workers=-1)["workers"])
        pauses = sum(
            event["action"] == "worker-status-change" and event["status"] == "paused"
            for address in addresses
            for _, event in client.get_events(address)
        )
        lost = sum(event.get("action") == "remove-worker" for _, event in client.get_events("all"))
        spills = sum(client.run(times_spilled).values())
        return dict(zip(TROUBLES, (self.most_spilled, spills, pauses, lost), strict=True))


def times_spilled(dask_worker: Any) -> int:
    """Values that this worker ever wrote to disk for want of memory."""
    return int(dask_worker.data.cumulative_metrics["disk-write", "count"])


@contextlib.contextmanager
def watched_workers(workers: int, memory_limit: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Worker processes of so many bytes each.

    Yields
    ------
    client : distributed.Client
        The active one: `client.scheduler.address` is for commands.
    report : dict
        Filled when the block ends: peaks of the workers, and their troubles.
    """
    from dask_kmeans.cli.cluster import peak_memory, tasks_on

    report: dict[str, Any] = {"workers": workers, "memory_limit": memory_limit}
    with tasks_on(workers=workers, memory_limit=memory_limit) as client:
        client.wait_for_workers(workers)
        report["threads"] = sum(client.nthreads().values()) // workers
        report["idle_workers"] = peak_memory(client)["workers"]
        with Watch(client) as watch:
            yield client, report
        peak = peak_memory(client)
        report |= {"peak_workers": peak["workers"], "peak_driver": peak["this_process"]}
        report |= {"most_resident": watch.most_resident, **watch.troubles()}


def complaints(report: dict[str, Any]) -> list[str]:
    """What is wrong with the workers of a job; nothing, it is hoped."""
    wrong = [
        f"{what}: {report[what]}, where there must be none" for what in TROUBLES if report[what]
    ]
    limit = report["memory_limit"]
    return wrong + [
        f"a worker took {peak / 1e6:.0f} MB, with a limit of {limit / 1e6:.0f} MB"
        for peak in report["peak_workers"]
        if peak > limit
    ]


def told(report: dict[str, Any]) -> list[str]:
    """Cells of a table: the workers, the peak of one, the share of its limit, their troubles."""
    peak, limit = max(report["peak_workers"]), report["memory_limit"]
    troubles = [max(report["spills"], report["spilled_bytes"]), *(report[t] for t in TROUBLES[2:])]
    return [
        f"{report['workers']} x {limit / 1e6:.0f} MB",
        f"{peak / 1e6:.0f} MB", f"{peak / limit:.0%}", ", ".join(map(str, troubles)),
    ]  # fmt: skip


TOLD = ("workers", "peak of a worker", "of its limit", "spills, pauses, lost workers")
"""What `told` tells."""


def command(*arguments: str, timeout: float) -> dict[str, Any]:
    """Run `dask-kmeans` with these arguments, and a report of its own.

    Returns
    -------
    dict
        The report, and as `wall` the seconds from the shell to the end.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "dask_kmeans", *arguments, "--report", str(path)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip
        wall = time.perf_counter() - start
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["no word"]
            raise SystemExit(f"{arguments[0]} ended with {done.returncode}: {said[-1]}")
        print(f"{arguments[0]}: {wall:.0f} s", file=sys.stderr, flush=True)
        return {**json.loads(path.read_text()), "wall": wall}


def folder_bytes(path: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
