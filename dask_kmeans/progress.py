"""How a fit tells what it is doing: a bar for people, lines for logs."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tqdm.auto import tqdm

from dask_kmeans.state import IterationRecord

logger = logging.getLogger("dask_kmeans")


class ProgressBar(logging.Filter):
    """A callback that draws one bar over the iterations, in a terminal or a notebook.

    It shows what the log says before the first iteration, too. A terminal that has gone does not
    end a fit: then nothing more is drawn.
    """

    def __init__(self, max_iter: int):
        super().__init__()
        self._bar: Any = _new_bar(max_iter)
        # Nobody hears lines of this level where logging is not set up.
        self._raised = not logger.hasHandlers() and _raise_level()
        self._describe("starting")
        logger.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Show a line of the log; it goes its way all the same."""
        self._describe(record.getMessage())
        return True

    def __call__(self, record: IterationRecord) -> None:
        values = {"changed": record.changed, "inertia": f"{record.inertia:.6g}"}

        def draw(bar: Any) -> None:
            bar.set_description("k-means", refresh=False)
            bar.set_postfix(values, refresh=False)
            bar.update()

        self._draw(draw)

    def finish(self, reason: str) -> None:
        """Fill the bar, whose iterations were enough, and say why the fit ended."""
        self._draw(_fill)
        self._describe(reason.partition(":")[0])

    def close(self) -> None:
        """Leave the bar as it stands."""
        logger.removeFilter(self)
        if self._raised:
            logger.setLevel(logging.NOTSET)
        self._draw(lambda bar: bar.close())

    def _describe(self, stage: str) -> None:
        self._draw(lambda bar: bar.set_description(f"k-means: {stage}"))

    def _draw(self, action: Callable[[Any], object]) -> None:
        if self._bar is not None:
            try:
                action(self._bar)
            except (OSError, ValueError):  # a closed file is a ValueError
                self._bar = None


def _new_bar(max_iter: int) -> Any:
    """A bar on stderr or in a notebook; None where there is nothing to draw on."""
    if sys.stderr is None:
        return None
    try:
        return tqdm(total=max_iter, unit="iteration", desc="k-means")
    except (OSError, ValueError):
        return None


def _fill(bar: Any) -> None:
    done, started = bar.n, bar.start_t
    bar.reset(total=done)  # the one way to change the total that notebooks know of
    bar.start_t = started
    bar.update(done)


class ProgressLog:
    """A callback that writes one line an iteration to the logger `dask_kmeans`.

    Where logging is not set up, lines go to stderr, with the time.
    """

    def __init__(self) -> None:
        self._handler: logging.Handler | None = None
        if not logger.hasHandlers():
            self._handler = logging.StreamHandler()
            self._handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            logger.addHandler(self._handler)
        self._raised = _raise_level()

    def __call__(self, record: IterationRecord) -> None:
        logger.info(
            "iteration %d: %d rows changed, inertia %.9g, centers moved by %.3g, %.3f s",
            record.iteration, record.changed, record.inertia, record.center_shift,
            record.seconds,
        )  # fmt: skip

    def finish(self, reason: str) -> None:
        """Say why the fit ended."""
        logger.info("%s", reason.partition(":")[0])

    def close(self) -> None:
        """Leave logging as it was."""
        if self._handler is not None:
            logger.removeHandler(self._handler)
        if self._raised:
            logger.setLevel(logging.NOTSET)


def _raise_level() -> bool:
    """Let the logger take lines of this package, unless somebody has set its level."""
    if logger.level != logging.NOTSET:
        return False
    logger.setLevel(logging.INFO)
    return True


@contextlib.contextmanager
def told(verbose: int, max_iter: int) -> Iterator[list[ProgressBar | ProgressLog]]:
    """What `verbose` asks for, closed at the end of a fit however it ends."""
    own: list[ProgressBar | ProgressLog] = []
    if verbose == 1:
        own.append(ProgressBar(max_iter))
    elif verbose > 1:
        own.append(ProgressLog())
    try:
        yield own
    finally:
        for each in own:
            each.close()
