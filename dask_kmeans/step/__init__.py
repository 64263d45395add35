"""One iteration of Lloyd, as four verbs: assign -> combine -> move -> stop.

A step knows no loop: `dask_kmeans.fit` has it.
"""
