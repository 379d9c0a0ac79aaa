"""Which class a label clearly means: "Pallet-3" and "SM_PaletteA_01" are pallets.

Detectors, simulators and data sets number their objects, describe them, or name the asset. The
object that an English name means is its last noun ("euro pallet" is a pallet, "pallet rack" a
rack); numbers, letters and describing words around it say which one or of what kind. Everything
else is left as it is: a "pallet stack", a "safety zone" or a "0" could be anything.
"""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache

from smolrgpt_core.object_classes import LABEL_SYNONYMS, is_known


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OTHER_NAMES = {
    **dict.fromkeys(("palette", "palet", "epal"), "pallet"),
    "bufferzone": "buffer zone", "racking": "rack",
    **dict.fromkeys(
        ("pallet truck", "pallet jack", "palletjack", "lift truck", "fork truck",
         "forklift truck", "reach truck"), "transporter"),
}  # fmt: skip
"""Names of assets and trades beside those of the questions. SM_PaletteA is one of Isaac Sim's."""

_PLURALS = {"shelf": "shelves"}

_NAMES = {
    **{name: name for names in LABEL_SYNONYMS.values() for name in names},
    **_OTHER_NAMES,
}
_PLURAL_NAMES = {_PLURALS.get(name, f"{name}s"): meant for name, meant in _NAMES.items()}
_PLURAL_NAMES["paletten"] = _NAMES["palette"]
_NAMES.update(_PLURAL_NAMES)
_LONGEST_NAME = max(len(name.split()) for name in _NAMES)

_TOO_GENERAL = _word_set("zone area robot vehicle")
"""A "safety zone" is no buffer and a "robot arm" no transporter: these names stand alone."""

_COMPOUNDS = tuple(
    ending
    for name in ("pallet", "palette", "palet", "forklift", "transporter")
    for ending in (name, f"{name}s", f"{name}n")
    if ending in _NAMES
)
"""Names that other words are joined to, as in "Europallet" and "Holzpaletten"."""

_DESCRIBING = _word_set(
    """
    wood wooden plastic metal steel aluminium aluminum cardboard paper
    red green blue yellow orange white black grey gray brown dark light
    small large big medium long short wide high low half full empty loaded unloaded laden stacked
    wrapped old new used clean dirty broken damaged intact left right north south east west
    eur euro epal iso chep block stringer industrial standard heavy
    """
)
"""Words that may follow a name: "pallet_wood"; not those of its parts ("pallet front")."""

_NO_PART_OF_A_NAME = _word_set(
    """
    sm sk bp sim geo geom geometry mesh meshes visual visuals collision collisions xform ref link
    body prim instance inst object obj asset prop section unit lod var variant copy clone
    """
)
"""What engines and exporters put around a name."""

_NUMBER_SIGNS = _word_set("no nr num number id")
_NEGATIONS = _word_set("no non not un toy fake")
_OTHER_KINDS = _word_set("belt conveyor chain roller server network bike")
"""Words that make another object of a name: a "belt transporter", a "server rack"."""

_SEVERAL = _word_set("stacked piled multiple several many two three four group")
"""Before a plural they mean more than one object in a region."""

_ALMOST = 0.85
"""A word is almost another one if at least so many of their letters are the same, in order."""

_SHORTEST = 3
"""Letters of an abbreviation of a name, at least."""

_VOWELS = frozenset("aeiou")

_JOINS = _word_set("and or plus")
_PREPOSITIONS = _word_set(
    "with without on in inside at near under below above behind beside from of for by to"
)

_WORD_BORDER = re.compile(
    r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"
)
_PATH_STEP = re.compile(r"::|[/\\]")
_NUMBERED = re.compile(r"([^\W\d_]{3,}(?:[ _-][^\W\d_]+)*)(?: ?#|[ _.-])\d+")
_INDEX = re.compile(r"(?:class|category|label|cls|type|id)[ _:.-]?(\d+)", re.IGNORECASE)

_GENERIC_WORDS = _word_set(
    """
    class category label cls type id object obj instance inst region mask segment item thing part
    group cluster track entity node
    """
)
"""Words before a number that name no class: "object_7"."""


@lru_cache(maxsize=20_000)
def class_in(label: str) -> str:
    """The class that a label clearly means, as a noun; empty where none is clear.

    Args:
        label: as its source wrote it, for capital letters part words ("PalletA").
    """
    if is_known(label):
        return ""
    if "," in label:
        return _class_in_list([part.strip() for part in label.split(",")])
    name = _last_step(label)
    return _class_of_words(words_of(name)) or _without_number(name)


def index_in(label: str) -> str:
    """The number in "class_0" and "0"; empty for any other label."""
    if label.isascii() and label.isdigit():
        return label
    match = _INDEX.fullmatch(label)
    return match.group(1) if match else ""


