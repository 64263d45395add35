"""What a command says while it works: on stderr, so that stdout holds results alone."""

from __future__ import annotations

import logging
import sys

import click

logger = logging.getLogger("dask_kmeans")


class _Echo(logging.Handler):
    """Lines through click, which knows whether stderr takes them."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def verbosity(quiet: bool) -> int:
    """Set up the log; return `KMeans(verbose=)`: a bar on a terminal, lines elsewhere."""
    logger.handlers = [_Echo()]
    logger.propagate = False
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    if quiet:
        return 0
    return 1 if sys.stderr.isatty() else 2
