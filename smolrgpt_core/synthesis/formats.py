"""The same question with options "(A) ... (B) ...", or as a statement that is true or false."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smolrgpt_core.answer.scoring import WHOLE_UNITS
from smolrgpt_core.language import read_question
from smolrgpt_core.language.answer_wording import answer_sentence
from smolrgpt_core.language.conventions import WAREHOUSE, Conventions
from smolrgpt_core.language.model_wording import with_placeholders
from smolrgpt_core.language.normal_form import normal_form
from smolrgpt_core.language.operators import predicates, questions
from smolrgpt_core.language.options import choose, split_options
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.wording import say_statement
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.spatial_scene import COLORS
from smolrgpt_core.synthesis.drafts import RegionStyle
from smolrgpt_core.synthesis.forms.draws import pick
from smolrgpt_core.synthesis.generator import (
    Answer,
    MisreadError,
    QuestionWithTruth,
    read_as,
    with_region_names,
)

FACTORS = (0.4, 0.6, 1.6, 2.4)
"""Wrong options of a quantity, as multiples of the true one: farther off than the tolerance."""

MOST_OPTIONS = 4

_OPPOSITES = {
    "left": "right", "right": "left", "front": "behind", "behind": "front", "above": "below",
    "below": "above", "inside": "outside", "outside": "inside",
}  # fmt: skip

_PREDICATES = {
    "left": predicates.LeftOf,
    "right": predicates.RightOf,
    "front": predicates.InFrontOf,
    "behind": predicates.Behind,
    "above": predicates.Above,
    "below": predicates.Below,
}


def as_choice(
    item: QuestionWithTruth,
    regions: RegionSet,
    rng: np.random.Generator,
    conventions: Conventions = WAREHOUSE,
) -> QuestionWithTruth | None:
    """The question with options in random order and a letter as the answer; None if it has no
    options.

    Args:
        item: the question.
        regions: of its frame.
        rng: source of every choice.
        conventions: under which it was made.

    Raises:
        MisreadError: the question is parsed differently with its options.
        ValueError: the options are ambiguous, which is a fault of this module.
    """
    texts = _options(item, regions, rng)
    if len(texts) < 2:
        return None
    order = [texts[int(index)] for index in rng.permutation(len(texts))]
    letter = chr(ord("A") + order.index(texts[0]))
    listed = " ".join(f"({chr(ord('A') + place)}) {text}" for place, text in enumerate(order))
    text = f"{item.text} {listed}"
    _, options = split_options(text, regions)
    if choose(item.program, item.truth, options, regions) != letter:
        raise ValueError(f"the correct option of {text!r} is {letter}, but another one was chosen")
    read = read_question(text, regions, None, item.region_ids)
    question = replace(read, program=read.program and conventions.meant(read.program))
    if question.program != item.program:
        raise MisreadError(f"{text!r} is parsed differently with options")
    sentence = f"({letter}) {item.freeform_answer}"
    return replace(
        item, text=text, question=question, normalized_answer=letter, freeform_answer=sentence
    )


def _options(item: QuestionWithTruth, regions: RegionSet, rng: np.random.Generator) -> list[str]:
    """The right option, then wrong ones."""
    program, truth = item.program, item.truth
    if program.type is Type.QUANTITY:
        return _amounts(program, float(truth), rng)  # type: ignore[arg-type]
    if program.type is Type.TRUTH:
        return ["yes", "no"] if truth else ["no", "yes"]
    if program.type is Type.RELATION:
        return [str(truth), _OPPOSITES[str(truth)]]
    if program.type is Type.COLOR:
        wrong = [name for name in COLORS if name != truth]
        return [str(truth), *map(str, rng.permutation(wrong)[: MOST_OPTIONS - 1])]
    others = [id for id in item.question.candidate_ids if id != truth]
    if program.type is not Type.REGION or item.region_ids or not others:
        return []
    chosen = [others[int(index)] for index in rng.permutation(len(others))[: MOST_OPTIONS - 1]]
    return [regions[id].name for id in (int(truth), *chosen)]  # type: ignore[arg-type]


def _amounts(program: Program, value: float, rng: np.random.Generator) -> list[str]:
    unit = {"objects": "", "share": ""}.get(program.unit, program.unit)
    if program.unit == "objects":
        around = [number for number in range(int(value) + 4) if abs(number - value) <= 3]
        wrong = [float(number) for number in around if number != value]
    elif program.unit == "h":
        wrong = [float((int(value) + turn - 1) % 12 + 1) for turn in (3, 6, 9)]
    elif abs(value) < 0.1 or program.unit == "deg":
        return []
    else:
        wrong = [value * factor for factor in FACTORS]
    rng.shuffle(wrong)
    shown = "{:.0f} {}" if program.unit in WHOLE_UNITS else "{:.2f} {}"
    return [shown.format(number, unit).strip() for number in (value, *wrong[: MOST_OPTIONS - 1])]


def as_statement(
    item: QuestionWithTruth, style: RegionStyle, regions: RegionSet, rng: np.random.Generator
) -> QuestionWithTruth | None:
    """A true or false statement, each equally often; None if the question has no such form.

    Args:
        item: the question.
        style: of the statement.
        regions: of the frame.
        rng: draws true or false.

    Raises:
        MisreadError: it cannot be parsed, or is parsed differently.
    """
    is_true = bool(rng.integers(2))
    claim = _claim(item.program, item.truth, is_true, rng)
    if claim is None:
        return None
    truth = bool(item.truth) if claim == item.program else is_true
    program = normal_form(claim, regions)
    statement = say_statement(program, regions)
    text = f"True or false: {statement}."
    ids: tuple[int, ...] = ()
    if style is RegionStyle.MASK:
        text, ids = with_placeholders(text, regions)
    sentence = answer_sentence(program, truth, regions)
    return replace(
        item,
        text=text,
        region_ids=ids,
        question=read_as(text, ids, program, regions),
        truth=truth,
        freeform_answer=with_region_names(sentence, regions, ids) if ids else sentence,
        normalized_answer="yes" if truth else "no",
    )


def _claim(
    program: Program, truth: Answer, is_true: bool, rng: np.random.Generator
) -> Program | None:
    if program.type is Type.TRUTH:
        return program
    if program.type is Type.QUANTITY and program.unit in ("m", "m2", "m3", "objects"):
        how = pick(["more", "less"], rng)
        value = float(truth)  # type: ignore[arg-type]
        smaller = (how == "more") is is_true
        if program.unit == "objects":
            limit = value - 1 if smaller else value + 1
        else:
            limit = round(value * (0.7 if smaller else 1.4), 1)
        if limit <= 0:
            return None
        return questions.Compare(program, how, questions.Amount(limit, program.unit))
    if program.type is Type.RELATION and truth in _PREDICATES:
        predicate = str(truth) if is_true else _OPPOSITES[str(truth)]
        subject, place, _ = program.arguments
        return questions.Whether(subject, _PREDICATES[predicate](place))
    return None
