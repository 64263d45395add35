"""Paths and URLs: what lies there, through fsspec."""

from __future__ import annotations

import os
from typing import Any

from dask.utils import natural_sort_key

from dask_kmeans import checks
from dask_kmeans.read.retry import Part, retried

PARQUET = (".parquet", ".pq", ".parq")
CSV = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz")
NPY = (".npy",)
ZARR_MARKERS = ("zarr.json", ".zarray", ".zgroup")


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
        if self.path.endswith(".zip"):
            return self.is_local and self.is_file()
        return any(self.fs.isfile(f"{self.path.rstrip('/')}/{marker}") for marker in ZARR_MARKERS)

    def is_file(self) -> bool:
        return retried(lambda: self.fs.isfile(self.path), self.url, Part("its directory entry"))

    def files(self) -> list[str]:
        """The file here, those the glob matches or those in the folder, at any depth.

        In natural order (part 2 before part 10), without hidden ones and markers (`_SUCCESS`).
        """
        if self.is_file():
            return [self.path]
        if any(character in self.path for character in "*?["):
            found = retried(lambda: self.fs.glob(self.path), self.url, Part("its folder"))
        elif not retried(lambda: self.fs.exists(self.path), self.url, Part("its directory entry")):
            found = []
        else:
            return [f for f in self._below(self.path) if f.lower().endswith((*PARQUET, *CSV, *NPY))]
        if not found:
            raise checks.missing_path_error(self.url)
        # A glob may match folders, such as the partitions of a table.
        files = [f for path in found for f in (self._below(path) or [path])]
        return sorted(files, key=natural_sort_key)

    def _below(self, folder: str) -> list[str]:
        root = folder.rstrip("/")
        if self.fs.isfile(folder):
            return []
        below = retried(lambda: self.fs.find(root), self.url, Part("its folder"))
        shown = [f for f in below if not any(p[:1] in "._" for p in f[len(root) + 1 :].split("/"))]
        return sorted(shown, key=natural_sort_key)


def is_local(fs: Any) -> bool:
    """Whether paths of this file system can be opened without it."""
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return "file" in protocols


def full_name(fs: Any, path: str) -> str:
    """A path of a file system as the user would write it."""
    return path if is_local(fs) else fs.unstrip_protocol(path)
