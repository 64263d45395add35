"""The commands and their options: what may be typed, and what each exit code means."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

import click

from dask_kmeans.cli.codes import DONE, FAILED, WRONG_USAGE, Stopped
from dask_kmeans.cli.imports import quick_imports
from dask_kmeans.cli.streams import forgiving_streams, say, warn
from dask_kmeans.cli.types import Columns, Parameter, Size

CLUSTER = ("scheduler", "workers", "threads", "memory_limit")
OUTPUTS = ("labels", "report", "overwrite", "quiet")
PARAMETERS = (
    "n_clusters",
    "metric",
    "standardize",
    "nan",
    "random_state",
    "tol",
    "max_iter",
    "n_init",
)
LABEL_ENDINGS = (".zarr", ".parquet", ".csv", ".npy")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line, then exit with one of the codes above, or 128 and a signal's number."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with forgiving_streams():
        code = _exit_code(arguments)
    sys.exit(code)


def _exit_code(arguments: list[str]) -> int:
    """Run the command line, and say what went wrong, if anything did."""
    try:
        with _signals_caught(), warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: warn(message)
            code = command_line.main(arguments, prog_name="dask-kmeans", standalone_mode=False)
            return code or DONE
    except click.UsageError as error:
        lines = io.StringIO()
        error.show(lines)
        _print_foreign(lines.getvalue())
        return WRONG_USAGE
    except Stopped as stopped:
        name = signal.Signals(stopped.number).name
        say(f"stopped by {name}; no output was left half-written{stopped.kept}")
        return 128 + stopped.number
    except Exception as error:  # one clear line, whatever went wrong
        if "--debug" in arguments:
            _print_foreign(traceback.format_exc())
        say(_one_line(error))
        return FAILED


def _print_foreign(text: str) -> None:
    """Print on stderr what others have worded."""
    from dask_kmeans.checks import shown_url

    click.echo(shown_url(text), err=True, nl=False)


@contextlib.contextmanager
def _signals_caught() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise `Stopped`, so that outputs and clusters are cleaned up."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        # A second signal ends the process at once, should cleaning up take too long.
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _one_line(error: Exception) -> str:
    from dask_kmeans.checks import Text, for_shell

    text = " ".join(for_shell(error).split()) or type(error).__name__
    ours = error.args and isinstance(error.args[0], Text)
    if ours or isinstance(error, OSError | ImportError | click.ClickException):
        return f"error: {text}"
    # What this package did not see coming; the type is half the message.
    return f"internal error: {type(error).__name__}: {text} (see --debug)"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dask_kmeans")
def command_line() -> None:
    """Exact k-means for data of any size.

    SOURCE is a Zarr array (or STORE/MEMBER of a group), a Parquet, CSV or .npy file, a folder or
    glob of them, or a dataset of an HDF5 file (FILE.h5::NAME): a local path or a URL such as
    s3://bucket/data.parquet. A column of vectors is as many features as these are long.

    Exit codes: 0 done; 1 the job failed, with one line on stderr; 2 wrong usage; 3 stopped at
    --max-iter where --require-convergence is given; 130 and 143 stopped by SIGINT and SIGTERM.
    """


def _options(*options: Callable) -> Callable:
    """Several options as one decorator, in the order in which they are listed."""

    def decorate(function: Callable) -> Callable:
        return functools.reduce(lambda inner, option: option(inner), options[::-1], function)

    return decorate


columns_options = _options(
    click.option(
        "--columns", type=Columns(), default=[], metavar="A,B,...",
        help="Features: names between commas, or numbers from 0.",
    ),
    click.option(
        "--column", multiple=True, metavar="NAME",
        help="One more feature, whatever its name holds; may be repeated.",
    ),
    click.option(
        "--exclude", multiple=True, metavar="NAME",
        help="A column (or its number) that is no feature; may be repeated.",
    ),
)  # fmt: skip

# Looked for by `main`, which has to know even when the command line is not understood.
debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, help="Print the traceback of an error."
)

output_options = _options(
    click.option("--report", metavar="FILE.json", help="Write what was done as JSON; - is stdout."),
    click.option("--overwrite", is_flag=True, help="Replace outputs that exist."),
    click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors."),
    debug_option,
)

cluster_options = _options(
    click.option("--scheduler", metavar="ADDRESS", help="Run on the workers of this scheduler."),
    click.option(
        "--workers", type=click.IntRange(min=1), metavar="N", help="Start N worker processes here."
    ),
    click.option(
        "--threads", type=click.IntRange(min=1), metavar="N",
        help="Threads of each worker, or of this process where there are no workers.",
    ),
    click.option(
        "--memory-limit", type=Size(), metavar="SIZE", help="Memory of each worker, such as 2GiB."
    ),
)  # fmt: skip


@command_line.command()
@click.argument("source")
@click.option(
    "--n-clusters", "-k", type=Parameter("n_clusters"), required=True, metavar="N", help="Clusters."
)
@click.option("--model", metavar="URL", required=True, help="Where the fitted model goes (Zarr).")
@click.option(
    "--labels", metavar="URL", help="Where labels go: a name in .zarr, .parquet, .csv or .npy."
)
@columns_options
@click.option("--sample-weight", metavar="COLUMN", help="Column that holds weights.")
@click.option(
    "--metric",
    type=Parameter("metric"),
    metavar="[euclidean|cosine]",
    default="euclidean",
    show_default=True,
    help="How far rows are from centers; cosine: by their directions. The model keeps it.",
)
@click.option(
    "--standardize",
    is_flag=True,
    help="Fit features of mean 0 and deviation 1; the model keeps both, and predict applies them.",
)
@click.option(
    "--nan",
    type=Parameter("nan"),
    metavar="[raise|skip]",
    default="raise",
    show_default=True,
    help="Rows with NaN are an error, or left out (label -1).",
)
@click.option(
    "--random-state",
    type=Parameter("random_state"),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed: the same one gives the same bits.",
)
@click.option(
    "--tol",
    type=Parameter("tol"),
    default=1e-4,
    show_default=True,
    metavar="SHARE",
    help="Stop when at most this share of the rows changes its label.",
)
@click.option(
    "--max-iter",
    type=Parameter("max_iter"),
    default=300,
    show_default=True,
    metavar="N",
    help="Iterations at most.",
)
@click.option(
    "--n-init",
    type=Parameter("n_init"),
    default="auto",
    show_default=True,
    metavar="N",
    help="Restarts, which share each pass over the data.",
)
@click.option("--checkpoint", metavar="URL", help="Keep the state here until the job is done.")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from the state in --checkpoint, if any, and replace what that run has written.",
)
@click.option(
    "--require-convergence",
    is_flag=True,
    help="Write neither model nor labels of a fit that --max-iter stopped; exit with 3.",
)
@cluster_options
@output_options
def fit(**options: Any) -> int:
    """Find the clusters of SOURCE and write the model."""
    if options["resume"] and options["checkpoint"] is None:
        raise click.UsageError("--resume needs the --checkpoint URL to go on from.")
    if options["metric"] == "cosine" and options["standardize"]:
        raise click.UsageError(
            "--metric cosine compares directions as seen from the origin, and --standardize would "
            "move that: leave out one of them."
        )
    _check_usage(options, ("source", "model", "labels", "report", "checkpoint"))
    with quick_imports():
        from dask_kmeans.cli.fit import Kept, run
        from dask_kmeans.cli.log import log_of
        from dask_kmeans.cli.outputs import Outputs

    parameters, cluster = _taken(options, PARAMETERS), _taken(options, CLUSTER)
    outputs, kept = Outputs(**_taken(options, OUTPUTS)), Kept(**_taken(options, Kept._fields))
    features = _features(options) | {"weight_column": options.pop("sample_weight")}
    with log_of(outputs.quiet):
        return run(
            features=features, parameters=parameters, cluster=cluster, outputs=outputs, kept=kept,
            **options,
        )  # fmt: skip


@command_line.command()
@click.argument("source")
@click.option("--model", metavar="URL", required=True, help="A model that fit wrote.")
@click.option(
    "--labels",
    metavar="URL",
    required=True,
    help="Where labels go: a name in .zarr, .parquet, .csv or .npy.",
)
@columns_options
@click.option(
    "--nan",
    type=Parameter("nan"),
    metavar="[raise|skip]",
    help="Rows with NaN are an error, or labelled -1.  [default: as the model was fitted]",
)
@cluster_options
@output_options
def predict(**options: Any) -> int:
    """Label the rows of SOURCE by the nearest center of a model."""
    _check_usage(options, ("source", "model", "labels", "report"))
    with quick_imports():
        from dask_kmeans.cli.log import log_of
        from dask_kmeans.cli.outputs import Outputs
        from dask_kmeans.cli.predict import run

    features, cluster = _features(options), _taken(options, CLUSTER)
    outputs = Outputs(**_taken(options, OUTPUTS))
    with log_of(outputs.quiet):
        return run(features=features, cluster=cluster, outputs=outputs, **options)


@command_line.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON.")
@debug_option
def inspect(model: str, as_json: bool) -> int:
    """Show what is in MODEL."""
    with quick_imports():
        from dask_kmeans.cli.inspect import run

    return run(model, as_json)


def _taken(options: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The options `names`, taken out of `options`."""
    return {name: options.pop(name) for name in names}


