"""Where what a command leaves goes, beside the model."""

from __future__ import annotations

from dataclasses import dataclass

from dask_kmeans.cli.options import TABLE_ENDINGS
from dask_kmeans.plot.files import check_picture
from dask_kmeans.write import check_labels_output, check_output


@dataclass(frozen=True)
class Outputs:
    """The options of these names."""

    labels: str | None
    report: str | None
    overwrite: bool
    quiet: bool
    with_distance: bool = False
    keep: tuple[str, ...] = ()
    partition_by: str | None = None
    html: str | None = None
    plot: str | None = None

    @property
    def are_a_table(self) -> bool:
        """Whether labels are a column of a table, beside which others can stand."""
        return (self.labels or "").rstrip("/").lower().endswith(TABLE_ENDINGS)

    def check(self) -> None:
        """Raise for what cannot be written, before hours are spent on what goes into it."""
        if self.labels is not None:
            check_labels_output(self.labels, overwrite=self.overwrite)
        if self.report not in (None, "-"):
            check_output(self.report, overwrite=self.overwrite)
        if self.html is not None:
            check_output(self.html, overwrite=self.overwrite)
        if self.plot is not None:
            check_picture(self.plot, overwrite=self.overwrite)
