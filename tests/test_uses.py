"""Examples of what people use k-means for: each runs, and says what it should."""

from __future__ import annotations

import pytest
from test_examples import EXAMPLES, run

EXPECTED = {
    "customer_segments.py": ["96% of the customers are with their kind"],
    "anomalies.py": ["19 of 20 broken readings found", "2 false alarms"],
    "compressed_vectors.py": ["32 times smaller", "9 of the 10 nearest"],
}


def test_all_uses_are_here():
    assert EXPECTED.keys() == {path.name for path in (EXAMPLES / "uses").glob("*.py")}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_a_use(name, tmp_path):
    ran = run(f"uses/{name}", tmp_path)
    assert ran.returncode == 0, ran.stderr
    for text in EXPECTED[name]:
        assert text in ran.stdout