def _features(options: dict[str, Any]) -> dict[str, Any]:
    """The options that choose features, taken out of `options`, as `open_source` takes them."""
    columns, column, exclude = _taken(options, ("columns", "column", "exclude")).values()
    return {"columns": [*columns, *column] or None, "exclude": exclude}


def _plain(place: str | None) -> str:
    """A path or URL in one form; "" for none."""
    if not place or place == "-":
        return ""
    return place.rstrip("/") if "://" in place else os.path.abspath(place)


def _check_usage(options: dict[str, Any], places: tuple[str, ...]) -> None:
    """Raise UsageError for what the command line alone shows to be wrong."""
    if options["scheduler"] and (options["workers"] or options["threads"]):
        raise click.UsageError("--scheduler has its own workers: leave out --workers, --threads.")
    if options["memory_limit"] and not options["workers"]:
        raise click.UsageError("--memory-limit is that of a worker: type --workers N as well.")
    labels = options["labels"]
    if labels is not None and not labels.rstrip("/").endswith(LABEL_ENDINGS):
        raise click.BadParameter(
            f"{labels!r} must end in {', '.join(LABEL_ENDINGS)}.", param_hint="'--labels'"
        )
    used: dict[str, str] = {}
    for name in places:
        place = _plain(options[name])
        if place in used:
            raise click.UsageError(f"{used[place]} and --{name} are the same place, {place}.")
        if place:
            used[place] = "SOURCE" if name == "source" else f"--{name}"
