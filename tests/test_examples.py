"""Every example runs, and says and draws what it should."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

EXPECTED = {
    "xclara.py": (["inertia 611605.8806933", "(9.4780459, 10.6860520)"], ["xclara.png"]),
    "pictures.py": (["elbow at 3 clusters"], ["pictures.png"]),
    "zarr_larger_than_memory.py": (["768 MB read", "12000000 labels"], ["labels.zarr"]),
    "parquet_folder.py": (["24 files written"], ["labelled"]),
    "weather_regimes.py": (["'cluster': 4", "share of the days"], ["weather_regimes.png"]),
    "xarray_raster.py": (["latitude", "dask.array"], ["climate_classes.png"]),
    "colour_quantisation.py": (["colours -> 16"], ["colours.png"]),
    "semantic_deduplication.py": (
        ["4400 rows in 44 clusters: 4000 kept, 400 dropped", "100% of the planted copies"],
        ["verdicts/cluster=0.parquet"],
    ),
    "centers_in_faiss.py": (
        ["the same nearest center: 100.0%", "the same neighbours, with all lists: 100.0%"],
        ["centers.npy"],
    ),
    "on_a_cluster.py": (["on 2 workers by way of tcp://", "same bits: True"], []),
}
"""What each prints, in part, and the files that it writes."""

QUICK = {"xclara.py"}


def run(name, folder, *arguments):
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments], cwd=folder, capture_output=True, text=True,
        timeout=300, env=os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(EXAMPLES.parent)},
    )  # fmt: skip


def test_all_examples_are_here():
    assert EXPECTED.keys() == {path.name for path in EXAMPLES.glob("*.py")}


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in EXPECTED],
)
def test_an_example_runs(name, tmp_path):
    printed, files = EXPECTED[name]
    ran = run(name, tmp_path)
    assert ran.returncode == 0, ran.stderr
    for text in printed:
        assert text in ran.stdout
    for file in files:
        assert (tmp_path / file).exists()


@pytest.mark.slow
def test_the_cluster_example_with_encryption(tmp_path):
    pytest.importorskip("cryptography")
    ran = run("on_a_cluster.py", tmp_path, "--tls")
    assert ran.returncode == 0, ran.stderr
    assert "by way of tls://" in ran.stdout
    assert "same bits: True" in ran.stdout
