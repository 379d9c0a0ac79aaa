"""Facts measured from depth lead to the same questions and nearly the same answers as the truth."""

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.data import generate_questions
from smolrgpt_core.data.facts_from_geometry import facts_from_geometry
from smolrgpt_core.data.kinds import data_set_kinds
from smolrgpt_core.language import Category
from smolrgpt_core.sim import (
    DEFAULT_INTRINSICS,
    RenderOptions,
    SimulatedFrame,
    WarehouseRenderer,
    build_scene,
)


@pytest.fixture(scope="module")
def seen() -> list[SimulatedFrame]:
    options = RenderOptions(shadows=False, reflections=False, supersampling=1)
    frames = []
    for seed in (21, 22):
        scene = build_scene(seed)
        with WarehouseRenderer(scene, DEFAULT_INTRINSICS, options) as renderer:
            frames += [renderer.render(pose) for pose in scene.camera_poses(2)]
    return frames


def test_what_is_measured_is_true(seen):
    errors, agreed = [], []
    for item in seen:
        measured = facts_from_geometry(item.frame)
        for found in measured.objects:
            true = item.truth[found.id]
            assert found.label == true.label
            errors.append(float(np.linalg.norm(found.centre - true.centre)))
            if found.label == "pallet" and abs(found.buffer_margin) > 0.25:
                agreed.append(set(found.buffer_ids) <= set(true.buffer_ids))
    assert len(errors) > 40
    assert np.median(errors) < 0.15
    assert np.mean(agreed) > 0.9


def test_questions_from_measurements_have_the_answers_of_the_truth(seen):
    """Asks from measured facts, and from the truth with the same random numbers and objects."""
    right = {category: [] for category in Category}
    for item in seen:
        measured = facts_from_geometry(item.frame)
        questions = generate_questions(
            measured, item.frame.regions, np.random.default_rng(5), kinds=data_set_kinds()
        )
        for question in questions:
            if question.kind == "distance":
                first, second = (item.truth[id] for id in question.region_ids)
                inside = second.id in first.buffer_ids or first.id in second.buffer_ids
                true = 0.0 if inside else np.linalg.norm(first.centre - second.centre)
                right[question.category].append(abs(question.value - true) <= 0.1 * true + 1e-9)
            elif question.kind in ("count_inside", "count_outside"):
                (place,) = question.question.anchor_ids
                targets = question.question.target_ids
                inside = sum(place in item.truth[id].buffer_ids for id in targets)
                true = len(targets) - inside if question.question.negated else inside
                right[question.category].append(question.value == true)
    assert np.mean(right[Category.DISTANCE]) >= 0.75
    assert np.mean(right[Category.COUNT]) >= 0.75


def test_what_cannot_be_measured_is_left_out(seen):
    frame = seen[0].frame
    region = frame.regions.with_label("pallet")[0]
    depth = frame.depth.copy()
    depth[region.box.slices][region.mask] = np.nan
    ids = {item.id for item in facts_from_geometry(replace(frame, depth=depth)).objects}
    assert region.id not in ids
    assert ids
    blind = replace(frame, depth=np.full_like(depth, np.nan))
    assert facts_from_geometry(blind).objects == ()


def test_uncertain_objects_are_left_out(seen):
    frame = seen[0].frame
    every = facts_from_geometry(frame, max_std_m=10.0).objects
    sure = facts_from_geometry(frame, max_std_m=0.1).objects
    assert len(sure) < len(every)
    assert all(item.std <= 0.1 for item in sure)
