"""stdout and stderr as a command writes to them: nothing that is printed can fail a job.

A reader may have gone (`| head`), a stream may be closed (`2>&-`), the disk behind it may be full,
or its encoding may lack a letter. What cannot be printed is lost; what was computed is not.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import click


class ForgivingStream(io.TextIOBase):
    """A text stream that swallows what the one behind it cannot take.

    It has no `buffer`, so that nobody writes past it.
    """

    as_json = False
    """Whether what is said on it is JSON, an object a line (`--log-format json`)."""

    def __init__(self, behind: Any):
        self._behind = behind
        self.failure: OSError | ValueError | None = None
        """Why the stream behind takes nothing any more; None while it does."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._behind, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return self._behind.isatty() and not self.as_json

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


def set_json(wanted: bool) -> None:
    """Say what is no result in JSON from now on, or in lines for people."""
    stream: Any = sys.stderr
    stream.as_json = wanted


def as_json() -> bool:
    """Whether what is no result is said in JSON."""
    return getattr(sys.stderr, "as_json", False)


def json_line(message: str, level: str = "info", when: float | None = None, **fields: Any) -> str:
    """An object of the log, without what is secret in URLs; `when`: seconds since 1970."""
    from dask_kmeans.checks import shown_url

    moment = datetime.datetime.fromtimestamp(time.time() if when is None else when, datetime.UTC)
    told = {"time": moment.isoformat(timespec="milliseconds"), "level": level}
    return json.dumps(told | {"message": shown_url(message)} | fields)


class JsonLines(logging.Formatter):
    """Records of the log in JSON; the figures of an iteration are fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        figures = getattr(record, "figures", {})
        level = record.levelname.lower()
        return json_line(record.getMessage(), level, record.created, **figures)


def say(text: str, kind: str = "") -> None:
    """Print a line that is no result, without what is secret in URLs.

    kind : "", "warning", "error" or "internal error"
    """
    from dask_kmeans.checks import shown_url  # what they need is not needed for --help

    named = f"{kind}: {text}" if kind else text
    level = kind.rpartition(" ")[2] or "info"
    if as_json():
        line = json_line(text if kind == level else named, level)
    else:
        line = f"dask-kmeans: {shown_url(named)}"
    click.echo(line, err=True)


def say_foreign(text: str) -> None:
    """Print what others have worded of an error: lines of their own, or one object."""
    from dask_kmeans.checks import shown_url

    line = json_line(text.strip(), "error") if as_json() else shown_url(text).rstrip()
    click.echo(line, err=True)


def warn(message: Any) -> None:
    """Print a warning, spelled for the shell, in one line."""
    from dask_kmeans.checks import for_shell

    say(" ".join(for_shell(message).split()), "warning")


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
