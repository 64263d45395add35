"""How compiled code sees a matrix: an address, two strides and a shape.

One signature for each dtype then serves every memory order, read-only or not, and each dtype is
compiled once.
"""

from typing import NamedTuple

import numpy as np


class Rows(NamedTuple):
    """The rows of an (m, d) array, which must outlive this view of it.

    item : a number of the dtype; a bool stands for float16, of which numba knows no numbers;
    address : of the first item; strides in bytes. No arrays, whose references compiled code would
    count at every call.
    """

    item: np.generic
    itemsize: int
    address: int
    row_stride: int
    column_stride: int
    m: int
    d: int


def rows_of(X: np.ndarray) -> Rows:
    """View an array that `numeric` has returned."""
    item = np.bool_(0) if X.dtype == np.float16 else X.dtype.type(0)
    return Rows(item, X.itemsize, X.ctypes.data, *X.strides, *X.shape)


def owned(array: np.ndarray) -> np.ndarray:
    """`array` in C order and writeable, a copy where it is not.

    What came from another process may be read-only, for which numba would compile once more.
    """
    flags = array.flags
    if flags.c_contiguous and flags.writeable:  # np.require takes longer to find out
        return array
    return np.require(array, requirements=["C", "W"])


def numeric(X: np.ndarray) -> np.ndarray:
    """`X` itself where the kernels read it as it lies, else a copy that they can read.

    bool becomes uint8; foreign byte order and unaligned items are copied.
    """
    X = np.asarray(X)
    if X.ndim != 2:
        raise ValueError(f"a matrix of rows and features expected, got shape {X.shape}")
    if X.dtype == np.bool_:
        return X.view(np.uint8)
    if X.dtype.kind not in "iuf" or X.dtype.itemsize > 8:
        raise TypeError(f"numbers of at most 64 bits expected, got dtype {X.dtype}")
    if not (X.dtype.isnative and X.flags.aligned):
        return X.astype(X.dtype.newbyteorder("="))
    return X
