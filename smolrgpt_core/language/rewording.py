"""Other words for the same: patterns that are replaced before a question is read.

A pattern may name a class of words, `{region}`: `[classes]` of a lexicon lists it once.
Its nouns are classes too: `{pallet}` and `{pallets}` are all words for one, and for several.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import MappingProxyType

from smolrgpt_core.language.grammar import GrammarError

SHORTEST_NEEDED = 2
"""Letters that are worth looking for; of other characters one is enough."""

_CLASS = re.compile(r"(?<!\\)\{([a-z]+)\}")
"""Names a class of words in a pattern."""

_PLAIN = " '\"_<>/=!#,:;&%-"
"""Characters that stand for themselves in a pattern, beside letters."""


@dataclass(frozen=True)
class Rewording:
    """A pattern, and what is read in its place.

    Attributes:
        source: of the pattern that is replaced, wherever it stands; in lower case.
        replacement: as `re.sub` takes it.
        needed: letters, in lower case, of each of which one at least is in every text that the
            pattern fits; empty where that is not known.
        numbers: by their words.
    """

    source: str
    replacement: str
    needed: tuple[tuple[str, ...], ...]
    numbers: Mapping[str, int] = field(compare=False, repr=False)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Compiled when it is first needed: all of a language take a second."""
        return re.compile(self.source)

    def applied(self, text: str, lowered: str) -> str:
        """A text with the pattern replaced.

        Args:
            text: as it is written.
            lowered: the same in lower case.
        """
        # To look for some letters takes a tenth of the time that the pattern takes.
        for options in self.needed:
            for letters in options:
                if letters in lowered:
                    break
            else:
                return text
        return replaced(self.pattern, self.replacement, text, lowered, self.numbers)


_GROUP = re.compile(r"\{number \\(\d)\}|\\(\d)|\\g<(\d)>")
"""A group in a replacement; of "{number \\1}", the number that its word stands for."""


