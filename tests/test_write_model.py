"""The stored model: comes back as it went, whole or not at all, and nothing else is believed."""

import dataclasses
import json
import math

import fsspec
import numpy as np
import pytest
import zarr

from dask_kmeans.result import FittedModel
from dask_kmeans.write import load_fitted, save_model
from dask_kmeans.write import place as places

MODEL = FittedModel(
    cluster_centers=np.array([[0.1, -2.0], [1 / 3, 1e300], [5e-324, 0.0]]),
    cluster_sizes=np.array([3, 0, 2**40]),
    inertia=0.1 + 0.2,
    n_iter=2,
    n_passes=6,
    converged=True,
    stop_reason="no label changed",
    feature_names=("a", "Höhe"),
    parameters={"n_clusters": 3, "tol": 1e-4, "init": "k-means||", "random_state": None},
    history=[
        {
            "iteration": 1,
            "changed": 5,
            "inertia": 0.5,
            "center_shift": 0.1,
            "examined": 5,
            "bytes_read": 80,
            "seconds": 0.25,
        }
    ],
    standardization={"mean": [1.5, 0.0], "scale": [2.0, 1.0]},
)


@pytest.fixture(params=["local", "remote"])
def url(request, tmp_path):
    """Where a model may go: a local path, and a URL of a store that cannot move things."""
    if request.param == "local":
        yield str(tmp_path / "model.zarr")
    else:
        yield f"memory://{tmp_path.name}/model.zarr"
        fsspec.filesystem("memory").store.clear()


def same(a, b):
    for field in dataclasses.fields(FittedModel):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype, field.name
            assert left.tobytes() == right.tobytes(), field.name
        else:
            assert left == right, field.name


def test_a_model_comes_back_to_the_bit(url):
    save_model(MODEL, url)
    same(load_fitted(url), MODEL)


def test_centers_of_version_1_were_standardized(tmp_path):
    save_model(MODEL, str(tmp_path / "m.zarr"))
    edit(tmp_path / "m.zarr", format_version=1)
    mean, scale = (np.array(MODEL.standardization[name]) for name in ("mean", "scale"))
    centers = load_fitted(str(tmp_path / "m.zarr")).cluster_centers
    np.testing.assert_array_equal(centers, MODEL.cluster_centers * scale + mean)


def test_a_model_without_names_and_standardization(url):
    bare = dataclasses.replace(MODEL, feature_names=None, standardization=None)
    save_model(bare, url)
    same(load_fitted(url), bare)


UNSTORABLE = {
    "inertia": {"inertia": math.inf},
    "inertia that is NaN": {"inertia": math.nan},
    "centers": {"cluster_centers": np.full((3, 2), np.nan)},
    "sizes": {"cluster_sizes": np.array([1, 2])},
    "history": {"history": [{**MODEL.history[0], "center_shift": math.inf}]},
    "fields of history": {"history": [{"inertia": 1.0}]},
    "names": {"feature_names": ("a",)},
    "standardization": {"standardization": {"mean": [0.0, 0.0], "scale": [1.0, math.inf]}},
    "metric": {"metric": "dot"},
    "centers that are no unit vectors": {"metric": "cosine"},
    "an object": {"parameters": {"init": object()}},
}


@pytest.mark.parametrize("what", UNSTORABLE)
def test_what_could_not_be_loaded_is_not_written(what, tmp_path):
    save_model(MODEL, tmp_path / "m.zarr")
    with pytest.raises((ValueError, TypeError), match=r"cannot be saved|no form in JSON"):
        save_model(
            dataclasses.replace(MODEL, **UNSTORABLE[what]), tmp_path / "m.zarr", overwrite=True
        )
    assert [path.name for path in tmp_path.iterdir()] == ["m.zarr"]
    same(load_fitted(tmp_path / "m.zarr"), MODEL)


def test_an_existing_model_is_left_alone_unless_told(url):
    save_model(MODEL, url)
    other = dataclasses.replace(MODEL, n_iter=9)
    with pytest.raises(FileExistsError, match=r"exists already.*overwrite=True"):
        save_model(other, url)
    same(load_fitted(url), MODEL)
    save_model(other, url, overwrite=True)
    same(load_fitted(url), other)


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    zarr.create_array(str(tmp_path / "data.zarr"), shape=(3,), dtype="f8")
    for name in ("photos", "data.zarr"):
        with pytest.raises(FileExistsError, match=r"dask_kmeans did not write.*not even"):
            save_model(MODEL, tmp_path / name, overwrite=True)
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "meow"
    assert zarr.open_array(str(tmp_path / "data.zarr")).shape == (3,)


def test_an_empty_folder_is_no_obstacle(tmp_path):
    save_model(MODEL, tmp_path)
    same(load_fitted(tmp_path), MODEL)


