"""A real Jupyter kernel, where functions belong to `__main__`, and a client of worker processes."""

from __future__ import annotations

import pytest

SET_UP = """
import dask, dask.array as da, dask.bag as db, dask.dataframe as dd
import numpy as np, pandas as pd, xarray as xr
from distributed import Client, LocalCluster
from dask_kmeans import KMeans, sweep

cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
client = Client(cluster)

x = np.random.default_rng(0).random((300, 2))
frame = pd.DataFrame(x, columns=["a", "b"])
array = da.from_array(x, chunks=(50, 2))
raster = xr.DataArray(array, dims=("row", "feature"))
table = dd.from_pandas(frame, npartitions=3)

factor = 2

def double(values):
    return values * factor

class Doubler:
    def __call__(self, values):
        return values * factor

def record(values):
    return {"a": double(values[0]), "b": double(values[1])}

def init(X, n_clusters, random_state):
    return double(x[:n_clusters])

heard = []
"""

KINDS = {
    "map_blocks": "array.map_blocks(double)",
    "an object": "array.map_blocks(Doubler(), dtype=float)",
    "a lambda": "array.map_blocks(lambda values: double(values))",
    "map_overlap": "array.map_overlap(double, depth=0)",
    "blockwise": "da.blockwise(double, 'ij', array, 'ij', dtype=float)",
    "apply_ufunc": "xr.apply_ufunc(double, raster, dask='parallelized', output_dtypes=[float])",
    "xarray map_blocks": "raster.map_blocks(double, template=raster)",
    "map_partitions": "table.map_partitions(double)",
    "assign": "table.assign(a=lambda part: double(part.a), b=lambda part: double(part.b))",
    "frame from_map": "dd.from_map(lambda n: double(frame[n * 100 : n * 100 + 100]), range(3))",
    "frame from_delayed": "dd.from_delayed([dask.delayed(double)(frame)], meta=frame)",
    "array from_delayed": "da.from_delayed(dask.delayed(double)(x), x.shape, float)",
    "bag": "db.from_sequence(x.tolist(), npartitions=3).map(record).to_dataframe()",
    "persisted": "array.map_blocks(double).persist()",
    "of unknown length": "(lambda twice: twice[twice[:, 0] >= 0])(array.map_blocks(double))",
    "sharing a mean": "(lambda twice: twice + 0 * twice.mean(axis=0))(array.map_blocks(double))",
}

CHECK = """
X = {kind}
expected = KMeans(3, random_state=0).fit(double(x))
model = KMeans(3, random_state=0, callbacks=[heard.append]).fit(X)
assert model.inertia_ == expected.inertia_ == -model.score(X)
for labels in (model.labels_, expected.predict(X)):
    assert np.array_equal(np.asarray(dask.compute(labels)[0]), expected.labels_)
assert sweep(X, [2, 3], random_state=0)[3].inertia_ == expected.inertia_
again = KMeans(3, init=init).fit(X)
assert again.inertia_ == KMeans(3, init=init).fit(double(x)).inertia_
assert heard
"""


@pytest.fixture(scope="module")
def kernel():
    """Runs a cell, and raises what it raises; returns what it writes."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")

    def run(cell: str) -> str:
        written = []

        def note(message):
            if message["msg_type"] == "stream":
                written.append(message["content"]["text"])

        reply = client.execute_interactive(cell, output_hook=note, timeout=120)["content"]
        assert reply["status"] == "ok", "\n".join(reply.get("traceback", [])) + "".join(written)
        return "".join(written)

    try:
        run(SET_UP)
        yield run
        run("client.close(); cluster.close()")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_lazy_input_made_by_functions_of_a_notebook(kind, kernel):
    assert "Traceback" not in kernel(CHECK.format(kind=KINDS[kind]))


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["threads", "synchronous", "processes"])
def test_schedulers_without_a_cluster_in_a_notebook(scheduler, kernel):
    for kind in ("map_blocks", "map_partitions", "array from_delayed"):
        kernel(f"""
with dask.config.set(scheduler={scheduler!r}):
    X = {KINDS[kind]}
    model = KMeans(3, random_state=0).fit(X)
    assert model.inertia_ == KMeans(3, random_state=0).fit(double(x)).inertia_
""")


@pytest.mark.slow
def test_fits_in_a_coroutine_of_a_notebook(kernel):
    """A cell that awaits runs in the event loop, which the client does not share."""
    kernel(f"""
import asyncio
async def fit():
    await asyncio.sleep(0)
    return KMeans(3, random_state=0).fit({KINDS["map_blocks"]})
assert (await fit()).inertia_ == KMeans(3, random_state=0).fit(double(x)).inertia_
""")
