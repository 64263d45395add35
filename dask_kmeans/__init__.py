"""k-means for data that does not fit in memory: exact, streamed, the same bits anywhere.

    read    any source becomes blocks of rows              dask_kmeans.read
    survey  one pass: how much there is, is it usable      dask_kmeans.survey
    seed    k-means||, one pass a round                    dask_kmeans.seed
    step    assign -> combine -> move -> stop              dask_kmeans.step
    fit     the loop over the steps, for all runs at once  dask_kmeans.fit
    write   labels in the caller's world, and the model    dask_kmeans.write
"""

from dask_kmeans.estimator import KMeans, load_model
from dask_kmeans.sweep import sweep

__all__ = ["KMeans", "load_model", "sweep"]
__version__ = "0.1.0"
