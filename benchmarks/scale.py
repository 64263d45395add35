"""What a pass costs the driver and the scheduler: up to a million chunks, a thousand workers.

    python benchmarks/scale.py --output benchmarks/results/scale.json --readme benchmarks/SCALE.md

The scheduler is Dask's own, and so are the client and the graphs that a fit sends it. The workers
are simulated: they say at once that a task is done, so all that is measured is what stands between
two tasks. Scheduler and driver share this process and its interpreter lock: their times are added,
as they would be on a machine of one core. Rows are never read: of a Zarr array of so many chunks
only the metadata exists.

Not in it: what travels over a network (sizes are given), the time that workers take, and the
scheduler's reading of their answers from sockets.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pickle
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from common import cpu_name, markdown, versions, write_between_markers
from distributed import Client, LocalCluster
from distributed.core import Status
from distributed.protocol import dumps
from distributed.scheduler import Scheduler, WorkerState

from dask_kmeans import memory
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.kernels import FixedPoint, prepare
from dask_kmeans.read import as_points
from dask_kmeans.step.assign import Assigned, Outcome, Request, assign_block
from dask_kmeans.step.combine import merge_for

CHUNK_ROWS, FEATURES, CLUSTERS = 1000, 32, 32


class SimulatedWorkers:
    """Workers of a scheduler that are done as soon as they are asked."""

    def __init__(self, scheduler: Scheduler, number: int, threads: int):
        self.scheduler, self.asked = scheduler, deque[tuple[str, dict]]()
        self.seconds = {"transitions": 0.0, "messages": 0.0, "taking in": 0.0}
        self.tasks = self.message_bytes = 0
        self.where: dict[int, str] = {}
        self._running = False
        for name in range(number):
            address = f"tcp://10.{name >> 16}.{name >> 8 & 255}.{name & 255}:9000"
            worker = WorkerState(
                address=address, status=Status.running, pid=0, name=name, nthreads=threads,
                memory_limit=2**34, local_directory="", nanny=None, server_id=address,
                scheduler=scheduler,
            )  # fmt: skip
            worker.last_seen = time.time() + 1e6
            worker.metrics |= {
                "memory": 0, "managed_bytes": 0, "spilled_bytes": {"memory": 0, "disk": 0}
            }  # fmt: skip
            scheduler.workers[address] = worker
            scheduler.running.add(worker)
            scheduler.aliases[name] = address
            scheduler.total_nthreads += threads
            scheduler.total_memory += worker.memory_limit
            scheduler.stream_comms[address] = _Comm(self, address)
            scheduler.check_idle_saturated(worker)
        self._time_the_taking_in()

    def _time_the_taking_in(self) -> None:
        take_in = self.scheduler.update_graph

        async def timed(*args: Any, **kwargs: Any) -> None:
            start = time.perf_counter()
            await take_in(*args, **kwargs)
            self.seconds["taking in"] += time.perf_counter() - start

        self.scheduler.stream_handlers["update-graph"] = timed

    def ask(self, address: str, messages: tuple[dict, ...]) -> None:
        """What the scheduler sends to a worker; a TCP comm would turn it into bytes, too."""
        start = time.perf_counter()
        self.message_bytes += sum(len(frame) for frame in dumps(list(messages)))
        self.seconds["messages"] += time.perf_counter() - start
        self.asked.extend((address, m) for m in messages if m["op"] == "compute-task")
        if self.asked and not self._running:
            self._running = True
            self.scheduler.loop.add_callback(self._answer)

    def _answer(self) -> None:
        start, before = time.perf_counter(), self.seconds["messages"]
        for _ in range(min(100, len(self.asked))):  # then let others have the loop
            address, message = self.asked.popleft()
            key = message["key"]
            stem, _, index = key.rpartition("-")
            if stem.startswith("assign"):
                self.where[int(index)] = address
            self.tasks += 1
            self.scheduler.handle_task_finished(
                key=key, worker=address, stimulus_id=f"task-finished-{self.tasks}", status="OK",
                run_id=message["run_id"], nbytes=1000, typename="tuple", type=b"", metadata={},
                thread=1, startstops=({"action": "compute", "start": 0.0, "stop": 0.01},),
            )  # fmt: skip
        spent = time.perf_counter() - start - (self.seconds["messages"] - before)
        self.seconds["transitions"] += spent
        self._running = bool(self.asked)
        if self._running:
            self.scheduler.loop.add_callback(self._answer)


class _Comm:
    def __init__(self, workers: SimulatedWorkers, address: str):
        self._workers, self._address = workers, address

    def send(self, *messages: dict) -> None:
        self._workers.ask(self._address, messages)

    def closed(self) -> bool:
        """Whether it is: so that nobody closes it."""
        return True


class Driver(Client):
    """A client that measures what it sends, and makes up what no worker has computed."""

    result: Any = None
    graph_bytes = 0
    sent_at = 0.0

    def _send_to_scheduler(self, message: dict) -> None:
        if message["op"] == "update-graph" and len(message["keys"]) == 1:
            graph = message["expr_ser"]
            self.graph_bytes = len(graph.header) + sum(map(len, graph.frames))
            self.sent_at = time.perf_counter()
        super()._send_to_scheduler(message)

    async def _gather(self, futures: Any, *args: Any, **kwargs: Any) -> Any:
        return self.result(futures)


def lazy_rows(folder: str, chunks: int) -> zarr.Array:
    """A Zarr array of so many chunks, of which nothing is stored."""
    shape = chunks * CHUNK_ROWS, FEATURES
    return zarr.create_array(
        f"{folder}/{chunks}.zarr", shape=shape, chunks=(CHUNK_ROWS, FEATURES), dtype="float32"
    )


def partial_result(k: int, d: int) -> Assigned:
    """What one task of a pass hands on."""
    fixed_point = FixedPoint.from_range(np.zeros(d), np.ones(d), 10**9)
    return Assigned(0, (Outcome(fixed_point.zero_sums(k), 0, 0),))


def measure(folder: str, chunks: int, workers: int, threads: int, passes: int) -> dict[str, Any]:
    """Figures of one pass, the mean of a few after the first."""
    array = lazy_rows(folder, chunks)
    centers = np.random.default_rng(0).normal(size=(CLUSTERS, FEATURES))
    fixed_point = FixedPoint.from_range(np.zeros(FEATURES), np.ones(FEATURES), 10**9)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster,
        Driver(cluster) as client,
    ):

        async def simulated() -> SimulatedWorkers:
            return SimulatedWorkers(cluster.scheduler, workers, threads)

        crew = cluster.sync(simulated)
        start = time.perf_counter()
        points = as_points(array)
        planning = time.perf_counter() - start
        client.result = lambda futures: [(partial_result(CLUSTERS, FEATURES), dict(crew.where))]
        blockwise = Blockwise(points.blocks, in_memory=False)
        prepared, figures = prepare(centers), []
        for step in range(1, passes + 2):
            crew.seconds = dict.fromkeys(crew.seconds, 0.0)
            crew.tasks = crew.message_bytes = 0
            requests = [Request(0, step, prepared, None)]
            start = time.perf_counter()
            blockwise.run(assign_block, requests, fixed_point, merge=merge_for(requests))
            figures.append({
                "tasks": crew.tasks,
                "graph bytes": client.graph_bytes,
                "bytes to workers": crew.message_bytes,
                "building": client.sent_at - start,
                **crew.seconds,
                "whole pass": time.perf_counter() - start,
            })  # fmt: skip
        blockwise.close()
    mean = {name: float(np.mean([f[name] for f in figures[1:]])) for name in figures[0]}
    return {
        "chunks": chunks, "workers": workers, "threads": threads, "blocks": len(points.blocks),
        "planning": planning, **mean,
    }  # fmt: skip


def reduction(workers: int) -> list[dict[str, Any]]:
    """Bytes that travel to merging tasks in a pass: one partial result of each worker."""
    found = []
    for k, d in [(32, 32), (100, 100), (1000, 128), (10_000, 768)]:
        size = memory.sums_bytes(k, d)
        if size < 2**27:
            size = len(pickle.dumps(partial_result(k, d)))
        found.append({"k": k, "d": d, "partial result": size, "of a pass": size * workers})
    return found


def size_of(number: float) -> str:
    for unit, name in [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]:
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:.0f} B"


def seconds_of(number: float) -> str:
    return f"{number:.3g} s" if number >= 1 else f"{number * 1000:.3g} ms"


def tables(report: dict[str, Any]) -> str:
    """What is measured, and the bytes that follow from it."""
    rows = []
    for m in report["passes"]:
        on_scheduler = m["taking in"] + m["transitions"] + m["messages"]
        rows.append([
            f"{m['chunks']:_}".replace("_", " "), str(m["workers"]),
            str(m["workers"] * m["threads"]), f"{m['tasks']:.0f}", size_of(m["graph bytes"]),
            seconds_of(m["planning"]), seconds_of(m["building"]), seconds_of(m["taking in"]),
            seconds_of(m["transitions"] + m["messages"]),
            seconds_of(on_scheduler / m["tasks"]), seconds_of(m["whole pass"]),
        ])  # fmt: skip
    header = ["chunks", "workers", "threads", "tasks", "graph", "planning, once", "building",
              "taking in", "running", "scheduler, a task", "a pass"]  # fmt: skip
    tree = [
        [f"k={r['k']}, d={r['d']}", size_of(r["partial result"]), size_of(r["of a pass"])]
        for r in report["reduction"]
    ]
    workers = max(m["workers"] for m in report["passes"])
    return "\n".join([
        markdown(header, rows),
        "",
        markdown(["sums", "one partial result", f"{workers} of them, a pass"], tree),
        "",
        f"{report['cpu']}, {report['versions']}, {report['date']}; made by `benchmarks/scale.py`.",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, nargs="+", default=[1000, 30_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--threads", type=int, default=4, help="of each worker")
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--from", dest="source", type=Path, help="measure nothing: read this file")
    parser.add_argument("--readme", type=Path, help="write the tables between this file's markers")
    options = parser.parse_args()
    if options.source:
        report = json.loads(options.source.read_text())
    else:
        cases = [(chunks, max(options.workers)) for chunks in options.chunks]
        cases += [(max(options.chunks), workers) for workers in options.workers[:-1]]
        with tempfile.TemporaryDirectory() as folder:
            measured = []
            for number, (chunks, workers) in enumerate(cases):
                sub = f"{folder}/{number}"
                found = measure(sub, chunks, workers, options.threads, options.passes)
                print(found, flush=True)
                measured.append(found)
        report = {
            "date": datetime.date.today().isoformat(),
            "cpu": cpu_name(),
            "versions": versions("dask-kmeans", "distributed", "dask", "zarr"),
            "passes": measured,
            "reduction": reduction(max(m["workers"] for m in measured)),
        }
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(tables(report))
    if options.readme:
        write_between_markers(options.readme, "scale tables", tables(report))


if __name__ == "__main__":
    main()
