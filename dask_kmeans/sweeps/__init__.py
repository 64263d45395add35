"""Sweeps: many numbers of clusters in shared passes over the data, and what tells which to take.

models       the fits, their table, and how rows go over from one number of clusters to the next
elbow        where the inertia bends as it does where clusters come to an end
clustergram  where clusters lie along the first principal direction, by their number
"""

from dask_kmeans.sweeps.models import Sweep, sweep

__all__ = ["Sweep", "sweep"]
