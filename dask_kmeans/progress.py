"""How a fit tells what it is doing: a bar for people, lines for logs."""

from __future__ import annotations

import logging

from tqdm.auto import tqdm

from dask_kmeans.state import IterationRecord

logger = logging.getLogger("dask_kmeans")


class ProgressBar:
    """A callback that draws one bar over the iterations, in a terminal or a notebook."""

    def __init__(self, max_iter: int):
        self._bar = tqdm(total=max_iter, unit="iteration", desc="k-means")

    def __call__(self, record: IterationRecord) -> None:
        self._bar.set_postfix(changed=record.changed, inertia=f"{record.inertia:.6g}")
        self._bar.update()

    def close(self) -> None:
        """Leave the bar as it stands: a fit mostly ends long before max_iter."""
        self._bar.close()


class ProgressLog:
    """A callback that writes one line an iteration to the logger `dask_kmeans`."""

    def __call__(self, record: IterationRecord) -> None:
        logger.info(
            "iteration %d: %d rows changed, inertia %.9g, centers moved by %.3g, %.3f s",
            record.iteration, record.changed, record.inertia, record.center_shift,
            record.seconds,
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is open."""
