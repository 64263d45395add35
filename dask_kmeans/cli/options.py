"""The options that commands share, and what the command line alone shows to be wrong."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import click

from dask_kmeans.cli.types import Columns, Dimensions, Parameter, Size

CLUSTER = ("scheduler", "scheduler_file", "workers", "threads", "memory_limit")
OUTPUTS = ("labels", "report", "overwrite", "quiet")
BESIDE_LABELS = ("with", "keep", "partition_by")
PARAMETERS = (
    "metric",
    "standardize",
    "nan",
    "nodata",
    "feature_dim",
    "fit_fraction",
    "random_state",
    "tol",
    "max_iter",
    "n_init",
)
"""Of KMeans, besides n_clusters."""

LABEL_ENDINGS = (".zarr", ".parquet", ".csv", ".npy")
PLOT_ENDINGS = (".png", ".svg", ".pdf")
EXPORT_ENDINGS = (".npy", ".parquet", ".json")
TABLE_ENDINGS = (".parquet", ".csv")
"""Of labels that are a column, beside which others can stand."""


def _options(*options: Callable) -> Callable:
    """Several options as one decorator, in the order in which they are listed."""

    def decorate(function: Callable) -> Callable:
        return functools.reduce(lambda inner, option: option(inner), options[::-1], function)

    return decorate


COLUMNS_USAGE = "--columns A,B,C, or --column NAME for a name with commas or spaces in it"

columns_options = _options(
    click.option(
        "--columns", type=Columns(COLUMNS_USAGE), default=[], metavar="A,B,...",
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

one_hot_option = click.option(
    "--one-hot", type=Columns("--one-hot color,shape"), default=[], metavar="A,B,...",
    help="Columns of categories, each of which is a feature. The model keeps the categories.",
)  # fmt: skip

nan_option = click.option(
    "--nan",
    type=Parameter("nan"),
    metavar="[raise|skip]",
    help="Rows with NaN are an error, or labelled -1.  [default: as the model was fitted]",
)

# Looked for by `main`, which has to know even when the command line is not understood.
debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, help="Print the traceback of an error."
)

written_options = _options(
    click.option("--overwrite", is_flag=True, help="Replace outputs that exist."),
    click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors."),
    debug_option,
)

output_options = _options(
    click.option("--report", metavar="FILE.json", help="Write what was done as JSON; - is stdout."),
    written_options,
)

labels_options = _options(
    click.option(
        "--with", type=click.Choice(["distance"]),
        help="A column of distances to the own center beside the labels (.parquet, .csv).",
    ),
    click.option(
        "--keep", type=Columns("--keep id,url"),
        default=[], metavar="COLUMN,...",
        help="Columns of SOURCE, of any type, that go before the labels (.parquet, .csv).  "
        "[default: of several files, the file and the row in it]",
    ),
    click.option(
        "--partition-by", type=click.Choice(["cluster"]),
        help="A folder of Parquet files for each cluster: cluster=3/part-00000.parquet.",
    ),
)  # fmt: skip

cluster_options = _options(
    click.option("--scheduler", metavar="ADDRESS", help="Run on the workers of this scheduler."),
    click.option(
        "--scheduler-file", metavar="FILE",
        help="Run on the workers of the scheduler that wrote FILE (dask scheduler "
        "--scheduler-file FILE).",
    ),
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

parameter_options = _options(
    click.option(
        "--metric",
        type=Parameter("metric"),
        metavar="[euclidean|cosine]",
        default="euclidean",
        show_default=True,
        help="How far rows are from centers; cosine: by their directions. The model keeps it.",
    ),
    click.option(
        "--standardize",
        is_flag=True,
        help="Fit features of mean 0 and deviation 1; the model keeps both, predict applies them.",
    ),
    click.option(
        "--nan",
        type=Parameter("nan"),
        metavar="[raise|skip]",
        default="raise",
        show_default=True,
        help="Rows with NaN are an error, or left out (label -1).",
    ),
    click.option(
        "--nodata",
        type=Parameter("nodata"),
        metavar="N",
        help="Number that stands for no value: rows with it are left out. The model keeps it.",
    ),
    click.option(
        "--feature-dim",
        type=Dimensions("--feature-dim band, or --feature-dim lat,lon"),
        metavar="DIM,...",
        help="Of a group that xarray wrote: each place along DIM is a feature of each variable.",
    ),
    click.option(
        "--fit-fraction",
        type=Parameter("fit_fraction"),
        default=1.0,
        show_default=True,
        metavar="F",
        help="The share of the rows that the fit looks at; labels are of all rows.",
    ),
    click.option(
        "--random-state",
        type=Parameter("random_state"),
        default=0,
        show_default=True,
        metavar="N",
        help="Seed: the same one gives the same bits.",
    ),
    click.option(
        "--tol",
        type=Parameter("tol"),
        default=1e-4,
        show_default=True,
        metavar="SHARE",
        help="Stop when at most this share of the rows changes its label.",
    ),
    click.option(
        "--max-iter",
        type=Parameter("max_iter"),
        default=300,
        show_default=True,
        metavar="N",
        help="Iterations at most.",
    ),
    click.option(
        "--n-init",
        type=Parameter("n_init"),
        default="auto",
        show_default=True,
        metavar="N",
        help="Restarts, which share each pass over the data.",
    ),
)


def taken(options: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The options `names`, taken out of `options`."""
    return {name: options.pop(name) for name in names}


