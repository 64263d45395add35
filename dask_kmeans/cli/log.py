"""What a command says while it works: on stderr, so that stdout holds results alone."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator

from tqdm import tqdm

from dask_kmeans.checks import shown_url
from dask_kmeans.cli.streams import JsonLines, as_json
from dask_kmeans.progress import LINES, ProgressBar, ProgressLog

logger = logging.getLogger("dask_kmeans")


PATIENCE = 1.0
"""Seconds from the first line on in which lines that may wait do so, until another one comes: a
command that fails on its first look at the data says why, and nothing else."""


class _Echo(logging.Handler):
    """Lines on stderr, above a bar that is drawn there."""

    def __init__(self) -> None:
        super().__init__()
        if not sys.stderr.isatty():  # lines in a file outlast the job
            self.setFormatter(LINES)
        self._held: list[str] = []
        self._patient_until: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self._held.append(shown_url(self.format(record)))
        if self._patient_until is None:
            self._patient_until = time.monotonic() + PATIENCE
        if not getattr(record, "may_wait", False) or time.monotonic() >= self._patient_until:
            self.say()

    def say(self) -> None:
        """Say what is held back."""
        held, self._held = self._held, []
        for line in held:
            tqdm.write(line, file=sys.stderr)


@contextlib.contextmanager
def log_of(quiet: bool) -> Iterator[None]:
    """Send the package's log to stderr while a command runs."""
    echo, before = _Echo(), (logger.handlers, logger.propagate, logger.level)
    logger.handlers = [echo]
    if as_json():
        echo.setFormatter(JsonLines())
    logger.propagate = False
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
        echo.say()
    finally:
        logger.handlers, logger.propagate = before[:2]
        logger.setLevel(before[2])


def progress(quiet: bool, max_iter: int | None = None) -> ProgressBar | ProgressLog:
    """What follows a fit, or work without iterations: a bar on a terminal, lines elsewhere."""
    return ProgressBar(max_iter) if sys.stderr.isatty() and not quiet else ProgressLog()
