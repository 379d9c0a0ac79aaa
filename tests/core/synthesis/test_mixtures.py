"""Mixtures by name: their weights, their formats, and what stays out of training data."""

import re
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.language import is_about_looks, read_question
from smolrgpt_core.language.model_wording import masked_question
from smolrgpt_core.language.options import choose
from smolrgpt_core.language.types import Type
from smolrgpt_core.synthesis import (
    COLOR_FORMS,
    FORMS,
    MIXTURES,
    Format,
    RegionStyle,
    generate_mixture,
    generate_questions,
)
from smolrgpt_core.synthesis.generator import is_held_out, shape
from smolrgpt_core.synthesis.mixtures import Family
from smolrgpt_core.synthesis.reasoning import steps_of


@pytest.fixture(scope="module", params=RegionStyle)
def asked(request, true_scene):
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        items = generate_mixture(true_scene(seed), rng, "hispatial", 30, style=request.param)
        found += [(true_scene(seed), family, item) for family, item in items]
    return found


def test_every_form_of_a_mixture_exists():
    for mixture in MIXTURES.values():
        for family in mixture.families.values():
            assert set(family.forms) <= set(FORMS)


def test_a_model_is_asked_in_the_words_of_its_training(true_scene):
    """Every form is made, and what an answerer asks for its program is the text itself."""
    forms = set()
    for seed in range(16):
        scene = true_scene(seed)
        items = generate_mixture(scene, np.random.default_rng(seed), "language", 40)
        for _, item in items:
            forms.add(item.form)
            wording = masked_question(item.program, scene.regions)
            assert wording is not None
            assert (wording.text, wording.region_ids) == (item.text, item.region_ids)
            assert not item.question.options
    wanted = {form for family in MIXTURES["language"].families.values() for form in family.forms}
    assert len(forms) > 0.8 * len(wanted)


def test_colors_are_asked_of_models_that_know_them(true_scene):
    """With answers that the words do not tell, and in words that a model without colors has not."""
    answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(16):
        scene = true_scene(seed)
        for _, item in generate_mixture(scene, np.random.default_rng(seed), "looks", 40):
            answers[item.form][item.normalized_answer] += 1
            assert masked_question(item.program, scene.regions) is None
            wording = masked_question(item.program, scene.regions, looks=True)
            assert wording is not None
            assert (wording.text, wording.region_ids) == (item.text, item.region_ids)
            assert is_about_looks(item.program)
    assert set(answers) == set(COLOR_FORMS)
    for form, counted in answers.items():
        assert max(counted.values()) < 0.6 * counted.total(), form


def test_families_are_drawn_by_their_weights(asked):
    families = MIXTURES["hispatial"].families
    number, whole = (
        Counter(family for _, family, _ in asked),
        sum(f.weight for f in families.values()),
    )
    for name, family in families.items():
        fraction = family.weight / whole
        tolerance = 4 * np.sqrt(fraction * (1 - fraction) / len(asked)) + 0.03
        assert number[name] / len(asked) == pytest.approx(fraction, abs=tolerance), name


def test_options_have_one_correct_letter_and_statements_are_true_or_false(asked, brute_force):
    letters: Counter[str] = Counter()
    truths: Counter[bool] = Counter()
    for scene, _, item in asked:
        if item.question.options:
            letter = choose(item.program, item.truth, item.question.options, scene.regions)
            assert item.normalized_answer == letter
            assert f"({letter})" in item.text
            letters[letter] += 1
            read = read_question(item.text, scene.regions, None, item.region_ids)
            assert read.program is not None
            meant = MIXTURES["hispatial"].conventions.meant(read.program)
            assert replace(read, program=meant) == item.question
        elif item.text.startswith("True or false:"):
            assert item.program.type is Type.TRUTH
            plain = brute_force.BruteForce(scene._truth, scene.regions, scene._depth)
            if "FreeArea" not in str(item.program) and "HasRoom" not in str(item.program):
                assert bool(plain(item.program)) is item.truth, item.text
            assert item.normalized_answer == ("yes" if item.truth else "no")
            truths[item.truth] += 1
    assert min(letters[letter] for letter in "AB") > 5
    assert min(truths[True], truths[False]) > 0.25 * truths.total()


