"""When the state of a fit is kept: seldom enough to cost little, and always on the way out.

A pass over a large store takes minutes, one over an array in memory a millisecond; to save takes
milliseconds on a disk and a good part of a second on an object store. So a state is saved once the
time since the last save is so much longer than that save took that saving takes a small share of
it; the others are kept here, for the case that nothing follows them.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Protocol

from dask_kmeans.parameters import Thresholds
from dask_kmeans.result import FitState


class Checkpoint(Protocol):
    """Where a fit leaves its state."""

    def load(self, data: dict[str, Any]) -> FitState | None:
        """What an earlier fit left; None where there is nothing. Refuses a state of other data."""

    def save(self, state: FitState) -> None:
        """Keep this state, whole or not at all."""


class CheckpointSchedule:
    """Keeps the states of a fit in a checkpoint, or nowhere.

    Used as a context manager: however the block ends, the last state that it was told of is saved,
    unless the process is killed.

    Parameters
    ----------
    checkpoint : Checkpoint or None
    share : float
        Of a fit's time, that saving may take.
    clock : callable
        Seconds, from any origin.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        share: float = Thresholds.saving_share,
        clock: Callable[[], float] = monotonic,
    ):
        self._checkpoint, self._share, self._clock = checkpoint, share, clock
        self._unsaved: FitState | None = None
        self._not_before = -float("inf")

    def note(self, state: FitState) -> None:
        """Tell that a fit has got here."""
        if self._checkpoint is None:
            return
        self._unsaved = state
        if self._clock() >= self._not_before:
            self._save(state)

    def _save(self, state: FitState) -> None:
        assert self._checkpoint is not None
        begun = self._clock()
        try:
            self._checkpoint.save(state)
        except Exception:
            self._unsaved = None  # it had its tries; an interrupt, though, is made up for
            raise
        self._unsaved = None
        ended = self._clock()
        self._not_before = ended + (ended - begun) * (1 - self._share) / self._share

    def __enter__(self) -> CheckpointSchedule:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._unsaved is None:
            return
        try:
            self._save(self._unsaved)
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"The state of the fit's last iteration is lost: {failure}")
