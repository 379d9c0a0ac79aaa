"""Readers of answers on sentences that were not looked at while they were written.

The sentences are those of `answer_sentences.py`, or, with `--written FILE`, those that a model
phrases from known truths, see `model_sentences.py`: it writes what the file lacks. For each kind of
answer: how many are read right, refused, and read wrong by the rules; by a benchmark's official
rule where there is one that reads words; of what the rules refuse, by a language model that is
believed, as SmolRGPT's authors do; by the rules with a language model that must quote; with
`--likelihood`, by the likelihood of each option, whatever its confidence and if that is high; and,
with `--classifiers`, by the classifiers and the model of those authors. `--differing FILE` writes a
table of the sentences that two of them read differently.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from io import StringIO
from itertools import combinations, islice
from pathlib import Path
from statistics import fmean

from answer_sentences import Sentence, sentences
from likelihood_reading import LikelihoodReader
from model_sentences import KINDS, read_written, write
from small_language_model import running

from smolrgpt_core.chat_server import ChatServer, ServerSettings
from smolrgpt_core.files import write_file
from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.public_benchmarks.letter_readers import first_character
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, length_text
from smolrgpt_core.public_benchmarks.model_readers.language_model import (
    LanguageModelReader,
    accepted,
    believed,
)
from smolrgpt_core.public_benchmarks.model_readers.type_classifiers import KINDS as CATEGORY_KINDS
from smolrgpt_core.public_benchmarks.model_readers.type_classifiers import (
    REGION_MARK,
    ClassifiedReader,
)
from smolrgpt_core.public_benchmarks.models import BenchmarkAnswer
from smolrgpt_core.public_benchmarks.quantity_readers import first_number
from smolrgpt_core.public_benchmarks.yes_no_readers import starts_with

SHOWN = 40
"""So many wrong readings are printed."""

RELATIVE = 0.01
"""A length is read right within this."""

SURE = 0.9
"""Smallest confidence of a likelihood that is high."""

RULES, OFFICIAL, ALONE, BOTH, LIKELY, SURELY, CLASSIFIED = (
    "rules",
    "official",
    "model believed, of the refused",
    "rules, then model",
    "likelihood",
    f"likelihood from {SURE}",
    "classifiers, then model",
)
READERS = (RULES, OFFICIAL, ALONE, BOTH, LIKELY, SURELY, CLASSIFIED)
BY_HAND, STATED, NOT_STATED = (
    "written by a person",
    "written by a model, and state the truth",
    "written by a model, and do not state it or name a rival too; the rules alone",
)

WRITTEN_EACH = 200
"""Sentences of a kind that a model writes and that state their truth."""


@dataclass(frozen=True)
class Readers:
    """What reads beside the rules.

    Attributes:
        model: the language model; None: only rules read.
        likely: compares the options by their likelihood; None: nothing does.
        classified: the way of SmolRGPT's authors; None without classifiers.
    """

    model: LanguageModelReader | None = None
    likely: LikelihoodReader | None = None
    classified: ClassifiedReader | None = None


@dataclass(frozen=True)
class ReadSentence:
    """What the readers make of a sentence.

    Attributes:
        sentence: that was read.
        readings: by reader, of those that were asked; empty where one refuses.
        confidence: of the likelihood.
    """

    sentence: Sentence
    readings: Mapping[str, str]
    confidence: float | None = None


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
    parser.add_argument("--likelihood", help="language model of transformers, folder or hub id")
    parser.add_argument("--differing", type=Path, help="file for a table of differing readings")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = arguments.kept or Path(folder) / "replies.jsonl"
        served = nullcontext(arguments.url) if arguments.url or arguments.rules_only else running()
        with served as url:
            readers = Readers()
            if not arguments.rules_only:
                settings = ServerSettings(url, arguments.model, timeout_s=300)
                server = ChatServer.connect(settings)
                model = JsonModel(server, kept)
                readers = readers_of(model, arguments.likelihood, arguments.classifiers)
                if arguments.written:
                    write(server, wanted(arguments.kinds), WRITTEN_EACH, arguments.written)
            compare(arguments, readers)


def compare(arguments: argparse.Namespace, readers: Readers) -> None:
    """Print the tables of all sources, and write the sentences that are read differently."""
    differing: list[ReadSentence] = []
    for title, found in sources(arguments.written).items():
        asked = chosen(found, arguments.kinds, arguments.each)
        used = Readers() if title == NOT_STATED else readers
        read = [read_by_all(sentence, used) for sentence in asked]
        print(f"\n{title}")
        print_wrong(read)
        print_table(count(read))
        print_confidences(read)
        print_differences(read)
        differing += [item for item in read if len(set(item.readings.values())) > 1]
    if arguments.differing is not None:
        write_file(arguments.differing, differing_table(differing).encode())


def readers_of(model: JsonModel, likelihood: str | None, classifiers: Path | None) -> Readers:
    """The readers with a language model."""
    print(dict(model.described))
    reader = LanguageModelReader(model)
    likely = None if likelihood is None else LikelihoodReader.from_pretrained(likelihood)
    if classifiers is None:
        return Readers(reader, likely)
    return Readers(reader, likely, ClassifiedReader.from_pretrained(classifiers, reader))


def wanted(kinds: list[str]) -> list[AnswerKind]:
    """The kinds that a model can be asked to write."""
    return [kind for kind in KINDS if kind.name.lower() in kinds]


def sources(written: Path | None) -> dict[str, list[Sentence]]:
    """Sentences by where they come from."""
    if written is None:
        return {BY_HAND: sentences()}
    found = read_written(written)
    return {
        STATED: [item for item, holds in found if holds],
        NOT_STATED: [item for item, holds in found if not holds],
    }


def chosen(found: list[Sentence], kinds: list[str], each: int | None) -> list[Sentence]:
    """The first sentences of some kinds."""
    of_kind: defaultdict[AnswerKind, list[Sentence]] = defaultdict(list)
    for sentence in found:
        of_kind[sentence.asked.kind].append(sentence)
    return [item for kind in kinds for item in of_kind[AnswerKind[kind.upper()]][:each]]


def count(read: Iterable[ReadSentence]) -> dict[tuple[str, AnswerKind], Counter[str]]:
    """How many sentences of each kind each reader reads right, refuses, or reads wrong."""
    counted: defaultdict[tuple[str, AnswerKind], Counter[str]] = defaultdict(Counter)
    for item in read:
        for name, reading in item.readings.items():
            counted[name, item.sentence.asked.kind][verdict(reading, item.sentence)] += 1
    return counted


def print_wrong(read: Iterable[ReadSentence]) -> None:
    """The first sentences that the rules, or the rules and the model, read wrong."""
    wrong = {
        item.sentence.text: (name, item)
        for item in read
        for name in (BOTH, RULES)
        if name in item.readings and verdict(item.readings[name], item.sentence) == "wrong"
    }
    for text, (name, item) in islice(wrong.items(), SHOWN):
        meaning = item.sentence.meaning
        print(f"{name}: {text!r} read as {item.readings[name]!r}, means {meaning!r}")


def read_by_all(sentence: Sentence, readers: Readers) -> ReadSentence:
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
    said = BenchmarkAnswer("")
    if readers.likely is not None and asked.options:
        said = readers.likely.read(asked, sentence.question, text)
        found[LIKELY] = said.text
        found[SURELY] = said.text if (said.confidence or 0) >= SURE else ""
    if readers.classified is not None and asked.kind in _CLASSIFIED:
        question = re.sub(r"\[Region [0-9]\]|Region \[[0-9]\]", REGION_MARK, sentence.question)
        found[CLASSIFIED] = readers.classified.read(question, text)
    return ReadSentence(sentence, found, said.confidence)


def verdict(read: str, sentence: Sentence) -> str:
    """One of "right", "wrong" and "refused"; where a text means nothing, to refuse is correct."""
    if not read:
        return "refused" if sentence.meaning else "right"
    if sentence.asked.kind is AnswerKind.LENGTH and sentence.meaning:
        value, truth = (float(said.split()[0]) for said in (read, sentence.meaning))
        return "right" if abs(value - truth) <= RELATIVE * truth else "wrong"
    return "right" if read == sentence.meaning else "wrong"


def print_table(counted: Mapping[tuple[str, AnswerKind], Counter[str]]) -> None:
    """A row for each kind, right / refused / wrong for each reader."""
    names = [name for name in READERS if any(n == name for n, _ in counted)]
    print(f"| kind | sentences | {' | '.join(names)} |\n| --- | ---: |{' ---: |' * len(names)}")
    for kind in dict.fromkeys(kind for _, kind in counted):
        cells = [_cell(counted.get((name, kind))) for name in names]
        print(f"| {kind.value} | {counted[RULES, kind].total()} | {' | '.join(cells)} |")


def print_confidences(read: Iterable[ReadSentence]) -> None:
    """Mean confidence of the likelihood beside the fraction that it reads right, by kind."""
    found: defaultdict[AnswerKind, list[tuple[float, bool]]] = defaultdict(list)
    for item in read:
        if item.confidence is not None:
            right = verdict(item.readings[LIKELY], item.sentence) == "right"
            found[item.sentence.asked.kind].append((item.confidence, right))
    for kind, pairs in found.items():
        confidence, rate = fmean(pair[0] for pair in pairs), fmean(pair[1] for pair in pairs)
        print(f"{kind.value}: {LIKELY} has a mean confidence of {confidence:.2f}, right {rate:.2f}")


def print_differences(read: Sequence[ReadSentence]) -> None:
    """For each two readers: how many sentences that both were asked about they read differently,
    and of those each alone reads right.
    """
    names = [name for name in READERS if any(name in item.readings for item in read)]
    pairs = list(combinations(names, 2))
    if pairs:
        print("| two readers | asked both | differ | first right | second right |")
        print("| --- | ---: | ---: | ---: | ---: |")
    for first, second in pairs:
        both = [item for item in read if {first, second} <= item.readings.keys()]
        verdicts = [
            [verdict(item.readings[name], item.sentence) == "right" for name in (first, second)]
            for item in both
            if item.readings[first] != item.readings[second]
        ]
        alone = [sum(pair[at] and not pair[1 - at] for pair in verdicts) for at in (0, 1)]
        print(f"| {first}; {second} | {len(both)} | {len(verdicts)} | {alone[0]} | {alone[1]} |")


def differing_table(read: Iterable[ReadSentence]) -> str:
    """Tab-separated: a row for each sentence, a column for each reader; "-" where one refuses."""
    text = StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(["kind", "question", "sentence", "means", *READERS, "confidence"])
    for item in read:
        sentence, confidence = item.sentence, item.confidence
        readings = [item.readings.get(name) for name in READERS]
        cells = ["" if reading is None else reading or "-" for reading in readings]
        writer.writerow([
            sentence.asked.kind.value, sentence.question, sentence.text, sentence.meaning or "-",
            *cells, "" if confidence is None else f"{confidence:.2f}",
        ])  # fmt: skip
    return text.getvalue()


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
