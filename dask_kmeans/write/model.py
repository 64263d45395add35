"""The fitted model as a Zarr group: two arrays, and everything else as JSON attributes.

    model.zarr/
        zarr.json            dask_kmeans = "model", format_version, parameters, history ...
        cluster_centers/     float64 (k, d)
        cluster_sizes/       int64 (k,)
        parent/ ...          of a model that has them: the arrays of its `RECORDS`

Each array is one uncompressed chunk with a CRC-32C behind it, so that a flipped bit, a lost chunk
and a cut file are all found. What is loaded is data, never code: format 3 of Zarr with two codecs
that run nothing, JSON, and a check of every field.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_kmeans import checks
from dask_kmeans.kernels import of_length_one
from dask_kmeans.metrics import METRICS
from dask_kmeans.read import FeatureGrid, Standardization
from dask_kmeans.result import Coarsening, FittedModel, Stream, Tree
from dask_kmeans.state import IterationRecord
from dask_kmeans.write.jsonable import jsonable
from dask_kmeans.write.place import SIGNATURE, ZARR_MARKER, Output, staged, zarr_store

if TYPE_CHECKING:
    import zarr

FORMAT_VERSION = 2
"""Raised whenever this or an older version of the package could misread what is written. Version 1
had the centers of standardized features as they are compared, not in the unit of the data."""

Forms = dict[str, tuple[str, int, float]]
"""Of arrays by their names: dtype, dimensions, and what a lost chunk would read as."""

ARRAYS: Forms = {"cluster_centers": ("float64", 2, np.nan), "cluster_sizes": ("int64", 1, -1)}

RECORDS: dict[str, tuple[type, Forms]] = {
    "coarsening": (
        Coarsening,
        {
            "parent": ("int32", 1, -1),
            "finest_centers": ("float64", 2, np.nan),
            "finest_parent": ("int32", 1, -1),
        },
    ),
    "stream": (
        Stream,
        {
            "points": ("float64", 2, np.nan),
            "point_weights": ("float64", 1, np.nan),
            "point_rows": ("int64", 1, -1),
            "lost": ("float64", 1, np.nan),
        },
    ),
    "tree": (
        Tree,
        {
            "node_parent": ("int32", 1, -1),
            "node_centers": ("float64", 2, np.nan),
            "node_sizes": ("int64", 1, -1),
            "node_inertia": ("float64", 1, np.nan),
        },
    ),
}
"""Fields of a model that are records of arrays, or None: the type of each, and these arrays."""

CODECS, CRC_BYTES = ("bytes", "crc32c"), 4


def save_model(model: FittedModel, url: str | os.PathLike, overwrite: bool = False) -> None:
    """Write `model` to a local path or any fsspec URL, whole or not at all.

    Raises
    ------
    FileExistsError
        If something is at `url` and `overwrite` is False, or something that is no model of ours.
    ValueError, TypeError
        For a model that `load_fitted` would refuse: nothing is written then.
    """
    import zarr
    from zarr.codecs import Crc32cCodec

    attributes = {
        field.name: jsonable(getattr(model, field.name))
        for field in fields(model)
        if field.name not in (*ARRAYS, *RECORDS)
    }
    records = [(getattr(model, name), forms) for name, (_, forms) in RECORDS.items()]
    arrays = {
        name: (np.ascontiguousarray(getattr(owner, name), dtype=dtype), missing)
        for owner, forms in [(model, ARRAYS), *records]
        if owner is not None
        for name, (dtype, _, missing) in forms.items()
    }
    try:
        _check_values(model.cluster_centers, model.cluster_sizes)
        _checked(attributes, model.cluster_centers)
        for record, _ in records:
            if record is not None:
                record.check(*model.cluster_centers.shape)
    except ValueError as error:
        raise checks.unstorable_model_error(str(error)) from error
    with staged(url, overwrite=overwrite) as folder:
        group = zarr.create_group(
            folder,
            zarr_format=3,
            attributes={SIGNATURE: "model", "format_version": FORMAT_VERSION, **attributes},
        )
        for name, (values, missing) in arrays.items():
            array = group.create_array(
                name, shape=values.shape, chunks=values.shape, dtype=values.dtype,
                fill_value=missing, compressors=[Crc32cCodec()],
            )  # fmt: skip
            array[...] = values


def load_fitted(url: str | os.PathLike) -> FittedModel:
    """Read a model that `save_model` wrote.

    Raises
    ------
    FileNotFoundError
        If nothing is at `url`.
    ValueError
        If what is there is not a whole, valid model; the text says what is wrong with it.
    """
    import zarr

    place = Output(url)
    if not place.exists():
        raise checks.missing_path_error(place.url)
    if not place.read(ZARR_MARKER):
        raise checks.invalid_model_error(place.url, f"it has no {ZARR_MARKER}")
    try:
        group = zarr.open_group(zarr_store(place, read_only=True), mode="r", zarr_format=3)
        # The first models kept no columns, knew one metric, no nodata, dimensions or categories.
        attributes: dict[str, Any] = {
            "columns": None,
            "metric": "euclidean",
            "nodata": None,
            "features": None,
            "categories": None,
        }
        attributes |= group.attrs
        _check_kind(attributes)
        known = [*ARRAYS, *(name for _, forms in RECORDS.values() for name in forms)]
        _check_known("arrays", dict(group.members()), known)
        _check_known("attributes", attributes, (SIGNATURE, "format_version", *ATTRIBUTES))
        centers, sizes = _read_arrays(place, group, ARRAYS).values()
        _check_values(centers, sizes)
        checked = _checked(attributes, centers)
        if attributes["format_version"] == 1 and checked["standardization"] is not None:
            centers = Standardization.from_dict(checked["standardization"]).undo(centers)
        return FittedModel(centers, sizes, **checked, **_read_records(place, group, *centers.shape))
    except PermissionError:
        raise
    except Exception as error:  # whatever a damaged file makes zarr or json raise
        reason = str(error) or type(error).__name__
        raise checks.invalid_model_error(place.url, reason) from error


def _check_kind(attributes: Mapping[str, Any]) -> None:
    if attributes.get(SIGNATURE) != "model":
        raise ValueError(f"its attributes lack {SIGNATURE!r}: 'model'")
    version = attributes.get("format_version")
    if version not in (1, FORMAT_VERSION) or isinstance(version, bool):
        raise ValueError(
            f"format_version is {_brief(version)}, and this dask_kmeans reads 1 to "
            f"{FORMAT_VERSION}; one that a newer dask_kmeans wrote needs that"
        )


def _check_known(what: str, found: Iterable[str], known: Iterable[str]) -> None:
    """Nothing that is stored is passed over: it might change what the model says."""
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise ValueError(checks.unknown_fields_text(what, unknown))


def _read_records(
    place: Output, group: zarr.Group, n_clusters: int, n_features: int
) -> dict[str, Any]:
    """The records of arrays that the model has, by their names."""
    there, records = set(dict(group.arrays())), {}
    for field, (record, forms) in RECORDS.items():
        if there & forms.keys():
            records[field] = record(**_read_arrays(place, group, forms))
            records[field].check(n_clusters, n_features)
    return records


def _read_arrays(place: Output, group: zarr.Group, forms: Forms) -> dict[str, np.ndarray]:
    """Arrays of the group, whose metadata are checked before their bytes are read."""
    return {
        name: _read_array(place, group, name, dtype, ndim)
        for name, (dtype, ndim, _) in forms.items()
    }


def _read_array(place: Output, group: zarr.Group, name: str, dtype: str, ndim: int) -> np.ndarray:
    array = dict(group.arrays()).get(name)
    if array is None:
        raise ValueError(f"it has no array {name}")
    if array.dtype != dtype or array.ndim != ndim or 0 in array.shape:
        raise ValueError(
            f"{name} is {array.dtype} of shape {array.shape}, not {dtype} of {ndim} dimensions"
        )
    listed: Any = array.metadata.to_dict()["codecs"]
    codecs = tuple(codec["name"] for codec in listed)
    if codecs != CODECS or array.chunks != array.shape:
        raise ValueError(f"{name} is not one chunk stored with {' and '.join(CODECS)}")
    # Before memory is taken for what a few bytes of metadata claim.
    stored, needed = place.size(f"{name}/c" + ndim * "/0"), array.nbytes + CRC_BYTES
    if stored != needed:
        raise ValueError(f"{name} has {stored} bytes, not {needed}")
    return np.asarray(array[...])


def _check_values(cluster_centers: np.ndarray, cluster_sizes: np.ndarray) -> None:
    if cluster_sizes.shape != cluster_centers.shape[:1]:
        raise ValueError(
            f"it has {len(cluster_centers)} cluster centers and {len(cluster_sizes)} cluster sizes"
        )
    missing = np.isnan(cluster_centers).all(axis=0)  # features of which the data had no value
    if missing.all() or not np.isfinite(cluster_centers[:, ~missing]).all():
        raise ValueError("cluster_centers has values that are not finite")
    if (cluster_sizes < 0).any():
        raise ValueError("cluster_sizes has negative values")


def _checked(attributes: Mapping[str, Any], centers: np.ndarray) -> dict[str, Any]:
    """The attributes that are fields of the model, each found and of the type it has to have."""
    n_features = centers.shape[1]
    for name, (is_valid, what) in ATTRIBUTES.items():
        if name not in attributes:
            raise ValueError(f"it has no attribute {name}")
        if not is_valid(attributes[name]):
            raise ValueError(f"{name} is not {what}: {_brief(attributes[name])}")
    values = {name: attributes[name] for name in ATTRIBUTES}
    names, standardization = values["feature_names"], values["standardization"]
    columns = values["columns"]
    if names is not None:
        values["feature_names"] = tuple(names)
    if columns is not None:
        values["columns"] = tuple(columns)
    if values["categories"] is not None:
        values["categories"] = _checked_categories(values["categories"], names or ())
    nodata, grid = values["nodata"], values["features"]
    if grid is not None and math.prod(grid["shape"]) != n_features:
        raise ValueError(f"its features have shape {grid['shape']}, and there are {n_features}")
    told = (
        ("feature_names", names), ("columns", columns), *(standardization or {}).items(),
        ("nodata", nodata if nodata and len(nodata) > 1 else None),
    )  # fmt: skip
    for name, found in told:
        if found is not None and len(found) != n_features:
            raise ValueError(f"{name} has {len(found)} entries for {n_features} features")
    if values["metric"] == "cosine" and not of_length_one(
        centers[:, ~np.isnan(centers).all(axis=0)]
    ):
        raise ValueError("cluster_centers are not of length one, and the metric is cosine")
    return values


def _checked_categories(
    categories: Mapping[str, Iterable[str]], feature_names: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """The categories of columns, each of which is a feature."""
    checked = {column: tuple(of_column) for column, of_column in categories.items()}
    made = {f"{column}={each}" for column, of_column in checked.items() for each in of_column}
    missing = sorted(made - set(feature_names))
    if missing:
        raise ValueError(f"{missing[0]!r} is a category and no feature")
    return checked


def _brief(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


def _is_record(value: Any) -> bool:
    """Whether it is an `IterationRecord` as a dictionary."""
    return (
        isinstance(value, dict)
        and value.keys() == set(IterationRecord._fields)
        and all(_is_number(value[name]) for name in ("inertia", "center_shift", "seconds"))
        and all(
            _is_count(value[name]) for name in ("iteration", "changed", "examined", "bytes_read")
        )
    )


def _list_of(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_valid, value))


def _is(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types)


def _is_standardization(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and value.keys() == {"mean", "scale"}
        and all(_list_of(_is_number)(entry) for entry in value.values())
        and all(scale > 0 for scale in value["scale"])
    )


def _is_grid(value: Any) -> bool:
    if value is None:
        return True
    try:
        FeatureGrid.from_dict(value)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return True


ATTRIBUTES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "inertia": (lambda value: _is_number(value) and value >= 0, "a number >= 0"),
    "n_iter": (_is_count, "a count"),
    "n_passes": (_is_count, "a count"),
    "converged": (_is(bool), "true or false"),
    "stop_reason": (_is(str), "a text"),
    "feature_names": (lambda value: value is None or _list_of(_is(str))(value), "a list of texts"),
    "columns": (lambda value: value is None or _list_of(_is_count)(value), "a list of positions"),
    "parameters": (_is(dict), "an object"),
    "history": (_list_of(_is_record), "a list of records of iterations, all numbers finite"),
    "standardization": (_is_standardization, "means and positive scales"),
    "metric": (lambda value: isinstance(value, str) and value in METRICS, "a metric known here"),
    "nodata": (
        lambda value: value is None or _list_of(_list_of(_is_number))(value),
        "lists of numbers",
    ),
    "features": (_is_grid, "dimensions with their coordinates"),
    "categories": (
        lambda value: (
            value is None
            or (isinstance(value, dict) and all(map(_list_of(_is(str)), value.values())))
        ),
        "lists of texts by columns",
    ),
}
"""Attributes of a model: what each has to be."""
