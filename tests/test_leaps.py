"""Leaps: what the sample's sums lack is known at the anchors and interpolated between them."""

from __future__ import annotations

import numpy as np
import pytest

from dask_kmeans import KMeans
from dask_kmeans.step.anchor import MOST_ANCHORS, VALUES, Anchor, Bearings, with_anchor

K, D = 3, 2
WEIGHTS = np.array([4.0, 1.0, 2.0])


def an_anchor(seed: int, centers: np.ndarray | None = None) -> Anchor:
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(K, D)) if centers is None else centers
    return Anchor(centers, rng.normal(size=(K, D)), rng.normal(size=K))


ANCHORS = [an_anchor(seed) for seed in range(4)]


@pytest.mark.parametrize("number", range(4))
def test_the_error_is_known_at_every_anchor(number):
    here = ANCHORS[number]
    found = Bearings(ANCHORS, WEIGHTS).error_at(here.centers)
    np.testing.assert_allclose(found.totals, here.totals, atol=1e-12)
    np.testing.assert_allclose(found.weights, here.weights, atol=1e-12)


def test_between_two_anchors_it_is_a_straight_line_that_ends_at_them():
    a, b = ANCHORS[:2]
    for share, expected in [(0.25, 0.25), (0.5, 0.5), (3.0, 1.0), (-2.0, 0.0)]:
        found = Bearings([a, b], WEIGHTS).error_at(a.centers + share * (b.centers - a.centers))
        line = a.totals + expected * (b.totals - a.totals)
        np.testing.assert_allclose(found.totals, line, atol=1e-12)


def test_of_a_single_anchor_it_is_the_same_everywhere():
    found = Bearings(ANCHORS[:1], WEIGHTS).error_at(ANCHORS[1].centers)
    assert found.totals.tobytes() == ANCHORS[0].totals.tobytes()
    assert found.weights.tobytes() == ANCHORS[0].weights.tobytes()


def test_heavy_clusters_tell_what_is_near():
    """Of two anchors, that one counts whose heavy cluster has moved less."""
    place = np.zeros((K, D))
    moved = [place.copy(), place.copy()]
    moved[0][0], moved[1][1] = 1.0, 1.0  # the heavy cluster's center, the light one's
    found = Bearings([an_anchor(5, moved[0]), second := an_anchor(6, moved[1])], WEIGHTS).error_at(
        place
    )
    to_second = np.abs(found.totals - second.totals).max()
    assert to_second < np.abs(found.totals - an_anchor(5, moved[0]).totals).max()


def test_anchors_too_far_apart_for_a_number_leave_the_latest():
    far = an_anchor(7, np.full((K, D), 1e200))
    found = Bearings([ANCHORS[0], far], WEIGHTS).error_at(ANCHORS[1].centers)
    assert found.totals.tobytes() == far.totals.tobytes()


def test_as_many_anchors_as_help_and_fit():
    kept: list[Anchor] = []
    for seed in range(MOST_ANCHORS + 3):
        kept = with_anchor(kept, an_anchor(seed))
    assert len(kept) == MOST_ANCHORS
    assert kept[-1].centers.tobytes() == an_anchor(MOST_ANCHORS + 2).centers.tobytes()
    again = with_anchor(kept, kept[0])  # where a run comes by once more
    assert len(again) == MOST_ANCHORS
    large = np.broadcast_to(0.0, (VALUES, 1))
    one = Anchor(large, large, large[:, 0])
    assert len(with_anchor([one._replace(centers=large + 1)], one)) == 1


def test_a_resumed_fit_leaps_as_it_would_have(tmp_path):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(12, 4))[rng.integers(12, size=30_000)] + rng.normal(size=(30_000, 4))
    place = str(tmp_path / "checkpoint")
    whole = KMeans(9, random_state=0).fit(rows)
    assert whole.n_iter_ > 6

    def stop(record):
        if record.iteration == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        KMeans(9, random_state=0, checkpoint=place, callbacks=[stop]).fit(rows)
    resumed = KMeans(9, random_state=0, checkpoint=place).fit(rows)
    assert resumed.n_iter_ == whole.n_iter_
    assert resumed.cluster_centers_.tobytes() == whole.cluster_centers_.tobytes()
