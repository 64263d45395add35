"""Grids: results say where the samples are and nothing of their values; packed Zarr is decoded."""

from __future__ import annotations

import itertools
import warnings

import dask.array as da
import numpy as np
import pytest
import rioxarray
import xarray as xr
import zarr
from inputs import as_numpy

from dask_kmeans import KMeans
from dask_kmeans.read import as_points
from dask_kmeans.write import write_labels

RNG = np.random.default_rng(0)
BANDS = RNG.uniform(0.1, 0.6, (2, 20, 30)).round(4)
BANDS[1, 3, 4] = np.nan
K = 6

PACKINGS = {
    "none": {},
    "scaled": {"dtype": "int16", "scale_factor": 1e-4, "_FillValue": -9999},
    "fill of zero": {"dtype": "uint16", "scale_factor": 1e-4, "_FillValue": 0},
    "offset": {"dtype": "uint8", "scale_factor": 2e-3, "add_offset": 0.1, "_FillValue": 255},
    "fill of -1": {"dtype": "float32", "_FillValue": -1.0},
}
"""Encodings in which labels would come back as other numbers, or as NaN."""

PLAIN = {"consolidated": False}

OF_VALUES = {"units": "1", "long_name": "reflectance", "valid_range": [0, 1], "flag_values": [0, 3],
             "standard_name": "albedo", "scale": 3, "cell_methods": "time: mean"}  # fmt: skip


def scene():
    """A raster with all that files say of rasters."""
    y, x = np.arange(20.0)[::-1] * 10, np.arange(30.0) * 10
    coords = {
        "y": ("y", y, {"units": "m"}),
        "x": ("x", x, {"units": "m"}),
        "longitude": (("y", "x"), np.add.outer(y, x), {"units": "degrees_east"}),
        "band": ["red", "blue"],
        "time": np.datetime64("2020-05-01T10:00"),
    }
    data = xr.DataArray(BANDS, coords, ("band", "y", "x"), "r", OF_VALUES)
    return data.rio.write_crs("EPSG:32633")


