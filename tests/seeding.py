"""Seeding alone, without the fit around it: data in pieces and blocks of any size, reads
counted."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from strategies import chunks_of

from dask_kmeans.blockwise import Block, Blockwise
from dask_kmeans.centers import MeanCenters
from dask_kmeans.read import as_points
from dask_kmeans.read.pieces import Piece
from dask_kmeans.seed import SeedParameters, make_seeds
from dask_kmeans.survey import survey

METHODS = ("k-means||", "k-means++", "random", "random_partition", "random_pairs", "random_box")


class Rows:
    """A source of one block that counts how often it is read, and may forget what tasks cached."""

    def __init__(self, X, weights=None, piece=10**9):
        self.X, self.weights, self.piece, self.reads = X, weights, piece, 0

    def pieces(self):
        self.reads += 1
        for first in range(0, len(self.X), self.piece):
            rows = slice(first, first + self.piece)
            yield Piece(self.X[rows], None if self.weights is None else self.weights[rows])


class Data:
    """Rows cut into blocks, surveyed and ready for any step of the seeding."""

    def __init__(self, X, weights=None, chunks=None, piece=10**9, nan="raise"):
        ends = np.cumsum([len(X)] if chunks is None else chunks).tolist()
        self.sources = [
            Rows(X[first:end], None if weights is None else weights[first:end], piece)
            for first, end in zip([0, *ends], ends, strict=False)
        ]
        blocks = [
            Block(at, end - len(source.X), len(source.X), source)
            for at, (source, end) in enumerate(zip(self.sources, ends, strict=True))
        ]
        self.points = as_points(X, weights)
        self.blockwise = Blockwise(blocks, in_memory=True)
        self.survey = survey_of(self, nan)
        self.rule = MeanCenters(self.survey.fixed_point())
        self.surveyed = self.blockwise.passes

    def passes(self):
        """How often every block has been read since the survey; the blocks must agree."""
        (reads,) = {source.reads for source in self.sources}
        assert reads == self.blockwise.passes
        return reads - self.surveyed

    def seeds(self, init="k-means||", n_clusters=5, n_init=1, random_state=0, **more):
        parameters = {"oversampling_factor": None, "init_rounds": None, **more}
        return make_seeds(
            self.points, self.blockwise, self.survey, self.rule, n_clusters,
            SeedParameters(init, n_init, random_state=random_state, **parameters),
        )  # fmt: skip


def survey_of(data, nan):
    """The survey of blocks that know their rows already."""
    points = data.points
    return survey(_Blocks(points, data.blockwise.plan.blocks), data.blockwise, nan)


class _Blocks:
    def __init__(self, points, blocks):
        self.blocks = blocks
        self.n_features, self.weighted = points.n_features, points.weighted
        self.feature_names = points.feature_names


@st.composite
def cuts_of(draw, rows):
    """(chunks of the rows, rows of a piece)"""
    return draw(chunks_of(rows)), draw(st.integers(1, max(1, rows)))
