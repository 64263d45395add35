"""Reads that fail: tried again where that can help, then an error that names what is broken."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import NamedTuple, TypeVar

from dask_kmeans import checks

PAUSES = (0.1, 0.4, 1.6)
"""Seconds before each new try: long enough for a busy server, short beside a fit."""

PATIENCE = 20
"""Seconds after which a try that failed is not made again: the driver of the store has waited and
tried often enough by then."""

PERMANENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)

OWN = (checks.ReadError, checks.InvalidFileError, checks.RaggedError, checks.CategoryError)
"""What was read is not what it has to be, and has been named."""

T = TypeVar("T")


class Part(NamedTuple):
    """What is read, for the error."""

    name: str
    """Which chunk, file or row group."""
    start: int | None = None
    """Its first row, and the row after its last, where they are known."""
    stop: int | None = None


def retried(read: Callable[[], T], source: str, part: Part | Callable[[], Part]) -> T:
    """`read()`, tried again after a failure that may pass.

    Stores raise what their drivers and codecs raise (OSError, RuntimeError, ValueError, ...) for a
    dropped connection as well as for a corrupt chunk, so every error but those that cannot pass is
    worth another try.

    Parameters
    ----------
    read : callable
    source : str
        The path, for the error.
    part : Part or callable
        A callable is asked only once reading has failed for good.

    Raises
    ------
    checks.ReadError
        When no try succeeded.
    """
    for pause in (*PAUSES, None):
        begun = monotonic()
        try:
            return read()
        except (*OWN, MemoryError):
            raise
        except Exception as error:
            slow = monotonic() - begun > PATIENCE
            if pause is None or slow or isinstance(error, PERMANENT):
                broken = part() if callable(part) else part
                raise checks.unreadable_error(source, *broken, error) from checks.as_cause(error)
        sleep(pause)
    raise AssertionError("unreachable: the last try returns or raises")
