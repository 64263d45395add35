"""The transition alone: states in, states out, no data and no pass."""

from __future__ import annotations

import ast
import math
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

import dask_kmeans
from dask_kmeans.centers import MeanCenters
from dask_kmeans.kernels import FixedPoint, Sums, accumulate
from dask_kmeans.state import (
    LONGEST_LEAP,
    FarRowsNeeded,
    Found,
    Rules,
    RunState,
    StopReason,
    new_run,
    next_state,
    timed,
)
from dask_kmeans.statistics import Farthest

X = np.array([[0.0], [2.0], [10.0], [12.0], [30.0]])
FIXED_POINT = FixedPoint.from_range(X.min(axis=0), X.max(axis=0), len(X))
RULES = Rules(MeanCenters(FIXED_POINT), n_rows=len(X), tol=0.0, max_iter=100)
FAR = Farthest(
    np.array([100.0, 4.0, 1.0]), np.array([4, 1, 0]), np.array([1, 0, 0], np.int32),
    np.array([[30.0], [2.0], [0.0]]), np.ones(3),
)  # fmt: skip


def sums_of(labels, k) -> Sums:
    sums = FIXED_POINT.zero_sums(k)
    labels = np.array(labels, np.int32)
    accumulate(X, None, FIXED_POINT, np.full(len(X), -1, np.int32), labels, sums)
    return sums


def found(labels, k, changed=3, **more) -> Found:
    return Found(sums_of(labels, k), changed, examined=5, bytes_read=40, **more)


def run(centers, **more) -> RunState:
    """A run whose scatter offset is that of X: what its first pass has measured."""
    offset = float((X**2).sum())  # about the shift, which is 0
    return new_run(0, np.array(centers)[:, None])._replace(scatter_offset=offset, **more)


def inertia(labels, centers) -> float:
    return float(((X[:, 0] - np.array(centers)[labels]) ** 2).sum())


def content(state: RunState) -> bytes:
    """Every bit of a state that counts."""
    parts = [state.centers, *([] if state.latest is None else state.latest[::2])]
    sums = [] if state.latest is None else state.latest.sums
    rest = repr((state.history, state.reason, state.longest_leap, state.lowest_inertia))
    return b"".join(part.tobytes() for part in [*parts, *sums]) + rest.encode()


def test_a_step_goes_to_the_means():
    labels, before = [0, 0, 1, 1, 1], run([0.0, 10.0])
    after = next_state(before, found(labels, 2), RULES)
    np.testing.assert_allclose(after.centers[:, 0], [1.0, 52 / 3])
    assert after.reason is None
    assert after.is_lloyd_step
    assert not after.may_leap  # it has no sample
    np.testing.assert_array_equal(after.latest.assigned, before.centers)
    np.testing.assert_array_equal(after.latest.lloyd_centers, after.centers)
    (record,) = after.history
    assert record[:2] == (1, 3)
    assert record.inertia == pytest.approx(inertia(labels, [0.0, 10.0]))
    assert record.center_shift == pytest.approx(math.hypot(1.0, 22 / 3))
    assert (record.examined, record.bytes_read, record.seconds) == (5, 40, 0.0)


def test_nothing_is_changed_in_place():
    before = next_state(run([0.0, 10.0]), found([0, 0, 1, 1, 1], 2), RULES)
    what = found([0, 0, 1, 1, -1], 2)
    kept, found_before = content(before), [part.tobytes() for part in what.sums]
    first, second = (next_state(before, what, RULES) for _ in range(2))
    assert content(before) == kept
    assert content(first) == content(second)
    assert [part.tobytes() for part in what.sums] == found_before
    # An empty cluster, into whose sums a far row goes.
    before = run([0.0, 10.0, 500.0])
    what = found([0, 0, 1, 1, 1], 3, farthest=FAR, farthest_wanted=3)
    found_before = [part.tobytes() for part in what.sums]
    next_state(before, what, RULES)
    assert [part.tobytes() for part in what.sums] == found_before


