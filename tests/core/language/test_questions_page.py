"""docs/questions.md tells the truth: its questions are answered as it says, and rightly."""

import re
from pathlib import Path

import pytest

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.registry import make_answerer
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.cli.demo import simulate
from smolrgpt_core.errors import Status
from smolrgpt_core.language import read_question
from smolrgpt_core.language.answer_wording import answer_sentence
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.operators.table import with_table
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import SimulatedFrame

PAGE = (Path(__file__).parents[3] / "docs" / "questions.md").read_text()

EXAMPLES = [
    tuple(re.split(r"\s{2,}", line))
    for block in re.findall(r"^```questions\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
"""Question and answer, or status of the refusal."""

IN_COLOR = [
    tuple(re.split(r"\s{2,}", line))
    for block in re.findall(r"^```colors\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
"""The same of questions that need the color image."""

LABELS = {
    **dict.fromkeys((1, 2), "buffer"),
    **dict.fromkeys((10, 11, 12, 13, 15, 16, 19, 20, 22, 23, 24, 25), "pallet"),
    **dict.fromkeys((60, 61), "transporter"),
    **dict.fromkeys((80, 81, 82, 83, 87, 88), "shelf"),
}
"""Of the regions of the demo's frame."""


def test_the_table_of_operators_is_that_of_the_registry() -> None:
    command = "python -m smolrgpt_core.language.operators.table docs/questions.md"
    assert with_table(PAGE) == PAGE, f"run {command}"


@pytest.mark.parametrize(
    "question",
    [question for question, answer in EXAMPLES if answer not in ("BAD_QUESTION", "UNKNOWN_REGION")],
)
def test_every_example_is_read_and_reads_back(question: str) -> None:
    regions = RegionSet(
        (100, 240),
        tuple(
            Region.from_box(id, label, Box(10 * place, 5, 8, 8))
            for place, (id, label) in enumerate(LABELS.items())
        ),
    )
    program = read_question(question, regions).program
    assert program is not None
    assert read_question(say(program, regions), regions).program == program


@pytest.fixture(scope="module")
def seen() -> SimulatedFrame:
    seen = simulate(0, noise=False)
    assert {region.id: region.label for region in seen.frame.regions} == LABELS
    return seen


@pytest.fixture(scope="module")
def answers(seen: SimulatedFrame) -> dict[str, SpatialAnswer]:
    answerer = make_answerer("geometric")
    return {
        question: ask(seen.frame, AskedQuestion(question), answerer) for question, _ in EXAMPLES
    }


@pytest.fixture(scope="module")
def true_copies(seen: SimulatedFrame) -> SceneCopies:
    scene = TrueScene(seen.truth, seen.frame.regions, seen.frame.intrinsics)
    return SceneCopies(scene, copies=1)


@pytest.fixture(scope="module")
def answers_in_color(seen: SimulatedFrame) -> dict[str, SpatialAnswer]:
    answerer = make_answerer("fused")
    return {
        question: ask(seen.frame, AskedQuestion(question), answerer) for question, _ in IN_COLOR
    }


@pytest.mark.parametrize(("question", "expected"), IN_COLOR)
def test_every_color_is_as_the_page_says(
    question: str, expected: str, answers_in_color: dict[str, SpatialAnswer]
) -> None:
    check(answers_in_color[question], expected)


@pytest.mark.parametrize(("question", "expected"), EXAMPLES)
def test_every_example_is_answered_as_the_page_says(
    question: str, expected: str, answers: dict[str, SpatialAnswer]
) -> None:
    check(answers[question], expected)


def check(answer: SpatialAnswer, expected: str) -> None:
    if expected in Status.__members__:
        assert answer.status.name == expected
        return
    assert answer.ok, answer.message
    if expected in ("yes", "no"):
        assert answer.text.startswith(expected.capitalize()), answer.text
        return
    words, numbers = _apart(expected)
    said, told = _apart(answer.text)
    assert re.search(rf"(?<!\w){re.escape(words)}(?!\w)", said), answer.text
    assert told == pytest.approx(numbers, rel=0.03, abs=0.02)


@pytest.mark.parametrize(
    "question",
    [
        question
        for question, answer in EXAMPLES
        if answer not in Status.__members__ and "pixel" not in question  # no truth of depth
    ],
)
def test_every_example_is_correct(
    question: str, answers: dict[str, SpatialAnswer], true_copies: SceneCopies
) -> None:
    asked = read_question(question, true_copies.regions)
    assert asked.program is not None
    truth = evaluate(asked.program, true_copies).value
    sentence = answer_sentence(asked.program, truth, true_copies.regions, asked.unit)
    said, told = _apart(answers[question].text)
    words, numbers = _apart(sentence)
    assert said == words
    assert told == pytest.approx(numbers, rel=0.1, abs=0.02)


def _apart(text: str) -> tuple[str, list[float]]:
    """A text in small letters with "0" for each quantity, and these quantities."""
    pattern = r"-?\d+\.\d+|\d+(?= %)"
    found = [float(number) for number in re.findall(pattern, text)]
    return re.sub(pattern, "0", text.lower()), found
