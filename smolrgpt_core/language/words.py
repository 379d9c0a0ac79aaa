"""From a hostile string to words, and the phrases of a frame among them: nouns, ids, numbers."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

from smolrgpt_core.errors import SpatialError, Status, bad_question
from smolrgpt_core.label_map import doubt_of_class, namesake
from smolrgpt_core.language.builders import Alternatives, Noun
from smolrgpt_core.language.grammar import Reading, Terminal
from smolrgpt_core.language.lexicon import Lexicon, Phrase
from smolrgpt_core.language.operators.selections import Listed, Region
from smolrgpt_core.language.placeholders import MASK, without_image
from smolrgpt_core.object_classes import known_class, label_noun
from smolrgpt_core.regions import RegionSet, names_of
from smolrgpt_core.scene.copies import ANY_REGION

AFTER_INCHES = frozenset(
    {"of", "from", "away", "apart", "wide", "tall", "high", "long", "or", "and", "than", "to", ","}
)
"""Words before which "in" behind a number is a unit."""

MAX_QUESTION_LENGTH = 2000
"""Characters; the longest question of the warehouse data set has a few hundred."""

_PLAIN_CHARACTERS = {
    **dict.fromkeys(map(ord, "\u2018\u2019\u00b4`"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e"), '"'),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-"),
    ord("\u00b2"): "2",
    ord("\u00b3"): "3",
    ord("_"): " ",
}
"""Typographic quotes and dashes as plain ones; an underscore joins words like a space."""

# Each alternative starts with another kind of character, so matching is linear in the text.
_WORD = re.compile(
    r"<mask>|\[ ?(?:region ?#? ?)?[0-9]+ ?\]|[0-9]+(?:st|nd|rd|th)\b|3d\b|[0-9]+\.[0-9]+"
    r"|[0-9]+,[0-9]+(?= ?(?:m|cm|mm|metern?|zoll|fu\u00df)\b)|[0-9]+"
    r"|(?:m|ft)[23](?![0-9])|[^\W\d_]+(?:'[^\W\d_]+)*|\S",
    re.IGNORECASE,
)
_COMPARISON = re.compile(r"(?<=\s)[<>]=?(?=\s|\d)|(?<=\w)\s?\|\s?(?=[^\W\d_])")
"""Signs of comparison, and "left|right"; no special token is written like that."""
_MILLIMETERS = r"mm|millimet(?:er|re)[sn]?"
_GROUPED = re.compile(
    r"(?<![\d.,])([1-9]\d{0,2})([.,])(\d{3})(?=[ -]?(?:("
    + _MILLIMETERS
    + r")|[cd]?m|(?:[cd]ent?i|dezi|zenti)?met(?:er|re)[sn]?|zoll|fu\u00df|ft|feet|foot|inch(?:es)?"
    r"|yards?)\b)",
    re.IGNORECASE,
)
"""A length whose comma or point stands before three digits, as behind thousands."""

_BRACKETED = re.compile(r"\bregion ?\[ ?(\d+) ?\]|<region[ _]?#?(\d+)>", re.IGNORECASE)
"""Regions as data sets and other models write them; "<mask1>" would be the first of the masks."""

_NUMBER_SIGNS = frozenset({"#", "number", "no", "nr", "id", "nummer"})
_STOPS = frozenset({".", ":", ";", "!", "?", "-", ","})
"""What separates the parts of a question; all are read as a comma."""


@dataclass(frozen=True)
class Word:
    """One word of a question.

    Attributes:
        key: as it is looked up: in lower case, corrected, a region id as digits.
        text: as it was written.
        start, end: where it stands in the text.
        article: the article before it, "" without one.
        kind: "word", "number", "mask" or "region" (the last for "[Region 3]").
    """

    key: str
    text: str
    start: int
    end: int
    article: str = ""
    kind: str = "word"


def clean_text(text: str) -> str:
    """Plain characters, single spaces, without the data sets' `<image>`.

    Raises:
        SpatialError: BAD_QUESTION for a text that is too long, has control characters, or
            placeholders other than `<mask>`.
    """
    if len(text) > MAX_QUESTION_LENGTH:
        raise bad_question(
            f"the question has {len(text)} characters; at most {MAX_QUESTION_LENGTH} are read"
        )
    for character in text:
        if unicodedata.category(character)[0] == "C" and character not in "\n\r\t":
            raise bad_question(
                f"the question contains the control character U+{ord(character):04X}; "
                "send plain text"
            )
    plain = " ".join(without_image(unicodedata.normalize("NFC", text)).split())
    plain = re.sub(r"<-*>|-+>|\u2192|\u2194", " to ", plain)
    plain = _BRACKETED.sub(lambda match: f"[Region {match[1] or match[2]}]", plain)
    _check_specials(plain)
    return _GROUPED.sub(_ungrouped, plain.translate(_PLAIN_CHARACTERS))


def _ungrouped(match: re.Match[str]) -> str:
    """A number without the comma of its thousands: nobody measures thousandths of a millimeter.

    Raises:
        SpatialError: BAD_QUESTION where it may as well be a fraction.
    """
    whole, sign, digits, is_millimeters = match.groups()
    if sign == "," and is_millimeters:
        return whole + digits
    if sign == "." and not is_millimeters:
        return match[0]
    raise bad_question(
        f'"{match[0]}" may be {whole}{digits} or {whole}.{digits.rstrip("0") or "0"}; write it '
        "without a separator, or with one or two digits behind a point"
    )


def _check_specials(text: str) -> None:
    """Only `<mask>` may look like a special token: others would reach the model's tokenizer."""
    rest = _COMPARISON.sub(lambda match: " " * len(match[0]), text.replace(MASK, " " * len(MASK)))
    positions = [position for position in map(rest.find, "<>|") if position >= 0]
    if positions:
        snippet = text[min(positions) :].split()[0]
        raise bad_question(
            f"{MASK} is the only placeholder that is read, found {quote(snippet)}; name a region "
            'by its class and id, such as "pallet 3", or "region 3"'
        )


