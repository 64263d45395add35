"""Fused steps: a task that has all rows before it takes the steps that follow by itself.

Over few rows, going back to the driver for the next request takes longer than the step. What the
driver would do with the outcome is as well done at once, for as long as nothing else than one more
plain step can follow. The driver gets the records of the steps on the way, and ends the last one.
"""

from __future__ import annotations

from typing import NamedTuple

from dask_kmeans.centers import CenterRule, Update
from dask_kmeans.kernels import Drift, PreparedCenters, Sums
from dask_kmeans.step.run import IterationRecord
from dask_kmeans.step.stop import stop


class FusedSteps(NamedTuple):
    """What such a task has to know of its run."""

    sums: Sums
    """Of the labels of the step before."""
    scatter_offset: float
    rule: CenterRule
    n_rows: int
    """Rows that can change their label."""
    tol: float
    max_iter: int

    def goes_on(self, update: Update, changed: int, step: int) -> bool:
        """Whether a plain step follows the one that ends with this update."""
        reason = stop(
            changed / self.n_rows, update.moved, 0, step,
            is_lloyd_step=True, tol=self.tol, max_iter=self.max_iter,
        )  # fmt: skip
        return reason is None and update.complete


class StepsTaken(NamedTuple):
    """The steps that were taken, of which the driver ends the last."""

    records: list[IterationRecord]
    """Of the steps before the last one."""
    prepared: PreparedCenters
    """The centers of the last step."""
    drift: Drift | None
    bytes_read: int
    """In the last step."""

    @property
    def passes(self) -> int:
        """Steps in which rows were looked at."""
        return sum(record.bytes_read > 0 for record in self.records) + (self.bytes_read > 0)
