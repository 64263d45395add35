"""Columns that look like identifiers of rows: they are clustered all the same, with a warning.

What is looked at lies at hand: names, the first rows of a table in memory, the first lines of a CSV
file, the statistics of the first Parquet file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

FIRST_ROWS = 1000
"""Rows that are looked at."""

FEWEST_ROWS = 20
"""Fewer integers may well be in order by chance, or be months."""

NAMED = re.compile(r"(?i:(.*[\W_])?(id|uuid)|index|idx|row_?(id|number|nr))|.*[a-z]I[dD]")
"""Names of identifiers: `id`, `customer_id`, `customerId`, `index`, ..."""


def suspects(columns: Iterable[Any], in_order: Callable[[Any], bool]) -> dict[Any, str]:
    """Those of some columns of numbers that look like identifiers, and why.

    in_order : whether the integers in a column tell rows apart: see below.
    """
    reasons = {
        name: "by its name"
        if isinstance(name, str) and NAMED.fullmatch(name)
        else "no two rows have the same, and rows are in its order"
        if in_order(name)
        else ""
        for name in columns
    }
    return {name: reason for name, reason in reasons.items() if reason}


def first_in_order(values: np.ndarray) -> bool:
    """Whether the first values of a column are integers, each above the last, or each below."""
    first = values[:FIRST_ROWS]
    if first.dtype.kind not in "iu" or len(first) < FEWEST_ROWS:
        return False
    return bool((first[1:] > first[:-1]).all() or (first[1:] < first[:-1]).all())


def ranges_in_order(ranges: Sequence[tuple[int, int, int]]) -> bool:
    """Whether the integers of row groups may be such, as their statistics have it.

    Parameters
    ----------
    ranges : sequence of (int, int, int)
        Minimum, maximum and number of rows of the first one or two row groups. What is in order in
        one alone cannot be seen: there the integers have to leave no gap.
    """
    if not ranges or sum(rows for _, _, rows in ranges) < FEWEST_ROWS:
        return False
    if len(ranges) == 1:
        low, high, rows = ranges[0]
        return high - low + 1 == rows
    (low, high, _), (next_low, next_high, _) = ranges
    apart = high < next_low or next_high < low
    return apart and all(above - below + 1 >= rows for below, above, rows in ranges)
