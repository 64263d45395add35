"""The bare kernel on one core against the peak rate of fused multiply-adds, both measured here.

    python benchmarks/kernel.py [--dtype float64] [--repeat 5]

One line a shape: time of an assignment whose labels all stand (no sums move), its rate
2 n d k / time as a share of the peak, time of a first assignment (every row moves), for each row
how many candidates the lattice left, and the share of rows that went on to the float32 filter, the
float64 filter and the definition. Rows and centers rounded to 8 or 16 bits go beyond the peak.
"""

import argparse
import time

import numpy as np
from llvmlite import ir
from numba import njit
from numba.extending import intrinsic

from dask_kmeans import kernels
from dask_kmeans.kernels.lanes import VECTOR_BITS, Emitter

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
    """(seconds when labels stand, seconds when every row moves, tally of the first)."""
    k = len(centers)
    lo, hi = np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf)
    kernels.extent(X, lo, hi)
    fixed_point = kernels.FixedPoint.from_range(lo, hi, len(X))
    panel, labels = kernels.prepare(centers), np.empty(len(X), np.int32)
    sums = fixed_point.zero_sums(k)

    def first():
        labels[:] = -1
        return kernels.assign(X, None, panel, fixed_point, labels, sums)

    def again():
        return kernels.assign(X, None, panel, fixed_point, labels, sums)

    every = best(first, repeat)
    return best(again, repeat), every, again()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    single, double = peak(np.float32) / 1e9, peak(np.float64) / 1e9
    print(f"peak of one core: {single:.0f} GF/s in float32, {double:.0f} in float64")
    print(
        "           n x d, k     standing    GF/s  of peak      moving   candidates   coarse"
        "   undecided      tied"
    )
    for n, d, k in SHAPES:
        rng = np.random.default_rng(1)
        X = rng.standard_normal((n, d), np.float32).astype(options.dtype, copy=False)
        centers = X[rng.choice(n, k, replace=False)].astype(np.float64)
        seconds, every, tally = measure(X, centers, options.repeat)
        rate = 2 * n * d * k / seconds / 1e9
        print(
            f"{n:9} x {d:3}, {k:4} {seconds * 1e3:9.1f} ms {rate:7.0f} {rate / single:8.0%}"
            f" {every * 1e3:8.1f} ms {tally.candidates / n:12.2f} {tally.coarse / n:8.2%}"
            f" {tally.undecided / n:11.4%} {tally.tied / n:9.4%}"
        )
