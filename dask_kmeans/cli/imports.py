"""How a command imports what its work needs: in as little time as Python allows."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Import in this block without searching for garbage, and never search what was imported.

    Modules live as long as the process. Searching their objects again and again takes a quarter of
    the time of a small fit.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
