"""Columns of a store: which are features, which holds the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dask_kmeans import checks


@dataclass(frozen=True)
class Columns:
    """Positions of the features (None: all of `n_columns`) and of the weights in a store's rows."""

    n_columns: int
    features: tuple[int, ...] | None
    weight: int | None

    def __len__(self) -> int:
        return self.n_columns if self.features is None else len(self.features)

    @classmethod
    def of_positions(
        cls, n_columns: int, columns: Sequence[Any] | None, weight_column: Any, source: str
    ) -> Columns:
        """Columns given by position (as ints or digits), for stores without names."""

        def position(given: Any) -> int:
            try:
                number = int(given)
            except (TypeError, ValueError):
                number = -1
            if not 0 <= number < n_columns:
                raise checks.column_positions_error(given, n_columns, source)
            return number

        weight = None if weight_column is None else position(weight_column)
        if columns is not None:
            return cls(n_columns, tuple(map(position, columns)), weight)
        if weight is None:
            return cls(n_columns, None, None)
        return cls(n_columns, tuple(c for c in range(n_columns) if c != weight), weight)

    def split(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Features and weights of rows (m, n_columns)."""
        weights = None if self.weight is None else values[:, self.weight]
        return (values if self.features is None else values[:, list(self.features)]), weights
