"""The picture of the README, `pictures.png`: clusters of the tutorials' data, how they split."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from dask_kmeans import plot, sweep

x = np.load(Path(__file__).parent / "data" / "xclara.npy")

fits = sweep(x, range(1, 11), random_state=0)
print(f"elbow at {fits.elbow_} clusters, strength {fits.elbow_strength_:.1f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
plot.clusters(fits[fits.elbow_], x, left, sample_size=1000)
plot.clustergram(fits, right)
figure.savefig("pictures.png", dpi=72)
