"""Centers in a faiss index: an inverted file whose lists are the clusters of a fit.

faiss has its own k-means, which takes a sample into memory; here the lists come from all rows,
however many they are. Needs `pip install faiss-cpu`.
"""

import faiss
import numpy as np

from dask_kmeans import KMeans

rng = np.random.default_rng(0)
topics = rng.normal(size=(50, 32))
vectors = (topics[rng.integers(50, size=20_000)] + rng.normal(size=(20_000, 32))).astype("f4")
queries = vectors[:500] + rng.normal(size=(500, 32)).astype("f4") * 0.1

model = KMeans(n_clusters=64, random_state=0).fit(vectors)
model.export("centers.npy", overwrite=True)

centers = np.load("centers.npy").astype("f4")  # faiss knows float32
quantizer = faiss.IndexFlatL2(centers.shape[1])
quantizer.add(centers)
_, nearest = quantizer.search(queries, 1)
print(f"the same nearest center: {(nearest[:, 0] == model.predict(queries)).mean():.1%}")

index = faiss.IndexIVFFlat(quantizer, centers.shape[1], len(centers))
index.train(vectors)  # finds the centers in place, and changes nothing
index.add(vectors)
index.nprobe = len(centers)
_, found = index.search(queries, 10)
exact = faiss.IndexFlatL2(centers.shape[1])
exact.add(vectors)
_, neighbours = exact.search(queries, 10)
print(f"the same neighbours, with all lists: {(found == neighbours).mean():.1%}")
index.nprobe = 8
_, found = index.search(queries, 10)
share = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, neighbours, strict=True)])
print(f"neighbours found in 8 of {len(centers)} lists: {share:.1%}")
