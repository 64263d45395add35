"""What went wrong on a Dask cluster."""

from __future__ import annotations

from dask.utils import format_bytes

from dask_kmeans.checks.errors import ClusterError
from dask_kmeans.checks.wording import ESTIMATOR, text, typed

_GO_ON = text(
    "With ",
    typed(f"{ESTIMATOR}(checkpoint=URL)", "--checkpoint URL --resume"),
    " a fit goes on from its last iteration instead of starting anew",
)


def workers_lost_error(times: int, task: str) -> ClusterError:
    """For a task whose worker died each time that it was tried."""
    return ClusterError(
        text(
            f"The cluster gave up after {times} workers died over the same task, {task}: most "
            "often for want of memory. Give workers more memory or fewer threads, for example: "
            "type ",
            typed(
                "LocalCluster(memory_limit='4 GiB', threads_per_worker=1)",
                "--workers 1 --memory-limit 4GiB --threads 1",
            ),
            ". ",
            _GO_ON,
        )
    )


def scheduler_file_error(file: str, reason: Exception) -> ClusterError:
    """For a file that ought to tell where a scheduler is."""
    return ClusterError(
        text(
            f"{file} does not say where a scheduler is ({type(reason).__name__}: {reason}). Start "
            "the scheduler first: dask scheduler --scheduler-file writes it"
        )
    )


def client_closed_error() -> ClusterError:
    return ClusterError(
        text(
            "The dask.distributed client was closed, or lost its scheduler, while it was in use. ",
            typed("Keep it open", "Keep the scheduler running"),
            " until the work is done. ",
            _GO_ON,
        )
    )


def cancelled_error() -> ClusterError:
    return ClusterError(
        text(
            "The tasks were cancelled on the cluster",
            typed(" (Client.cancel, Client.restart, or a source whose futures were released)", ""),
            ". Start them again. ",
            _GO_ON,
        )
    )


def asynchronous_client_error() -> ClusterError:
    return ClusterError(
        text(
            "The active dask.distributed client is asynchronous, and this call waits for its "
            "results, which would stop the event loop that brings them. Run it in a thread: type "
            "await asyncio.to_thread(model.fit, X), or make the client without asynchronous=True"
        )
    )


def forked_client_error(scheduler: str) -> ClusterError:
    return ClusterError(
        text(
            "The active dask.distributed client was made before this process was forked, and "
            f"cannot be used in it. Type Client({scheduler!r}) in this process for one of its own, "
            'or type dask.config.set(scheduler="threads") to compute here without the cluster'
        )
    )


def not_sent_error(error: BaseException) -> ClusterError:
    """For data whose graph holds what no other process can be given."""
    while error.__cause__ is not None:
        error = error.__cause__
    return ClusterError(
        text(
            "The data cannot be sent to other processes: what its Dask graph holds has to be "
            f"picklable ({type(error).__name__}: {error}). Leave open files, locks and connections "
            "out of it and open them inside its functions, or ",
            typed(
                'type dask.config.set(scheduler="threads")',
                "leave out --scheduler and --workers",
            ),
            " to compute in this process",
        )
    )


MOST_NAMED = 5
"""Processes that an error names; a cluster may have hundreds."""


def versions_error(here: str, found: dict[str, str | Exception | None]) -> ClusterError:
    """For processes of a cluster that cannot run this version of the package.

    Parameters
    ----------
    here : str
        The version of this process.
    found : dict
        Each process by its name -> its version, None without one, or why it cannot be imported.
    """
    named = [f"{name} {_has(version)}" for name, version in list(found.items())[:MOST_NAMED]]
    if len(found) > MOST_NAMED:
        named.append(f"and {len(found) - MOST_NAMED} more")
    return ClusterError(
        text(
            f"The cluster cannot run dask_kmeans {here}, the version of this process: "
            f"{'; '.join(named)}. All processes of a cluster need the same version: type "
            f"pip install dask-kmeans=={here} where they run and start them again, or ",
            typed('type dask.config.set(scheduler="threads") here', "leave out --scheduler"),
            " to compute in this process",
        )
    )


def _has(version: str | Exception | None) -> str:
    if version is None:
        return "has no dask_kmeans"
    if isinstance(version, Exception):
        return f"cannot import it ({version})"
    return f"has version {version}"


def too_little_memory_to_describe_error(
    process: str, limit: int, needed: int, threads: int, centers: tuple[int, int], read: int
) -> ValueError:
    """The same where clusters are described, which has other sums."""
    k, d = centers
    return ValueError(
        text(
            f"{process} has {format_bytes(limit)} of memory, and describing {k} clusters by {d} "
            f"features needs at least {format_bytes(needed)} there: their moments in {threads} "
            f"tasks at once, and {format_bytes(read)} for the rows that each of them reads. "
            "Nothing was read yet. Give it more memory (",
            typed("LocalCluster(memory_limit=...)", "--memory-limit"),
            ") or fewer threads (",
            typed("threads_per_worker=1", "--threads 1"),
            ")",
        )
    )


def too_little_memory_error(
    process: str,
    limit: int,
    needed: int,
    threads: int,
    centers: tuple[int, int],
    read: int,
    n_runs: int,
) -> ValueError:
    """For a process with less memory than the tasks of a pass need in any case.

    centers : all of them, and features; read : bytes of the rows that a task reads at once.
    """
    k, d = centers
    of_centers = needed - threads * read
    most = int(k * (limit - threads * read) / of_centers / n_runs)
    fewer: tuple[str, ...] = ("take fewer features",)
    if most >= 1:
        fewer = (
            "type ",
            typed(f"{ESTIMATOR}(n_clusters={most})", f"--n-clusters {most}"),
            " or fewer",
        )
    return ValueError(
        text(
            f"{process} has {format_bytes(limit)} of memory, and a pass needs at least "
            f"{format_bytes(needed)} there: {format_bytes(of_centers)} for {k} centers of {d} "
            f"features ({n_runs} runs) and their sums in {threads} tasks at once, and "
            f"{format_bytes(read)} for the rows that each task reads. Nothing was read yet. Give "
            "it more memory (",
            typed("LocalCluster(memory_limit=...)", "--memory-limit"),
            "), fewer threads (",
            typed("threads_per_worker=1", "--threads 1"),
            "), or ",
            *fewer,
        )
    )
