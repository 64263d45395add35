"""Customer segments by recency, frequency and money (RFM), from a folder of orders in Parquet."""

from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd

from dask_kmeans import KMeans

# A year of orders, one file a month: three kinds of customers, which nobody has written down.
rng = np.random.default_rng(0)
kind = rng.integers(3, size=3000)
Path("shop").mkdir()
for month in range(12):
    rate = np.array([0.2, 1, 4])[kind]
    rate[(kind == 0) & (month > 6)] = 0  # who has gone
    customer = np.repeat(np.arange(3000), rng.poisson(rate))
    pd.DataFrame(
        {
            "customer_id": customer,
            "day": month * 30 + rng.integers(30, size=len(customer)),
            "euros": rng.lognormal(np.array([3, 5, 4])[kind[customer]], 0.5),
        }
    ).to_parquet(f"shop/{month:02}.parquet")

orders = dd.read_parquet("shop")
by_customer = orders.groupby("customer_id").agg({"day": "max", "euros": ["count", "sum"]})
by_customer.columns = ["recency", "frequency", "money"]
by_customer["recency"] = 360 - by_customer["recency"]

# These have long tails: what counts is how many times as much.
model = KMeans(n_clusters=3, standardize=True, random_state=0).fit(np.log1p(by_customer))

segments = by_customer.assign(segment=model.labels_).compute()  # by customer_id, the index
table = segments.groupby("segment").median().assign(customers=model.cluster_sizes_)
print(table.sort_values("recency", ascending=False).round(1).to_string())

found = pd.crosstab(segments["segment"], kind[segments.index])
print(f"{found.max(axis=1).sum() / len(segments):.0%} of the customers are with their kind")