def number_in(label: str) -> int | None:
    """The last number in a label, which identifies it within its class; None without any."""
    found = [] if index_in(label) else re.findall(r"[0-9]{1,9}", _last_step(label))
    return int(found[-1]) if found else None


def names_no_class(label: str) -> bool:
    """Whether a label could stand for any class: a number, "object_7"."""
    named = [word for word in words_of(label) if not word.isdigit()]
    return set(named) <= _GENERIC_WORDS


def sounds_like(label: str, name: str) -> bool:
    """Whether a label may be a way to write the name of a class: "pallett", "plt", "pallet bay"."""
    words = words_of(unicodedata.normalize("NFKC", label))
    if set(words) & _NEGATIONS:
        return False
    spellings = {name, *(other for other, meant in _OTHER_NAMES.items() if meant == name)}
    return any(spelling in "".join(words) for spelling in spellings) or any(
        SequenceMatcher(None, word, name).ratio() > _ALMOST or _abbreviates(word, name)
        for word in words
    )


def _abbreviates(word: str, class_name: str) -> bool:
    """Whether a word may be short for a name of a class: "plt", "plts", "pal", "frklft"."""
    singular = word.removesuffix("s")
    return len(singular) >= _SHORTEST and any(
        _is_short_for(singular, name) for name in LABEL_SYNONYMS.get(class_name, (class_name,))
    )


def _is_short_for(word: str, name: str) -> bool:
    """Whether a word is a name's beginning, or begins alike and is some of its consonants."""
    if len(word) >= len(name) or " " in name:
        return False
    letters = iter(name[1:])
    is_thinned = all(letter in letters and letter not in _VOWELS for letter in word[1:])
    return name.startswith(word) or (word[0] == name[0] and is_thinned)


def words_of(label: str) -> tuple[str, ...]:
    """The words and numbers of a label in lower case: "EuroPallet_01" has three."""
    return tuple(re.findall(r"[^\W_]+", _WORD_BORDER.sub(" ", label).lower()))


def _class_of_words(words: tuple[str, ...]) -> str:
    following = (*words[1:], "")
    words = tuple(
        word
        for word, after in zip(words, following, strict=False)
        if not (word in _NUMBER_SIGNS and after.isdigit())
    )
    if set(words) & (_NEGATIONS | _JOINS | _OTHER_KINDS):
        return ""
    named: list[str] = []
    for word in words:
        if word in _PREPOSITIONS:
            break
        if len(word) > 1 and not word.isdigit() and word not in _NO_PART_OF_A_NAME:
            named.append(word)
    if named and named[-1] in _PLURAL_NAMES and (words[0].isdigit() or _SEVERAL & set(named)):
        return ""
    while len(named) > 1 and named[-1] in _DESCRIBING:
        named.pop()
    return _class_at_the_end(named)


def _class_at_the_end(words: list[str]) -> str:
    for size in range(min(_LONGEST_NAME, len(words)), 0, -1):
        name = " ".join(words[-size:])
        if name in _NAMES:
            is_alone = size == len(words)
            return _NAMES[name] if is_alone or _NAMES[name] not in _TOO_GENERAL else ""
    ending = next((end for end in _COMPOUNDS if words and words[-1].endswith(end)), "")
    return _NAMES[ending] if ending else ""


def _class_in_list(parts: list[str]) -> str:
    """The class of "pallet,wood": one part names it, the others describe or number it."""
    classes = {part: known_or_meant(part) for part in parts}
    unnamed = {word for part in parts if not classes[part] for word in words_of(part)}
    is_described = all(word in _DESCRIBING or word.isdigit() for word in unnamed)
    meant = {name for name in classes.values() if name}
    return meant.pop() if len(meant) == 1 and is_described else ""


def known_or_meant(label: str) -> str:
    """The label itself where it is a known name, else the class that it clearly means."""
    return label.lower() if is_known(label) else class_in(label)


def _last_step(label: str) -> str:
    """The last step of a path in a scene that is more than "mesh_0"; a plain label as it is."""
    steps = [step for step in _PATH_STEP.split(label) if step]
    named = [step for step in steps if not _is_noise(words_of(step))]
    return (named or steps or [label])[-1]


def _is_noise(words: tuple[str, ...]) -> bool:
    return all(len(word) == 1 or word.isdigit() or word in _NO_PART_OF_A_NAME for word in words)


def _without_number(label: str) -> str:
    """A class that is not known without its number: "crate" of "crate_07", not of "object_7"."""
    match = _NUMBERED.fullmatch(label)
    if match is None or set(words_of(match.group(1))) <= _GENERIC_WORDS:
        return ""
    return " ".join(words_of(match.group(1)))
