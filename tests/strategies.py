"""Data and chunkings as hypothesis strategies, and the tables they draw from.

Arrays are made by a seeded generator of a drawn kind instead of element by element: thousands of
interesting rows for the price of three integers, and a failing example is printed as those
integers.
"""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
DTYPES = INTEGERS + FLOATS


def _clusters(rng, n, d):
    """Three to five well-separated clusters."""
    means = rng.normal(scale=20.0, size=(rng.integers(3, 6), d))
    return means[rng.integers(len(means), size=n)] + rng.normal(size=(n, d))


def _grid(rng, n, d):
    """Integers 0..4: duplicates and exact ties everywhere."""
    return rng.integers(0, 5, size=(n, d)).astype(float)


def _halves(rng, n, d):
    """Multiples of 1/2 about zero: midpoints of pairs are rows as well."""
    return rng.integers(-4, 5, size=(n, d)) / 2


def _equal(rng, n, d):
    return np.tile(rng.normal(size=d), (n, 1))


def _few_distinct(rng, n, d):
    return rng.normal(size=(3, d))[rng.integers(3, size=n)]


def _offset(rng, n, d):
    """A year or metres in a projected grid: the spread is a millionth of the values."""
    return 1e6 + rng.normal(size=(n, d))


def _scaled(rng, n, d):
    """Features from 1e-20 to 1e20."""
    return rng.normal(size=(n, d)) * 10.0 ** np.linspace(-20, 20, d)


def _outlier(rng, n, d):
    """One value at 1e9 times the rest."""
    X = rng.normal(size=(n, d))
    X[rng.integers(n), rng.integers(d)] *= 1e9
    return X


def _denormal(rng, n, d):
    return rng.integers(-9, 10, size=(n, d)) * 5e-324


def _near_ties(rng, n, d):
    """A few points, each many times but for the last of float32's digits."""
    return rng.normal(size=(3, d))[rng.integers(3, size=n)] + 5e-8 * rng.normal(size=(n, d))


def _tiny(rng, n, d):
    """Squared distances are denormal numbers."""
    return 1e-155 * rng.normal(size=(n, d))


def _constant_feature(rng, n, d):
    X = rng.normal(size=(n, d))
    X[:, rng.integers(d)] = 7.25
    return X


KINDS = {
    "clusters": _clusters,
    "grid": _grid,
    "halves": _halves,
    "equal": _equal,
    "few distinct": _few_distinct,
    "offset": _offset,
    "scaled": _scaled,
    "outlier": _outlier,
    "denormal": _denormal,
    "near ties": _near_ties,
    "tiny": _tiny,
    "constant feature": _constant_feature,
}
"""name -> function(rng, n, d) -> float64 (n, d)"""

TIED = ("grid", "halves", "equal", "few distinct")
"""Kinds whose rows tie exactly between centers."""


def _strided_rows(X):
    return np.repeat(X, 2, axis=0)[::2]


def _strided_columns(X):
    return np.repeat(X, 3, axis=1)[:, ::3]


def _reversed_rows(X):
    return X[::-1].copy()[::-1]


def _reversed_both(X):
    return X[::-1, ::-1].copy()[::-1, ::-1]


def _inside_larger(X):
    outer = np.zeros((X.shape[0] + 5, X.shape[1] + 3), X.dtype)
    outer[2:-3, 1:-2] = X
    return outer[2:-3, 1:-2]


def _unaligned(X):
    raw = np.zeros(X.nbytes + 1, np.uint8)
    out = raw[1:].view(X.dtype).reshape(X.shape)
    out[...] = X
    return out


def _read_only(X):
    out = X.copy()
    out.flags.writeable = False
    return out


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "every second row": _strided_rows,
    "every third column": _strided_columns,
    "rows backwards": _reversed_rows,
    "both backwards": _reversed_both,
    "inside a larger array": _inside_larger,
    "unaligned": _unaligned,
    "read-only": _read_only,
}
"""name -> function(array) -> array of the same values, laid out otherwise"""


def make(kind, seed, n, d):
    """float64 (n, d) of one of KINDS: a pure function of the arguments."""
    return KINDS[kind](np.random.default_rng(seed), n, d)


def seeds():
    return st.integers(0, 2**32 - 1)


@st.composite
def points(draw, kinds=tuple(KINDS), rows=(1, 120), features=(1, 9)):
    """float64 arrays (n, d) of the given kinds."""
    kind = draw(st.sampled_from(kinds))
    n, d = draw(st.integers(*rows)), draw(st.integers(*features))
    return make(kind, draw(seeds()), n, d)


@st.composite
def weights_of(draw, n):
    """None, or float64 (n,): ones, integers, zeros among them, or anything; never all zero."""
    kind = draw(st.sampled_from(["none", "ones", "integers", "zeros among them", "any"]))
    if kind == "none":
        return None
    rng = np.random.default_rng(draw(seeds()))
    out = {
        "ones": np.ones(n),
        "integers": rng.integers(1, 5, size=n).astype(float),
        "zeros among them": rng.integers(0, 3, size=n) * rng.random(n),
        "any": rng.exponential(size=n),
    }[kind]
    out[rng.integers(n)] = 1.0
    return out


@st.composite
def chunks_of(draw, size, most=8):
    """A tuple of chunk sizes that add up to `size`; chunks may be empty."""
    cuts = draw(st.lists(st.integers(0, size), max_size=most - 1))
    edges = [0, *sorted(cuts), size]
    return tuple(int(b - a) for a, b in itertools.pairwise(edges))


@st.composite
def chunkings(draw, shape):
    """Chunks (rows, columns) for a dask array of the given shape; no column chunk is empty."""
    rows = draw(chunks_of(shape[0]))
    columns = tuple(c for c in draw(chunks_of(shape[1], most=3)) if c)
    return rows, columns


def layouts():
    """Functions that lay an array out in memory otherwise."""
    return st.sampled_from(sorted(LAYOUTS)).map(LAYOUTS.__getitem__)
