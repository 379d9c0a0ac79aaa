"""Generated questions: their wordings read back, their answers are true and not too close."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.answer import read_answer
from smolrgpt_core.language import CATEGORIES, Category, read_question
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.question import category_of
from smolrgpt_core.language.types import Type
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import (
    DEFAULT_INTRINSICS,
    RenderOptions,
    WarehouseRenderer,
    build_scene,
)
from smolrgpt_core.synthesis import (
    ALL_WAREHOUSE_FORMS,
    FORMS,
    WAREHOUSE_FORMS,
    AmbiguityMargins,
    RegionStyle,
    generate_questions,
)
from smolrgpt_core.synthesis import generator as generator_module
from smolrgpt_core.synthesis.view import MarginView

WIDTH = 640
ONLY_PLAIN = {"count_visible", "count_class_inside"}


@pytest.mark.parametrize("style", RegionStyle)
def test_every_text_reads_back_to_its_program(style, of_every_form):
    forms: Counter[str] = Counter()
    for item in of_every_form(style):
        asked = item.question
        read = read_question(asked.text, item.regions, asked.category, asked.region_ids)
        assert read == asked.question, asked.text
        forms[asked.form] += 1
    left_out = ONLY_PLAIN if style is RegionStyle.MASK else set()
    # Ten scenes of boxes offer no whole class of pallets, and few transporters.
    rare = {"nearest_of_class", "nearest_empty", "count_class_inside"}
    assert set(FORMS) - left_out - rare <= set(forms)


def test_masked_texts_have_one_id_for_each_placeholder_and_plain_ones_none(of_every_form):
    for item in of_every_form(RegionStyle.MASK):
        assert item.question.text.count("<mask>") == len(item.question.region_ids)
    assert all(not item.question.region_ids for item in of_every_form(RegionStyle.PLAIN))


def test_a_wording_that_reads_as_something_else_is_refused(true_scene, monkeypatch):
    wrong = {**generator_module.WORDINGS, "width": ("How tall is {first}?",)}
    monkeypatch.setattr(generator_module, "WORDINGS", wrong)
    monkeypatch.setattr(generator_module, "is_held_out", lambda _: False)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="How tall is"):
        generate_questions(true_scene(0), rng, forms=["width"], per_form=30)


@pytest.mark.parametrize("style", RegionStyle)
def test_freeform_answers_say_what_the_fields_say(style, of_the_warehouse):
    for item in of_the_warehouse(style):
        asked = item.question
        assert asked.category in CATEGORIES.values()
        if style is RegionStyle.PLAIN:
            continue
        parsed = read_answer(asked.freeform_answer, asked.category)
        normalized = asked.normalized_answer
        if asked.region_id is not None:
            assert asked.region_ids[parsed.region_index] == asked.region_id
            assert normalized == str(parsed.region_index)
        elif asked.value is not None:
            assert parsed.value == pytest.approx(asked.value, abs=0.005)
            assert float(normalized) == pytest.approx(parsed.value)
        else:
            assert parsed.side is asked.side
            assert normalized == asked.side.name.lower()


@pytest.mark.parametrize("style", RegionStyle)
def test_answers_are_true(style, of_every_form, brute_force):
    """Worked out anew from the truth, without the code that made the question."""
    tolerances = {"FreeArea": 0.15, "Clearance": 0.011}
    for item in of_every_form(style):
        asked = item.question
        plain = brute_force.BruteForce(item.truth, item.regions, item.depth)
        expected = plain(asked.program)
        used = {part.operator.name for part in asked.program.walk()}
        tolerance = max([1e-6, *(value for name, value in tolerances.items() if name in used)])
        if asked.program.type is Type.QUANTITY:
            assert asked.truth == pytest.approx(expected, abs=tolerance), asked.text
        elif isinstance(expected, tuple):
            assert asked.truth == pytest.approx(expected), asked.text
        elif asked.program.type is Type.REGIONS:
            ordered = asked.form == "ordered"
            found = list(asked.truth) if ordered else sorted(asked.truth)
            assert found == (expected if ordered else sorted(expected)), asked.text
        elif "HasRoom" not in used:
            assert asked.truth == expected, asked.text


def test_room_for_a_pallet_is_true(made, brute_force):
    answers: Counter[bool] = Counter()
    for item in made(RegionStyle.PLAIN, ("room_in_buffer",), 6):
        plain = brute_force.BruteForce(item.truth, item.regions)
        zone = item.question.program.arguments[0].arguments[0]
        assert item.question.truth or not plain.fits(zone, 1.3, 0.9)
        assert not item.question.truth or plain.fits(zone, 1.15, 0.75)
        answers[item.question.truth] += 1
    assert answers.total() > 5


def whole_in_image(regions: RegionSet, id: int) -> bool:
    box, (height, width) = regions[id].box, regions.image_size
    return min(box.x, box.y) > 0 and box.x + box.width < width and box.y + box.height < height


def test_margins_exclude_what_is_too_close(many_masked, brute_force):
    """The limits of always: 10 % and 0.25 m, 2 % of the width, 0.25 m from an edge."""
    checked: Counter[str] = Counter()
    for item in many_masked():
        asked, truth = item.question, item.truth
        program = asked.program
        for id in asked.region_ids:
            least = 0.2 if truth[id].label == "buffer" else 0.35
            assert truth[id].visible_fraction >= least
        if program.type is Type.QUANTITY and program.operator is questions.Measure:
            named = [p.arguments[0] for p in program.walk() if p.operator is selections.Region]
            assert all(whole_in_image(item.regions, id) for id in named)
        plain = brute_force.BruteForce(truth, item.regions)
        for part in program.walk():
            checked.update(check_part(part, plain))
    assert min(checked[key] for key in ("edge", "side", "nearest", "column")) > 30


def check_part(part, plain) -> list[str]:
    """What of the old limits one part of a program has to keep; which of them it was held to."""
    if part.operator is selections.Where and part.arguments[1].operator is predicates.In:
        zones = plain.some(part.arguments[1].arguments[0])
        ids = [id for id in plain.some(part.arguments[0]) if not plain.zone(id)]
        for zone in (zone for zone in zones if plain.zone(zone)):
            assert all(edge_distance(plain, id, zone) >= 0.25 for id in ids)
        return ["edge"]
    if part.operator in (questions.Whether, questions.Side):
        predicate = part.arguments[1]
        by_image = "left_right" in part.arguments or predicate.operator in (
            predicates.LeftOf, predicates.RightOf,
        )  # fmt: skip
        place = predicate if part.operator is questions.Side else predicate.parts[:1]
        place = place if part.operator is questions.Side else place[0] if place else None
        if by_image and place is not None and place.type is Type.REGION:
            one, other = plain(part.arguments[0]), plain(place)
            assert abs(plain.column(one) - plain.column(other)) >= 0.02 * WIDTH
            return ["side"]
    if part.operator is selections.Extreme:
        return check_extreme(part, plain)
    return []


def check_extreme(part, plain) -> list[str]:
    chosen, attribute, end, rank = part.arguments
    ids, values = plain.ranked(chosen, attribute, end)
    around = values[max(int(rank) - 2, 0) : int(rank) + 1]
    gaps = [abs(a - b) for a, b in pairwise(around)]
    if attribute.operator is attributes.Column:
        assert all(gap >= 0.02 * WIDTH for gap in gaps)
        return ["column"]
    if attribute.operator is attributes.Distance and len(ids) > 1:
        pairs = pairwise(sorted(around))
        assert all(far - near >= max(0.25, 0.1 * far) for near, far in pairs), str(part)
        return ["nearest"]
    return []


def edge_distance(plain, id: int, zone: int) -> float:
    """Meters of the middle of a footprint from the edge of an upright square zone."""
    dx, dy = (abs(a - b) for a, b in zip(plain.at(id)[:2], plain.at(zone)[:2], strict=True))
    half = plain.size(zone)[0] / 2
    beyond = np.hypot(max(dx - half, 0), max(dy - half, 0))
    return float(beyond or half - max(dx, dy))


def test_simulated_frames_offer_most_forms():
    scene = build_scene(3)
    options = RenderOptions(shadows=False, reflections=False, supersampling=1)
    with WarehouseRenderer(scene, DEFAULT_INTRINSICS, options) as renderer:
        simulated = renderer.render(scene.camera_poses(4)[1])
    frame = simulated.frame
    true = TrueScene(simulated.truth, frame.regions, frame.intrinsics, frame.depth)
    forms = set()
    for style in RegionStyle:
        rng = np.random.default_rng(3)
        for asked in generate_questions(true, rng, style=style, forms=FORMS, per_form=3):
            read = read_question(asked.text, frame.regions, region_ids=asked.region_ids)
            assert read == asked.question
            forms.add(asked.form)
    assert len(forms & set(ALL_WAREHOUSE_FORMS)) > len(ALL_WAREHOUSE_FORMS) / 2
    assert len(forms) > len(FORMS) / 2


def test_wider_margins_ask_fewer_questions(true_scene):
    wide = AmbiguityMargins(min_visible_fraction=1.0, min_buffer_visible_fraction=1.0)
    assert not generate_questions(true_scene(0), np.random.default_rng(0), wide)

    def number(**changed: Any) -> int:
        margins = AmbiguityMargins(**changed)
        return sum(
            len(generate_questions(true_scene(seed), np.random.default_rng(seed), margins))
            for seed in range(3)
        )

    usual = number()
    for changed in ({"center_std_m": 0.6}, {"ratio_std": 0.4}, {"column_std": 0.1}):
        assert number(**changed) < usual, changed


@pytest.mark.parametrize(
    ("name", "value"),
    [("min_visible_fraction", 1.5), ("center_std_m", -0.1), ("ratio_std", np.nan)],
)
def test_margins_are_checked(name, value):
    with pytest.raises(ValueError, match=name):
        AmbiguityMargins(**{name: value})


def test_a_side_is_not_clear_when_masks_and_centers_disagree(random_scene):
    for seed in range(20):
        truth, regions = random_scene(seed)
        bearing = {item.id: item.center[0] / item.center[2] for item in truth.objects}
        pallets = [item for item in truth.objects if item.label == "pallet"]
        pallets.sort(key=lambda item: bearing[item.id])
        pair = [pallets[0], pallets[-1]]
        if bearing[pair[1].id] - bearing[pair[0].id] > 0.5:
            break
    swapped = [
        replace(pair[0], center=pair[1].center),
        replace(pair[1], center=pair[0].center),
    ]
    first, second = (selections.Region(item.id) for item in pair)
    asked = questions.Side(first, second, "left_right")

    def answer(objects) -> str | None:
        known = {
            item.id: replace(item, visible_fraction=1.0) for item in (*truth.objects, *objects)
        }
        scene = TrueScene(replace(truth, objects=tuple(known.values())), regions)
        return MarginView(scene, AmbiguityMargins(), np.random.default_rng(0)).truth(asked)

    assert answer(pair) == "left"
    assert answer(swapped) is None


def test_same_seed_same_questions_and_another_seed_others(true_scene):
    first, again, other = (
        generate_questions(true_scene(0), np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_left_and_right_are_balanced_and_yes_and_no_too(made):
    answers: Counter[str] = Counter()
    for item in made(RegionStyle.MASK, ("is_on_side",), 30):
        answers[item.question.freeform_answer.split(",")[0]] += 1
        answers[item.question.normalized_answer] += 1
    assert 0.4 < answers["Yes"] / (answers["Yes"] + answers["No"]) < 0.6
    assert 0.4 < answers["left"] / (answers["left"] + answers["right"]) < 0.6


@pytest.mark.parametrize("form", ["is_empty", "is_tall", "is_front", "is_wide", "is_big"])
def test_yes_and_no_are_about_equally_likely(form, made):
    answers = Counter(item.question.truth for item in made(RegionStyle.PLAIN, (form,), 8))
    assert answers.total() >= 30
    assert 0.25 < answers[True] / answers.total() < 0.75


def test_unknown_form_is_refused(true_scene):
    with pytest.raises(ValueError, match="how_heavy"):
        generate_questions(true_scene(0), np.random.default_rng(0), forms=["how_heavy"])


def assert_even(counter: Counter, answers) -> None:
    """Within four standard deviations of the same share for each answer, and no other answer."""
    share, total = 1 / len(answers), counter.total()
    assert set(counter) <= set(answers)
    shares = [counter[answer] / total for answer in answers]
    tolerance = 4 * np.sqrt(share * (1 - share) / total)
    assert shares == pytest.approx([share] * len(answers), abs=tolerance)


@dataclass(frozen=True)
class Answered:
    """A draft of a question with its answer; words do not matter here, and take long to read."""

    form: str
    labels: tuple[str, ...]
    program: Program
    truth: object


@pytest.fixture(scope="module")
def many(true_scene) -> list[Answered]:
    found = []
    for seed in range(160):
        scene, rng = true_scene(seed), np.random.default_rng(seed)
        view = MarginView(scene, AmbiguityMargins(), rng)
        for form in WAREHOUSE_FORMS:
            for _ in range(0 if form.startswith("distance") else 4):
                draft = FORMS[form](view, rng)
                truth = view.truth(draft.program) if draft else None
                if draft is not None and truth is not None:
                    ids = [id for item in draft.mentions.values() for id in item.ids]
                    labels = tuple(map(view.label, ids))
                    program = draft.program_in(RegionStyle.MASK, scene.regions)
                    found.append(Answered(form, labels, program, truth))
    return found


def listed_in(program: Program) -> tuple[int, ...]:
    """What is counted or chosen from."""
    part = program
    while part.operator is not selections.Listed:
        part = part.parts[0]
    return part.arguments[0]


def test_every_count_is_equally_likely_for_each_number_of_listed_regions(many):
    answers: dict[int, Counter] = {}
    for item in many:
        if category_of(item.program) is Category.COUNT:
            listed = len(listed_in(item.program))
            answers.setdefault(listed, Counter())[item.truth] += 1
    assert set(answers) >= {2, 3}
    for listed in (2, 3):
        assert_even(answers[listed], range(listed + 1))


def test_every_place_among_the_choices_is_equally_likely(many):
    places: dict[tuple[str, int], Counter] = {}
    for item in many:
        if category_of(item.program) is Category.MCQ:
            targets = listed_in(item.program)
            place = targets.index(item.truth)
            places.setdefault((item.form, len(targets)), Counter())[place] += 1
    seen = {key: counter for key, counter in places.items() if counter.total() >= 80}
    assert len(seen) >= 5
    for (_, number), counter in seen.items():
        assert_even(counter, range(number))


def test_left_and_right_are_equally_likely_for_each_pair_of_classes(many):
    sides: dict[tuple[str, ...], Counter] = {}
    for item in many:
        if item.form == "left_or_right":
            sides.setdefault(item.labels, Counter())[item.truth] += 1
    seen = [counter for counter in sides.values() if counter.total() >= 40]
    assert len(seen) >= 4
    for counter in seen:
        assert_even(counter, ("left", "right"))


def test_questions_that_answer_themselves_are_for_people_only():
    assert set(ALL_WAREHOUSE_FORMS) - set(WAREHOUSE_FORMS) == ONLY_PLAIN
