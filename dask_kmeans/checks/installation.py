"""What is said of compiled code: that it is being made, and that it has no usual place."""

from __future__ import annotations

_HOW_LONG = "5 to 20 s"


def compiling_text() -> str:
    """For the first time that something is compiled."""
    return f"compiling kernels for this machine, once ({_HOW_LONG})"


def no_usual_place_text(folder: str | None) -> str:
    """For an installation and a home that cannot be written; `folder` has the code, if any does."""
    kept = (
        f"so every process compiles them anew ({_HOW_LONG})"
        if folder is None
        else f"so they are kept among the temporary files, in {folder}"
    )
    return (
        "compiled kernels can be kept neither beside the package nor in the home of this user, "
        f"{kept}. To keep them elsewhere, set the environment variable NUMBA_CACHE_DIR to a folder "
        "that can be written, and lasts, before the program starts"
    )
