"""References take the place of masks without changing what is asked."""

from __future__ import annotations

import re
from contextlib import suppress

import numpy as np
import pytest

from smolrgpt_core.annotation.pipeline import Annotator
from smolrgpt_core.annotation.questions import AnnotatedQuestion, refer, with_references
from smolrgpt_core.annotation.references import WORDS, Reference
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import MASK, read_question
from smolrgpt_core.language.conventions import WAREHOUSE
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.operators import attributes, selections
from smolrgpt_core.language.types import Type
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.synthesis import RegionStyle, generate_questions

FORMS = ("distance", "width", "left_or_right", "is_above", "count_related", "ordered", "nearest")


@pytest.fixture(scope="module")
def made(true_scenes):
    """Questions about random scenes, with the scene."""
    return [
        (scene, AnnotatedQuestion.of("family", item))
        for seed, scene in enumerate(true_scenes)
        for item in generate_questions(
            scene, np.random.default_rng(seed), style=RegionStyle.MASK, forms=FORMS, per_form=4
        )
    ]


@pytest.fixture(scope="module")
def true_scenes(random_scene):
    return [TrueScene(*random_scene(seed)) for seed in range(6)]


def references_of(scene) -> dict[int, Reference]:
    """The leftmost and the rightmost of each class, and the nearest shelf."""
    copies = SceneCopies(scene, copies=1)
    found: dict[int, Reference] = {}
    for label in ("pallet", "transporter", "shelf"):
        for end, word in (("least", "leftmost"), ("most", "rightmost")):
            if len(scene.regions.with_label(label)) > 1:
                every = selections.All(label)
                program = selections.Extreme(every, attributes.Column(), end, 1.0)
                with suppress(SpatialError):  # two of them are equally far to the side
                    id = evaluate(program, copies).value
                    found.setdefault(id, Reference("position", f"the {word} {label}", program))
    return found


def test_the_answer_stays_the_same_when_it_is_read_again(made):
    replaced = 0
    for scene, question in made:
        regions = scene.regions
        item = with_references(question, references_of(scene), regions, WAREHOUSE)
        if not item.references:
            assert item == question
            continue
        replaced += 1
        assert item.text.count(MASK) == len(item.region_ids)
        assert len(item.region_ids) < len(question.region_ids)
        read = read_question(item.text, regions, None, item.region_ids)
        assert read.program is not None
        value = evaluate(read.program, SceneCopies(scene, copies=1)).value
        assert value == question.made.truth
        for reference in item.references.values():
            assert reference.text.lower() in item.text.lower()
        numbers = [f"[Region {place}]" for place in range(len(item.region_ids))]
        named = item.freeform_answer
        assert all(part in numbers for part in _regions_in(named))
    assert replaced > 20


def _regions_in(sentence: str) -> list[str]:
    return re.findall(r"\[Region [0-9]+\]", sentence)


def test_answers_that_count_masks_keep_them(made):
    kept = [
        (scene, item) for scene, item in made
        if item.made.program.type in (Type.REGION, Type.REGIONS)
    ]  # fmt: skip
    assert len(kept) > 10
    for scene, item in kept:
        assert with_references(item, references_of(scene), scene.regions, WAREHOUSE) == item


def test_a_reference_to_another_region_is_not_used(made):
    """Whatever a reference claims, the question is read before it is used."""
    for scene, question in made:
        wrong = {
            id: Reference("position", "the leftmost shelf", selections.Region(id))
            for id in question.made.region_ids
        }
        assert with_references(question, wrong, scene.regions, WAREHOUSE) == question


def test_words_of_a_model_are_used_as_they_are(made):
    scene, question = next(
        (scene, item) for scene, item in made if item.made.form == "width"
    )  # fmt: skip
    (id,) = question.made.region_ids
    words = {id: Reference(WORDS, "the one with the torn blue foil", level=2)}
    item = with_references(question, words, scene.regions, WAREHOUSE)
    assert item.region_ids == ()
    assert "the one with the torn blue foil" in item.text
    assert "he one with the torn blue foil" in item.freeform_answer


def test_for_scores_all_of_a_class_must_have_masks(made):
    scene, _ = made[0]
    questions = [item for other, item in made if other is scene]
    references = references_of(scene)
    rng = np.random.default_rng(0)
    free = refer(questions, references, 1.0, scene.regions, WAREHOUSE, rng, for_scores=False)
    held = refer(questions, references, 1.0, scene.regions, WAREHOUSE, rng, for_scores=True)
    masked = {id for item in held for id in item.region_ids}
    for item in held:
        for id in item.references:
            label = scene.regions[id].label
            assert {region.id for region in scene.regions.with_label(label)} <= masked
    assert sum(bool(item.references) for item in free) > 0
    assert not any(
        item.references
        for item in refer(questions, references, 0.0, scene.regions, WAREHOUSE, rng, False)
    )


def test_a_record_is_of_its_family_of_tasks(photographs):
    known = Annotator(photographs.settings).know(photographs.root / "images" / "good_0.png")
    rle = {region.id: {"size": [1, 1], "counts": "1"} for region in known.frame.regions}
    for item in known.questions:
        record = item.record("id", "a.png", rle)
        assert record.category == item.family
        assert len(record.rle) == record.question.count(MASK)
