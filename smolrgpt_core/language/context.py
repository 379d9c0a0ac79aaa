"""What people say around a question: why they ask, who wants to know, what a day it is.

    "The lorry is here, so how far is pallet 3?"  ->  "how far is pallet 3?"

A clause is skipped only where nothing in it can change what is asked: it is a statement or a
reason, and has no number, no word for a region, and none of the words of the lexicon that restrict
or compare (`[context]`). A question that speaks of "it" or "them" keeps what stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

BREAK = re.compile(r"[,.;:!?]+(?:\s+|$)|\s+-+\s+")
"""Between clauses."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")

SHORTEST_CLAUSE = 2
"""Words; one word alone is no statement."""


@dataclass(frozen=True, eq=False)
class Context:
    """The words by which a clause is known that only stands beside a question.

    Attributes:
        opening: the end of a clause before a question, up to the first word of the question.
        closing: the end of a question before a clause.
        statement: how a clause begins that may be skipped.
        consequence: what joins a question to a clause that may begin in any way: "so".
        exclamations: clauses that mean nothing.
        times: times of the day, whose numbers mean nothing.
        restricting: words that may change what is asked.
        choosing: words that may change which of several are meant.
        backward: what speaks of something that was named before.
        inner: what holds such a word, and speaks of what stands right before it.
        topics: how a clause begins that only names the topic: "look at".
        harmless: words that may mean something to the reader, and nothing in a clause.
    """

    opening: re.Pattern[str]
    closing: re.Pattern[str]
    statement: re.Pattern[str]
    consequence: re.Pattern[str]
    exclamations: re.Pattern[str]
    times: re.Pattern[str]
    restricting: re.Pattern[str]
    choosing: re.Pattern[str]
    backward: re.Pattern[str]
    inner: re.Pattern[str]
    topics: re.Pattern[str]
    harmless: frozenset[str]

    def refers_back(self, question: str) -> bool:
        """Whether a question speaks of something that may have been named before it."""
        return self.backward.search(self.inner.sub("", question)) is not None

    def is_idle(self, text: str, meaningful: Collection[str], any_start: bool = False) -> bool:
        """Whether clauses add nothing to a question.

        Args:
            text: the clauses.
            meaningful: words that mean something to the reader.
            any_start: whether the first clause need not begin like a statement.
        """
        for clause in filter(None, map(str.strip, BREAK.split(text))):
            if self.exclamations.fullmatch(clause):
                continue
            words = _WORD.findall(self.times.sub("", clause.lower()))
            if len(words) < SHORTEST_CLAUSE or self.restricting.search(clause):
                return False
            if self.choosing.search(clause):
                return False
            if not (any_start or self.statement.match(clause)):
                return False
            if any(word[0].isdigit() for word in words):
                return False
            if any(word in meaningful and word not in self.harmless for word in words):
                return False
            any_start = False
        return True


def make_context(entries: Mapping[str, str]) -> Context | None:
    """The context of a language from the entries of its `[context]`; None where it has none."""
    if not entries:
        return None
    after, before = entries["questions"], entries["joins"]
    return Context(
        opening=_pattern(
            rf"(?:(?:[,.;:!?]+|\s-+)(?:\s*(?:{before})\b[ ,:]*)*"
            rf"|\s(?:{entries['consequence']})\b[ ,:]*)\s*(?=(?:{after})\b)"
            rf"|\s(?=(?:{entries['wishes']})\b)"
        ),
        closing=_pattern(
            rf"[.;!?]+\s+|\s-+\s+|,?\s+(?=(?:{entries['purposes']})\b)"
            rf"|,\s+(?=(?:{entries['remarks']})\b)"
        ),
        statement=_pattern(
            rf"(?:(?:{entries['statements']}|{entries['reasons']}|{entries['purposes']})\b)"
        ),
        consequence=_pattern(rf"\b(?:{entries['consequence']})\b"),
        exclamations=_pattern(entries["exclamations"]),
        times=_pattern(rf"\b(?:{entries['times']})\b"),
        restricting=_pattern(rf"\b(?:{entries['restricting']})\b"),
        choosing=_pattern(rf"\b(?:{entries['choosing']})\b"),
        backward=_pattern(rf"\b(?:{entries['backward']})\b"),
        inner=_pattern(rf"\b(?:{entries['inner']})\b"),
        topics=_pattern(rf"^\s*(?:{entries['topics']})\b"),
        harmless=frozenset(entries["harmless"].split()),
    )


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def without_context(text: str, context: Context, meaningful: Collection[str]) -> str:
    """A question without the statements before and behind it.

    Args:
        text: cleaned.
        context: of its language.
        meaningful: words that mean something to the reader.
    """
    for match in context.opening.finditer(text):
        question = text[match.end() :]
        consequence = context.consequence.search(match[0]) is not None
        if context.is_idle(text[: match.start()], meaningful, consequence):
            if not context.refers_back(question):
                text = question
            break
    for match in context.closing.finditer(text):
        if match.start() and context.is_idle(text[match.end() :], meaningful):
            return text[: match.start()]
    return text
