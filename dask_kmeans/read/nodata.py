"""Numbers that stand for "no value", as integer rasters have them: what says so, and the transform.

A row with such a number in any of its features is left out, as one with a NaN is by `nan="skip"`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans import checks

SAYING = ("_FillValue", "missing_value", "nodata")
"""Attributes that name such numbers: of CF, and of rioxarray and GDAL."""


@dataclass(frozen=True)
class NoData:
    """The transform x -> `checks.NO_VALUE` where x stands for no value, and x elsewhere.

    Attributes
    ----------
    numbers : tuple of tuple of numbers
        Those of every feature, or one tuple that all features share. A value is one of them if it
        equals the number as the dtype of the value rounds it. An integer dtype that cannot hold a
        number has none of it.
    """

    numbers: tuple[tuple[float, ...], ...]

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Rows (m, d) as they are where all of them have values; else a copy, float64 (m, d)."""
        missing: Any = False
        for targets, there in self._targets(values.dtype):
            missing = missing | ((values == targets) & there)
        if not np.any(missing):
            return values
        out = values.astype(np.float64)
        out[missing] = checks.NO_VALUE
        return out

    def inward(self, centers: np.ndarray) -> np.ndarray:
        """Centers as they are: they have values."""
        return centers

    def undo(self, centers: np.ndarray) -> np.ndarray:
        """Centers as they are."""
        return centers

    def _targets(self, dtype: np.dtype) -> list[tuple[np.ndarray, np.ndarray]]:
        """First, second, ... numbers of the features as `dtype`, and which features have one."""
        rounded = [
            [each for number in of_feature if (each := _rounded(number, dtype)) is not None]
            for of_feature in self.numbers
        ]
        return [
            (
                np.array([of[n] if n < len(of) else 0 for of in rounded], dtype),
                np.array([n < len(of) for of in rounded]),
            )
            for n in range(max(map(len, rounded), default=0))
        ]

    def as_list(self) -> list[list[float]]:
        """As a model stores it."""
        return [list(of_feature) for of_feature in self.numbers]

    @classmethod
    def of(cls, numbers: Sequence[Sequence[float]]) -> NoData | None:
        """That of numbers of each feature, or of all; None where there are none."""
        each = tuple(tuple(of_feature) for of_feature in numbers)
        if not any(each):
            return None
        return cls(each[:1] if len(set(each)) == 1 else each)


def _rounded(number: Any, dtype: np.dtype) -> Any:
    """The number in `dtype`; None where that has nothing like it."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            found = dtype.type(number)
        return found if np.isfinite(found) else None
    limits = np.iinfo(dtype)
    whole = number == int(number) and limits.min <= number <= limits.max
    return dtype.type(int(number)) if whole else None


def declared(
    attributes: Mapping[str, Any], encoding: Mapping[str, Any], dtype: np.dtype
) -> dict[float, str]:
    """Numbers that stand for no value among those of a variable, and what says so of each.

    Parameters
    ----------
    attributes : mapping
        Of the variable.
    encoding : mapping
        What xarray keeps of the file. It has turned such numbers into NaN where values are floats.
    dtype : dtype
        Of the values.
    """
    said = attributes if dtype.kind == "f" else {**encoding, **attributes}
    if dtype.kind not in "iuf":
        return {}
    found: dict[float, str] = {}
    for name in SAYING:
        for value in np.ravel(np.asarray(said.get(name, []), dtype=object)):
            if isinstance(value, int | float | np.integer | np.floating) and np.isfinite(value):
                number = _rounded(value, dtype)
                if number is not None:
                    found.setdefault(number.item(), name)
    return found