def outputs_of(options: dict[str, Any]) -> dict[str, Any]:
    """The options that say where outputs go and what beside labels, as `Outputs` takes them."""
    distance = options.pop("with") is not None
    return taken(options, (*OUTPUTS, "keep", "partition_by")) | {"with_distance": distance}


def features_of(options: dict[str, Any]) -> dict[str, Any]:
    """The options that choose features, taken out of `options`, as `open_source` takes them."""
    columns, column, exclude = taken(options, ("columns", "column", "exclude")).values()
    features = {"columns": [*columns, *column] or None, "exclude": exclude}
    one_hot = taken(options, ("one_hot",)) if "one_hot" in options else {}  # a model knows its own
    return features | one_hot


def _plain(place: str | None) -> str:
    """A path or URL in one form; "" for none."""
    if not place or place == "-":
        return ""
    return place.rstrip("/") if "://" in place else os.path.abspath(place)


def check_usage(options: dict[str, Any], places: tuple[str, ...]) -> None:
    """Raise UsageError for what the command line alone shows to be wrong."""
    scheduler = [n for n in ("scheduler", "scheduler_file") if options[n] is not None]
    if len(scheduler) == 2:
        raise click.UsageError("--scheduler and --scheduler-file name one each: leave out one.")
    if scheduler and (options["workers"] or options["threads"]):
        name = scheduler[0].replace("_", "-")
        raise click.UsageError(f"--{name} has its own workers: leave out --workers, --threads.")
    if options["memory_limit"] and not options["workers"]:
        raise click.UsageError("--memory-limit is that of a worker: type --workers N as well.")
    labels = options.get("labels")
    if labels is not None and not labels.rstrip("/").endswith(LABEL_ENDINGS):
        raise click.BadParameter(
            f"{labels!r} must end in {', '.join(LABEL_ENDINGS)}.", param_hint="'--labels'"
        )
    plot = options.get("plot")
    if plot is not None and not plot.lower().endswith(PLOT_ENDINGS):
        raise click.BadParameter(
            f"{plot!r} must end in {', '.join(PLOT_ENDINGS)}.", param_hint="'--plot'"
        )
    _check_beside_labels(options)
    used: dict[str, str] = {}
    for name in places:
        place = _plain(options[name])
        if place in used:
            raise click.UsageError(f"{used[place]} and --{name} are the same place, {place}.")
        if place:
            used[place] = "SOURCE" if name == "source" else f"--{name}"


def _check_beside_labels(options: dict[str, Any]) -> None:
    """Raise UsageError for what cannot stand beside labels, or not in their format."""
    given = {f"--{name.replace('_', '-')}": options.get(name) for name in BESIDE_LABELS}
    asked = [option for option, value in given.items() if value]
    if not asked:
        return
    labels = (options["labels"] or "").rstrip("/").lower()
    if not labels:
        raise click.UsageError(
            f"{asked[0]} says what goes beside labels: type --labels URL as well."
        )
    if not labels.endswith(TABLE_ENDINGS):
        raise click.UsageError(
            f"{asked[0]} needs a table of labels: type --labels NAME.parquet or NAME.csv."
        )
    if options["partition_by"] and not labels.endswith(".parquet"):
        raise click.UsageError("--partition-by needs Parquet: type --labels NAME.parquet.")
    own = {"label", "distance", *(["cluster"] if options["partition_by"] else [])}
    taken = [name for name in options["keep"] if name in own]
    if taken:
        raise click.UsageError(
            f"--keep {taken[0]}: labels have a column of this name. Rename that of SOURCE."
        )


def check_range(options: dict[str, Any]) -> None:
    """Raise UsageError for a range of numbers of clusters that holds none."""
    first, last = options["min_clusters"], options["max_clusters"]
    if first > last:
        raise click.UsageError(f"--min-clusters {first} is more than --max-clusters {last}.")


def check_parameters(options: dict[str, Any]) -> None:
    """Raise UsageError for parameters that do not go together."""
    if options["metric"] == "cosine" and options["standardize"]:
        raise click.UsageError(
            "--metric cosine compares directions as seen from the origin, and --standardize would "
            "move that: leave out one of them."
        )
