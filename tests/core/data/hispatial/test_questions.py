"""Which questions of a record are asked, in which format and in which words."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.data.warehouse_format import Turn, read_dialogue
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.hispatial_data.calibrations import general_depth, log_depth, wild_depth
from smolrgpt_core.hispatial_data.formats import Pair, drawn_pair, written
from smolrgpt_core.hispatial_data.pixels import GRID, pixel_questions
from smolrgpt_core.hispatial_data.questions import (
    CA1M_TYPES,
    WILD_TYPES,
    QuestionDraw,
    ca1m_questions,
    general_question,
    wild_questions,
)
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.model_inputs.regions_in_words import named_regions
from smolrgpt_core.synthesis import Format
from smolrgpt_core.synthesis.mixtures import TASKS, UNMIXED_TASKS

SIZE = (32, 48)


def drawn(content: Any, read=wild_questions, limit: int = 100, seed: int = 0):
    left_out: list[str] = []
    return read(
        content, QuestionDraw(np.random.default_rng(seed), limit, SIZE, left_out.append)
    ), left_out


def pair(format: str, answer: Any, options: Any = None, kind: str = "", question: Any = "Is it?"):
    return {"format": format, "question": question, "answer": answer, "options": options,
            "qa_type": kind}  # fmt: skip


def item(*pairs: dict, kind: str = "vqa_distance_multi", **more: Any) -> dict:
    return {"qa_type": kind, "object": None, "qa_pairs": list(pairs), **more}


def asked_pair(*pairs: dict, rng: np.random.Generator) -> Pair:
    found = drawn_pair(item(*pairs), rng)
    assert found is not None
    return found


def test_every_type_has_a_task():
    tasks = {task for types in (WILD_TYPES, CA1M_TYPES) for task, _ in types.values()}
    assert tasks <= TASKS | UNMIXED_TASKS
    # Of the published weights, without that of pixels.
    assert sum(weight for _, weight in WILD_TYPES.values()) == 10630 - 350


def test_a_question_is_asked_in_the_words_of_the_record(records):
    """Regions become masks, and a point-map model reads the same words again."""
    text = "How far is the chair (highlighted by the red box) from the chair (highlighted by the "
    text += "blue box), and is the chair (highlighted by a red box) nearer?"
    content = {
        "level2": [records.item("vqa_distance_multi", records.free(text), colors=("red", "blue"))]
    }
    (question,), left_out = drawn(content)
    assert left_out == []
    assert question.text.count("<mask>") == 2
    assert question.boxes == ((2, 8, 12, 20), (18, 8, 28, 20))
    again = named_regions(question.text, mask_labels(question.text))
    assert again == text.replace("a red", "the red")


def test_colors_are_those_that_are_drawn(records):
    """The first box of a question is drawn in red, whatever color it had."""
    text = (
        "Which is nearer, the chair (highlighted by the purple box) or the chair (highlighted by "
    )
    text += "the green box)?"
    pair = records.free(text, "the chair (highlighted by the green box)")
    content = {"level2": [records.item("vqa_distance_multi", pair, colors=("green", "purple"))]}
    (question,), _ = drawn(content)
    assert question.answer == "the chair (highlighted by the blue box)"
    assert question.boxes == ((18, 8, 28, 20), (2, 8, 12, 20))


@pytest.mark.parametrize(
    ("text", "answer", "reason"),
    [
        ("the chair (highlighted by the yellow box)?", "1 m", "that the record does not have"),
        ("How far?", "the chair (highlighted by the green box)", "the question does not name"),
        ("the <mask>?", "1 m", "without <mask>"),
        (7, "1 m", "expected text"),
        ("How far?", [], "expected text"),
    ],
)
def test_what_cannot_be_asked_is_left_out_with_the_reason(records, text, answer, reason):
    content = {"level2": [records.item("vqa_distance_multi", records.free(text, answer))]}
    questions, left_out = drawn(content)
    assert questions == []
    assert len(left_out) == 1
    assert reason in left_out[0]


def test_two_objects_of_one_color_are_left_out(records):
    asked = records.item("vqa_distance_multi", records.free(), colors=("green", "green"))
    wide = {
        "qa_type": "object_width",
        "prefix": "the chair (highlighted by a red box)?",
        "suffix": "1 m",
        "object": records.objects("red"),
        "meta": {"2dbox": [1, 1, 5, 5]},
    }
    for found in (drawn({"level2": [asked]}), drawn([wide], ca1m_questions)):
        assert found[0] == []
        assert found[1][0].startswith("two objects in boxes of one color")


def test_boxes_are_cut_to_the_image(records):
    def boxes(*corners: float) -> Any:
        made = records.item("vqa_distance_single", records.free())
        made["object"]["raw_i"]["raw_bbox"] = list(corners)
        return drawn({"level1": [made]})

    assert boxes(-3, 2.4, 60, 9.6)[0][0].boxes == ((0, 2, 48, 10),)
    assert boxes(5, 5, 5, 5)[0][0].boxes == ((5, 5, 6, 6),)
    for corners in ((48, 0, 60, 9), (9, 9, 5, 5), (1, 2, 3), (np.nan, 1, 2, 3)):
        questions, left_out = boxes(*corners)
        assert not questions
        assert left_out[0].startswith("a box ")


def test_formats_are_drawn_by_the_weights_of_those_that_there_are():
    rng = np.random.default_rng(0)
    pairs = [pair("text", "1 m"), pair("mcq", "b", ["a", "b"]), pair("true_false", "true")]
    counts = Counter(asked_pair(*pairs, rng=rng).format for _ in range(2000))
    for format, share in ((Format.FREE, 0.3), (Format.CHOICE, 0.4), (Format.TRUE_FALSE, 0.3)):
        assert counts[format] / 2000 == pytest.approx(share, abs=0.04)
    assert drawn_pair(item(pair("other", "1 m")), rng) is None
    assert asked_pair({**pair("", "1 m"), "type": "open_ended"}, rng=rng).format is Format.FREE


def test_types_are_drawn_by_their_weights():
    content = {
        "level": [{**item(kind=kind), "question": kind, "answer": "1"} for kind in WILD_TYPES
                  if kind in ("vqa_counting_objects", "vqa_distance_single")]
    }  # fmt: skip
    for entry in content["level"]:
        del entry["qa_pairs"]
    first = Counter(drawn(content, limit=1, seed=seed)[0][0].qa_type for seed in range(600))
    assert first["vqa_counting_objects"] / 600 == pytest.approx(700 / 880, abs=0.06)


def test_a_choice_has_one_option_a_line_and_its_label_as_answer():
    options = ["left", ["left and above", "above and left"], "Behind"]
    styles = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        made = asked_pair(pair("mcq", "behind.", options), rng=rng)
        text, answer = written(made, rng)
        asked, *lines = text.split("\n")
        assert asked == "Is it?"
        (label,) = (line.partition(". ")[0] for line in lines if line.endswith("Behind"))
        assert label == answer
        assert len(lines) == 3
        styles.add(re.sub(r"\w+", "", label) + ("1" if re.search(r"\d", label) else "a"))
    assert styles == {"a", "1", "()a", "()1"}


@pytest.mark.parametrize(
    ("answer", "options", "right"),
    [
        ("above and left", ["left", ["left and above", "above and left"]], "left"),
        ("It is the red chair.", ["the red chair", "the table"], "the red chair"),
    ],
)
def test_an_answer_is_an_option_before_it_contains_one(answer, options, right):
    rng = np.random.default_rng(0)
    text, label = written(asked_pair(pair("mcq", answer, options), rng=rng), rng)
    (line,) = (line for line in text.split("\n") if line.startswith(f"{label}. "))
    assert right in line
    assert (line.partition(". ")[2] == "left") is False


def test_a_choice_without_a_right_option_is_refused():
    rng = np.random.default_rng(0)
    for options in (["a", "b"], ["c", "C."], []):
        with pytest.raises(SpatialError, match="none of its options, or several"):
            written(asked_pair(pair("mcq", "c", options), rng=rng), rng)


def test_statements_are_answered_with_yes_or_no():
    seen = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        seen.add(written(asked_pair(pair("true_false", "False"), rng=rng), rng))
    assert seen == {("Is it?", "No"), ("Is it? Answer with Yes or No.", "No")}
    made = asked_pair(pair("true_false", "true", question="True or False: it is."), rng=rng)
    assert written(made, rng) == ("Yes or No: it is.", "Yes")


def test_what_the_authors_leave_out_is_left_out():
    rng = np.random.default_rng(0)

    def asked(*pairs: dict) -> set[str]:
        found = [drawn_pair(item(*pairs), rng) for _ in range(60)]
        return {made.qa_type for made in found if made}

    def of(kind: str, answer: str) -> dict:
        return pair("true_false", answer, kind=kind)

    both = [of("x_left_tf", "true"), of("x_right_tf", "false")]
    assert asked(*both) == {"x_left_tf", "x_right_tf"}
    assert asked(of("x_left_tf", "true"), of("x_right_tf", "true")) == set()
    assert asked(*both, of("x_overlap_tf", "yes")) == set()
    assert asked(*both, of("y_overlap_tf", "yes")) == {"x_left_tf", "x_right_tf"}
    assert asked(of("z_distance_tf", "true")) == {"z_distance_tf"}
    assert asked(pair("mcq", "a", ["a", "b", "c"], kind="x_relation_3choice")) == set()
    assert asked(pair("text", "1 m", kind="x_distance_w_lf")) == set()


def test_inverted_answers_are_put_right():
    rng = np.random.default_rng(0)
    made = asked_pair(pair("mcq", "a", ["a", "b"], "distance_farther"), rng=rng)
    assert made.answer == "b"
    for broken in (pair("text", "a", None, "distance_farther"),
                   pair("mcq", "a", ["a", "b", "c"], "distance_farther")):  # fmt: skip
        with pytest.raises(SpatialError, match="inverted"):
            drawn_pair(item(broken), rng)


def test_items_with_one_question_and_types_that_are_not_trained():
    content = {
        "metadata": 3,
        "level1": [None, {"qa_type": "vqa_orientation", "question": "Q?", "answer": "A"}],
        "level2": [{"qa_type": "vqa_orientation", "prefix": "P?", "suffix": "S"}, item(kind="new"),
                   {"qa_type": "vqa_orientation"}, item()],
    }  # fmt: skip
    questions, left_out = drawn(content)
    assert {(found.text, found.answer) for found in questions} == {("Q?", "A"), ("P?", "S")}
    assert sorted(left_out) == [
        "a type of question that the authors do not train: new",
        "an item without a question and an answer",
        "no pair that the authors use",
    ]


def test_steps_of_solved_problems(records):
    content = [
        {"qa_type": "problem_solving", "prefix": "P?", "suffix": "2 m",
         "meta": {"student_cot": '{"cot_simple": {"a": "Plan", "b": "Answer: 2 m"}}'}},
        {"qa_type": "problem_solving", "prefix": "P?", "suffix": "2 m",
         "meta": {"student_cot": "no json"}},
        {"qa_type": "vqa_object_width", "prefix": "W?", "suffix": "1 m", "meta": None},
        {"qa_type": "other", "prefix": "W?", "suffix": "1 m"},
    ]  # fmt: skip
    questions, left_out = drawn(content, ca1m_questions)
    assert {(found.category, found.reasoning) for found in questions} == {
        ("problem_solving", "Plan\nAnswer: 2 m"), ("size", ""),
    }  # fmt: skip
    assert sorted(left_out) == [
        "a type of question without a task: other",
        "the steps of an answer cannot be read: JSONDecodeError",
    ]


def test_a_conversation_has_spaces_and_location_tokens():
    turns = [
        {"from": "human", "value": "<image>\nWhat\nis at [0.25, 0.5, 0.75, 1.0]?"},
        {"from": "gpt", "value": "A\nhall."},
    ]
    found = general_question(turns)
    assert found.text == "What is at <loc0512><loc0256><loc1023><loc0768>?"
    assert found.answer == "A hall."
    wrong: tuple[Any, ...] = (turns[:1], turns[::-1], [], {})
    for broken in wrong:
        with pytest.raises(SpatialError, match="expected"):
            general_question(broken)


def test_a_pixel_has_the_point_of_its_pixel(records):
    depth = wild_depth(records.slope().astype(np.float32), records.normalized.numpy())
    for seed in range(20):
        point, order = pixel_questions(depth, np.random.default_rng(seed))
        down, across = (int(number) for number in re.findall(r"<loc(\d+)>", point.text)[:2])
        x, y, z = (float(number) for number in re.findall(r"(-?[\d.]+)m", point.answer))
        column = round(across / 1024 * GRID) * 48 // GRID
        row = round(down / 1024 * GRID) * 32 // GRID
        meters = depth.meters[row, column]
        assert (x, y) == pytest.approx(
            ((column - 23.5) / 48 * meters, (row - 15.5) / 48 * meters), abs=0.006
        )
        assert z == pytest.approx(meters, abs=0.006)
        places = re.findall(r"(?:<loc\d{4}>){4}", order.text)
        closer = min(places, key=lambda place: int(re.findall(r"\d+", place)[1]))
        assert order.answer == f"{closer} is closer."
    flat = wild_depth(np.full((32, 48), 2.0, np.float32), records.normalized.numpy())
    assert len(pixel_questions(flat, np.random.default_rng(0))) == 1


def test_logarithmic_depth():
    released = Path(__file__).parents[3] / "data" / "hispatial_tiny"
    path = released / "depth_log16.png"
    depth = log_depth(path, path.read_bytes())
    with np.load(released / "expected.npz") as stored:
        wanted = stored["depth_decoded"]
    np.testing.assert_array_equal(np.isnan(depth), np.isnan(wanted))
    np.testing.assert_array_equal(np.isinf(depth), np.isinf(wanted))
    known = np.isfinite(wanted)
    np.testing.assert_allclose(depth[known], wanted[known], rtol=1e-6)
    plain = (released / "image.png").read_bytes()
    with pytest.raises(SpatialError, match=r"texts near and far, got .*no texts"):
        log_depth(path, plain)
    with pytest.raises(SpatialError, match="expected a 16-bit PNG"):
        log_depth(path, path.read_bytes()[:200])


def test_points_of_no_pinhole_camera_are_refused():
    rows, columns = np.mgrid[:32, :48].astype(np.float64)
    z = 2 + columns / 20
    bent = np.stack([(columns - 23.5) ** 3 / 9000 * z, (rows - 15.5) / 50 * z, z], axis=-1)
    with pytest.raises(SpatialError, match="not those of a pinhole camera"):
        general_depth(bent, np.ones((32, 48)))
    with pytest.raises(SpatialError, match="none of its points is valid"):
        general_depth(bent, np.zeros((32, 48)))


def test_wordings_are_read_as_written():
    """A choice keeps its lines on the way through the layout."""
    stored = Turn("human", "<image>\nWhich?\n(A). a\n(B). b")
    assert read_dialogue([stored])[0].text == "Which?\n(A). a\n(B). b"
