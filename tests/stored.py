"""Stored models that are made unsound."""

from __future__ import annotations

import numpy as np
import zarr


def replace_array(url, name, values):
    """Put `values`, in the dtype of what is there, in the place of an array; None: nothing."""
    group = zarr.open_group(url)
    kind = group[name].dtype
    del group[name]
    if values is not None:
        values = np.asarray(values, kind)
        made = group.create_array(name, shape=values.shape, chunks=values.shape, dtype=kind,
                                  compressors=[zarr.codecs.Crc32cCodec()])  # fmt: skip
        made[...] = values