@pytest.mark.parametrize(
    ("changed", "tol", "max_iter", "steps", "reason"),
    [
        (0, 0.0, 100, 1, StopReason.CONVERGED),
        (1, 0.0, 100, 1, None),
        (1, 0.2, 100, 0, None),  # the first step gives every row a label
        (1, 0.2, 100, 1, StopReason.SETTLED),
        (2, 0.2, 100, 1, None),
        (2, 0.2, 2, 1, StopReason.MAX_ITER),
        (1, 0.2, 2, 1, StopReason.SETTLED),
    ],
)
def test_stop(changed, tol, max_iter, steps, reason):
    rules = Rules(RULES.center_rule, RULES.n_rows, tol, max_iter)
    state = run([0.0, 10.0])
    for _ in range(steps):
        state = next_state(state, found([0, 0, 1, 1, -1], 2), rules)
    state = next_state(state, found([0, 0, 0, 1, 1], 2, changed), rules)
    assert state.reason is reason


def test_centers_that_do_not_move_have_converged():
    state = next_state(run([1.0, 52 / 3]), found([0, 0, 1, 1, 1], 2), RULES)
    again = next_state(state, found([0, 0, 1, 1, 1], 2, changed=2), RULES)
    assert again.history[-1].center_shift == 0
    assert again.reason is StopReason.CONVERGED


# Leaps


def leapt(longest=8, centers=(0.5, 11.0), labels=(0, 0, 1, 1, 1)) -> RunState:
    """A run after one step, at centers that a leap has proposed."""
    state = run([0.0, 10.0], longest_leap=longest)
    state = next_state(state, found(labels, 2), RULES)
    assert state.may_leap
    return state._replace(centers=np.array(centers)[:, None], is_lloyd_step=False)


def test_a_good_leap_leads_to_longer_ones():
    before = leapt(centers=[1.0, 52 / 3])
    after = next_state(before, found([0, 0, 1, 1, 1], 2, changed=0), RULES)
    assert after.longest_leap == 16
    assert after.may_leap == (after.reason is None)
    assert next_state(leapt(40, [1.0, 17.0]), found([0, 0, 1, 1, 1], 2), RULES).longest_leap == (
        LONGEST_LEAP
    )


def test_labels_that_a_leap_has_not_changed_settle_nothing():
    """They are not those of Lloyd's iteration, whose centers have moved on."""
    after = next_state(leapt(centers=[1.5, 17.0]), found([0, 0, 1, 1, 1], 2, changed=0), RULES)
    assert after.reason is None
    assert after.is_lloyd_step


def test_an_overshot_leap_is_taken_back():
    before = leapt(centers=[-50.0, 80.0])
    after = next_state(before, found([0, 0, 0, 0, 1], 2), RULES)
    assert after.history[-1].inertia > before.history[-1].inertia
    # From where Lloyd's step would have gone, for a shorter leap.
    np.testing.assert_array_equal(after.centers, before.latest.lloyd_centers)
    np.testing.assert_array_equal(after.latest.lloyd_centers, before.latest.lloyd_centers)
    np.testing.assert_array_equal(after.latest.assigned, before.centers)
    assert after.is_lloyd_step
    assert after.longest_leap == 2
    assert after.may_leap
    assert after.lowest_inertia == before.lowest_inertia
    shift = np.linalg.norm(before.latest.lloyd_centers - before.centers)
    assert after.history[-1].center_shift == pytest.approx(shift)


def test_the_shortest_leap_that_overshot_makes_way_for_a_lloyd_step():
    after = next_state(leapt(3, [-50.0, 80.0]), found([0, 0, 0, 0, 1], 2), RULES)
    assert after.longest_leap == 1
    assert not after.may_leap
    # After which leaps are tried again.
    assert next_state(after, found([0, 0, 0, 1, 1], 2), RULES).may_leap


def test_a_lloyd_step_is_never_taken_back():
    """Of a relocated cluster the inertia may rise."""
    before = leapt(centers=[-50.0, 80.0])._replace(is_lloyd_step=True)
    after = next_state(before, found([0, 0, 0, 0, 1], 2), RULES)
    np.testing.assert_allclose(after.centers[:, 0], [6.0, 30.0])


