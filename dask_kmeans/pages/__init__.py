"""HTML that needs no network and no library: what notebooks show, and the report of a fit."""

from dask_kmeans.pages.notebook import clusters_table, fitted_table, sweep_table
from dask_kmeans.pages.report import write_page

__all__ = ["clusters_table", "fitted_table", "sweep_table", "write_page"]
