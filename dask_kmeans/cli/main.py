"""A run of the command line: what ends it, in which words and with which exit code."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import click

from dask_kmeans.cli.codes import DONE, FAILED, WRONG_USAGE, Stopped
from dask_kmeans.cli.commands import command_line
from dask_kmeans.cli.streams import forgiving_streams, say, say_foreign, warn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line, then exit with one of the codes above, or 128 and a signal's number."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with forgiving_streams():
        code = _exit_code(arguments)
    sys.exit(code)


def _exit_code(arguments: list[str]) -> int:
    """Run the command line, and say what went wrong, if anything did."""
    try:
        with _signals_caught(), warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: warn(message)
            code = command_line.main(arguments, prog_name="dask-kmeans", standalone_mode=False)
            return code or DONE
    except click.UsageError as error:
        lines = io.StringIO()
        error.show(lines)
        say_foreign(lines.getvalue())
        return WRONG_USAGE
    except Stopped as stopped:
        name = signal.Signals(stopped.number).name
        say(f"stopped by {name}; no output was left half-written{stopped.kept}")
        return 128 + stopped.number
    except Exception as error:  # one clear line, whatever went wrong
        if "--debug" in arguments:
            say_foreign(traceback.format_exc())
        say(*_one_line(error))
        return FAILED


@contextlib.contextmanager
def _signals_caught() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise `Stopped`, so that outputs and clusters are cleaned up."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        # A second signal ends the process at once, should cleaning up take too long.
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _one_line(error: Exception) -> tuple[str, str]:
    """What is said of an error, and which kind of error it is."""
    from dask_kmeans.checks import Text, for_shell

    text = " ".join(for_shell(error).split()) or type(error).__name__
    ours = error.args and isinstance(error.args[0], Text)
    if ours or isinstance(error, OSError | ImportError | click.ClickException):
        return text, "error"
    # What this package did not see coming; the type is half the message.
    return f"{type(error).__name__}: {text} (see --debug)", "internal error"
