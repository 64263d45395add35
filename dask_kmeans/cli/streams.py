"""stdout and stderr as a command writes to them: nothing that is printed can fail a job.

A reader may have gone (`| head`), a stream may be closed (`2>&-`), the disk behind it may be full,
or its encoding may lack a letter. What cannot be printed is lost; what was computed is not.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

import click


class ForgivingStream(io.TextIOBase):
    """A text stream that swallows what the one behind it cannot take.

    It has no `buffer`, so that nobody writes past it.
    """

    def __init__(self, behind: Any):
        self._behind = behind
        self.failure: OSError | ValueError | None = None
        """Why the stream behind takes nothing any more; None while it does."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._behind, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return self._behind.isatty()

    def fileno(self) -> int:
        return self._behind.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        shown = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        self._try(lambda: self._behind.write(shown))
        return len(text)

    def flush(self) -> None:
        self._try(self._behind.flush)

    def _try(self, action: Any) -> None:
        if self.failure is None:
            try:
                action()
            except (OSError, ValueError) as error:  # a closed file is a ValueError
                self.failure = error

    def drop(self) -> None:
        """Send what the stream behind still holds to nowhere, lest the end of the process fail."""
        self.flush()
        if self.failure is not None:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._behind.fileno())
                os.close(nowhere)


@contextlib.contextmanager
def forgiving_streams() -> Iterator[None]:
    """Let nothing that is printed in the block raise."""
    _fill_closed()
    before = sys.stdout, sys.stderr
    # Python has None for a stream that was closed.
    behind = [stream or open(os.devnull, "w") for stream in before]  # noqa: SIM115
    streams = [ForgivingStream(stream) for stream in behind]
    sys.stdout, sys.stderr = streams
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in streams:
            stream.drop()


def _fill_closed() -> None:
    """Open what is closed of the first three descriptors: else the next file would be one of them,
    and whatever is printed would end in it."""
    while (lowest := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(lowest, True)
    os.close(lowest)


def say(text: str) -> None:
    """Print a line that is no result, without what is secret in URLs."""
    from dask_kmeans.checks import shown_url  # what they need is not needed for --help

    click.echo(f"dask-kmeans: {shown_url(text)}", err=True)


def warn(message: Any) -> None:
    """Print a warning, spelled for the shell, in one line."""
    from dask_kmeans.checks import for_shell

    say(f"warning: {' '.join(for_shell(message).split())}")


def hand_over(text: str) -> None:
    """Print a result that was asked for.

    Raises
    ------
    OSError
        If it does not get there, unless whoever reads it has gone.
    """
    click.echo(text, nl=False)  # which flushes
    failure = getattr(sys.stdout, "failure", None)
    if isinstance(failure, OSError) and not isinstance(failure, BrokenPipeError):
        from dask_kmeans.checks import stdout_error

        raise stdout_error(failure)
