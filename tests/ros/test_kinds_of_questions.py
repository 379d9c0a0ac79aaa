"""Every kind of question over the graph, beside what is true of a simulated hall."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from smolrgpt_ros.msg import SpatialAnswer as SpatialAnswerMessage

from smolrgpt_core.answer import Agreement, Side, SpatialAnswer
from smolrgpt_core.answerers.registry import make_answerer
from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.errors import Status
from smolrgpt_core.language import Category
from smolrgpt_core.language.question import read_question
from smolrgpt_core.messages.answers import answer_from_message
from smolrgpt_core.sim import SimulatedFrame
from smolrgpt_core.truth import ObjectTruth

LONG = Duration(sec=55)
INPUTS = ("rgb", "depth", "camera_info", "regions")

Ask = Callable[..., SpatialAnswer]


@pytest.fixture(scope="module")
def start_operator(
    start_node: Any, show: Any, hall: SimulatedFrame, graph: Any, make_operator: Any, wait_for: Any
) -> Callable[..., Any]:
    """Start a node of a name of its own that sees the hall: start_operator("name", "-p", ...)."""
    show(hall.frame, period_s=0.2, prefix="hall/")

    def start(name: str, *arguments: str) -> Any:
        remaps = [f"__ns:=/{name}", *(f"{topic}:=/hall/{topic}" for topic in INPUTS)]
        names = [part for remap in remaps for part in ("-r", remap)]
        start_node("spatial_query_node", *names, *arguments)
        operator = make_operator(graph, f"/{name}/spatial_query", f"/{name}/spatial_query")
        question = "Is pallet 16 left of pallet 24?"
        wait_for(
            lambda: operator.ask(question, timeout=LONG).status == Status.OK, f"an answer of {name}"
        )
        return operator

    return start


@pytest.fixture(scope="module")
def operator(start_operator: Any) -> Any:
    return start_operator("geometry")


@pytest.fixture(scope="module")
def ask(operator: Any) -> Ask:
    """The answer to a question, as it is read from the message."""

    def ask(question: str = "", **fields: Any) -> SpatialAnswer:
        answer = answer_from_message(operator.ask(question, **fields))
        assert answer.ok, answer.message
        assert answer.understood
        assert len(answer.centers) == len(answer.valid_depth) == len(answer.region_ids) > 0
        return answer

    return ask


@pytest.fixture(scope="module")
def true(hall: SimulatedFrame) -> Callable[[int], ObjectTruth]:
    """What is true of an object by its id."""
    return {item.id: item for item in hall.truth.objects}.__getitem__


def filled(answer: SpatialAnswer) -> set[str]:
    """The fields with an answer in them."""
    empty: dict[str, Any] = {"value": None, "unit": "", "region_id": None, "side": Side.NONE}
    empty |= {"truth": None, "relation": "", "vector": None, "option": "", "answer_ids": ()}
    return {name for name, nothing in empty.items() if str(getattr(answer, name)) != str(nothing)}


@pytest.mark.parametrize(
    ("question", "truth"),
    [
        ("Is pallet 10 nearer to the camera than 6 m?", True),
        ("Is pallet 10 farther from the camera than 6 m?", False),
        ("Is pallet 16 in buffer 1?", True),
        ("Is pallet 16 in buffer 2?", False),
    ],
)
def test_whether_something_is_so(ask: Ask, question: str, truth: bool) -> None:
    answer = ask(question)
    assert (answer.category, answer.truth) == (Category.TRUTH, truth)
    assert filled(answer) == {"truth"}
    assert answer.text.startswith("Yes" if truth else "No")
    assert 0.8 <= answer.confidence <= 1.0


@pytest.mark.parametrize(("second", "truth"), [(24, True), (25, False)])
def test_a_side_that_is_asked_as_yes_or_no(ask: Ask, second: int, truth: bool) -> None:
    answer = ask(f"Is pallet 16 left of pallet {second}?")
    side = Side.LEFT if truth else Side.RIGHT
    assert (answer.category, answer.truth, answer.side) == (Category.LEFT_RIGHT, truth, side)
    assert filled(answer) == {"truth", "side"}


def test_a_list_comes_in_its_order(ask: Ask, hall: SimulatedFrame, true: Any) -> None:
    answer = ask("List the pallets in buffer 1 from left to right.")
    ids = [item.id for item in hall.truth.objects if item.buffer_ids == (1,)]
    ids.sort(key=lambda id: true(id).center[0] / true(id).center[2])
    assert (answer.category, filled(answer)) == (Category.LIST, {"answer_ids"})
    assert answer.answer_ids == tuple(ids)
    assert any("buffer 1" in step for step in answer.steps)
    backwards = ask("List the pallets in buffer 1 from right to left.")
    assert backwards.answer_ids == tuple(reversed(ids))


def test_a_list_may_be_empty(operator: Any) -> None:
    answer = answer_from_message(operator.ask("Which pallets are nearer to the camera than 1 m?"))
    assert (answer.status, answer.category) == (Status.OK, Category.LIST)
    assert filled(answer) == set()


def test_a_count_reports_what_was_counted(ask: Ask, hall: SimulatedFrame) -> None:
    answer = ask("How many pallets are in buffer 1?")
    ids = {item.id for item in hall.truth.objects if item.buffer_ids == (1,)}
    assert (answer.value, answer.unit, set(answer.answer_ids)) == (len(ids), "objects", ids)


def test_quantities_have_their_unit(ask: Ask, true: Any) -> None:
    height = ask("How tall is pallet 16?")
    assert (height.category, height.unit) == (Category.QUANTITY, "m")
    assert height.value == pytest.approx(true(16).size[2], abs=0.05)
    assert height.geometric_value == height.value
    assert filled(height) == {"value", "unit"}
    x, _, z = true(16).center
    bearing = ask("What is the bearing of pallet 16?")
    assert (bearing.category, bearing.unit) == (Category.QUANTITY, "deg")
    assert bearing.value == pytest.approx(math.degrees(math.atan2(x, z)), abs=3.0)


def test_objects_have_the_sizes_of_the_hall(
    start_operator: Any, ask: Ask, hall: SimulatedFrame
) -> None:
    sizes, text = "pallet:1.2x0.6", "How far is pallet 10 from the camera?"
    operator = start_operator("sizes", "-p", f"object_sizes:={sizes}")
    question = read_question(text, hall.frame.regions)
    expected = make_answerer("geometric", object_sizes=sizes).answer(hall.frame, question)
    assert operator.ask(text).value == pytest.approx(expected.value, abs=1e-3)
    assert ask(text).value != pytest.approx(expected.value, abs=1e-2)


def test_the_value_is_in_si_whatever_the_sentence_is_in(ask: Ask, true: Any) -> None:
    answer = ask("What is the height of pallet 24 in cm?")
    assert answer.unit == "m"
    assert answer.value == pytest.approx(true(24).size[2], abs=0.05)
    assert answer.value is not None
    assert f"{100 * answer.value:.2f} cm" in answer.text


@pytest.mark.parametrize("is_typed", [False, True])
def test_where_something_is(ask: Ask, true: Any, is_typed: bool) -> None:
    typed = {"category": Category.POSITION, "region_ids": [16]}
    answer = ask(**typed) if is_typed else ask("Where is pallet 16?")
    assert (answer.category, filled(answer)) == (Category.POSITION, {"vector"})
    assert answer.vector is not None
    np.testing.assert_allclose(answer.vector, true(16).center, atol=0.1)
    np.testing.assert_allclose(answer.vector, answer.centers[0], atol=1e-6)
    assert answer.region_ids == (16,)


@pytest.mark.parametrize("is_typed", [False, True])
def test_how_large_something_is(ask: Ask, true: Any, is_typed: bool) -> None:
    typed = {"category": Category.SIZE, "region_ids": [16]}
    answer = ask(**typed) if is_typed else ask("What are the dimensions of pallet 16?")
    assert (answer.category, filled(answer)) == (Category.SIZE, {"vector"})
    assert answer.vector is not None
    np.testing.assert_allclose(answer.vector, true(16).size, atol=0.05)


def test_a_direction_is_a_unit_vector(ask: Ask, true: Any) -> None:
    answer = ask("In which direction is pallet 24 from pallet 16?")
    assert (answer.category, filled(answer)) == (Category.DIRECTION, {"vector"})
    assert answer.vector is not None
    assert np.linalg.norm(answer.vector) == pytest.approx(1.0)
    offset = true(24).center - true(16).center
    np.testing.assert_allclose(answer.vector, offset / np.linalg.norm(offset), atol=0.05)


@pytest.mark.parametrize(
    ("question", "relation"),
    [
        ("Is pallet 16 in front of or behind pallet 24?", "front"),
        ("Is pallet 24 in front of or behind pallet 16?", "behind"),
        ("Is pallet 16 inside or outside buffer 1?", "inside"),
        ("Is pallet 16 inside or outside buffer 2?", "outside"),
    ],
)
def test_a_relation(ask: Ask, question: str, relation: str) -> None:
    answer = ask(question)
    assert (answer.category, answer.relation) == (Category.RELATION, relation)
    assert filled(answer) == {"relation"}


def test_options_of_a_multiple_choice(ask: Ask, true: Any) -> None:
    nearest = "Which pallet is nearest to transporter 60? A) pallet 20 B) pallet 16 C) pallet 22"
    answer = ask(nearest)
    assert (answer.category, answer.region_id, answer.option) == (Category.MCQ, 16, "B")
    assert filled(answer) == {"region_id", "answer_ids", "option"}
    assert answer.answer_ids == (16,)
    meters = np.linalg.norm(true(16).center - true(24).center)
    choices = f"A) {meters - 1:.2f} m B) {meters + 1:.2f} m C) {meters:.2f} m"
    distance = ask(f"How far is pallet 16 from pallet 24? {choices}")
    assert (distance.category, distance.option) == (Category.DISTANCE, "C")


def test_no_option_fits(operator: Any) -> None:
    answer = operator.ask("How many pallets are in buffer 1? A) 17 B) 18")
    assert Status(answer.status) in (Status.CANNOT_TELL, Status.BAD_QUESTION)
    assert not answer.has_value
    assert answer.option == ""


@pytest.mark.parametrize(
    ("category", "ids", "words"),
    [
        (Category.TRUTH, [16], "needs a question in words"),
        (Category.LIST, [16, 1], "needs a question in words"),
        (Category.DIRECTION, [16, 24], "needs a question in words"),
        (Category.POSITION, [], "got 0"),
        (Category.SIZE, [16, 24], "got 2"),
    ],
)
def test_a_request_without_words_that_says_too_little(
    operator: Any, category: Category, ids: list[int], words: str
) -> None:
    answer = operator.ask(category=category, region_ids=ids)
    assert Status(answer.status) is Status.BAD_QUESTION
    assert words in answer.message
    assert answer.category == category


def test_what_the_model_was_not_trained_on_is_answered_by_geometry_alone(
    start_operator: Any, ask: Ask, tmp_path: Path
) -> None:
    checkpoint = Path(shutil.copytree(NANO, tmp_path / "few_answers"))
    config = json.loads((checkpoint / "config.json").read_text())
    config["answers"] = ["distance", "count", "left_right", "mcq"]
    (checkpoint / "config.json").write_text(json.dumps(config))
    words = (f"checkpoint:={checkpoint}", "answerer:=fused", "device:=cpu")
    fused = start_operator("fused", *(word for item in words for word in ("-p", item)))
    question = "Is pallet 10 nearer to the camera than 6 m?"
    message: SpatialAnswerMessage = fused.ask(question, timeout=LONG)
    answer = answer_from_message(message)
    assert answer.ok, answer.message
    assert (answer.category, answer.truth) == (Category.TRUTH, True)
    assert answer.agreement is Agreement.UNKNOWN
    assert (answer.model_value, answer.text) == (None, ask(question).text)
    assert answer.confidence == pytest.approx(ask(question).confidence)
    height = answer_from_message(fused.ask("How tall is pallet 16?", timeout=LONG))
    assert (height.agreement, height.model_value) == (Agreement.UNKNOWN, None)
    assert height.value == height.geometric_value
    # And what it was trained on, by both.
    both = answer_from_message(fused.ask("How far is pallet 16 from pallet 24?", timeout=LONG))
    assert both.agreement is not Agreement.UNKNOWN
    assert both.model_value is not None
