"""What went wrong on a Dask cluster."""

from __future__ import annotations

from dask_kmeans.checks.errors import ClusterError

_GO_ON = (
    "With checkpoint=URL (--checkpoint, --resume) a fit goes on from its last iteration instead of "
    "starting anew"
)


def workers_lost_error(times: int, task: str) -> ClusterError:
    """For a task whose worker died each time that it was tried."""
    return ClusterError(
        f"The cluster gave up after {times} workers died over the same task, {task}: most often "
        "for want of memory. Give workers more memory or fewer threads, for example "
        f"LocalCluster(memory_limit='4 GiB', threads_per_worker=1). {_GO_ON}"
    )


def client_closed_error() -> ClusterError:
    return ClusterError(
        "The dask.distributed client was closed, or lost its scheduler, while it was in use. Keep "
        f"it open until the work is done: with Client(...): model.fit(X). {_GO_ON}"
    )


def cancelled_error() -> ClusterError:
    return ClusterError(
        "The tasks were cancelled on the cluster (Client.cancel, Client.restart, or a source whose "
        f"futures were released). Start them again. {_GO_ON}"
    )
