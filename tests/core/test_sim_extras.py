"""People, forklifts, cages, drums, cones and doors: sizes, places, masks, truth and questions."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.geometry.back_projection import back_project
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.language.operators.questions import Count
from smolrgpt_core.language.operators.selections import All
from smolrgpt_core.language.question import read_question
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import (
    LABEL_ID_RANGES,
    RenderOptions,
    WarehouseConfig,
    WarehouseRenderer,
    build_scene,
)
from smolrgpt_core.sim.config import EXTRA_LABELS
from smolrgpt_core.simulated_data.randomization import read_randomization
from smolrgpt_core.synthesis import AmbiguityMargins, generate_mixture
from smolrgpt_core.synthesis.view import MarginView

CONFIG = Path(__file__).parents[2] / "config" / "randomization_busy_hall.yaml"
BUSY = read_randomization(CONFIG).warehouse
SEEDS = range(8)

SIZES_M = {
    "person": ((0.25, 0.4, 1.5), (1.4, 0.6, 1.95)),
    "forklift": ((3.1, 1.1, 2.0), (3.5, 1.25, 2.25)),
    "cage": ((0.8, 0.72, 1.7), (0.8, 0.72, 1.7)),
    "drum": ((0.585, 0.585, 0.88), (0.585, 0.585, 0.88)),
    "cone": ((0.22, 0.22, 0.3), (0.4, 0.4, 0.75)),
    "door": ((1.0, 0.12, 2.125), (3.0, 0.12, 3.0)),
}
"""Smallest and largest length, width and height."""


@pytest.fixture(scope="module")
def scenes():
    return [build_scene(seed, BUSY) for seed in SEEDS]


def extras(scene):
    return [item for item in scene.objects if item.label in EXTRA_LABELS]


@pytest.mark.parametrize("label", EXTRA_LABELS)
def test_sizes_are_those_of_standards(scenes, label):
    low, high = SIZES_M[label]
    found = [item for scene in scenes for item in scene.with_label(label)]
    assert len(found) >= 8
    for item in found:
        assert np.all(item.size >= np.array(low) - 1e-6), (item.id, item.size)
        assert np.all(item.size <= np.array(high) + 1e-6), (item.id, item.size)


def test_everything_stands_on_the_floor_within_the_numbers_of_the_file(scenes):
    for scene in scenes:
        for label in EXTRA_LABELS:
            assert len(scene.with_label(label)) <= getattr(BUSY, f"{label}s")[1]
        for item in extras(scene):
            assert item.id in LABEL_ID_RANGES[item.label]
            assert item.center[2] - item.size[2] / 2 == pytest.approx(0.0, abs=1e-9)


def test_nothing_overlaps_and_nothing_stands_outside_the_hall(scenes):
    for scene in scenes:
        standing = [item for item in scene.objects if item.parts and item.origin[2] == 0]
        for first, second in combinations(standing, 2):
            overlap = first.footprint.overlaps(second.footprint)
            assert not overlap, (scene.seed, first.id, second.id)
        limit = np.array([scene.hall.length_m, scene.hall.width_m]) / 2
        for item in extras(scene):
            assert np.all(np.abs(item.footprint.corners) < limit), (scene.seed, item.id)


def test_doors_hang_at_the_walls_at_the_ends(scenes):
    for scene in scenes:
        for door in scene.with_label("door"):
            gap = scene.hall.length_m / 2 - abs(door.center[0]) - door.size[1] / 2
            assert 0 < gap < 0.02


def test_the_plain_objects_of_a_seed_are_where_they_are_without_extras():
    for seed in SEEDS:
        plain = build_scene(seed)
        counts: dict[str, Any] = {f"{label}s": (3, 3) for label in EXTRA_LABELS}
        busy = build_scene(seed, WarehouseConfig(**counts))
        assert not extras(plain)
        assert extras(busy)
        for item in plain.objects:
            twin = busy[item.id]
            assert (twin.kind, twin.origin, twin.yaw) == (item.kind, item.origin, item.yaw)
            assert twin.parts == item.parts


def test_a_class_more_leaves_the_class_before_it_where_it_is():
    fewer = build_scene(5, WarehouseConfig(persons=(4, 4)))
    more = build_scene(5, WarehouseConfig(persons=(4, 4), cones=(6, 6)))
    places = [[person.origin for person in scene.with_label("person")] for scene in (fewer, more)]
    assert places[0] == places[1]
    assert len(places[0]) == 4


def test_masks_and_depth_lie_inside_the_true_boxes(scenes):
    intrinsics = CameraIntrinsics.from_vertical_fov(320, 240, 60.0)
    options = RenderOptions(shadows=False, reflections=False, supersampling=1)
    distances: dict[str, list[np.ndarray]] = {}
    for scene in scenes[:4]:
        with WarehouseRenderer(scene, intrinsics, options) as renderer:
            frames = [renderer.render(pose) for pose in scene.camera_poses(3)]
        for made in frames:
            points = back_project(made.frame.depth, intrinsics)
            for truth in made.truth.objects:
                seen = points[made.frame.regions.full_mask(truth.id)]
                local = (seen[np.isfinite(seen[:, 2])] - truth.center) @ truth.rotation
                outside = (np.abs(local) - truth.size / 2).max(axis=1, initial=-1.0)
                distances.setdefault(truth.label, []).append(outside)
    assert distances.keys() >= set(EXTRA_LABELS)
    for label in EXTRA_LABELS:
        outside = np.concatenate(distances[label])
        assert len(outside) > 100, label
        assert np.mean(outside > 0.01) < 1e-3, label


def test_a_cage_can_be_seen_through():
    scene = build_scene(2, WarehouseConfig(cages=(6, 6), pallets=(2, 4)))
    intrinsics = CameraIntrinsics.from_vertical_fov(320, 240, 60.0)
    with WarehouseRenderer(scene, intrinsics, RenderOptions(supersampling=1)) as renderer:
        made = renderer.render(scene.camera_poses(1)[0])
    cages = [truth for truth in made.truth.objects if truth.label == "cage"]
    assert cages
    fullness = []
    for cage in cages:
        mask = made.frame.regions.full_mask(cage.id)
        rows, columns = np.nonzero(mask)
        window = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        fullness.append(mask.sum() / window)
    assert min(fullness) < 0.5


@pytest.fixture(scope="module")
def busy_scene(scenes):
    """The truth of a frame with people, a forklift, cages, drums and cones."""
    intrinsics = CameraIntrinsics.from_vertical_fov(480, 360, 60.0)
    with WarehouseRenderer(scenes[2], intrinsics, RenderOptions(supersampling=1)) as renderer:
        made = renderer.render(scenes[2].camera_poses(1)[0])
    return TrueScene(made.truth, made.frame.regions, intrinsics)


def test_questions_about_extras_are_made_and_their_masks_keep_their_names(busy_scene):
    asked = generate_mixture(busy_scene, np.random.default_rng(0), "language", 60)
    names = set()
    for _, item in asked:
        for label, id in zip(mask_labels(item.text), item.region_ids, strict=True):
            assert label == busy_scene.regions[id].label, item.text
            names.add(label)
    assert names >= {"person", "forklift", "cage", "drum", "cone"}


@pytest.mark.parametrize(
    "text",
    [
        "How far is the nearest person?",
        "Is there a forklift within 3 m of the nearest cage?",
        "How many cones are there?",
        "Which drum is nearest to a person?",
        "How tall is the nearest person?",
    ],
)
def test_people_ask_about_extras_in_plain_words(busy_scene, text):
    question = read_question(text, busy_scene.regions)
    assert question.program is not None
    assert evaluate(question.program, SceneCopies(busy_scene, copies=1)).value is not None


def test_a_hidden_forklift_leaves_the_number_of_transporters_open(busy_scene):
    """A forklift is a transporter, whatever label it has."""
    view = MarginView(busy_scene, AmbiguityMargins(), np.random.default_rng(0))
    count = Count(All("transporter"))
    labels = {region.label for region in busy_scene.regions}
    assert {"forklift", "transporter"} <= labels
    hidden = AmbiguityMargins(min_visible_fraction=1.0)
    blind = MarginView(busy_scene, hidden, np.random.default_rng(0))
    assert view.truth(Count(All("forklift"))) == 1
    assert blind.truth(count) is None


def test_colors_are_those_of_what_has_a_single_one(scenes):
    intrinsics = CameraIntrinsics.from_vertical_fov(320, 240, 60.0)
    colors: dict[str, set[str]] = {}
    for scene in scenes[:3]:
        with WarehouseRenderer(scene, intrinsics, RenderOptions(supersampling=1)) as renderer:
            for truth in renderer.render(scene.camera_poses(1)[0]).truth.objects:
                colors.setdefault(truth.label, set()).add(truth.color)
    assert colors["drum"] <= {"blue", "black", "red"}
    assert colors["forklift"] <= {"orange", "yellow", "white"}
    assert colors["person"] == colors["cone"] == {""}
