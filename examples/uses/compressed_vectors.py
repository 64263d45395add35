"""Product quantization: vectors as a byte for each of their parts, by a codebook of centers each.

Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 33 (2011).
"""

import numpy as np

from dask_kmeans import KMeans

PARTS, CENTERS = 8, 256

# Vectors as a model would give them: of many directions few matter.
rng = np.random.default_rng(0)
vectors = rng.normal(size=(20_000, 12)) @ rng.normal(size=(12, 64))
vectors = (vectors + 0.1 * rng.normal(size=vectors.shape)).astype("float32")

parts = np.split(vectors, PARTS, axis=1)
books = [KMeans(CENTERS, random_state=0).fit(part) for part in parts]
codes = [book.labels_.astype(np.uint8) for book in books]
print(f"{vectors.nbytes / sum(code.nbytes for code in codes):.0f} times smaller")

again = np.hstack([book.cluster_centers_[code] for book, code in zip(books, codes, strict=True)])
error = ((vectors - again) ** 2).sum() / ((vectors - vectors.mean(axis=0)) ** 2).sum()
print(f"{error:.1%} of the variance lost")

# What is near a vector, from its distances to the centers of each part: no vector is looked at.
query = vectors[:1]
tables = [
    book.transform(part) ** 2 for book, part in zip(books, np.split(query, PARTS, 1), strict=True)
]
far = sum(table[0, code] for table, code in zip(tables, codes, strict=True))
near = np.argsort(((vectors - query) ** 2).sum(axis=1))[:10]
print(f"{np.isin(near, np.argsort(far)[:100]).sum()} of the 10 nearest are in the first 100")