def split_words(text: str, lexicon: Lexicon, nouns: Collection[str]) -> list[Word]:
    """The words of a cleaned text; contractions are taken apart, articles and fillers removed.

    Args:
        text: cleaned.
        lexicon: of its language.
        nouns: words for classes, which are never removed.
    """
    words: list[Word] = []
    article: Word | None = None
    for whole, raw, start, end in _raw_words(text, nouns):
        if whole == lexicon.ordinal_sign and _makes_ordinal(text, end, words, nouns):
            words[-1] = replace(words[-1], key=words[-1].key + whole, kind="word")
            continue
        spelling = lexicon.spellings.get(whole)
        for key in [whole] if spelling is None else spelling.split():
            if key in lexicon.definite or key in lexicon.indefinite:
                if article is not None:
                    # Of two articles in a row the first is a pronoun: "eine der Paletten".
                    words.append(article)
                article = Word(key, raw, start, end)
                if key in lexicon.pronouns and words and words[-1].key == ",":
                    words.append(article)
                    article = None
            elif key not in lexicon.fillers:
                key = "," if key in _STOPS else key
                words.append(_word(key, raw, start, end, article.key if article else ""))
                article = None
    return _with_single_commas(_without_number_signs(words))


def _makes_ordinal(text: str, end: int, words: Sequence[Word], nouns: Collection[str]) -> bool:
    """Whether a period stands behind a number that is no id, within a sentence."""
    return (
        bool(words)
        and words[-1].kind == "number"
        and words[-1].end == end - 1
        and text[end:].strip(" ?.!,") != ""
        and not (len(words) > 1 and words[-2].key in nouns)
    )


