"""The words and patterns of one language, from its file in `lexicons/`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from smolrgpt_core.language.builders import BUILDERS
from smolrgpt_core.language.context import Context, make_context
from smolrgpt_core.language.framing import Framing, make_framing
from smolrgpt_core.language.gist import GistTable, load_gists
from smolrgpt_core.language.grammar import Grammar, GrammarError
from smolrgpt_core.language.operators import OPERATORS
from smolrgpt_core.language.rewording import Rewording, read_classes, read_rewordings
from smolrgpt_core.language.synonyms import Synonyms, make_synonyms

LANGUAGES = ("english", "german")
"""Files in `lexicons/`; a question is read in the first in which it has a reading."""

GISTS = "gists"
"""File in `lexicons/` of the gists, which all languages share."""

OBJECT = "object"
"""Name of the class of words for regions of no certain class."""

TERMINALS = (
    "NOUN", "NAMED", "MASKED", "TYPED", "NAMED_LIST", "BARE_ID", "BARE_LIST", "NUM", "CARD", "ORD",
    "UNIT", "INDEF", "DEF", "THE", "PLAIN", "PIXEL",
)  # fmt: skip
"""Rules that `words.Words` reads."""

Phrase = tuple[str, ...]

_CAPTURING = re.compile(r"(?<!\\)\((?!\?)")
"""Opens a group without a name."""


@dataclass(frozen=True, eq=False)
class Lexicon:
    """One language.

    Attributes:
        grammar: its rules.
        definite, indefinite: its articles.
        pronouns: articles that are relative pronouns behind a comma, and stay there as words.
        singular: articles of a noun, and words right before it, that show that it is in the
            singular where its plural is written in the same way.
        agreement: the relative pronouns that can refer to a noun, by its last word; those of
            every plural under "".
        ordinal_sign: what behind a number makes it an ordinal ("2."); "" for none.
        joins: words between the members of a list of ids.
        afterthoughts: words beside a class that stands at the end: "(I mean the pallets)".
        alternatives: those of them behind which another one may be meant instead.
        camera_nouns: nouns that mean the camera where no id follows.
        determiners: words behind which they do not.
        nouns: (singular, plural) phrases by class.
        numbers: number words.
        ordinals: rank by word.
        units: (SI unit, factor, shown) by phrase.
        rewordings: patterns and what is read in their place.
        restatements: rewordings that are tried only where a question has no reading.
        synonyms: common words for rare ones where a question has no reading.
        spellings: the words that short forms and compounds stand for.
        forms: the word, as patterns have it, by each of its inflected forms.
        fillers: words without meaning.
        frames: what may stand before a question without changing it.
        endings: what may stand behind it.
        asides: how the unit of the answer is named anywhere in a question, with the unit as its
            group `unit`.
        unanswerable: the reason by word.
        distinct: words that are near to known ones and no misspelling of them.
        references: patterns, in lower case, of words for a region named before, and what is read in
            their place.
        context: what may stand around a question; None where nothing may.
        framing: what only wraps a question that is not understood; None where nothing does.
        gists: what is asked by words that fit no pattern.
    """

    grammar: Grammar
    definite: frozenset[str]
    indefinite: frozenset[str]
    pronouns: frozenset[str]
    singular: frozenset[str]
    agreement: Mapping[str, frozenset[str]]
    ordinal_sign: str
    joins: frozenset[str]
    afterthoughts: frozenset[str]
    alternatives: frozenset[str]
    camera_nouns: frozenset[str]
    determiners: frozenset[str]
    nouns: Mapping[str, Sequence[tuple[Phrase, Phrase]]]
    numbers: Mapping[str, int]
    ordinals: Mapping[str, int]
    units: Mapping[Phrase, tuple[str, float]]
    rewordings: Sequence[Rewording]
    restatements: Sequence[Rewording]
    synonyms: Synonyms
    spellings: Mapping[str, str]
    forms: Mapping[str, str]
    fillers: frozenset[str]
    frames: re.Pattern[str]
    endings: re.Pattern[str]
    asides: re.Pattern[str]
    unanswerable: Mapping[str, str]
    distinct: frozenset[str]
    references: Sequence[tuple[re.Pattern[str], str]]
    context: Context | None
    framing: Framing | None
    gists: GistTable

    @property
    def words(self) -> frozenset[str]:
        """Every word that means something."""
        return _words_of(self)

    @property
    def meaningful(self) -> frozenset[str]:
        """Words that are measured, compared, counted or named by themselves."""
        return _meaningful(self)


def _compounds(words: Mapping[str, Sequence[str]], forms: Mapping[str, str]) -> dict[str, str]:
    """Words that are written together with one of the prefixes, and how they are read."""
    prefixes = words.get("prefixes", ())
    return {
        prefix + form: f"{prefix} {word}" for prefix in prefixes for form, word in forms.items()
    }


@cache
def load_lexicon(language: str) -> Lexicon:
    """The lexicon of a language, read once.

    Raises:
        GrammarError: the file cannot be used.
    """
    sections = {**_file(GISTS), **_file(language)}
    words = {key: value.split() for key, value in _entries(sections["words"])}
    number_words = read_numbers(language)
    forms = dict(_inflected(sections.get("forms", "")))
    nouns = {key: tuple(_forms(value)) for key, value in _entries(sections["nouns"])}
    classes = read_classes(_entries(sections.get("classes", "")), _noun_classes(nouns))

    def reworded(section: str) -> tuple[Rewording, ...]:
        return tuple(read_rewordings(sections.get(section, ""), classes, number_words))

    lexicon = Lexicon(
        grammar=Grammar(sections["rules"], {**OPERATORS, **BUILDERS}, TERMINALS),
        definite=frozenset(words["definite"]),
        indefinite=frozenset(words["indefinite"]),
        pronouns=frozenset(words.get("pronouns", [])),
        singular=frozenset(words.get("singular", [])),
        agreement=_agreement(sections.get("agreement", "")),
        ordinal_sign="".join(words.get("ordinal", [])),
        joins=frozenset(words["joins"]),
        afterthoughts=frozenset(words.get("afterthoughts", ())),
        alternatives=frozenset(words.get("alternatives", ())),
        camera_nouns=frozenset(words["camera"]),
        determiners=frozenset(words.get("determiners", ())),
        nouns=nouns,
        numbers=number_words,
        ordinals=read_ordinals(language),
        units=(units := read_units(language)),
        rewordings=reworded("rewordings"),
        restatements=reworded("restatements"),
        synonyms=make_synonyms(list(_entries(sections.get("synonyms", "")))),
        spellings=_compounds(words, forms) | dict(_entries(sections["spellings"])),
        forms=forms,
        fillers=frozenset(sections["fillers"].split()),
        frames=_any_of(sections["frames"], r"^(?:{})(?:(?<!\w)|(?!\w))[ ,:;.!-]*"),
        endings=_any_of(sections["endings"], "[ ,]*\\b(?:{})[ ,?.!]*$"),
        asides=_asides(sections["asides"], _written(units, forms)),
        unanswerable=_unanswerable(sections["unanswerable"]),
        distinct=frozenset(sections.get("distinct", "").split()),
        references=tuple((item.pattern, item.replacement) for item in reworded("references")),
        context=make_context(dict(_entries(sections.get("context", "")))),
        framing=make_framing(dict(_entries(sections.get("framing", "")))),
        gists=load_gists(sections, {**OPERATORS, **BUILDERS}),
    )
    return _with_transcriptions(lexicon, [pair.split("=") for pair in words.get("letters", [])])


def load_languages() -> None:
    """Read all lexicons and compile all patterns, for which the first question waits otherwise."""
    for language in LANGUAGES:
        for rewording in load_lexicon(language).rewordings:
            _ = rewording.pattern


def read_numbers(language: str) -> dict[str, int]:
    """Numbers by their words."""
    return dict(_numbers(_file(language)["numbers"].split()))


def read_ordinals(language: str) -> dict[str, int]:
    """Ranks by their words, from one line of alternatives per rank."""
    lines = _file(language)["ordinals"].split()
    return {word: rank for rank, line in enumerate(lines, start=1) for word in line.split("|")}


def read_units(language: str) -> dict[Phrase, tuple[str, float]]:
    """SI unit and factor of each unit by its words."""
    return dict(_units(_file(language)["units"]))


def _agreement(section: str) -> dict[str, frozenset[str]]:
    """The pronouns of each noun; of "", those of any."""
    return {
        noun: frozenset(pronouns.split())
        for pronouns, nouns in _entries(section)
        for noun in nouns.split() or [""]
    }


def _unanswerable(section: str) -> dict[str, str]:
    """Why a question with a word has no answer."""
    return {word: reason for key, reason in _entries(section) for word in key.split()}


def _with_transcriptions(lexicon: Lexicon, letters: Sequence[Sequence[str]]) -> Lexicon:
    """Read words also as they are written without some letters: "naechste", "gross"."""
    spellings = dict(lexicon.spellings)
    for word in {*lexicon.words, *lexicon.spellings, *lexicon.fillers}:
        written = {word}
        for letter, replacement in letters:
            written |= {other.replace(letter, replacement) for other in written}
        for other in written - {word} - lexicon.words:
            spellings.setdefault(other, lexicon.spellings.get(word, word))
    return replace(lexicon, spellings=spellings)


@cache
def _words_of(lexicon: Lexicon) -> frozenset[str]:
    """Cached apart, for a `Lexicon` holds mappings."""
    nouns = [word for forms in lexicon.nouns.values() for pair in forms for form in pair
             for word in form]  # fmt: skip
    return frozenset(
        {*lexicon.grammar.words, *nouns, *lexicon.forms, *lexicon.numbers, *lexicon.ordinals,
         *lexicon.definite, *lexicon.indefinite, *lexicon.joins,
         *(word for unit in lexicon.units for word in unit)}
    )  # fmt: skip


@cache
def _meaningful(lexicon: Lexicon) -> frozenset[str]:
    nouns = [word for forms in lexicon.nouns.values() for pair in forms for form in pair
             for word in form]  # fmt: skip
    senses = [phrase[0] for phrase in lexicon.gists.senses if len(phrase) == 1]
    units = [phrase[0] for phrase in lexicon.units if len(phrase) == 1]
    return frozenset([*nouns, *senses, *units, *lexicon.numbers, *lexicon.ordinals])


@cache
def _file(name: str) -> dict[str, str]:
    """The sections of a file in `lexicons/`."""
    text = (files(__package__) / "lexicons" / f"{name}.txt").read_text(encoding="utf-8")
    return dict(_sections(text))


def _sections(text: str) -> Iterator[tuple[str, str]]:
    parts = re.split(r"^\[([a-z]+)\]$", text, flags=re.MULTILINE)
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        lines = [line for line in body.splitlines() if not line.startswith("#")]
        yield name, "\n".join(lines)


def _entries(body: str) -> Iterator[tuple[str, str]]:
    """Lines "key: value"; indented lines go on."""
    joined: list[str] = []
    for line in body.splitlines():
        if line[:1].isspace() and joined:
            joined[-1] += " " + line.strip()
        elif line.strip():
            joined.append(line)
    for line in joined:
        key, found, value = line.partition(":")
        if not found:
            raise GrammarError(f"expected 'key: value', got {line!r}")
        yield key.strip(), value.strip()


def _inflected(body: str) -> Iterator[tuple[str, str]]:
    """Forms with their words: "leer voll: +e +en" or "ist: steht liegt"."""
    for key, value in _entries(body):
        for word in key.split():
            for form in value.split():
                yield (word + form[1:] if form[0] == "+" else form), word


def _forms(value: str) -> Iterator[tuple[Phrase, Phrase]]:
    """Singular and plural: "pallet pallets | box pallet, box pallets"."""
    for pair in value.split("|"):
        forms = pair.split(",") if "," in pair else pair.split()
        if len(forms) != 2:
            raise GrammarError(f"expected singular and plural, got {pair!r}")
        yield tuple(forms[0].split()), tuple(forms[1].split())


def _noun_classes(nouns: Mapping[str, Sequence[tuple[Phrase, Phrase]]]) -> dict[str, str]:
    """Classes of words for one and for several of each class: "pallet" and "pallets"."""
    classes: dict[str, str] = {}
    for key, forms in nouns.items():
        for ending, words in zip(("", "s"), zip(*forms, strict=True), strict=True):
            # The longest first, as the first alternative that fits is taken.
            phrases = sorted({" ".join(phrase) for phrase in words}, key=len, reverse=True)
            classes[f"{key or OBJECT}{ending}"] = "|".join(map(re.escape, phrases))
    return classes


def _numbers(items: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Words in the order of what they mean, and "thirty=30"; "a|b" for two of one meaning."""
    for number, item in enumerate(items):
        words, _, value = item.partition("=")
        for word in words.split("|"):
            yield word, int(value or number)


