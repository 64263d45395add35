"""Centers prepared for comparison."""

from typing import NamedTuple

import numpy as np


class Panel(NamedTuple):
    """Centers prepared for comparison by `prepare`; only `centers` is for other modules to read.

    centers : float64 (k, d), C order.
    """

    centers: np.ndarray


def prepare(centers: np.ndarray, shift: np.ndarray | None = None) -> Panel:
    """Prepare `centers` (k, d) for `nearest` and `assign`.

    shift : float64 (d,), where to put the origin; by default the median of the centers. It bears
    on speed alone, never on a label.
    """
    return Panel(np.ascontiguousarray(centers, np.float64))