def _raw_words(text: str, nouns: Collection[str]) -> Iterable[tuple[str, str, int, int]]:
    for match in _WORD.finditer(text):
        raw, start, end = match.group(), match.start(), match.end()
        key = raw.lower()
        if raw == "-" and text[start - 1 : start].isalpha() and text[end : end + 1].isalnum():
            continue
        if raw == "-" and text[end : end + 1].isdigit():
            yield "minus", raw, start, end
            continue
        if key.endswith("n't") and len(key) > len("n't"):
            stem = {"ca": "can", "wo": "will"}.get(key[:-3], key[:-3])
            yield stem, raw[:-3], start, end - 3
            # "Isn't it ...?" asks whether it is.
            if start > 0:
                yield "not", raw[-3:], end - 3, end
        elif key in ("whats", "hows", "wheres"):
            yield key[:-1], raw[:-1], start, end - 1
            yield "is", raw[-1:], end - 1, end
        elif key.endswith("'s") and len(key) > 2 and key[:-2] not in nouns:
            yield key[:-2], raw[:-2], start, end - 2
            yield "is", raw[-2:], end - 2, end
        elif key.endswith(("'m", "'ve")):
            stem, _, end_of_it = key.partition("'")
            yield stem, raw, start, end
            yield {"m": "am", "ve": "have"}[end_of_it], raw, start, end
        elif key.endswith("'re"):
            yield key[:-3], raw[:-3], start, end - 3
            yield "are", raw[-3:], end - 3, end
        elif key.endswith("'s") and len(key) > 2:
            yield key[:-2], raw[:-2], start, end - 2
            yield "'s", raw[-2:], end - 2, end
        elif key == "'" and text[end : end + 1] == "s":
            yield "'s", "'s", start, end + 1
        elif key == "s" and text[start - 1 : start] == "'":
            continue
        else:
            yield key, raw, start, end


def _word(key: str, raw: str, start: int, end: int, article: str) -> Word:
    if key == MASK:
        return Word(key, raw, start, end, article, "mask")
    if key.startswith("[") and len(key) > 1:
        return Word(re.sub("[^0-9]", "", key), raw, start, end, article, "region")
    if key[0].isascii() and key[0].isdigit() and (key.isascii() and key[-1].isdigit()):
        return Word(key.replace(",", "."), raw, start, end, article, "number")
    return Word(key, raw, start, end, article)


def _without_number_signs(words: Sequence[Word]) -> list[Word]:
    """For "pallet #3", "pallet no. 3" and "pallet number 3" as "pallet 3"."""
    kept: list[Word] = []
    for position, word in enumerate(words):
        following = words[position + 1 : position + 3]
        if word.key in _NUMBER_SIGNS and following:
            number = following[following[0].text == "." :][:1]
            if number and number[0].kind == "number":
                continue
        after_sign = position > 0 and words[position - 1].key in _NUMBER_SIGNS
        if not (word.text == "." and after_sign):
            kept.append(word)
    return kept


def with_named_class(words: Sequence[Word], nouns: NounTable, lexicon: Lexicon) -> list[Word]:
    """With a class that stands last before the numbers that have none: "16 in buffer 1 (pallet)".

    A noun in the singular needs just one such number, one in the plural at least two.

    Args:
        words: of the text.
        nouns: words for classes.
        lexicon: of the language.
    """
    found = _class_at_end(words, nouns, lexicon)
    if found is None:
        return list(words)
    start, noun, phrase = found
    kept = list(words[:start])
    bare = [place for place in range(len(kept)) if _is_without_noun(kept, place, nouns, lexicon)]
    if (len(bare) < 2) if noun.plural else (len(bare) != 1):
        return list(words)
    for place in reversed(bare):
        number = kept[place]
        kept[place:place] = [replace(number, key=key, kind="word") for key in phrase]
    return kept


def with_numbers_named(
    words: Sequence[Word], nouns: NounTable, lexicon: Lexicon
) -> list[Word] | None:
    """With "region" before each number that may be an id and has no class: "sort 7, 12 and 15".

    Args:
        words: of the text.
        nouns: words for classes.
        lexicon: of the language.

    Returns:
        None where there is no such number.
    """
    bare = [
        place for place in range(len(words))
        if _is_without_noun(words, place, nouns, lexicon) and not _counts(words, place, nouns)
    ]  # fmt: skip
    if not bare:
        return None
    (region,) = lexicon.nouns[ANY_REGION][0][0]
    named = list(words)
    for place in reversed(bare):
        named.insert(place, replace(named[place], key=region, kind="word"))
    return named


