"""Which end of a truck is its front: on readings made by hand, and in what is asked about it."""

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.geometry.box_fitting import OrientedBox
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle, turn
from smolrgpt_core.geometry.fronts import Front, find_front
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.operators import fronts, questions
from smolrgpt_core.language.operators.selections import All, Camera, Region, Where
from smolrgpt_core.language.program import Program
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.spatial_scene import cannot_tell
from smolrgpt_core.scene.true_scene import TrueScene

HEADING = np.deg2rad(25)
PLACE = np.array([1.0, 6.0])
BODY = ((0.4, 1.0), (0.1, 0.8), 0.4)
MAST = ((0.3, 0.4), (0.4, 2.0), 0.3)
FORKS = ((-0.9, 0.3), (0.09, 0.15), 0.25)


def readings(*boxes: tuple[tuple[float, float], tuple[float, float], float]) -> np.ndarray:
    """(N, 3) points in boxes of a truck that heads along `HEADING` from `PLACE`.

    Args:
        boxes: lowest and highest place along the truck, lowest and highest point, half width.
    """
    rng = np.random.default_rng(0)
    found = []
    for along, heights, half in boxes:
        own = np.stack([rng.uniform(*along, 300), rng.uniform(-half, half, 300)], axis=1)
        floor = PLACE + turn(own, -HEADING)
        found.append(np.column_stack([floor, rng.uniform(*heights, 300)]))
    return np.concatenate(found)


def load(along: float, std: float = 0.03, turned: float = 0.0) -> OrientedBox:
    center = PLACE + turn(np.array([along, 0.0]), -HEADING)
    footprint = FloorRectangle(center, HEADING + turned, np.array([1.2, 0.8]))
    return OrientedBox(footprint, 0.15, 1.2, np.full(2, std), np.full((2, 2), 0.01))


def off_degrees(front: Front | None) -> float:
    assert front is not None
    return float(abs((np.rad2deg(front.angle - HEADING) + 180) % 360 - 180))


def test_the_front_is_the_end_away_from_the_forks() -> None:
    assert off_degrees(find_front(readings(BODY, MAST, FORKS), None)) < 5


@pytest.mark.parametrize("turned", [0.0, np.pi / 2, np.pi, -np.pi / 2])
def test_the_front_is_the_end_away_from_the_load(turned: float) -> None:
    assert off_degrees(find_front(readings(BODY, MAST), load(-0.3, turned=turned))) < 1


@pytest.mark.parametrize(
    ("boxes", "cargo"),
    [
        ((BODY, MAST), None),  # neither forks nor load
        ((FORKS,), None),  # no body
        ((BODY, MAST), load(-1.2)),  # a pallet that stands behind it
        ((BODY, MAST), load(-0.3, std=0.3)),  # a load of which little is seen
        ((BODY, MAST), load(-0.3, turned=0.6)),  # a pallet that stands askew
        ((BODY, MAST, FORKS), load(1.4)),  # forks on the other side
    ],
)
def test_what_shows_no_front_has_none(boxes, cargo) -> None:
    assert find_front(readings(*boxes), cargo) is None


# ---- what is asked ----


class Doubted(TrueScene):
    """A scene in which it is not seen where the front of 62 points, and that of 60 half seen."""

    def front(self, id: int) -> Front:
        if id == 62:
            raise cannot_tell("which end of transporter 62 is its front cannot be seen")
        return replace(super().front(id), certainty=0.5)


@pytest.fixture
def trucks(random_scene):
    """Copies of a scene with transporters 60 and 62, which have a front, and 61, which has not."""

    def copies(scene: type[TrueScene], number: int = 128) -> SceneCopies:
        truth, regions = next(
            found
            for found in map(random_scene, range(100))
            if {60, 61, 62} <= {region.id for region in found[1]}
        )
        return SceneCopies(scene(truth, regions), number)

    return copies


def facing(id: int) -> Program:
    return questions.Whether(Region(id), fronts.Facing(Camera()))


def test_what_has_no_front_faces_nothing(trucks) -> None:
    with pytest.raises(SpatialError, match="transporter 61 has no front") as refused:
        evaluate(facing(61), trucks(TrueScene))
    assert refused.value.status is Status.BAD_QUESTION
    with pytest.raises(SpatialError, match="has no front"):
        evaluate(questions.Measure(Region(61), fronts.Heading()), trucks(TrueScene))


def test_a_front_that_is_not_seen_is_refused_with_the_reason(trucks) -> None:
    with pytest.raises(SpatialError, match="62 is its front cannot be seen") as refused:
        evaluate(facing(62), trucks(Doubted))
    assert refused.value.status is Status.CANNOT_TELL


def test_no_answer_that_depends_on_a_front_that_is_not_seen_is_sure(trucks) -> None:
    asked = questions.Count(Where(All("transporter"), fronts.FacingSide("left")))
    assert evaluate(asked, trucks(TrueScene)).confidence > 0.95
    assert evaluate(asked, trucks(Doubted)).confidence < 0.8


def test_an_end_that_is_half_sure_makes_the_answer_half_sure(trucks) -> None:
    asked = questions.Measure(Region(60), fronts.Heading())
    assert evaluate(asked, trucks(Doubted)).confidence == pytest.approx(0.5, abs=0.1)
