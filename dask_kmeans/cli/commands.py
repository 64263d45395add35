"""The commands: what may be typed."""

from __future__ import annotations

from typing import Any

import click

from dask_kmeans.cli.codes import DONE
from dask_kmeans.cli.config import Job, shown
from dask_kmeans.cli.imports import quick_imports
from dask_kmeans.cli.options import (
    CLUSTER,
    EXPORT_ENDINGS,
    PARAMETERS,
    check_parameters,
    check_range,
    check_usage,
    cluster_options,
    columns_options,
    debug_option,
    features_of,
    labels_options,
    nan_option,
    one_hot_option,
    output_options,
    outputs_of,
    parameter_options,
    taken,
    written_options,
)
from dask_kmeans.cli.types import Columns, Parameter


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dask_kmeans")
def command_line() -> None:
    """Exact k-means for data of any size.

    SOURCE is a Zarr array (or STORE/MEMBER of a group), a Zarr group that xarray wrote, a Parquet,
    CSV or .npy file, a folder or glob of them, or a dataset of an HDF5 file (FILE.h5::NAME): a
    local path or a URL such as s3://bucket/data.parquet. A column of vectors is as many features as
    these are long.

    Exit codes: 0 done; 1 the job failed, with one line on stderr; 2 wrong usage; 3 stopped at
    --max-iter where --require-convergence is given; 130 and 143 stopped by SIGINT and SIGTERM.

    Options may also stand in a file (--config job.toml) or in the environment (DASK_KMEANS_TOL for
    --tol).
    """


@command_line.command(cls=Job)
@click.argument("source")
@click.option(
    "--n-clusters", "-k", type=Parameter("n_clusters"), required=True, metavar="N", help="Clusters."
)
@click.option("--model", metavar="URL", required=True, help="Where the fitted model goes (Zarr).")
@click.option(
    "--labels", metavar="URL", help="Where labels go: a name in .zarr, .parquet, .csv or .npy."
)
@labels_options
@columns_options
@one_hot_option
@click.option("--sample-weight", metavar="COLUMN", help="Column that holds weights.")
@parameter_options
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
@click.option("--html", metavar="FILE.html", help="Write what was found as a page to read.")
@cluster_options
@output_options
def fit(**options: Any) -> int:
    """Find the clusters of SOURCE and write the model."""
    if options["resume"] and options["checkpoint"] is None:
        raise click.UsageError("--resume needs the --checkpoint URL to go on from.")
    check_parameters(options)
    check_usage(options, ("source", "model", "labels", "report", "html", "checkpoint"))
    if options.pop("show_config"):
        return show_config()
    with quick_imports():
        from dask_kmeans.cli.fit import Kept, run
        from dask_kmeans.cli.log import log_of
        from dask_kmeans.cli.outputs import Outputs

    parameters, cluster = taken(options, ("n_clusters", *PARAMETERS)), taken(options, CLUSTER)
    outputs, kept = (
        Outputs(**outputs_of(options), html=options.pop("html")),
        Kept(**taken(options, Kept._fields)),
    )
    features = features_of(options) | {"weight_column": options.pop("sample_weight")}
    with log_of(outputs.quiet):
        return run(
            features=features, parameters=parameters, cluster=cluster, outputs=outputs, kept=kept,
            **options,
        )  # fmt: skip


@command_line.command(cls=Job)
@click.argument("source")
@click.option("--model", metavar="URL", required=True, help="A model that fit wrote.")
@click.option(
    "--labels",
    metavar="URL",
    required=True,
    help="Where labels go: a name in .zarr, .parquet, .csv or .npy.",
)
@labels_options
@columns_options
@nan_option
@cluster_options
@output_options
def predict(**options: Any) -> int:
    """Label the rows of SOURCE by the nearest center of a model."""
    check_usage(options, ("source", "model", "labels", "report"))
    if options.pop("show_config"):
        return show_config()
    with quick_imports():
        from dask_kmeans.cli.log import log_of
        from dask_kmeans.cli.outputs import Outputs
        from dask_kmeans.cli.predict import run

    features, cluster = features_of(options), taken(options, CLUSTER)
    outputs = Outputs(**outputs_of(options))
    with log_of(outputs.quiet):
        return run(features=features, cluster=cluster, outputs=outputs, **options)


