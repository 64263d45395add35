"""What a fit says of its progress: a bar that ends full, lines that show without set-up."""

import logging
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_kmeans import KMeans
from dask_kmeans.blockwise import Size, Work
from dask_kmeans.progress import Gauge, ProgressBar, logger

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


LONG = """
import time, numpy as np, dask.array as da, dask_kmeans.progress as progress
from dask_kmeans import KMeans, planning
planning.MIN_BLOCK_BYTES = 1
progress.FIRST_SECONDS, progress.LOOK_SECONDS, progress.LOG_SECONDS = 0.1, 0.05, 0.1
def slow(rows):
    time.sleep(0.04)
    return rows
X = np.random.default_rng(0).normal(size=(2000, 2))
rows = da.from_array(X, chunks=(100, 2)).map_blocks(slow, dtype=X.dtype)
KMeans(3, random_state=0, init_rounds=2, max_iter=2, tol=0, verbose={verbose}).fit(rows)
"""


def bars_of_a_long_fit(verbose):
    code = LONG.format(verbose=verbose)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    return ran.stderr.replace("\r", "\n").strip()


def lines(ran):
    """What is said, but that kernels are compiled, which is said once on a machine."""
    return [line for line in ran.stderr.splitlines() if "compiling" not in line]


def last_bar(ran):
    return ran.stderr.splitlines()[-1]


def test_the_bar_of_a_fit_that_converged_is_full():
    ran = fit(1)
    iterations = int(ran.stdout)
    assert last_bar(ran).startswith("k-means: converged: 100%")
    assert f"{iterations} iterations" in last_bar(ran)


def test_a_fit_of_a_moment_has_one_line(monkeypatch, capsys):
    monkeypatch.setattr("dask_kmeans.progress.FIRST_SECONDS", 60)
    KMeans(3, random_state=0, verbose=1).fit(X)
    (line,) = capsys.readouterr().err.replace("\r", "\n").strip().splitlines()[-1:]
    assert line.startswith("k-means: converged: 100%")


def test_a_terminal_that_does_not_know_its_size_shows_the_bar(monkeypatch):
    ours, theirs = os.openpty()  # it begins with no rows and no columns
    with open(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        bar = ProgressBar()
        bar.finish("converged")
        bar.close()
        shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "k-means: converged: 100%|" in shown


def test_the_bar_says_which_pass_is_under_way_and_how_far_it_is():
    bars = bars_of_a_long_fit(1)
    for name in ("survey", "seeding round 1", "seeding round 3", "iteration 1", "last pass"):
        assert re.search(rf"k-means: {name}: +\d+%.*left, \S+ of 2.00k rows, .* read, .*/s", bars)
    assert "iteration 1 of at most 2, 2000 changed, inertia" in bars
    assert "stopped at max_iter" in bars.splitlines()[-1]


@pytest.mark.slow
def test_lines_say_how_far_a_long_pass_is():
    said = bars_of_a_long_fit(2)
    assert re.search(r"survey: .*left, \S+ of 2.00k rows, .* read, .*/s", said)
    assert re.search("iteration 1: .*left.*\n.*iteration 1: 2000 rows changed", said, re.DOTALL)


def test_the_bar_says_that_iterations_were_too_few():
    assert "stopped at max_iter" in last_bar(fit(1, most=1))


def test_the_bar_of_a_fit_that_failed_stays_as_it_is():
    ran = fit(1, setup='X[3] = float("nan")')
    assert ran.returncode == 1
    assert "100%" not in ran.stderr


@pytest.mark.slow
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
    KMeans(3, random_state=0, callbacks=[bar]).fit(X)
    bar.finish("converged: as it should")
    assert bar._bar.n == bar._bar.total > 1
    bar.close()
    assert logging.getLogger("dask_kmeans").filters == []


# How long it will take

TOTAL = 1_000_000


@given(
    seconds=st.floats(3, 3000),
    late=st.floats(0, 0.5),
    uneven=st.floats(0, 0.15),
    parts=st.integers(40, 1000),
    seed=st.integers(0, 1000),
)
def test_time_left_is_right_from_a_third_on(seconds, late, uneven, parts, seed):
    """Parts that take about as long as each other, after a delay, looked at four times a second."""
    lengths = 1 + uneven * np.random.default_rng(seed).uniform(-1, 1, parts)
    ends = late + np.cumsum(lengths) / lengths.sum() * seconds
    work = Work("a pass", Size(parts, TOTAL))
    gauge = Gauge(work, 0.0)
    for now in np.arange(0, ends[-1], 0.25):
        rows = TOTAL * np.searchsorted(ends, now) // parts
        work.advance(0, int(rows), 0)
        standing = gauge.look(now)
        truth = ends[-1] - now
        if now >= ends[-1] / 3:
            assert abs(standing.seconds_left - truth) <= max(0.25 * truth, seconds / parts + 0.25)


def test_time_left_follows_the_recent_past():
    """The second half is three times as slow; work that is lost is done again."""
    work = Work("a pass", Size(1, 2000))
    gauge = Gauge(work, 0.0)
    for now in range(1, 101):
        work.advance(0, 10 * now, 0)
        standing = gauge.look(float(now))
    assert standing.seconds_left == pytest.approx(100)
    for now in range(101, 221):
        work.advance(0, 1000 + 3 * (now - 100), 0)
        standing = gauge.look(float(now))
    assert standing.rate == pytest.approx(3)
    work.advance(0, 500, 0)
    assert gauge.look(221.0).seconds_left is None
    work.advance(0, 505, 0)
    assert gauge.look(222.0).rate == pytest.approx(5)


def test_a_standstill_shows():
    work = Work("a pass", Size(1, 100))
    gauge = Gauge(work, 0.0)
    for now in range(1, 51):
        work.advance(0, now, 0)
        gauge.look(float(now))
    assert gauge.look(51.0).seconds_left == pytest.approx(49)
    assert gauge.look(100.0).seconds_left > 60


def test_parts_count_where_rows_are_not_known():
    work = Work("survey", Size(8))
    gauge = Gauge(work, 0.0)
    work.advance(0, 1000, 8000, whole=True)
    gauge.look(1.0)
    work.advance(1, 1000, 8000, whole=True)
    told = str(gauge.look(2.0))
    assert told == "00:06 left, 2 of 8 blocks, 2.00k rows, 16.0kB read, 1 blocks/s"
