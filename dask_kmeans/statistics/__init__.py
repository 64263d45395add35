"""Statistics of a pass: any number of figures from one read of the rows and their labels.

record          what a statistic is: zero, chunk, merge, finish
inertia         the weighted sum of squared distances
farthest        the rows that lie farthest from their centers
mean_distances  how far rows lie from their center, by cluster
silhouette      how much nearer they are to it than to the next one
drawn           a few rows for the eye, drawn by their numbers
indices         of clusters, from such figures
"""

from dask_kmeans.statistics.drawn import Drawn, DrawnRows
from dask_kmeans.statistics.farthest import Farthest, FarthestRows
from dask_kmeans.statistics.indices import calinski_harabasz, davies_bouldin, mean_of_means
from dask_kmeans.statistics.inertia import Inertia
from dask_kmeans.statistics.mean_distances import MeanDistances
from dask_kmeans.statistics.record import (
    AT_ONCE,
    Known,
    LabelledRows,
    Statistic,
    figures,
    learn,
    merge_known,
    nothing_known,
)
from dask_kmeans.statistics.silhouette import SimplifiedSilhouette

__all__ = [
    "AT_ONCE",
    "Drawn",
    "DrawnRows",
    "Farthest",
    "FarthestRows",
    "Inertia",
    "Known",
    "LabelledRows",
    "MeanDistances",
    "SimplifiedSilhouette",
    "Statistic",
    "calinski_harabasz",
    "davies_bouldin",
    "figures",
    "learn",
    "mean_of_means",
    "merge_known",
    "nothing_known",
]
