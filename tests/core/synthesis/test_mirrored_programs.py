"""Programs about mirrored scenes: the exact check of what mirrored questions rest on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.types import Type
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.synthesis import FORMS, RegionStyle
from smolrgpt_core.training.mirrored_text import mirrored_program, mirrored_words
from smolrgpt_core.truth import SceneTruth

MIRROR = np.diag([-1.0, 1.0, 1.0])
SIDEWAYS = np.diag([1.0, -1.0, 1.0])
"""Of a box, which has no left or right of its own; with it a mirrored rotation is one again."""


def mirrored_scene(truth: SceneTruth, regions: RegionSet, depth: np.ndarray) -> TrueScene:
    objects = tuple(
        replace(item, center=MIRROR @ item.center, rotation=MIRROR @ item.rotation @ SIDEWAYS)
        for item in truth.objects
    )
    height, width = regions.image_size
    flipped = tuple(
        Region.from_bitmap(region.id, region.label, regions.full_mask(region.id)[:, ::-1])
        for region in regions
    )
    camera = CameraIntrinsics(width, height, width, width, (width - 1) / 2, (height - 1) / 2)
    return TrueScene(
        replace(truth, objects=objects, up=MIRROR @ truth.up),
        RegionSet(regions.image_size, flipped),
        camera,
        depth[:, ::-1],
    )


def test_mirrored_programs_have_the_mirrored_answers_in_mirrored_scenes(made):
    scenes: dict[int, TrueScene] = {}
    left_alone: Counter[str] = Counter()
    compared: Counter[Type] = Counter()
    for item in made(RegionStyle.PLAIN, tuple(FORMS)):
        program = item.question.program
        changed = mirrored_program(program)
        if changed is None:
            left_alone[program.operator.name] += 1
            continue
        seed = item.truth.seed
        if seed not in scenes:
            scenes[seed] = mirrored_scene(item.truth, item.regions, item.depth)
        found = evaluate(changed, SceneCopies(scenes[seed], copies=1)).value
        compared[program.type] += 1
        if program.type is Type.RELATION:
            assert found == mirrored_words(str(item.question.truth))
        else:
            assert np.asarray(found) == pytest.approx(np.asarray(item.question.truth), abs=1e-6)
    assert {Type.RELATION, Type.QUANTITY, Type.TRUTH, Type.REGION, Type.REGIONS} <= set(compared)
    assert sum(compared.values()) > 2 * sum(left_alone.values())