def test_a_failure_leaves_nothing_behind(url, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise OSError("disk full")

    before = fsspec.filesystem("memory").find("/")
    monkeypatch.setattr(zarr.Group, "create_array", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(MODEL, url)
    assert list(tmp_path.iterdir()) == []
    assert fsspec.filesystem("memory").find("/") == before


def test_a_failed_overwrite_leaves_the_old_model(tmp_path, monkeypatch):
    save_model(MODEL, tmp_path / "m.zarr")
    monkeypatch.setattr(zarr.Group, "create_array", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_model(dataclasses.replace(MODEL, n_iter=9), tmp_path / "m.zarr", overwrite=True)
    monkeypatch.undo()
    same(load_fitted(tmp_path / "m.zarr"), MODEL)
    assert [path.name for path in tmp_path.iterdir()] == ["m.zarr"]


def test_what_a_killed_writer_left_is_removed(tmp_path, monkeypatch):
    prefix = f".m.zarr.{places.socket.gethostname()}-"
    for writer in (f"{prefix}{2**22 + 1}.partial", f"{prefix}{2**22 + 1}.old"):
        (tmp_path / writer).mkdir()
    alive = tmp_path / f"{prefix}1.partial"
    alive.mkdir()
    save_model(MODEL, tmp_path / "m.zarr")
    assert sorted(tmp_path.iterdir()) == sorted([alive, tmp_path / "m.zarr"])


def test_a_remote_model_cut_short_is_nothing_and_is_written_over():
    """As a SIGKILL in the middle of an upload leaves it."""
    fs = fsspec.filesystem("memory")
    url = "memory://killed/model.zarr"
    save_model(MODEL, url)
    fs.rm_file("/killed/model.zarr/zarr.json")
    fs.pipe_file("/killed/model.zarr.incomplete", b"")
    with pytest.raises(FileNotFoundError, match="Nothing exists at"):
        load_fitted(url)
    save_model(MODEL, url)
    same(load_fitted(url), MODEL)
    assert not fs.exists("/killed/model.zarr.incomplete")
    fs.store.clear()


def test_the_marker_of_a_remote_model_is_uploaded_last(monkeypatch):
    fs = fsspec.filesystem("memory")
    uploaded = []
    put_file = type(fs).put_file

    def record(self, local, remote, **kwargs):
        uploaded.append(remote)
        return put_file(self, local, remote, **kwargs)

    monkeypatch.setattr(type(fs), "put_file", record)
    save_model(MODEL, "memory://order/model.zarr")
    assert uploaded[-1] == "/order/model.zarr/zarr.json"
    assert len(uploaded) == 5
    fs.store.clear()


def test_no_folder_to_write_to(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"there is no folder .*/nowhere. Type os\.makedirs"
    ):
        save_model(MODEL, tmp_path / "nowhere" / "m.zarr")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "error", "text"),
    [
        ("nosuch://bucket/model", ValueError, "fsspec knows no 'nosuch://'"),
        ("abfs://bucket/model", ImportError, "pip install adlfs"),
    ],
)
def test_urls_that_nobody_can_open(url, error, text):
    with pytest.raises(error, match=text):
        save_model(MODEL, url)
    with pytest.raises(error, match=text):
        load_fitted(url)


# ------------------------------------------------------------------- damaged and hostile models


def edit(folder, **changes):
    path = folder / "zarr.json"
    content = json.loads(path.read_text())
    content["attributes"].update(changes)
    path.write_text(json.dumps(content))


def drop(folder, name):
    path = folder / "zarr.json"
    content = json.loads(path.read_text())
    del content["attributes"][name]
    path.write_text(json.dumps(content))


def edit_array(folder, name, **changes):
    path = folder / name / "zarr.json"
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))


def centers_chunk(folder):
    return folder / "cluster_centers" / "c" / "0" / "0"


def flip_a_bit(folder):
    content = bytearray(centers_chunk(folder).read_bytes())
    content[7] ^= 1
    centers_chunk(folder).write_bytes(content)


PICKLE = {"name": "numcodecs.pickle", "configuration": {}}
ZSTD = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}

