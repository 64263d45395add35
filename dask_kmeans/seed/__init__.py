"""Points -> starting centers.

seeds               make_seeds: every method of seeding, by name
k_means_parallel    a few rounds of draws -> a summary of the data
recluster           summary -> centers, on the driver
two_levels          many centers from rows in memory: groups, then centers within each
k_means_plus_plus   greedy, over the data itself
random_starts       rows, means of pairs, means of parts, points of a box
candidates          how far rows are from the centers chosen so far
race                weighted draws of distinct rows in one pass
"""

from dask_kmeans.seed.seeds import (
    SeedParameters,
    Seeds,
    make_parallel_seeds,
    make_sample_seeds,
    make_seeds,
)

__all__ = ["SeedParameters", "Seeds", "make_parallel_seeds", "make_sample_seeds", "make_seeds"]
