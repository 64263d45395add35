"""A folder of Parquet files: the numeric columns are clustered, the labels join the table again."""

from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd

from dask_kmeans import KMeans

# Yesterday's orders, as a pipeline would leave them: one file an hour, and a column of text.
rng = np.random.default_rng(0)
Path("orders").mkdir()
for hour in range(24):
    kind = rng.integers(3, size=1000)
    pd.DataFrame(
        {
            "customer": [f"c{number}" for number in rng.integers(5000, size=1000)],
            "items": rng.poisson(np.array([2, 12, 60])[kind]),
            "euros": rng.normal(np.array([20, 90, 700])[kind], np.array([5, 20, 90])[kind]),
        }
    ).to_parquet(f"orders/{hour:02}.parquet")

orders = dd.read_parquet("orders")
features = orders[["items", "euros"]]
features = (features - features.mean()) / features.std()

model = KMeans(n_clusters=3, random_state=0).fit(features)

labelled = orders.assign(segment=model.labels_)  # a dask Series with the partitions of `orders`
print(labelled.groupby("segment")[["items", "euros"]].mean().compute().round(1))
labelled.to_parquet("labelled", write_index=False)
print(f"{len(list(Path('labelled').glob('*.parquet')))} files written")
