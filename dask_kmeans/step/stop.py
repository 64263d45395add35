"""Stop: has a run settled, and if not, why does it end?"""

from __future__ import annotations

from enum import StrEnum


class StopReason(StrEnum):
    """Why a run ended; each value is a sentence for whoever reads the report."""

    CONVERGED = "converged: no row changes its cluster any more"
    SETTLED = "converged: the share of rows that changed their cluster fell to tol or below"
    MAX_ITER = (
        "stopped at max_iter before the labels settled: raise max_iter, or tol if the last "
        "changes in history_ are small enough for you"
    )
    INTERRUPTED = "interrupted: go on from the checkpoint, if there is one"

    @property
    def converged(self) -> bool:
        """Whether the labels settled."""
        return self in (StopReason.CONVERGED, StopReason.SETTLED)


def stop(
    changed: float,
    moved: bool,
    relocated: int,
    iteration: int,
    *,
    is_lloyd_step: bool,
    tol: float,
    max_iter: int,
) -> StopReason | None:
    """Whether a run ends after this iteration, and why.

    Parameters
    ----------
    changed : float
        Share of the rows (those without NaN) whose label is another than an iteration ago.
    moved : bool
        Whether any center moved: where none did, the next iteration would change nothing.
    relocated : int
        Empty clusters that were moved to far rows: such a step has not converged.
    iteration : int
        Counted from 1. The first gives every row a label, so it cannot tell that labels settled.
    plain : bool
        Whether the centers were the means of the labels before: then, and only then, does the
        share of changed labels tell how far Lloyd's iteration is from settling.
    """
    if not relocated:
        if not moved or (is_lloyd_step and changed == 0):
            return StopReason.CONVERGED
        if is_lloyd_step and iteration > 1 and changed <= tol:
            return StopReason.SETTLED
    if iteration >= max_iter:
        return StopReason.MAX_ITER
    return None
