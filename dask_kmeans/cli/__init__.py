"""The command `dask-kmeans`: read -> KMeans -> write.

Commands are declared in `commands`, which imports nothing heavy, so that `--help` and usage errors
answer at once; each command's work is a module of its own, imported when it runs.
"""

from dask_kmeans.cli.commands import main

__all__ = ["main"]
