"""How values are shown in messages, and at whose line warnings point."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

ESTIMATOR = "KMeans"


def given_text(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def sizes(shape: Sequence[int]) -> str:
    return str(tuple(int(size) if size == size else "nan" for size in shape)).replace("'", "")


def brief(chunks: Any) -> str:
    chunks = tuple(chunks)
    shown = ", ".join(map(str, chunks[:4]))
    return f"({shown}{', ...' if len(chunks) > 4 else ''}; {len(chunks)} in all)"


def listing(names: Iterable[Any], limit: int = 30) -> str:
    names = list(names)
    shown = ", ".join(map(repr, names[:limit])) or "none"
    return shown + (f", ... ({len(names)} in all)" if len(names) > limit else "")


def user_stack_level() -> int:
    """Stack level of the first frame outside this package: warnings show the user's line."""
    package = __name__.partition(".")[0]
    frame = inspect.currentframe()
    level = 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(package):
        level, frame = level + 1, frame.f_back
    return level
