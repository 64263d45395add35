"""Packing by the CF conventions: what the attributes of a Zarr array say of its numbers.

xarray decodes here too, so that a path gives the values and the dtype that `xr.open_zarr` gives,
but it is asked piece by piece, where the rows are read.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.read.chunks import read_rows

FILLS = ("_FillValue", "missing_value")
ATTRIBUTES = (*FILLS, "scale_factor", "add_offset", "_Unsigned")
"""Attributes that change what stored numbers mean. `units` is none: times stay numbers."""

DIMENSIONS = "_ARRAY_DIMENSIONS"
"""Attribute by which xarray knows its own arrays in Zarr format 2."""


@dataclass(frozen=True)
class Packing:
    """How the numbers of an array are packed."""

    attributes: Mapping[str, Any]

    @classmethod
    def of(cls, array: Any, name: str) -> Packing | None:
        """The packing of a zarr.Array; None where the stored numbers are the values.

        Parameters
        ----------
        array : zarr.Array
        name : str
            What the user called it, for the error.

        Raises
        ------
        ValueError
            For attributes that cannot be used.
        """
        attributes = {key: _single(array.attrs[key]) for key in ATTRIBUTES if key in array.attrs}
        try:
            if array.metadata.zarr_format == 2:
                # There xarray keeps _FillValue as the fill value of Zarr, which means no more than
                # "chunks that are not there" in an array of anyone else.
                if DIMENSIONS in array.attrs and array.fill_value is not None:
                    attributes["_FillValue"] = array.fill_value
            elif "_FillValue" in attributes:
                attributes["_FillValue"] = _fill_value(attributes["_FillValue"])
            if all(key in FILLS and _is_nan(value) for key, value in attributes.items()):
                return None
            packing = cls(attributes)
            packing.dtype(array.dtype)
        except (TypeError, ValueError, struct.error) as error:
            raise checks.packing_error(name, attributes, error) from error
        return packing

    def dtype(self, stored: np.dtype) -> np.dtype:
        """The dtype of decoded values."""
        return self.decode(np.empty(0, stored)).dtype

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """The values that stored numbers stand for, with NaN for those that stand for none."""
        import xarray as xr

        dims = [f"axis {number}" for number in range(stored.ndim)]
        packed = xr.Dataset({"values": (dims, stored, dict(self.attributes))})
        decoded = xr.decode_cf(packed, concat_characters=False, decode_times=False,
                               decode_coords=False, decode_timedelta=False)  # fmt: skip
        return decoded["values"].values


def _single(written: Any) -> Any:
    """The value of an attribute; converters from netCDF write lists of one."""
    return written[0] if isinstance(written, list) and len(written) == 1 else written


def _fill_value(written: Any) -> Any:
    """What an attribute `_FillValue` of Zarr format 3 says: xarray writes floats as base64."""
    if not isinstance(written, str):
        return written
    try:
        return struct.unpack("<d", base64.b64decode(written, validate=True))[0]
    except (ValueError, struct.error):
        return float(written)


def _is_nan(value: Any) -> bool:
    return all(one != one for one in np.ravel(value))


def read_values(array: Any, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Rows start..stop of a zarr.Array, decoded."""
    name = str(array.store_path)
    rows = read_rows(array, name, start, array.shape[0] if stop is None else stop)
    packing = Packing.of(array, name)
    return rows if packing is None else packing.decode(rows)
