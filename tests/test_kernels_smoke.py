import math
import pickle

import numpy as np

from dask_kmeans import kernels as K


def test_story():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 5)).astype(np.float32)
    X[3, 2] = np.nan
    C = rng.normal(size=(7, 5))
    panel = K.prepare(C)
    labels = np.full(1000, -1, np.int32)
    lo, hi = np.full(5, np.inf), np.full(5, -np.inf)
    assert K.extent(X, lo, hi) == (3, 2, True, 1)
    fp = K.FixedPoint.from_range(lo, hi, 1000)
    sums = fp.zero_sums(7)
    tally = K.assign(X, None, panel, fp, labels, sums)
    assert tally.changed == 999
    d2 = ((X[:, None].astype(float) - C) ** 2).sum(-1)
    good = np.arange(1000) != 3
    assert (labels[good] == d2[good].argmin(1)).all() and labels[3] == -1
    means, weights = fp.means(sums)
    for j in range(7):
        mine = X[labels == j].astype(float)
        assert weights[j] == len(mine)
        for f in range(5):
            assert abs(means[j, f] - math.fsum(mine[:, f]) / len(mine)) < 2**-50 * (hi - lo)[f]
    out = K.labelled_distances(X, C, labels, np.empty(1000))
    assert np.isnan(out[3]) and np.allclose(out[good], d2.min(1)[good])
    total = K.ExactSum().add(out)
    total = pickle.loads(pickle.dumps(total)).merge(K.ExactSum())
    assert total.value() == math.fsum(out[good])
    e = K.exponential(2**64 - 1, 3, 10, np.empty(100000))
    u = K.uniform(1, 3, 10, np.empty(100000))
    assert (e > 0).all() and abs(e.mean() - 1) < 0.02 and abs(u.mean() - 0.5) < 0.01
    assert (K.exponential(2**64 - 1, 3, 15, np.empty(5)) == e[5:10]).all()
    assert K.nearest(X.astype(np.float16)[:, ::-1], panel, labels).undecided >= 0
    D = K.distances(X, C, np.empty((1000, 7)))
    assert np.allclose(D[good], d2[good])
