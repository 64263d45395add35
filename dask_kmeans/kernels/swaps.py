"""Whether a point had better be a center than one of those that are: the loops of local search."""

import numpy as np

from .compiled import compiled


@compiled
def first_swap(weights, nearest, apart, to_picks, begin, k, margin, orphans):
    """Try points in order until one is worth a swap, and make it: (number of the point, center).

    c points, k centers, b points that are tried. (b, -1) where none is worth it.

    weights : float64 (c,); nearest : intp (2, c), the nearest and the second-nearest center of each
    point, and apart : float64 (2, c), the squared distances to them: brought up to date, but for
    the points that `orphans`, bool (c,), names then, which had the center that went; to_picks :
    float64 (b, c), to the points that are tried, of which the first is `begin`; margin : part of a
    gain that does not count.
    """
    c = len(weights)
    first, second = nearest
    to_first, to_second = apart
    loss_of = np.empty(k)
    for pick in range(begin, len(to_picks)):
        to_pick = to_picks[pick]
        # What the points of each center lose if it goes, the new one being there.
        loss_of[:] = 0.0
        gain = 0.0
        for i in range(c):
            with_pick = min(to_first[i], to_pick[i])
            loss_of[first[i]] += weights[i] * (min(to_second[i], to_pick[i]) - with_pick)
            gain += weights[i] * (to_first[i] - with_pick)
        out = np.argmin(loss_of)
        if np.isnan(loss_of).any() or not loss_of[out] < gain * (1 - margin):
            continue  # infinite distances: not a number is no gain
        for i in range(c):
            orphans[i] = first[i] == out or second[i] == out
            if to_pick[i] < to_first[i]:
                second[i], to_second[i] = first[i], to_first[i]
                first[i], to_first[i] = out, to_pick[i]
            elif to_pick[i] < to_second[i]:
                second[i], to_second[i] = out, to_pick[i]
        return pick, out
    return len(to_picks), -1
