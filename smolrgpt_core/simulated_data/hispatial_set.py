"""HiSpatial's three custom tasks (arXiv 2603.25411) about simulated warehouses.

Its sets are not published: 307 questions about the distance of an object to the camera, 302 about
the direction from one object to another, and 78 of problem solving. Truths are the simulator's;
`type` of a record is that of its answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from smolrgpt_core.language import Category
from smolrgpt_core.language.conventions import HISPATIAL
from smolrgpt_core.public_benchmarks.hispatial_tasks import (
    CAMERA,
    DIRECTION,
    FILE,
    SOLVING,
    VECTOR,
)
from smolrgpt_core.public_benchmarks.model_readers.asked import (
    AnswerKind,
    length_text,
    region_text,
)
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.simulated_data.benchmark_set import Drawn, SetLayout
from smolrgpt_core.synthesis import MIXTURES, QuestionWithTruth
from smolrgpt_core.synthesis.generator import QuestionGenerator

COUNTS = {CAMERA: 307, DIRECTION: 302, SOLVING: 78}
"""Questions of each task in the paper's set."""

DRAWN = 40
"""So many questions are tried for an image."""

_FORMS = {
    CAMERA: ("distance_to_camera",),
    DIRECTION: ("direction",),
    SOLVING: MIXTURES["hispatial"].families["problem_solving"].forms,
}

_KINDS = {
    Category.TRUTH: AnswerKind.YES_NO,
    Category.DISTANCE: AnswerKind.LENGTH,
    Category.COUNT: AnswerKind.COUNT,
    Category.MCQ: AnswerKind.REGION,
}
"""Of problem solving; lists and areas, which no reader of answers here knows, are skipped."""


def _draw(scene: TrueScene, rng: np.random.Generator) -> Iterator[Drawn]:
    """Questions of the three tasks, about as often as in the paper's set; each in one wording."""
    generator = QuestionGenerator(scene, rng, conventions=HISPATIAL)
    fractions = np.array(list(COUNTS.values())) / sum(COUNTS.values())
    made: set[tuple[str, tuple[int, ...]]] = set()
    for _ in range(DRAWN):
        task = list(COUNTS)[int(rng.choice(len(COUNTS), p=fractions))]
        forms = _FORMS[task]
        item = generator.make(forms[int(rng.integers(len(forms)))])
        if item is None or (item.form, item.region_ids) in made:
            continue
        if task == DIRECTION or item.category in _KINDS:
            made.add((item.form, item.region_ids))
            yield task, item


def _kind(item: QuestionWithTruth, task: str) -> str:
    return VECTOR if task == DIRECTION else _KINDS[item.category].value


def _truth(item: QuestionWithTruth, task: str) -> str:
    if item.value is not None and item.category is Category.DISTANCE:
        return length_text(round(item.value, 2))
    if item.region_id is not None:
        return region_text(item.normalized_answer)
    return item.normalized_answer


HISPATIAL_SET = SetLayout(FILE, COUNTS, _draw, _kind, _truth, shows_all=True)
"""The three custom tasks, by the conventions of HiSpatial."""
