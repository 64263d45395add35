"""Fused steps: a task that has all rows before it takes the steps that follow by itself.

Over few rows, going back to the driver for the next request takes longer than the step. What the
driver would do with the outcome is as well done at once, for as long as nothing else than one more
Lloyd step can follow. The driver gets the state before the last step, and ends that.
"""

from __future__ import annotations

from typing import NamedTuple

from dask_kmeans.state import FarRowsNeeded, Found, Rules, RunState, next_state


class FusedSteps(NamedTuple):
    """What such a task has to know of its run."""

    state: RunState
    """Before the first of the steps."""
    rules: Rules

    def following(self, state: RunState, found: Found) -> RunState | None:
        """The state after a step, if one more follows; None where the driver has to end this one:
        it settles its run, or empties a cluster."""
        following = next_state(state, found, self.rules)
        if isinstance(following, FarRowsNeeded) or following.reason is not None:
            return None
        return following


class StepsTaken(NamedTuple):
    """The steps that were taken."""

    state: RunState
    """Before the last of them, which the driver ends. The sums in it are no longer its own."""
    found: Found
    """By the last of them."""
    reads: int
    """Steps in which rows were looked at."""
