"""A fit that was stopped, at any moment and by anything, goes on to the same bits."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import uuid
import warnings
import zipfile
from pathlib import Path

import dask.array as da
import fsspec
import numpy as np
import pytest
from inputs import blobs, kmeans_with

from dask_kmeans import KMeans, load_model
from dask_kmeans.sample import plan_sample

X = blobs(7000, 4, 6, seed=3)
SEED = {"n_clusters": 6, "random_state": 5, "tol": 0.0}
KINDS = {
    "plain": {**SEED, "init": X[:6]},
    "seeded": SEED,
    "restarts": {**SEED, "init": "random", "n_init": 3},
    "Lloyd's own": {**SEED, "algorithm": "lloyd"},
}
"""name -> parameters; data of this size is sampled, so that "seeded" is warmed up and leaps"""


def fit(X=X, weights=None, kind=KMeans, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(**parameters).fit(X, sample_weight=weights)


def bits(model):
    """All that must not differ; how long it took may, and how often the data was read."""
    return {
        "centers": model.cluster_centers_.tobytes(),
        "labels": np.asarray(model.labels_).tobytes(),
        "inertia": model.inertia_.hex(),
        "n_iter": model.n_iter_,
        "sizes": model.cluster_sizes_.tolist(),
        "reason": model.stop_reason_,
        "history": [record._replace(seconds=0.0) for record in model.history_],
    }


def test_data_of_this_size_is_sampled():
    assert plan_sample(*X.shape, SEED["n_clusters"], SEED["random_state"]) is not None


class Interruption(Exception):
    pass


def interrupted(iteration, **parameters):
    """A fit that ends by an exception once it has done this many iterations."""

    def stop(record):
        if record.iteration == iteration:
            raise Interruption

    with pytest.raises(Interruption):
        fit(callbacks=[stop], **parameters)


@pytest.fixture
def url(tmp_path):
    return str(tmp_path / "state.checkpoint")


@pytest.mark.parametrize("kind", KINDS)
def test_goes_on_from_every_iteration(kind, url):
    parameters = KINDS[kind]
    undisturbed = fit(**parameters)
    assert undisturbed.n_iter_ > 2
    # Callbacks hear of the first run that still moves: restarts may settle before the best one.
    for iteration in range(1, min(6, undisturbed.n_iter_)):
        interrupted(iteration, checkpoint=url, **parameters)
        resumed = fit(checkpoint=url, **parameters)
        assert bits(resumed) == bits(undisturbed)
        os.remove(url)


def test_goes_on_once_an_iteration(url):
    """As unlucky as can be: interrupted after every single iteration."""
    parameters = KINDS["plain"]
    undisturbed = fit(**parameters)
    for iteration in range(1, undisturbed.n_iter_):
        interrupted(iteration, checkpoint=url, **parameters)
    assert bits(fit(checkpoint=url, **parameters)) == bits(undisturbed)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_round_trip_of_difficult_data(weighted, url):
    """Weights, rows left out, features of very different ranges; lazy, then in memory."""
    Y = X * [1e-12, 1.0, 1e9, 1e15]
    Y[::9, 1] = np.nan
    weights = np.random.default_rng(0).random(len(Y)) if weighted else None
    parameters = {**SEED, "nan": "skip", "n_clusters": 5}
    undisturbed = fit(Y, weights, **parameters)
    lazy = da.from_array(Y, chunks=(700, 2))
    lazy_weights = None if weights is None else da.from_array(weights, chunks=700)

    def stop(record):
        if record.iteration == 2:
            raise Interruption

    with pytest.raises(Interruption):
        fit(lazy, lazy_weights, checkpoint=url, callbacks=[stop], **parameters)
    assert bits(fit(Y, weights, checkpoint=url, **parameters)) == bits(undisturbed)


def test_a_state_that_is_finished_needs_no_iteration(url):
    done = fit(checkpoint=url, **KINDS["plain"])
    heard = []
    again = fit(checkpoint=url, callbacks=[heard.append], **KINDS["plain"])
    assert heard == []
    assert bits(again) == bits(done)


def test_passes_count_every_read_of_both_processes(url):
    """Those until the state was kept, then those of the process that goes on: its survey too."""
    parameters = KINDS["plain"]
    undisturbed = fit(**parameters)
    assert undisturbed.n_passes_ == 1 + undisturbed.n_iter_ + 1
    interrupted(2, checkpoint=url, **parameters)
    assert fit(checkpoint=url, **parameters).n_passes_ == undisturbed.n_passes_ + 1


def test_unseeded_fit_goes_on_with_the_seed_that_it_drew(url):
    parameters = {**SEED, "random_state": None}
    interrupted(2, checkpoint=url, **parameters)
    state = Path(url).read_bytes()
    first = fit(checkpoint=url, **parameters)
    Path(url).write_bytes(state)
    assert bits(fit(checkpoint=url, **parameters)) == bits(first)


# Killed


KILLED = """
import sys, time, warnings
import test_checkpoint as here
warnings.simplefilter("ignore")
def note(record):
    print(record.iteration, flush=True)
    time.sleep(0.02)
