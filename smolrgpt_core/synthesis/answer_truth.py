"""What the simulator knows of the regions of a question, for the losses of training."""

from __future__ import annotations

import math

import numpy as np

from smolrgpt_core.data.warehouse_format import BOX_FIELDS, AnswerTruth
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import is_about_looks
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.operators import questions
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.spatial_scene import COLORS, SpatialScene
from smolrgpt_core.synthesis.generator import QuestionWithTruth

DECIMALS = 4
"""Of lengths in meters and angles in radians: finer than any reading of depth."""


def truth_of(item: QuestionWithTruth, scene: SpatialScene) -> AnswerTruth:
    """The truth beside the answer to a question.

    Args:
        item: a question about the scene.
        scene: the one it was made from.
    """
    copies = SceneCopies(scene, copies=1)
    return AnswerTruth(
        item.category.name.lower(),
        _parts(item, copies),
        tuple(_box(id, scene, copies) for id in item.region_ids),
        tuple(_color(id, scene) for id in item.region_ids) if is_about_looks(item.program) else (),
    )


def _parts(item: QuestionWithTruth, copies: SceneCopies) -> tuple[float, ...]:
    """Values of the quantities within the question."""
    found = []
    for part in item.program.walk():
        if part is item.program or part.operator is not questions.Measure:
            continue
        try:
            found.append(round(float(evaluate(part, copies).value), DECIMALS))
        except SpatialError:
            # What stands in an untaken branch may have no value.
            continue
    return tuple(found)


def _color(id: int, scene: SpatialScene) -> str:
    """Of a region; "" where it has no single one."""
    try:
        weights = scene.colors(id).weights
    except SpatialError:
        return ""
    return COLORS[int(np.argmax(weights))]


def _box(id: int, scene: SpatialScene, copies: SceneCopies) -> tuple[float, ...]:
    try:
        placed = scene.place(id)
    except SpatialError:
        return (math.nan,) * len(BOX_FIELDS)
    center = copies.to_optical(placed.center)
    first, second, height = placed.size
    yaw = placed.yaw if first >= second else placed.yaw + np.pi / 2
    values = (*center, max(first, second), min(first, second), height, yaw)
    return tuple(round(float(value), DECIMALS) for value in values)
