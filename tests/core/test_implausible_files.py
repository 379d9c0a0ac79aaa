"""`smolrgpt ask` on files whose depth or calibration would give a wrong answer in silence.

A wall at 3 m, seen head-on by a camera of 160x120: pallet 1 is 3.00 m from pallet 2.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.files import write_image

HEIGHT, WIDTH = 120, 160
GOOD = "100,100,79.5,59.5"
QUESTION = "How far is pallet 1 from pallet 2?"
BOXES = {1: [20, 50, 20, 20], 2: [120, 50, 20, 20], 3: [50, 90, 60, 30]}
LABELS = {1: "pallet", 2: "pallet", 3: "buffer"}
SCATTERED = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.35
PALLET = np.zeros((HEIGHT, WIDTH), bool)
PALLET[50:70, 20:40] = True


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    write_image(tmp_path / "rgb.png", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    regions = [{"id": id, "label": LABELS[id], "box": box} for id, box in BOXES.items()]
    content = {"image_size": [HEIGHT, WIDTH], "regions": regions}
    (tmp_path / "regions.json").write_text(json.dumps(content))
    return tmp_path


def ask(folder: Path, name: str, depth: np.ndarray, intrinsics: str = GOOD) -> dict[str, Any]:
    if name.endswith(".npy"):
        np.save(folder / name, depth)
    else:
        cv2.imwrite(str(folder / name), depth)
    files = {"--rgb": "rgb.png", "--depth": name, "--regions": "regions.json"}
    options = [text for option, file in files.items() for text in (option, str(folder / file))]
    command = ["ask", "--answerer", "geometric", "--json", "--intrinsics", intrinsics, *options]
    result = CliRunner().invoke(app, [*command, QUESTION])
    assert result.exit_code in (0, 3), result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("depth.png", 65535),
        ("depth.png", 65534),
        ("depth.tif", 32767),
        ("depth.tif", 3.4028235e38),
        ("depth.npy", 1e9),
        ("depth.npy", 10000.0),
        ("depth.npy", 65.535),
        ("depth.npy", 20.0),
    ],
)
def test_marks_of_no_reading(wall: Path, name: str, mark: float) -> None:
    is_whole = isinstance(mark, int)
    wall_value, kind = (3000, np.uint16) if is_whole else (3.0, np.float32)
    depth = np.full((HEIGHT, WIDTH), wall_value, kind)
    depth[SCATTERED] = mark
    answer = ask(wall, name, depth)
    assert answer["status"] == "OK"
    assert answer["value"] == pytest.approx(3.0, rel=0.03)
    assert f"{SCATTERED.mean():.1%} of the depth pixels are invalid" in answer["message"]
    if mark != 20.0:
        depth[:] = wall_value
        depth[PALLET] = mark
        answer = ask(wall, name, depth)
        assert answer["status"] == "NO_VALID_DEPTH"
        assert "2.1% of the depth pixels are invalid" in answer["message"]


def test_marks_in_every_third_row(wall: Path) -> None:
    depth = np.full((HEIGHT, WIDTH), 3.0, np.float32)
    depth[1::3] = np.finfo(np.float32).max
    answer = ask(wall, "depth.tif", depth)
    assert answer["value"] == pytest.approx(3.0, rel=0.03)
    assert "33.3% of the depth pixels are invalid" in answer["message"]


def test_a_bare_wall_has_one_value(wall: Path) -> None:
    answer = ask(wall, "depth.png", np.full((HEIGHT, WIDTH), 3000, np.uint16))
    assert answer["value"] == pytest.approx(3.0, rel=0.03)
    assert "are invalid" not in answer["message"]


@pytest.mark.parametrize(
    ("intrinsics", "expected"),
    [
        ("900,900,640,360", "principal point"),
        ("0.9,0.9,0.5,0.5", "normalized by the image size"),
        ("100,1,79.5,59.5", "degrees"),
        ("50,50,39.5,29.5", "principal point"),
        ("100,100,59.5,79.5", "swapped"),
    ],
)
def test_calibration_of_another_image(wall: Path, intrinsics: str, expected: str) -> None:
    depth = np.full((HEIGHT, WIDTH), 3000, np.uint16)
    answer = ask(wall, "depth.png", depth, intrinsics)
    assert answer["status"] == "BAD_INPUT"
    assert expected in answer["message"]


def test_range_of_the_camera_is_an_option(wall: Path) -> None:
    depth = np.full((HEIGHT, WIDTH), 3000, np.uint16)
    depth[PALLET] = 3500
    cv2.imwrite(str(wall / "depth.png"), depth)
    call = ["ask", "--answerer", "geometric", "--intrinsics", GOOD, "--rgb", str(wall / "rgb.png")]
    call += ["--depth", str(wall / "depth.png"), "--regions", str(wall / "regions.json"), QUESTION]
    limited = CliRunner().invoke(app, [*call, "--max-depth", "3.2"])
    assert limited.exit_code == 3
    assert "farther than max_depth = 3.2 m" in limited.stderr
    assert CliRunner().invoke(app, [*call, "--max-depth", "200"]).exit_code == 2