model = here.fit(checkpoint=sys.argv[2], callbacks=[note], **here.KINDS[sys.argv[1]])
"""


def driver(kind, url):
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, kind, url],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["plain", "seeded"])
def test_goes_on_after_sigkill(kind, seed, url):
    """Killed at a random moment after a random iteration; what is left is a state or nothing."""
    generator = random.Random(f"{kind} {seed}")
    parameters = KINDS[kind]
    undisturbed = fit(**parameters)
    stop_at = generator.randrange(1, undisturbed.n_iter_)
    with driver(kind, url) as process:
        while process.stdout.readline() not in ("", f"{stop_at}\n"):
            pass
        time.sleep(generator.random() * 0.04)
        process.send_signal(signal.SIGKILL)
    assert bits(fit(checkpoint=url, **parameters)) == bits(undisturbed)
    assert os.listdir(os.path.dirname(url)) == [os.path.basename(url)]  # no litter of the dead


# Refused


def test_other_data_is_refused_by_name(url):
    interrupted(2, checkpoint=url, **KINDS["plain"])
    with pytest.raises(ValueError, match=r"is of other data: .*rows was 7000 and is 6999"):
        fit(X[:-1], checkpoint=url, **KINDS["plain"])
    with pytest.raises(ValueError, match=r"is of other data: content was"):
        fit(X + 1, checkpoint=url, **KINDS["plain"])
    with pytest.raises(ValueError, match=r"is of other data: .*largest_weight was None and is 2.0"):
        fit(X, np.full(len(X), 2.0), checkpoint=url, **KINDS["plain"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_iter", 17), ("tol", 1e-3), ("random_state", 6), ("nan", "skip")],
)
def test_other_parameters_are_refused_by_name(name, value, url):
    interrupted(1, checkpoint=url, **SEED)
    said = {"random_state": "seed"}.get(name, name)
    with pytest.raises(
        ValueError, match=rf"is of other parameters: .*{said} was .* and is .*{value}"
    ):
        fit(checkpoint=url, **{**SEED, name: value})


def test_another_start_is_refused(url):
    interrupted(1, checkpoint=url, **KINDS["plain"])
    with pytest.raises(ValueError, match=r"is of other parameters: init was 'array "):
        fit(checkpoint=url, **{**KINDS["plain"], "init": X[6:12]})
    with pytest.raises(ValueError, match=r"is of other parameters: .*n_clusters was 6 and is 5"):
        fit(checkpoint=url, **{**KINDS["plain"], "init": X[:5], "n_clusters": 5})


# Damaged and hostile files


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """The bytes of a good checkpoint."""
    path = tmp_path_factory.mktemp("checkpoint") / "state"
    interrupted(2, checkpoint=str(path), **KINDS["plain"])
    return path.read_bytes()


def refuses(content, url):
    """The file is refused as not a checkpoint, and left as it is."""
    Path(url).write_bytes(content)
    with pytest.raises(ValueError, match=r"is not a valid checkpoint: .*Remove it") as caught:
        fit(checkpoint=url, **KINDS["plain"])
    assert Path(url).read_bytes() == content
    return str(caught.value)


def test_a_truncated_file_is_refused(state, url):
    for length in [0, 1, 4, 30, 100, *range(200, len(state), 211), len(state) - 1]:
        refuses(state[:length], url)


def test_a_flipped_bit_is_refused_or_means_nothing(state, url):
    """zip has bytes without meaning (dates); a flip anywhere else is found."""
    generator = random.Random(0)
    undisturbed = bits(fit(**KINDS["plain"]))
    for _ in range(60):
        content = bytearray(state)
        at = generator.randrange(len(content))
        content[at] ^= 1 << generator.randrange(8)
        Path(url).write_bytes(content)
        try:
            found = fit(checkpoint=url, **KINDS["plain"])
        except ValueError as error:
            assert "is not a valid checkpoint" in str(error)  # noqa: PT017
        else:
            assert bits(found) == undisturbed


def rebuilt(state, change_header=None, **replacements):
    """The checkpoint with another header or other arrays, and a digest that fits them."""
    from dask_kmeans.write.checkpoint import _digest

    with np.load(io.BytesIO(state)) as stored:
        arrays = {**stored, **replacements}
    header = json.loads(str(arrays.pop("header")))
    if change_header is not None:
        change_header(header)
    arrays = {name: array for name, array in arrays.items() if array is not None}
    header["digest"] = _digest(arrays)
    content = io.BytesIO()
    np.savez(content, header=np.array(json.dumps(header)), **arrays)
    return content.getvalue()


def test_the_way_hostile_files_are_made_here_makes_good_ones_too(state, url):
    Path(url).write_bytes(rebuilt(state))
    assert bits(fit(checkpoint=url, **KINDS["plain"])) == bits(fit(**KINDS["plain"]))


HEADERS = {
    "no runs": lambda h: h.update(runs=[]),
    "runs are numbers": lambda h: h.update(runs=[1, 2]),
    "runs are missing": lambda h: h.pop("runs"),
    "run without an entry": lambda h: h["runs"].append({}),
    "run of another number": lambda h: h["runs"][0].update(number=7),
    "run named like a file": lambda h: h["runs"][0].update(number="../../etc/passwd"),
    "negative passes": lambda h: h.update(passes=-4),
    "passes are a text": lambda h: h.update(passes="many"),
    "another version": lambda h: h.update(format_version=99),
    "another kind of file": lambda h: h.update(dask_kmeans="model"),
    "history of texts": lambda h: h["runs"][0].update(history=["abcdefg"]),
    "history of short records": lambda h: h["runs"][0].update(history=[[1, 2]]),
    "history that skips": lambda h: h["runs"][0]["history"].pop(0),
    "record of texts": lambda h: h["runs"][0]["history"][0].__setitem__(2, "1e3"),
    "unknown reason": lambda h: h["runs"][0].update(reason="__class__"),
    "offset is a list": lambda h: h["runs"][0].update(scatter_offset=[1]),
    "leap of infinity": lambda h: h["runs"][0].update(longest_leap=float("inf")),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_lies_is_refused(name, state, url):
    refuses(rebuilt(state, HEADERS[name]), url)


ARRAYS = {
    "centers of another shape": {"0/centers": np.zeros((7, 4))},
    "centers in one dimension": {"0/centers": np.zeros(24)},
    "centers of float32": {"0/centers": np.zeros((6, 4), np.float32)},
    "centers of texts": {"0/centers": np.full((6, 4), "x")},
    "centers that are NaN": {"0/centers": np.full((6, 4), np.nan)},
    "no centers": {"0/centers": None},
    "sums of another shape": {"0/high": np.zeros((6, 5), np.int64)},
    "counts of floats": {"0/counts": np.zeros(6)},
    "counts missing": {"0/counts": None},
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_lie_are_refused(name, state, url):
    refuses(rebuilt(state, **ARRAYS[name]), url)


class Bomb:
    """What a pickle can do; here it would leave a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def zipped(members, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        for name, member in members.items():
            file.writestr(name, member)
    return content.getvalue()


def npy(array, **kwargs):
    content = io.BytesIO()
    np.save(content, array, **kwargs)
    return content.getvalue()


def claiming(shape, dtype="<f8"):
    """An npy file that says it holds this, and holds nothing."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return content.getvalue()


def test_nothing_is_ever_unpickled(url, tmp_path):
    bomb = tmp_path / "exploded"
    objects = np.array([Bomb(bomb)], dtype=object)
    for content in (
        pickle.dumps(Bomb(bomb)),
        npy(objects, allow_pickle=True),
        zipped({"header.npy": npy(objects, allow_pickle=True)}),
        zipped({"header.npy": pickle.dumps(Bomb(bomb))}),
        zipped({"header": pickle.dumps(Bomb(bomb))}),
    ):
        refuses(content, url)
    assert not bomb.exists()


def test_claims_of_huge_arrays_cost_nothing(state, url):
    with zipfile.ZipFile(io.BytesIO(state)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    for shape in [(10**15,), (2**62, 2**62), (2**31, 2), (-1,), (10**6, 10**6)]:
        refuses(zipped({**members, "0/centers.npy": claiming(shape)}), url)
    refuses(zipped({**members, "header.npy": claiming((), f"<U{10**9}")}), url)
    refuses(zipped({"header.npy": npy(np.array("[" * 200_000))}), url)


def test_a_zip_bomb_is_not_inflated(url):
    content = zipped({"header.npy": npy(np.zeros(10**7))}, zipfile.ZIP_DEFLATED)
    assert "compressed" in refuses(content, url)


@pytest.mark.parametrize("content", [b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"{}"])
def test_something_else_altogether_is_refused(content, url):
    refuses(content, url)


# Places


def test_a_remote_place():
    url = f"memory://{uuid.uuid4().hex}/state"
    interrupted(3, checkpoint=url, **KINDS["plain"])
    assert fsspec.filesystem("memory").exists(url)
    assert bits(fit(checkpoint=url, **KINDS["plain"])) == bits(fit(**KINDS["plain"]))


def test_a_folder_that_is_missing_is_said_at_once(tmp_path):
    heard = []
    with pytest.raises(
        OSError, match=r"checkpoint .*there is no folder .*missing. Type os\.makedirs"
    ):
        fit(checkpoint=str(tmp_path / "missing" / "x"), callbacks=[heard.append], **KINDS["plain"])
    assert heard == []


def test_a_folder_is_no_place_for_a_checkpoint(tmp_path):
    (tmp_path / "file").touch()
    heard = []
    with pytest.raises(OSError, match="Cannot read the checkpoint"):
        fit(checkpoint=str(tmp_path), callbacks=[heard.append], **KINDS["plain"])
    assert heard == []


def test_a_failing_write_keeps_the_state_before(url, monkeypatch):
    """The disk is full when the third iteration is to be kept."""
    written = []
    real = os.fsync

    def full(descriptor):
        written.append(descriptor)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OSError, match=r"Cannot write the checkpoint .*state.checkpoint: .*No space"
    ):
        # Each iteration is saved at once.
        fit(checkpoint=url, kind=kmeans_with(saving_share=1.0), **KINDS["plain"])
    monkeypatch.undo()
    assert os.listdir(os.path.dirname(url)) == [os.path.basename(url)]
    heard = []
    found = fit(checkpoint=url, callbacks=[heard.append], **KINDS["plain"])
    assert heard[0].iteration == 3
    assert bits(found) == bits(fit(**KINDS["plain"]))


# The command line


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_goes_on_after_a_signal(number, tmp_path):
    """One line that says where the state is; the same command and --resume end with the same
    model."""
    np.save(tmp_path / "x.npy", blobs(60_000, 8, 30, seed=1))
    command = [
        sys.executable, "-c", "from dask_kmeans.cli import main; main()", "fit",
        str(tmp_path / "x.npy"), "-k", "60", "--tol", "0", "--max-iter", "40",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    kept = ["--model", str(tmp_path / "m.zarr"), "--checkpoint", str(tmp_path / "state")]
    stopped = subprocess.Popen(
        [*command, *kept], env=environment, stderr=subprocess.PIPE, text=True
    )
    with stopped:
        for line in stopped.stderr:
            if " iteration 2:" in line:
                stopped.send_signal(number)
                break
        *_, last = stopped.stderr.read().splitlines()
    assert stopped.returncode == 128 + number
    assert last == (
        f"dask-kmeans: stopped by {number.name}; no output was left half-written; go on from the "
        f"state in {tmp_path / 'state'} by --resume"
    )
    subprocess.run(
        [*command, *kept, "--resume", "--quiet"], env=environment, check=True, timeout=90
    )
    assert not (tmp_path / "state").exists()
    subprocess.run(
        [*command, "--model", str(tmp_path / "undisturbed.zarr"), "--quiet"], env=environment,
        check=True, timeout=90,
    )  # fmt: skip
    resumed, undisturbed = (load_model(str(tmp_path / n)) for n in ("m.zarr", "undisturbed.zarr"))
    assert resumed.cluster_centers_.tobytes() == undisturbed.cluster_centers_.tobytes()
    assert (resumed.inertia_, resumed.n_iter_) == (undisturbed.inertia_, undisturbed.n_iter_)
