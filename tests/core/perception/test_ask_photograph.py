"""`smolrgpt ask` about color alone: depth and objects come from models."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli import application

FOCAL = "40,40,25.5,17.5"


@pytest.fixture
def photograph(tmp_path: Path, picture: np.ndarray) -> Path:
    path = tmp_path / "photograph.png"
    cv2.imwrite(str(path), picture[..., ::-1])
    return path


def ask(photograph: Path, *arguments: object):
    words = ["ask", "--rgb", photograph, "--answerer", "geometric", *arguments]
    return CliRunner().invoke(application.app, [str(word) for word in words])


def shown(result) -> str:
    return " ".join(result.stderr.replace("│", " ").split())


def test_color_alone_is_enough(photograph: Path, checkpoint) -> None:
    """Whatever the random model finds is told."""
    result = ask(
        photograph, "--depth-model", checkpoint("depth_anything"), "--intrinsics", FOCAL,
        "--segmenter", checkpoint("mask2former"), "--json", "How many pallets are there?",
    )  # fmt: skip
    answer = json.loads(result.stdout)
    assert answer["status"] in ("OK", "CANNOT_TELL", "BAD_QUESTION"), answer
    assert "found: " in result.stderr


def test_files_go_with_models(photograph: Path, checkpoint, tmp_path: Path) -> None:
    """Objects from a file, depth from a model: every pixel of the answer is of the file's mask."""
    ids = np.zeros((36, 52), np.uint8)
    ids[10:20, 20:30] = 7
    regions = tmp_path / "regions.png"
    cv2.imwrite(str(regions), ids)
    result = ask(
        photograph, "--depth-model", checkpoint("depth_anything"), "--intrinsics", FOCAL,
        "--regions", regions, "--labels", "7:pallet", "How many pallets are there?",
    )  # fmt: skip
    assert (result.exit_code, "found" in result.stderr) == (0, False), result.stderr
    assert "1 pallet" in result.stdout


def test_a_model_without_a_focal_length_needs_the_calibration(photograph: Path, checkpoint) -> None:
    result = ask(photograph, "--depth-model", checkpoint("depth_anything"), "How many pallets?")
    assert result.exit_code == 3
    assert "estimates no focal length; give --intrinsics" in shown(result)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give --depth or --depth-model"),
        (["--depth", "FILE", "--depth-model", "x"], "give --depth or --depth-model"),
        (["--depth", "FILE"], "give --intrinsics"),
        (["--depth-model", "x", "--detector", "y"], "box_segmenter"),
        (["--depth-model", "x", "--regions", "FILE", "--segmenter", "y"], "give --regions, or"),
    ],
)
def test_wrong_calls(photograph: Path, arguments: list[str], expected: str) -> None:
    given = [str(photograph) if word == "FILE" else word for word in arguments]
    result = ask(photograph, *given, "How many pallets?")
    assert result.exit_code == 2
    assert expected in shown(result)


@pytest.mark.parametrize("option", ["--depth-model", "--segmenter"])
def test_a_checkpoint_that_is_not_there_is_named(photograph: Path, checkpoint, option: str) -> None:
    models = {
        "--depth-model": checkpoint("depth_anything"),
        "--segmenter": checkpoint("mask2former"),
    }
    models[option] = "/nowhere/at/all"
    words = [word for item in models.items() for word in item]
    result = ask(photograph, *words, "--intrinsics", FOCAL, "How many pallets?")
    assert result.exit_code == 3
    assert "/nowhere/at/all" in result.stderr
