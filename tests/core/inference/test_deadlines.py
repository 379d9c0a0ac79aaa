"""Questions that become late while others go on: each ends at its own deadline, nothing is lost."""

import math
import time

import pytest

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import NO_DEADLINE
from smolrgpt_core.answerers.fused import FusedAnswerer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.answerers.geometry_cache import GeometryCache
from smolrgpt_core.answerers.likeness import LikenessTest
from smolrgpt_core.answerers.model import ModelAnswerer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import read_question

HURRIED = ("How far is <mask> from <mask>?", (13, 15))
PATIENT = ("What is near <mask>, and how far is it?", (11,))
LATE_AT = 3


class SlowStep:
    """Counts the steps of a model; one of them lasts until a deadline has passed."""

    def __init__(self, model, clock, step):
        self.deadline = clock.monotonic() + 1.5
        self.steps = 0
        self._clock, self._step = clock, step
        self.hook = model.lm_head.register_forward_hook(self._on_step)

    def _on_step(self, *_):
        self.steps += 1
        if self.steps == self._step:
            self._clock.go_on(1.5)


@pytest.fixture
def late_at(clock):
    """Make a deadline that passes in a step of a model."""
    made = []

    def make(model, step=LATE_AT):
        made.append(SlowStep(model, clock, step))
        return made[-1]

    yield make
    for slow in made:
        slow.hook.remove()


def is_late(outcome, words):
    assert isinstance(outcome, SpatialError), outcome
    assert outcome.status is Status.TIMEOUT
    assert words in outcome.message
    return True


def test_a_late_question_ends_and_the_others_go_on(make_engine, model, frames, late_at):
    engine = make_engine()
    engine.set_frame(frames[0])
    (alone,) = engine.ask([PATIENT])
    slow = late_at(model)
    limits = [slow.deadline, NO_DEADLINE, slow.deadline]
    late, answer, also = engine.ask_each([HURRIED, PATIENT, HURRIED], deadlines=limits)
    assert is_late(late, "'decode' (3 of at most 24 tokens)")
    assert is_late(also, "'decode'")
    assert late is not also
    assert answer.token_ids == alone.token_ids
    assert slow.steps == 24


def test_when_all_are_late_nothing_more_is_computed(make_engine, model, frames, late_at):
    engine = make_engine()
    engine.set_frame(frames[0])
    slow = late_at(model)
    limits = [slow.deadline, slow.deadline - 0.5]
    outcomes = engine.ask_each([HURRIED, PATIENT], deadlines=limits)
    assert all(is_late(outcome, "'decode' (3 of") for outcome in outcomes)
    assert slow.steps == LATE_AT
    assert len(engine.ask([PATIENT])[0].token_ids) == 24


def test_a_question_that_is_late_before_its_batch_is_not_begun(make_engine, model, frames, late_at):
    engine = make_engine(max_batch=1)
    engine.set_frame(frames[0])
    slow = late_at(model)
    limits = [NO_DEADLINE, slow.deadline, NO_DEADLINE]
    first, late, last = engine.ask_each([PATIENT, HURRIED, PATIENT], deadlines=limits)
    assert is_late(late, "'prompt'")
    assert first.token_ids == last.token_ids
    assert slow.steps == 48


@pytest.mark.parametrize("deadlines", [[], [1e9, 1e9], [math.nan]])
def test_deadlines_are_checked(make_engine, frames, deadlines):
    engine = make_engine()
    with pytest.raises(ValueError, match="deadlines must be"):
        engine.ask_each([HURRIED], frame=frames[0], deadlines=deadlines)
    assert len(engine.ask([HURRIED], frame=frames[0])) == 1


@pytest.fixture
def questions(frames, lessons):
    return [read_question(text, frames[0].regions) for text in lessons[:3]]


def value_of(outcome):
    return outcome.value, outcome.side, outcome.text


def test_an_answer_that_is_complete_before_its_deadline_stands(engine, frames, questions, late_at):
    answerer = ModelAnswerer(engine)
    alone = [answerer.answer(frames[0], question) for question in questions]
    texts = [question.text for question in questions]
    said = [engine.ask([(q.text, q.region_ids)], "sentence", frame=frames[0])[0] for q in questions]
    lengths = [len(answer.token_ids) for answer in said]
    assert len(set(lengths)) > 1, texts
    shortest, longest = lengths.index(min(lengths)), lengths.index(max(lengths))
    slow = late_at(engine.steps.model, step=min(lengths) + 1)
    limits = [slow.deadline] * len(questions)
    outcomes = answerer.answer_batch(frames[0], questions, limits)
    assert value_of(outcomes[shortest]) == value_of(alone[shortest])
    assert is_late(outcomes[longest], "'decode'")


class Recorder(GeometricAnswerer):
    """Geometry that remembers what it was asked, and may be held up."""

    def __init__(self, hold_up=lambda: None):
        super().__init__()
        self.asked, self._hold_up = [], hold_up

    def answer_batch(self, frame, questions, deadlines=None):
        self._hold_up()
        self.asked += questions
        return super().answer_batch(frame, questions, deadlines)


@pytest.fixture
def believed(anything):
    """A model that is believed whatever it is asked about."""
    return LikenessTest(anything(), GeometryCache())


def test_both_together_give_up_what_the_model_is_late_for(
    engine, frames, questions, late_at, believed
):
    geometry = Recorder()
    answerer = FusedAnswerer(ModelAnswerer(engine), geometry, believed)
    alone = answerer.answer(frames[0], questions[1])
    geometry.asked.clear()
    slow = late_at(engine.steps.model)
    limits = [slow.deadline, NO_DEADLINE, slow.deadline]
    late, answer, also = answerer.answer_batch(frames[0], questions, limits)
    assert is_late(late, "'decode'")
    assert is_late(also, "'decode'")
    assert value_of(answer) == value_of(alone)
    assert isinstance(answer, SpatialAnswer)
    assert answer.agreement is alone.agreement
    assert geometry.asked == [questions[1]]


def test_when_geometry_is_late_the_answer_is(engine, frames, questions, clock, believed):
    geometry = Recorder(lambda: clock.go_on(1.5))
    answerer = FusedAnswerer(ModelAnswerer(engine), geometry, believed)
    answerer.prepare(frames[0])
    limits = [clock.monotonic() + 1.5, NO_DEADLINE]
    late, answer = answerer.answer_batch(frames[0], questions[:2], limits)
    assert is_late(late, "deadline passed")
    assert isinstance(answer, SpatialAnswer)
    assert answer.ok


def test_geometry_begins_no_question_after_its_deadline(frames, questions):
    answerer = GeometricAnswerer()
    now = time.monotonic()
    early, late, last = answerer.answer_batch(frames[0], questions, [NO_DEADLINE, now, now + 3600])
    assert is_late(late, "allow more time")
    assert isinstance(early, SpatialAnswer)
    assert early.ok
    assert isinstance(last, SpatialAnswer)
    assert last.ok
    with pytest.raises(ValueError, match="one for each of 3 questions, got 1"):
        answerer.answer_batch(frames[0], questions, [now])
