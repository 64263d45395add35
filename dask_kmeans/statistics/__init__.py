"""Statistics of a pass: any number of figures from one read of the rows and their labels.

record          what a statistic is: zero, chunk, merge, finish
inertia         the weighted sum of squared distances
farthest        the rows that lie farthest from their centers
halves          how each cluster falls in two
mean_distances  how far rows lie from their center, by cluster
cluster_totals  rows, weight, inertia and largest distance of each cluster
quantiles       of the distances in each cluster
features        means and deviations of the features of each cluster
extreme_rows    the nearest and the farthest rows of each cluster
silhouette      how much nearer rows are to their center than to the next one
drawn           a few rows for the eye, drawn by their numbers; drawn_by_cluster: of each cluster
row_numbers     numbers of rows among all, where blocks are not counted before
balance         how evenly rows are spread over clusters
indices         of clusters, from such figures
pairs           how many rows have each pair of labels, of two runs
"""

from dask_kmeans.statistics.balance import Balance, balance
from dask_kmeans.statistics.cluster_totals import ClusterTotals, TotalsByCluster
from dask_kmeans.statistics.drawn import Drawn, DrawnRows
from dask_kmeans.statistics.drawn_by_cluster import DrawnByCluster, RowsByCluster
from dask_kmeans.statistics.extreme_rows import ExtremeRows, RowsByDistance
from dask_kmeans.statistics.farthest import Farthest, FarthestRows
from dask_kmeans.statistics.features import ClusterFeatures, FeaturesByCluster
from dask_kmeans.statistics.halves import FarthestByCluster, FarthestOfEach, HalvesByCluster
from dask_kmeans.statistics.indices import (
    calinski_harabasz,
    davies_bouldin,
    mean_of_means,
    total_inertia,
)
from dask_kmeans.statistics.inertia import Inertia, measured_inertia
from dask_kmeans.statistics.mean_distances import MeanDistances
from dask_kmeans.statistics.pairs import PairCounts
from dask_kmeans.statistics.quantiles import DistanceQuantiles, Histogram
from dask_kmeans.statistics.record import (
    AT_ONCE,
    Known,
    LabelledRows,
    Statistic,
    figures,
    first_row_of,
    learn,
    merge_known,
    nothing_known,
)
from dask_kmeans.statistics.row_numbers import BlockRows, RowCounts, global_rows
from dask_kmeans.statistics.silhouette import SimplifiedSilhouette

__all__ = [
    "AT_ONCE",
    "Balance",
    "BlockRows",
    "ClusterFeatures",
    "ClusterTotals",
    "DistanceQuantiles",
    "Drawn",
    "DrawnByCluster",
    "DrawnRows",
    "ExtremeRows",
    "Farthest",
    "FarthestByCluster",
    "FarthestOfEach",
    "FarthestRows",
    "FeaturesByCluster",
    "HalvesByCluster",
    "Histogram",
    "Inertia",
    "Known",
    "LabelledRows",
    "MeanDistances",
    "PairCounts",
    "RowCounts",
    "RowsByCluster",
    "RowsByDistance",
    "SimplifiedSilhouette",
    "Statistic",
    "TotalsByCluster",
    "balance",
    "calinski_harabasz",
    "davies_bouldin",
    "figures",
    "first_row_of",
    "global_rows",
    "learn",
    "mean_of_means",
    "measured_inertia",
    "merge_known",
    "nothing_known",
    "total_inertia",
]
