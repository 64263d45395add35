#!/bin/bash
# sbatch slurm.sh: a scheduler, workers on every other task of the job, and a fit on them.
#SBATCH --job-name=segments
#SBATCH --ntasks=5
#SBATCH --cpus-per-task=8
#SBATCH --mem-per-cpu=4G
#SBATCH --time=02:00:00
set -eu
file=$PWD/scheduler-${SLURM_JOB_ID:-here}.json
mkdir -p reports
srun --ntasks=1 dask scheduler --scheduler-file "$file" &
srun --ntasks=4 dask worker --scheduler-file "$file" --nworkers 1 --nthreads 8 &
trap 'kill $(jobs -p); rm -f "$file"' EXIT
until [ -s "$file" ]; do sleep 1; done
dask-kmeans fit --config job.toml --scheduler-file "$file" --checkpoint state.npz --resume
