"""Where a command's tasks run: in this process, in workers started for it, or on a cluster."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
from dask.system import CPU_COUNT

from dask_kmeans import checks

OWN_CLUSTER = {
    "logging.distributed": "critical",
    "distributed.deploy.lost-worker-timeout": "1 d",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
}
"""Settings of a cluster that is started here.

An error of ours is one line; what Dask's own processes log about it would bury it. And as long
after a worker's death, a local cluster (Dask 2026.8) parts for good with one that is just being
started again, as when it died a second time: let nobody be parted with. Looking what workers are at
a hundred times a second, and whether they are alive fifty times, takes 7 % of what two workers get
done on two cores.
"""


@contextlib.contextmanager
def tasks_on(
    scheduler: str | None = None,
    scheduler_file: str | None = None,
    workers: int | None = None,
    threads: int | None = None,
    memory_limit: int | None = None,
) -> Iterator[Any]:
    """Run Dask's tasks there until the block ends.

    Yields
    ------
    distributed.Client or None
        None for threads of this process.
    """
    if scheduler_file is not None:
        scheduler = _address_in(scheduler_file)
    if scheduler is None and workers is None:
        settings: dict[str, Any] = {"scheduler": "threads"}
        if threads is not None:
            settings["num_workers"] = threads
        with dask.config.set(settings):
            yield None
        return
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(OWN_CLUSTER))
        address: Any = scheduler
        if address is None:
            address = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=threads or max(1, CPU_COUNT // (workers or 1)),
                    processes=True,
                    memory_limit="auto" if memory_limit is None else memory_limit,
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
                )
            )
        client = stack.enter_context(Client(address))
        if scheduler is None:
            client.register_plugin(_deaf_to_interrupts(), name="dask-kmeans-interrupts")
        yield client


def _address_in(file: str) -> str:
    """The address that a scheduler has left in its file; for want of one Dask would wait for it."""
    try:
        return json.loads(Path(file).read_text())["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise checks.scheduler_file_error(file, error) from error


def _deaf_to_interrupts() -> Any:
    """A plugin of workers that Ctrl-C, which a terminal sends to them too, shall not reach.

    They end, without a word, when this process closes their cluster.
    """
    from distributed import WorkerPlugin

    class Deaf(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return Deaf()


def peak_memory(client: Any) -> dict[str, Any]:
    """Most resident bytes of this process, and of each worker; None where the system keeps none."""
    workers = {} if client is None else client.run(peak_resident_bytes)
    return {"this_process": peak_resident_bytes(), "workers": list(workers.values())}


def peak_resident_bytes() -> int | None:
    """Most memory that this process has had resident, in bytes, where Linux tells it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
