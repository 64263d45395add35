"""Centers for other programs, in the format that the name ends in.

| ending     | what is written                                                                     |
|------------|-------------------------------------------------------------------------------------|
| `.npy`     | the centers alone: float64 (k, d)                                                   |
| `.parquet` | a row a cluster: `cluster` int32, `size` int64, `vector` a list of d float64        |
| `.json`    | an object: `kind` "dask_kmeans centers", `format_version`, `version` of the package,|
|            | `metric`, `feature_names` or null, `standardization` (`mean`, `scale`) or null,     |
|            | `cluster_sizes` (k), `cluster_centers` (k lists of d numbers)                       |

All are in the order of the clusters, centers in the unit of the data. The same object, without
sizes and centers, stands in the metadata of the Parquet schema, as `dask_kmeans`.
"""

from __future__ import annotations

import json
import os
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from dask_kmeans import __version__, checks
from dask_kmeans.read.url import Place
from dask_kmeans.result import FittedModel
from dask_kmeans.write.jsonable import jsonable
from dask_kmeans.write.place import SIGNATURE, staged

FORMAT_VERSION = 1
"""Raised whenever a reader of an older version could misread what is written."""


def export_centers(model: FittedModel, url: str | os.PathLike, overwrite: bool = False) -> None:
    """Write the centers of a model to a local path or any fsspec URL, whole or not at all.

    Raises
    ------
    ValueError
        For another ending than .npy, .parquet or .json.
    FileExistsError
        If something is at `url` and `overwrite` is False, or a folder that is not ours.
    """
    place = Place(url)
    write = WRITERS.get(PurePosixPath(place.path).suffix.lower())
    if write is None:
        raise checks.output_format_error(place.url, "centers", tuple(WRITERS))
    with staged(place.url, overwrite=overwrite) as path:
        write(model, path)


def _to_npy(model: FittedModel, path: str) -> None:
    with open(path, "wb") as file:
        np.save(file, model.cluster_centers)


def _to_parquet(model: FittedModel, path: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    k, d = model.cluster_centers.shape
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(model.cluster_centers.reshape(-1)), d)
    columns = {
        "cluster": pa.array(np.arange(k, dtype=np.int32)),
        "size": pa.array(model.cluster_sizes),
        "vector": vectors,
    }
    metadata = {SIGNATURE: json.dumps(_described(model), allow_nan=False)}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)


def _to_json(model: FittedModel, path: str) -> None:
    content = _described(model) | {
        "cluster_sizes": jsonable(model.cluster_sizes),
        "cluster_centers": jsonable(model.cluster_centers),
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, allow_nan=False)
        file.write("\n")


def _described(model: FittedModel) -> dict[str, Any]:
    """What has to be known to compare rows with the centers."""
    return {
        "kind": "dask_kmeans centers",
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "metric": model.metric,
        "feature_names": jsonable(model.feature_names),
        "standardization": jsonable(model.standardization),
    }


WRITERS = {".npy": _to_npy, ".parquet": _to_parquet, ".json": _to_json}
"""Ending -> what writes that format to a local path."""
