"""What a fit shows on a terminal: how soon, how often, how right the time left is, what it costs.

    python benchmarks/terminal.py --folder /somewhere/with/12GB
    python benchmarks/terminal.py --folder ... --gigabytes 0.6     # does it run at all?

`dask-kmeans fit` of a Zarr store (that of `bounded_memory.py`) on a terminal of its own; all that
it writes is kept with its time. Told are the seconds from the start of the process to the first
word, the longest silence from then on, and of each pass of five seconds or more, from a third of
its rows on, how far the time left was from the truth: the share of readings within 25 % and a
second, which is what it is rounded to. What it costs is the processor time of a fit that shows it
over that of one with `--quiet`, the least of some, in turns.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pty
import re
import shutil
import sys
import termios
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bounded_memory import write_store
from common import REPOSITORY, cpu_name, markdown, versions

LEAST_SECONDS, FROM, WITHIN, ROUNDED = 5.0, 1 / 3, 0.25, 1.0

DRAWN = re.compile(
    r"k-means: (?P<name>[^|]*?):? +(?P<percent>\d+)%\|.*?(?P<left>(?:\d+:)?\d+:\d+) left, "
)
"""A bar with the time that is left of a pass."""


class Shown(NamedTuple):
    """What a process wrote on its terminal."""

    texts: list[tuple[float, str]]
    """Seconds since its start, and what came then."""
    seconds: float
    cpu: float


def on_a_terminal(arguments: list[str]) -> Shown:
    """Run `dask-kmeans` on a terminal of 240 columns."""
    command = [sys.executable, "-m", "dask_kmeans", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm"}
    start = time.perf_counter()
    process, terminal = pty.fork()
    if process == 0:
        os.execve(sys.executable, command, environment)
    termios.tcsetwinsize(terminal, (50, 240))
    texts = []
    while True:
        try:
            some = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        texts.append((time.perf_counter() - start, some.decode(errors="replace")))
    _, status, used = os.wait4(process, 0)
    os.close(terminal)
    if status:
        raise SystemExit("".join(text for _, text in texts)[-2000:])
    return Shown(texts, time.perf_counter() - start, used.ru_utime + used.ru_stime)


def seconds_of(clock: str) -> int:
    """`1:02:03` or `02:03`."""
    total = 0
    for part in clock.split(":"):
        total = 60 * total + int(part)
    return total


def readings(shown: Shown) -> dict[str, list[tuple[float, float, int]]]:
    """(seconds since the start, share done, seconds left) by the name of the pass."""
    found: dict[str, list[tuple[float, float, int]]] = {}
    for at, text in shown.texts:
        for drawn in text.split("\r"):
            bar = DRAWN.search(drawn)
            if bar:
                name = bar["name"].strip()
                found.setdefault(name, []).append(
                    (at, int(bar["percent"]) / 100, seconds_of(bar["left"]))
                )
    return found


def judged(shown: Shown) -> dict[str, Any]:
    """How soon and how often something was shown, and how right the time left was."""
    times = np.array([at for at, _ in shown.texts])
    passes = readings(shown)
    ends = {}
    for name, of_pass in passes.items():
        last = of_pass[-1][0]
        after = [at for at, text in shown.texts if at > last and f"k-means: {name}" not in text]
        ends[name] = min(after, default=shown.seconds)
    right = judgements = 0
    for name, of_pass in passes.items():
        if ends[name] - of_pass[0][0] < LEAST_SECONDS:
            continue
        for at, share, left in of_pass:
            if share >= FROM:
                truth = ends[name] - at
                judgements += 1
                right += abs(left - truth) <= WITHIN * truth + ROUNDED
    return {
        "first": float(times[0]),
        "silence": float(np.diff(times, append=shown.seconds).max()),
        "passes_judged": sum(ends[n] - p[0][0] >= LEAST_SECONDS for n, p in passes.items()),
        "readings": judgements,
        "right": right / judgements if judgements else None,
        "seconds": shown.seconds,
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Write, run shown and quiet in turns, remove."""
    source, model = options.folder / "points.zarr", options.folder / "model.zarr"
    write_store(source, options.gigabytes, options.features, 2)
    arguments = [
        "fit", str(source), "--n-clusters", str(options.clusters), "--model", str(model),
        "--max-iter", str(options.max_iter), "--tol", "0", "--overwrite",
    ]  # fmt: skip
    try:
        on_a_terminal([*arguments, "--quiet", "--max-iter", "1"])  # compiles, and fills the caches
        shown, quiet = [], []
        for _ in range(options.repeats):
            shown.append(on_a_terminal(arguments))
            quiet.append(on_a_terminal([*arguments, "--quiet"]).cpu)
            print(shown[-1].cpu, quiet[-1], judged(shown[-1]), file=sys.stderr, flush=True)
        if options.screen:
            options.screen.write_text(json.dumps(shown[0].texts, indent=0))
    finally:
        shutil.rmtree(model, ignore_errors=True)
        if not options.keep:
            shutil.rmtree(source)
    return {
        **judged(shown[0]),
        "gigabytes": options.gigabytes,
        "cpu_shown": min(each.cpu for each in shown),
        "cpu_quiet": min(quiet),
        "date": datetime.date.today().isoformat(),
        "cpu": cpu_name(),
        "versions": versions("dask-kmeans", "dask", "zarr", "tqdm"),
    }


def table(report: dict[str, Any]) -> str:
    """One line."""
    header = ["fit on a terminal", "time", "first word", "longest silence", "time left is right",
              "processor time over that of --quiet"]  # fmt: skip
    right = "-"
    if report["readings"]:
        right = f"{report['right']:.0%} of {report['readings']} readings"
        right += f" in {report['passes_judged']} passes"
    more = report["cpu_shown"] / report["cpu_quiet"] - 1
    line = [
        f"{report['gigabytes']:g} GB", f"{report['seconds']:.0f} s", f"{report['first']:.2f} s",
        f"{report['silence']:.2f} s", right,
        f"{more:+.1%} of {report['cpu_quiet']:.0f} s",
    ]  # fmt: skip
    return "\n".join([
        markdown(header, [line]), "",
        f"{report['cpu']}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(report["versions"].items()))
        + f", {report['date']}.",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the store goes for a while")
    parser.add_argument("--gigabytes", type=float, default=12.0)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--max-iter", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="fits of each kind")
    parser.add_argument("--screen", type=Path, help="write what was shown, and when, here (JSON)")
    parser.add_argument("--keep", action="store_true", help="leave the store, for another run")
    parser.add_argument("--output", type=Path, help="write the measurements here, as JSON")
    parser.add_argument("--from", dest="report", type=Path, help="measure nothing: read this file")
    options = parser.parse_args()
    if options.report:
        report = json.loads(options.report.read_text())
    elif options.folder is None:
        parser.error("--folder or --from is needed")
    else:
        report = measure(options)
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))


if __name__ == "__main__":
    main()
