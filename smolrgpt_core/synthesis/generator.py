"""Questions with true answers about one frame, in many wordings.

The truth is what a program evaluates to on a scene: the simulator's, or what geometry measures of a
recording. What an answerer gets to see is the text and the regions, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from zlib import crc32

import numpy as np

from smolrgpt_core.answer import Side
from smolrgpt_core.answer.scoring import write_normalized, write_regions
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import Category, SpatialQuestion, read_question
from smolrgpt_core.language.answer_wording import answer_sentence
from smolrgpt_core.language.conventions import WAREHOUSE, Conventions
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.model_wording import (
    masked_question,
    with_lists,
    with_placeholders,
)
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.question import asked_side
from smolrgpt_core.language.types import Type
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.spatial_scene import SpatialScene
from smolrgpt_core.synthesis.drafts import Draft, RegionStyle, fits, write
from smolrgpt_core.synthesis.forms import FORMS, GUESSABLE
from smolrgpt_core.synthesis.margins import AmbiguityMargins
from smolrgpt_core.synthesis.mixtures import WAREHOUSE_FORMS
from smolrgpt_core.synthesis.view import NO_ANSWER, MarginView
from smolrgpt_core.synthesis.wordings import WORDINGS

HELD_OUT_EACH = 10
"""One in this many wordings and compositions is excluded from training data."""


class MisreadError(ValueError):
    """A text is parsed to another program than the one it was made for.

    Caused by a faulty wording, or by a label with a meaning of its own, such as "left shoe".
    """


Answer = float | int | bool | str | tuple[int, ...] | tuple[float, ...]


@dataclass(frozen=True)
class QuestionWithTruth:
    """A question and its true answer.

    Attributes:
        form: name in `FORMS`.
        text: of the question, in the requested style.
        region_ids: for the `<mask>` placeholders of `text`; empty in the plain style.
        question: the parsed text, with the program under the conventions.
        truth: the answer: float for a quantity, int for a region, bool, str for a relation, ids of
            a list, or three numbers.
        freeform_answer: a sentence; regions as `[Region k]`, k counting the placeholders from 0,
            or by name in the plain style.
        normalized_answer: "6.36", "3", "left", "yes", a letter of a multiple choice, or for a
            region k of `[Region k]`, in the plain style of the text with placeholders; the id
            where the text does not list it.
        wording: what of the text can bear on a distance: form, and the labels of the regions in
            each place, such as "distance: buffer, pallet"; phrasing and synonyms are drawn apart
            from the answer.
    """

    form: str
    text: str
    region_ids: tuple[int, ...]
    question: SpatialQuestion
    truth: Answer
    freeform_answer: str
    normalized_answer: str
    wording: str = ""

    @property
    def category(self) -> Category:
        """The kind of answer."""
        return self.question.category

    @property
    def program(self) -> Program:
        """The program of the question."""
        assert self.question.program is not None
        return self.question.program

    @property
    def value(self) -> float | None:
        """The value of a quantity: meters, number of objects, ..."""
        return float(self.truth) if self.program.type is Type.QUANTITY else None  # type: ignore[arg-type]

    @property
    def region_id(self) -> int | None:
        """The correct region of a choice."""
        return int(self.truth) if self.program.type is Type.REGION else None  # type: ignore[arg-type]

    @property
    def side(self) -> Side:
        """The side of the target relative to the anchor (left_right)."""
        name = _side(self.program, self.truth)
        return Side[name.upper()] if name else Side.NONE


def generate_questions(
    scene: SpatialScene,
    rng: np.random.Generator,
    margins: AmbiguityMargins | None = None,
    style: RegionStyle = RegionStyle.MASK,
    forms: Iterable[str] | None = None,
    per_form: int = 1,
    held_out: bool = False,
    wordings: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> list[QuestionWithTruth]:
    """Questions about one frame that have a clear answer.

    Args:
        scene: `scene.TrueScene` of a simulated frame, or `scene.MeasuredScene` of a recorded one.
        rng: source of every choice.
        margins: which questions to skip; None: the defaults of `AmbiguityMargins`.
        style: how the texts name regions.
        forms: names in `FORMS`; None: those of the four categories of the warehouse
            (`mixtures.WAREHOUSE_FORMS`). Of many candidates a `data.balance.Balancer` chooses.
        per_form: how often each form is tried. A frame that offers no clear question of a form
            gets fewer.
        held_out: ask in the wordings and compositions that training data never have.
        wordings: by form, instead of those of `wordings.txt`; none of them is held out.

    Raises:
        ValueError: for an unknown form.
    """
    names = list(WAREHOUSE_FORMS if forms is None else forms)
    unknown = [name for name in names if name not in FORMS]
    if unknown:
        raise ValueError(f"forms must be of {sorted(FORMS)}, got {unknown}")
    generator = QuestionGenerator(scene, rng, margins, style, held_out, wordings=wordings)
    made = (generator.make(name) for name in names for _ in range(per_form))
    return [item for item in made if item is not None]


class QuestionGenerator:
    """Makes questions about one frame, form by form; arguments as of `generate_questions`.

    Args:
        conventions: what the words of the questions mean.
        for_models: ask in the words in which an answerer asks a model.
    """

    def __init__(
        self,
        scene: SpatialScene,
        rng: np.random.Generator,
        margins: AmbiguityMargins | None = None,
        style: RegionStyle = RegionStyle.MASK,
        held_out: bool = False,
        conventions: Conventions = WAREHOUSE,
        for_models: bool = False,
        wordings: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self.view = MarginView(scene, margins or AmbiguityMargins(), rng)
        self._rng, self._style, self._held_out = rng, style, held_out
        self._conventions, self._for_models = conventions, for_models
        self._own_wordings = wordings
        self._nominal = SceneCopies(scene, copies=1)

    def make(self, name: str) -> QuestionWithTruth | None:
        """A question of a form; None if this attempt yields no clear one."""
        if self._style is RegionStyle.MASK and name in GUESSABLE:
            return None
        draft = self._draft(name)
        if draft is None:
            return None
        wordings = [] if self._for_models else self._wordings(name, draft)
        if not wordings and not self._for_models:
            return None
        value = self.view.truth(self._conventions.meant(draft.program))
        if value is None:
            return None
        if self._for_models:
            return self._as_a_model_is_asked(name, draft, plain(value))
        wording = wordings[int(self._rng.integers(len(wordings)))]
        return self._worded(name, draft, wording, plain(value))

    def _draft(self, name: str) -> Draft | None:
        """A draft of a form; None if what it selects by is unknown, such as a hidden size."""
        try:
            return FORMS[name](self.view, self._rng)
        except SpatialError as error:
            if error.status not in NO_ANSWER:
                raise
            return None

    def _wordings(self, name: str, draft: Draft) -> list[str]:
        if draft.text:
            return [draft.text] if is_held_out(shape(draft.program)) is self._held_out else []
        if name in self._own_wordings:
            return [wording for wording in self._own_wordings[name] if fits(draft, wording)]
        return [
            wording
            for wording in WORDINGS[name]
            if fits(draft, wording) and is_held_out(wording) is self._held_out
        ]

    def _worded(
        self, name: str, draft: Draft, wording: str, truth: Answer
    ) -> QuestionWithTruth | None:
        regions = self.view.regions
        if draft.text:
            masked = with_placeholders(draft.text, regions)
            texts = {RegionStyle.MASK: masked, RegionStyle.PLAIN: (draft.text, ())}
        else:
            texts = write(draft, wording, regions, self._rng)
        text, ids = texts[self._style]
        program = draft.program_in(self._style, regions)
        return self._made(name, draft, (text, ids), texts[RegionStyle.MASK][1], program, truth)

    def _as_a_model_is_asked(
        self, name: str, draft: Draft, truth: Answer
    ) -> QuestionWithTruth | None:
        """In the canonical sentence with masks; None where too many regions are to be listed."""
        regions = self.view.regions
        wording = masked_question(draft.program, regions, looks=True)
        if wording is None:
            return None
        program, ids = with_lists(draft.program, regions), wording.region_ids
        return self._made(name, draft, (wording.text, ids), ids, program, truth)

    def _made(
        self,
        name: str,
        draft: Draft,
        asked: tuple[str, tuple[int, ...]],
        named_ids: tuple[int, ...],
        program: Program,
        truth: Answer,
    ) -> QuestionWithTruth | None:
        """The question, read back.

        Args:
            name: of the form.
            draft: of the question.
            asked: its text, and the ids of its placeholders.
            named_ids: the regions that the text names, in order.
            program: what the text asks.
            truth: the answer.
        """
        text, ids = asked
        regions = self.view.regions
        if self._style is RegionStyle.MASK and not _chosen_ids(program, truth) <= set(named_ids):
            return None
        read = read_as(text, ids, program, regions)
        question = replace(read, program=self._conventions.meant(program))
        return QuestionWithTruth(
            form=name,
            text=text,
            region_ids=ids,
            question=question,
            truth=truth,
            freeform_answer=self._freeform(draft, truth, ids),
            normalized_answer=normalized(program, truth, named_ids),
            wording=_wording(name, draft, regions),
        )

    def _freeform(self, draft: Draft, truth: Answer, ids: tuple[int, ...]) -> str:
        regions = self.view.regions
        if not draft.answer:
            sentence = answer_sentence(draft.program, truth, regions)
            return with_region_names(sentence, regions, ids) if ids else sentence
        template = draft.answer if isinstance(draft.answer, str) else draft.answer(truth)
        parts = {
            name: evaluate(part, self._nominal).value for name, part in draft.answer_parts.items()
        }
        if draft.program.type is Type.REGION:
            parts["answer"] = truth
        names = {name: self._answer_name(id, ids) for name, id in parts.items()}
        sentences = template.format(**names, value=truth).split(". ")
        return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)

    def _answer_name(self, id: int, ids: tuple[int, ...]) -> str:
        region = self.view.regions[id]
        if self._style is RegionStyle.PLAIN:
            return region.name
        return f"the {region.label or 'region'} [Region {ids.index(id)}]"


def read_as(
    text: str, region_ids: tuple[int, ...], program: Program, regions: RegionSet
) -> SpatialQuestion:
    """Parse a text and check that it has the intended program.

    Args:
        text: of the question.
        region_ids: for its `<mask>` placeholders.
        program: the intended one.
        regions: of the frame.

    Raises:
        MisreadError: it cannot be parsed, or has another program.
    """
    try:
        question = read_question(text, regions, None, region_ids)
    except SpatialError as error:
        raise MisreadError(f"{text!r} was made for {program}: {error}") from error
    if question.program != program:
        raise MisreadError(f"{text!r} was made for {program}, but reads as {question.program}")
    return question


def is_held_out(name: str) -> bool:
    """Whether a wording, or the shape of a program, is excluded from training data."""
    return crc32(name.encode()) % HELD_OUT_EACH == 0


def shape(program: Program) -> str:
    """A program without its literals, such as "Count(Where(All, In(Region)))"."""
    inner = ", ".join(map(shape, program.parts))
    return f"{program.operator.name}({inner})" if inner else program.operator.name


def plain(value: Any) -> Answer:
    """The value of a finding without arrays."""
    if isinstance(value, np.ndarray):
        return tuple(map(float, value))
    return value


def normalized(program: Program, truth: Answer, region_ids: tuple[int, ...]) -> str:
    """The bare answer, see `QuestionWithTruth`.

    Args:
        program: of the question.
        truth: its value.
        region_ids: of the question, to which indices refer.
    """
    side = _side(program, truth)
    if side:
        return side
    if program.type is Type.QUANTITY:
        return write_normalized(float(truth), program.unit)  # type: ignore[arg-type]
    if program.type is Type.REGION:
        return write_regions((truth,), region_ids)  # type: ignore[arg-type]
    if program.type is Type.REGIONS:
        return write_regions(truth, region_ids)  # type: ignore[arg-type]
    return write_normalized(truth)


def _side(program: Program, truth: Answer) -> str:
    asked = asked_side(program)
    if asked:
        return asked if truth else {"left": "right", "right": "left"}[asked]
    return str(truth) if truth in ("left", "right") else ""


def _chosen_ids(program: Program, truth: Answer) -> set[int]:
    """The regions that an answer names."""
    if program.type is Type.REGION:
        return {truth}  # type: ignore[arg-type]
    return set(truth) if program.type is Type.REGIONS else set()  # type: ignore[arg-type]


def with_region_names(sentence: str, regions: RegionSet, ids: tuple[int, ...]) -> str:
    """A sentence with `[Region k]` instead of ids.

    Args:
        sentence: with regions by id.
        regions: of the frame.
        ids: of the question, in order.
    """
    masked, named = with_placeholders(sentence, regions)
    for id in named:
        name = f"[Region {ids.index(id)}]" if id in ids else str(id)
        masked = masked.replace("<mask>", name, 1)
    return masked


def _wording(form: str, draft: Draft, regions: RegionSet) -> str:
    labels = (
        " ".join(sorted({regions[id].label for id in mention.ids}))
        for mention in draft.mentions.values()
    )
    return f"{form}: {', '.join(sorted(labels))}"