def check_place(result, of):
    """All that says where `of` is, and no word on its values."""
    assert set(result.coords) == {"y", "x", "longitude", "time", "spatial_ref"}
    for name in result.coords:
        xr.testing.assert_identical(result[name].variable, of[name].variable)
    assert result.rio.crs == "EPSG:32633"
    assert result.rio.transform() == of.rio.transform()
    assert set(result.attrs) <= {"nodata", "grid_mapping", "AREA_OR_POINT"}
    assert set(result.encoding) <= {"grid_mapping"}
    assert not any(coordinate.encoding for coordinate in result.coords.values())


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The scene in files of both formats of Zarr and of netCDF, in every packing."""
    folder = tmp_path_factory.mktemp("scenes")
    for name, packing in PACKINGS.items():
        for zarr_format in (2, 3):
            ds = scene().to_dataset()
            ds.r.encoding.update(packing, chunks=(1, 7, 30))
            ds.longitude.encoding["chunks"] = (9, 9)
            ds.to_zarr(folder / f"{name}{zarr_format}.zarr", zarr_format=zarr_format, **PLAIN)
        ds = scene().to_dataset()
        ds.r.encoding.update(packing)
        ds.to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
    return folder


def opened(folder, name, lazy):
    """The scene from one of the files."""
    chunks = {"y": 8, "x": 15} if lazy else None
    engine = {"engine": "h5netcdf"} if name.endswith(".nc") else {"engine": "zarr", **PLAIN}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*separate the stored chunks")
        ds = xr.open_dataset(folder / name, chunks=chunks, decode_coords="all", **engine)
    return ds.r if lazy else ds.r.load()


def written(result, path, how):
    """What comes back of a result after it was written."""
    if how == "netCDF":
        result.to_netcdf(path / "out.nc", engine="h5netcdf")
        return xr.load_dataset(path / "out.nc", engine="h5netcdf", decode_coords="all")[result.name]
    if how == "GeoTIFF":
        result.drop_vars("longitude").rio.to_raster(path / "out.tif")
        with rioxarray.open_rasterio(path / "out.tif") as raster:
            return raster.load().squeeze("band", drop=True) if result.ndim == 2 else raster.load()
    if how == "ours":
        write_labels(result, path / "out.zarr")
        return xr.open_zarr(path / "out.zarr", decode_coords="all").labels.load()
    zarr_format = int(how[-1])
    result.to_dataset().to_zarr(path / "out.zarr", zarr_format=zarr_format, **PLAIN)
    return xr.open_zarr(path / "out.zarr", **PLAIN, decode_coords="all")[result.name].load()


@pytest.mark.parametrize("lazy", [True, False])
@pytest.mark.parametrize(
    ("packing", "ending"),
    [
        *itertools.product(PACKINGS, ("2.zarr", "3.zarr")),
        ("scaled", ".nc"),
        ("fill of zero", ".nc"),
    ],
)
def test_results_come_back_from_files_as_they_were(sources, tmp_path, packing, ending, lazy):
    data = opened(sources, packing + ending, lazy)
    model = KMeans(K, feature_dim="band", nan="skip", random_state=0).fit(data)
    labels, distances = model.labels_, model.transform(data)
    assert (labels.name, distances.name) == ("labels", "distances")
    assert (labels.chunks is not None, distances.chunks is not None) == (lazy, lazy)
    check_place(labels, data)
    check_place(distances, data)
    assert data.attrs["units"] == "1"  # what is given is left as it is
    assert data.encoding["dtype"] is not None
    values = labels.values
    assert values[3, 4] == -1
    assert set(np.unique(values)) == {-1, *range(K)}
    np.testing.assert_array_equal(model.predict(data).values, values)
    for how in ("Zarr 2", "Zarr 3", "netCDF", "GeoTIFF", "ours"):
        (tmp_path / how).mkdir()
        back = written(labels, tmp_path / how, how)
        assert back.dtype == np.int32
        np.testing.assert_array_equal(back.values, values)
        assert back.rio.crs == "EPSG:32633"
        assert back.rio.nodata == -1
    for how in ("Zarr 2", "Zarr 3", "netCDF"):
        (tmp_path / f"distances {how}").mkdir()
        back = written(distances, tmp_path / f"distances {how}", how)
        np.testing.assert_array_equal(back.values, distances.values)


@pytest.mark.parametrize("lazy", [True, False])
def test_datasets_keep_their_place_too(lazy):
    bands = scene().to_dataset("band")
    assert bands.red.encoding["grid_mapping"] == "spatial_ref"
    decoded = xr.Dataset(
        {name: bands[name].assign_attrs(grid_mapping="spatial_ref") for name in ("red", "blue")}
    )
    for name in ("red", "blue"):
        decoded[name].encoding = {"scale_factor": 0.1, "_FillValue": 0, "dtype": "uint8"}
    for data in (bands, decoded, decoded.reset_coords("spatial_ref")):
        data = data.chunk(y=7) if lazy else data
        labels = KMeans(2, nan="skip", random_state=0).fit(data).labels_
        assert "grid_mapping" in {*labels.attrs, *labels.encoding}
        assert labels.rio.crs == "EPSG:32633"
        assert set(labels.attrs) <= {"nodata", "grid_mapping"}
        assert set(labels.encoding) <= {"grid_mapping"}


@pytest.mark.parametrize("lazy", [True, False])
def test_geotiffs(tmp_path, lazy):
    """A packed GeoTIFF in, labels as a GeoTIFF out, with its place and its missing value."""
    packed = np.nan_to_num(scene() * 1e4, nan=-9999).astype(np.int16)
    packed = xr.DataArray(packed, scene().drop_vars("longitude").coords, ("band", "y", "x"))
    packed = packed.rio.write_nodata(-9999).assign_attrs(scale_factor=1e-4, add_offset=0.0)
    packed.rio.to_raster(tmp_path / "in.tif")
    chunks = {"y": 8} if lazy else None
    for masked in ("mask_and_scale", "masked"):
        data = rioxarray.open_rasterio(tmp_path / "in.tif", chunks=chunks, **{masked: True})
        labels = KMeans(K, feature_dim="band", nan="skip", random_state=0).fit(data).labels_
        labels.rio.to_raster(tmp_path / f"{masked}.tif")
        back = rioxarray.open_rasterio(tmp_path / f"{masked}.tif")
        assert back.dtype == np.int32
        assert back.rio.nodata == -1
        assert back.rio.crs == "EPSG:32633"
        assert back.rio.transform() == data.rio.transform()
        np.testing.assert_array_equal(back.values[0], labels.values)
        assert set(np.unique(back)) == {-1, *range(K)}


@pytest.mark.parametrize("name", ["labels", "distances", "cluster"])
def test_coordinates_that_are_called_as_results(tmp_path, name):
    data = xr.DataArray(RNG.random((8, 2)), {name: ("s", np.arange(8))}, ("s", "f"))
    model = KMeans(2, random_state=0).fit(data)
    for result in (model.labels_, model.transform(data)):
        result.to_dataset()
        assert result.name not in result.coords
    write_labels(model.labels_, tmp_path / "out.zarr")
    back = xr.open_zarr(tmp_path / "out.zarr")[model.labels_.name]
    np.testing.assert_array_equal(back.values, model.labels_.values)


# Packed Zarr by path


FILLS = {"f4": [-1.5, np.nan], "f8": [1e20, np.nan, 0.0], "f2": [3.0], "i1": [-1], "u1": [255],
         "i2": [-9999, 0], "u2": [65535], "i4": [-(2**31)], "u4": [0], "i8": [-1],
         ">i2": [7]}  # fmt: skip
SCALES = [{}, {"scale_factor": 0.01}, {"add_offset": 273.15}, {"scale_factor": 2, "add_offset": 5},
          {"scale_factor": 0.5, "add_offset": -3.25},
          {"scale_factor": 0.25}]  # fmt: skip


def packed_arrays():
    """Stored numbers, the attributes that they are packed by, and the format of Zarr."""
    for (dtype, fills), scale, zarr_format in itertools.product(FILLS.items(), SCALES, (2, 3)):
        for fill in [None, *fills]:
            yield dtype, fill, scale, zarr_format


def test_packed_zarr_is_decoded_as_xarray_does(tmp_path):
    """The same values and the same dtype, to the bit, from an array of xarray's own making."""
    tried = 0
    for number, (dtype, fill, scale, zarr_format) in enumerate(packed_arrays()):
        stored = RNG.integers(0, 100, (9, 2)).astype(dtype)
        attrs = {**scale, "units": "days since 2000-01-01"}
        if fill is not None:
            stored[4, 1] = fill
            attrs["_FillValue"] = np.dtype(dtype).type(fill)
        path = tmp_path / f"{number}.zarr"
        raw = xr.Dataset({"v": (("s", "f"), stored, attrs)})
        raw.to_zarr(path, zarr_format=zarr_format, **PLAIN)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xr.SerializationWarning)
            expected = xr.open_zarr(path, **PLAIN, decode_times=False).v
            points = as_points(str(path / "v"))
            (piece, _), *_ = points.blocks[0].source.pieces()
            opened_array = as_points(zarr.open_array(path / "v", mode="r"))
        assert points.dtype == opened_array.dtype == piece.dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(piece, expected.values)
        tried += 1
    assert tried > 200


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "attributes",
    [
        {"missing_value": 7},
        {"missing_value": [7, 9]},
        {"missing_value": 7, "_FillValue": 9},
        {"_FillValue": 7},
        {"_Unsigned": "true"},
        {"_Unsigned": "true", "_FillValue": -1, "scale_factor": 0.5},
    ],
)
def test_attributes_that_others_wrote(zarr_format, attributes):
    """Without dimensions xarray does not open them; decoded as it would."""
    stored = np.array([[7, 1], [9, 2], [3, -1]], np.int8)
    array = zarr.create_array({}, data=stored, zarr_format=zarr_format, attributes=attributes)
    raw = xr.Dataset({"v": (("s", "f"), stored, attributes)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xr.SerializationWarning)
        expected = xr.decode_cf(raw).v
        (piece, _), *_ = as_points(array).blocks[0].source.pieces()
    assert piece.dtype == expected.dtype
    np.testing.assert_array_equal(piece, expected.values)


def test_lists_of_one():
    stored = np.array([[7, 1], [9, 2]], np.int8)
    attributes = {"scale_factor": 0.25, "add_offset": 1.0, "_FillValue": 9}
    lists = {name: [value] for name, value in attributes.items()}
    (expected, _), (found, _) = (
        next(
            as_points(zarr.create_array({}, data=stored, attributes=given))
            .blocks[0]
            .source.pieces()
        )
        for given in (attributes, lists)
    )
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, [[2.75, 1.25], [np.nan, 1.5]])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_fill_value_of_zarr_is_none_of_cf(zarr_format):
    """It is the value of chunks that are not there, and a value like others."""
    array = zarr.create_array(
        {}, shape=(6, 2), chunks=(3, 2), dtype="i4", fill_value=0, zarr_format=zarr_format
    )
    array[:3] = np.arange(6).reshape(3, 2)
    points = as_points(array)
    assert points.dtype == np.int32
    np.testing.assert_array_equal(np.concatenate([p for p, _ in points.blocks[0].source.pieces()]),
                                  array[:])  # fmt: skip


