"""Arrays in, arrays out: nearest centers, exact sums, distances, random draws. Knows no Dask.

layout -> lanes -> tile, panel -> assign  labels, certified to be what float64 brute force gives
          packed -> lattice               most of them from integers of 8 or 16 bits
          margins                         which labels stand without another look
          sums                            integer sums of rows: any order, the same bits
          distances, exact_sum, draws     every float that decides or is reported
          extent                          what the survey of the data needs
"""

from .assign import Tally, assign, nearest
from .distances import distances, labelled_distances
from .draws import exponential, uniform
from .exact_sum import ExactSum, exact_total
from .extent import extent
from .margins import NO_MARGINS, Drift, Margins, failing, no_drift, no_margins
from .panel import Panel, prepare
from .sums import FixedPoint, Sums, accumulate, merge_sums, scatter

__all__ = [
    "NO_MARGINS",
    "Drift",
    "ExactSum",
    "FixedPoint",
    "Margins",
    "Panel",
    "Sums",
    "Tally",
    "accumulate",
    "assign",
    "distances",
    "exact_total",
    "exponential",
    "extent",
    "failing",
    "labelled_distances",
    "merge_sums",
    "nearest",
    "no_drift",
    "no_margins",
    "prepare",
    "scatter",
    "uniform",
]
