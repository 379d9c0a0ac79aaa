"""Questions with true answers from one frame, in many wordings.

The facts come from a simulator or from the geometry of a recording. What an answerer gets to see is
the text and the regions, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from smolrgpt_core.answer import Side
from smolrgpt_core.data.drafts import Draft, Style, fits, write
from smolrgpt_core.data.facts import AmbiguityMargins, FrameFacts, SceneFacts
from smolrgpt_core.data.kinds import KINDS
from smolrgpt_core.data.phrasings import PHRASINGS
from smolrgpt_core.language import Category, SpatialQuestion, read_question
from smolrgpt_core.regions import RegionSet


@dataclass(frozen=True)
class QuestionWithTruth:
    """A question and its true answer.

    Attributes:
        kind: name in `KINDS`.
        text: as it is asked, in the style that was wanted.
        region_ids: for the `<mask>` placeholders of `text`; empty in the plain style.
        question: what the text asks, as it is read.
        value: metres or number of objects (distance and count).
        region_id: the right choice (mcq).
        side: of the target relative to the anchor (left_right).
        freeform_answer: a sentence; regions as `[Region k]`, k counting the placeholders from 0,
            or by name in the plain style.
        normalized_answer: "6.36", "3", "left", or for mcq k of `[Region k]`, in the plain style of
            the text with placeholders.
        wording: what of the text can bear on a distance: kind, and the labels of the regions in
            each place, such as "distance: buffer, pallet"; phrasing and synonyms are drawn apart
            from the answer.
    """

    kind: str
    text: str
    region_ids: tuple[int, ...]
    question: SpatialQuestion
    value: float | None
    region_id: int | None
    side: Side
    freeform_answer: str
    normalized_answer: str
    wording: str = ""

    @property
    def category(self) -> Category:
        """What is asked for."""
        return self.question.category


def generate_questions(
    frame: FrameFacts,
    regions: RegionSet,
    rng: np.random.Generator,
    margins: AmbiguityMargins | None = None,
    style: Style = Style.MASK,
    kinds: Iterable[str] | None = None,
    per_kind: int = 1,
) -> list[QuestionWithTruth]:
    """Questions about one frame that have a clear answer.

    Args:
        frame: true facts, from a simulator (`SimulatedFrame.truth`) or, for a recording, from
            depth (`facts_from_geometry(frame)`).
        regions: of the same frame.
        rng: source of every choice.
        margins: which questions are left out; None: the defaults of `AmbiguityMargins`.
        style: how the texts name regions.
        kinds: names in `KINDS`; None: all. For a data set: `data_set_kinds()`, and of many
            candidates those that a `balance.Balancer` chooses.
        per_kind: how often each kind is tried. A frame that offers no clear question of a kind
            gets fewer.

    Raises:
        ValueError: for an unknown kind.
    """
    names = list(KINDS if kinds is None else kinds)
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise ValueError(f"kinds must be of {sorted(KINDS)}, got {unknown}")
    if style is Style.MASK:
        # A class that is listed as a whole is listed in the order of the frame, which may tell
        # where its objects are.
        regions = _shuffled(regions, rng)
    facts = SceneFacts(frame, regions, margins or AmbiguityMargins())
    questions: list[QuestionWithTruth] = []
    for name in names:
        drafts = (KINDS[name](facts, rng) for _ in range(per_kind))
        questions += [_worded(name, draft, regions, rng, style) for draft in drafts if draft]
    return questions


def _shuffled(regions: RegionSet, rng: np.random.Generator) -> RegionSet:
    order = rng.permutation(len(regions))
    return RegionSet(regions.image_size, tuple(regions.regions[int(index)] for index in order))


def _worded(
    kind: str, draft: Draft, regions: RegionSet, rng: np.random.Generator, style: Style
) -> QuestionWithTruth:
    templates = [template for template in PHRASINGS[kind] if fits(draft, template)]
    template = templates[int(rng.integers(len(templates)))]
    texts = write(draft, template, regions, rng)
    masked, ids = texts[Style.MASK]
    text, _ = texts[style]
    return QuestionWithTruth(
        kind=kind,
        text=text,
        region_ids=ids if style is Style.MASK else (),
        question=read_question(masked, regions, draft.category, ids),
        value=draft.value,
        region_id=draft.region_id,
        side=draft.side,
        freeform_answer=_freeform(draft, regions, ids, style),
        normalized_answer=_normalized(draft, ids),
        wording=_wording(kind, draft, regions),
    )


def _wording(kind: str, draft: Draft, regions: RegionSet) -> str:
    labels = (
        " ".join(sorted({regions[id].label for id in mention.ids}))
        for mention in draft.mentions.values()
    )
    return f"{kind}: {', '.join(sorted(labels))}"


def _freeform(draft: Draft, regions: RegionSet, region_ids: tuple[int, ...], style: Style) -> str:
    names = {
        name: f"the {regions[id].label or 'region'} [Region {region_ids.index(id)}]"
        if style is Style.MASK
        else regions[id].name
        for name, id in draft.answer_ids.items()
    }
    sentences = draft.answer.format(**names, value=draft.value).split(". ")
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _normalized(draft: Draft, region_ids: tuple[int, ...]) -> str:
    if draft.category is Category.DISTANCE:
        return f"{draft.value:.2f}"
    if draft.category is Category.COUNT:
        return f"{draft.value:.0f}"
    if draft.category is Category.LEFT_RIGHT:
        return draft.side.name.lower()
    return str(region_ids.index(draft.region_id or 0))
