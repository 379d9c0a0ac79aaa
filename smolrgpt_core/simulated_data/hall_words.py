"""The words of a hall: what its people call things, and how they ask.

A simulated hall has four classes of objects and the wordings of `synthesis/wordings.txt`. With
words of its own it is a hall whose people say "skid" for a pallet and ask in other sentences.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import Formatter

from smolrgpt_core.errors import bad_input
from smolrgpt_core.language.english import pluralize
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.synthesis import WAREHOUSE_FORMS, QuestionWithTruth
from smolrgpt_core.synthesis.drafts import NOUNS
from smolrgpt_core.synthesis.generator import read_as
from smolrgpt_core.synthesis.wordings import WORDINGS

_NOUN = re.compile(r"[a-z]+( [a-z]+)*")


@dataclass(frozen=True)
class HallWords:
    """Nouns and wordings of one hall; what is not there stays as in other halls.

    Attributes:
        nouns: by class of the simulation (pallet, transporter, shelf, buffer), in the singular.
        wordings: by form of question, templates that take the place of those of `wordings.txt`.

    Raises:
        SpatialError: BAD_INPUT, naming the entry that is wrong.
    """

    nouns: Mapping[str, str] = field(default_factory=dict)
    wordings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_known("words.nouns", self.nouns, NOUNS)
        _check_known("words.wordings", self.wordings, WAREHOUSE_FORMS)
        _check_nouns(self.nouns)
        for form, templates in self.wordings.items():
            _check_templates(form, templates)

    def __bool__(self) -> bool:
        return bool(self.nouns or self.wordings)

    def labeled(self, regions: RegionSet) -> RegionSet:
        """The regions of a frame under the nouns of the hall."""
        named = (
            replace(region, label=self.nouns.get(region.label, region.label)) for region in regions
        )
        return RegionSet(regions.image_size, tuple(named))

    def reworded(self, item: QuestionWithTruth, regions: RegionSet) -> QuestionWithTruth:
        """A question and its answer with the nouns of the hall; the meaning is the same.

        Args:
            item: about a simulated frame.
            regions: of the frame, with the labels of the simulation.

        Raises:
            MisreadError: the text is now read as something else.
        """
        if not self.nouns:
            return item
        text = self.renamed(item.text)
        read_as(text, item.region_ids, item.program, self.labeled(regions))
        return replace(item, text=text, freeform_answer=self.renamed(item.freeform_answer))

    def renamed(self, text: str) -> str:
        """A text in which each noun of a class is that of the hall, in the same number."""
        if not self.nouns:
            return text
        names: dict[str, str] = {}
        for label, noun in self.nouns.items():
            for word in NOUNS[label]:
                names |= {word: noun, pluralize(word): pluralize(noun)}
        longest_first = "|".join(sorted(names, key=len, reverse=True))

        def own(match: re.Match[str]) -> str:
            noun = names[match.group().lower()]
            return noun[0].upper() + noun[1:] if match.group()[0].isupper() else noun

        return re.sub(rf"\b({longest_first})\b", own, text, flags=re.IGNORECASE)


def _check_known(name: str, words: Mapping[str, object], known: Collection[str]) -> None:
    unknown = [key for key in words if key not in known]
    if unknown:
        raise bad_input(f"{name} must be of {', '.join(known)}, got {', '.join(unknown)}")


def _check_nouns(nouns: Mapping[str, str]) -> None:
    """Two classes of the same name could not be distinguished."""
    called = {label: nouns.get(label, label) for label in NOUNS}
    for label, noun in nouns.items():
        if not _NOUN.fullmatch(noun):
            raise bad_input(f"words.nouns.{label} must be lowercase words, got {noun!r}")
        others = [other for other in NOUNS if other != label and called[other] == noun]
        if others:
            raise bad_input(
                f"words.nouns.{label} is {noun!r}, which is the name of {others[0]} too"
            )


def _check_templates(form: str, templates: Sequence[str]) -> None:
    if not templates:
        raise bad_input(f"words.wordings.{form} must have at least one wording")
    known = set().union(*map(_fields, WORDINGS[form]))
    for template in templates:
        unknown = sorted(_fields(template) - known)
        if unknown:
            raise bad_input(
                f"words.wordings.{form}: {template!r} has the fields {', '.join(unknown)}; this "
                f"form has {', '.join(sorted(known))}"
            )


def _fields(template: str) -> set[str]:
    try:
        return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise bad_input(f"words.wordings: {template!r} cannot be read: {error}") from error
