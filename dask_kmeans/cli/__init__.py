"""The command `dask-kmeans`: read -> KMeans -> write.

Commands are declared in `commands`, the options that they share in `options`. Neither imports
anything heavy, so that `--help` and usage errors answer at once; each command's work is a module of
its own, imported when it runs. `main` runs one and says how it ended.
"""

from dask_kmeans.cli.main import main

__all__ = ["main"]
