"""Weather regimes: each day's map is a row, a regime is a map, land is left out.

Draws the regimes: weather_regimes.png.
"""

import numpy as np
import xarray as xr

from dask_kmeans import KMeans

N_REGIMES = 4

# Twenty winters of daily maps, chunked along time like a long record; the continent has no value.
rng = np.random.default_rng(0)
time = xr.DataArray(np.arange("2001", "2021", dtype="M8[D]").astype("M8[ns]"), dims="time")
latitude = xr.DataArray(np.linspace(70, 30, 41), dims="latitude", attrs={"units": "degrees_north"})
longitude = xr.DataArray(
    np.linspace(-80, 20, 81), dims="longitude", attrs={"units": "degrees_east"}
)
waves = [
    np.cos(np.radians(3 * longitude + shift)) * np.sin(np.radians(4 * latitude + 2 * shift))
    for shift in (0, 90, 180, 270)
]
spells = xr.DataArray(
    np.repeat(rng.integers(0, 4, 1 + len(time) // 8), 8)[: len(time)], dims="time"
)
noise = rng.normal(0, 70, (len(time), 41, 81)).astype("float32")
heights = 90 * xr.concat(waves, "regime").isel(regime=spells) + xr.DataArray(
    noise, dims=("time", "latitude", "longitude")
)
continent = (longitude > 0) & (latitude < 60)
heights = heights.where(~continent).transpose("time", ...).astype("float32")
heights = heights.assign_coords(time=time.values, latitude=latitude, longitude=longitude)
heights = heights.assign_attrs(units="m", long_name="height of 500 hPa, anomaly").chunk(time=365)

winter = heights.sel(time=heights.time.dt.month.isin([12, 1, 2]))
area = np.sqrt(np.cos(np.radians(winter.latitude)))  # so that each place counts by its area
area.attrs = {}

model = KMeans(
    n_clusters=N_REGIMES, feature_dim=("latitude", "longitude"), nan="skip", random_state=0
).fit(winter * area)

regimes = model.labelled_centers_ / area  # a DataArray (cluster, latitude, longitude)
days = model.labels_.compute()  # a DataArray (time,)
share = days.groupby(days).count() / days.size
print(regimes.sizes, "land left out:", int(regimes.isnull().sum("cluster").astype(bool).sum()))
print("share of the days:", share.values.round(2))

figure = regimes.plot(col="cluster", col_wrap=2, figsize=(9, 5.5), cmap="RdBu_r").fig
figure.savefig("weather_regimes.png", dpi=120)
