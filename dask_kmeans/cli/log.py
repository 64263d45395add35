"""What a command says while it works: on stderr, so that stdout holds results alone."""

from __future__ import annotations

import logging
import sys

from tqdm import tqdm

from dask_kmeans.checks import shown_url
from dask_kmeans.progress import ProgressBar, ProgressLog

logger = logging.getLogger("dask_kmeans")


class _Echo(logging.Handler):
    """Lines on stderr, above a bar that is drawn there."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(shown_url(self.format(record)), file=sys.stderr)


def start_log(quiet: bool) -> None:
    """Send the package's log to stderr."""
    logger.handlers = [_Echo()]
    logger.propagate = False
    logger.setLevel(logging.WARNING if quiet else logging.INFO)


def progress(quiet: bool, max_iter: int) -> ProgressBar | ProgressLog:
    """What follows the iterations of a fit: a bar on a terminal, lines elsewhere."""
    return ProgressBar(max_iter) if sys.stderr.isatty() and not quiet else ProgressLog()