def _counts(words: Sequence[Word], place: int, nouns: NounTable) -> bool:
    """Whether a noun stands behind a number: "3 pallets"."""
    following = [word.key for word in words[place + 1 : place + 3]]
    return any(tuple(following[:length]) in nouns for length in (1, 2) if following[length - 1 :])


def _class_at_end(
    words: Sequence[Word], nouns: NounTable, lexicon: Lexicon
) -> tuple[int, Noun, Phrase] | None:
    """Where a class begins that follows a comma at the end, and its singular."""
    keys = [word.key for word in words]
    end = len(keys)
    while end and keys[end - 1] in lexicon.afterthoughts:
        end -= 1
    for length in (3, 2, 1):
        start = end - length
        meanings = nouns.get(tuple(keys[start:end])) if start > 0 else None
        if not meanings or words[start].article in lexicon.indefinite:
            continue
        while start > 1 and keys[start - 1] in lexicon.afterthoughts:
            start -= 1
        if keys[start - 1] in (",", "("):
            singular = [pair[0] for pair in lexicon.nouns.get(meanings[0].name, ())][:1]
            return (start - 1, meanings[0], singular[0]) if singular else None
    return None


def _is_without_noun(words: Sequence[Word], place: int, nouns: NounTable, lexicon: Lexicon) -> bool:
    """Whether a number is no id behind a noun, no member of a list, and no measure."""
    if words[place].kind != "number" or "." in words[place].key:
        return False
    after = tuple(word.key for word in words[place + 1 : place + 3])
    if after[:1] != ("in",) and (after[:1] in lexicon.units or after in lexicon.units):
        return False
    at = place - 1
    while at > 0 and (words[at].key in lexicon.joins or words[at].kind == "number"):
        at -= 1
    return at < 0 or (words[at].key,) not in nouns


def _with_single_commas(words: Sequence[Word]) -> list[Word]:
    """Without commas at the start, at the end, and after another."""
    kept: list[Word] = []
    for word in words:
        if word.key != "," or (kept and kept[-1].key != ","):
            kept.append(word)
    while kept and kept[-1].key == ",":
        kept.pop()
    return kept


