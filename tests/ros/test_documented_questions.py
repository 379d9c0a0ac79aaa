"""The questions that documents and examples tell a new user to ask, about what the camera shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import read_question
from smolrgpt_ros.parameters.sim_camera import SimCameraParameters

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "docs/demo.md",
    "docs/ros_interfaces.md",
    "launch/warehouse.launch.py",
    "config/foxglove_layout.json",
    "examples/README.md",
    "examples/spatial_query_client.py",
    "examples/nearest_pallet_tree.xml",
]
QUESTION = re.compile(r"""['"]((?:How|Which|Is) [^'"<{]*\?)""")
IDS = re.compile(r"region_ids: \[([\d, ]+)\]")


@pytest.fixture(scope="module")
def shown() -> RGBDFrame:
    """The first frame of the simulated camera as the launch file starts it."""
    return next(iter(SimCameraParameters().drive.frames())).frame


@pytest.mark.parametrize("page", PAGES)
def test_questions_fit_the_default_scene(page: str, shown: RGBDFrame) -> None:
    text = (ROOT / page).read_text()
    questions = QUESTION.findall(text)
    assert questions
    for question in questions:
        assert GeometricAnswerer().answer(shown, read_question(question, shown.regions)).ok
    known = {region.id for region in shown.regions}
    assert {int(id) for ids in IDS.findall(text) for id in ids.split(",")} <= known