def test_floats_that_only_miss_nan_are_read_as_they_lie(tmp_path):
    """As xarray writes all floats: nothing to decode, so nothing is."""
    xr.Dataset({"v": (("s", "f"), RNG.random((9, 2)))}).to_zarr(tmp_path / "x.zarr")
    assert "_FillValue" in zarr.open_array(tmp_path / "x.zarr" / "v").attrs
    assert as_points(str(tmp_path / "x.zarr" / "v")).blocks[0].source.packing is None


def test_a_fill_value_that_is_written_as_a_number_or_as_a_word():
    """xarray reads base64 alone; GDAL and people write these."""
    for fill, expected in ((-9999.0, np.nan), ("-9999", np.nan), ("NaN", -9999.0)):
        array = zarr.create_array(
            {}, data=np.array([[-9999.0, 1.0]]), attributes={"_FillValue": fill}
        )
        (piece, _), *_ = as_points(array).blocks[0].source.pieces()
        np.testing.assert_array_equal(piece, [[expected, 1.0]])


@pytest.mark.parametrize("attributes", [{"scale_factor": "a tenth"}, {"_FillValue": "none at all"}])
def test_attributes_that_say_nothing_are_refused(attributes):
    array = zarr.create_array({}, data=np.ones((3, 2)), attributes=attributes)
    with pytest.raises(ValueError, match=r"packed by attributes.*Correct them"):
        KMeans(1).fit(array)


