"""Airflow 3: labels for each day's files, and a model where there is none yet.

A task fails where `dask-kmeans` does (exit codes 1, 2, 3), and can be tried again: outputs are
written whole or not at all, and a second run leaves the same labels.
"""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

FOLDER = "/srv/segments"

with DAG(
    dag_id="customer_segments",
    schedule="@daily",
    start_date=datetime(2026, 11, 30),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
):
    model = BashOperator(
        task_id="model",
        bash_command="mkdir -p reports && "
        "{ test -d customers.zarr || dask-kmeans fit --config job.toml; }",
        cwd=FOLDER,
    )
    labels = BashOperator(task_id="labels", bash_command="./nightly.sh {{ ds }}", cwd=FOLDER)
    model >> labels