def test_what_is_held_out_is_asked_only_by_name(true_scene):
    forms = ("width", "distance", "is_on_side", "composed")
    for held_out in (False, True):
        made = [
            item
            for seed in range(6)
            for item in generate_questions(
                true_scene(seed), np.random.default_rng(seed), style=RegionStyle.PLAIN, forms=forms,
                per_form=6, held_out=held_out,
            )
        ]  # fmt: skip
        composed = [item for item in made if item.form == "composed"]
        assert all(is_held_out(shape(item.program)) is held_out for item in composed)
        assert made


def test_the_questions_of_a_seed_are_the_same(true_scene):
    first, again = (
        generate_mixture(true_scene(1), np.random.default_rng(4), "spatialrgpt", 10)
        for _ in range(2)
    )
    assert first == again
    assert len(first) == 10


def test_unknown_mixture_is_refused(true_scene):
    with pytest.raises(ValueError, match="spatialrgpt"):
        generate_mixture(true_scene(0), np.random.default_rng(0), "imagenet", 3)


def test_levels_are_those_of_the_paper():
    levels = {name: family.level for name, family in MIXTURES["hispatial"].families.items()}
    assert {level: [name for name in levels if levels[name] == level] for level in range(4)} == {
        0: ["pixel_to_point", "depth_ordering"],
        1: ["size", "localisation"],
        2: ["relative_direction", "relative_distance", "comparison"],
        3: ["perspective_taking", "counting", "problem_solving"],
    }


def _format(item) -> Format:
    if item.question.options:
        return Format.CHOICE
    return Format.TRUE_FALSE if item.text.startswith("True or false:") else Format.FREE


@pytest.mark.parametrize(
    ("form", "fractions"),
    [
        ("clearance", (0.3, 0.4, 0.3)),
        ("clock_direction", (3 / 7, 4 / 7, 0)),
        ("position", (1, 0, 0)),
    ],
)
def test_formats_have_their_fractions_among_those_that_a_question_has(true_scene, form, fractions):
    mixture = replace(MIXTURES["hispatial"], families={"one": Family(1.0, (form,))})
    found: Counter[Format] = Counter()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(MIXTURES, "one", mixture)
            items = generate_mixture(true_scene(seed), rng, "one", 80, style=RegionStyle.MASK)
        found.update(_format(item) for _, item in items)
    number = found.total()
    assert number > 200
    for kind, fraction in zip(Format, fractions, strict=True):
        error = np.sqrt(fraction * (1 - fraction) / number)
        assert found[kind] / number == pytest.approx(fraction, abs=4 * error), kind


def test_steps_name_true_places_and_end_with_the_answer(true_scene):
    seen: Counter[tuple[str, bool]] = Counter()
    for seed in range(6):
        scene = true_scene(seed)
        made = generate_mixture(scene, np.random.default_rng(seed), "hispatial", 40)
        for family, item in made:
            steps = steps_of(item, scene)
            seen[family, bool(steps)] += 1
            if not steps:
                continue
            plan, facts, *_, answer = steps.splitlines()
            assert plan.startswith("Plan: find ")
            assert answer == f"Answer: {item.normalized_answer}"
            for id in set(item.region_ids):
                place = item.region_ids.index(id)
                right, ahead, up = scene.place(id).center
                said = (
                    f"[Region {place}] is {right:.2f} m right, {ahead:.2f} m ahead, {up:.2f} m up"
                )
                assert said in facts
            named = set(map(int, re.findall(r"\[Region (\d+)\]", steps)))
            assert named <= set(range(len(item.region_ids)))
    assert not seen["pixel_to_point", True]
    assert seen["relative_distance", True] > 10
    assert not seen["relative_distance", False]
