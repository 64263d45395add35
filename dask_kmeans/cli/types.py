"""Values of options that click has no type for."""

from __future__ import annotations

import contextlib
from typing import Any

import click


class Parameter(click.ParamType):
    """A parameter of `KMeans`, held to the rule that `KMeans` holds it to.

    Parameters
    ----------
    of : str
        Its name there.
    """

    def __init__(self, of: str):
        self.name = of

    def convert(self, value: Any, param: Any, ctx: Any) -> int | float | str:
        from dask_kmeans import checks

        parsed = _number(value) if isinstance(value, str) else value
        if not checks.RULES[self.name].holds(parsed):
            self.fail(checks.for_shell(checks.parameter_error(self.name, value)), param, ctx)
        return parsed


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


class Columns(click.ParamType):
    """Names, or numbers from 0, between commas.

    Parameters
    ----------
    usage : str
        What to type instead of an empty name.
    """

    name = "columns"

    def __init__(self, usage: str):
        self.usage = usage

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
        if not all(names):
            self.fail(f"{value!r} has an empty name. Type {self.usage}", param, ctx)
        return names


class Dimensions(Columns):
    """Names of dimensions, as `KMeans(feature_dim=...)` takes them."""

    name = "dimensions"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        names = super().convert(value, param, ctx)
        return names[0] if len(names) == 1 else tuple(names)


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
            self.fail(f"{value!r} is no size in bytes. Type --memory-limit 2GiB", param, ctx)
        return size
