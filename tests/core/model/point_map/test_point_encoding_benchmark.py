"""The benchmark of coding point maps runs, and checks that both ways give the same."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4] / "benchmarks"))

import point_encoding


def test_both_ways_are_measured(capsys):
    point_encoding.main(["--sizes", "28", "--width", "4", "--repeats", "1"])
    assert "28" in capsys.readouterr().out
