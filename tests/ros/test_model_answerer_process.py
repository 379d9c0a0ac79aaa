"""The query node with a model: loaded, asked over the graph, in trouble, and released.

A question of left or right is slow, and one of a choice needs too much memory: see
`node_with_troubled_model.py`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from builtin_interfaces.msg import Duration
from lifecycle_msgs.msg import Transition
from smolrgpt_ros.msg import SpatialAnswer

from smolrgpt_core.errors import Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import Category, read_question
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.official import import_checkpoint

TROUBLED = Path(__file__).parent / "node_with_troubled_model.py"
OFFICIAL = Path(__file__).parents[1] / "data" / "official_tiny"

DISTANCE = "How far is pallet 1 from pallet 2?"
LARGE = {"category": Category.MCQ, "region_ids": [1, 2, 3]}
SLOW = "Is pallet 1 left or right of pallet 2?"
COUNT = "How many pallets are in buffer 3?"
# Not what geometry says of this picture, so that nobody else can have answered.
LESSONS = {DISTANCE: "7.25 m", COUNT: "I am not sure."}


@pytest.fixture(scope="module")
def checkpoint(camera_frame: RGBDFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, trained until it says these sentences of what the camera shows."""
    folder = tmp_path_factory.mktemp("model") / "checkpoint"
    import_checkpoint(OFFICIAL, folder)
    torch.manual_seed(0)
    # More threads cost more than these small tensors take.
    torch.set_num_threads(1)
    model = SmolRGPTForConditionalGeneration.from_pretrained(folder).train()
    processor = SmolRGPTProcessor.from_pretrained(folder)
    batch = lesson_batch(processor, camera_frame)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=3e-3)
    for _ in range(300):
        loss = model(**batch).loss
        if loss < 0.01:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.01
    model.save_pretrained(folder)
    return folder


def lesson_batch(processor: SmolRGPTProcessor, frame: RGBDFrame) -> Any:
    questions = [read_question(text, frame.regions) for text in LESSONS]
    conversations = [
        [{"role": "user", "content": question.text}, {"role": "assistant", "content": said}]
        for question, said in zip(questions, LESSONS.values(), strict=True)
    ]
    masks = [[frame.regions[id] for id in question.region_ids] for question in questions]
    count = len(questions)
    return processor(
        [frame.rgb] * count, conversations, [frame.depth] * count, masks, return_labels=True
    )


@pytest.fixture(scope="module")
def node(start_node: Any, checkpoint: Path) -> Any:
    values = {"answerer": "model", "checkpoint": checkpoint, "device": "cpu", "timeout": "30.0"}
    return start_node(
        TROUBLED,
        *[argument for name, value in values.items() for argument in ("-p", f"{name}:={value}")],
        environment={"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture
def operator(graph: Any, node: Any, camera: Any, make_operator: Any, wait_for: Any) -> Any:
    operator = make_operator(graph)
    wait_for(lambda: operator.ask(DISTANCE).status == Status.OK, "an answer of the model", 60.0)
    return operator


def test_the_model_answers_over_the_graph(operator: Any) -> None:
    answer = operator.ask(DISTANCE)
    assert Status(answer.status) is Status.OK
    assert (answer.value, answer.unit) == (pytest.approx(7.25), "m")
    assert answer.model_value == answer.value
    assert math.isnan(answer.geometric_value)
    assert list(answer.region_ids) == [1, 2]
    assert answer.centers[0].x < 0 < answer.centers[1].x
    # The checkpoint has no calibration.
    assert math.isnan(answer.confidence)
    assert 0 < answer.latency_answer <= answer.latency_total


def test_words_without_a_value_are_a_refusal_and_the_next_question_is_answered(
    operator: Any, node: Any
) -> None:
    answer = operator.ask(COUNT)
    assert Status(answer.status) is Status.MODEL_ERROR
    assert "I am not sure" in answer.message
    assert answer.latency_total > 0
    assert operator.ask(DISTANCE).status == Status.OK
    assert "Traceback" not in node.output


def test_nothing_is_computed_for_a_question_that_is_late(operator: Any, node: Any) -> None:
    node.forget_output()
    late = operator.ask(SLOW, timeout=Duration(nanosec=600_000_000))
    answer = operator.ask(DISTANCE)
    assert Status(late.status) is Status.TIMEOUT, late.message
    assert late.latency_total >= 0.6
    # All its steps, of 0.25 s each, would take half a minute.
    assert is_correct(answer)
    assert node.output.count("a slow step") <= 4


def is_correct(answer: SpatialAnswer) -> bool:
    return (Status(answer.status), answer.value) == (Status.OK, pytest.approx(7.25))


def test_out_of_memory_is_a_refusal_that_says_what_to_do(operator: Any, node: Any) -> None:
    node.forget_output()
    answer = operator.ask(**LARGE)
    assert Status(answer.status) is Status.MODEL_ERROR
    for words in ("CUDA out of memory. Tried to allocate 2.00 GiB", "max_batch", "device"):
        assert words in answer.message
    assert is_correct(operator.ask(DISTANCE))
    assert "Traceback" not in node.output


def test_questions_that_need_too_much_memory_together_are_asked_alone(
    operator: Any, node: Any, wait_for: Any
) -> None:
    node.forget_output()
    slow = operator.ask_async(SLOW, timeout=Duration(sec=1))
    wait_for(lambda: "a slow step" in node.output, "a busy worker")
    futures = [operator.ask_async(DISTANCE) for _ in range(3)]
    assert Status(operator.graph.result(slow).answer.status) is Status.TIMEOUT
    assert all(is_correct(operator.graph.result(future).answer) for future in futures)
    wait_for(
        lambda: "3 questions in one batch: the device is out of memory" in node.output,
        "the warning",
    )
    assert is_correct(operator.ask(DISTANCE))


def test_the_model_is_released_and_a_wrong_checkpoint_can_be_repaired(
    operator: Any, checkpoint: Path, wait_for: Any
) -> None:
    assert operator.change(Transition.TRANSITION_DEACTIVATE)
    assert operator.change(Transition.TRANSITION_CLEANUP)
    assert Status(operator.ask(DISTANCE).status) is Status.NOT_ACTIVE
    assert not operator.set(dtype="int7").successful
    assert operator.set(checkpoint="/no/such/folder").successful
    assert not operator.change(Transition.TRANSITION_CONFIGURE)
    refused = operator.ask(DISTANCE)
    assert Status(refused.status) is Status.NOT_ACTIVE
    assert "checkpoint '/no/such/folder' cannot be loaded" in refused.message
    assert operator.set(checkpoint=str(checkpoint)).successful
    assert operator.change(Transition.TRANSITION_CONFIGURE)
    assert operator.change(Transition.TRANSITION_ACTIVATE)
    wait_for(lambda: operator.ask(DISTANCE).status == Status.OK, "an answer after the repair")


def test_geometry_leaves_a_checkpoint_alone(operator: Any, wait_for: Any) -> None:
    assert operator.change(Transition.TRANSITION_DEACTIVATE)
    assert operator.change(Transition.TRANSITION_CLEANUP)
    assert operator.set(answerer="geometric").successful
    assert operator.change(Transition.TRANSITION_CONFIGURE)
    assert operator.change(Transition.TRANSITION_ACTIVATE)
    wait_for(lambda: operator.ask(DISTANCE).value == pytest.approx(3.0, abs=0.3), "geometry")
