"""What is stated before a question, where the question is complete without it or speaks of it.

    "We have 3 trucks waiting; is pallet 3 in buffer 2?"  ->  "is pallet 3 in buffer 2?"
    "I lost track of pallet 3, which buffer is it in?"  ->  "which buffer is pallet 3 in?"

`context.py` skips what names nothing. Here statements may name regions and numbers, and are
used only where the whole is not understood. Nothing that was stated may decide which regions a
question means: "There are two pallets in buffer 1. Which pallet is taller?" stays refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from smolrgpt_core.language.context import BREAK, SHORTEST_CLAUSE, Context
from smolrgpt_core.language.lexicon import Lexicon
from smolrgpt_core.language.operators import attributes, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.rewording import in_lower_case, replaced
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.words import NounTable, Word, split_words
from smolrgpt_core.object_classes import known_class

LONGEST_NOUN = 3
"""Words."""

ONE = "{one}"
"""Stands in the replacement of a word for one region that was named; "{all}" for several."""

_NAMED = re.compile(r"\{one\}|\{all\}")

LONGEST_TOPIC = 5
"""Words beside the regions that are only introduced as the topic."""

MOST_PLACES = 4
"""Places of a text at which a question may begin."""


@dataclass(frozen=True)
class Preface:
    """What statements before a question name.

    Attributes:
        names: how each region with an id is called, by its id, in the order of the text.
        classes: of nouns without an id.
        chooses: whether a word, or a number, may decide which of several are meant.
        has_length: whether a number has a unit.
        has_another: whether something is spoken of beside a region, which "it" may mean as well.
    """

    names: Mapping[int, str]
    classes: frozenset[str]
    chooses: bool
    has_length: bool
    has_another: bool

    def leaves(self, program: Program) -> bool:
        """Whether a question that was read by itself asks the same behind the statement."""
        parts = list(program.walk())
        has_limit = any(part.operator is questions.Amount for part in parts)
        if self.has_length and program.type is not Type.QUANTITY and not has_limit:
            return False  # "The limit is 2 m, is it in buffer 1?"
        sets = {known_class(part.arguments[0]) for part in parts if part.operator is selections.All}
        here = any(part.operator is selections.Camera for part in parts)
        if not sets and not here:
            return True
        named = {part.arguments[0] for part in parts if part.operator is selections.Region}
        listed = (part.arguments[0] for part in parts if part.operator is selections.Listed)
        named |= set(chain.from_iterable(listed))
        if self.chooses or set(self.names) - named or attributes.Bigness() in parts:
            return False
        # Of "3 pallets" that were spoken of, "which pallet" may be one, and "near" near to them.
        return not (here and self.classes) and "" not in sets and not self.classes & sets


def questions_behind(
    text: str, lexicon: Lexicon, nouns: NounTable
) -> Iterator[tuple[Preface, str]]:
    """The statement before a question, and the question with names for its pronouns.

    Args:
        text: cleaned.
        lexicon: of its language.
        nouns: of the lexicon and of the frame.
    """
    context = lexicon.context
    if context is None:
        return
    for match in islice(context.opening.finditer(text), MOST_PLACES):
        preface = _read_preface(text[: match.start()], lexicon, context, nouns)
        question = text[match.end() :]
        if preface is None:
            continue
        if not context.refers_back(question):
            yield preface, question
        named = _with_names(question, tuple(preface.names.values()), lexicon)
        if named is not None and not preface.classes and not preface.has_another:
            yield preface, named


def _read_preface(
    text: str, lexicon: Lexicon, context: Context, nouns: NounTable
) -> Preface | None:
    """What statements name; None where they are none, or may change a question behind them."""
    # "Look at" and the like only name the topic.
    if context.restricting.search(context.topics.sub("", text)):
        return None
    names: dict[int, str] = {}
    classes: set[str] = set()
    chooses = context.choosing.search(text) is not None
    has_length = has_another = False
    for clause in filter(None, map(str.strip, BREAK.split(text))):
        if context.exclamations.fullmatch(clause):
            continue
        words = split_words(context.times.sub("", clause), lexicon, ())
        found = _Names(words, nouns, lexicon)
        if found.is_open or not (found.is_list or _is_statement(clause, found, context)):
            return None
        names |= found.ids
        classes |= found.classes
        chooses = chooses or found.has_number
        has_length = has_length or found.has_length
        has_another = has_another or found.has_another
    return Preface(names, frozenset(classes), chooses, has_length, has_another)


def _is_statement(clause: str, found: _Names, context: Context) -> bool:
    if context.topics.match(clause):
        return found.number_of_others <= LONGEST_TOPIC
    is_statement = found.begins_with_name or context.statement.match(clause) is not None
    return is_statement and found.number_of_others >= SHORTEST_CLAUSE


class _Names:
    """The regions, nouns and numbers in a clause.

    Attributes:
        ids: how each region with an id is called.
        classes: of nouns without one.
        has_number: whether a number is no id.
        has_length: whether a number has a unit.
        is_open: whether a unit stands alone, or a placeholder stands for a region.
        number_of_others: words that name nothing.
        begins_with_name: whether the first words name something, or are a number.
        has_another: whether something without a name is spoken of beside a region: "a box".
    """

    def __init__(self, words: Sequence[Word], nouns: NounTable, lexicon: Lexicon) -> None:
        self.ids: dict[int, str] = {}
        self.classes: set[str] = set()
        self.has_number = False
        self.has_length = False
        self.is_open = any(word.kind in ("mask", "region") for word in words)
        self.number_of_others = 0
        self.begins_with_name = False
        self._lexicon = lexicon
        at = 0
        while at < len(words):
            end = self._noun(words, at, nouns) or self._number(words, at)
            if end:
                self.begins_with_name |= at == 0
            elif words[at].key not in lexicon.joins | lexicon.alternatives:
                self.number_of_others += 1
                self.has_number |= words[at].key in lexicon.ordinals
                self.is_open |= self._is_unit(words[at : at + 1])
            at = end or at + 1
        others = any(word.article in lexicon.indefinite for word in words)
        self.has_another = bool(self.ids) and others

    @property
    def is_list(self) -> bool:
        """Whether regions are only named."""
        return bool(self.ids) and not self.number_of_others and not self.classes

    def _noun(self, words: Sequence[Word], at: int, nouns: NounTable) -> int | None:
        """The end of a noun with the ids behind it; None where there is none."""
        for length in range(LONGEST_NOUN, 0, -1):
            phrase = tuple(word.key for word in words[at : at + length])
            if len(phrase) == length and phrase in nouns:
                break
        else:
            return None
        noun, end = nouns[phrase][0], at + length
        known = len(self.ids)
        singular = self._lexicon.nouns.get(noun.name, ((phrase, phrase),))[0][0]
        while end < len(words) and words[end].kind == "number" and words[end].key.isdigit():
            self.ids[int(words[end].key)] = f"{' '.join(singular)} {words[end].key}"
            end += 2 if self._goes_on(words[end + 1 : end + 3]) else 1
        if len(self.ids) == known:
            self.classes.add(known_class(noun.name))
        return end

    def _goes_on(self, words: Sequence[Word]) -> bool:
        """Whether another id of the same noun follows."""
        joins = self._lexicon.joins | self._lexicon.alternatives
        return len(words) == 2 and words[0].key in joins and words[1].kind == "number"

    def _number(self, words: Sequence[Word], at: int) -> int | None:
        if words[at].kind != "number" and words[at].key not in self._lexicon.numbers:
            return None
        if not self._is_unit(words[at + 1 : at + 2], behind_number=True):
            self.has_number |= not self._is_strange(words[at + 1 : at + 2])
            return at + 1
        self.has_length = True
        return at + 2

    def _is_strange(self, words: Sequence[Word]) -> bool:
        """Whether what is counted has no name here, as "3 lorries", so that no region is meant."""
        return any(
            word.kind == "word" and word.key.isalpha() and word.key not in self._lexicon.words
            and word.key not in self._lexicon.gists.words
            and (word.key.endswith("s") or word.text[0].isupper())
            for word in words
        )  # fmt: skip

    def _is_unit(self, words: Sequence[Word], behind_number: bool = False) -> bool:
        """Whether a word is a unit; "in" and its like only behind a number."""
        unit = tuple(self._lexicon.forms.get(word.key, word.key) for word in words)
        context = self._lexicon.context
        harmless = context is not None and unit[:1] and unit[0] in context.harmless
        return unit in self._lexicon.units and (behind_number or not harmless)


def _with_names(question: str, names: Sequence[str], lexicon: Lexicon) -> str | None:
    """A question with the regions in the place of the only word for them; None without one."""
    # "I put pallet 3 into buffer 1, is it in buffer 1?"
    others = [name for name in names if not re.search(rf"\b{name}\b", question, re.IGNORECASE)]
    names = others or names
    lowered = in_lower_case(question)
    found = [
        (pattern, replacement) for pattern, replacement in lexicon.references
        if (ONE in replacement) == (len(names) == 1) and pattern.search(lowered)
    ]  # fmt: skip
    if not names or len(found) != 1 or len(found[0][0].findall(lowered)) != 1:
        return None
    pattern, replacement = found[0]
    return replaced(pattern, _NAMED.sub(", ".join(names), replacement), question, lowered)
