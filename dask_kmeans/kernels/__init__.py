"""Arrays in, arrays out: nearest centers, exact sums, distances, random draws. Knows no Dask.

layout -> lanes -> tile, prepared_centers -> assign   labels, as float64 brute force gives them
          integer_dot -> quantized        most of them from integers of 8 or 16 bits
          margins                         which labels stand without another look
          sums                            integer sums of rows: any order, the same bits
          distances, exact_sum, draws     every float that decides or is reported
          extent, feature_moments         what the survey of the data needs
"""

from .assign import Assignment, Tally, assign, nearest
from .distances import distances, labelled_distances
from .draws import exponential, uniform
from .exact_sum import ExactSum, exact_total
from .extent import extent
from .feature_moments import FeatureMoments
from .margins import NO_MARGINS, Drift, Margins, drift_after, failing, no_drift, no_margins
from .prepared_centers import PreparedCenters, prepare
from .sums import FixedPoint, Moments, Sums, accumulate, merge_sums

__all__ = [
    "NO_MARGINS",
    "Assignment",
    "Drift",
    "ExactSum",
    "FeatureMoments",
    "FixedPoint",
    "Margins",
    "Moments",
    "PreparedCenters",
    "Sums",
    "Tally",
    "accumulate",
    "assign",
    "distances",
    "drift_after",
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
    "uniform",
]
