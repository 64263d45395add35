"""Three clusters in a plane: the data of many tutorials, and the centroids that they state.

Prints both sets of centroids and draws the rows with ours as stars: xclara.png.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from dask_kmeans import KMeans

STATED = np.array([[9.4780459, 10.686052], [40.68362784, 59.71589274], [69.92418447, -10.11964119]])
"""Centroids as the tutorials print them; their inertia is 611605.8806933896."""

x = np.load(Path(__file__).parent / "data" / "xclara.npy")

model = KMeans(n_clusters=3, tol=0, random_state=0).fit(x)

found = model.cluster_centers_[np.argsort(model.cluster_centers_[:, 0])]
print("stated by the tutorials     found")
for stated, center in zip(STATED, found, strict=True):
    print("({:.7f}, {:.7f})".format(*stated).ljust(28) + "({:.7f}, {:.7f})".format(*center))
print(f"inertia {model.inertia_!r}, rows {sorted(model.cluster_sizes_.tolist())}")
print(model.stop_reason_)

figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
axes.scatter(*x.T, c=model.labels_, s=6, cmap="viridis", alpha=0.6)
axes.scatter(*model.cluster_centers_.T, marker="*", s=320, c="crimson", edgecolor="white")
axes.set(title="xclara: 3000 rows, 3 clusters", xlabel="V1", ylabel="V2")
figure.savefig("xclara.png", dpi=120)
