"""Answers where it is not sure which transporters are loaded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import read_question
from smolrgpt_core.language.interpreter import Finding, evaluate
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.scene import Placed, SceneCopies

TRANSPORTERS = (1, 2)
PALLETS = {3: 0.5, 4: 7.5}
"""Places to the right: pallet 3 is beside transporter 1, pallet 4 beside transporter 2."""

LABELS = dict.fromkeys(TRANSPORTERS, "transporter") | dict.fromkeys(PALLETS, "pallet")
REGIONS = RegionSet(
    (100, 100),
    tuple(Region.from_box(id, label, Box(9 * id, 40, 8, 8)) for id, label in LABELS.items()),
)


@dataclass
class Hall:
    """Two transporters with a probability of a load each, and two pallets."""

    loaded: dict[int, float]
    cargo: dict[int, int] = field(default_factory=dict)
    regions: RegionSet = REGIONS
    camera_height: float = 2.0
    middle_column: float = 50.0
    column_std: float = 0.0
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))

    def expect(self, ids: Sequence[int]) -> None:
        pass

    def place(self, id: int) -> Placed:
        right = 8.0 * (id - 1) if id in TRANSPORTERS else PALLETS[id]
        return Placed(
            np.array([right, 5.0, 0.5]), 0.0, np.array([1.6, 0.9, 1.0]), np.zeros(3),
            np.zeros((3, 2)), cargo=self.cargo.get(id), loaded=self.loaded.get(id, 0.0),
        )  # fmt: skip


def found(question: str, loaded: dict[int, float], cargo: dict[int, int] | None = None) -> Finding:
    scene: Any = Hall(loaded, cargo or {})
    program = read_question(question, REGIONS).program
    assert program is not None
    return evaluate(program, SceneCopies(scene))


@pytest.mark.parametrize(("loaded", "value"), [(0.77, False), (0.2, True)])
def test_whether_a_transporter_is_empty_is_as_sure_as_its_load(loaded: float, value: bool) -> None:
    finding = found("Is transporter 1 empty?", {1: loaded})
    assert finding.value is value
    assert finding.confidence == pytest.approx(max(loaded, 1 - loaded), abs=0.1)


def test_a_likely_load_is_what_a_transporter_carries_as_often() -> None:
    finding = found("Which pallet is on transporter 1?", {1: 0.77}, {1: 3})
    assert finding.value == 3
    assert 0.5 < finding.confidence < 0.99


@pytest.mark.parametrize("doubtful", [0.77, 0.3])
def test_who_asks_for_the_empty_transporter_knows_that_one_is_empty(doubtful: float) -> None:
    """Both may be empty, the second one for sure: then the first one is not."""
    finding = found("Which pallet is nearest to the empty transporter?", {1: doubtful, 2: 0.0})
    assert finding.value == 4
    assert finding.confidence > 0.85


def test_of_two_likely_loads_the_less_likely_one_is_not_there() -> None:
    asked = "Which pallet is nearest to the empty transporter?"
    finding = found(asked, {1: 0.7, 2: 1.0})
    assert finding.value == 3
    assert 0.75 < finding.confidence < 0.97


@pytest.mark.parametrize("loaded", [0.0, 0.02, 1.0])
def test_what_is_hardly_so_is_not_believed(loaded: float) -> None:
    with pytest.raises(SpatialError, match="one region is meant") as refused:
        found("Which pallet is nearest to the empty transporter?", {1: loaded, 2: loaded})
    assert refused.value.status is Status.CANNOT_TELL
