"""What is wrong with HDF5 files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dask_kmeans.checks.errors import InvalidFileError
from dask_kmeans.checks.wording import sizes, text, typed


def dataset_error(
    source: str, wanted: str | None, members: Mapping[str, Sequence[int]]
) -> InvalidFileError:
    """For a file of which it is not said, or wrongly said, which dataset is meant.

    members : paths and shapes of its datasets
    """
    if not members:
        return InvalidFileError(text(f"{source} is an HDF5 file without any dataset in it"))
    listing = ", ".join(f"{name} {sizes(shape)}" for name, shape in members.items())
    example = next(
        (name for name, shape in members.items() if len(shape) == 2), next(iter(members))
    )
    missing = f"{source} has no dataset {wanted!r}" if wanted else f"{source} has several datasets"
    return InvalidFileError(
        text(f"{missing}, and one is needed: it has {listing}. Type {source}::{example}")
    )


def open_for_writing_error(source: str) -> ValueError:
    return ValueError(
        text(
            f"{source} is open for writing, so that nothing else can open it to read. Close it, "
            "then type ",
            typed(f"h5py.File({source!r}, 'r')", source),
        )
    )


def missing_h5py_error(source: str, reason: Any) -> ImportError:
    return ImportError(
        text(
            f"{source} is an HDF5 file, which h5py reads, and that is not installed ({reason}). "
            "Type pip install 'dask-kmeans[hdf5]'"
        )
    )
