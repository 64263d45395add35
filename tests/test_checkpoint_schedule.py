"""When the state of a fit is kept: at little cost, and on the way out, whatever ends the fit."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from inputs import kmeans_with
from test_checkpoint import KINDS, SEED, X, bits, fit

from dask_kmeans import fit as fits
from dask_kmeans.checkpoint_schedule import CheckpointSchedule
from dask_kmeans.parameters import Thresholds
from dask_kmeans.result import FitState
from dask_kmeans.state import new_run

SHARE = Thresholds().saving_share

SELDOM = kmeans_with(saving_share=1e-9)
"""Saves its first state, and the last one."""


class Place:
    """A checkpoint that takes so many seconds of a clock to write."""

    def __init__(self, seconds):
        self.seconds, self.now, self.saved = seconds, 0.0, []

    def clock(self):
        return self.now

    def save(self, state):
        self.now += self.seconds
        self.saved.append(state.passes)


def state(passes):
    return FitState({}, (new_run(0, np.zeros((2, 2))),), passes, 0)


@pytest.mark.parametrize("of_a_pass", [0.001, 0.1, 10.0, 1000.0])
@pytest.mark.parametrize("of_a_save", [0.0, 0.001, 0.2, 5.0])
def test_saving_takes_a_small_share_of_the_time(of_a_pass, of_a_save):
    place = Place(of_a_save)
    with CheckpointSchedule(place, clock=place.clock) as schedule:
        for number in range(1, 1001):
            place.now += of_a_pass
            schedule.note(state(number))
    assert place.saved[0] == 1
    assert place.saved[-1] == 1000
    # The first and the last are saved at any price.
    assert (len(place.saved) - 2) * of_a_save <= SHARE * place.now
    if of_a_save <= SHARE * of_a_pass:
        assert len(place.saved) == 1000


def test_as_many_are_saved_as_the_share_allows():
    place = Place(1.0)
    with CheckpointSchedule(place, clock=place.clock) as schedule:
        for number in range(1, 1001):
            place.now += 1.0
            schedule.note(state(number))
    assert len(place.saved) * place.seconds > 0.8 * SHARE * place.now


class Slow(MemoryFileSystem):
    """An object store that takes a while to put something."""

    protocol = "slow"
    store: dict = {}  # noqa: RUF012
    put = 0

    def pipe_file(self, path, value, mode="overwrite", **options):
        type(self).put += 1
        time.sleep(0.2)
        super().pipe_file(path, value, mode, **options)


def test_a_slow_store_holds_up_nothing():
    """A fit of milliseconds an iteration, whose state takes longer to put: only a few are."""
    import fsspec

    fsspec.register_implementation("slow", Slow, clobber=True)
    parameters = {**SEED, "init": X[:6]}
    done = fit(checkpoint="slow://fits/state", **parameters)
    assert done.n_iter_ > 10
    assert Slow.put <= 3
    again = fit(checkpoint="slow://fits/state", **parameters)  # the last one is there
    assert Slow.put <= 3
    assert bits(again) == bits(done) == bits(fit(**parameters))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("iteration", [2, 4])
def test_interrupted_in_an_iteration_the_one_before_is_kept(kind, iteration, tmp_path, monkeypatch):
    """Whatever the interrupted one has done to the state, which had not been saved for long."""
    url = str(tmp_path / "state")
    real, calls = fits.advance, []

    def interrupted(*args):
        result = real(*args)
        calls.append(1)
        if len(calls) == iteration:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(fits, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint=url, kind=SELDOM, **KINDS[kind])
    monkeypatch.undo()
    heard = []
    resumed = fit(checkpoint=url, callbacks=[heard.append], **KINDS[kind])
    assert heard[0].iteration == iteration
    assert bits(resumed) == bits(fit(**KINDS[kind]))


def test_a_save_that_fails_on_the_way_out_hides_nothing(tmp_path):
    """The error that ended the fit comes through, and says what was lost besides."""

    def stop(record):
        if record.iteration == 3:
            os.remove(tmp_path / "folder" / "state")
            os.rmdir(tmp_path / "folder")
            raise RuntimeError("the callback's own")

    (tmp_path / "folder").mkdir()
    with pytest.raises(RuntimeError, match="the callback's own") as caught:
        fit(
            checkpoint=str(tmp_path / "folder" / "state"),
            callbacks=[stop],
            kind=SELDOM,
            **KINDS["plain"],
        )
    (note,) = caught.value.__notes__
    assert note.startswith("The state of the fit's last iteration is lost: Cannot write the")


def test_a_save_that_fails_after_the_last_iteration_is_an_error(tmp_path):
    folder = tmp_path / "folder"

    def remove(record):
        if folder.exists():
            (folder / "state").unlink()
            folder.rmdir()

    folder.mkdir()
    with pytest.raises(OSError, match=r"Cannot write the checkpoint .*Type os\.makedirs"):
        fit(checkpoint=str(folder / "state"), callbacks=[remove], kind=SELDOM, **KINDS["plain"])
