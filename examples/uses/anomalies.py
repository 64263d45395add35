"""Anomalies by distance: rows that lie farther from their center than all but few of the usual."""

import dask
import dask.array as da
import numpy as np

from dask_kmeans import KMeans

# Readings of a machine in five states, and a day with readings that are of none of them.
rng = np.random.default_rng(0)
states = rng.normal(size=(5, 8)) * 6
usual = states[rng.integers(5, size=200_000)] + rng.normal(size=(200_000, 8))
usual = da.from_array(usual.astype("float32"), chunks=(20_000, 8))
today = states[rng.integers(5, size=10_000)] + rng.normal(size=(10_000, 8))
broken = rng.choice(10_000, size=20, replace=False)
today[broken] += rng.normal(size=(20, 8)) * 4

model = KMeans(n_clusters=5, random_state=0).fit(usual)

# One read gives labels and distances. What is usual differs from state to state.
labels, distances = dask.compute(*model.predict(usual, return_distance=True))
limits = np.array([np.quantile(distances[labels == state], 0.9999) for state in range(5)])

labels, distances = model.predict(today, return_distance=True)
alarms = np.flatnonzero(distances > limits[labels])
print(f"{len(alarms)} alarms in {len(today)} rows")
print(f"{np.isin(broken, alarms).sum()} of {len(broken)} broken readings found")
print(f"{len(np.setdiff1d(alarms, broken))} false alarms")
