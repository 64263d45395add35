"""Fixtures that more than one test module uses, and what holds for every test."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import dask
import distributed  # noqa: F401
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from reports import checked_of

from dask_kmeans import cli

XCLARA = Path(__file__).parent.parent / "examples" / "data" / "xclara.npy"

# A fit may compile or touch the disk: no deadline. The same examples in every run: a failure in CI
# is one that can be repeated (pytest --hypothesis-profile=explore looks for new ones).
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("explore", settings.get_profile("default"), derandomize=False)
settings.load_profile("default")


# `distributed` is imported above: were it first imported where a test has changed a setting of its
# own for a while, all of its defaults would go with that change.

# 15 s after a worker's death, a local cluster (Dask 2026.8) parts for good with one that just then
# is being started again, as after another test that kills.
dask.config.set({"distributed.deploy.lost-worker-timeout": "1 d"})


@pytest.fixture(scope="session")
def xclara() -> np.ndarray:
    """The tutorials' data, float64 (3000, 2), three clusters; read-only."""
    X = np.load(XCLARA)
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def processes():
    """A cluster of two worker processes with one thread each, for the session; no client."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        worker_dashboard_address=None,
    ) as cluster:
        yield cluster


@pytest.fixture
def client(processes):
    """A client of the two processes, active for the length of one test."""
    from distributed import Client

    with Client(processes) as client:
        yield client


class Ran(NamedTuple):
    """What one call of the command line left."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Of stderr."""
        return self.err.splitlines()


@pytest.fixture
def run(capsys):
    """`run("fit", ...)` as the shell would, in this process; a report has to be as published."""

    def call(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        ran = Ran(end.value.code, *capsys.readouterr())
        if ran.code == 0:
            checked_of(arguments, ran.out)
        return ran

    return call
