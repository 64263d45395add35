"""A Zarr store larger than the memory of the worker that clusters it.

One worker process gets 700 MB, of which Python and its libraries take nearly half; the store holds
768 MB. Blocks are read piece by piece, so what the worker holds does not grow with the data. The
labels go to Zarr too, without ever being in memory as a whole.
"""

import numpy as np
import zarr
from dask.distributed import Client, LocalCluster

from dask_kmeans import KMeans
from dask_kmeans.write import write_labels

ROWS, FEATURES, CHUNK = 12_000_000, 16, 100_000


def make_store(path: str) -> zarr.Array:
    """Rows about 20 centers, written chunk by chunk."""
    rng = np.random.default_rng(0)
    centers = rng.uniform(-50, 50, size=(20, FEATURES)).astype(np.float32)
    array = zarr.create_array(
        path, shape=(ROWS, FEATURES), chunks=(CHUNK, FEATURES), dtype="float32", compressors=None
    )
    for start in range(0, ROWS, CHUNK):
        noise = rng.standard_normal((CHUNK, FEATURES), dtype=np.float32)
        array[start : start + CHUNK] = centers[rng.integers(20, size=CHUNK)] + noise
    return array


def main() -> None:
    x = make_store("large.zarr")
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, memory_limit="700MB") as cluster,
        Client(cluster),
    ):
        model = KMeans(n_clusters=20, random_state=0).fit(x)
        write_labels(model.labels_, "labels.zarr")

    print(f"{x.nbytes / 1e6:.0f} MB read {model.n_passes_} times by a worker of 700 MB")
    print(f"inertia {model.inertia_:.6g}: {model.stop_reason_}")
    labels = zarr.open_array("labels.zarr", mode="r")
    print(f"{labels.shape[0]} labels; of the first ten rows {labels[:10].tolist()}")


if __name__ == "__main__":  # worker processes import this file
    main()
