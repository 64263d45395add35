"""What a fit says of its progress: a bar that ends full, lines that show without set-up."""

import logging
import re
import subprocess
import sys

import numpy as np
import pytest

from dask_kmeans import KMeans
from dask_kmeans.progress import ProgressBar, logger

X = np.random.default_rng(0).normal(size=(200, 2))

FIT = (
    "import sys, numpy as np\n"
    "from dask_kmeans import KMeans\n"
    "X = np.random.default_rng(0).normal(size=(200, 2))\n"
    "{setup}\n"
    "print(KMeans(3, random_state=0, verbose={verbose}, tol=0, max_iter={most}).fit(X).n_iter_)\n"
)


def fit(verbose, most=300, setup="", redirect=""):
    code = FIT.format(verbose=verbose, most=most, setup=setup)
    line = f"exec {sys.executable} -c '{code}' {redirect}"
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=300)


def lines(ran):
    """What is said, but that kernels are compiled, which is said once on a machine."""
    return [line for line in ran.stderr.splitlines() if "compiling" not in line]


def last_bar(ran):
    return ran.stderr.splitlines()[-1]


def test_the_bar_of_a_fit_that_converged_is_full():
    ran = fit(1)
    iterations = int(ran.stdout)
    assert last_bar(ran).startswith("k-means: converged: 100%")
    assert f"{iterations}/{iterations}" in last_bar(ran)


def test_the_bar_says_what_is_done_before_the_first_iteration():
    before, _, _ = fit(1).stderr.partition("1/300")
    assert re.search("starting.*reading the data.*seeding", before, re.DOTALL)


def test_the_bar_says_that_iterations_were_too_few():
    assert "stopped at max_iter" in last_bar(fit(1, most=1))


def test_the_bar_of_a_fit_that_failed_stays_as_it_is():
    ran = fit(1, setup='X[3] = float("nan")')
    assert ran.returncode == 1
    assert "100%" not in ran.stderr


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize("verbose", [1, 2])
def test_a_terminal_that_has_gone_ends_no_fit(verbose, redirect):
    assert fit(verbose, redirect=redirect).stdout == fit(0).stdout


def test_lines_show_where_logging_is_not_set_up():
    ran = fit(2)
    stages = [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "", line)
              for line in lines(ran)]  # fmt: skip
    assert [line.split()[0] for line in stages[:3]] == ["reading", "seeding", "iteration"]
    assert stages[-1] == "converged"
    assert len(stages) == int(ran.stdout) + 3


@pytest.mark.parametrize("level", ["WARNING", "INFO"])
def test_lines_go_where_logging_sends_them(level):
    setup = f'import logging; logging.basicConfig(level="{level}", format="mine %(message)s")'
    ran = fit(2, setup=setup)
    assert all(line.startswith("mine ") for line in ran.stderr.splitlines())
    assert len(lines(ran)) == int(ran.stdout) + 3


def test_logging_is_left_as_it_was():
    before = (logger.level, logger.handlers[:], logger.filters[:], logger.propagate)
    for verbose in (1, 2):
        KMeans(3, verbose=verbose).fit(X)
        with pytest.raises(ValueError, match="NaN"):
            KMeans(3, verbose=verbose).fit(np.full_like(X, np.nan))
    assert (logger.level, logger.handlers, logger.filters, logger.propagate) == before


def test_the_bar_of_a_notebook_is_green():
    """What tqdm colours red is a bar that closes below its total."""
    bar = ProgressBar(300)
    bar._bar.update(7)
    bar.finish("converged: as it should")
    assert (bar._bar.n, bar._bar.total) == (7, 7)
    bar.close()
    assert logging.getLogger("dask_kmeans").filters == []
