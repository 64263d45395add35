"""How features lie in an xarray object: what makes a labelled array of centers again.

Only the description is kept, dimensions, coordinates and attributes, and none of the values.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.read.nodata import SAYING

if TYPE_CHECKING:
    import xarray as xr

CLUSTER = "cluster"
"""Dimension of centers."""

VARIABLE = "variable"
"""Dimension of the centers of a Dataset, whose variables are features; xarray calls it so."""

OF_STORAGE = (*SAYING, "scale_factor", "add_offset", "_Unsigned", "valid_range", "valid_min",
              "valid_max")  # fmt: skip
"""Attributes that say how values are kept, which is not true of centers."""

KINDS = "biufMm"
"""Kinds of dtypes of coordinates that a model stores, besides texts."""

STORED = ("dims", "shape", "coords", "name", "attributes", "grid_mapping")
"""What `FeatureGrid.as_dict` gives."""


@dataclass(frozen=True)
class FeatureGrid:
    """Dimensions of features, their coordinates, and what the values are.

    Attributes
    ----------
    dims : tuple of hashable
    shape : tuple of int
    coords : mapping
        Name -> xarray.Variable over some of `dims`.
    name : hashable or None
    attributes : mapping
        Of the values.
    grid_mapping : str or None
        The coordinate that holds the reference system of the others.
    """

    dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    coords: Mapping[Hashable, Any] = field(repr=False)
    name: Hashable = None
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    grid_mapping: str | None = None

    @classmethod
    def of(cls, X: xr.DataArray, dims: Sequence[Hashable]) -> FeatureGrid:
        """That of the dimensions `dims` of X."""
        others = {dim: 0 for dim in X.dims if dim not in dims}
        coords = X.isel(others, drop=True).coords.to_dataset()
        levels = [dim for dim in dims if getattr(coords.indexes.get(dim), "nlevels", 1) > 1]
        coords = coords.reset_index(levels).compute().drop_encoding()
        said = {key: value for key, value in X.attrs.items() if key not in OF_STORAGE}
        mapping = X.encoding.get("grid_mapping")
        return cls(
            tuple(dims), tuple(X.sizes[dim] for dim in dims), dict(coords.variables), X.name, said,
            mapping if mapping in coords.variables else None,
        )  # fmt: skip

    @property
    def size(self) -> int:
        """Number of features."""
        return math.prod(self.shape)

    @property
    def variables(self) -> tuple[str, ...] | None:
        """The variables that the features are, or lie in; None where they had no names."""
        first = self.dims[0]
        if first in self.coords and str(first).rstrip("_") == VARIABLE:
            return tuple(map(str, self.coords[first].values))
        return None if self.name is None else (str(self.name),)

    def labelled(self, centers: np.ndarray) -> xr.DataArray:
        """Centers (k, d) with these dimensions, coordinates and attributes, after `cluster`."""
        import xarray as xr

        cluster = CLUSTER
        while cluster in self.dims or cluster in self.coords:
            cluster += "_"
        coords = {**self.coords, cluster: np.arange(len(centers))}
        values = centers.reshape(-1, *self.shape)
        made = xr.DataArray(values, coords, (cluster, *self.dims), self.name, self.attributes)
        if self.grid_mapping is not None:
            made.encoding["grid_mapping"] = self.grid_mapping
        return made

    def check_same(self, other: FeatureGrid | None) -> None:
        """Raise ValueError where another grid of the same dimensions has other coordinates."""
        if other is None or other.dims != self.dims:
            return
        for dim in self.dims:
            if dim in self.coords and dim in other.coords:
                mine, theirs = self.coords[dim].values, other.coords[dim].values
                if len(mine) != len(theirs) or not _equal(mine, theirs):
                    raise checks.feature_coordinate_error(dim, mine, theirs)

    def as_dict(self) -> dict[str, Any] | None:
        """As a model stores it, without what JSON has no form for; None where names are no text."""
        if not all(isinstance(dim, str) for dim in self.dims):
            return None
        coords = {
            name: {"dims": list(variable.dims), "attrs": _plain(variable.attrs), **values}
            for name, variable in self.coords.items()
            if isinstance(name, str) and (values := _stored(variable.values)) is not None
        }
        return {
            "dims": list(self.dims),
            "shape": list(self.shape),
            "coords": coords,
            "name": self.name if isinstance(self.name, str) else None,
            "attributes": _plain(self.attributes),
            "grid_mapping": self.grid_mapping if self.grid_mapping in coords else None,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> FeatureGrid:
        """What `as_dict` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            For anything else.
        """
        import xarray as xr

        if stored.keys() != set(STORED):
            raise ValueError(f"it has {sorted(stored)}, not {sorted(STORED)}")
        names = [*stored["dims"], *(stored[key] for key in ("name", "grid_mapping") if stored[key])]
        if not all(isinstance(name, str) for name in names):
            raise TypeError("a name is no text")
        coords = {
            name: xr.Variable(each["dims"], _restored(each), dict(each["attrs"]))
            for name, each in stored["coords"].items()
        }
        made = cls(
            tuple(stored["dims"]), tuple(map(int, stored["shape"])), coords,
            stored["name"] or None, dict(stored["attributes"]), stored["grid_mapping"] or None,
        )  # fmt: skip
        made.labelled(np.broadcast_to(0.0, (1, math.prod(made.shape))))  # whether all fits together
        return made


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.all((a == b) | ((a != a) & (b != b))))


def _plain(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """The attributes that JSON has a form for."""
    plain = {}
    for name, value in attributes.items():
        value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        items = value if isinstance(value, list | tuple) else [value]
        finite = all(not isinstance(item, float) or math.isfinite(item) for item in items)
        if finite and all(isinstance(item, str | int | float) for item in items):
            plain[str(name)] = value
    return plain


def _stored(values: np.ndarray) -> dict[str, Any] | None:
    """Values of a coordinate as JSON has them; None where it has no form for them."""
    if values.dtype.kind in "OU":
        texts = values.tolist()
        flat = values.reshape(-1).tolist()
        return {"dtype": "str", "values": texts} if all(type(t) is str for t in flat) else None
    if values.dtype.kind not in KINDS:
        return None
    bits = values.view(np.int64) if values.dtype.kind in "Mm" else values
    return {"dtype": values.dtype.newbyteorder("=").str, "values": bits.tolist()}


def _restored(stored: Mapping[str, Any]) -> np.ndarray:
    if stored["dtype"] == "str":
        values = np.array(stored["values"], dtype=object)
        if not all(isinstance(text, str) for text in values.reshape(-1)):
            raise TypeError("a coordinate of texts has other values")
        return values.astype(str)
    dtype = np.dtype(stored["dtype"])
    if dtype.kind not in KINDS:
        raise TypeError(f"a coordinate of dtype {dtype}")
    if dtype.kind in "Mm":
        return np.array(stored["values"], np.int64).view(dtype)
    return np.array(stored["values"], dtype)
