"""Values of options that click has no type for."""

from __future__ import annotations

import math
from typing import Any

import click


class Count(click.ParamType):
    """An integer >= 1, or the word "auto"."""

    name = "count"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        if value == "auto":
            return value
        return click.IntRange(min=1).convert(value, param, ctx)


class Share(click.ParamType):
    """A finite number >= 0."""

    name = "share"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        number = click.FLOAT.convert(value, param, ctx)
        if not 0 <= number < math.inf:
            self.fail(f"{value} is not a number >= 0. Type 1e-4", param, ctx)
        return number


class Columns(click.ParamType):
    """Names, or numbers from 0, between commas."""

    name = "columns"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
        if not all(names):
            self.fail(f"{value!r} has an empty name. Type A,B,C", param, ctx)
        return names


class Size(click.ParamType):
    """Bytes, such as 768MB or "2 GiB"."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        from dask.utils import parse_bytes

        try:
            size = parse_bytes(value)
        except (ValueError, OverflowError):
            size = 0
        if size <= 0:
            self.fail(f"{value!r} is no size in bytes. Type 768MB or 2GiB", param, ctx)
        return size
