"""Pictures, by matplotlib (`pip install 'dask-kmeans[plot]'`).

fits    convergence, sizes        of what a model knows: nothing is read
rows    clusters, silhouette      of a sample of rows: one pass over the data
maps    label_map                 of labels on a grid
center_maps                       of centers that are fields: nothing is read
sweeps  elbow, clustergram        of many numbers of clusters: nothing is read
files   pictures on their way to a file, without a screen

Each function takes the axes to draw on, `ax`, or makes a figure, and returns the axes.
"""

from dask_kmeans.plot.center_maps import center_maps
from dask_kmeans.plot.fits import convergence, sizes
from dask_kmeans.plot.maps import label_map
from dask_kmeans.plot.rows import clusters, silhouette
from dask_kmeans.plot.sweeps import clustergram, elbow

__all__ = [
    "center_maps", "clustergram", "clusters", "convergence", "elbow", "label_map", "silhouette",
    "sizes",
]  # fmt: skip
