"""Options that are not typed: `--config FILE.toml`, the environment, and what comes of them.

click looks for each of them: typed, else in the environment, else in the file, else its default.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

import click
from click.core import ParameterSource

from dask_kmeans.cli.streams import set_json
from dask_kmeans.cli.types import Columns

PREFIX = "DASK_KMEANS"
"""DASK_KMEANS_N_INIT in the environment is --n-init, of every job."""


TYPED_ONLY = ("show_config", "debug")
"""Options that make no sense in the environment, nor in a file."""


class Job(click.Command):
    """A command whose options may come from the environment and from a file too.

    It has `show_config` among its options, and has to heed it: see `shown`.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # First of all, so that everything after it may stand in the file.
        self.params[:0] = [
            click.Option(
                ["--config"], metavar="FILE.toml", is_eager=True, expose_value=False,
                type=click.Path(exists=True, dir_okay=False), callback=_read,
                help="Take options from here, by their long names (n-clusters = 3); "
                f"{PREFIX}_N_CLUSTERS=3 in the environment goes before, what is typed before both.",
            ),
            click.Option(
                ["--show-config"], is_flag=True,
                help="Print the options that are in force, as such a file, and do nothing.",
            ),
            click.Option(
                ["--log-format"], type=click.Choice(["text", "json"]), default="text",
                show_default=True, is_eager=True, expose_value=False, callback=_set_format,
                help="What is said on stderr: lines for people, or a JSON object a line.",
            ),
        ]  # fmt: skip
        for param in self.params:
            if param.name not in TYPED_ONLY:
                param.envvar = _variable(param)

    @property
    def settable(self) -> dict[str, click.Parameter]:
        """What may stand in a file, by the names there."""
        others = ("config", *TYPED_ONLY)
        return {_key(param): param for param in self.params if param.name not in others}


def _key(param: click.Parameter) -> str:
    """What a parameter is called in a file: by its long name."""
    return max(param.opts, key=len).lstrip("-").replace("_", "-")


def _variable(param: click.Parameter) -> str:
    return f"{PREFIX}_{_key(param).replace('-', '_').upper()}"


def _set_format(ctx: click.Context, _: click.Parameter, log_format: str) -> None:
    set_json(log_format == "json")
    ctx.meta["log_format"] = log_format


def _read(ctx: click.Context, _: click.Parameter, path: str | None) -> None:
    """Have click take what the file says for what is neither typed nor in the environment."""
    if path is None:
        return
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(path, f"it is no TOML: {error}") from error
    assert ctx.parent is not None
    assert isinstance(ctx.parent.command, click.Group)
    jobs = {
        name: command
        for name, command in ctx.parent.command.commands.items()
        if isinstance(command, Job)
    }
    ctx.default_map = _values(path, content, jobs, ctx.command.name or "")


def _values(
    path: str, content: Mapping[str, Any], jobs: Mapping[str, Job], own: str
) -> dict[str, Any]:
    """Values for the job `own`: those on top of the file, and those of its own table.

    All tables are checked, those of other jobs too.
    """
    top = {key: value for key, value in content.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in content.items() if isinstance(value, Mapping)}
    for name in tables.keys() - jobs.keys():
        known = [*jobs, *jobs[own].settable]
        raise _refused(path, f"[{name}] is no command{_nearest(name, known)}")
    for key in top.keys() - _known(top, jobs[own]):
        others = [f"[{name}]" for name, job in jobs.items() if _known([key], job)]
        if others:
            reason = f"{key} is no option of {own}: write it under {' or '.join(others)}"
            raise _refused(path, reason)
    of_tables = {name: _typed(path, table, jobs[name], name) for name, table in tables.items()}
    return _typed(path, top, jobs[own], own) | of_tables.get(own, {})


def _known(keys: Iterable[str], job: Job) -> set[str]:
    return {key for key in keys if key.replace("_", "-") in job.settable}


def _typed(path: str, table: Mapping[str, Any], job: Job, name: str) -> dict[str, Any]:
    """Values of a table by the names of parameters, as if they had been typed."""
    settable, typed = job.settable, {}
    for key, value in table.items():
        param = settable.get(key.replace("_", "-"))
        if param is None:
            nearest = _nearest(key, settable)
            raise _refused(path, f"{key} is no option of {name}{nearest}")
        assert param.name is not None
        if param.name in typed:
            raise _refused(path, f"it has {_key(param)} twice")
        typed[param.name] = _as_typed(path, key, value, param)
    return typed


def _as_typed(path: str, key: str, value: Any, param: click.Parameter) -> Any:
    """A value of the file, as it would be typed: a number is a text, which click understands."""
    is_flag = isinstance(param, click.Option) and param.is_flag
    if is_flag:
        if isinstance(value, bool):
            return value
        raise _refused(path, f"{key} is {value!r}, not true or false")
    several = isinstance(param, click.Option) and param.multiple
    values = value if isinstance(value, list) else [value]
    wrong = [each for each in values if type(each) not in (str, int, float)]
    if wrong or not (values is not value or several or isinstance(param.type, Columns)):
        wanted = "texts or numbers in [ ]" if several else "a text or a number"
        raise _refused(path, f"{key} is {value!r}, not {wanted}")
    texts = [str(each) for each in values]
    return texts if several or values is value else texts[0]


def _refused(path: str, reason: str) -> click.BadParameter:
    return click.BadParameter(f"{path}: {reason}.", param_hint="'--config'")


def _nearest(name: str, known: Iterable[str]) -> str:
    """The known name that a wrong one is most like, as a question."""
    likely = difflib.get_close_matches(name.replace("_", "-"), known, n=1)
    return f"; did you mean {likely[0]}?" if likely else ""


def shown(ctx: click.Context) -> str:
    """The options that are in force, as a file for `--config`, each with where it comes from."""
    from dask_kmeans.checks import shown_url

    assert isinstance(ctx.command, Job)
    lines = [f"[{ctx.command.name}]"]
    values = ctx.params | ctx.meta
    for key, param in ctx.command.settable.items():
        assert param.name is not None
        value = values[param.name]
        if value is not None and value not in ((), []):
            origin = {
                ParameterSource.COMMANDLINE: "typed",
                ParameterSource.ENVIRONMENT: _variable(param),
                ParameterSource.DEFAULT_MAP: "--config",
            }.get(ctx.get_parameter_source(param.name) or ParameterSource.DEFAULT, "default")
            lines.append(f"{key} = {shown_url(_toml(value))}  # {origin}")
    return "\n".join([*lines, ""])


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):  # JSON has the escapes of TOML, and lets one more letter through
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
