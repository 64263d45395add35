"""Whether what a step has found can be of the data that the survey saw.

Sums are corrected by the rows that change their label, so rows that were overwritten in between
spoil them without a word. These checks take no look at the rows: sums that no data of the surveyed
range has, and an inertia that the sums do not explain.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from dask_kmeans import checks
from dask_kmeans.centers import Update
from dask_kmeans.kernels import FixedPoint, Sums
from dask_kmeans.state import RunState
from dask_kmeans.survey import Survey

SLACK = 2.0**-40
"""Share of a feature's range by which rounding may take a mean beyond it, with room to spare."""

LOW_UNITS = 2.0**30
"""Units of the low limb in one of the high limb."""

UNEXPLAINED = 2.0**-20
"""Share of the scatter that the inertia of the sums and that of the rows may differ by; rounding
comes to less than 2**-33 of it for 2**40 rows."""

OF_FIRST = 2.0**-32
"""The same of the first inertia, which is large where the starting centers lie far from the rows
and from which the scatter was then found by a subtraction."""

LAST_BITS = 2.0**-48
"""Share of a number that roundings of it may come to: of values, of means and of weights."""


def check_sums(sums: Sums, update: Update, fixed_point: FixedPoint, survey: Survey) -> None:
    """Raise DataChangedError for sums of all rows that these cannot have; `update` is of them."""
    moments, counts = update.moments, sums.counts
    least, most = survey.labelled_rows
    if counts.min() < 0 or not least <= counts.sum() <= most:
        raise checks.data_changed_error(
            f"the {most} rows without NaN of the first pass have become {counts.sum()}, "
            f"and the smallest cluster has {counts.min()}"
        )
    minimum, maximum, means = survey.minimum, survey.maximum, moments.means
    slack = SLACK * (maximum - minimum)
    if fixed_point.weighted:
        # A cluster of rows whose weights are next to nothing beside the largest is known roughly.
        unit = 1 / (fixed_point.weight_scale * LOW_UNITS)
        with np.errstate(all="ignore"):  # means of clusters without weight are not a number
            shares = SLACK + 4 * unit * counts / moments.weights
            slack = shares[:, None] * (maximum - minimum)
    outside = (means < minimum - slack) | (means > maximum + slack)
    if outside.any():
        cluster, feature = np.argwhere(outside)[0]
        raise checks.data_changed_error(
            f"a cluster has the mean {means[cluster, feature]:.6g} in feature {feature}, of which "
            f"the first pass found values from {minimum[feature]:.6g} to {maximum[feature]:.6g}"
        )


def check_inertia(measured: float, update: Update, run: RunState, survey: Survey) -> None:
    """Raise DataChangedError where rows and their sums disagree on the inertia about `run.centers`.

    measured : of the rows; update : of the sums.
    """
    expected = update.inertia(run.scatter_offset)
    first, scatter = run.history[0].inertia, run.scatter_offset
    weight = survey.n_rows * (survey.max_weight or 1.0)
    ends = weight * survey.squared_diagonal
    farthest = float(max(survey.maximum.max(), -survey.minimum.min()))
    # Far from zero, means are rounded by more than the same share of their distances.
    means = math.sqrt(weight * len(survey.minimum)) * math.sqrt(first + ends) * farthest
    unexplained = UNEXPLAINED * max(abs(scatter), measured) + OF_FIRST * first
    unexplained += LAST_BITS * (ends + means)
    unexplained += sys.float_info.min * max(survey.n_rows, weight)
    if not abs(measured - expected) <= unexplained:
        raise checks.data_changed_error(
            f"the inertia of its rows is {measured:.6g} in the last pass, and the sums of the "
            f"passes before make it {expected:.6g}"
        )
