"""What a fit was asked to do, checked; how the estimator's words become the loop's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Thresholds:
    """Where one way of working gives over to another. They have a say in speed, not in results."""

    margins_size: int = 128
    """Numbers in the centers below which it costs as little to look at every row as to find out
    which rows need no look."""
    margins_work: int = 2**20
    """The same of that number times the rows."""
    most_picked: float = 0.5
    """Share of a block's rows that may fail for them to be picked: rows in order cost less each."""
    saving_share: float = 0.05
    """Share of a fit's time that saving its state may take."""


@dataclass(frozen=True)
class FitParameters:
    """Parameters of a fit, checked; see `KMeans` for what they mean."""

    n_clusters: tuple[int, ...]
    """Numbers of clusters, each with runs of its own; one for a plain fit."""
    init: Any
    n_init: int
    max_iter: int
    tol: float
    oversampling_factor: float | None
    init_rounds: int | None
    nan: str
    metric: str
    standardize: bool
    """Whether features are brought to mean 0 and deviation 1."""
    feature_weight: np.ndarray | None
    """(n_features,) float64: how much each feature counts in squared distances."""
    fit_fraction: float
    """Share of the rows that the fit looks at."""
    memory_budget: int
    """Bytes of lazy rows that each process may keep between passes."""
    accelerated: bool
    """Whether the fit may leave Lloyd's own trajectory, for fewer passes."""
    bounded: bool
    """Whether rows whose labels are proved to stand may be passed over."""
    seed: int
    """64 random bits from which every draw of the fit follows."""
    thresholds: Thresholds = Thresholds()

    @property
    def seeded_by_sample(self) -> bool:
        """Whether seeds may be drawn on a sample: rounds that the caller has counted read all."""
        named = isinstance(self.init, str) and self.init == "k-means||"
        return named and self.init_rounds is None
