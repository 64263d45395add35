"""Pictures on their way to a file, whole or not at all, where there may be no screen."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from dask_kmeans.plot.canvas import off_screen, pyplot
from dask_kmeans.write.place import check_output, staged

DOTS = 150
"""Per inch, where a picture is made of dots."""

UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""What leaves the date out of a picture, by its format."""


def check_picture(url: str, *, overwrite: bool) -> None:
    """Raise where a picture can be neither drawn nor written to `url`."""
    pyplot()
    check_output(url, overwrite=overwrite)


def write_picture(draw: Callable[[Any], Any], url: str, *, overwrite: bool) -> None:
    """Write what `draw` draws on the axes that it is given; the ending of `url` is the format."""
    ax = off_screen()
    draw(ax)
    ending = os.path.splitext(url)[1].removeprefix(".").lower()
    # The same picture is the same bytes: no date, and no names drawn at random in .svg.
    with staged(url, overwrite=overwrite) as path, pyplot().rc_context({"svg.hashsalt": ending}):
        ax.figure.savefig(path, format=ending, dpi=DOTS, metadata=UNDATED.get(ending))
