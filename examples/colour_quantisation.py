"""A photograph in 16 colours: every pixel takes the colour of its centroid.

Rows are pixels, features are red, green and blue, as uint8: no copy in floating point is made.
Draws the photograph before and after: colours.png.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from dask_kmeans import KMeans

N_COLOURS = 16

photograph = load_sample_image("china.jpg")
pixels = photograph.reshape(-1, 3)

model = KMeans(n_clusters=N_COLOURS, random_state=0).fit(pixels)

palette = np.rint(model.cluster_centers_).astype(np.uint8)
quantised = palette[model.labels_].reshape(photograph.shape)

colours = len(np.unique(pixels, axis=0))
error = np.sqrt(model.inertia_ / pixels.size)
print(f"{colours} colours -> {N_COLOURS}; {error:.1f} of 255 off, root mean square")
print(model.stop_reason_)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for axes, image, title in (
    (left, photograph, f"{colours} colours"),
    (right, quantised, f"{N_COLOURS} colours"),
):
    axes.imshow(image)
    axes.set_title(title)
    axes.set_axis_off()
figure.savefig("colours.png", dpi=120)
