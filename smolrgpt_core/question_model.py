"""A language model that rewords a question which the grammar refuses.

Off unless asked for. Its sentence counts only if it is canonical: our own reader reads it to one
program, whose canonical sentence it is. Numbers, and so the ids of regions, must be those of the
question, on both sides; negations, conditions and opposites ("left", "right") must not have
changed. Whatever else a model may have changed is seen in `understood`, which is that sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.errors import SpatialError, Status, bad_question
from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.language import MASK, read_question
from smolrgpt_core.language.english import NUMBER_WORDS
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import RegionSet

UNCLEAR = "unclear"
"""What the model is to reply when no sentence means what the question asks."""

_EXAMPLES = (
    "How far is pallet 3 from pallet 5?",
    "How far is pallet 3 from the camera?",
    "What is the clearance between pallet 3 and pallet 5?",
    "How many pallets are in buffer 2?",
    "How many pallets are not in buffer 2?",
    "Is transporter 4 left or right of pallet 3?",
    "Is pallet 3 behind shelf 8?",
    "Is buffer 2 empty?",
    "Is there room for another pallet in buffer 2?",
    "Which pallet is nearest to transporter 4?",
    "Which pallets are in buffer 2?",
    "What is the width of pallet 3?",
    "What is the height of pallet 3?",
    "In which direction is pallet 3 from pallet 5?",
    "Where is pallet 3?",
)

_INSTRUCTIONS = (
    "You reword a question about a warehouse into one of the sentences that a program reads. These "
    "are their forms, with other numbers:\n{examples}\nKeep the objects and numbers of the "
    'question. Do not answer it. Reply in JSON: "sentence" is the reworded question, or '
    f'"{UNCLEAR}" if none of the forms asks the same.'
)

_SCHEMA = {
    "type": "object",
    "properties": {"sentence": {"type": "string", "maxLength": 300}},
    "required": ["sentence"],
    "additionalProperties": False,
}

_NEGATIONS = frozenset(
    {"not", "no", "without", "except", "neither", "nor", "never", "outside", "t", "none"}
)

_CHANGING = frozenset(
    {"if", "unless", "until", "when", "before", "after", "will", "was", "were", "tomorrow",
     "yesterday", "almost", "nearly", "twice", "half"}
)  # fmt: skip
"""Conditions, other times and parts, which a sentence without them would answer as if they were
not there.
"""

_OPPOSITES = (
    ("left", "right"), ("leftmost", "rightmost"), ("above", "below"), ("front", "behind"),
    ("nearest", "farthest"), ("closest", "farthest"), ("near", "far"), ("more", "less"),
    ("most", "fewest"), ("largest", "smallest"), ("tallest", "shortest"), ("longest", "shortest"),
    ("widest", "narrowest"), ("highest", "lowest"), ("first", "last"), ("empty", "full"),
    ("width", "height"), ("wide", "tall"), ("wide", "height"), ("tall", "width"), ("high", "width"),
)  # fmt: skip
"""Words of which the sentence must not have one where the question has only the other."""


@dataclass(frozen=True, eq=False)
class QuestionModel:
    """Rewords what the grammar refuses.

    Attributes:
        model: that replies in JSON.
    """

    model: JsonModel

    def reworded(self, asked: AskedQuestion, regions: RegionSet) -> AskedQuestion:
        """The question itself where the grammar reads it; else a canonical sentence for it.

        Raises:
            SpatialError: as `read_question` for a question whose fault is not its wording;
                BAD_QUESTION with both reasons when the model's sentence is not accepted;
                MODEL_ERROR when its server cannot be asked.
        """
        try:
            read_question(asked.text, regions, asked.category, asked.region_ids)
        except SpatialError as error:
            if error.status is not Status.BAD_QUESTION or not asked.text.strip():
                raise
            return self._reworded(asked, regions, error)
        return asked

    def _reworded(
        self, asked: AskedQuestion, regions: RegionSet, refusal: SpatialError
    ) -> AskedQuestion:
        named = _with_names(asked, regions)
        try:
            sentence = self.sentence(named)
        except SpatialError as error:
            raise SpatialError(
                error.status, f"{refusal.message}; the language model was asked: {error.message}"
            ) from error
        changed = replace(asked, text=sentence, region_ids=())
        reason = _why_not(named, changed, regions)
        if reason:
            raise bad_question(
                f"{refusal.message}; the language model returned {sentence!r:.120}, which is not "
                f"used: {reason}",
            ) from refusal
        return changed

    def sentence(self, text: str) -> str:
        """What the model makes of a question, unchecked; `UNCLEAR` for nothing.

        Raises:
            SpatialError: MODEL_ERROR when its server cannot be asked.
        """
        instructions = _INSTRUCTIONS.format(examples="\n".join(_EXAMPLES))
        reply = self.model.reply(instructions, text, _SCHEMA)
        return UNCLEAR if reply is None else str(reply["sentence"])


def _with_names(asked: AskedQuestion, regions: RegionSet) -> str:
    """The question with the names of regions in the places of `<mask>`.

    Raises:
        SpatialError: UNKNOWN_REGION for an id that the frame does not have.
    """
    text = asked.text
    for id in asked.region_ids:
        text = text.replace(MASK, regions[id].name, 1)
    return text


def _why_not(question: str, changed: AskedQuestion, regions: RegionSet) -> str:
    """Why a sentence cannot stand for a question; empty if it can."""
    if changed.text == UNCLEAR:
        return "it found no form that asks the same"
    try:
        program = read_question(changed.text, regions, changed.category).program
    except SpatialError as error:
        return error.message
    if program is None or _plain(say(program, regions)) != _plain(changed.text):
        return "it is not a sentence of the language in its canonical form"
    if _numbers(question) != _numbers(changed.text):
        return "its numbers are not those of the question"
    return _changed_words(_words(question), _words(changed.text))


def _changed_words(question: set[str], sentence: set[str]) -> str:
    """What of a negation, a condition or an opposite differs; empty if nothing does."""
    if bool(question & _NEGATIONS) != bool(sentence & _NEGATIONS):
        return "one of both is negated"
    lost = sorted(question & _CHANGING - sentence)
    if lost:
        return f"it leaves out {lost[0]!r}"
    for pair in _OPPOSITES:
        for term, opposite in (pair, pair[::-1]):
            only_here = term in question and opposite not in question
            if only_here and opposite in sentence and term not in sentence:
                return f"it says {opposite!r}, and the question {term!r}"
    return ""


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def _plain(text: str) -> list[str]:
    return re.findall(r"[a-z]+|[0-9.]+", text.lower().rstrip("?. "))


def _numbers(text: str) -> set[float]:
    """Numbers of a text in digits or words; "one" may be a pronoun, and is skipped."""
    found: Sequence[str] = re.findall(r"[0-9]+(?:\.[0-9]+)?|[a-z]+", text.lower())
    return {
        float(NUMBER_WORDS.get(word, word))
        for word in found
        if word != "one" and (word in NUMBER_WORDS or word[0].isdigit())
    }
