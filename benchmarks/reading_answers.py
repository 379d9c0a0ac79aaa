"""Readers of answers on sentences that were not looked at while they were written.

The sentences are those of `answer_sentences.py`, or, with `--written FILE`, those that a model
phrases from known truths, see `model_sentences.py`: it writes what the file lacks. For each kind of
answer: how many are read right, refused, and read wrong by the rules; by a benchmark's official
rule where there is one that reads words; of what the rules refuse, by a language model that is
believed, as SmolRGPT's authors do; by the rules with a language model that must quote; and, with
`--classifiers`, by the classifiers and the model of those authors.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from answer_sentences import Sentence, sentences
from model_sentences import KINDS, read_written, write
from small_language_model import running

from smolrgpt_core.chat_server import ChatServer, ServerSettings
from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.public_benchmarks.letter_readers import first_character
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, length_text
from smolrgpt_core.public_benchmarks.model_readers.language_model import (
    LanguageModelReader,
    accepted,
    believed,
)
from smolrgpt_core.public_benchmarks.model_readers.type_classifiers import (
    ANSWERS,
    QUESTIONS,
    REGION_MARK,
    ClassifiedReader,
    TypeClassifier,
)
from smolrgpt_core.public_benchmarks.model_readers.type_classifiers import KINDS as CATEGORY_KINDS
from smolrgpt_core.public_benchmarks.quantity_readers import first_number
from smolrgpt_core.public_benchmarks.yes_no_readers import starts_with

SHOWN = 40
"""So many wrong readings are printed."""

RELATIVE = 0.01
"""A length is read right within this."""

RULES, OFFICIAL, ALONE, BOTH, CLASSIFIED = (
    "rules",
    "official",
    "model believed, of the refused",
    "rules, then model",
    "classifiers, then model",
)
WRITTEN_EACH = 200
"""Sentences of a kind that a model writes and that state their truth."""


@dataclass(frozen=True)
class Readers:
    """What reads beside the rules.

    Attributes:
        model: the language model; None: only rules read.
        classified: the way of SmolRGPT's authors; None without classifiers.
    """

    model: LanguageModelReader | None = None
    classified: ClassifiedReader | None = None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="", help="server; by default SmolLM2-135M in llama.cpp")
    parser.add_argument("--model", default="", help="name of the model there")
    parser.add_argument("--kept", type=Path, help="file for the replies; else none are kept")
    parser.add_argument("--each", type=int, help="only the first so many sentences of a kind")
    kinds = [kind.name.lower() for kind in AnswerKind]
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--rules-only", action="store_true", help="ask no model")
    parser.add_argument("--written", type=Path, help="file of sentences that the model writes")
    parser.add_argument("--classifiers", type=Path, help="folder of two trained classifiers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = arguments.kept or Path(folder) / "replies.jsonl"
        served = nullcontext(arguments.url) if arguments.url or arguments.rules_only else running()
        with served as url:
            readers = Readers()
            if not arguments.rules_only:
                settings = ServerSettings(url, arguments.model, timeout_s=300)
                server = ChatServer.connect(settings)
                readers = readers_of(JsonModel(server, kept), arguments.classifiers)
                if arguments.written:
                    write(server, wanted(arguments.kinds), WRITTEN_EACH, arguments.written)
            for title, found in sources(arguments.written).items():
                counted = count(chosen(found, arguments.kinds, arguments.each), readers)
                print(f"\n{title}")
                print_table(counted)


def readers_of(model: JsonModel, classifiers: Path | None) -> Readers:
    """The readers with a language model."""
    print(dict(model.described))
    reader = LanguageModelReader(model)
    if classifiers is None:
        return Readers(reader)
    of_questions, of_answers = (
        TypeClassifier.from_pretrained(classifiers / name) for name in (QUESTIONS, ANSWERS)
    )
    return Readers(reader, ClassifiedReader(of_questions, of_answers, reader))


def wanted(kinds: list[str]) -> list[AnswerKind]:
    """The kinds that a model can be asked to write."""
    return [kind for kind in KINDS if kind.name.lower() in kinds]


def sources(written: Path | None) -> dict[str, list[Sentence]]:
    """Sentences by where they come from."""
    if written is None:
        return {"written by a person": sentences()}
    found = read_written(written)
    return {
        "written by a model, and say the truth": [item for item, holds in found if holds],
        "written by a model, and do not say it or a rival too": [
            item for item, holds in found if not holds
        ],
    }


def chosen(found: list[Sentence], kinds: list[str], each: int | None) -> list[Sentence]:
    """The first sentences of some kinds."""
    of_kind: defaultdict[AnswerKind, list[Sentence]] = defaultdict(list)
    for sentence in found:
        of_kind[sentence.asked.kind].append(sentence)
    return [item for kind in kinds for item in of_kind[AnswerKind[kind.upper()]][:each]]


def count(asked: list[Sentence], readers: Readers) -> Mapping[tuple[str, AnswerKind], Counter[str]]:
    """Numbers of right, refused and wrong readings, by reader and kind; shows what goes wrong."""
    counted: defaultdict[tuple[str, AnswerKind], Counter[str]] = defaultdict(Counter)
    wrong: list[str] = []
    for sentence in asked:
        for name, read in readings(sentence, readers).items():
            result = verdict(read, sentence)
            counted[name, sentence.asked.kind][result] += 1
            if result == "wrong" and name in (RULES, BOTH) and len(wrong) < SHOWN:
                wrong.append(sentence.text)
                print(f"{name}: {sentence.text!r} read as {read!r}, means {sentence.meaning!r}")
    return counted


def readings(sentence: Sentence, readers: Readers) -> dict[str, str]:
    """What each reader makes of a sentence."""
    asked, text, reader = sentence.asked, sentence.text, readers.model
    found = {RULES: asked.by_rules(text)}
    if asked.kind in _OFFICIAL:
        found[OFFICIAL] = _OFFICIAL[asked.kind](sentence)
    if reader is not None and found[RULES]:
        found[BOTH] = found[RULES]
    elif reader is not None:
        reply = reader.claimed(asked, sentence.question, text)
        found[ALONE] = "" if reply is None else believed(asked, reply)
        found[BOTH] = "" if reply is None else accepted(asked, reply, text)
    if readers.classified is not None and asked.kind in _CLASSIFIED:
        question = re.sub(r"\[Region [0-9]\]|Region \[[0-9]\]", REGION_MARK, sentence.question)
        found[CLASSIFIED] = readers.classified.read(question, text)
    return found


def verdict(read: str, sentence: Sentence) -> str:
    """One of "right", "wrong" and "refused"; where a text means nothing, to refuse is right."""
    if not read:
        return "refused" if sentence.meaning else "right"
    if sentence.asked.kind is AnswerKind.LENGTH and sentence.meaning:
        value, truth = (float(said.split()[0]) for said in (read, sentence.meaning))
        return "right" if abs(value - truth) <= RELATIVE * truth else "wrong"
    return "right" if read == sentence.meaning else "wrong"


def print_table(counted: Mapping[tuple[str, AnswerKind], Counter[str]]) -> None:
    """A row for each kind, right / refused / wrong for each reader."""
    every = (RULES, OFFICIAL, ALONE, BOTH, CLASSIFIED)
    names = [name for name in every if any(n == name for n, _ in counted)]
    print(f"| kind | sentences | {' | '.join(names)} |\n| --- | ---: |{' ---: |' * len(names)}")
    for kind in dict.fromkeys(kind for _, kind in counted):
        cells = [_cell(counted.get((name, kind))) for name in names]
        print(f"| {kind.value} | {counted[RULES, kind].total()} | {' | '.join(cells)} |")


def _cell(found: Counter[str] | None) -> str:
    return "" if found is None else f"{found['right']} / {found['refused']} / {found['wrong']}"


def _first_length(sentence: Sentence) -> str:
    meters = first_number(sentence.text)
    return "" if meters is None else length_text(meters)


_CLASSIFIED = tuple(CATEGORY_KINDS.values())

_OFFICIAL: Mapping[AnswerKind, Callable[[Sentence], str]] = {
    AnswerKind.LENGTH: _first_length,
    AnswerKind.YES_NO: lambda sentence: starts_with(sentence.text),
    AnswerKind.LETTER: lambda sentence: first_character(sentence.text, sentence.asked.names),
}
"""HiSpatial's on Q-Spatial, RoboSpatial-Home's, Cambrian's on CV-Bench."""


if __name__ == "__main__":
    main()
