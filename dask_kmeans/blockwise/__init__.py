"""One task on every block of the data, the results merged: all that this package asks of Dask.

The only module that builds Dask graphs or talks to a client; it knows nothing of k-means. A *pass*
runs `task(open_block, *broadcast)` on every block and folds the results with `merge(a, b)`, which
has to be associative and commutative: no order of completion is promised.

Where a pass runs:

* data in memory: on a pool of threads, where it lies; a single block is simply called;
* lazy data: as a Dask graph, on the active `dask.distributed` client or Dask's own threads.

Whoever calls `listening` hears of each pass as it begins, and can look how far it is (`work`).

Tasks may keep what they like in `open_block.cache`, a dictionary that lives in the process where
the block was last worked on; what grows with the number of rows goes there by `remember`, as far as
there is room. It is *a cache, never the truth*: a lost worker, a moved task or another process
finds it empty, so a task must be able to rebuild what it looks for from its arguments.
"""

from dask_kmeans.blockwise.block import UNCOUNTED, Block, OpenBlock, Reading
from dask_kmeans.blockwise.cluster import active_client
from dask_kmeans.blockwise.graph import MERGE_ARITY
from dask_kmeans.blockwise.passes import Blockwise, Plan, parallelism, size_of
from dask_kmeans.blockwise.pools import computing, thread_count, threads_of_its_own
from dask_kmeans.blockwise.resources import Process, processes
from dask_kmeans.blockwise.tasks import LABEL_BUDGET
from dask_kmeans.blockwise.work import Advances, Done, Size, Work, counted, listening, working

__all__ = [
    "LABEL_BUDGET",
    "MERGE_ARITY",
    "UNCOUNTED",
    "Advances",
    "Block",
    "Blockwise",
    "Done",
    "OpenBlock",
    "Plan",
    "Process",
    "Reading",
    "Size",
    "Work",
    "active_client",
    "computing",
    "counted",
    "listening",
    "parallelism",
    "processes",
    "size_of",
    "thread_count",
    "threads_of_its_own",
    "working",
]  # fmt: skip
