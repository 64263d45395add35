"""Start: where the runs of a fit begin: seeds, drawn on a sample of the rows where there are many.

k-means|| reads its data a few times. Where rows abound, a sample shows where they gather as well as
all of them do, and reading it costs nothing. But it may miss what is rare and far away, for which
k-means|| has an eye. So the sample is not believed: it says which inertia to expect of the
first step, which looks at every row. Where that turns out higher than chance explains, the runs
start anew from seeds drawn on all rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_kmeans.blockwise import Blockwise
from dask_kmeans.centers import CenterRule
from dask_kmeans.parameters import FitParameters
from dask_kmeans.sample import Sample, SampledRows, plan_sample
from dask_kmeans.seed import (
    SeedParameters,
    Seeds,
    make_parallel_seeds,
    make_sample_seeds,
    make_seeds,
)
from dask_kmeans.state import LONGEST_LEAP, RunState, new_run
from dask_kmeans.statistics import Inertia
from dask_kmeans.step.combine import merge_for
from dask_kmeans.step.measure import MeasureRequest, measure_block
from dask_kmeans.survey import Survey

if TYPE_CHECKING:
    from dask_kmeans.read import Points

LEAST_ROWS = 2**14
"""Sampled rows from which seeds may be drawn: chance alone does not often take their inertia from
that of all rows by more than `UNDERESTIMATED`."""

UNDERESTIMATED = 1.03
"""Ratio of the inertia found to the one expected, beyond which the sample has missed something. On
covertype, with features that few rows have, it is 1.16, and the fit would end 15 % worse than from
seeds of all rows; on mixtures, flights and GloVe it is at most 1.01."""

FITTED = 4.0
"""What is added to that ratio, divided by the sampled rows of a cluster: centers fit the rows that
they are made of better than others. In theory it is 2 for means of given clusters; 1.4 to 4 were
measured, on embeddings with 20 rows a cluster and GloVe with 100."""


def sample_for(points: Points, n_rows: int, parameters: FitParameters) -> Sample | None:
    """The sample of a fit to so many rows; None where it has no use for one."""
    sample = plan_sample(
        n_rows, points.n_features_read, max(parameters.n_clusters), parameters.seed
    )
    if sample is None or parameters.accelerated or _may_seed(sample, n_rows, parameters):
        return sample
    return None


def _may_seed(sample: Sample, n_rows: int, parameters: FitParameters) -> bool:
    return parameters.seeded_by_sample and sample.share * n_rows >= LEAST_ROWS


class Start:
    """Makes the runs of a fit, and makes them anew should the first step be a surprise."""

    def __init__(
        self,
        points: Points,
        blockwise: Blockwise,
        survey: Survey,
        parameters: FitParameters,
        rule: CenterRule,
        sampled: SampledRows | None,
    ):
        self._points, self._blockwise, self._survey = points, blockwise, survey
        self._parameters, self._rule, self._sampled = parameters, rule, sampled
        self._wanted = SeedParameters(
            parameters.init, parameters.n_init, parameters.oversampling_factor,
            parameters.init_rounds, parameters.seed,
        )  # fmt: skip
        self._by_sample = False
        self._expected_inertia: dict[int, float] = {}

    def runs(self) -> list[RunState]:
        """The runs at their seeds: of the sample if it will do, else of all rows."""
        sampled = self._sampled
        if sampled is not None and _may_seed(sampled.plan, self._survey.n_rows, self._parameters):
            seeds = make_sample_seeds(
                sampled.gathered(), self._survey, self._rule, self._parameters.n_clusters,
                self._wanted,
            )  # fmt: skip
            # Fewer distinct rows than clusters: all rows may have more.
            if all(made.n_distinct is None for made in seeds):
                self._by_sample = True
                return self._runs(seeds)
        return self.runs_of_all_rows()

    def runs_of_all_rows(self) -> list[RunState]:
        """The runs at seeds drawn on all rows."""
        blockwise = self._blockwise
        if self._sampled is not None:
            blockwise = self._sampled.collected_by(blockwise)
        return self._runs(self._seeds(blockwise))

    def expect_inertia(self, runs: list[RunState]) -> None:
        """Note what the first step will find, where seeds came from the sample."""
        if not self._by_sample:
            return
        assert self._sampled is not None
        # Labels are not kept: those that a warm-up has left serve the first leap.
        requests = [MeasureRequest(run.prepared(run.centers), (Inertia(),)) for run in runs]
        known = self._sampled.gathered().run(
            measure_block, requests, merge=merge_for(requests), name="measuring the sample"
        )
        for run, (inertia,) in zip(runs, known, strict=True):
            self._expected_inertia[run.number] = inertia.value() / self._sampled.plan.share

    def sample_underestimates(self, runs: list[RunState]) -> bool:
        """Whether the first step of any run has found more inertia than the sample lets expect."""
        expected, self._expected_inertia = self._expected_inertia, {}
        return any(
            run.history[0].inertia > self._tolerated(len(run.centers)) * expected[run.number]
            for run in runs
            if run.number in expected
        )

    def _tolerated(self, n_clusters: int) -> float:
        """Ratio of the inertia found to the one expected, beyond which the sample will not do."""
        assert self._sampled is not None
        rows = self._sampled.plan.share * self._survey.n_rows / n_clusters
        return UNDERESTIMATED + FITTED / rows

    def _seeds(self, blockwise: Blockwise) -> list[Seeds]:
        """For each number of clusters."""
        wanted = self._wanted
        ks, survey, rule = self._parameters.n_clusters, self._survey, self._rule
        if isinstance(wanted.init, str) and wanted.init == "k-means||":
            return make_parallel_seeds(blockwise, survey, rule, ks, wanted)
        return [make_seeds(self._points, blockwise, survey, rule, k, wanted) for k in ks]

    def _runs(self, seeds: list[Seeds]) -> list[RunState]:
        starts = [centers for made in seeds for centers in made.centers]
        return [
            new_run(number, centers, self._longest_leap(len(centers)))
            for number, centers in enumerate(starts)
        ]

    def _longest_leap(self, n_clusters: int) -> int:
        if self._sampled is None or not self._parameters.accelerated:
            return 0
        return min(LONGEST_LEAP, self._sampled.plan.affordable_steps(n_clusters))