def test_packed_weights_are_decoded(tmp_path):
    stored = np.array([[1, 2], [3, 4], [50, 60], [70, 80]], np.int16)
    attributes = {"scale_factor": 0.5}
    table = zarr.create_array({}, data=stored, attributes=attributes)
    weights = zarr.create_array({}, data=stored[:, 0], attributes=attributes)
    for data in (table, stored * 0.5, da.from_array(stored * 0.5, 2)):
        points = as_points(data, weights)
        source = points.blocks[0].source
        source = source.compute() if hasattr(source, "compute") else source
        of_pieces = np.concatenate([w for _, w in source.pieces()])
        np.testing.assert_array_equal(of_pieces, (stored[:, 0] * 0.5)[: len(of_pieces)])


def test_a_packed_store_from_end_to_end(tmp_path):
    """A member of a group with more chunks than blocks: fit, predict and transform decode."""
    kelvin = np.vstack([RNG.normal(280, 1, (500, 2)), RNG.normal(300, 1, (500, 2))]).round(2)
    kelvin[17, 1] = np.nan
    packing = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32768}
    for zarr_format in (2, 3):
        path = tmp_path / f"{zarr_format}.zarr"
        xr.Dataset({"t": (("s", "f"), kelvin)}).to_zarr(
            path, group="deep", zarr_format=zarr_format, **PLAIN,
            encoding={"t": {**packing, "chunks": (70, 2)}},
        )  # fmt: skip
        values = xr.open_zarr(path, group="deep", **PLAIN).t.values
        expected = KMeans(2, nan="skip", random_state=0).fit(values)
        model = KMeans(2, nan="skip", random_state=0).fit(str(path / "deep" / "t"))
        np.testing.assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
        np.testing.assert_array_equal(as_numpy(model.labels_), expected.labels_)
        distances = model.transform(str(path / "deep" / "t"))
        np.testing.assert_array_equal(as_numpy(distances), expected.transform(values))
        with pytest.raises(ValueError, match="row 17, column 1"):
            KMeans(2).fit(str(path / "deep" / "t"))
