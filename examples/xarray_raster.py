"""A raster of several variables on a grid: each cell of the map gets a class.

Draws the map of classes: climate_classes.png.
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from dask_kmeans import KMeans

# A small world: two variables on a grid of latitude and longitude, chunked like a large one.
latitude = xr.DataArray(np.linspace(-85, 85, 171), dims="latitude")
longitude = xr.DataArray(np.arange(0.0, 360, 1), dims="longitude")
ridge = np.cos(np.radians(2 * longitude)) * np.cos(np.radians(latitude))
temperature = 30 - 50 * np.sin(np.radians(latitude)) ** 2 - 8 * ridge
rain = 8 * np.exp(-((latitude / 12) ** 2)) + 3 * np.exp(-(((abs(latitude) - 50) / 15) ** 2)) + ridge
climate = xr.Dataset(
    {"temperature": temperature, "rain": rain},
    coords={"latitude": latitude.values, "longitude": longitude.values},
).chunk(latitude=50, longitude=120)

standardized = (climate - climate.mean()) / climate.std()

model = KMeans(n_clusters=6, random_state=0).fit(standardized)

classes = model.labels_  # a lazy DataArray with the dimensions and coordinates of the rasters
print(classes)
climates = climate.groupby(classes.rename("class").compute()).mean().compute()
print(climates.to_dataframe().round(1))

figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
classes.plot(ax=axes, cmap="Set2", levels=np.arange(-0.5, 6), cbar_kwargs={"ticks": range(6)})
axes.set(title="Six classes of temperature and rain")
figure.savefig("climate_classes.png", dpi=120)
