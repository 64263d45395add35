"""What the benchmarks share: the machine in words, work in processes of its own, tables."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


def cpu_name() -> str:
    """The processor as the operating system calls it, with the widest vectors that it has."""
    name, flags = platform.processor() or platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = dict(
            (part.strip() for part in line.split(":", 1))
            for line in info.read_text().split("\n\n")[0].splitlines()
            if ":" in line
        )
        name, flags = fields.get("model name", name), fields.get("flags", "")
    widest = next((v for v in ("avx512f", "avx2", "sse4_2", "asimd") if v in flags.split()), "")
    return f"{name} ({widest})" if widest else name


def versions(*distributions: str) -> dict[str, str]:
    """Installed versions of the distributions that there are."""
    found = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def in_own_process(
    script: Path,
    arguments: Sequence[str],
    *,
    python: str = sys.executable,
    environment: dict[str, str] | None = None,
    timeout: float,
) -> dict[str, Any]:
    """Run `script` and read the JSON object that is the last line it prints.

    Returns
    -------
    dict
        That object; {"error": its last line of complaint} where it failed or took too long.
    """
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    try:
        done = subprocess.run(
            [python, str(script), *arguments],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                **(environment or {}),
            },
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no result within {timeout:.0f} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"error": lines[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table: first column to the left, the others to the right."""
    rule = [":--", *("--:" for _ in header[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def write_between_markers(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->` in a file."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = path.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{path} has no {begin} ... {end} to write between")
    path.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}")