class Words:
    """The words of one question about one frame, and the terminals of the grammar on them.

    Args:
        words: from `split_words`.
        lexicon: their language.
        regions: of the frame.
        mask_ids: one for each `<mask>`, in order.

    Attributes:
        problems: with ids that were examined, for the error where there is no reading.
    """

    def __init__(
        self,
        words: Sequence[Word],
        lexicon: Lexicon,
        regions: RegionSet,
        mask_ids: Sequence[int],
    ) -> None:
        self.words = [
            replace(word, key=lexicon.forms[word.key]) if word.key in lexicon.forms else word
            for word in words
        ]
        self._lexicon = lexicon
        self._regions = regions
        self.keys = [word.key if word.kind == "word" else "" for word in self.words]
        ids = iter(mask_ids)
        self._ids = {
            position: next(ids) if word.kind == "mask" else int(word.key)
            for position, word in enumerate(words)
            if word.kind in ("mask", "region")
        }
        self.problems: list[SpatialError] = []
        self.nouns = noun_table(lexicon, tuple(regions.labels))
        self._longest = max(map(len, self.nouns))

    @property
    def terminals(self) -> Mapping[str, Terminal]:
        """What reads each of `lexicon.TERMINALS`."""
        return {
            "NOUN": self._noun,
            "NAMED": self._named,
            "MASKED": self._masked,
            "TYPED": self._typed,
            "NAMED_LIST": self._named_list,
            "BARE_ID": self._bare_id,
            "BARE_LIST": self._bare_list,
            "NUM": self._number,
            "CARD": self._cardinal,
            "ORD": self._ordinal,
            "UNIT": self._unit,
            "INDEF": self._indefinite,
            "DEF": self._definite,
            "THE": self._with_the,
            "PLAIN": self._without_article,
            "PIXEL": self._pixel,
        }

    def _noun(self, position: int) -> list[Reading]:
        nouns = [
            (end, noun)
            for end, noun in self._nouns_at(position)
            if not self._has_id(end) and not self._is_camera(position, end, noun)
        ]
        before = self.keys[position - 1] if position else ""
        if nouns and self._lexicon.singular & {before, self._article_of(position)}:
            singular = {end for end, noun in nouns if not noun.plural}
            nouns = [(end, noun) for end, noun in nouns if not (noun.plural and end in singular)]
        return [Reading(end, noun, open=True) for end, noun in nouns]

    def _article_of(self, position: int) -> str:
        """The article of a noun, before up to two adjectives."""
        for at in range(position, max(position - 3, -1), -1):
            if self.words[at].article or self._nouns_at(at - 1):
                return self.words[at].article
        return ""

    def _is_camera(self, start: int, end: int, noun: Noun) -> bool:
        """For "The robot" is the camera unless regions are called so; "which robot" is not."""
        words = self.keys[start:end]
        if start and not self.words[start].article and (
            self.keys[start - 1] in self._lexicon.determiners
        ):  # fmt: skip
            return False
        own = " ".join(words) in {label_noun(label) for label in self._regions.labels}
        return not noun.plural and not own and words[-1] in self._lexicon.camera_nouns

    def _nouns_at(self, position: int) -> list[tuple[int, Noun]]:
        found = []
        for length in range(1, self._longest + 1):
            if position + length <= len(self.keys):
                phrase = tuple(self.keys[position : position + length])
                found += [(position + length, noun) for noun in self.nouns.get(phrase, ())]
        return found

    def _has_id(self, position: int) -> bool:
        if position in self._ids:
            return True
        return self._whole_number(position) is not None and not self._is_measure(position)

    def _is_measure(self, position: int) -> bool:
        """Whether a number is that of a quantity: a unit or a noun in the plural follows."""
        if self._follows_something(position + 1):
            return False  # "in buffer 2 the pallets", "in buffer 2 now pallets"
        following = [noun.plural for _, noun in self._nouns_at(position + 1)]
        return bool(self._unit(position + 1)) or (bool(following) and all(following))

    def _follows_something(self, position: int) -> bool:
        """Whether an article or another word was removed before a word."""
        if not 0 < position < len(self.words):
            return False
        return self.words[position].start > self.words[position - 1].end + 1

    def _whole_number(self, position: int) -> int | None:
        if position >= len(self.words):
            return None
        word = self.words[position]
        if word.kind == "number" and word.key.isdigit():
            padded = len(word.key) > 1 and word.key.startswith("0")
            return None if padded else int(word.key)
        return None

    def _named(self, position: int) -> list[Reading]:
        """For "pallet 3", "<mask>", "the pallet <mask>", "[Region 3]", "#3"."""
        if position in self._ids:
            if position + 1 in self._ids or not self._is_fit(self._ids[position], None):
                return []
            return [Reading(position + 1, Region(self._ids[position]))]
        found = []
        for end, noun in self._nouns_at(position):
            if end in self._ids and end + 1 in self._ids:
                continue
            id, after = self._id_after(end), end + 1
            word = self._number_word(end) if id is None and not noun.plural else None
            if word is not None and not self._is_measure(word[1] - 1):
                id, after = word
            if id is not None and self._is_fit(id, noun, in_words=end not in self._ids):
                found.append(Reading(after, Region(id)))
        return found

    def _masked(self, position: int) -> list[Reading]:
        """As `_named`, of a region that a placeholder or "[Region 3]" stands for."""
        return [reading for reading in self._named(position) if reading.end - 1 in self._ids]

    def _typed(self, position: int) -> list[Reading]:
        """As `_named`, of a region whose id is written."""
        return [reading for reading in self._named(position) if reading.end - 1 not in self._ids]

    def _id_after(self, position: int) -> int | None:
        if position in self._ids:
            return self._ids[position]
        number = self._whole_number(position)
        return None if number is None or self._is_measure(position) else number

    def _number_word(self, position: int) -> tuple[int, int] | None:
        """A number in words, and the position after it: "twenty-four" has two."""
        if position >= len(self.keys):
            return None
        number = self._lexicon.numbers.get(self.keys[position])
        if number is None:
            return None
        following = self.keys[position + 1] if position + 1 < len(self.keys) else ""
        ones = self._lexicon.numbers.get(following, 0)
        if number >= 20 and number % 10 == 0 and 0 < ones < 10:
            return number + ones, position + 2
        return number, position + 1

    def _named_list(self, position: int) -> list[Reading]:
        """For "pallets 3, 4 and 5", "the pallets <mask> <mask>", "<mask>, <mask>"."""
        starts: list[tuple[int, Noun | None]] = [*dict(self._nouns_at(position)).items()]
        if not starts and position in self._ids:
            starts = [(position, None)]
        return self._lists_from(starts)

    def _bare_list(self, position: int) -> list[Reading]:
        """For "3, 4 and 5" behind a noun and a preposition."""
        return self._lists_from([(position, None)])

    def _lists_from(self, starts: Sequence[tuple[int, Noun | None]]) -> list[Reading]:
        found = []
        for start, noun in starts:
            ids: list[int] = []
            at = start
            in_words = noun is not None and noun.plural and self._whole_number(start) is None
            joins: set[str] = set()
            while True:
                id, after = self._id_at(at, ids, in_words)
                if id is None or not self._is_fit(id, noun, in_words=at not in self._ids):
                    break
                if id in ids:
                    self.problems.append(bad_question(f"region {id} is named twice"))
                    break
                ids.append(id)
                at = after
                # "<mask> <mask> <mask>" is one list, never two.
                if len(ids) > 1 and self.words[at : at + 1] != [] and at in self._ids:
                    continue
                if len(ids) > 1:
                    one_of = self._lexicon.alternatives & joins
                    listed = Listed(tuple(ids))
                    value = Alternatives(Listed, listed.arguments) if one_of else listed
                    found.append(Reading(at, value))
                after = self._after_joins(at)
                joins.update(self.keys[at:after])
                at = after
        return found

    def _id_at(
        self, position: int, before: Sequence[int], in_words: bool
    ) -> tuple[int | None, int]:
        """An id of a list, and the position after it; either all are in words, or none is."""
        if position in self._ids:
            return self._ids[position], position + 1
        number, after = self._whole_number(position), position + 1
        if in_words:
            number, after = self._number_word(position) or (None, after)
        if number is None or self._is_measure(after - 1):
            return None, after
        return (None if before and number not in self._regions else number), after

    def _after_joins(self, position: int) -> int:
        """Over ", ", "and" and ", and"."""
        for _ in range(2):
            if position < len(self.keys) and self.keys[position] in self._lexicon.joins:
                position += 1
        return position

    def _bare_id(self, position: int) -> list[Reading]:
        number = self._whole_number(position)
        if number is None or self._is_measure(position) or not self._is_fit(number, None):
            return []
        return [Reading(position + 1, Region(number))]

    def _is_fit(self, id: int, noun: Noun | None, in_words: bool = False) -> bool:
        """Whether a noun and an id mean a region of the frame; what does not is noted."""
        try:
            self._check_class(id, noun)
            if in_words and noun is not None and noun.name not in ("", ANY_REGION):
                self._check_namesake(id)
        except SpatialError as error:
            self.problems.append(error)
            return False
        return True

    def _check_class(self, id: int, noun: Noun | None) -> None:
        """A typed name of another class is a mistake that must be reported."""
        region = self._regions[id]
        if noun is None:
            return
        own = label_noun(region.label)
        if not own or noun.name in ("", ANY_REGION):
            return
        if noun.name not in (own, known_class(own)) and known_class(noun.name) != known_class(own):
            raise SpatialError(
                Status.UNKNOWN_REGION,
                f"region {id} is a {own}, no {noun.name}; the {noun.name} regions are: "
                f"{self._of_class(noun.name)}{self._unmapped(noun.name)}",
            )

    def _unmapped(self, name: str) -> str:
        """What is to be known about the labels of a frame where a class is missed."""
        of_class = {label for label in self._regions.labels if known_class(label) == name}
        doubt = doubt_of_class(of_class, self._regions)
        return f"; there are {doubt}" if doubt else ""

    def _check_namesake(self, id: int) -> None:
        """Refuse "pallet 3" where region 3 has another name, and another one is called pallet_3."""
        other = namesake(self._regions, id)
        if other is not None:
            raise bad_question(
                f'{id} can be region {id}, which is called "{self._regions[id].source_label}", or '
                f'region {other.id}, which is called "{other.source_label}"; say "region {id}" or '
                f'"region {other.id}"'
            )

    def _of_class(self, name: str) -> str:
        members = [
            region
            for region in self._regions
            if name in (label_noun(region.label), known_class(region.label))
        ]
        return names_of(members) or "none"

    def _number(self, position: int) -> list[Reading]:
        if position < len(self.words) and self.words[position].kind == "number":
            return [Reading(position + 1, float(self.words[position].key))]
        word = self._number_word(position)
        return [] if word is None else [Reading(word[1], float(word[0]))]

    def _cardinal(self, position: int) -> list[Reading]:
        number = self._whole_number(position)
        if number is not None:
            return [Reading(position + 1, number)]
        word = self._number_word(position)
        return [] if word is None else [Reading(word[1], word[0])]

    def _ordinal(self, position: int) -> list[Reading]:
        if position >= len(self.keys):
            return []
        key = self.keys[position]
        rank = self._lexicon.ordinals.get(key)
        if rank is None and re.fullmatch(r"[0-9]{1,3}(st|nd|rd|th|\.)", key):
            rank = int(re.sub("[^0-9]", "", key))
        return [Reading(position + 1, rank)] if rank else []

    def _unit(self, position: int) -> list[Reading]:
        found = []
        for length in (1, 2):
            phrase = tuple(self.keys[position : position + length])
            unit = self._lexicon.units.get(phrase)
            following = self.keys[position + length : position + length + 1]
            means_else = phrase[:1] == ("in",) and not AFTER_INCHES.intersection(following)
            if unit is not None and position + length <= len(self.keys) and not means_else:
                found.append(Reading(position + length, (*unit, " ".join(phrase))))
        return found

    def _indefinite(self, position: int) -> list[Reading]:
        """No word: whether "a" stands before the next one."""
        if position < len(self.words) and self.words[position].article in self._lexicon.indefinite:
            return [Reading(position, None)]
        return []

    def _definite(self, position: int) -> list[Reading]:
        """No word: whether the next one stands without "a"."""
        return [] if self._indefinite(position) else [Reading(position, None)]

    def _with_the(self, position: int) -> list[Reading]:
        """No word: whether "the" stands before the next one."""
        article = self.words[position].article if position < len(self.words) else ""
        return [Reading(position, article)] if article in self._lexicon.definite else []

    def _without_article(self, position: int) -> list[Reading]:
        """No word: whether the next one stands without an article."""
        if position < len(self.words) and not self.words[position].article:
            return [Reading(position, None)]
        return []

    def _pixel(self, position: int) -> list[Reading]:
        """For "(320, 240)", "320, 240" and "320 240"."""
        at = position + (self.keys[position : position + 1] == ["("])
        column = self._whole_number(at)
        at = self._after_joins(at + 1)
        row = self._whole_number(at)
        if column is None or row is None:
            return []
        end = at + 1
        if self.keys[position : position + 1] == ["("]:
            end += self.keys[end : end + 1] == [")"]
        return [Reading(end, (column, row))]


