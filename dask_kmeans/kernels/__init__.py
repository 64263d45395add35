"""Arrays in, arrays out: nearest centers, exact sums, distances, random draws. Knows no Dask.

layout -> lanes -> tile, panel -> assign  labels, certified to be what float64 brute force gives
          packed -> lattice               most of them from integers of 8 or 16 bits
          bounds                          which labels stand without another look
          sums                            integer sums of rows: any order, the same bits
          distances, exact_sum, draws     every float that decides or is reported
          extent                          what the survey of the data needs
"""

from .assign import Tally, assign, nearest
from .bounds import Bounds, Motion, loosen, motion
from .distances import distances, labelled_distances
from .draws import exponential, uniform
from .exact_sum import ExactSum, exact_total
from .extent import extent
from .panel import Panel, prepare
from .sums import FixedPoint, Sums, accumulate, merge_sums, scatter

__all__ = [
    "Bounds",
    "ExactSum",
    "FixedPoint",
    "Motion",
    "Panel",
    "Sums",
    "Tally",
    "accumulate",
    "assign",
    "distances",
    "exact_total",
    "exponential",
    "extent",
    "labelled_distances",
    "loosen",
    "merge_sums",
    "motion",
    "nearest",
    "prepare",
    "scatter",
    "uniform",
]
