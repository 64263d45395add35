"""Stop: has a run settled, and if not, why does it end?"""

from __future__ import annotations

from enum import StrEnum


class StopReason(StrEnum):
    """Why a run ended; each value is a sentence for whoever reads the report."""

    CONVERGED = "converged: no row changed its cluster"
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
    changed: int, n_rows: int, relocated: int, iteration: int, *, tol: float, max_iter: int
) -> StopReason | None:
    """Whether a run ends after this iteration, and why.

    Parameters
    ----------
    changed : int
        Rows whose label is another than an iteration ago.
    relocated : int
        Empty clusters that were moved to far rows: such a step has not converged.
    """
    if not relocated and iteration > 1 and changed <= tol * n_rows:
        return StopReason.SETTLED if changed else StopReason.CONVERGED
    if iteration >= max_iter:
        return StopReason.MAX_ITER
    return None
