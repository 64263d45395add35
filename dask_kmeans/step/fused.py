"""Fused steps: a task that has all rows before it takes the steps that follow by itself.

Over few rows, going back to the driver for the next request takes longer than the step. What the
driver would do with the outcome is as well done at once, for as long as nothing else than one more
Lloyd step can follow. The driver gets the last step as it is, and does what else there is to do.
"""

from __future__ import annotations

from typing import NamedTuple

from dask_kmeans.state import FarRowsNeeded, Found, Rules, RunState


class FusedSteps(NamedTuple):
    """What such a task has to know of its run."""

    state: RunState
    """Before the first of the steps."""
    rules: Rules


class StepsTaken(NamedTuple):
    """The steps that were taken."""

    state: RunState
    """Before the last of them. The sums in it are no longer its own."""
    found: Found
    """By the last of them."""
    following: RunState | FarRowsNeeded
    """What follows from both: the run has ended, or empties a cluster."""
    reads: int
    """Steps in which rows were looked at."""
