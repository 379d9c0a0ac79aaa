"""Answers that a language model phrases, for `reading_answers.py`: the truth that went in is known.

A model is given a question, its true answer in bare form, and a manner, and writes a sentence. Not
every sentence still states the truth: one that does not, or names a rival too, by the words looked
for in `says`, is counted apart. That rule looks for words; it does not see most negations. Where
there are only a few possible answers, as many sentences are written for one as for another.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from answer_sentences import Sentence

from smolrgpt_core.chat_server import ChatServer
from smolrgpt_core.language.english import NUMBER_WORDS
from smolrgpt_core.public_benchmarks.model_readers.asked import (
    AnswerKind,
    AnswerSpec,
    hour_text,
    region_text,
)
from smolrgpt_core.public_benchmarks.records import OPTION_LETTERS

TOKENS = 40
"""Of a sentence; a longer one is cut, as a benchmark cuts a model."""

MANNERS = (
    "in one short sentence", "in a polite sentence", "in a sentence that repeats the question",
    "in a sentence that begins with \"In this image\"", "in a long sentence with a reason",
    "in a sentence with some doubt", "in the words of a warehouse worker",
    "in a sentence that ends with the answer", "in few words", "in a sentence with an example",
)  # fmt: skip

MOST_DRAWN = 3000
"""So many sentences of a kind are written at most, however few of them state the truth."""

_CLASSES = (
    "pallet", "shelf", "crate", "barrel", "transporter", "box", "table", "forklift", "rack", "cart",
    "drum", "door", "bench", "cabinet", "ladder", "bin",
)  # fmt: skip

_QUESTIONS = {
    AnswerKind.LENGTH: (
        "How far is the {a} [Region 0] from the {b} [Region 1]?", "How wide is the {a} [Region 0]?",
        "How tall is the {a} [Region 0]?", "What is the distance from the {a} to the camera?",
        "How much space is between the {a} and the {b}?",
    ),
    AnswerKind.COUNT: (
        "How many pallets are in the buffer [Region 0]?", "How many {a} objects are in the image?",
        "How many of the pallets stand outside the buffer?", "How many boxes does the {b} carry?",
    ),
    AnswerKind.SIDE: (
        "Is the {a} [Region 0] to the left or right of the {b} [Region 1]?",
        "On which side of the {b} is the {a}?", "Is the {a} left or right of us?",
        "Seen from the camera, is the {a} on the left or the right of the {b}?",
    ),
    AnswerKind.REGION: (
        "Which is taller, the {a} Region [0] or the {b} Region [1]?",
        "Which is closer to the camera, the {a} Region [0] or the {b} Region [1]?",
        "Which of the {a} Region [0] and the {b} Region [1] is in the buffer?",
        "Which is wider, the {a} Region [0] or the {b} Region [1]?",
        "Which one stands behind the other, the {a} Region [0] or the {b} Region [1]?",
    ),
    AnswerKind.YES_NO: (
        "Is the {a} wider than the {b}?", "Is the {a} in front of the {b}?",
        "Is the buffer empty?", "Is there room for another {a}?",
        "Is there a {a} in the buffer?", "Is there a {a} behind the {b}?",
        "Is there a {a} on the {b}?",
    ),
    AnswerKind.LETTER: (
        "Which of these is closest to the camera? {options}", "What stands on the {a}? {options}",
        "Which object is the tallest one? {options}", "What is behind the {a}? {options}",
    ),
    AnswerKind.HOUR: (
        "If you stand at the {a} and look ahead, at what hour is the {b}?",
        "In which clock direction is the {b} from the {a}?",
    ),
}  # fmt: skip

PROMPT = (
    "Question: {question}\nAnswer: {answer}\nRephrase this answer {manner}. Keep the answer as it "
    "is{word}. Write only the sentence."
)

INSISTED_ON = (AnswerKind.SIDE, AnswerKind.YES_NO, AnswerKind.LETTER, AnswerKind.HOUR)
"""Kinds whose true words the prompt insists on: otherwise few sentences have them."""

CHOICES = 4
"""Options of a multiple choice."""

HOURS = 12

FEW_TRUTHS = {
    AnswerKind.SIDE: 2, AnswerKind.YES_NO: 2, AnswerKind.REGION: 2, AnswerKind.LETTER: CHOICES,
    AnswerKind.HOUR: HOURS,
}  # fmt: skip
"""Kinds with so many possible answers, of which each is phrased as often."""

_LENGTH_UNITS = {"meters": "m", "m": "m", "centimeters": "cm", "cm": "cm", "feet": "ft"}
_METERS = {"m": 1.0, "cm": 0.01, "ft": 0.3048}


@dataclass(frozen=True)
class Drawn:
    """What a model is to phrase.

    Attributes:
        asked: what the question asks for.
        question: in words.
        answer: the true one, as the model gets it.
        meaning: the true one, as the rules write it.
        manner: in which it is phrased.
    """

    asked: AnswerSpec
    question: str
    answer: str
    meaning: str
    manner: str

    @property
    def prompt(self) -> str:
        """For the model."""
        insists = self.asked.kind in INSISTED_ON
        word = f', with the word "{self.answer}"' if insists else ""
        return PROMPT.format(
            question=self.question, answer=self.answer, manner=self.manner, word=word
        )


def write(server: ChatServer, kinds: Sequence[AnswerKind], each: int, path: Path) -> None:
    """Have a model write until so many different sentences of each kind state their truth.

    Args:
        server: with the model.
        kinds: of the answers.
        each: sentences of a kind that state their truth, as many for each answer in
            `FEW_TRUTHS`; after `MOST_DRAWN` it is given up.
        path: JSON Lines file; what is there already is not written again.
    """
    rows = _rows(path) if path.exists() else []
    with path.open("a") as file:
        for kind in kinds:
            there = iter([row for row in rows if row["kind"] == kind.value])
            stating: dict[str, str] = {}
            for drawn in islice(_drawn(kind), MOST_DRAWN):
                if _enough(kind, drawn.meaning, stating, each):
                    continue
                row = next(there, None)
                if row is None:
                    row = _written(server, drawn)
                    file.write(json.dumps(row) + "\n")
                    file.flush()
                if row["says_it"]:
                    stating[row["text"]] = row["meaning"]


def _enough(kind: AnswerKind, meaning: str, stating: Mapping[str, str], each: int) -> bool:
    """Whether there are enough sentences, by their meaning, that mean the same."""
    alike = Counter(stating.values())[meaning]
    return len(stating) >= each or alike >= ceil(each / FEW_TRUTHS.get(kind, 1))


def read_written(path: Path) -> list[tuple[Sentence, bool]]:
    """Different sentences of `write`, and whether each states its truth."""
    different = {
        (row["kind"], *row["names"], row["text"], row["meaning"]): row for row in _rows(path)
    }
    return [
        (
            Sentence(AnswerSpec(AnswerKind(row["kind"]), tuple(row["names"])), row["question"],
                     row["text"], row["meaning"]),
            row["says_it"],
        )
        for row in different.values()
    ]  # fmt: skip


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _written(server: ChatServer, drawn: Drawn) -> dict[str, Any]:
    text = server.complete([{"role": "user", "content": drawn.prompt}], TOKENS)
    asked = drawn.asked
    return {
        "kind": asked.kind.value, "names": asked.names, "question": drawn.question, "text": text,
        "meaning": drawn.meaning, "says_it": says(drawn, text),
    }  # fmt: skip


def _drawn(kind: AnswerKind) -> Iterator[Drawn]:
    """What is to be phrased, each once, for ever or until there is nothing else."""
    rng = np.random.default_rng(list(AnswerKind).index(kind))
    prompts: set[str] = set()
    while True:
        first, second, *others = rng.choice(_CLASSES, _classes(kind), replace=False).tolist()
        letters = OPTION_LETTERS[: len(others)]
        options = {
            letter: f"({letter}) {name}" for letter, name in zip(letters, others, strict=True)
        }
        texts = _QUESTIONS[kind]
        text = texts[int(rng.integers(len(texts)))]
        question = text.format(a=first, b=second, options=" ".join(options.values()))
        answer, meaning = _TRUTHS[kind](rng)
        asked = AnswerSpec(kind, (first, second) if kind is AnswerKind.REGION else tuple(others))
        manner = MANNERS[len(prompts) % len(MANNERS)]
        drawn = Drawn(asked, question, options.get(answer, answer), meaning, manner)
        if drawn.prompt not in prompts:
            prompts.add(drawn.prompt)
            yield drawn


def _classes(kind: AnswerKind) -> int:
    """How many classes are drawn for a question: two that it may name, and its options."""
    return 2 + (CHOICES if kind is AnswerKind.LETTER else 0)


def _length(rng: np.random.Generator) -> tuple[str, str]:
    word = list(_LENGTH_UNITS)[int(rng.integers(len(_LENGTH_UNITS)))]
    unit = _LENGTH_UNITS[word]
    number = f"{rng.integers(20, 300)}" if unit == "cm" else f"{rng.uniform(0.4, 12):.2f}"
    return f"{number} {word}", f"{float(number) * _METERS[unit]:.6g} m"


def _one_of(*answers: str) -> Callable[[np.random.Generator], tuple[str, str]]:
    return lambda rng: (answers[int(rng.integers(len(answers)))],) * 2


def _hour(rng: np.random.Generator) -> tuple[str, str]:
    return (hour_text(int(rng.integers(HOURS)) + 1),) * 2


_TRUTHS: dict[AnswerKind, Callable[[np.random.Generator], tuple[str, str]]] = {
    AnswerKind.LENGTH: _length,
    AnswerKind.COUNT: lambda rng: (str(rng.integers(0, 13)),) * 2,
    AnswerKind.SIDE: _one_of("left", "right"),
    AnswerKind.REGION: _one_of(region_text(0), region_text(1)),
    AnswerKind.YES_NO: _one_of("yes", "no"),
    AnswerKind.LETTER: _one_of(*OPTION_LETTERS[:CHOICES]),
    AnswerKind.HOUR: _hour,
}
KINDS = tuple(_TRUTHS)
"""Kinds of answers that are written."""


def says(drawn: Drawn, text: str) -> bool:
    """Whether a sentence states the true answer and no rival of it.

    A length: its number, whole, before any form of its unit. A count: the number in digits or as a
    word. An hour: the same, and no other one "o'clock". A side: the word, and not the other one.
    Yes and no: the same, or what was asked as a statement, or as one that is denied. A letter: it,
    or the text of its option, and neither of any other. A region: its number in brackets or its
    class, and neither of the other region's, unless the other is only what the region is compared
    with ("The crate is taller than the shelf."). Neither an hour nor a letter is stated in a
    sentence with a "not".
    """
    return _SAYS[drawn.asked.kind](drawn, text)


def _says_length(drawn: Drawn, text: str) -> bool:
    number, word = drawn.answer.split()
    unit = _LENGTH_UNITS[word]
    forms = [form for form, same in _LENGTH_UNITS.items() if same == unit] + [unit, "foot"]
    singular = [form.removesuffix("s") for form in forms]
    pattern = rf"(?<![0-9.]){re.escape(number)}[\s-]*(?:{'|'.join(forms + singular)})\b"
    return bool(re.search(pattern, text.lower()))


def _says_number(drawn: Drawn, text: str) -> bool:
    number = drawn.answer.split()[0]
    spelled = [word for word, value in NUMBER_WORDS.items() if value == int(number)]
    # "The one that is left" counts nothing.
    pattern = rf"(?<![0-9.])(?<!the )\b(?:{'|'.join([number, *spelled])})\b(?!\.[0-9])"
    return bool(re.search(pattern, text.lower()))


def _says_hour(drawn: Drawn, text: str) -> bool:
    hours = set(re.findall(r"(\w+)\s*o['\u2019]?\s?clock", text.lower()))
    spelled = {word for word, value in NUMBER_WORDS.items() if f"{value}" in drawn.answer.split()}
    is_only = hours <= {drawn.answer.split()[0], *spelled}
    return (bool(hours) or _says_number(drawn, text)) and is_only and not _has_not(text)


def _says_word(drawn: Drawn, text: str) -> bool:
    rivals = {"left": "right", "right": "left", "yes": "no", "no": "yes"}
    words = set(re.findall(r"[a-z]+", text.lower()))
    return drawn.meaning in words and rivals[drawn.meaning] not in words


def _says_yes_no(drawn: Drawn, text: str) -> bool:
    stated = re.fullmatch(r"Is (the \w+|there) (.*)\?", drawn.question)
    assert stated is not None, f"cannot turn {drawn.question!r} into a statement"
    subject, rest = stated.groups()
    denied = rf"(?:is not|isn't) {rest}|is no {rest.removeprefix('a ')}"
    predicate = {"yes": f"is {rest}", "no": denied}[drawn.meaning]
    statement = rf"{_LEAD}{subject} (?:{predicate})\.?"
    return bool(re.fullmatch(statement, text.lower())) or _says_word(drawn, text)


def _says_letter(drawn: Drawn, text: str) -> bool:
    names = drawn.asked.names
    # "A crate" names no option, "A is" does.
    letters = set(re.findall(r"(?<![A-Za-z'])(A(?! (?!is\b)[a-z])|[B-D])(?![A-Za-z'])", text))
    letters |= {
        OPTION_LETTERS[place]
        for place, name in enumerate(names)
        if re.search(rf"\b{name}\b", text.lower())
    }
    return letters == {drawn.meaning} and not _has_not(text)


def _has_not(text: str) -> bool:
    return bool(re.search(r"\bnot\b|n't\b", text.lower()))


def _says_region(drawn: Drawn, text: str) -> bool:
    asked, place = drawn.asked, int(re.sub(r"\D", "", drawn.answer))
    here, there = _named(asked, place, text), _named(asked, 1 - place, text)
    return here and (not there or _compares(asked, place, text))


def _named(asked: AnswerSpec, place: int, text: str) -> bool:
    return f"[{place}]" in text or asked.names[place] in text.lower()


def _compares(asked: AnswerSpec, place: int, text: str) -> bool:
    """Whether a sentence consists of one comparison, of the region with the other."""
    here, there = (
        rf"(?:the )?(?:{asked.names[at]}(?: \(?(?:region )?\[{at}\]\)?)?|region \[{at}\])"
        for at in (place, 1 - place)
    )
    than = r"(?:taller|wider|closer to the camera) than|behind"
    return bool(re.fullmatch(rf"{_LEAD}{here} (?:is|stands) (?:{than}) {there}\.?", text.lower()))


_LEAD = r"(?:in this image,? |according to the question,? )?"

_SAYS: dict[AnswerKind, Callable[[Drawn, str], bool]] = {
    AnswerKind.LENGTH: _says_length,
    AnswerKind.COUNT: _says_number,
    AnswerKind.SIDE: _says_word,
    AnswerKind.REGION: _says_region,
    AnswerKind.YES_NO: _says_yes_no,
    AnswerKind.LETTER: _says_letter,
    AnswerKind.HOUR: _says_hour,
}
