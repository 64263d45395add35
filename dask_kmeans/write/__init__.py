"""Write: the model as a Zarr group; labels as Zarr, Parquet, CSV or a NumPy file."""

from dask_kmeans.write.export import export_centers
from dask_kmeans.write.jsonable import jsonable
from dask_kmeans.write.labels import (
    check_carried,
    check_labels_output,
    write_and_count,
    write_labels,
    write_rows,
)
from dask_kmeans.write.model import load_fitted, save_model
from dask_kmeans.write.models import save_models
from dask_kmeans.write.place import check_output, staged

__all__ = [
    "check_carried",
    "check_labels_output",
    "check_output",
    "export_centers",
    "jsonable",
    "load_fitted",
    "save_model",
    "save_models",
    "staged",
    "write_and_count",
    "write_labels",
    "write_rows",
]
