"""xarray: DataArrays with any sample dimensions, Datasets whose variables are the features.

Features lie along one dimension, or along several: each place of a map is one, say.

Rows are the samples in C order of the sample dimensions, as they come in X.

Results say of X where the samples are: its coordinates with their attributes, the grid mapping, the
CRS. What X says of its values (units, packing, fill value) or of its file (chunks, compressors) is
not true of them. Labels are whole numbers, named "labels", and -1 is their missing value: it stands
in the attribute `nodata`, which rioxarray writes to a GeoTIFF, and not in `_FillValue`, by which
xarray would make them floats with NaN when it reads them again.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from dask_kmeans import checks, planning
from dask_kmeans.read import from_dask, from_numpy, nodata
from dask_kmeans.read.casts import kernel_dtype, one_chunk_wide
from dask_kmeans.read.feature_grid import VARIABLE, FeatureGrid
from dask_kmeans.read.pieces import Piece, as_weights, cut
from dask_kmeans.read.points import Kind, Points
from dask_kmeans.read.results import RowResults, RowsOfGrid, shared
from dask_kmeans.read.weights import weights_along_dimensions

OUTPUT_DIM = "cluster"
"""Dimension of results with several values a row."""

LABELS, DISTANCES = "labels", "distances"
"""Names of results: of whole numbers, and of others."""

NO_LABEL = {"nodata": -1}
"""Attributes of labels."""

PLACE_ATTRIBUTES = ("grid_mapping", "crs", "transform", "AREA_OR_POINT")
"""What CF, rioxarray and GDAL say in attributes of an array of where its values are."""

BANDS = ("band", "bands", "channel", "channels", "wavelength", "wavelengths", "feature", "features",
         "variable", "variables", "component", "components", "mode", "rgb")  # fmt: skip
PLACES = ("x", "y", "lat", "lon", "latitude", "longitude", "easting", "northing", "row", "column",
          "rlat", "rlon", "nav_lat", "nav_lon", "i", "j")  # fmt: skip
TIMES = ("time", "date", "day", "month", "year", "valid_time", "t")
"""What dimensions are called that hold features, and those that seldom do."""

STRIPE_BYTES = 256 * 2**20
"""Of a raster that is chunked in all dimensions, what is put together to have consecutive rows."""


def read_dataset(X: xr.Dataset, sample_weight: Any = None, feature_dim: Any = None) -> Points:
    """Points of the numeric variables of a Dataset; a warning names the others.

    feature_dim : dimensions whose every place is a feature of each variable; default: none.
    """
    numeric = [name for name, variable in X.data_vars.items() if variable.dtype.kind in "biufc"]
    dropped = {name: v.dtype for name, v in X.data_vars.items() if name not in numeric}
    if not numeric:
        raise checks.no_numeric_column_error(dropped, "variable")
    checks.warn_dropped_columns(dropped, "variable")
    # A grid mapping is a variable that says where the others are.
    mappings = {X[name].attrs.get("grid_mapping") for name in numeric}
    X = X.set_coords([name for name in numeric if name in mappings])
    numeric = [name for name in numeric if name in X.data_vars]
    dims = {name: X[name].dims for name in numeric}
    if len({frozenset(of) for of in dims.values()}) > 1:
        raise checks.variables_differ_error(dims)
    within: tuple[Hashable, ...] = ()
    if feature_dim is not None:
        within = _feature_dims(X[numeric[0]], feature_dim)
    features = VARIABLE
    while features in X.sizes or features in X.variables:
        features += "_"
    stacked = X[numeric].to_dataarray(dim=features)
    stacked.attrs = {key: value for key, value in X.attrs.items() if key in PLACE_ATTRIBUTES}
    for name in reversed(numeric):
        stacked = stacked.assign_attrs(_place(X[name]))
    points = read(stacked, sample_weight, (features, *within))
    each = math.prod(X.sizes[dim] for dim in within)
    declared = [_declared(X[name]) for name in numeric]
    return replace(points, declared=tuple(of for of in declared for _ in range(each)))


def read(X: xr.DataArray, sample_weight: Any, feature_dim: Any = None) -> Points:
    """Points of a DataArray; the last of two dimensions holds the features if none is named.

    feature_dim : a dimension, or a sequence of them, at each place of which there is a feature.
    """
    features = _feature_dims(X, feature_dim)
    kernel_dtype(X.dtype)
    names = None
    if len(features) == 1 and features[0] in X.coords:
        names = _feature_names(X.coords[features[0]].values)
    n_features = math.prod(X.sizes[dim] for dim in features)
    n_rows = math.prod(size for dim, size in X.sizes.items() if dim not in features)
    checks.check_not_empty(n_rows, n_features)
    weights = weights_along_dimensions(sample_weight, _template(X, features))
    if X.chunks is not None:
        points = _read_lazy(X, weights, features)
    else:
        points = _read_in_memory(X, weights, features)
    return replace(
        points, feature_names=names, declared=(_declared(X),), grid=FeatureGrid.of(X, features)
    )


def _feature_dims(X: xr.DataArray, given: Any) -> tuple[Hashable, ...]:
    """The dimensions of the features, of which at least one is left for the samples."""
    if X.ndim < 2:
        checks.check_two_dimensional(X.shape, "DataArray")
    if given is None and X.ndim == 2:
        return X.dims[-1:]
    if given is not None and given in X.dims:
        return (given,)
    dims = tuple(given) if isinstance(given, list | tuple) else ()
    known = [dim for dim in dims if dim in X.dims]
    if not known or len(set(known)) < len(dims) or len(known) == X.ndim:
        raise checks.needs_feature_dim_error(X.sizes, _likely_feature_dim(X), given)
    return dims


def _feature_names(coordinate: np.ndarray) -> tuple[str, ...] | None:
    """Names of features by their coordinate: texts, and whole numbers (of bands) as texts."""
    if coordinate.dtype.kind in "iu":
        return tuple(map(str, coordinate.tolist()))
    return checks.check_feature_names(coordinate.tolist())


def _likely_feature_dim(X: xr.DataArray) -> Any:
    """The dimension that looks most like features; where time and places are all there is, places.

    One with the name of bands comes first, then one with texts as coordinates, then the shortest
    one that is neither time nor place.
    """
    times = [dim for dim in X.dims if X[dim].dtype.kind in "Mm" or _named(dim, TIMES)]
    places = [dim for dim in X.dims if dim not in times and _named(dim, PLACES)]

    def rank(dim: Hashable) -> tuple[bool, bool, bool, int]:
        texts = dim in X.coords and X[dim].dtype.kind in "UO"
        return not _named(dim, BANDS), not texts, dim in times or dim in places, X.sizes[dim]

    best = min(X.dims, key=rank, default="feature")
    if best in times or best in places:
        return tuple(places) if times and places else best
    return best


def _named(dim: Hashable, names: Sequence[str]) -> bool:
    return str(dim).lower() in names


def _declared(X: xr.DataArray) -> dict[float, str]:
    """What stands for no value in X, and what says so."""
    return nodata.declared(X.attrs, X.encoding, X.dtype)


def _row_weights(weights: Any, sizes: dict[Hashable, int], chunks: tuple | None = None) -> Any:
    """Weights as one number a row.

    Parameters
    ----------
    weights : as `weights_along_dimensions` gives them, or in the shape of the samples
    sizes : dict
        The sample dimensions.
    chunks : tuple, optional
        Their chunks: those of a DataArray's weights, which then are lazy.
    """
    shape = tuple(sizes.values())
    if isinstance(weights, xr.DataArray):
        data = weights.data[tuple(slice(None) if dim in weights.dims else None for dim in sizes)]
        if chunks is None:
            return np.broadcast_to(np.asarray(data), shape).reshape(-1)
        own = [c if dim in weights.dims else (1,) for dim, c in zip(sizes, chunks, strict=True)]
        if isinstance(data, da.Array):
            data = da.map_blocks(as_weights, data, dtype=np.float64)
        else:
            data = da.asarray(as_weights(data))
        return da.broadcast_to(data.rechunk(own), shape, chunks=chunks).reshape(-1)
    if weights is not None and len(shape) > 1 and np.shape(weights) == shape:
        return weights.reshape(-1) if hasattr(weights, "reshape") else np.ravel(weights)
    return weights


def _template(X: xr.DataArray, features: Sequence[Hashable]) -> xr.DataArray:
    """X without its features: the dimensions and coordinates that results have."""
    return without_description(X.isel(dict.fromkeys(features, 0), drop=True))


def without_description(X: xr.DataArray) -> xr.DataArray:
    """X with what says where its values are, and nothing of what they are or how they are kept."""
    bare = X.drop_encoding().rename(None)
    bare.attrs = _place(X)
    if "grid_mapping" in X.encoding:
        bare.encoding["grid_mapping"] = bare.attrs.pop("grid_mapping")
    return bare


def _place(X: xr.DataArray) -> dict[str, Any]:
    """What X says of where its values are; xarray may keep the grid mapping in the encoding."""
    said = {**X.attrs, **X.encoding}
    return {name: said[name] for name in PLACE_ATTRIBUTES if name in said}


def labelled(template: xr.DataArray, values: Any) -> xr.DataArray:
    """Values in the shape of the samples, perhaps with a last axis of outputs, as a DataArray."""
    if values.ndim > template.ndim:
        size = {_unused(OUTPUT_DIM, template): values.shape[-1]}
        encoding = template.encoding
        template = template.expand_dims(size, axis=-1)
        template.encoding = encoding
    result = template.copy(data=values)
    if values.dtype.kind == "i":
        return result.rename(_unused(LABELS, template)).assign_attrs(NO_LABEL)
    return result.rename(_unused(DISTANCES, template))


def _unused(name: str, template: xr.DataArray) -> str:
    """`name`, or one like it that no dimension or coordinate has."""
    while name in template.dims or name in template.coords:
        name += "_"
    return name


# ---------------------------------------------------------------------------------------- in memory


def _read_in_memory(X: xr.DataArray, weights: Any, features: tuple[Hashable, ...]) -> Points:
    axis = X.dims.index(features[0])
    if X.dims[axis : axis + len(features)] != features:
        X = X.transpose(..., *features)
        axis = X.ndim - len(features)
    before, n_features, after = (
        math.prod(X.shape[first:stop])
        for first, stop in ((0, axis), (axis, axis + len(features)), (axis + len(features), None))
    )
    raster = X.values.reshape(before, n_features, after)
    if before > 1 and 1 < after < planning.ROW_ALIGNMENT:
        # Too short runs of samples to be worth handing over one by one: copied.
        raster = np.moveaxis(raster, 1, -1).reshape(before * after, n_features, 1)
    sizes = {dim: size for dim, size in X.sizes.items() if dim not in features}
    return from_numpy.read_rows(
        RasterRows(raster, 0, before * after),
        _row_weights(weights, sizes),
        kind=InMemoryRaster(_template(X, features)),
    )


@dataclass(frozen=True)
class RasterRows:
    """Rows start..stop of values (l, d, t), whose row number r is [r // t, :, r % t]."""

    values: np.ndarray
    start: int
    stop: int
    weights: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.stop - self.start, self.values.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    def rows(self, start: int, stop: int, weights: np.ndarray | None) -> RasterRows:
        return RasterRows(self.values, self.start + start, self.start + stop, weights)

    def pieces(self) -> Iterator[Piece]:
        length, _, run = self.values.shape
        if run == 1:
            yield from cut(self.values[self.start : self.stop, :, 0], self.weights)
            return
        for outer in range(self.start // run, min(length, -(-self.stop // run))):
            a, b = max(self.start, outer * run), min(self.stop, (outer + 1) * run)
            rows = self.values[outer, :, a - outer * run : b - outer * run].T
            of_rows = (
                None if self.weights is None else self.weights[a - self.start : b - self.start]
            )
            yield from cut(rows, of_rows)


@dataclass(frozen=True)
class InMemoryRaster(from_numpy.InMemory):
    """Results as DataArrays of the samples, in memory."""

    template: xr.DataArray

    def wrap(self, values: np.ndarray) -> xr.DataArray:
        return labelled(self.template, values.reshape(self.template.shape + values.shape[1:]))


# --------------------------------------------------------------------------------------------- lazy


def _read_lazy(X: xr.DataArray, weights: Any, features: tuple[Hashable, ...]) -> Points:
    last = X.transpose(..., *features)
    whole = last.data
    if any(number > 1 for number in whole.numblocks[1:]):
        # Rows are consecutive samples: chunks have to be whole in all but the first dimension.
        # Along that one they stay as they are, so that nothing is read for two of them.
        row_bytes = math.prod(whole.shape[1:]) * whole.dtype.itemsize
        most = max(1, STRIPE_BYTES // max(1, row_bytes))
        stripes = [
            np.diff(planning.spread(rows, max(1, -(-rows // most)))) for rows in whole.chunks[0]
        ]
        whole = one_chunk_wide(whole.rechunk({0: tuple(np.concatenate(stripes).tolist())}))
    sizes = {dim: size for dim, size in last.sizes.items() if dim not in features}
    weights = _row_weights(weights, sizes, whole.chunks[: len(sizes)])
    rows = whole.reshape(-1, math.prod(whole.shape[len(sizes) :]))
    points = from_dask.read(rows, weights)
    return replace(points, kind=LazyRaster(last, _template(X, features)))


@dataclass(frozen=True)
class LazyRaster(Kind):
    """Results as lazy DataArrays with the chunks of the samples."""

    X: xr.DataArray
    """With the features last."""
    template: xr.DataArray

    def apply(self, points: Points, results: RowResults) -> Any:
        n_samples = self.template.ndim
        axes = range(n_samples, self.X.ndim)
        data = one_chunk_wide(self.X.data, axes)
        form: dict[str, Any] = {"drop_axis": list(axes)}
        if results.n_outputs is not None:
            form = {
                "drop_axis": list(axes[1:]),
                "chunks": (*data.chunks[:n_samples], (results.n_outputs,)),
            }
        values = data.map_blocks(
            _results_of_chunk,
            results=shared(results),
            edges=[np.cumsum([0, *sizes]) for sizes in data.chunks[:n_samples]],
            dtype=results.dtype,
            meta=np.empty((0,) * (n_samples + (results.n_outputs is not None)), results.dtype),
            **form,
        )
        return results.given(values, partial(labelled, self.template))


def _results_of_chunk(values, results, edges, block_id=None):
    samples = values.shape[: len(edges)]
    corner = tuple(int(of_dim[at]) for of_dim, at in zip(edges, block_id, strict=False))
    name = RowsOfGrid(corner, samples, tuple(int(of_dim[-1]) for of_dim in edges))
    rows = from_dask.ChunkRows([(values.reshape(math.prod(samples), -1),)])
    found = results.of(rows, name)
    return found.reshape(*samples, *found.shape[1:])
