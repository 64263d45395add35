"""Promise 2: one seed, one result, to the bit: a matrix of ways to run the same fit."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import strategies as our
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import INPUTS, as_numpy, blobs

from dask_kmeans import KMeans

# Integers from 0 to 120: int8, float16 and all the others hold the same values. Rows tie, too.
X = np.clip(np.rint(5 * blobs(1500, 5, 6, seed=4) + 60), 0, 120)
PARAMETERS = {"n_clusters": 7, "random_state": 11, "n_init": 2}


def fit(X, weights=None, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return KMeans(**{**PARAMETERS, **parameters}).fit(X, sample_weight=weights)


def bits(model):
    """Everything that has to agree."""
    return {
        "centers": model.cluster_centers_.astype(np.float64).tobytes(),
        "labels": as_numpy(model.labels_).tobytes(),
        "inertia": float(model.inertia_).hex(),
        "n_iter": model.n_iter_,
        "sizes": model.cluster_sizes_.tolist(),
    }


class ShuffledPool(Executor):
    """Runs what is submitted in an order of its own, on two threads: tasks finish in any order."""

    def __init__(self, seed):
        self._random, self._lock, self._waiting = random.Random(seed), threading.Lock(), []
        self._threads = ThreadPoolExecutor(2)

    def submit(self, function, *args, **kwargs):
        future = Future()
        with self._lock:
            self._waiting.append((future, function, args, kwargs))
        self._threads.submit(self._run_one)
        return future

    def _run_one(self):
        time.sleep(0.0005)  # lets others queue up, so that there is a choice
        with self._lock:
            chosen = self._waiting.pop(self._random.randrange(len(self._waiting)))
        future, function, args, kwargs = chosen
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)

    @property
    def _max_workers(self):  # Dask asks a pool for its width by this name
        return 2

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


@contextlib.contextmanager
def shuffled(seed):
    pool = ShuffledPool(seed)
    with dask.config.set(pool=pool):
        yield
    pool.shutdown()


def threads(count):
    return dask.config.set(scheduler="threads", num_workers=count)


@contextlib.contextmanager
def local_cluster(n_workers, threads_per_worker):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=threads_per_worker,
            processes=False,
            dashboard_address=":0",
            worker_dashboard_address=None,
        ) as cluster,
        Client(cluster),
    ):
        yield


CHUNKINGS = {
    "one chunk": (1500, 5),
    "tiny chunks": (37, 5),
    "odd chunks": ((1, 499, 3, 0, 997), 5),
    "row by row at first": ((1,) * 20 + (1480,), 5),
    "column chunks": (400, (2, 3)),
    "single columns": (333, 1),
}
ORDERINGS = {
    "one thread": lambda: threads(1),
    "two threads": lambda: threads(2),
    "eight threads": lambda: threads(8),
    "synchronous": lambda: dask.config.set(scheduler="synchronous"),
    "shuffled 1": lambda: shuffled(1),
    "shuffled 2": lambda: shuffled(2),
    "shuffled 3": lambda: shuffled(3),
}
CLUSTERS = {
    "one worker of one thread": (1, 1),
    "one worker of two threads": (1, 2),
    "two workers": (2, 1),
    "four workers": (4, 1),
}


def lazily(chunks):
    return da.from_array(X, chunks=chunks)


VARIANTS = {
    **{f"dtype {name}": (lambda folder, name=name: X.astype(name), None) for name in our.DTYPES},
    **{
        f"layout {name}": (lambda folder, lay=lay: lay(X), None)
        for name, lay in our.LAYOUTS.items()
    },
    "layout of float32, Fortran": (lambda folder: np.asfortranarray(X.astype("float32")), None),
    "byte order": (lambda folder: X.astype(">f8"), None),
    **{
        f"input {name}": (lambda folder, make=make: make(X, folder), None)
        for name, make in INPUTS.items()
    },
    **{
        f"chunks, {name}": (lambda folder, chunks=chunks: lazily(chunks), None)
        for name, chunks in CHUNKINGS.items()
    },
    **{
        f"tasks, {name}": (lambda folder: lazily((37, 5)), order)
        for name, order in ORDERINGS.items()
    },
    **{
        f"threads in memory, {name}": (lambda folder: X, order) for name, order in ORDERINGS.items()
    },
    **{
        f"cluster, {name}": (
            lambda folder: lazily((101, 5)),
            lambda size=size: local_cluster(*size),
        )
        for name, size in CLUSTERS.items()
    },
}
"""name -> (the data as it is handed in, the circumstances of the fit)"""


METRICS = ("euclidean", "cosine")


@pytest.fixture(scope="module")
def expected():
    return bits(fit(X))


@pytest.fixture(scope="module")
def expected_by_metric(expected):
    return {"euclidean": expected, "cosine": bits(fit(X, metric="cosine"))}


@pytest.mark.parametrize("metric", METRICS)
def test_the_matrix_is_a_matrix(metric, expected_by_metric):
    assert len(VARIANTS) >= 40
    # A fit that says nothing about its data could agree with itself as well.
    assert expected_by_metric[metric]["n_iter"] >= 4
    assert min(expected_by_metric[metric]["sizes"]) > 20


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_same_bits(variant, metric, expected_by_metric, tmp_path):
    make, circumstances = VARIANTS[variant]
    with circumstances() if circumstances else contextlib.nullcontext():
        assert bits(fit(make(tmp_path), metric=metric)) == expected_by_metric[metric]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dask", "zarr.Array", "Parquet, folder", "pandas"])
@pytest.mark.parametrize("metric", METRICS)
def test_same_bits_on_two_processes(kind, metric, expected_by_metric, client, tmp_path):
    found = bits(fit(INPUTS[kind](X, tmp_path), metric=metric))
    assert found == expected_by_metric[metric]


def _slowly(values, seed, block_info=None):
    """The chunk itself, after a while that another seed makes another one."""
    where = block_info[0]["chunk-location"][0]
    time.sleep(random.Random(seed * 1000 + where).random() * 0.01)
    return values


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_same_bits_whatever_finishes_first(seed, expected, client):
    slow = lazily((100, 5)).map_blocks(_slowly, seed, dtype=X.dtype, meta=X[:0])
    assert bits(fit(slow)) == expected


INITS = ["k-means||", "k-means++", "random", "random_partition", "random_pairs", "random_box"]


@pytest.mark.parametrize("init", INITS)
@settings(max_examples=8)
@given(
    chunks=our.chunkings((200, 3)),
    n_threads=st.sampled_from([1, 2, 8]),
    weighted=st.booleans(),
    holed=st.booleans(),
)
def test_no_chunking_changes_a_bit(init, chunks, n_threads, weighted, holed):
    """Every start, with weights and without, with rows left out and without."""
    Y = blobs(200, 3, 4, seed=8)
    if holed:
        Y[::11, 1] = np.nan
    weights = np.random.default_rng(0).integers(0, 3, size=200) / 4 if weighted else None
    parameters = {"n_clusters": 4, "init": init, "nan": "skip"}
    reference = bits(fit(Y, weights, **parameters))
    lazy_weights = None if weights is None else da.from_array(weights, chunks=(chunks[0],))
    with threads(n_threads):
        assert bits(fit(da.from_array(Y, chunks=chunks), lazy_weights, **parameters)) == reference


@pytest.mark.parametrize("kind", our.KINDS)
@settings(max_examples=6)
@given(data=st.data())
def test_no_chunking_changes_a_bit_of_difficult_data(kind, data):
    Y = data.draw(our.points(kinds=[kind], rows=(8, 80)))
    chunks = data.draw(our.chunkings(Y.shape))
    with np.errstate(all="ignore"):
        reference = bits(fit(Y, n_clusters=4))
        assert bits(fit(da.from_array(Y, chunks=chunks), n_clusters=4)) == reference


# Rows enough for a sample, and so for a warm-up and leaps; one broad cloud, which takes its time.
LARGE = np.clip(np.rint(np.random.default_rng(3).normal(60, 14, size=(66_000, 3))), 0, 120)
ACCELERATED = {"n_clusters": 6, "random_state": 5, "tol": 1e-3}
LARGE_VARIANTS = {
    "uint8": (lambda: LARGE.astype("uint8"), None),
    "float32, Fortran order": (lambda: np.asfortranarray(LARGE.astype("float32")), None),
    "eight threads": (lambda: LARGE, ORDERINGS["eight threads"]),
    "one chunk": (lambda: da.from_array(LARGE, chunks=-1), None),
    "odd chunks": (lambda: da.from_array(LARGE, chunks=((1, 4999, 0, 61_000), 3)), None),
    "tiny chunks, eight threads": (lambda: da.from_array(LARGE, chunks=(211, 3)),
                                   ORDERINGS["eight threads"]),
    "shuffled": (lambda: da.from_array(LARGE, chunks=(500, 3)), ORDERINGS["shuffled 1"]),
    "two workers": (lambda: da.from_array(LARGE, chunks=(1000, 3)), lambda: local_cluster(2, 1)),
}  # fmt: skip


@pytest.fixture(scope="module")
def expected_of_large():
    return {metric: bits(fit(LARGE, **ACCELERATED, metric=metric)) for metric in METRICS}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("variant", LARGE_VARIANTS)
def test_same_bits_of_an_accelerated_fit(variant, metric, expected_of_large):
    make, circumstances = LARGE_VARIANTS[variant]
    with circumstances() if circumstances else contextlib.nullcontext():
        assert bits(fit(make(), **ACCELERATED, metric=metric)) == expected_of_large[metric]


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_same_bits_of_an_accelerated_fit_on_two_processes(metric, expected_of_large, client):
    lazy = da.from_array(LARGE, chunks=(700, 3))
    assert bits(fit(lazy, **ACCELERATED, metric=metric)) == expected_of_large[metric]


@pytest.mark.parametrize("metric", METRICS)
def test_the_acceleration_is_at_work(metric):
    """Else the comparisons above would say nothing about it."""
    passes = {
        algorithm: fit(LARGE, **ACCELERATED, algorithm=algorithm, metric=metric).n_passes_
        for algorithm in ("auto", "lloyd")
    }
    assert passes["auto"] < passes["lloyd"]


def test_another_seed_gives_another_result():
    """The agreement above is not for want of randomness."""
    starts = {fit(X, random_state=seed, max_iter=1).cluster_centers_.tobytes() for seed in range(6)}
    assert len(starts) == 6


def test_a_fit_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    fit(X)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


ALONE = """
import warnings, numpy as np
warnings.simplefilter("ignore")
import json
from dask_kmeans.kernels import emitter
from test_same_bits import X, bits, fit
print(emitter.VECTOR_BITS)
for start in ("k-means||", "k-means++"):
    for dtype in ("float64", "float32", "uint8"):
        found = bits(fit(X.astype(dtype), init=start))
        print(json.dumps({key: value.hex() if isinstance(value, bytes) else value
                          for key, value in found.items()}, sort_keys=True))
