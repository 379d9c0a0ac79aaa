"""The benchmark of reading times runs and has a row for every length."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from question_reading import LONGEST, QUESTIONS, main


def test_every_question_is_timed(tmp_path):
    figures = tmp_path / "times.json"
    main(["--repeats", "1", "--json", str(figures)])
    rows = json.loads(figures.read_text())
    assert [row["words"] for row in rows] == list(LONGEST)
    assert sum(row["questions"] for row in rows) == len(QUESTIONS)
    assert all(0 < row["read_median"] <= row["read_worst"] for row in rows)
