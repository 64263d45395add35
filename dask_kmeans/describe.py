"""What the clusters of rows are like: a table of them, their nearest and their farthest rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dask_kmeans.metrics import Metric
from dask_kmeans.pages import clusters_table
from dask_kmeans.read import PresentFeatures
from dask_kmeans.statistics import (
    Balance,
    BlockRows,
    ClusterFeatures,
    ClusterTotals,
    DistanceQuantiles,
    ExtremeRows,
    FeaturesByCluster,
    Inertia,
    MeanDistances,
    RowCounts,
    RowsByDistance,
    Statistic,
    TotalsByCluster,
    balance,
    global_rows,
)
from dask_kmeans.write import jsonable

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
"""Of the distances in a cluster: names of the columns, and what they hold."""

SHOWN_ROWS, SHOWN_FEATURES = 20, 3
"""Of the table at most where it is printed."""

SHOWN = ["size", "inertia", "mean_distance", "q50_distance", "max_distance"]
"""Of its columns, before those of features."""


@dataclass(frozen=True, eq=False, repr=False)
class Clusters:
    """What `KMeans.describe` found.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a cluster, by its number. Distances are those to the center of the cluster, as
        `transform` tells them; what there is nothing to tell of is NaN.

        - size : rows with this label
        - weight : the sum of their weights; 1 each without `sample_weight`
        - inertia : their share of the inertia
        - mean_distance, max_distance
        - q05_distance, q25_distance, q50_distance, q75_distance, q95_distance : the least distance
          within which so many percent of the weight lie, to 1 / 256 of itself
        - FEATURE_mean, FEATURE_std : of each feature, in the unit of the data. The standard
          deviation is that of a sample, as pandas has it: the divisor is n - 1, or with weights
          sum(w) - sum(w**2) / sum(w), which is that for equal ones. Features without a name are
          x0, x1 and so on. NaN for features that the fit left out since they had no value.
    nearest, farthest : pandas.DataFrame
        Of each cluster the rows nearest to its center, and farthest from it: `cluster`, `rank`
        (from 1), `row` (its number among all rows, from 0; of a grid in C order), `distance`, and
        the columns that a source carries. Equally far ones stand in the order of the rows.
    inertia : float
        Of all rows: `-score(X)`, to the bit.
    n_rows : int
        All rows, those that are left out (label -1) included.
    n_features : int
    balance : Balance
        `largest_share`, the share of the rows that are in the largest cluster, and
        `effective_clusters`, exp(entropy) of these shares: k where all clusters are of one size,
        near 1 where one has nearly all rows.

    Notes
    -----
    All but `size` and `balance` are of rows of positive weight. Sums are exact, or cut off so far
    down that float64 does not see it; nothing depends on chunks, workers or the order of the rows.
    """

    table: pd.DataFrame
    nearest: pd.DataFrame
    farthest: pd.DataFrame
    inertia: float
    n_rows: int
    n_features: int

    @property
    def balance(self) -> Balance:
        return balance(self.table["size"].to_numpy())

    @property
    def rows_left_out(self) -> int:
        """Rows without a label."""
        return self.n_rows - int(self.table["size"].sum())

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON knows it: lists of records for tables, None for NaN."""
        return jsonable(
            {
                "n_rows": self.n_rows,
                "rows_left_out": self.rows_left_out,
                "n_features": self.n_features,
                "inertia": self.inertia,
                **self.balance._asdict(),
                "clusters": self.table.reset_index().to_dict("records"),
                "nearest": _records(self.nearest),
                "farthest": _records(self.farthest),
            }
        )

    def _shown(self) -> tuple[list[str], pd.DataFrame, str]:
        """What there is to say at first, the part of the table that is shown, and what is not."""
        left_out = f", {self.rows_left_out} left out" if self.rows_left_out else ""
        # Mean and deviation of each feature come last.
        first = self.table.shape[1] - 2 * self.n_features
        features = self.table.columns[first : first + 2 * SHOWN_FEATURES]
        shown = self.table[[*SHOWN, *features]].head(SHOWN_ROWS)
        heading = [
            f"{len(self.table)} clusters of {self.n_rows} rows{left_out}, inertia {self.inertia!r}",
            str(self.balance),
        ]
        whole = len(shown) == len(self.table) and self.n_features <= SHOWN_FEATURES
        rest = "" if whole else f"... {len(self.table)} clusters of {self.n_features} features"
        return heading, shown, rest

    def __repr__(self) -> str:
        heading, shown, rest = self._shown()
        table = shown.reset_index().to_string(index=False, float_format="{:.6g}".format)
        return "\n".join([*heading, table, *filter(None, [rest])])

    def _repr_html_(self) -> str:
        return clusters_table(self)