NounTable = Mapping[Phrase, tuple[Noun, ...]]
"""What a phrase means: in some languages a plural is written as the singular."""


@lru_cache(maxsize=64)
def noun_table(lexicon: Lexicon, labels: tuple[str, ...]) -> NounTable:
    """Phrases for the classes of a frame: those of the lexicon, and the labels as they are.

    Cached, for the frames of one camera hardly differ in their labels.
    """
    nouns: dict[Phrase, tuple[Noun, ...]] = {}
    present = {label_noun(label) for label in labels}
    for name, forms in lexicon.nouns.items():
        for singular, plural in forms:
            # A label of the frame that is used as it is written means that label alone.
            own = " ".join(singular) if " ".join(singular) in present else name
            pronouns = lexicon.agreement.get(singular[-1], frozenset())
            numbers = {singular: (Noun(own, plural=False, pronouns=pronouns),)}
            pronouns = lexicon.agreement.get("", frozenset())
            numbers[plural] = (
                *numbers.get(plural, ()),
                Noun(own, plural=True, pronouns=pronouns),
            )
            for phrase, meanings in numbers.items():
                if len(nouns.get(phrase, ())) < len(meanings):
                    nouns[phrase] = meanings
    for label in present:
        words = tuple(label.split())
        if words and all(word.isalpha() for word in words):
            nouns.setdefault(words, (Noun(label, plural=False),))
            nouns.setdefault(plural_of(words), (Noun(label, plural=True),))
    return nouns


