"""`python -m dask_kmeans` is `dask-kmeans`."""

from dask_kmeans.cli import main

if __name__ == "__main__":
    main()
