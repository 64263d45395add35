"""The same bits from the vector units of every machine: AVX-512, AVX2, or plain x86-64.

The three multiply small integers by other instructions, or not at all.
"""

import os
import platform
import subprocess
import sys

import pytest
from llvmlite.binding import get_host_cpu_features

AVX2 = "sse,sse2,sse3,ssse3,sse4.1,sse4.2,popcnt,avx,avx2,fma,f16c,bmi,bmi2,lzcnt,movbe,cx16"
TARGETS = {
    "host": {},
    "haswell": {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in AVX2.split(",")),
    },
    "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
}
AVX512 = f"{AVX2},avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
if get_host_cpu_features().get("avx512bw"):
    TARGETS["skylake-avx512"] = {
        "NUMBA_CPU_NAME": "skylake-avx512",
        "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in AVX512.split(",")),
    }
FOUND = {"haswell": ["256", "vpmadd"], "generic": ["128", ""], "skylake-avx512": ["512", "vpmadd"]}
"""Bits in a vector, and the instructions for small integers."""

DIGEST = """
import hashlib
import sys
import numpy as np
from dask_kmeans import kernels

sys.modules["dask_kmeans.kernels.assign"].LITTLE = 0  # the float64 filter for few rows too
digest = hashlib.sha256()
rng = np.random.default_rng(0)
for n, d, k, dtype in ((501, 19, 13, "f4"), (1000, 2, 4, "f4"), (333, 64, 130, "f4"),
                       (777, 99, 90, "f4"), (70, 9, 5, "f2")):
    X = rng.standard_normal((n, d)).astype(dtype)
    X[::7] = np.round(X[::7])
    if d == 99:  # the largest products and sums of small integers that there can be
        X = (np.sign(X + rng.choice([-2, 0, 2], (n, 1))) * (1 + X / 64)).astype(dtype)
    centers = np.vstack([X[: k - 2], X[3:5]]).astype(np.float64)
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    kernels.extent(X, low, high)
    for weights in (None, rng.random(n)):
        largest = None if weights is None else weights.max()
        fixed_point = kernels.FixedPoint.from_range(low, high, n, largest)
        labels, sums = np.full(n, -1, np.int32), fixed_point.zero_sums(k)
        kernels.assign(X, weights, kernels.prepare(centers), fixed_point, labels, sums)
        d2 = kernels.labelled_distances(X, centers, labels, np.empty(n))
        draws = kernels.exponential(1, 2, 3, np.empty(n)), kernels.uniform(1, 2, 3, np.empty(n))
        total = np.float64(kernels.ExactSum().add(d2, weights).value())
        table = kernels.distances(X, centers, np.empty((n, k)))
        for array in (labels, *sums, *fixed_point.means(sums), d2, *draws, total, table):
            digest.update(array.tobytes())
halves = np.arange(2**16).astype(np.uint16).view(np.float16)
halves = halves[np.isfinite(halves)].reshape(-1, 2)
squares = kernels.distances(halves, np.zeros((1, 2)), np.empty((len(halves), 1)))
assert (squares[:, 0] == (halves.astype(float) ** 2).sum(axis=1)).all()
from dask_kmeans.kernels import emitter
print(digest.hexdigest(), emitter.VECTOR_BITS, emitter.INTEGER_DOT, sep=",")
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86-64 targets")
def test_every_instruction_set_gives_the_same_bits(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / name), **target},
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, target in TARGETS.items()
    ]
    outputs = [process.communicate()[0].strip().split(",") for process in processes]
    assert [process.returncode for process in processes] == [0] * len(TARGETS)
    for name, (_, *found) in zip(TARGETS, outputs, strict=True):
        assert found == FOUND.get(name, found)
    assert len({digest for digest, *_ in outputs}) == 1
