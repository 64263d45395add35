#!/bin/sh
# Labels for the files of one day: nightly.sh 2026-11-30; without a day, of today.
# Run again it leaves the same labels; where it fails, those of before.
set -eu
day=${1:-$(date -u +%F)}
mkdir -p labels reports
dask-kmeans predict "incoming/$day/" --config job.toml \
    --labels "labels/$day.parquet" --report "reports/$day.json"
