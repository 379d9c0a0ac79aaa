"""What the simulator writes of regions, and that all answers in numbers follow from it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from smolrgpt_core.answer.scoring import read_value
from smolrgpt_core.language import Category
from smolrgpt_core.model.region_measures import FloorFrame, RegionMeasures
from smolrgpt_core.model.value_readings import VALUES, values_of
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.synthesis import generate_mixture
from smolrgpt_core.synthesis.answer_truth import truth_of

KINDS = {
    "height": "height", "width": "width", "length": "length", "top_height": "top",
    "footprint": "footprint", "volume": "volume", "bearing": "bearing",
    "horizontal_distance": "horizontal", "vertical_distance": "vertical",
    "sideways_distance": "sideways", "forward_distance": "forward", "clock_direction": "clock",
    "clearance": "clearance",
}  # fmt: skip


def measured(truth, scene):
    """Measures of the regions of a question that are as the truth says."""
    boxes = torch.tensor(truth.boxes, dtype=torch.float32)
    foot = -scene.camera_height * torch.tensor(scene.axes[2], dtype=torch.float32)
    floor = FloorFrame.below(foot.expand(len(boxes), 3))
    optical, sizes, yaw = boxes[:, :3], boxes[:, 3:6], boxes[:, 6]
    turn = [(2 * yaw).cos(), (2 * yaw).sin(), (4 * yaw).cos(), (4 * yaw).sin()]
    center = floor.to_floor(optical[:, None])[:, 0]
    known = boxes.isfinite().all(dim=-1)
    every = RegionMeasures(
        center, optical, sizes, torch.stack(turn, -1), floor.axes, floor.height, known, optical
    )
    return every.of(torch.arange(len(boxes))[None])


@pytest.fixture(scope="module")
def asked(true_scene):
    found = []
    for seed in range(16):
        scene = true_scene(seed)
        for _, item in generate_mixture(scene, np.random.default_rng(seed), "language", 40):
            found.append((scene, item, truth_of(item, scene)))
    return found


def test_every_number_that_is_asked_for_is_among_the_values(asked):
    seen: Counter[str] = Counter()
    for scene, item, truth in asked:
        if item.form not in KINDS or item.category not in (Category.DISTANCE, Category.QUANTITY):
            continue
        values = values_of(measured(truth, scene))[VALUES.index(KINDS[item.form]) - 1]
        value = float(values[0, 0, -1])
        wanted = float(item.normalized_answer)
        if item.form == "clearance":
            # Footprints that are askew are taken to be a little nearer.
            assert value <= wanted + 0.02
            assert value > wanted - 0.5
        else:
            assert value == pytest.approx(wanted, abs=0.011)
        seen[item.form] += 1
    assert seen.keys() == KINDS.keys()


def test_places_and_directions_are_among_the_values(asked):
    seen: Counter[Category] = Counter()
    for scene, item, truth in asked:
        if item.category not in (Category.POSITION, Category.DIRECTION):
            continue
        places = values_of(measured(truth, scene))[VALUES.index("first") - 1 :]
        found = [float(place[0, 0, -1]) for place in places]
        wanted = read_value(item.normalized_answer, item.category)
        assert found == pytest.approx(np.asarray(wanted).tolist(), abs=0.011)
        seen[item.category] += 1
    assert min(seen.values()) > 2


def footprint(first, second, yaw):
    """The corners around the center, in a fixed order."""
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) / 2
    axes = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    corners = (signs * [first, second]) @ axes
    return sorted(corners.round(3).tolist())


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2]], ids=["longer first", "shorter first"])
def test_boxes_have_the_footprints_of_their_objects(random_scene, asked, order):
    truth, regions = random_scene(0)
    objects = tuple(replace(item, size=item.size[order]) for item in truth.objects)
    scene = TrueScene(replace(truth, objects=objects), regions)
    items = [item for of, item, _ in asked if of.regions is regions]
    assert items
    for item in items:
        for id, box in zip(item.region_ids, truth_of(item, scene).boxes, strict=True):
            placed = scene.place(id)
            length, width, height, yaw = box[3:]
            assert width <= length
            assert height == pytest.approx(placed.size[2], abs=1e-4)
            wanted = footprint(placed.size[0], placed.size[1], placed.yaw)
            assert np.allclose(footprint(length, width, yaw), wanted, atol=0.005)


def test_parts_of_a_question_are_measured_too(asked):
    differences = [
        (float(item.normalized_answer), truth.parts)
        for _, item, truth in asked
        if item.form == "difference_of_distances"
    ]
    assert differences
    for wanted, (first, second) in differences:
        assert abs(first - second) == pytest.approx(wanted, abs=0.011)
