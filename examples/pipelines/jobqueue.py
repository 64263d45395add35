"""dask-jobqueue: a notebook or script starts workers as jobs of Slurm (or PBS, LSF, SGE, ...).

Whoever waits in the queue need not wait for all workers: a fit begins with the first, goes on when
one is lost, and from its checkpoint when all are. It ends in the same bits with any number of them.
"""

from dask.distributed import Client
from dask_jobqueue import SLURMCluster

from dask_kmeans import KMeans, open_source

with SLURMCluster(cores=8, processes=1, memory="32 GiB", walltime="02:00:00") as cluster:
    cluster.scale(jobs=4)
    with Client(cluster) as client:
        client.wait_for_workers(1)
        rows = open_source("customers/", exclude="customer_id")
        model = KMeans(3, standardize=True, random_state=0, checkpoint="state.npz").fit(rows)
        model.save("customers.zarr", overwrite=True)
        print(f"inertia {model.inertia_:.6g}, {model.stop_reason_}")
