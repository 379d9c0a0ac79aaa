"""Papers' figures with ours beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.public_benchmarks.guessing import guessed
from smolrgpt_core.public_benchmarks.published_figures import COLUMNS, PUBLISHED
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS


def run(*options: str):
    return CliRunner(env={"COLUMNS": "220"}).invoke(app, ["benchmark", *options])


@pytest.fixture
def results(folder, tmp_path) -> list[Path]:
    """Guesses of two fixtures, as they are written to disk."""
    found = []
    for name, data in (("cv-bench", "cv_bench"), ("spatialrgpt", "spatialrgpt_bench")):
        out = tmp_path / name
        done = run(name, "--data", str(folder / data), "--model", "guess", "--output", str(out))
        assert done.exit_code == 0, done.output
        found.append(out)
    return found


def test_every_benchmark_has_published_figures_of_names_that_we_have(folder) -> None:
    assert set(PUBLISHED) == set(COLUMNS) == set(BENCHMARKS)
    for name, rows in PUBLISHED.items():
        known = {column for columns in COLUMNS[name] for column in columns}
        assert all(row.figures and set(row.figures) <= known for row in rows), name
        assert all(0 <= value <= 100 for row in rows for value in row.figures.values())
    data = BENCHMARKS["cv-bench"].read(folder / "cv_bench")
    report = guessed(BENCHMARKS["cv-bench"], data, ["official", "hispatial"], 0)
    ours = {name for outcome in report.outcomes.values() for name in outcome.figures}
    assert set(COLUMNS["cv-bench"][0]) <= ours


def test_ours_stand_below_the_papers_with_source_input_and_denominator(results) -> None:
    done = run("--table", *map(str, results))
    assert done.exit_code == 0, done.output
    rows = [" ".join(line.split()) for line in done.output.splitlines()]
    hispatial = "HiSpatial-3B [1] metric depth, estimated 97.58 95.69"
    assert rows.index(hispatial) < next(i for i, row in enumerate(rows) if row.startswith("guess"))
    figures = json.loads((results[0] / "result.json").read_text())["scorers"]["official"]["figures"]
    ours = " ".join(f"{figures[name]['value']:.2f} ({figures[name]['of']})"
                    for name in ("overall", "2D", "3D"))  # fmt: skip
    assert f"guess official none {ours}" in rows
    assert "[1] HiSpatial, arXiv 2603.25411" in rows
    assert any(row.startswith("SpatialRGPT-VILA-1.5-8B [1] relative depth 99.17") for row in rows)
    assert any(row.startswith("SpatialRGPT-VILA-1.5-8B [1] relative depth 45.90") for row in rows)


def test_a_rule_can_be_chosen(results) -> None:
    done = run("--table", str(results[0] / "result.json"), "--scorer", "hispatial")
    assert done.exit_code == 0
    assert any(" ".join(line.split()).startswith("guess hispatial") for line in
               done.output.splitlines())  # fmt: skip
    wrong = run("--table", str(results[0]), "--scorer", "official", "--scorer", "nobody")
    assert wrong.exit_code == 2
    assert "lacks 'nobody'" in " ".join(wrong.output.split())


def test_what_is_no_result_is_refused(tmp_path) -> None:
    (tmp_path / "result.json").write_text("[]")
    done = run("--table", str(tmp_path))
    assert done.exit_code == 2
    assert "expected a result of" in " ".join(done.output.split())
    assert run("--table").exit_code == 2
    (tmp_path / "result.json").unlink()
    done = run("--table", str(tmp_path))
    assert done.exit_code == 2
    assert "benchmark --model` makes it" in " ".join(done.output.split())
