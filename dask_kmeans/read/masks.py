"""Masked arrays, which are refused where a value is masked: no other part here knows of masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from dask_kmeans import checks


def without_mask(values: Any, what: str = "X") -> np.ndarray:
    """An array of `values`, none of which is masked.

    Parameters
    ----------
    values : array-like
        A masked array, a list of masked arrays, or anything else that becomes an array.
    what : str
        The argument that they are, for the error.

    Raises
    ------
    TypeError
        If any is masked.
    """
    rows = values if isinstance(values, list | tuple) else [values]
    if any(isinstance(row, np.ma.MaskedArray) and np.ma.is_masked(row) for row in rows):
        raise checks.masked_error(what)
    return np.asarray(values)