@command_line.command(cls=Job)
@click.argument("source")
@click.option("--model", metavar="URL", required=True, help="A model that fit wrote.")
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="Tell the N nearest and the N farthest rows of each cluster.",
)
@columns_options
@click.option("--sample-weight", metavar="COLUMN", help="Column that holds weights.")
@click.option(
    "--keep",
    type=Columns("--keep id,url"),
    default=[],
    metavar="COLUMN,...",
    help="Columns of SOURCE, of any type, that go beside the nearest and farthest rows.",
)
@nan_option
@cluster_options
@click.option(
    "--report",
    metavar="FILE",
    help="Write everything as JSON (- is stdout), or to a name in .parquet as a table.",
)
@written_options
def describe(**options: Any) -> int:
    """Tell what the clusters of a model are like, by the rows of SOURCE."""
    keep = options.pop("keep")
    if taken_names := sorted({"cluster", "rank", "row", "distance"}.intersection(keep)):
        raise click.UsageError(
            f"--keep {taken_names[0]}: the table of rows has a column of this name. Rename that of "
            "SOURCE."
        )
    check_usage(options, ("source", "model", "report"))
    if options.pop("show_config"):
        return show_config()
    if options["quiet"] and options["report"] is None:
        raise click.UsageError("--quiet leaves nothing to tell: type --report FILE.json as well.")
    with quick_imports():
        from dask_kmeans.cli.describe import run
        from dask_kmeans.cli.log import log_of
        from dask_kmeans.cli.outputs import Outputs

    cluster = taken(options, CLUSTER)
    outputs = Outputs(labels=None, keep=keep, **taken(options, ("report", "overwrite", "quiet")))
    features = features_of(options) | {"weight_column": options.pop("sample_weight")}
    with log_of(outputs.quiet):
        return run(features=features, cluster=cluster, outputs=outputs, **options)


@command_line.command(cls=Job)
@click.argument("source")
@click.option(
    "--min-clusters",
    type=Parameter("n_clusters"),
    default=1,
    show_default=True,
    metavar="N",
    help="The first number of clusters.",
)
@click.option(
    "--max-clusters",
    type=Parameter("n_clusters"),
    required=True,
    metavar="N",
    help="The last number of clusters.",
)
@click.option("--models", metavar="URL", help="Folder that the fitted models go to, as K.zarr.")
@click.option(
    "--plot", metavar="FILE.png", help="Draw the inertia with its elbow: .png, .svg or .pdf."
)
@columns_options
@one_hot_option
@click.option("--sample-weight", metavar="COLUMN", help="Column that holds weights.")
@parameter_options
@click.option(
    "--require-convergence",
    is_flag=True,
    help="Write no models if --max-iter stopped one of the fits; exit with 3.",
)
@cluster_options
@output_options
def sweep(**options: Any) -> int:
    """Fit many numbers of clusters in shared passes over SOURCE, and tell what speaks for each."""
    check_range(options)
    check_parameters(options)
    check_usage(options, ("source", "models", "plot", "report"))
    if options.pop("show_config"):
        return show_config()
    with quick_imports():
        from dask_kmeans.cli.log import log_of
        from dask_kmeans.cli.outputs import Outputs
        from dask_kmeans.cli.sweep import run

    first, last = taken(options, ("min_clusters", "max_clusters")).values()
    parameters, cluster = taken(options, PARAMETERS), taken(options, CLUSTER)
    outputs = Outputs(labels=None, **taken(options, ("plot", "report", "overwrite", "quiet")))
    features = features_of(options) | {"weight_column": options.pop("sample_weight")}
    with log_of(outputs.quiet):
        return run(
            n_clusters=range(first, last + 1), features=features, parameters=parameters,
            cluster=cluster, outputs=outputs, **options,
        )  # fmt: skip


def show_config() -> int:
    """Print the options in force of the command that runs."""
    from dask_kmeans.cli.streams import hand_over

    hand_over(shown(click.get_current_context()))
    return DONE


@command_line.command()
@click.argument("model")
@click.argument("out")
@click.option("--overwrite", is_flag=True, help="Replace what is at OUT.")
@debug_option
def export(model: str, out: str, overwrite: bool) -> int:
    """Write the centers of MODEL for other programs.

    OUT says how: NAME.npy (float64), NAME.parquet (the columns cluster, size and vector) or
    NAME.json (with features, metric and standardization).
    """
    if not out.lower().endswith(EXPORT_ENDINGS):
        endings = ", ".join(EXPORT_ENDINGS)
        raise click.BadParameter(f"{out!r} must end in {endings}.", param_hint="'OUT'")
    with quick_imports():
        from dask_kmeans.write import export_centers, load_fitted

    export_centers(load_fitted(model), out, overwrite)
    return DONE


@command_line.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON.")
@debug_option
def inspect(model: str, as_json: bool) -> int:
    """Show what is in MODEL."""
    with quick_imports():
        from dask_kmeans.cli.inspect import run

    return run(model, as_json)


@command_line.command()
def schema() -> int:
    """Print the JSON schema of reports (--report)."""
    from importlib.resources import files

    from dask_kmeans.cli.streams import hand_over

    hand_over((files("dask_kmeans.cli") / "report.schema.json").read_text(encoding="utf-8"))
    return DONE
