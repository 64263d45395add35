"""How a fit tells what it is doing: a bar for people, lines for logs.

    Work -- looked at, a few times a second --> Gauge --> Standing --> ProgressBar, ProgressLog

The one who looks is a thread of its own, so that a fit waits for no terminal; and nothing is drawn
of a fit that is over before anybody could read it, but how it ended.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from dask_kmeans.blockwise import Done, Size, Work, listening
from dask_kmeans.kernels import compiling
from dask_kmeans.state import IterationRecord

logger = logging.getLogger("dask_kmeans")

LINES = logging.Formatter("%(asctime)s %(message)s")
"""How lines look where logging is not set up."""

FIRST_SECONDS = 0.5
"""Before the first look at a fit: until then nothing is set up."""

LOOK_SECONDS = 0.25
"""From one look to the next."""

RECENT_SECONDS = 10.0
"""The recent past, whose rate is expected to last; half of the time that the work has taken, if
that is longer."""

LOG_SECONDS = 10.0
"""Between two lines about the same piece of work."""


class Standing(NamedTuple):
    """How far a piece of work is."""

    name: str
    size: Size
    done: Done
    rate: float | None
    """Rows (or parts, where rows are not known) a second; None where that does not show yet."""
    seconds_left: float | None
    """Of this piece of work: nobody knows how many passes a fit has left."""

    @property
    def total(self) -> int:
        """Rows, or parts where rows are not known."""
        return self.size.parts if self.size.rows is None else self.size.rows

    @property
    def amount(self) -> int:
        """How many of them are done."""
        return self.done.parts if self.size.rows is None else self.done.rows

    def __str__(self) -> str:
        size, done = self.size, self.done
        if size.rows is None:
            told = [f"{done.parts} of {size.parts} {size.unit}"]
            if done.rows:
                told.append(f"{_short(done.rows)} rows")
        else:
            told = [f"{_short(done.rows)} of {_short(size.rows)} rows"]
        if done.bytes:
            of = f" of {_short(size.bytes)}B" if size.bytes else ""
            told.append(f"{_short(done.bytes)}B{of} read")
        if self.rate is not None:
            unit = f" {size.unit}" if size.rows is None else ""
            told.append(f"{_short(self.rate)}{unit}/s")
        if self.seconds_left is not None:
            told.insert(0, f"{tqdm.format_interval(self.seconds_left)} left")
        return ", ".join(told)


def _short(number: float) -> str:
    return tqdm.format_sizeof(number) if number >= 1000 else f"{number:.3g}"


class Gauge:
    """How far a piece of work is and how fast it goes, from looks at it."""

    def __init__(self, work: Work, now: float):
        self.work, self._began = work, now
        self._moves = deque([(now, 0)])
        """When the work was seen to have gone on, and how far it was then."""

    def look(self, now: float) -> Standing:
        """How far it is now."""
        work, moves = self.work, self._moves
        standing = Standing(work.name, work.size, work.done(), None, None)
        amount = standing.amount
        if amount < moves[-1][1]:  # a worker has been lost, and what it had done
            moves.clear()
        if not moves or amount > moves[-1][1]:
            if len(moves) == 1 and moves[0][1] == 0 and amount < standing.total:
                moves.clear()  # what there is to do before the first row is not done again
            moves.append((now, amount))
        recent = now - max(RECENT_SECONDS, (now - self._began) / 2)
        while len(moves) > 2 and moves[1][0] < recent:
            moves.popleft()
        (first, before), (last, _) = moves[0], moves[-1]
        if last == first:
            return standing
        if now - last > 2 * (last - first) / (len(moves) - 1):
            last = now  # it does not go on as before
        rate = (amount - before) / (last - first)
        left = max(0.0, (standing.total - amount) / rate - (now - last))
        return standing._replace(rate=rate, seconds_left=left)


class _Follower:
    """Hears of the work that begins in this context, and looks at it from a thread of its own."""

    def __init__(self) -> None:
        self._gauge: Gauge | None = None
        self._over = threading.Event()
        self._exits = contextlib.ExitStack()
        self._exits.enter_context(listening(self._hear))
        # What is shown in a notebook belongs to the cell whose context this is.
        look = contextvars.copy_context().run
        self._thread = threading.Thread(target=look, args=(self._look_often,), daemon=True)
        self._thread.start()

    def look(self, now: float) -> None:
        """Show how far the work is at this time (`time.monotonic`)."""
        raise NotImplementedError

    def _hear(self, work: Work) -> None:
        self._gauge = Gauge(work, time.monotonic())

    def _look_often(self) -> None:
        wait = FIRST_SECONDS
        while not self._over.wait(wait):
            self.look(time.monotonic())
            wait = LOOK_SECONDS

    def _stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()
        self._exits.close()


class ProgressBar(_Follower):
    """A callback that draws one bar, in a terminal or a notebook.

    It is that of the pass that is under way, and in the end of the whole fit. It shows what the log
    says between passes, too. A terminal that has gone does not end a fit: then nothing more is
    drawn.

    Parameters
    ----------
    max_iter : int, optional
        Iterations at most.
    """

    def __init__(self, max_iter: int | None = None):
        self._max_iter = max_iter
        self._bar: Any = None
        self._gone = False
        self._began = time.time()
        self._drawn: Work | None = None
        self._said: str | None = "starting"
        self._latest: IterationRecord | None = None
        # Nobody hears lines of this level where logging is not set up.
        self._raised = not logger.hasHandlers() and _raise_level()
        logger.addFilter(self._note)
        super().__init__()

    def __call__(self, record: IterationRecord) -> None:
        self._latest = record

    def look(self, now: float) -> None:
        """Draw it."""
        gauge = self._gauge
        standing = None if gauge is None else gauge.look(now)
        if standing is not None and standing.amount and gauge is not None and not gauge.work.ended:
            self._said = None
        stage = "compiling kernels, once" if compiling() else self._said
        texts = [] if standing is None else [str(standing)]
        if self._latest is not None:
            most = "" if self._max_iter is None else f" of at most {self._max_iter}"
            texts += [f"iteration {self._latest.iteration}{most}", *_figures(self._latest)]

        def draw(bar: Any) -> None:
            name = "" if standing is None else standing.name
            bar.set_description(f"k-means: {stage or name}", refresh=False)
            bar.set_postfix_str(", ".join(texts), refresh=False)
            if gauge is not None and standing is not None:
                if gauge.work is not self._drawn:
                    self._drawn = gauge.work
                    self._resize(bar, standing.total)
                bar.n = min(standing.amount, standing.total)
            bar.refresh()

        self._draw(draw)

    def finish(self, reason: str) -> None:
        """Fill the bar and say why the fit ended: in green, if it converged."""
        self._stop()
        reason = reason.partition(":")[0]
        self._draw(lambda bar: self._fill(bar, reason))

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._stop()
        logger.removeFilter(self._note)
        if self._raised:
            logger.setLevel(logging.NOTSET)
        if self._bar is not None:
            self._draw(lambda bar: bar.close())

    def _note(self, record: logging.LogRecord) -> bool:
        """Show a line of the log; it goes its way all the same."""
        self._said = record.getMessage()
        return True

    def _fill(self, bar: Any, reason: str) -> None:
        colour = "yellow" if reason.startswith("stopped") else "green"
        if _coloured(bar):
            bar.colour = colour
        texts = []
        if self._latest is not None:
            texts = [f"{self._latest.iteration} iterations", *_figures(self._latest)]
        bar.set_description(f"k-means: {reason}", refresh=False)
        bar.set_postfix_str(", ".join(texts), refresh=False)
        if self._latest is not None:
            self._resize(bar, self._latest.iteration)  # which draws it, with its texts
        bar.n = bar.total
        bar.refresh()

    def _resize(self, bar: Any, total: int) -> None:
        bar.reset(total=max(1, total))  # the one way to change the total that notebooks know of
        bar.start_t = self._began

    def _draw(self, action: Callable[[Any], object]) -> None:
        if self._gone or sys.stderr is None:
            return
        try:
            if self._bar is None:
                self._bar = tqdm(
                    total=1, bar_format="{l_bar}{bar}| {elapsed}{postfix}", **_width()
                )
            action(self._bar)
        except (OSError, ValueError):  # a closed file is a ValueError
            self._gone = True


class ProgressLog(_Follower):
    """A callback that writes to the logger `dask_kmeans`.

    A line an iteration, and one now and then about a pass that takes long. Where logging is not set
    up, lines go to stderr, with the time.
    """

    def __init__(self) -> None:
        self._handler: logging.Handler | None = None
        if not logger.hasHandlers():
            self._handler = logging.StreamHandler()
            self._handler.setFormatter(LINES)
            logger.addHandler(self._handler)
        self._raised = _raise_level()
        self._due = 0.0
        super().__init__()

    def __call__(self, record: IterationRecord) -> None:
        logger.info(
            "iteration %d: %d rows changed, inertia %.9g, centers moved by %.3g, %.3f s",
            record.iteration, record.changed, record.inertia, record.center_shift,
            record.seconds, extra={"figures": record._asdict()},
        )  # fmt: skip

    def look(self, now: float) -> None:
        """Write a line, if it is time for one."""
        gauge = self._gauge
        if gauge is None or gauge.work.ended:
            return
        standing = gauge.look(now)
        if now >= self._due:
            self._due = now + LOG_SECONDS
            logger.info("%s: %s", standing.name, standing)

    def _hear(self, work: Work) -> None:
        super()._hear(work)
        self._due = time.monotonic() + LOG_SECONDS

    def finish(self, reason: str) -> None:
        """Say why the fit ended."""
        self._stop()
        logger.info("%s", reason.partition(":")[0])

    def close(self) -> None:
        """Leave logging as it was."""
        self._stop()
        if self._handler is not None:
            logger.removeHandler(self._handler)
        if self._raised:
            logger.setLevel(logging.NOTSET)


def _figures(record: IterationRecord) -> list[str]:
    return [f"{record.changed} changed", f"inertia {record.inertia:.6g}"]


def _coloured(bar: Any) -> bool:
    """Whether a bar is shown where there are colours: in a notebook or on a terminal."""
    return hasattr(bar, "container") or sys.stderr.isatty()


def _width() -> dict[str, Any]:
    """How wide a bar is: as the terminal at any time; 80 columns on one that has not been told its
    size, such as that of a job or a container, where otherwise nothing would show."""
    with contextlib.suppress(OSError, ValueError):
        if os.get_terminal_size(sys.stderr.fileno()).columns == 0:
            return {"ncols": 80, "nrows": 24}
    return {"dynamic_ncols": True}


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
