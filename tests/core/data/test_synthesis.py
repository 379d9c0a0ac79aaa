"""Generated questions: their wordings read back, their answers are true and not too close."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from smolrgpt_core.answer import Side, read_answer
from smolrgpt_core.data import (
    KINDS,
    AmbiguityMargins,
    QuestionWithTruth,
    Style,
    data_set_kinds,
    generate_questions,
)
from smolrgpt_core.data.drafts import Draft, fits, spatial_question, write
from smolrgpt_core.data.facts import SceneFacts
from smolrgpt_core.data.phrasings import PHRASINGS
from smolrgpt_core.language import Category, Choice, Criterion, Load, read_question
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.sim import (
    DEFAULT_INTRINSICS,
    ObjectTruth,
    RenderOptions,
    SceneTruth,
    WarehouseRenderer,
    build_scene,
)

WIDTH, HEIGHT, FOCAL = 640, 480, 400.0
FLOOR_Y = 1.5
BUFFERS = {1: (-4.0, 8.0), 2: (0.0, 10.0), 3: (4.0, 9.0)}
BUFFER_SIDE = 3.0
SEEDS = range(60)


def make_scene(seed: int) -> tuple[SceneTruth, RegionSet]:
    """Squares in front of a pinhole camera, with the truth as a simulator states it."""
    rng = np.random.default_rng(seed)
    items = [("buffer", id, np.array([x, FLOOR_Y, z])) for id, (x, z) in BUFFERS.items()]
    for label, first, most in (("pallet", 10, 12), ("transporter", 60, 4), ("shelf", 80, 3)):
        for id in range(first, first + int(rng.integers(2, most))):
            items.append((label, id, draw_place(label, rng)))
    rng.shuffle(items)
    seen = [(*item, box) for item in items if (box := project(item[2])) is not None]
    objects = tuple(make_object(label, id, centre, rng) for label, id, centre, _ in seen)
    regions = tuple(Region.from_box(id, label, box) for label, id, _, box in seen)
    return SceneTruth(seed, objects, np.array([0.0, -1.0, 0.0])), RegionSet(
        (HEIGHT, WIDTH), regions
    )


def draw_place(label: str, rng: np.random.Generator) -> np.ndarray:
    """Anywhere, but about half of the pallets are in a buffer."""
    if label == "pallet" and rng.random() < 0.5:
        x, z = BUFFERS[int(rng.choice(list(BUFFERS)))]
        return np.array([x, 1.0, z]) + rng.uniform(-1.2, 1.2, 3) * (1, 0, 1)
    return np.array([rng.uniform(-6, 6), 1.0, rng.uniform(5, 14)])


def project(centre: np.ndarray) -> Box | None:
    column, row = np.array([WIDTH, HEIGHT]) / 2 + FOCAL * centre[:2] / centre[2]
    half = 120 / centre[2]
    left, right = max(0, int(column - half)), min(WIDTH, int(column + half))
    top, bottom = max(0, int(row - half)), min(HEIGHT, int(row + half))
    return Box(left, top, right - left, bottom - top) if right > left and bottom > top else None


def make_object(label: str, id: int, centre: np.ndarray, rng: np.random.Generator) -> ObjectTruth:
    margins = {
        buffer: BUFFER_SIDE / 2 - max(abs(centre[0] - x), abs(centre[2] - z))
        for buffer, (x, z) in BUFFERS.items()
    }
    on_floor = label in ("pallet", "transporter")
    return ObjectTruth(
        id=id,
        label=label,
        centre=centre,
        size=np.ones(3),
        rotation=np.eye(3),
        visible_share=float(rng.uniform(0.2, 1.0)),
        buffer_ids=tuple(b for b, margin in margins.items() if on_floor and margin > 0),
        buffer_margin=max(margins.values()) if on_floor else float("nan"),
        loaded=label == "transporter" and bool(rng.random() < 0.6),
    )


@cache
def all_questions(style: Style) -> list[tuple[SceneTruth, RegionSet, QuestionWithTruth]]:
    found = []
    for seed in SEEDS:
        truth, regions = make_scene(seed)
        rng = np.random.default_rng(seed)
        questions = generate_questions(truth, regions, rng, style=style, per_kind=3)
        found += [(truth, regions, question) for question in questions]
    return found


@pytest.mark.parametrize("style", Style)
def test_every_text_reads_back_to_its_roles(style):
    kinds = Counter()
    for _, regions, generated in all_questions(style):
        read = read_question(generated.text, regions, generated.category, generated.region_ids)
        expected = replace(generated.question, text=read.text)
        assert read == expected, generated.text
        kinds[generated.kind] += 1
    assert set(kinds) == set(KINDS)


def test_there_are_a_dozen_phrasings_in_each_category():
    categories = {item.kind: item.category for _, _, item in all_questions(Style.MASK)}
    per_category = Counter()
    for kind, phrasings in PHRASINGS.items():
        per_category[categories[kind]] += len(phrasings)
    assert min(per_category[category] for category in Category) >= 12


def drafts_of(kind: str) -> list[tuple[RegionSet, Draft]]:
    found = []
    for seed in range(150):
        truth, regions = make_scene(seed)
        facts = SceneFacts(truth, regions, AmbiguityMargins())
        draft = KINDS[kind](facts, np.random.default_rng(seed))
        found += [(regions, draft)] if draft else []
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_phrasing_reads_back(kind):
    drafts = drafts_of(kind)
    for template in PHRASINGS[kind]:
        fitting = [(regions, draft) for regions, draft in drafts if fits(draft, template)]
        assert fitting, template
        for regions, draft in fitting[:4]:
            texts = write(draft, template, regions, np.random.default_rng(0))
            masked, ids = texts[Style.MASK]
            question = spatial_question(draft, masked, ids)
            for style, (text, _) in texts.items():
                placeholders = ids if style is Style.MASK else ()
                read = read_question(text, regions, draft.category, placeholders)
                assert replace(read, text=masked) == question, text


def test_masked_texts_have_one_id_for_each_placeholder_and_plain_ones_none():
    for style in Style:
        for _, _, generated in all_questions(style):
            expected = generated.question.region_ids if style is Style.MASK else ()
            assert generated.region_ids == expected
            assert (generated.text == generated.question.text) is (style is Style.MASK)


def test_freeform_answers_say_what_the_fields_say():
    for _, _, generated in all_questions(Style.MASK):
        parsed = read_answer(generated.freeform_answer, generated.category)
        normalized = generated.normalized_answer
        if generated.region_id is not None:
            assert generated.region_ids[parsed.region_index] == generated.region_id
            assert normalized == str(parsed.region_index)
        elif generated.value is not None:
            assert parsed.value == pytest.approx(generated.value, abs=0.005)
            assert float(normalized) == pytest.approx(parsed.value)
        else:
            assert parsed.side is generated.side
            assert normalized == generated.side.name.lower()


def is_inside(item: ObjectTruth, buffer: int) -> bool:
    x, z = BUFFERS[buffer]
    return bool(max(abs(item.centre[0] - x), abs(item.centre[2] - z)) < BUFFER_SIDE / 2)


def metres(truth: SceneTruth, first: int, second: int | None) -> float:
    if second is None:
        return float(np.linalg.norm(truth[first].centre))
    item, other = sorted((truth[first], truth[second]), key=lambda item: item.label == "buffer")
    may_stand = item.label in ("pallet", "transporter") and other.label == "buffer"
    if may_stand and is_inside(item, other.id):
        return 0.0
    return float(np.linalg.norm(item.centre - other.centre))


def column(truth: SceneTruth, id: int) -> float:
    return truth[id].centre[0] / truth[id].centre[2]


def pick_one(truth: SceneTruth, ids, load, choice) -> int | None:
    """The region that a role of a question means, worked out anew from the truth."""
    ids = [id for id in ids if load is Load.ANY or truth[id].loaded is (load is Load.LOADED)]
    if choice is None:
        assert len(ids) <= 1
        return ids[0] if ids else None
    anchor = choice.anchor_ids[0] if choice.anchor_ids else None
    return ranked(truth, ids, choice.criterion, anchor)[choice.rank - 1]


def ranked(truth: SceneTruth, ids, criterion: Criterion, anchor: int | None) -> list[int]:
    if criterion in (Criterion.LEFTMOST, Criterion.RIGHTMOST):
        ordered = sorted(ids, key=lambda id: column(truth, id))
        return ordered if criterion is Criterion.LEFTMOST else ordered[::-1]
    ordered = sorted(ids, key=lambda id: metres(truth, id, anchor))
    return ordered if criterion is Criterion.NEAREST else ordered[::-1]


def true_answer(truth: SceneTruth, question):
    """What the roles ask for, without the code that made the question."""
    anchor = pick_one(truth, question.anchor_ids, question.anchor_load, question.anchor_choice)
    targets = question.target_ids
    if question.category is Category.COUNT:
        if anchor is None:
            return len(targets)
        return sum(is_inside(truth[id], anchor) is not question.negated for id in targets)
    if question.category is Category.MCQ:
        if question.criterion is Criterion.INSIDE:
            fitting = [id for id in targets if is_inside(truth[id], anchor) is not question.negated]
            assert len(fitting) == 1
            return fitting[0]
        if question.criterion is Criterion.CONTAINING:
            return next(id for id in targets if is_inside(truth[anchor], id))
        choice = Choice(question.criterion, question.rank, question.anchor_ids and (anchor,))
        return pick_one(truth, targets, question.target_load, choice)
    target = pick_one(truth, targets, question.target_load, question.target_choice)
    if question.category is Category.DISTANCE:
        return metres(truth, target, anchor)
    return Side.LEFT if column(truth, target) < column(truth, anchor) else Side.RIGHT


@pytest.mark.parametrize("style", Style)
def test_answers_are_true(style):
    for truth, _, generated in all_questions(style):
        expected = true_answer(truth, generated.question)
        if generated.category is Category.MCQ:
            assert generated.region_id == expected, generated.text
        elif generated.category is Category.LEFT_RIGHT:
            assert generated.side is expected, generated.text
        else:
            assert generated.value == pytest.approx(expected), generated.text


def test_margins_leave_out_what_is_too_close():
    margins = AmbiguityMargins()
    for truth, regions, generated in all_questions(Style.MASK):
        question = generated.question
        for id in question.region_ids:
            least = 0.2 if truth[id].label == "buffer" else 0.35
            assert truth[id].visible_share >= least
        if question.category is Category.COUNT and question.anchor_ids:
            edges = [abs(truth[id].buffer_margin) for id in question.target_ids]
            assert min(edges) >= margins.min_edge_distance_m
        if question.category is Category.LEFT_RIGHT:
            boxes = [regions[id].box for id in question.region_ids]
            centres = [box.x + (box.width - 1) / 2 for box in boxes]
            assert abs(centres[0] - centres[1]) >= 0.02 * WIDTH
        if generated.kind in ("nearest", "nearest_to_camera") and question.rank == 1:
            anchor = question.anchor_ids[0] if question.anchor_ids else None
            distances = sorted(metres(truth, id, anchor) for id in question.target_ids)
            if question.criterion is Criterion.NEAREST:
                near, far = distances[:2]
            else:
                near, far = distances[-2:]
            assert far - near >= max(0.25, 0.1 * far)
        if question.category is Category.DISTANCE:
            for id in (*question.target_ids, *question.anchor_ids):
                box = regions[id].box
                assert min(box.x, box.y) > 0
                assert box.x + box.width < WIDTH
                assert box.y + box.height < HEIGHT


def test_simulated_frames_offer_most_kinds():
    scene = build_scene(3)
    options = RenderOptions(shadows=False, reflections=False, supersampling=1)
    with WarehouseRenderer(scene, DEFAULT_INTRINSICS, options) as renderer:
        simulated = renderer.render(scene.camera_poses(4)[1])
    regions = simulated.frame.regions
    kinds = set()
    for style in Style:
        rng = np.random.default_rng(3)
        for generated in generate_questions(simulated.truth, regions, rng, None, style, None, 3):
            read = read_question(generated.text, regions, region_ids=generated.region_ids)
            assert read == replace(generated.question, text=read.text)
            kinds.add(generated.kind)
    assert len(kinds) > len(KINDS) / 2


def test_wider_margins_ask_fewer_questions():
    truth, regions = make_scene(0)
    wide = AmbiguityMargins(min_visible_share=1.0, min_buffer_visible_share=1.0)
    questions = generate_questions(truth, regions, np.random.default_rng(0), wide)
    assert not questions


@pytest.mark.parametrize(
    ("name", "value"),
    [("min_visible_share", 1.5), ("min_edge_distance_m", -0.1), ("min_distance_ratio", np.nan)],
)
def test_margins_are_checked(name, value):
    with pytest.raises(ValueError, match=name):
        AmbiguityMargins(**{name: value})


def test_side_is_none_when_masks_and_centres_disagree():
    truth, regions = make_scene(1)
    pallets = [item for item in truth.objects if item.label == "pallet"][:2]
    swapped = [
        replace(pallets[0], centre=pallets[1].centre),
        replace(pallets[1], centre=pallets[0].centre),
    ]
    ids = [item.id for item in pallets]
    right = SceneFacts(replace(truth, objects=tuple(pallets)), regions, AmbiguityMargins())
    wrong = SceneFacts(replace(truth, objects=tuple(swapped)), regions, AmbiguityMargins())
    assert right.side(*ids) in ("left", "right")
    assert wrong.side(*ids) is None


def test_same_seed_same_questions_and_another_seed_others():
    truth, regions = make_scene(0)
    first, again, other = (
        generate_questions(truth, regions, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_left_and_right_are_balanced_and_yes_and_no_too():
    answers = Counter()
    for _, _, generated in all_questions(Style.MASK):
        if generated.kind == "is_on_side":
            answers[generated.freeform_answer.split(",")[0]] += 1
            answers[generated.normalized_answer] += 1
    assert 0.4 < answers["Yes"] / (answers["Yes"] + answers["No"]) < 0.6
    assert 0.4 < answers["left"] / (answers["left"] + answers["right"]) < 0.6


def test_unknown_kind_is_refused():
    truth, regions = make_scene(0)
    with pytest.raises(ValueError, match="how_tall"):
        generate_questions(truth, regions, np.random.default_rng(0), kinds=["how_tall"])


def test_every_kind_has_phrasings():
    assert set(PHRASINGS) == set(KINDS)
    assert all(len(set(phrasings)) == len(phrasings) for phrasings in PHRASINGS.values())


def assert_even(counter: Counter, answers) -> None:
    """Within four standard deviations of the same share for each answer, and no other answer."""
    share, total = 1 / len(answers), counter.total()
    assert set(counter) <= set(answers)
    shares = [counter[answer] / total for answer in answers]
    tolerance = 4 * np.sqrt(share * (1 - share) / total)
    assert shares == pytest.approx([share] * len(answers), abs=tolerance)


def test_every_count_is_equally_likely_for_each_number_of_listed_regions():
    answers = {}
    for _, _, item in many_questions():
        if item.category is Category.COUNT:
            answers.setdefault(len(item.question.target_ids), Counter())[item.value] += 1
    assert set(answers) >= {2, 3}
    for listed in (2, 3):
        assert_even(answers[listed], range(listed + 1))


def test_every_place_among_the_choices_is_equally_likely():
    places = {}
    for _, _, item in many_questions():
        if item.category is Category.MCQ:
            targets = item.question.target_ids
            place = targets.index(item.region_id)
            places.setdefault((item.kind, len(targets)), Counter())[place] += 1
    seen = {key: counter for key, counter in places.items() if counter.total() >= 400}
    assert len(seen) >= 5
    for (_, number), counter in seen.items():
        assert_even(counter, range(number))


def test_left_and_right_are_equally_likely_for_each_pair_of_classes():
    sides = {}
    for truth, _, item in many_questions():
        if item.category is Category.LEFT_RIGHT:
            classes = tuple(truth[id].label for id in item.region_ids)
            sides.setdefault(classes, Counter())[item.side] += 1
    seen = [counter for counter in sides.values() if counter.total() >= 150]
    assert len(seen) >= 5
    for counter in seen:
        assert_even(counter, (Side.LEFT, Side.RIGHT))


@cache
def many_questions():
    found = []
    for seed in range(400):
        truth, regions = make_scene(seed)
        made = generate_questions(
            truth, regions, np.random.default_rng(seed), kinds=data_set_kinds(), per_kind=4
        )
        found += [(truth, regions, item) for item in made]
    return found


def test_questions_that_answer_themselves_are_for_people_only():
    assert set(KINDS) - set(data_set_kinds()) == {"count_visible", "count_class_inside"}
