"""Models by their number of clusters, in one folder that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dask_kmeans.result import FittedModel
from dask_kmeans.write.model import save_model
from dask_kmeans.write.place import FOLDER_MARKER, SIGNATURE, filled


def save_models(
    models: Mapping[int, FittedModel], url: str | os.PathLike, overwrite: bool = False
) -> None:
    """Write each model to `K.zarr` in a folder at a local path or any fsspec URL.

    Raises
    ------
    FileExistsError
        If something is at `url` and `overwrite` is False, or a folder that is not ours.
    ValueError, TypeError
        For a model that `load_fitted` would refuse: nothing is left of the folder then.
    """
    with filled(url, overwrite=overwrite) as place:
        for n_clusters, model in models.items():
            save_model(model, f"{place.url.rstrip('/')}/{n_clusters}.zarr")
        place.fs.pipe_file(place.inside(FOLDER_MARKER), f"{SIGNATURE} models\n".encode())
