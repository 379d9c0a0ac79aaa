"""Sentences that a model phrases: what states the truth, balance, and resumption."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smolrgpt_core.chat_server import ChatServer, ServerSettings
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"

WIDER, ROOM, THERE = (
    "Is the crate wider than the shelf?",
    "Is there room for another box?",
    "Is there a box in the buffer?",
)
LETTERS = AnswerSpec(AnswerKind.LETTER, ("crate", "shelf", "bin", "door"))


@pytest.fixture(scope="module")
def model_sentences() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return import_module("model_sentences")
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize(
    ("kind", "question", "answer", "text", "holds"),
    [
        (AnswerKind.YES_NO, WIDER, "yes", "The crate is wider than the shelf.", True),
        (AnswerKind.YES_NO, WIDER, "no", "The crate is wider than the shelf.", False),
        (AnswerKind.YES_NO, WIDER, "no", "The crate is not wider than the shelf.", True),
        (AnswerKind.YES_NO, WIDER, "yes", "The shelf is wider than the crate.", False),
        (AnswerKind.YES_NO, ROOM, "no", "In this image, there is no room for another box.", True),
        (AnswerKind.YES_NO, ROOM, "yes", "There is no room for another box.", False),
        (AnswerKind.YES_NO, THERE, "no", "There is no box in the buffer.", True),
        (AnswerKind.YES_NO, THERE, "yes", "Yes, no box is there.", False),
        (AnswerKind.SIDE, "Left or right?", "left", "On the left of the right box.", False),
        (AnswerKind.HOUR, "At what hour?", "1 o'clock", "It is the one that is left.", False),
        (AnswerKind.HOUR, "At what hour?", "1 o'clock", "At one o'clock.", True),
        (AnswerKind.HOUR, "At what hour?", "9 o'clock", "It is on the 9 o'clock side.", True),
        (AnswerKind.HOUR, "At what hour?", "1 o'clock", "It isn't at 1 o'clock.", False),
        (AnswerKind.HOUR, "At what hour?", "1 o'clock", "It is 1 o'clock, or 7 o'clock.", False),
        (AnswerKind.COUNT, "How many?", "2", "It is 2.5 of them.", False),
        (AnswerKind.COUNT, "How many?", "2", "There are two.", True),
        (AnswerKind.LETTER, "Which?", "(B)", "The answer is (B).", True),
        (AnswerKind.LETTER, "Which?", "(B)", "A shelf stands there.", True),
        (AnswerKind.LETTER, "Which?", "(B)", "The shelf, not the door.", False),
        (AnswerKind.LETTER, "Which?", "(B)", "B, not C.", False),
        (AnswerKind.LETTER, "Which?", "(B)", "The ladder is a ladder, not a shelf.", False),
        (AnswerKind.LETTER, "Which?", "(B)", "B is the tallest one.", True),
        (AnswerKind.LETTER, "Which?", "(A)", "A is the tallest one.", True),
        (AnswerKind.LETTER, "Which?", "(A)", "A barrel is the tallest one.", False),
        (AnswerKind.LETTER, "Which?", "(C)", "The cabinet is the tallest one.", False),
    ],
)
def test_what_states_the_truth(model_sentences, kind, question, answer, text, holds) -> None:
    asked = LETTERS if kind is AnswerKind.LETTER else AnswerSpec(kind)
    drawn = model_sentences.Drawn(asked, question, answer, answer.strip("()"), "in few words")
    assert model_sentences.says(drawn, text) is holds


def restated(body: dict[str, Any]) -> str:
    """The true answer, except that "right" is often forgotten, as small models do."""
    prompt = body["messages"][0]["content"]
    question, answer = re.findall(r"(?:Question|Answer): (.*)", prompt)
    word = "left" if len(question) % 3 else answer
    return f"{question.split(' ')[-1]} {len(question)}: {word}"


def test_both_answers_are_written_as_often_and_a_stopped_run_goes_on(
    model_sentences, chat_server, tmp_path
) -> None:
    chat_server.answer = restated
    server = ChatServer.connect(ServerSettings(chat_server.url, ""))
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    model_sentences.write(server, [AnswerKind.SIDE], 8, whole)
    stating = {
        (row["text"], row["meaning"])
        for row in map(json.loads, whole.read_text().splitlines())
        if row["says_it"]
    }
    assert Counter(meaning for _, meaning in stating) == {"left": 4, "right": 4}
    model_sentences.write(server, [AnswerKind.SIDE], 4, parts)
    asked = len(chat_server.asked)
    model_sentences.write(server, [AnswerKind.SIDE], 4, parts)
    assert len(chat_server.asked) == asked, "all is there"
    lines = whole.read_text().splitlines()
    parts.write_text("\n".join(lines[:5]) + "\n")
    model_sentences.write(server, [AnswerKind.SIDE], 8, parts)
    assert parts.read_text() == whole.read_text()
    assert len(chat_server.asked) == asked + len(lines) - 5


def test_letters_are_written_as_often_each(model_sentences, chat_server, tmp_path) -> None:
    chat_server.answer = lambda body: re.findall(r"Answer: (.*)", body["messages"][0]["content"])[0]
    server = ChatServer.connect(ServerSettings(chat_server.url, ""))
    model_sentences.write(server, [AnswerKind.LETTER], 20, tmp_path / "letters.jsonl")
    stating = {
        sentence.text: sentence.meaning
        for sentence, holds in model_sentences.read_written(tmp_path / "letters.jsonl")
        if holds
    }
    assert Counter(stating.values()) == dict.fromkeys("ABCD", 5)
