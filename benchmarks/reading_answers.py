"""Readers of answers on sentences that were not looked at while they were written.

For each kind of answer: how many are read right, refused, and read wrong by the rules; by a
benchmark's official rule where there is one that reads words; of what the rules refuse, by a
language model that is believed, as SmolRGPT's authors do; and by the rules with a language model
that must quote.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

from answer_sentences import Sentence, sentences
from small_language_model import running

from smolrgpt_core.chat_server import ChatServer, ServerSettings
from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.public_benchmarks.letter_readers import first_character
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, said_length
from smolrgpt_core.public_benchmarks.model_readers.language_model import (
    LanguageModelReader,
    accepted,
    believed,
)
from smolrgpt_core.public_benchmarks.quantity_readers import first_number
from smolrgpt_core.public_benchmarks.yes_no_readers import starts_with

RELATIVE = 0.01
"""A length is read right within this."""

RULES, OFFICIAL, ALONE, BOTH = (
    "rules",
    "official",
    "model believed, of the refused",
    "rules, then model",
)


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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = arguments.kept or Path(folder) / "replies.jsonl"
        served = nullcontext(arguments.url) if arguments.url or arguments.rules_only else running()
        with served as url:
            reader = None
            if not arguments.rules_only:
                settings = ServerSettings(url, arguments.model, timeout_s=300)
                reader = LanguageModelReader(JsonModel(ChatServer.connect(settings), kept))
                print(dict(reader.model.described))
            counted = count(chosen(arguments.kinds, arguments.each), reader)
    print_table(counted)


def chosen(kinds: list[str], each: int | None) -> list[Sentence]:
    """The first sentences of some kinds."""
    of_kind: defaultdict[AnswerKind, list[Sentence]] = defaultdict(list)
    for sentence in sentences():
        of_kind[sentence.asked.kind].append(sentence)
    return [item for kind in kinds for item in of_kind[AnswerKind[kind.upper()]][:each]]


def count(
    asked: list[Sentence], reader: LanguageModelReader | None
) -> Mapping[tuple[str, AnswerKind], Counter[str]]:
    """Numbers of right, refused and wrong readings, by reader and kind; shows what goes wrong."""
    counted: defaultdict[tuple[str, AnswerKind], Counter[str]] = defaultdict(Counter)
    for sentence in asked:
        for name, read in readings(sentence, reader).items():
            result = verdict(read, sentence)
            counted[name, sentence.asked.kind][result] += 1
            if result == "wrong" and name in (RULES, BOTH):
                print(f"{name}: {sentence.text!r} read as {read!r}, means {sentence.meaning!r}")
    return counted


def readings(sentence: Sentence, reader: LanguageModelReader | None) -> dict[str, str]:
    """What each reader makes of a sentence."""
    asked, text = sentence.asked, sentence.text
    found = {RULES: asked.by_rules(text)}
    if asked.kind in _OFFICIAL:
        found[OFFICIAL] = _OFFICIAL[asked.kind](sentence)
    if reader is not None and found[RULES]:
        found[BOTH] = found[RULES]
    elif reader is not None:
        reply = reader.claimed(asked, sentence.question, text)
        found[ALONE] = "" if reply is None else believed(asked, reply)
        found[BOTH] = "" if reply is None else accepted(asked, reply, text)
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
    names = [name for name in (RULES, OFFICIAL, ALONE, BOTH) if any(n == name for n, _ in counted)]
    print(f"| kind | sentences | {' | '.join(names)} |\n| --- | ---: |{' ---: |' * len(names)}")
    for kind in dict.fromkeys(kind for _, kind in counted):
        cells = [_cell(counted.get((name, kind))) for name in names]
        print(f"| {kind.value} | {counted[RULES, kind].total()} | {' | '.join(cells)} |")


def _cell(found: Counter[str] | None) -> str:
    return "" if found is None else f"{found['right']} / {found['refused']} / {found['wrong']}"


def _first_length(sentence: Sentence) -> str:
    metres = first_number(sentence.text)
    return "" if metres is None else said_length(metres)


_OFFICIAL: Mapping[AnswerKind, Callable[[Sentence], str]] = {
    AnswerKind.LENGTH: _first_length,
    AnswerKind.YES_NO: lambda sentence: starts_with(sentence.text),
    AnswerKind.LETTER: lambda sentence: first_character(sentence.text, sentence.asked.names),
}
"""HiSpatial's on Q-Spatial, RoboSpatial-Home's, Cambrian's on CV-Bench."""


if __name__ == "__main__":
    main()
