"""Prefect: labels for each day's files, with a look at how far they lie from their centers.

`python prefect_flow.py` serves the flow, which then runs every night.
"""

import json
import subprocess
from pathlib import Path

from prefect import flow, task

DRIFT = 1.5
"""Inertia a row, against that of the fit, from which on the model is no longer of these rows."""


@task(retries=2, retry_delay_seconds=600)
def label(day: str) -> dict:
    """Labels for one day; the report that tells of them."""
    subprocess.run(["sh", "nightly.sh", day], check=True)
    return json.loads(Path(f"reports/{day}.json").read_text())


@task
def fit() -> dict:
    """A new model; the report that tells of it."""
    Path("reports").mkdir(exist_ok=True)
    subprocess.run(["dask-kmeans", "fit", "--config", "job.toml"], check=True)
    return json.loads(Path("reports/fit.json").read_text())


@flow
def segments(day: str) -> float:
    """How much farther from their centers the rows of a day lie than those of the fit."""
    known = Path("reports/fit.json")
    fitted = json.loads(known.read_text()) if known.exists() else fit()
    found = label(day)
    drift = (found["inertia"] / found["n_rows"]) / (fitted["inertia"] / fitted["n_rows"])
    if drift > DRIFT:
        fit()
        label(day)
    return drift


if __name__ == "__main__":
    segments.serve(cron="30 4 * * *")
