"""Random scenes of boxes as `TrueScene`s, and the questions that are made about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.synthesis import (
    ALL_WAREHOUSE_FORMS,
    FORMS,
    WAREHOUSE_FORMS,
    QuestionWithTruth,
    RegionStyle,
    generate_questions,
)
from smolrgpt_core.truth import SceneTruth

SCENES = 12


@dataclass(frozen=True, eq=False)
class Made:
    """A question with what is known of its frame."""

    truth: SceneTruth
    regions: RegionSet
    depth: np.ndarray
    question: QuestionWithTruth


@pytest.fixture(scope="session")
def true_scene(random_scene) -> Callable[[int], TrueScene]:
    """The scene of a seed, with a depth image of stripes."""

    @cache
    def scene(seed: int) -> TrueScene:
        truth, regions = random_scene(seed)
        return TrueScene(truth, regions, camera_of(regions), stripes(regions))

    return scene


def camera_of(regions: RegionSet) -> CameraIntrinsics:
    height, width = regions.image_size
    return CameraIntrinsics(width, height, width, width, (width - 1) / 2, (height - 1) / 2)


def stripes(regions: RegionSet) -> np.ndarray:
    depth = np.zeros(regions.image_size, dtype=np.float32)
    depth[:] = 2.0 + np.arange(regions.image_size[1]) // 64
    return depth


@pytest.fixture(scope="session")
def made(random_scene, true_scene) -> Callable[..., list[Made]]:
    """Questions about many scenes: made(style, forms, per_form, scenes)."""

    @cache
    def make(
        style: RegionStyle, forms: tuple[str, ...], per_form: int = 1, scenes: int = SCENES
    ) -> list[Made]:
        found = []
        for seed in range(scenes):
            truth, regions = random_scene(seed)
            rng = np.random.default_rng(seed)
            questions = generate_questions(
                true_scene(seed), rng, style=style, forms=forms, per_form=per_form
            )
            depth = stripes(regions)
            found += [Made(truth, regions, depth, item) for item in questions]
        return found

    return make


@pytest.fixture(scope="session")
def of_every_form(made) -> Callable[[RegionStyle], list[Made]]:
    return lambda style: made(style, tuple(FORMS), 2)


@pytest.fixture(scope="session")
def many_masked(made) -> Callable[[], list[Made]]:
    """Six of each form that is for models, and of some others."""
    forms = (*WAREHOUSE_FORMS, "observer_side", "count_related", "composed")
    return lambda: made(RegionStyle.MASK, forms, 6)


@pytest.fixture(scope="session")
def of_the_warehouse(made, many_masked) -> Callable[[RegionStyle], list[Made]]:
    def of_style(style: RegionStyle) -> list[Made]:
        if style is not RegionStyle.MASK:
            return made(style, ALL_WAREHOUSE_FORMS, 3)
        return [item for item in many_masked() if item.question.form in WAREHOUSE_FORMS]

    return of_style
