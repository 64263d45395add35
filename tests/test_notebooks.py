"""The notebooks among the examples: run in a real kernel, they draw, and their bars end full."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

EXPECTED = {
    "customer_segments.ipynb": (["highest silhouette: 4", "tries on at home"], 2, 1),
    "terrain_classes.ipynb": (["roughness", "north"], 3, 1),
}
"""What each says, in part; how many pictures it draws, and how many bars."""


def test_all_notebooks_are_here():
    assert EXPECTED.keys() == {path.name for path in EXAMPLES.glob("*.ipynb")}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_notebook_is_kept_without_outputs(name):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
    assert "widgets" not in notebook.metadata


def executed(name, folder):
    """The notebook with what its cells gave; raises what they raise."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(EXAMPLES.parent)
    try:
        resources = {"metadata": {"path": str(folder)}}
        nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return notebook


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def n_colors(picture):
    """Of a PNG, more than a few pixels each."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB"))
    _, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    return np.count_nonzero(counts > 20)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_a_notebook_runs(name, tmp_path):
    texts, n_pictures, n_bars = EXPECTED[name]
    notebook = executed(name, tmp_path)
    given = outputs(notebook)
    assert [output for output in given if output.output_type == "error"] == []
    # Nothing goes wrong on the side, such as a warning; a worker may be slow to end.
    aside = "".join(output.text for output in given if output.get("name") == "stderr")
    assert [line for line in aside.splitlines() if "distributed.nanny" not in line] == []
    said = "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in given
    )
    for text in texts:
        assert text in said
    shown = [output.get("data", {}) for output in given]
    pictures = [data["image/png"] for data in shown if "image/png" in data]
    assert len(pictures) == n_pictures
    assert all(n_colors(picture) > 3 for picture in pictures)
    states = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    widgets = [widget["state"] for widget in states.values()]
    bars = [state for state in widgets if state["_model_name"] == "FloatProgressModel"]
    assert len(bars) == n_bars
    for bar in bars:
        assert bar["value"] == bar["max"]
        assert bar["bar_style"] == "success"
    texts = [state["value"] for state in widgets if state["_model_name"] == "HTMLModel"]
    assert sum("converged" in text for text in texts) == n_bars