def test_an_overshot_leap_at_max_iter_ends_at_lloyds_centers():
    rules = Rules(RULES.center_rule, RULES.n_rows, 0.0, max_iter=2)
    before = leapt(centers=[-50.0, 80.0])
    after = next_state(before, found([0, 0, 0, 0, 1], 2), rules)
    assert after.reason is StopReason.MAX_ITER
    np.testing.assert_array_equal(after.centers, before.latest.lloyd_centers)


# Empty clusters


def test_far_rows_are_asked_for_where_a_cluster_is_empty():
    before = run([0.0, 10.0, 500.0])
    what = found([0, 0, 1, 1, 1], 3)
    assert next_state(before, what, RULES) == FarRowsNeeded(3)
    after = next_state(before, what._replace(farthest=FAR, farthest_wanted=3), RULES)
    np.testing.assert_allclose(after.centers[:, 0], [1.0, 11.0, 30.0])
    assert after.reason is None


def test_those_that_the_pass_brought_are_taken_first_and_more_asked_for_once():
    labels, before = [0, 0, 1, 1, 1], run([0.0, 10.0, 500.0, 600.0])
    one = Farthest(*(field[:1] for field in FAR))
    what = found(labels, 4, farthest=one, farthest_wanted=1)
    assert next_state(before, what, RULES) == FarRowsNeeded(4)
    after = next_state(before, what._replace(farthest=FAR, farthest_wanted=4), RULES)
    np.testing.assert_allclose(after.centers[:, 0], [0.0, 11.0, 30.0, 2.0])
    # No more rows are far: the rest stays where it was.
    after = next_state(before, what._replace(farthest_wanted=4), RULES)
    np.testing.assert_allclose(after.centers[:, 0], [1.0, 11.0, 30.0, 600.0])


def test_a_step_that_relocated_has_not_converged_and_is_followed_by_no_leap():
    before = run([0.0, 10.0, 500.0], longest_leap=8)
    what = found([0, 0, 1, 1, 1], 3, changed=0, farthest=FAR, farthest_wanted=3)
    after = next_state(before, what, RULES)
    assert after.reason is None
    assert not after.may_leap
    rules = Rules(RULES.center_rule, RULES.n_rows, 0.0, max_iter=1)
    assert next_state(before, what, rules).reason is StopReason.MAX_ITER


def test_where_no_row_is_far_an_empty_cluster_stays_and_the_run_may_converge():
    none = Farthest(*(field[:0] for field in FAR))
    before = run([1.0, 52 / 3, 500.0])
    before = next_state(before, found([0, 0, 1, 1, 1], 3, farthest=none, farthest_wanted=3), RULES)
    after = next_state(
        before, found([0, 0, 1, 1, 1], 3, changed=0, farthest=none, farthest_wanted=3), RULES
    )
    assert after.reason is StopReason.CONVERGED
    assert after.centers[2, 0] == 500.0


def test_time_is_shared_out_among_the_steps_that_took_it():
    start = run([0.0, 10.0])
    (first,) = timed([start], [next_state(start, found([0, 0, 1, 1, 1], 2), RULES)], 2.0)
    last = first
    for labels in ([0, 0, 0, 1, 1], [0, 0, 0, 0, 1]):
        last = next_state(last, found(labels, 2), RULES)
    (last,) = timed([first], [last], 6.0)
    assert [record.seconds for record in last.history] == [2.0, 3.0, 3.0]


def test_the_transition_knows_no_reader_and_no_client():
    """Nor does anything that it imports, directly or not, but the kernels."""
    package, seen, wanted = Path(dask_kmeans.__file__).parent, set(), {"state"}
    while wanted - seen:
        name = min(wanted - seen)
        seen.add(name)
        files = [*package.glob(f"{name}.py"), *package.glob(f"{name}/*.py")]
        assert files, name
        for node in chain.from_iterable(ast.walk(ast.parse(file.read_text())) for file in files):
            module = getattr(node, "module", None) or ""
            if isinstance(node, ast.ImportFrom) and module.startswith("dask_kmeans."):
                wanted.add(module.removeprefix("dask_kmeans.").split(".")[0])
        wanted.discard("kernels")
    assert seen == {"state", "centers", "statistics"}
