"""Versions: the processes of a cluster have this package, and the same version of it, as here.

Where one has not, Dask cannot tell it what to do: it drops the connection, tries again, and the
work waits for ever. So each is asked beforehand, by a function that does not come with this
package.
"""

from __future__ import annotations

import pydoc
import weakref
from collections.abc import Iterable
from typing import Any

from dask_kmeans import __version__, checks

SCHEDULER = "the scheduler"

VERSION = "dask_kmeans.__version__"

WHOLE = "dask_kmeans.estimator.__name__"
"""Imports what tasks need, other packages included."""

_fit: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()
"""The processes of each client's cluster that can run this version."""


def check_same_version(client: Any, workers: Iterable[str]) -> None:
    """Ask the scheduler and the workers, each once; raise ClusterError for those that differ."""
    fit = _fit.setdefault(client, set())
    new = {SCHEDULER, *workers} - fit
    if not new:
        return
    versions = _answers(client, new, VERSION)
    same = {name for name, version in versions.items() if version == __version__}
    broken = {
        name: answer
        for name, answer in _answers(client, same, WHOLE).items()
        if isinstance(answer, Exception)
    }
    different = {name: version for name, version in versions.items() if name not in same}
    if different or broken:
        raise checks.versions_error(__version__, {**different, **broken})
    fit.update(same, {SCHEDULER})


def _answers(client: Any, processes: set[str], name: str) -> dict[str, Any]:
    """What a name stands for in each process that answers; None where it stands for nothing."""
    workers = sorted(processes - {SCHEDULER})
    answers: dict[str, Any] = {}
    if workers:
        found = client.run(pydoc.locate, name, workers=workers, on_error="return")
        # A connection that fails is a worker that is gone, which is no matter here.
        answers = {at: it for at, it in found.items() if not isinstance(it, OSError)}
    if SCHEDULER in processes:
        try:
            answers[SCHEDULER] = client.run_on_scheduler(pydoc.locate, name)
        except ValueError:
            pass  # It is set to run no functions (`distributed.scheduler.pickle`).
        except Exception as error:
            answers[SCHEDULER] = error
    return answers