def in_lower_case(text: str) -> str:
    """A text in lower case, each letter in the place that it has in the text."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)


def replaced(
    pattern: re.Pattern[str],
    replacement: str,
    text: str,
    lowered: str,
    numbers: Mapping[str, int] = MappingProxyType({}),
) -> str:
    """A text with a pattern replaced, as `re.sub` with IGNORECASE does it, in a third of the time.

    Args:
        pattern: in lower case.
        replacement: as `re.sub` takes it, with no more than groups in it.
        text: as it is written.
        lowered: the same `in_lower_case`.
        numbers: by their words.
    """
    pieces, end = [], 0
    for match in pattern.finditer(lowered):
        pieces += [text[end : match.start()], _filled(replacement, match, text, numbers)]
        end = match.end()
    return "".join([*pieces, text[end:]]) if pieces else text


def _filled(replacement: str, match: re.Match[str], text: str, numbers: Mapping[str, int]) -> str:
    """A replacement with its groups, cut out of the text, which has its capitals."""

    def part(group: re.Match[str]) -> str:
        start, end = match.span(int(group[1] or group[2] or group[3]))
        return str(numbers[match[int(group[1])]]) if group[1] else text[start:end]

    return _GROUP.sub(part, replacement)


def without(pattern: re.Pattern[str], text: str) -> str:
    """A text without the first match of a pattern in lower case."""
    match = pattern.search(in_lower_case(text))
    return text[: match.start()] + text[match.end() :] if match else text


def read_classes(entries: Iterable[tuple[str, str]], nouns: Mapping[str, str]) -> dict[str, str]:
    """What may stand for each class of words: alternatives of a regular expression.

    Args:
        entries: name and alternatives of each, in which the classes before it may be named.
        nouns: classes that are there before.

    Raises:
        GrammarError: a class has the name of another one, or names one that is not there.
    """
    classes = dict(nouns)
    for name, alternatives in entries:
        if name in classes:
            raise GrammarError(f"the class {name!r} is there already; give it another name")
        classes[name] = with_classes(alternatives, classes)
    return classes


def with_classes(pattern: str, classes: Mapping[str, str]) -> str:
    """A pattern with what the classes that it names stand for.

    Raises:
        GrammarError: it names a class that is not there.
    """

    def alternatives(match: re.Match[str]) -> str:
        if match[1] not in classes:
            raise GrammarError(f"expected one of the classes {sorted(classes)}, got {match[0]!r}")
        return f"(?:{classes[match[1]]})"

    return _CLASS.sub(alternatives, pattern)


def read_rewordings(
    body: str, classes: Mapping[str, str], numbers: Mapping[str, int]
) -> Iterator[Rewording]:
    """The rewordings of a lexicon: lines "pattern => replacement".

    Args:
        body: the lines.
        classes: of words, that patterns may name.
        numbers: by their words.

    Raises:
        GrammarError: a line has no replacement, or names a class that is not there.
    """
    for line in filter(str.strip, body.splitlines()):
        pattern, found, replacement = line.partition("=>")
        if not found:
            raise GrammarError(f"expected 'pattern => replacement', got {line!r}")
        source = with_classes(pattern.rstrip(" "), classes)
        yield Rewording(
            source,
            replacement.strip().replace(r"\x20", " "),
            needed_letters(source),
            numbers,
        )


def reworded(text: str, rewordings: Sequence[Rewording]) -> str:
    """A text in the words that the patterns of its language know."""
    lowered = in_lower_case(text)
    for rewording in rewordings:
        changed = rewording.applied(text, lowered)
        if changed is not text:
            text, lowered = changed, in_lower_case(changed)
    return text.strip()


def needed_letters(source: str) -> tuple[tuple[str, ...], ...]:
    """Letters of each of which one at least is in every text that a pattern fits.

    They stand outside of all groups, or are the options of a group that is not optional. Those
    that fewest texts have come first.
    """
    parts = list(_parts(source))
    if any(kind == "|" for kind, _ in parts):
        return ()
    runs = [text for kind, text in parts if kind == "letters" and _is_telling(text)]
    options = [_options(text) for kind, text in parts if kind == "group"]
    found = [(run,) for run in runs] + [option for option in options if option]
    # Few long options distinguish most.
    return tuple(sorted(found, key=lambda option: (-min(map(len, option)), len(option))))


def _is_telling(text: str) -> bool:
    """Whether few texts have this in them."""
    bare = text.strip()
    return len(bare) >= SHORTEST_NEEDED or (bare != "" and not bare.isalpha())


@cache
def _options(group: str) -> tuple[str, ...]:
    """The letters of each option of a group; empty where an option has none for sure."""
    found: list[str] = []
    for option in _split(group):
        parts = list(_parts(option))
        longest = max((text for kind, text in parts if kind == "letters"), key=len, default="")
        inner = (_options(text) for kind, text in parts if kind == "group")
        telling = (longest,) if _is_telling(longest) else next(filter(None, inner), ())
        if not telling:
            return ()
        found.extend(telling)
    return tuple(dict.fromkeys(found))


def _split(group: str) -> list[str]:
    """The options of a group, without those of groups within."""
    options, depth, start, at = [], 0, 0, 0
    while at < len(group):
        if group[at] == "\\":
            at += 1
        elif group[at] == "[":
            at = group.index("]", at + 2)
        elif group[at] in "()":
            depth += 1 if group[at] == "(" else -1
        elif group[at] == "|" and not depth:
            options.append(group[start:at])
            start = at + 1
        at += 1
    return [*options, group[start:]]


def _parts(source: str) -> Iterator[tuple[str, str]]:
    """Runs of letters, groups and bars of a pattern that are in every text that it fits."""
    letters, at = "", 0
    while at < len(source):
        kind, text, at = _part(source, at)
        optional = source[at : at + 1] in ("?", "*") or source[at : at + 2] == "{0"
        if kind == "letter" and not optional:
            letters += text
            continue
        if len(letters) > 0:
            yield "letters", letters
        letters = ""
        if kind in ("group", "|") and not optional:
            yield kind, text
    if letters:
        yield "letters", letters


def _part(source: str, at: int) -> tuple[str, str, int]:
    """Kind, text and end of what stands at a place of a pattern."""
    character = source[at]
    if character == "\\":
        escaped = source[at + 1]
        return "other" if escaped.isalnum() else "letter", escaped, at + 2
    if character == "[":
        return "other", "", source.index("]", at + 2) + 1
    if character == "{":
        return "other", "", source.index("}", at) + 1
    if character == "(":
        end = _group_end(source, at)
        inner = source[at + 1 : end - 1]
        if not inner.startswith("?"):
            return "group", inner, end
        return ("group", inner[2:], end) if inner.startswith("?:") else ("other", "", end)
    if character == "|":
        return "|", "", at + 1
    if character.isalpha() or character in _PLAIN:
        return "letter", character.lower(), at + 1
    return "other", "", at + 1


def _group_end(source: str, at: int) -> int:
    """The place behind a group."""
    depth = 0
    while True:
        if source[at] == "\\":
            at += 1
        elif source[at] == "[":
            at = source.index("]", at + 2)
        elif source[at] in "()":
            depth += 1 if source[at] == "(" else -1
            if not depth:
                return at + 1
        at += 1
