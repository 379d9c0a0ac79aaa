"""`smolrgpt bag2data` and `smolrgpt simulate --bag` as a person or a script calls them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.cli.options import wrong_call
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.errors import SpatialError, Status, bad_input
from smolrgpt_core.extras import install_command
from smolrgpt_core.sim.drive import SimulatedDrive


def call(*words: object) -> Any:
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"})


def test_simulated_recording_becomes_a_data_set(tmp_path: Path) -> None:
    made = call("simulate", "--bag", tmp_path / "drive", "--seed", 4, "--bag-frames", 3,
                "--bag-storage", "mcap", "--image-size", "160x120")  # fmt: skip
    assert made.exit_code == 0, made.output
    assert (tmp_path / "drive" / "drive.mcap").is_file()
    assert "warehouse.launch.py use_sim:=false use_sim_time:=true" in made.output
    assert f"ros2 bag play {tmp_path / 'drive'} --clock --loop" in made.output
    read = call("bag2data", tmp_path / "drive", "--out", tmp_path / "data", "--split", "val")
    assert read.exit_code == 0, read.output
    assert "/camera_info" in read.stdout
    assert "frames written" in read.stdout
    assert SplitFolder(tmp_path / "data", "val").read_records()


def test_cut_recording_ends_with_its_own_status(recording: Path, tmp_path: Path) -> None:
    shutil.copytree(recording, tmp_path / "drive")
    os.truncate(tmp_path / "drive" / "drive.db3", 700_000)
    result = call("bag2data", tmp_path / "drive", "--out", tmp_path / "data")
    assert result.exit_code == 3
    assert "truncated or damaged" in result.stderr
    assert (tmp_path / "data" / "train.json").is_file()


def test_nothing_usable(recording: Path, drive: SimulatedDrive, tmp_path: Path) -> None:
    result = call("bag2data", recording, "--out", tmp_path / "data", "--depth-scale", "0.000001")
    assert result.exit_code == 1
    assert "wrong depth unit" in result.stdout
    assert f"none of {drive.frame_count} color images" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "training"], "split must be"),
        (["--regions", "/a", "--instances", "/b"], "either regions"),
        (["--rgb", "/a", "--depth", "/a"], "different from each other"),
        (["--labels", "pallet"], "10-59:pallet"),
        (["--depth-scale", "mm"], "meters per unit"),
    ],
)
def test_wrong_call(words: list[str], message: str, recording: Path, tmp_path: Path) -> None:
    result = call("bag2data", recording, "--out", tmp_path / "data", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_replay_names_the_option_that_is_wrong(recording: Path) -> None:
    options = {"--device": "cuda:1", "--dtype": "float32", "--answer-style": "short"}
    for option, expected in options.items():
        result = call("replay", recording, option, "none")
        assert result.exit_code == 2
        assert f"for {option}:" in result.stderr
        assert expected in result.stderr


@pytest.mark.parametrize(
    "error", [ValueError("a fault of ours"), SpatialError(Status.CANNOT_TELL, "a tie")]
)
def test_only_settings_that_are_refused_are_a_wrong_call(error: Exception) -> None:
    with pytest.raises(typer.BadParameter, match="too small"), wrong_call():
        raise bad_input("too small")
    with pytest.raises(type(error), match=str(error)), wrong_call():
        raise error


def test_no_recording(tmp_path: Path) -> None:
    result = call("bag2data", tmp_path / "missing", "--out", tmp_path / "data")
    assert result.exit_code == 1
    assert "there is no such recording" in result.stderr


@pytest.mark.parametrize(
    "words", [("bag2data", "some.mcap", "--out", "data"), ("simulate", "--bag", "some")]
)
def test_without_rosbags(words: tuple[str, ...], tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['rosbags'] = None\n"
        "from smolrgpt_core.cli import main; main()"
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert install_command("data") in done.stderr
    assert "Traceback" not in done.stderr


def test_bag_comes_alone(tmp_path: Path) -> None:
    result = call("simulate", "--bag", tmp_path / "drive", "--scenes", 2, "--out", tmp_path)
    assert result.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_documented_defaults_are_those_of_the_command() -> None:
    page = (Path(__file__).parents[3] / "docs" / "command_line.md").read_text()
    section = page.partition("## bag2data")[2].partition("\n## ")[0]
    options = typer.main.get_command(app).commands["bag2data"].params  # type: ignore[attr-defined]
    for option in options:
        if option.param_type_name == "option" and option.name != "help":
            assert f"`{option.opts[0]}" in section, option.name
            row = next(line for line in section.splitlines() if f"`{option.opts[0]}" in line)
            if isinstance(option.default, (int, float)):
                assert f"| {option.default} |" in row
            elif option.default:
                assert f"| `{option.default}` |" in row