weights = np.random.default_rng(0).random(len(X))
print(bits(fit(X, weights, metric="cosine")))
print(bits(fit(X + 0.1, weights))["inertia"], bits(fit(X * 1.7, weights))["centers"].hex())
"""


def in_a_new_process(**environment):
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        env={**os.environ, **environment},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def native_output():
    return in_a_new_process(PYTHONPATH=import_path())


def import_path():
    import dask_kmeans

    return str(Path(dask_kmeans.__file__).parent.parent)


AVX2 = "+avx,+avx2,+fma,+f16c,+bmi,+bmi2"
AVX512 = AVX2 + ",+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cpu", "features", "bits_of_a_vector"),
    [
        pytest.param("skylake-avx512", AVX512, 512, id="AVX-512"),
        pytest.param("haswell", AVX2, 256, id="AVX2"),
        pytest.param("nehalem", "+sse4.2", 128, id="SSE4.2, no fused operations"),
        pytest.param("x86-64", "", 128, id="generic x86-64"),
    ],
)
def test_same_bits_on_other_instruction_sets(
    cpu, features, bits_of_a_vector, native_output, tmp_path
):
    """Compiled for another CPU; one that this CPU cannot stand in for is skipped."""
    import llvmlite.binding as llvm

    here = llvm.get_host_cpu_features()
    if not all(here.get(name.lstrip("+")) for name in features.split(",") if name):
        pytest.skip(f"this CPU is no {cpu}")
    output = in_a_new_process(
        PYTHONPATH=import_path(),
        NUMBA_CPU_NAME=cpu,
        NUMBA_CPU_FEATURES=features,
        NUMBA_CACHE_DIR=str(tmp_path),
    )
    width, results = output.split("\n", 1)
    assert int(width) == bits_of_a_vector
    assert results == native_output.split("\n", 1)[1]
