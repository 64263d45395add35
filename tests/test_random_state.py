"""Where random numbers come from: an int, or a generator of NumPy, as scikit-learn has it."""

import numpy as np
import pytest
from sklearn.base import clone

from dask_kmeans import KMeans, load_model

X = np.random.default_rng(0).normal(size=(300, 3))

GENERATORS = [np.random.default_rng, np.random.RandomState]


def centers(random_state, **parameters):
    return KMeans(5, random_state=random_state, **parameters).fit(X).cluster_centers_.tobytes()


@pytest.mark.parametrize("make", GENERATORS)
@pytest.mark.parametrize("init", ["k-means||", "random"])
def test_a_generator_gives_each_fit_its_next_numbers(make, init):
    generator = make(7)
    first, second = (centers(generator, init=init, max_iter=1) for _ in range(2))
    assert first != second
    assert centers(make(7), init=init, max_iter=1) == first


@pytest.mark.parametrize("make", GENERATORS)
def test_a_generator_is_cloned_and_left_out_of_what_is_stored(make, tmp_path):
    model = KMeans(5, random_state=make(7))
    assert centers(clone(model).random_state) == centers(make(7))
    model.fit(X).save(tmp_path / "m.zarr")
    assert load_model(tmp_path / "m.zarr").random_state is None


@pytest.mark.parametrize("random_state", [2**40, 2**64 - 1, np.random.default_rng(3)])
def test_a_callable_start_gets_a_random_state(random_state):
    def init(X, n_clusters, random_state):
        return X[random_state.choice(len(X), n_clusters, replace=False)]

    assert KMeans(4, init=init, random_state=random_state).fit(X).cluster_sizes_.sum() == 300


def test_seeds_that_differ_in_their_upper_bits_differ():
    assert centers(1, max_iter=1) != centers(1 + 2**40, max_iter=1)
