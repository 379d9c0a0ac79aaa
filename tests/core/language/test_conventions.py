"""The same words under the definitions of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.language.conventions import CONVENTIONS, HISPATIAL, SPATIALRGPT, WAREHOUSE
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.scene import Placed, SceneCopies

BOXES = {
    # center right, forward, up; length, width, height; yaw
    3: ((-1.0, 5.0, 0.5), (1.2, 0.8, 1.0), 90.0),
    4: ((1.0, 5.1, 0.5), (1.2, 0.8, 1.0), 0.0),
    5: ((1.0, 9.0, 0.5), (3.0, 1.0, 1.0), 45.0),
}


@dataclass
class Hall:
    """Three pallets that are known exactly."""

    boxes: dict[int, tuple] = field(default_factory=lambda: BOXES)
    regions: RegionSet = field(
        default_factory=lambda: RegionSet(
            (100, 100),
            tuple(Region.from_box(id, "pallet", Box(10 * id, 40, 8, 8)) for id in BOXES),
        )
    )
    camera_height: float = 2.0
    middle_column: float = 50.0
    column_std: float = 0.0
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))

    def expect(self, ids: Sequence[int]) -> None:
        pass

    def place(self, id: int) -> Placed:
        center, size, yaw = self.boxes[id]
        return exactly(np.array(center), np.deg2rad(yaw), np.array(size))


def exactly(center: np.ndarray, yaw: float, size: np.ndarray) -> Placed:
    return Placed(center, yaw, size, np.zeros(3), np.zeros((3, 2)))


def told(question: str, name: str, boxes: dict[int, tuple] = BOXES) -> Any:
    scene: Any = Hall(boxes)
    program = CONVENTIONS[name].meant(read_text(question, scene.regions).program)
    return evaluate(program, SceneCopies(scene, copies=1)).value


@pytest.mark.parametrize(
    ("question", "warehouse", "hispatial", "spatialrgpt"),
    [
        ("How wide is pallet 4?", 0.8, 1.2, 1.2),
        ("How wide is pallet 3?", 0.8, 0.8, 0.8),
        ("How wide is pallet 5?", 1.0, 4 / np.sqrt(2), 4 / np.sqrt(2)),
        ("What is the horizontal distance between pallet 4 and pallet 5?", 3.9, 0.0, 0.0),
        ("How far is pallet 4 from the camera?", np.hypot(np.hypot(1, 5.1), 1.5),
         np.hypot(np.hypot(1, 5.1), 1.5), np.hypot(np.hypot(1, 5.1), 1.5)),
        ("How far is pallet 3 from pallet 4?", np.hypot(2, 0.1), np.hypot(2, 0.1), None),
        ("Is pallet 3 in front of pallet 4?", True, True, True),
        ("At what o'clock is pallet 4?", 12.0, 12.0, 12.0),
        ("At what o'clock is pallet 3?", 12.0, 12.0, 11.0),
        ("Is pallet 5 larger than pallet 4?", True, True, True),
    ],
)  # fmt: skip
def test_words_mean_what_the_convention_says(
    question: str, warehouse: object, hispatial: object, spatialrgpt: object
) -> None:
    expected = {"warehouse": warehouse, "hispatial": hispatial, "spatialrgpt": spatialrgpt}
    for name, value in expected.items():
        if value is not None:
            assert told(question, name) == pytest.approx(value, abs=1e-6), name


def test_two_objects_are_apart_by_their_nearest_points() -> None:
    nearest = told("How far is pallet 3 from pallet 4?", "spatialrgpt")
    clearance, centers = 1.0, np.hypot(2, 0.1)
    assert clearance < nearest < centers


def test_in_front_is_whose_nearest_point_is_nearer() -> None:
    """Pallet 5 is turned: its middle lies behind that of a pallet whose nearest point is behind."""
    boxes = {**BOXES, 4: ((1.0, 8.5, 0.5), (1.2, 0.4, 1.0), 0.0)}
    asked = "Is pallet 4 in front of pallet 5?"
    assert told(asked, "warehouse", boxes) is True
    assert told(asked, "hispatial", boxes) is False
    assert told(asked, "spatialrgpt", boxes) is False


def test_our_own_change_nothing() -> None:
    program = read_text("How wide is pallet 4?", Hall().regions).program
    assert WAREHOUSE.meant(program) == program
    assert HISPATIAL.meant(program) == SPATIALRGPT.meant(program) != program
