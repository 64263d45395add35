"""Where an output goes, so that it is there whole or not at all.

Locally an output is written beside its place, under a hidden name, and moved in place when it is
complete. An object store has no move: there an output lies under its own name from the start, an
object `NAME.incomplete` beside it, and what makes it readable (a `zarr.json`, a `_SUCCESS`) comes
last.

An output that exists is replaced only when asked, and a folder only if this package wrote it.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from dask_kmeans import checks
from dask_kmeans.read.url import Place

if TYPE_CHECKING:
    from zarr.abc.store import Store

INCOMPLETE = ".incomplete"
"""What the name of the object ends in that lies beside a remote folder while that is written."""

ZARR_MARKER, FOLDER_MARKER = "zarr.json", "_SUCCESS"
"""What makes a Zarr node, or a folder of Parquet parts, complete."""

SIGNATURE = "dask_kmeans"
"""Attribute of our Zarr nodes and content of our `_SUCCESS`: the sign that we may replace them."""

REMOVALS = 20
"""Attempts to remove a folder."""

LABELS_ATTRIBUTES: dict[str, Any] = {SIGNATURE: "labels"}


class Output(Place):
    """A local path or a remote URL that an output goes to."""

    @property
    def incomplete(self) -> str:
        return self.path.rstrip("/") + INCOMPLETE

    def inside(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes:
        """A small file in this folder; empty where there is none."""
        try:
            return self.fs.cat_file(self.inside(name))
        except (FileNotFoundError, NotADirectoryError):
            return b""

    def size(self, name: str) -> int:
        """Bytes of a file in this folder; 0 where there is none."""
        path = self.inside(name)
        return self.fs.size(path) if self.fs.isfile(path) else 0

    def exists(self) -> bool:
        """Whether something is there; an empty folder and an incomplete output are nothing."""
        self.fs.invalidate_cache()
        if not self.fs.exists(self.path) or self.fs.exists(self.incomplete):
            return False
        return self.fs.isfile(self.path) or bool(self.fs.ls(self.path, detail=False))

    def ours(self) -> bool:
        """Whether the folder here was written by this package."""
        if self.read(FOLDER_MARKER).startswith(SIGNATURE.encode()):
            return True
        try:
            return SIGNATURE in json.loads(self.read(ZARR_MARKER) or b"{}")["attributes"]
        except (ValueError, KeyError, TypeError):
            return False


def check_output(url: str | os.PathLike, *, overwrite: bool = False) -> Output:
    """The place `url`, where an output may be written.

    Raises
    ------
    FileExistsError
        If something is there and `overwrite` is False, or a folder that is not ours.
    FileNotFoundError
        If the folder that it would go to does not exist.
    """
    place = Output(url)
    if place.is_local and not Path(place.path).parent.is_dir():
        parent = Path(place.path).parent
        raise checks.missing_folder_error(place.url, str(parent))
    if place.exists():
        if not overwrite:
            raise checks.existing_output_error(place.url)
        if not place.fs.isfile(place.path) and not place.ours():
            raise checks.foreign_folder_error(place.url)
    return place


@contextlib.contextmanager
def staged(url: str | os.PathLike, *, overwrite: bool = False) -> Iterator[str]:
    """A local path to write a file or a folder to; it comes to `url` when the block ends well."""
    place = check_output(url, overwrite=overwrite)
    if place.is_local:
        with _beside(place) as path:
            yield path
        return
    with _scratch() as folder:
        path = os.path.join(folder, Path(place.path).name)
        yield path
        if os.path.isfile(path):
            if not place.fs.isfile(place.path):
                _remove_tree(place)
            place.fs.put_file(path, place.path)
        else:
            with _emptied(place):
                _upload_folder(Path(path), place)


@contextlib.contextmanager
def filled(url: str | os.PathLike, *, overwrite: bool = False) -> Iterator[Output]:
    """A folder that many processes may fill; it stands at `url` when the block ends well."""
    place = check_output(url, overwrite=overwrite)
    if place.is_local:
        with _beside(place) as path:
            os.mkdir(path)
            yield Output(path)
    else:
        with _emptied(place):
            yield place


@contextlib.contextmanager
def parts_beside(url: str | os.PathLike) -> Iterator[Output]:
    """A folder that many processes may fill on the way to `url`, beside it; removed in the end.

    Enter it after `staged` or `filled`, which remove what earlier runs left there.
    """
    place = Output(url)
    if place.is_local:
        target = Path(place.path)
        folder = target.with_name(f".{target.name}.{socket.gethostname()}-{os.getpid()}.parts")
        folder.mkdir()
        try:
            yield Output(folder)
        finally:
            _remove(folder)
        return
    parts = Output(f"{place.url.rstrip('/')}.parts")
    _remove_tree(parts)
    try:
        yield parts
    finally:
        _remove_tree(parts)


@contextlib.contextmanager
def marker_last(place: Output, name: str) -> Iterator[None]:
    """Keep the file `name` out of the folder until the block has ended well."""
    content = place.fs.cat_file(place.inside(name))
    place.fs.rm_file(place.inside(name))
    yield
    place.fs.pipe_file(place.inside(name), content)


def zarr_store(place: Output, *, read_only: bool = False) -> Store:
    """The place as a Zarr store."""
    from zarr.storage import FsspecStore, LocalStore

    if place.is_local:
        return LocalStore(place.path, read_only=read_only)
    return FsspecStore.from_url(place.url, read_only=read_only)


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    """A temporary folder; those of processes that were killed are removed."""
    prefix = f"dask-kmeans-{socket.gethostname()}-"
    for leftover, writer in _leftovers(Path(tempfile.gettempdir()), prefix):
        if not psutil.pid_exists(writer):
            _remove(leftover)
    with tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}.") as folder:
        yield folder


@contextlib.contextmanager
def _beside(place: Output) -> Iterator[str]:
    """A hidden path beside a local place, moved there when the block ends well, else removed."""
    target = Path(place.path)
    # The name tells who is writing, so that a later run can remove what a killed one left.
    prefix = f".{target.name}.{socket.gethostname()}-"
    for leftover, writer in _leftovers(target.parent, prefix):
        if writer == os.getpid() or not psutil.pid_exists(writer):
            _remove(leftover)
    path = target.with_name(f"{prefix}{os.getpid()}.partial")
    try:
        yield str(path)
        _move(path, target)
    finally:
        _remove(path)


def _leftovers(folder: Path, prefix: str) -> Iterator[tuple[Path, int]]:
    """What processes of this machine wrote, or write, under such names, and their numbers."""
    for path in list(folder.glob(f"{glob.escape(prefix)}*")):
        writer = path.name.removeprefix(prefix).partition(".")[0]
        if writer.isdigit():
            yield path, int(writer)


def _move(path: Path, target: Path) -> None:
    if target.is_dir():
        # A folder cannot be replaced in one step: the old one steps aside for an instant.
        old = path.with_suffix(".old")
        os.replace(target, old)
        os.replace(path, target)
        _remove(old)
    else:
        if path.is_dir() and target.is_file():
            target.unlink()
        os.replace(path, target)


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for _ in range(REMOVALS):  # tasks that still run after another one failed may write on a little
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.05)


@contextlib.contextmanager
def _emptied(place: Output) -> Iterator[None]:
    """A remote folder marked incomplete and emptied; removed again if the block fails."""
    fs = place.fs
    fs.pipe_file(place.incomplete, b"being written by dask_kmeans\n")
    for marker in (ZARR_MARKER, FOLDER_MARKER):  # at once, so that nobody reads half of the old one
        if fs.exists(place.inside(marker)):
            fs.rm_file(place.inside(marker))
    _remove_tree(place)
    try:
        yield
    except BaseException:
        _remove_tree(place)
        raise
    finally:
        fs.rm_file(place.incomplete)
        fs.invalidate_cache()


def _remove_tree(place: Output) -> None:
    place.fs.invalidate_cache()
    if place.fs.exists(place.path):
        place.fs.rm(place.path, recursive=True)


def _upload_folder(folder: Path, place: Output) -> None:
    """Copy a finished local folder to its remote place, the file that makes it valid last."""
    marker = folder / ZARR_MARKER
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file != marker:
            place.fs.put_file(str(file), place.inside(file.relative_to(folder).as_posix()))
    place.fs.put_file(str(marker), place.inside(ZARR_MARKER))