IRREGULAR_PLURALS = {"shelf": "shelves", "person": "people"}


def plural_of(words: Phrase) -> Phrase:
    """The English plural of a noun or of the last word of a compound noun."""
    *head, last = words
    if last in IRREGULAR_PLURALS:
        ending = IRREGULAR_PLURALS[last]
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        ending = last[:-1] + "ies"
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        ending = last + "es"
    else:
        ending = last + "s"
    return (*head, ending)


def corrected(
    words: Sequence[Word],
    known: Callable[[str], bool],
    vocabulary: Iterable[str],
    nouns: Collection[str],
) -> list[list[Word]]:
    """The ways to put typos right: one edit, in words of five letters or more.

    Where several words are near, only names of classes count: "pallete" is "pallet" or "pallets",
    but "weight", near "height" and "eight", may be a word by itself.

    Args:
        words: from `split_words`.
        known: whether a word means something.
        vocabulary: what a typo may have been.
        nouns: names of classes in it.

    Returns:
        At most `MAX_CORRECTIONS`; the words as they are where no word is near, or too many are.
    """
    choices: list[list[Word]] = []
    by_length: dict[int, list[str]] = {}
    for word in words:
        if word.kind != "word" or known(word.key) or len(word.key) < SHORTEST_CORRECTED - 1:
            choices.append([word])
            continue
        # Most questions have no such word.
        by_length = by_length or _by_length(vocabulary)
        near = [
            entry
            for length in (-1, 0, 1)
            for entry in by_length.get(len(word.key) + length, ())
            if one_edit_apart(word.key, entry)
        ]
        if len(near) > 1:
            near = [entry for entry in near if entry in nouns]
        choices.append([replace(word, key=key) for key in dict.fromkeys(near)] or [word])
    if math.prod(map(len, choices)) > MAX_CORRECTIONS:
        choices = [
            choice if len(choice) == 1 else [word]
            for choice, word in zip(choices, words, strict=True)
        ]
    return [list(chosen) for chosen in product(*choices)]


