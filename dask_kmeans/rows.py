"""Rows: what passes of a fit go over, and what the first of them has found.

Mostly these are all rows. A fit with `fit_fraction` steps over a share of them, drawn where they
are read, and goes back to all of them for its last pass.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from dask_kmeans import checks
from dask_kmeans.blockwise import Blockwise
from dask_kmeans.metrics import METRICS
from dask_kmeans.parameters import FitParameters
from dask_kmeans.read import Points, PresentFeatures, Share, Standardization, Transform
from dask_kmeans.start import sample_for
from dask_kmeans.state import Rules
from dask_kmeans.survey import Survey, survey

logger = logging.getLogger("dask_kmeans")


class Rows(NamedTuple):
    """Rows that are counted and known to be sound."""

    points: Points
    blockwise: Blockwise
    found: Survey

    def through(self, transform: Transform) -> Rows:
        """The same rows after a transform that keeps the order of numbers."""
        points = self.points.through(transform)
        return Rows(
            points, self.blockwise.with_plan(blocks=points.blocks), self.found.through(transform)
        )

    def rules(self, parameters: FitParameters) -> Rules:
        """What steps over these rows go by."""
        return Rules(
            METRICS[parameters.metric].rule(self.found.fixed_point()), self.found.positive_rows,
            parameters.tol, parameters.max_iter,
        )  # fmt: skip

    def identity(self) -> dict[str, Any]:
        """What tells this data from other data: known after the survey, whatever the chunks."""
        found = self.found
        return {
            "rows": found.n_rows,
            "features": self.points.n_features,
            "rows_with_nan": found.nan_rows,
            "rows_that_count": found.positive_rows,
            "largest_weight": found.max_weight,
            "content": None if found.content is None else f"{found.content:016x}",
        }


def all_rows(points: Points, parameters: FitParameters, stack: ExitStack, *, content: bool) -> Rows:
    """All rows, after a look at them.

    Parameters
    ----------
    points : Points
    parameters : FitParameters
    stack : ExitStack
        Closes what passes hold.
    content : bool
        Whether they are to be identified by a hash of all rows.
    """
    budget = parameters.memory_budget if parameters.fit_fraction == 1 else 0
    blockwise = Blockwise(points.blocks, points.in_memory, budget, points.row_bytes)
    stack.callback(blockwise.close)
    metric = METRICS[parameters.metric].transforms
    if parameters.fit_fraction == 1:
        rows = _surveyed(points, blockwise, parameters, metric, content)
    else:
        found = survey(points, blockwise, parameters.nan, transforms=metric, content=content)
        points = points.with_counts(found.counts)
        rows = Rows(points, blockwise.with_plan(blocks=points.blocks), found)
    transforms, found = metric, rows.found
    all_present = bool(found.seen.all())
    if all_present and not transforms:
        return rows
    if not all_present:
        missing = np.flatnonzero(~found.seen).tolist()
        logger.info(checks.features_left_out_text(missing, points.feature_names))
        transforms, found = (PresentFeatures(found.seen), *metric), found.of_present_features()
    points = rows.points.through(*transforms)
    return Rows(points, blockwise.with_plan(blocks=points.blocks), found)


def rows_for_steps(every: Rows, parameters: FitParameters, stack: ExitStack) -> Rows:
    """The rows that steps look at, after a look at them: `every` row, or a share of them."""
    rows = every
    if parameters.fit_fraction < 1:
        points = Share(parameters.seed, parameters.fit_fraction).of_points(every.points)
        if points is None:
            raise checks.too_few_drawn_error(max(parameters.n_clusters), 0, parameters.fit_fraction)
        points = points.for_clusters(sum(parameters.n_clusters) * parameters.n_init)
        blockwise = every.blockwise.over(points.blocks, parameters.memory_budget)
        stack.callback(blockwise.close)
        rows = _surveyed(points, blockwise, parameters)
    # A share without any value of a feature has no row that counts.
    counting = rows.found.positive_rows if rows.found.seen.all() else 0
    k = max(parameters.n_clusters)
    if k > counting and parameters.fit_fraction < 1:
        raise checks.too_few_drawn_error(k, counting, parameters.fit_fraction)
    checks.check_n_clusters_against_rows(k, counting)
    return rows


def as_compared(rows: Rows, every: Rows, parameters: FitParameters) -> tuple[Rows, Rows]:
    """Both, of which `every` may be the same, standardized by what is known of `rows`, and
    weighted."""
    alike = every is rows
    standardization = None
    if parameters.standardize:
        standardization = rows.found.standardization()
    if parameters.feature_weight is not None:
        # Those of the features that have values.
        (weights,) = rows.points.inward(parameters.feature_weight[None])
        plain = standardization or Standardization.of_none(len(weights))
        standardization = plain.weighted(weights)
    if standardization is not None:
        rows = rows.through(standardization)
        every = rows if alike else every.through(standardization)
    rows.found.check_spread()
    if not alike:
        every.found.check_spread()
    return rows, every


def _surveyed(
    points: Points,
    blockwise: Blockwise,
    parameters: FitParameters,
    transforms: Sequence[Transform] = (),
    content: bool = False,
) -> Rows:
    """Rows for steps: where they are numbered, their sample is collected on the way of the pass.

    transforms : what they will go through once features without values are left out.
    """
    sample = sample_for(points, points.n_rows or 0, parameters)
    collecting = blockwise if sample is None else blockwise.with_plan(collector=sample)
    found = survey(
        points, collecting, parameters.nan, transforms=transforms, moments=parameters.standardize,
        content=content,
    )  # fmt: skip
    counted = points.with_counts(found.counts)
    if counted is not points:
        blockwise = blockwise.with_plan(blocks=counted.blocks)
    return Rows(counted, blockwise, found)
