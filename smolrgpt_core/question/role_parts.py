"""What the categories share when they give out roles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from smolrgpt_core.question.attachment import LISTING
from smolrgpt_core.question.references import Item, Reference
from smolrgpt_core.question.resolution import Group, Resolver
from smolrgpt_core.question.spatial_question import Category, Criterion
from smolrgpt_core.question.tokens import Token, bad_question, quote, quote_all
from smolrgpt_core.question.vocabulary import Kind

JOINTS = frozenset({Kind.COMMA, Kind.AND, Kind.OR, Kind.WHICH})
"""Words that a question may have anywhere."""

STANDING = frozenset({Kind.IN, Kind.OUTSIDE, Kind.CONTAIN})
"""Words about what stands where."""

NOBODY = Group(())
"""The role is not given to any region."""

_PLACES_OF_NOTHING = frozenset({"pallet", "transporter", "shelf"})


@dataclass(frozen=True)
class Roles:
    """A question without its text; the fields are those of `SpatialQuestion`."""

    category: Category
    targets: Group
    anchors: Group = NOBODY
    criterion: Criterion | None = None
    rank: int = 1
    negated: bool = False
    asked_side: str = ""


def sort_references(
    items: Sequence[Item],
) -> tuple[list[Reference], list[Reference], list[Reference]]:
    """References to the camera, lists to choose from, all other references."""
    references = [item for item in items if isinstance(item, Reference)]
    cameras = [item for item in references if item.is_camera]
    lists = [item for item in references if item.relation in LISTING]
    return cameras, lists, [item for item in references if item not in [*cameras, *lists]]


def find_places(
    items: Sequence[Item], references: Sequence[Reference]
) -> tuple[list[Reference], list[Reference]]:
    """What something stands in, and the rest: by class first, then by "in" and "contain"."""
    places = [item for item in references if item.relation in (Kind.IN, Kind.OUTSIDE)]
    if not places and has_word(items, *STANDING):
        places = [item for item in references if item.concept == "buffer"]
        holder = _directly_before(items, Kind.CONTAIN)
        if not places and holder is not None:
            places = [holder]
    return places, [item for item in references if item not in places]


def find_listed_places(
    lists: Sequence[Reference],
) -> tuple[list[Reference], list[Reference]]:
    """The place is in the list: "Pallets 3 and 4 and buffer 2: how many are inside?"."""
    places = [item for item in lists if item.concept == "buffer"]
    return places, [item for item in lists if item not in places]


def find_targets(
    subjects: Sequence[Reference],
    lists: Sequence[Reference],
    resolver: Resolver,
    excluded: tuple[int, ...],
    may_be_empty: bool = False,
) -> Group:
    """The regions that are counted or chosen from.

    Args:
        subjects: at most one noun without ids, and regions that are named.
        lists: regions that the noun can refer back to.
        resolver: of the question.
        excluded: regions that have another role.
        may_be_empty: see `Resolver.group`.
    """
    nouns = [reference for reference in subjects if not reference.ids]
    named = [reference for reference in subjects if reference.ids]
    if len(nouns) > 1:
        raise bad_question(f"which of these is asked about: {names_of(nouns)}?")
    if nouns:
        resolver.lists = [*lists, *named]
        return resolver.group(nouns[0], excluded, may_be_empty)
    if not named:
        named = [item for item in lists if not set(item.ids) <= set(excluded)]
        if not named:
            raise bad_question("the question names no regions to count or to choose from")
        if not all(named[0].agrees_with(item) for item in named):
            raise bad_question(f"which of these is asked about: {names_of(named)}?")
    return resolver.union(named)


def is_negated(items: Sequence[Item]) -> bool:
    """Whether "not" or "outside" stands in the question.

    Raises:
        SpatialError: BAD_QUESTION when it is negated twice.
    """
    relations = [item.relation for item in items if isinstance(item, Reference)]
    tokens = [item.kind for item in items if isinstance(item, Token)]
    negations = [*relations, *tokens].count(Kind.OUTSIDE) + tokens.count(Kind.NOT)
    if negations > 1:
        raise bad_question("the question is negated twice; say it without")
    return negations == 1


def refuse_unlikely_place(place: Reference) -> None:
    """Refuse to look for something in what is no buffer; a class of the user's may be one."""
    if place.concept in _PLACES_OF_NOTHING:
        raise bad_question(f"{quote(place.text)} is not a buffer: nothing is counted in it")


def refuse_other_words(items: Sequence[Item], allowed: Iterable[Kind], subject: str) -> None:
    """Refuse words that have a meaning, but none in this category."""
    allowed = set(allowed)
    others = [item for item in items if isinstance(item, Token) and item.kind not in allowed]
    if others:
        words = quote_all(token.text for token in others)
        raise bad_question(f"{words} does not fit into a question about {subject}")


def refuse_other_relations(references: Iterable[Reference], allowed: Iterable[Kind | None]) -> None:
    """Refuse regions behind a preposition that has no meaning in this category."""
    allowed = set(allowed)
    for reference in references:
        if reference.relation not in allowed:
            raise bad_question(
                f"{quote(reference.text)} is named in a way that does not fit the question"
            )


def has_word(items: Iterable[Item], *kinds: Kind) -> bool:
    """Whether a word of these kinds is among the items."""
    return any(isinstance(item, Token) and item.kind in kinds for item in items)


def names_of(references: Sequence[Reference]) -> str:
    """References for a message."""
    return quote_all(reference.text for reference in references) or "none"


def _directly_before(items: Sequence[Item], kind: Kind) -> Reference | None:
    for previous, item in pairwise(items):
        if isinstance(item, Token) and item.kind is kind and isinstance(previous, Reference):
            return previous
    return None
