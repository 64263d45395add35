"""How evenly rows are spread over clusters."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Balance(NamedTuple):
    """Of clusters by their numbers of rows."""

    largest_share: float
    """Share of the rows that are in the largest cluster; NaN where there are no rows."""
    effective_clusters: float
    """exp(entropy) of the shares of the clusters, -sum(p log p): k where all are of one size, near
    1 where nearly all rows are in one; NaN where there are no rows."""

    def __str__(self) -> str:
        return (
            f"the largest cluster has {self.largest_share:.1%} of the rows; "
            f"{self.effective_clusters:.3g} effective clusters"
        )


def balance(sizes: np.ndarray) -> Balance:
    """That of clusters with such numbers of rows, int (k,)."""
    n_rows = int(sizes.sum())
    if not n_rows:
        return Balance(math.nan, math.nan)
    shares = [size / n_rows for size in sizes.tolist() if size]
    entropy = math.fsum(-share * math.log(share) for share in shares)
    return Balance(max(shares), math.exp(entropy))
