"""How the kernels are compiled, and where compiled code is kept for the next process.

numba keeps it beside the source, or in the user's folder for caches, or where NUMBA_CACHE_DIR says.
Where none of these can be written, a folder of the user's own among the temporary files serves, and
where there is none either, every process compiles for itself.

numba takes a function from its cache for as long as the *file* of the function is the same. But a
kernel is made from several files, so all kernels are kept in a folder that is named after the
content of them all.
"""

import contextlib
import functools
import gc
import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core import event

from dask_kmeans import checks

logger = logging.getLogger("dask_kmeans")

ENOUGH = 2**23
"""Bytes that the compiled code of some dtypes of rows needs: a fit of one leaves about 2**21."""


def _probe() -> None:
    """Do nothing: where numba would keep this function is where it keeps any of this folder."""


def _place_of_numba() -> str | None:
    """The folder that numba can write to and has chosen for functions of this folder."""
    try:
        return numba.njit(cache=True)(_probe).stats.cache_path
    except RuntimeError:  # "no locator available"
        return None


@contextlib.contextmanager
def _place_set(folder: str | None) -> Iterator[None]:
    """Let numba keep in `folder` what is defined in this context; leave others' functions alone."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = folder or before
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def private_folder() -> str | None:
    """A folder among the temporary files that this user alone can write to; None if there is none.

    What lies in it is run, so a folder that somebody else has made, or can write to, will not do.
    """
    user = os.getuid() if hasattr(os, "getuid") else None  # elsewhere temporary files are private
    try:
        folder = os.path.join(tempfile.gettempdir(), f"dask-kmeans-{user}")
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        found = os.lstat(folder)
    except OSError:
        return None
    own = found.st_uid == user and stat.S_IMODE(found.st_mode) & 0o077 == 0
    return folder if stat.S_ISDIR(found.st_mode) and (own or user is None) else None


def _digest() -> str:
    """A digest of all files that kernels are made from."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _places() -> Iterator[str | None]:
    """Folders for compiled code: that which numba would take, then one of the temporary files."""
    yield _place_of_numba()
    private = private_folder()
    if private is not None:
        with _place_set(private):
            yield _place_of_numba()


def is_filled(folder: str) -> bool:
    """Whether there is compiled code in a folder."""
    return next(Path(folder).rglob("*.nbi"), None) is not None


def _takes_code(folder: str) -> bool:
    """Whether compiled code is in a folder, or would fit: a disk or a quota may be full."""
    if is_filled(folder):
        return True
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ENOUGH))
    except OSError:
        return False
    return True


def _find_place() -> tuple[str | None, bool]:
    """The folder for compiled code, None for no folder, and whether it is the usual one."""
    digest = _digest()
    for usual, place in zip((True, False), _places(), strict=False):
        folder = None if place is None else os.path.join(place, digest)
        if folder is not None and _takes_code(folder):
            return folder, usual
    return None, False


PLACE, USUAL = _find_place()


_COMMON: dict[str, Any] = {"nogil": True, "no_cfunc_wrapper": True}
"""Options of all compiled functions. None is called from C, and an entry for C takes time to
compile, as one for Python does."""

_INTERNAL = {**_COMMON, "no_cpython_wrapper": True}
"""Those of functions that Python does not call either."""


def compiled(function: Callable | None = None, **options: Any) -> Any:
    """Compile a function without the GIL, for each types of arguments with which it is called.

    For functions that Python calls; `internal` is for those that only compiled ones call.

    options : those of `numba.njit`, beside its cache.
    """
    if function is None:
        return functools.partial(compiled, **options)
    with _place_set(PLACE):
        return numba.njit(cache=PLACE is not None, **_COMMON, **options)(function)


def internal(function: Callable | None = None, **options: Any) -> Any:
    """Compile a function that only compiled functions call, as a part of their code.

    It has no entry for Python, so a process in which Python calls it crashes.
    """
    if function is None:
        return functools.partial(internal, **options)
    return numba.njit(**_INTERNAL, **options)(function)


inlined: Any = numba.njit(inline="always")
"""Compile a function as part of those that call it: by itself it would cost a first fit 0.1 s."""


@functools.cache
def say_compiling() -> None:
    """Say, once a process, that kernels are being compiled, and if they have no usual place."""
    if not USUAL:
        logger.warning(checks.no_usual_place_text(PLACE))
    logger.info(checks.compiling_text())


def say_if_not_compiled() -> None:
    """Say so if this machine has no compiled kernels yet.

    For a fit whose tasks run elsewhere: what other processes compile is not heard of in this one.
    """
    if PLACE is None or not is_filled(PLACE):
        say_compiling()


def compiling() -> bool:
    """Whether a kernel is being compiled in this process now."""
    return bool(_listener.collecting)


class _Listener(event.Listener):
    """Hears when numba begins to compile, and ends: nothing that was kept serves.

    In between no garbage is collected. Python would search all objects of numba for it again and
    again, which takes a sixth of the time of compiling.
    """

    def __init__(self) -> None:
        self.collecting: list[bool] = []
        """Whether garbage was collected before, for each function that is being compiled: one may
        be compiled for another. All are of one thread, which holds numba's lock."""

    def on_start(self, event: event.Event) -> None:
        if _is_kernel(event):
            say_compiling()
            self.collecting.append(gc.isenabled())
            gc.disable()

    def on_end(self, event: event.Event) -> None:
        if _is_kernel(event) and self.collecting.pop():
            gc.enable()


def _is_kernel(event: event.Event) -> bool:
    """Whether an event is about a function of this package."""
    return event.data["dispatcher"].py_func.__module__.startswith(__package__)


_listener = _Listener()
event.register("numba:compile", _listener)