DAMAGE = {
    "not ours": (lambda f: drop(f, "dask_kmeans"), "its attributes lack 'dask_kmeans': 'model'"),
    "labels": (lambda f: edit(f, dask_kmeans="labels"), "its attributes lack"),
    "older than any": (lambda f: edit(f, format_version=0), "format_version is 0, and this"),
    "newer": (lambda f: edit(f, format_version=3), "format_version is 3, and this .* reads 1 to 2"),
    "no version": (lambda f: drop(f, "format_version"), "format_version is None"),
    "not json": (lambda f: (f / "zarr.json").write_text("{"), "is not a valid model"),
    "json of something else": (lambda f: (f / "zarr.json").write_text("[1, 2]"), "is not a valid"),
    "no marker": (lambda f: (f / "zarr.json").unlink(), "it has no zarr.json"),
    "no field": (lambda f: drop(f, "inertia"), "it has no attribute inertia"),
    "negative inertia": (lambda f: edit(f, inertia=-1), "inertia is not a number >= 0: -1"),
    "text as inertia": (lambda f: edit(f, inertia="1"), "inertia is not a number >= 0: '1'"),
    "NaN as inertia": (lambda f: edit(f, inertia=float("nan")), "inertia is not a number"),
    "bool as count": (lambda f: edit(f, n_iter=True), "n_iter is not a count: True"),
    "huge field": (lambda f: edit(f, stop_reason=["x" * 10**6]),
                   r"stop_reason is not a text: .{83}\."),
    "names": (lambda f: edit(f, feature_names=["a"]), "feature_names has 1 entries for 2 features"),
    "names of numbers": (lambda f: edit(f, feature_names=[1, 2]), "feature_names is not a list"),
    "history": (lambda f: edit(f, history=[1]), "history is not a list of records"),
    "history of another version": (
        lambda f: edit(f, history=[{**MODEL.history[0], "gpu": 1}]), "history is not a list of",
    ),
    "infinity in the history": (
        lambda f: edit(f, history=[{**MODEL.history[0], "inertia": None}]),
        "history is not a list of records of iterations, all numbers finite",
    ),
    "a field of a newer version": (
        lambda f: edit(f, cosine=True),
        "attributes that this dask_kmeans does not know: 'cosine'. Type pip install --upgrade",
    ),
    "an array of a newer version": (
        lambda f: zarr.open_group(str(f)).create_array("medoids", shape=(2,), dtype="f8"),
        "arrays that this dask_kmeans does not know: 'medoids'",
    ),
    "a field that is missing": (
        lambda f: drop(f, "standardization"), "it has no attribute standardization"
    ),
    "scale 0": (
        lambda f: edit(f, standardization={"mean": [0, 0], "scale": [1, 0]}),
        "standardization is not means and positive scales",
    ),
    "scale too short": (
        lambda f: edit(f, standardization={"mean": [0, 0], "scale": [1]}),
        "scale has 1 entries for 2 features",
    ),
    "no centers": (
        lambda f: (f / "cluster_centers" / "zarr.json").unlink(),
        "it has no array cluster_centers",
    ),
    "lost chunk": (lambda f: centers_chunk(f).unlink(), "cluster_centers has 0 bytes, not 52"),
    "cut chunk": (
        lambda f: centers_chunk(f).write_bytes(centers_chunk(f).read_bytes()[:20]),
        "cluster_centers has 20 bytes, not 52",
    ),
    "flipped bit": (flip_a_bit, "is not a valid model: .*checksum"),
    "another dtype": (
        lambda f: edit_array(f, "cluster_centers", data_type="float32"),
        "cluster_centers is float32 of shape",
    ),
    "a bomb": (
        lambda f: edit_array(
            f, "cluster_centers", shape=[10**9, 10**3],
            chunk_grid={"name": "regular", "configuration": {"chunk_shape": [10**9, 10**3]}},
        ),
        "cluster_centers has 52 bytes, not 8000000000004",
    ),
    "other shapes": (
        lambda f: edit_array(
            f, "cluster_sizes", shape=[2],
            chunk_grid={"name": "regular", "configuration": {"chunk_shape": [2]}},
        ),
        "is not a valid model",
    ),
    "pickle as codec": (
        lambda f: edit_array(f, "cluster_centers", codecs=[BYTES, PICKLE]),
        "is not a valid model",
    ),
    "another codec": (
        lambda f: edit_array(f, "cluster_centers", codecs=[BYTES, ZSTD]),
        "cluster_centers is not one chunk stored with bytes and crc32c",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Object at cluster_centers is not recognized")
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_an_error_of_ours(damage, tmp_path):
    spoil, text = DAMAGE[damage]
    folder = tmp_path / "model.zarr"
    save_model(MODEL, folder)
    spoil(folder)
    with pytest.raises(ValueError, match=r"model\.zarr is not a valid model: ") as caught:
        load_fitted(folder)
    assert caught.match(text)
    assert caught.match(r"Models are written by KMeans.save\(url\)")


@pytest.mark.parametrize("content", ["file", "folder", "array"])
def test_something_else_is_no_model(tmp_path, content):
    path = tmp_path / "thing"
    if content == "file":
        path.write_text("hello")
    elif content == "folder":
        path.mkdir()
        (path / "a").write_text("hello")
    else:
        zarr.create_array(str(path), shape=(2,), dtype="i4")
    with pytest.raises(ValueError, match="is not a valid model"):
        load_fitted(path)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Nothing exists at .*gone"):
        load_fitted(tmp_path / "gone")