def _by_length(vocabulary: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for entry in vocabulary:
        if len(entry) >= SHORTEST_CORRECTED:
            found.setdefault(len(entry), []).append(entry)
    return found


MAX_CORRECTIONS = 6
"""Ways to put typos right that are tried; a question with more of them has too many typos."""

SHORTEST_CORRECTED = 5
"""Letters of a word in which a typo is put right."""


def one_edit_apart(first: str, second: str) -> bool:
    """Whether one letter less, more, other, or two swapped make one word the other."""
    if len(first) > len(second):
        first, second = second, first
    start = 0
    while start < len(first) and first[start] == second[start]:
        start += 1
    if len(first) < len(second):
        return first[start:] == second[start + 1 :]
    if first[start + 1 :] == second[start + 1 :]:
        return True
    swapped = first[start : start + 2][::-1] + first[start + 2 :]
    return swapped == second[start:]


def quote(text: str) -> str:
    """A piece of the question for a message, cut to a readable length."""
    return f'"{text[:40]}..."' if len(text) > 40 else f'"{text}"'


def quote_all(texts: Iterable[str]) -> str:
    """Pieces of the question for a message, at most five of them."""
    distinct = list(dict.fromkeys(texts))
    return ", ".join([*map(quote, distinct[:5]), *["..."][: len(distinct) > 5]])