def statistics_for(
    metric: Metric, top: int, present: PresentFeatures | None = None
) -> tuple[Statistic, ...]:
    """What one pass has to learn for `clusters_of`; `present` as in `FeaturesByCluster`."""
    distance = metric.distances_of
    return (
        Inertia(),
        BlockRows(),
        TotalsByCluster(distance),
        MeanDistances(distance),
        DistanceQuantiles(distance, tuple(QUANTILES.values())),
        FeaturesByCluster(present),
        RowsByDistance(distance, top),
        RowsByDistance(distance, top, farthest=True),
    )


def clusters_of(
    figures: Sequence[Any], metric: Metric, names: Sequence[str], carried: Any = None
) -> Clusters:
    """The clusters of which `statistics_for` gave these figures, with the features' names.

    carried : `pyarrow.Schema` of what the source carries beside its rows, or None.
    """
    import pandas as pd

    inertia, counts, totals, means, quantiles, features, nearest, farthest = figures
    table = pd.concat(
        [
            _distances(totals, means, quantiles, metric),
            _features(features, names),
        ],
        axis="columns",
    ).rename_axis("cluster")
    return Clusters(
        table,
        _rows(nearest, counts, carried),
        _rows(farthest, counts, carried),
        metric.of_square * inertia,
        sum(counts.values()),
        len(names),
    )


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries; what JSON has no form for (a date, say) as text."""
    return [{name: _plain(value) for name, value in row.items()} for row in rows.to_dict("records")]


def _plain(value: Any) -> Any:
    try:
        return jsonable(value)
    except TypeError:
        return str(value)


def _distances(
    totals: ClusterTotals, means: np.ndarray, quantiles: np.ndarray, metric: Metric
) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "size": totals.sizes,
            "weight": totals.weights,
            "inertia": metric.of_square * totals.squares,
            "mean_distance": means,
            "max_distance": totals.largest,
            # The middle of the last bin may lie beyond the last row.
            **{
                f"{name}_distance": np.minimum(column, totals.largest)
                for name, column in zip(QUANTILES, quantiles.T, strict=True)
            },
        }
    )


def _features(features: ClusterFeatures, names: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    both = np.stack([features.means, features.deviations], axis=2)
    return pd.DataFrame(
        both.reshape(len(both), -1),
        columns=[f"{name}_{figure}" for name in names for figure in ("mean", "std")],
    )


def _rows(found: ExtremeRows, counts: RowCounts, carried: Any) -> pd.DataFrame:
    import pandas as pd

    clusters, ranks = np.nonzero(found.rows >= 0)
    rows = pd.DataFrame(
        {
            "cluster": clusters,
            "rank": ranks + 1,
            "row": global_rows(found.rows[clusters, ranks], counts),
            "distance": found.distances[clusters, ranks],
        }
    )
    if carried is None:
        return rows
    import pyarrow as pa

    own = [found.carried[row] for row in found.rows[clusters, ranks].tolist()]
    table = pa.Table.from_pylist(own, schema=carried)
    # Integers among missing ones stay integers.
    return pd.concat([rows, table.to_pandas(integer_object_nulls=True)], axis="columns")
