"""One iteration of Lloyd in a pass over the rows, as verbs: assign -> combine -> advance.

advance     what a pass is to do for each run, and what its outcome makes of the runs' states
assign      every row of a block to its nearest center
combine     partial results of blocks into one
fused       the steps that a task takes by itself where it has all rows before it
measure     a pass that moves nothing: statistics about given centers
exchange    two clusters become one, and for it one becomes two
anchor      what a sample's sums lack, for leaps
split       every row down a tree of centers, whose leaves are split at once
row_cache   what a block keeps for the next step

What a step makes of what a pass has found is `dask_kmeans.state`; the loop is `dask_kmeans.fit`.
"""
