"""Paths and URLs: what lies there, through fsspec."""

from __future__ import annotations

import os
import re
from typing import Any

from dask_kmeans import checks
from dask_kmeans.read.retry import Part, retried

ZARR_MARKERS = ("zarr.json", ".zarray", ".zgroup")


HDF5 = re.compile(r"(?P<file>.+\.(h5|hdf5|he5))(::(?P<dataset>.+))?", re.IGNORECASE)
"""The name of an HDF5 file, perhaps with that of a dataset in it."""


def is_hdf5(url: str) -> bool:
    """Whether a path or URL is that of an HDF5 file or of a dataset in one."""
    return HDF5.fullmatch(url) is not None


class Place:
    """A path or URL and the file system that it is in.

    Raises
    ------
    ValueError
        For a scheme that fsspec does not know.
    ImportError
        Where the driver of a known scheme is not installed.
    """

    def __init__(self, url: str | os.PathLike):
        from fsspec.core import url_to_fs
        from fsspec.utils import get_protocol

        self.url = os.fspath(url)
        if not self.url:
            raise checks.missing_path_error("an empty path")
        scheme = get_protocol(self.url)
        try:
            self.fs, self.path = url_to_fs(self.url)
        except ImportError as error:
            raise checks.missing_driver_error(self.url, scheme, error) from error
        except ValueError as error:
            raise checks.unknown_scheme_error(self.url, scheme) from error

    @property
    def is_local(self) -> bool:
        return is_local(self.fs)

    def is_zarr(self) -> bool:
        """Whether a Zarr array or group is here."""
        if without_query(self.path) != self.path:  # the link of one object
            return False
        if self.path.endswith(".zip"):
            return self.is_local and self.is_file()
        return any(self.fs.isfile(f"{self.path.rstrip('/')}/{marker}") for marker in ZARR_MARKERS)

    def is_file(self) -> bool:
        return retried(lambda: self.fs.isfile(self.path), self.url, Part("its directory entry"))


def without_query(path: str) -> str:
    """A path as its ending tells what it is: that of a link is before its `?signature=...`."""
    before, _, query = path.partition("?")
    return before if "://" in before and "=" in query else path


def is_local(fs: Any) -> bool:
    """Whether paths of this file system can be opened without it."""
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return "file" in protocols


def is_local_store(store: Any) -> bool:
    """Whether reading a Zarr store waits for no network."""
    from zarr.storage import LocalStore, MemoryStore, ZipStore

    return isinstance(store, (LocalStore, MemoryStore, ZipStore))


def full_name(fs: Any, path: str) -> str:
    """A path of a file system as the user would write it."""
    return path if is_local(fs) else fs.unstrip_protocol(path)
