"""One iteration of Lloyd, as four verbs: assign -> combine -> move -> stop.

A step knows no loop: `dask_kmeans.fit` has it. Only a task that has all rows before it takes those
that follow by itself (`fused`), as the loop would.
"""
