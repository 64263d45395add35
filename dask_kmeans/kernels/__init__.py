"""Arrays in, arrays out: nearest centers, exact sums, distances, random draws. Knows no Dask.

    rows of any dtype and order                         centers
    layout, transpose -> tile                           prepared_centers, quantized
             |                                              |
             +---- assign: score, certify, integer_dot -----+     labels
                          |                 |
                   scatter_add, sums      margins                 sums, which labels stand

backend           the operations on rows, by the type that holds them: all others call these
assign            labels, as float64 brute force gives them, and the sums of rows that changed them
  prepared_centers  centers shifted, scaled and padded: what scores are made from
  score             a tile against centers: scores, and the distances that define a label
  certify           the bound that proves a label from two scores
  directions        most centers are ruled out along few directions; projection: their instructions
  quantized         most labels from integers of 8 or 16 bits; integer_dot: their tiles;
                    integer_products: the instructions of this machine, and their ranges
  margins           which labels stand without another look at their rows
sums              integer sums of rows: any order, the same bits; scatter_add: a row into them
distances         every distance that is reported, compared or drawn from
exact_sum         the sum of such numbers, rounded once; exact_sums: by label
extent            minimum, maximum and what is not finite, for the survey
reproducible_sums many such sums at once, of their leading bits
feature_moments   exact means and deviations of features; cluster_moments: of those of each cluster
unit_vectors      rows and centers of length one, for cosine
content_hash      what identifies rows, whatever holds them and wherever they are cut
draws             random numbers by the number of a row

Below them: layout (an array as compiled code sees it), emitter (vector instructions and the shape
of this machine's vectors), transpose and tile (rows into vector lanes), compiled (the decorator,
and where compiled code is kept).
"""

from .assign import Tally
from .backend import (
    Assignment,
    Backend,
    RowBatch,
    accumulate,
    assign,
    assignment,
    backend_of,
    concatenate,
    dense,
    distances,
    extent,
    is_batch,
    labelled_distances,
    nearest,
    register,
    rows_with_nan,
    second_distances,
)
from .cluster_moments import ClusterMoments
from .compiled import compiling, say_if_not_compiled
from .content_hash import content_hash, join_hashes
from .draws import exponential, uniform
from .exact_sum import ExactSum, exact_total, weighted
from .exact_sums import ExactSums
from .extent import squared_diagonal
from .feature_moments import FeatureMoments
from .margins import NO_MARGINS, Drift, Margins, drift_after, failing, no_drift, no_margins
from .prepared_centers import PreparedCenters, prepare
from .reproducible_sums import ReproducibleSums
from .sums import FixedPoint, Moments, Sums, merge_sums
from .swaps import first_swap
from .unit_vectors import of_length_one, unit_vectors

__all__ = [
    "NO_MARGINS",
    "Assignment",
    "Backend",
    "ClusterMoments",
    "Drift",
    "ExactSum",
    "ExactSums",
    "FeatureMoments",
    "FixedPoint",
    "Margins",
    "Moments",
    "PreparedCenters",
    "ReproducibleSums",
    "RowBatch",
    "Sums",
    "Tally",
    "accumulate",
    "assign",
    "assignment",
    "backend_of",
    "compiling",
    "concatenate",
    "content_hash",
    "dense",
    "distances",
    "drift_after",
    "exact_total",
    "exponential",
    "extent",
    "failing",
    "first_swap",
    "is_batch",
    "join_hashes",
    "labelled_distances",
    "merge_sums",
    "nearest",
    "no_drift",
    "no_margins",
    "of_length_one",
    "prepare",
    "register",
    "rows_with_nan",
    "say_if_not_compiled",
    "second_distances",
    "squared_diagonal",
    "uniform",
    "unit_vectors",
    "weighted",
]
