"""What geometry measures leads to the same questions and nearly the same answers as the truth."""

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.language import Category
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.recordings.options import MEASURED_MARGINS
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.measured_scene import MeasuredScene
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import (
    DEFAULT_INTRINSICS,
    RenderOptions,
    SimulatedFrame,
    WarehouseRenderer,
    build_scene,
)
from smolrgpt_core.synthesis import AmbiguityMargins, generate_questions
from smolrgpt_core.synthesis.forms.draws import within
from smolrgpt_core.synthesis.view import MarginView


@pytest.fixture(scope="module")
def seen() -> list[SimulatedFrame]:
    options = RenderOptions(shadows=False, reflections=False, supersampling=1)
    frames = []
    for seed in (21, 22):
        scene = build_scene(seed)
        with WarehouseRenderer(scene, DEFAULT_INTRINSICS, options) as renderer:
            frames += [renderer.render(pose) for pose in scene.camera_poses(2)]
    return frames


def view_of(frame, margins: AmbiguityMargins = MEASURED_MARGINS) -> MarginView:
    scene = MeasuredScene(FrameGeometry(frame))
    return MarginView(scene, margins, np.random.default_rng(0))


def test_what_is_measured_is_true(seen):
    errors, agreed = [], []
    for item in seen:
        view = view_of(item.frame)
        true = TrueScene(item.truth, item.frame.regions, item.frame.intrinsics)
        for id, placed in view.placed.items():
            errors.append(float(np.linalg.norm(placed.center - true.place(id).center)))
        pallets = view.seen("pallet")
        for zone in view.seen("buffer"):
            inside, outside = view.split(within(zone), pallets)
            agreed += [zone in item.truth[id].buffer_ids for id in inside]
            agreed += [zone not in item.truth[id].buffer_ids for id in outside]
    assert len(errors) > 40
    assert np.median(errors) < 0.15
    assert len(agreed) > 40
    assert np.mean(agreed) > 0.9


def test_questions_from_measurements_have_the_answers_of_the_truth(seen):
    right: dict[Category, list[bool]] = {Category.DISTANCE: [], Category.COUNT: []}
    for item in seen:
        measured = MeasuredScene(FrameGeometry(item.frame))
        true = TrueScene(item.truth, item.frame.regions, item.frame.intrinsics)
        copies = SceneCopies(true, copies=1)
        made = generate_questions(measured, np.random.default_rng(5), MEASURED_MARGINS, per_form=3)
        for question in made:
            if question.category in right:
                truth = evaluate(question.program, copies).value
                allowed = 0.1 * truth if question.category is Category.DISTANCE else 0.0
                right[question.category].append(abs(question.truth - truth) <= allowed + 1e-9)
    assert min(map(len, right.values())) >= 8
    assert np.mean(right[Category.DISTANCE]) >= 0.75
    assert np.mean(right[Category.COUNT]) >= 0.75


def test_what_cannot_be_measured_is_skipped(seen):
    frame = seen[0].frame
    region = frame.regions.with_label("pallet")[0]
    depth = frame.depth.copy()
    depth[region.box.slices][region.mask] = np.nan
    known = view_of(replace(frame, depth=depth)).placed
    assert region.id not in known
    assert known
    blind = replace(frame, depth=np.full_like(depth, np.nan))
    assert view_of(blind).placed == {}


def test_uncertain_objects_are_skipped(seen):
    frame = seen[0].frame
    every = view_of(frame, replace(MEASURED_MARGINS, max_center_std_m=10.0)).placed
    sure = view_of(frame, replace(MEASURED_MARGINS, max_center_std_m=0.05)).placed
    assert len(sure) < len(every)
    assert all(np.linalg.norm(item.center_std) <= 0.05 for item in sure.values())
