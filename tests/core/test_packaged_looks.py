"""The packaged model knows colors by the image: a gray one costs them."""

from __future__ import annotations

import numpy as np
import pytest

from smolrgpt_core.answer.scoring import answer_value
from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.asking import AskedQuestion, ask_batch
from smolrgpt_core.evaluation.ablations import without_image
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import WarehouseRenderer, build_scene
from smolrgpt_core.synthesis import generate_mixture

SEEDS = (91001, 91002)


@pytest.fixture(scope="module")
def views():
    """Frames of halls that the model was not trained on, and what is true of them."""
    found = []
    camera = CameraIntrinsics.from_vertical_fov(320, 240, 55.0)
    for seed in SEEDS:
        scene = build_scene(seed)
        with WarehouseRenderer(scene, camera) as renderer:
            for pose in scene.camera_poses(2):
                seen = renderer.render(pose)
                found.append((seen.frame, TrueScene(seen.truth, seen.frame.regions)))
    return found


def correct_fraction(views, gray: bool) -> float:
    """Fraction of questions about colors that the model answers correctly."""
    answerer, outcomes = make_answerer("model"), []
    for number, (frame, scene) in enumerate(views):
        made = generate_mixture(scene, np.random.default_rng(number), "looks", 24)
        shown, _ = without_image(frame, []) if gray else (frame, [])
        asked = [AskedQuestion(item.text, region_ids=item.region_ids) for _, item in made]
        answers = ask_batch(shown, asked, answerer)
        for (_, item), answer in zip(made, answers, strict=True):
            outcomes.append(answer.ok and answer_value(answer) == item.truth)
    assert len(outcomes) > 60
    return float(np.mean(outcomes))


def test_a_gray_image_costs_colors(views):
    in_color, gray = (correct_fraction(views, gray) for gray in (False, True))
    assert in_color > 0.8
    assert gray < in_color - 0.3
