"""The bare kernel on one core against the peak rate of fused multiply-adds, both measured here.

    python benchmarks/kernel.py [--dtype float64] [--repeat 5] [--glove glove_6B_50d_emb.npy]

One line a shape: time of an assignment whose labels all stand (no sums move), its rate
2 n d k / time as a share of the peak, what certainty costs, time of a first assignment (every row
moves), for each row how many candidates the quantized filter left, and the share of rows that went
on to the float32 filter, the float64 filter and the definition. Rows and centers rounded to 8 or 16
bits go beyond the peak.

What certainty costs: the share of the time that is saved by a kernel that believes its first
float32 score, without a second best, a bound or a later stage. Below zero where the quantized
filter, whose own proof that is, takes less time than believing float32.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from types import FunctionType

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from dask_kmeans import kernels
from dask_kmeans.kernels.emitter import CR, NV, VECTOR_BITS, Emitter, in_rows, register_tile

SHAPES = [
    (2_000_000, 16, 8), (500_000, 64, 256), (250_000, 128, 1024),
    (8_000_000, 2, 4), (100_000, 768, 1000),
]  # fmt: skip


@intrinsic
def _multiply_adds(typingctx, start, times):
    """Run independent chains of `times` vector multiply-adds; return a number that needs them."""

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, start)
        entry, loop, done = builder.block, *map(builder.append_basic_block, ("loop", "done"))
        x = e.splat(arguments[0], e.W)
        builder.branch(loop)
        builder.position_at_end(loop)
        n = builder.phi(ir.IntType(64))
        chains = [builder.phi(e.V) for _ in range(24 if VECTOR_BITS == 512 else 12)]
        after = [e.multiply_add(chain, x, x) for chain in chains]
        following = builder.add(n, n.type(1))
        n.add_incoming(n.type(0), entry)
        n.add_incoming(following, loop)
        for chain, new in zip(chains, after, strict=True):
            chain.add_incoming(x, entry)
            chain.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", following, arguments[1]), loop, done)
        builder.position_at_end(done)
        total = after[0]
        for chain in after[1:]:
            total = builder.fadd(total, chain)
        return builder.extract_element(total, ir.IntType(32)(0))

    return start(start, times), codegen


@njit
def _chains(start, times):
    return _multiply_adds(start, times)


@intrinsic
def _score(typingctx, centers, first, half, tile, d, best, index):
    """Like `score.score`, without the second best."""

    lane = tile.dtype

    def codegen(context, builder, signature, arguments):
        e = Emitter(context, builder, lane)
        centers, first, half, tile, d, *updated = e.unpack(signature, arguments)
        dot = register_tile(e, tile, d, in_rows(e, centers, first, d), e.multiply_add)
        best, index = e.load_vectors(updated[0]), e.load_vectors(updated[1], e.VI, 4)
        for r in range(CR):
            number = builder.add(first, ir.IntType(64)(r))
            half_of_center = e.splat_item(half, number)
            me = e.splat(builder.trunc(number, ir.IntType(32)))
            for v in range(NV):
                this = builder.fsub(half_of_center, dot[r][v])
                closer = builder.fcmp_ordered("<", this, best[v])
                index[v] = builder.select(closer, me, index[v])
                best[v] = e.smaller(this, best[v])
        e.store_vectors(best, updated[0])
        e.store_vectors(index, updated[1], 4)
        return context.get_dummy_value()

    return types.void(centers, first, half, tile, d, best, index), codegen


@njit(nogil=True)
def _score_alone(centers, first, half, tile, d, best, second, index):
    _score(centers, first, half, tile, d, best, index)


@njit(nogil=True)
def _certify_nothing(tile, d, best, second, bound, squares, index):
    pass


ASSIGN = sys.modules["dask_kmeans.kernels.assign"]
BELIEVING = {**vars(ASSIGN), "score": _score_alone, "certify": _certify_nothing}
_believing_filter = njit(nogil=True)(FunctionType(ASSIGN._filter.py_func.__code__, BELIEVING))


def believe(X, prepared, *others):
    """`kernels.assign` as it would be if the first float32 score were believed.

    prepared : without quantized centers.
    """
    certain, ASSIGN._filter = ASSIGN._filter, _believing_filter
    try:
        return kernels.assign(X, None, prepared, *others)
    finally:
        ASSIGN._filter = certain


def peak(dtype, times=20_000_000):
    """Floating-point operations a second that one core can do in `dtype`."""
    chains, lanes = (
        (24 if VECTOR_BITS == 512 else 12),
        VECTOR_BITS // (8 * np.dtype(dtype).itemsize),
    )
    return 2 * chains * lanes * times / best(lambda: _chains(np.dtype(dtype).type(0.5), times))


def best(function, repeat=5):
    """Seconds of the fastest of `repeat` calls, after one more to warm up."""
    function()
    seconds = []
    for _ in range(repeat):
        start = time.thread_time()
        function()
        seconds.append(time.thread_time() - start)
    return min(seconds)


def measure(X, centers, repeat):
    """Seconds when labels stand, the share of them when they are believed, seconds when every row
    moves, and the tally of the first."""
    k = len(centers)
    lo, hi = np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf)
    kernels.extent(X, lo, hi)
    fixed_point = kernels.FixedPoint.from_range(lo, hi, len(X))
    prepared, labels = kernels.prepare(centers), np.empty(len(X), np.int32)
    bare = kernels.prepare(centers)
    bare.quantized_by_bits = ()
    bare.few.best = {True: 0, False: 0}
    sums = fixed_point.zero_sums(k)

    def first():
        labels[:] = -1
        return kernels.assign(X, None, prepared, fixed_point, labels, sums)

    def again():
        return kernels.assign(X, None, prepared, fixed_point, labels, sums)

    def believed():
        return believe(X, bare, fixed_point, labels, sums)

    every = best(first, repeat)
    standing, unsure = [], []
    for _ in range(repeat):  # in turn: a machine is not equally fast at all times
        again()
        standing.append(best(again, 2))
        believed()  # which may change some labels
        unsure.append(best(believed, 2))
    return min(standing), statistics.median(np.divide(unsure, standing)), every, again()


def data_sets(options):
    """Name, rows and number of centers."""
    for n, d, k in SHAPES:
        X = np.random.default_rng(1).standard_normal((n, d), np.float32)
        yield f"{n:9} x {d:3}, {k:4}", X.astype(options.dtype, copy=False), k
    if options.glove:
        X = np.load(options.glove).astype(options.dtype)
        yield f"  GloVe {len(X)} x {X.shape[1]}, 100"[:21], X, 100


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--glove", type=Path)
    options = parser.parse_args()
    single, double = peak(np.float32) / 1e9, peak(np.float64) / 1e9
    print(f"peak of one core: {single:.0f} GF/s in float32, {double:.0f} in float64")
    print(
        "           n x d, k     standing    GF/s  of peak  certainty      moving   candidates"
        "   coarse   undecided      tied"
    )
    for name, X, k in data_sets(options):
        n, d = X.shape
        centers = X[np.random.default_rng(2).choice(n, k, replace=False)].astype(np.float64)
        seconds, believed, every, tally = measure(X, centers, options.repeat)
        rate = 2 * n * d * k / seconds / 1e9
        print(
            f"{name} {seconds * 1e3:9.1f} ms {rate:7.0f} {rate / single:8.0%}"
            f" {1 - believed:9.1%} {every * 1e3:8.1f} ms {tally.candidates / n:12.2f}"
            f" {tally.coarse / n:8.2%} {tally.undecided / n:11.4%} {tally.tied / n:9.4%}"
        )