def _units(body: str) -> Iterator[tuple[Phrase, tuple[str, float]]]:
    for key, value in _entries(body):
        unit, factor = key.split()
        for group in value.split("|"):
            for phrase in group.split(",") if "," in group or "|" in value else group.split():
                yield tuple(phrase.split()), (unit, float(factor))


def _written(units: Iterable[Phrase], forms: Mapping[str, str]) -> list[Phrase]:
    """Units as they may be written: a form of their word too."""
    known = list(units)
    return [*known, *((form,) for form, word in forms.items() if (word,) in known)]


def _asides(body: str, units: Iterable[Phrase]) -> re.Pattern[str]:
    """What names a unit: "in cm", "(cm)", ", please answer in cm"."""
    words = sorted((" ".join(unit) for unit in units), key=len, reverse=True)
    unit = "|".join(map(re.escape, words))
    frame = (
        rf"[ ,;:.?!-]*(?:\((?= ?(?:in )?(?:{unit}) ?\)) ?(?:in )?|(?<!\w)(?:{{}}|units?:?) )"
        rf"(?P<unit>{unit})(?!\w| ?\d)[ ).,:;-]*"
    )
    return _any_of(body, frame)


def _any_of(body: str, frame: str) -> re.Pattern[str]:
    """A pattern for any of some lines, in lower case.

    Its groups are not captured: to remember them takes most of the time that such a pattern takes.
    """
    alternatives = [line.strip() for line in body.splitlines() if line.strip()]
    return re.compile(_CAPTURING.sub("(?:", frame.format("|".join(alternatives))))
