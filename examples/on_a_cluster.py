"""On a cluster: the same call, the same bits.

Here the cluster is two processes on this machine; with `--tls` all that they say to each other is
encrypted (`pip install cryptography`). For a cluster of your own, replace both by

    security = Security(
        tls_ca_file="ca.pem", tls_client_cert="client.pem", tls_client_key="client-key.pem",
        require_encryption=True,
    )
    client = Client("tls://scheduler.example:8786", security=security)

or, in the shell, by `dask-kmeans fit --scheduler tls://scheduler.example:8786`, which takes the
same files from Dask's configuration (`distributed.comm.tls`).
"""

import sys
from pathlib import Path

import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster, Security

from dask_kmeans import KMeans

XCLARA = np.load(Path(__file__).parent / "data" / "xclara.npy")


def main() -> None:
    here = KMeans(n_clusters=3, random_state=0).fit(XCLARA)

    security = Security.temporary() if "--tls" in sys.argv else None
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, security=security) as cluster,
        Client(cluster) as client,
    ):
        there = KMeans(n_clusters=3, random_state=0).fit(da.from_array(XCLARA, chunks=(700, 2)))
        print(f"fitted on {len(client.nthreads())} workers by way of {client.scheduler.address}")

    print(there.cluster_centers_)
    print("same bits:", here.cluster_centers_.tobytes() == there.cluster_centers_.tobytes())


if __name__ == "__main__":  # worker processes import this file
    main()
