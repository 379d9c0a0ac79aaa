"""What stands around a reference: "among <mask> <mask>", "closest to buffer 2", prepositions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smolrgpt_core.question.references import Item, Pick, Reference, with_load
from smolrgpt_core.question.spatial_question import Load
from smolrgpt_core.question.tokens import Token, bad_question, quote
from smolrgpt_core.question.vocabulary import SIDE_CRITERIA, Kind, Superlative

LISTING = frozenset({Kind.AMONG, Kind.GIVEN})
"""Prepositions of a list that later words of the question choose from."""

_PREPOSITIONS = LISTING | {
    Kind.IN,
    Kind.OUTSIDE,
    Kind.OF,
    Kind.FROM,
    Kind.TO,
    Kind.FOR,
    Kind.BY,
    Kind.THAN,
    Kind.RELATIVE,
    Kind.BETWEEN,
}
_NO_SUBJECT = frozenset({Kind.IN, Kind.OUTSIDE, Kind.TO})
"""A reference behind these is not what "is leftmost" is said of."""

_SEPARATORS = frozenset({Kind.COMMA, Kind.AND, Kind.OR})
_SINGLING_OUT = frozenset({Kind.SUPERLATIVE, Kind.SIDE, Kind.ORDINAL})
_OPENING = LISTING | {Kind.OF, Kind.FROM, Kind.FOR}
_ASKING = frozenset({Kind.WHICH, Kind.COUNT, Kind.DISTANCE, Kind.WHICH_SIDE})
_MEASURED_FROM = frozenset({Kind.TO, Kind.FROM, Kind.BY, Kind.FOR})
_SIDE_OF_SOMETHING = frozenset(
    {Kind.OF, Kind.OR, Kind.SIDE, Kind.RELATIVE, Kind.TO, Kind.FROM, Kind.THAN, Kind.COMMA}
)

_Attached = tuple[Reference, list[Item]]


def attach(items: Sequence[Item]) -> list[Item]:
    """Give each reference what follows it and the preposition before it.

    Raises:
        SpatialError: BAD_QUESTION when it is not clear what belongs together.
    """
    measures_distance = any(_kind(item) is Kind.DISTANCE for item in items)
    attached: list[Item] = []
    for position, item in reversed(list(enumerate(items))):
        if (
            isinstance(item, Reference)
            and not (item.single or item.is_camera)
            and not _precedes_predicate(items, position)
        ):
            item, attached = _take_what_follows(item, attached, measures_distance)
        attached = [item, *attached]
    return _open_list(_relate(attached))


def _precedes_predicate(items: Sequence[Item], position: int) -> bool:
    """Whether what follows a reference is said of another one: "in the buffer is leftmost"."""
    before, after = items[:position], items[position + 1 :]
    if not before or _kind(before[-1]) not in _NO_SUBJECT:
        return False
    if _kind_at(after, 0) is Kind.WHICH:
        # "Of the pallets in the buffer which is leftmost?", unless it asked before.
        return _kind(items[0]) in _OPENING and not any(_kind(item) in _ASKING for item in before)
    said = after[0] if after else None
    return isinstance(said, Token) and said.kind in _SINGLING_OUT and said.predicated


def _take_what_follows(
    reference: Reference, rest: list[Item], measures_distance: bool
) -> _Attached:
    """The reference with everything behind it that belongs to it, and the remaining items."""
    reference, rest = _take_list(reference, rest)
    reference, rest = _take_load(reference, rest)
    if reference.pick is None:
        reference, rest = _take_superlative(reference, rest)
        return _take_side(reference, rest) if reference.pick is None else (reference, rest)
    reference, rest = _take_order(reference, reference.pick, rest)
    if measures_distance:
        # In "how far is the nearest pallet from buffer 2" the buffer is the other object.
        return reference, rest
    return _take_anchor(reference, rest)


def _take_list(reference: Reference, rest: list[Item]) -> _Attached:
    """Words such as "among <mask> <mask>" after a reference without ids of its own."""
    listed = rest[1] if len(rest) > 1 else None
    if reference.ids or _kind_at(rest, 0) not in (Kind.AMONG, Kind.OF):
        return reference, rest
    if not isinstance(listed, Reference) or len(listed.ids) < 2:
        return reference, rest
    if not reference.agrees_with(listed):
        return reference, rest
    merged = replace(
        listed,
        concept=reference.concept or listed.concept,
        cardinal=reference.cardinal or listed.cardinal,
        asked=reference.asked,
        load=listed.load if reference.load is Load.ANY else reference.load,
        pick=reference.pick or listed.pick,
    )
    return merged, rest[2:]


def _take_load(reference: Reference, rest: list[Item]) -> _Attached:
    """Words such as "are empty" after "how many transporters"."""
    if _kind_at(rest, 0) is not Kind.LOAD:
        return reference, rest
    return with_load(reference, _token(rest[0])), rest[1:]


def _take_superlative(reference: Reference, rest: list[Item]) -> _Attached:
    """Words such as "(which is) closest to buffer 2" after "the pallet"."""
    if _kind_at(rest, 0) is Kind.WHICH and _kind_at(rest, 1) is Kind.SUPERLATIVE:
        rest = rest[1:]
    if _kind_at(rest, 0) is not Kind.SUPERLATIVE:
        return reference, rest
    return _take_anchor(replace(reference, pick=Pick(_token(rest[0]).value)), rest[1:])


def _take_side(reference: Reference, rest: list[Item]) -> _Attached:
    """Words such as "on the left" after "the buffer", unless it is left of something."""
    if _kind_at(rest, 0) is not Kind.SIDE or _kind_at(rest, 1) in _SIDE_OF_SOMETHING:
        return reference, rest
    superlative = Superlative(SIDE_CRITERIA[_token(rest[0]).value])
    return replace(reference, pick=Pick(superlative)), rest[1:]


def _take_order(reference: Reference, pick: Pick, rest: list[Item]) -> _Attached:
    """Words such as "from the left" after "the second pallet", "but one" after "rightmost"."""
    superlative = pick.superlative
    if _kind_at(rest, 0) is Kind.FROM_SIDE and superlative.criterion is None:
        superlative = replace(superlative, criterion=SIDE_CRITERIA[_token(rest[0]).value])
    elif _kind_at(rest, 0) is Kind.BUT:
        superlative = replace(superlative, rank=superlative.rank + _token(rest[0]).value)
    else:
        return reference, rest
    return replace(reference, pick=Pick(superlative)), rest[1:]


def _take_anchor(reference: Reference, rest: list[Item]) -> _Attached:
    """Words such as "to buffer 2" after "nearest"."""
    anchor = rest[1] if len(rest) > 1 else None
    if reference.pick is None or reference.pick.superlative.criterion in SIDE_CRITERIA.values():
        return reference, rest
    if _kind_at(rest, 0) not in _MEASURED_FROM or not isinstance(anchor, Reference):
        return reference, rest
    if _kind_at(rest, 2) is Kind.OR:
        raise bad_question(
            f'measure from one object at a time: {quote(anchor.text)} is followed by "or"'
        )
    return replace(reference, pick=replace(reference.pick, anchor=anchor)), rest[2:]


def _relate(items: Sequence[Item]) -> list[Item]:
    """Move each preposition into the reference that follows it; "and" hands it on in lists."""
    related: list[Item] = []
    for item in items:
        before = related[-1] if related else None
        if isinstance(item, Reference) and isinstance(before, Token):
            if before.kind in _PREPOSITIONS:
                related.pop()
                relation = before.kind
                if related and _kind(related[-1]) in (Kind.OF, Kind.FROM, Kind.FOR):
                    # "Of the given pallets", "for pick-up by": the last word decides.
                    related.pop()
                item = replace(item, relation=relation)
            elif before.kind in _SEPARATORS:
                item = replace(item, relation=_handed_on(related, item))
        related.append(item)
    return related


def _handed_on(related: Sequence[Item], item: Reference) -> Kind | None:
    """The relation that a reference after separators shares with the one before them."""
    separators = 0
    while _kind(related[-1 - separators]) in _SEPARATORS:
        separators += 1
        if separators == len(related):
            return None
    before = related[-1 - separators]
    if not isinstance(before, Reference) or before.pick is not None:
        return None
    if before.relation is Kind.GIVEN:
        return Kind.GIVEN
    if before.relation in (Kind.AMONG, Kind.OF) and before.agrees_with(item):
        return before.relation
    # After a comma a new part begins: "nearest to buffer 2, pallet 3 or pallet 4".
    comma = any(_kind(item) is Kind.COMMA for item in related[-separators:])
    return None if comma else before.relation


def _open_list(items: list[Item]) -> list[Item]:
    """A list that opens the question ("From pallets 3, 4 and 5, which ...") is chosen from."""
    first = items[0] if items else None
    if isinstance(first, Reference) and first.relation in _OPENING and len(first.ids) > 1:
        items[0] = replace(first, relation=Kind.GIVEN)
    return items


def _kind(item: Item) -> Kind | None:
    return item.kind if isinstance(item, Token) else None


def _kind_at(items: Sequence[Item], index: int) -> Kind | None:
    return _kind(items[index]) if index < len(items) else None


def _token(item: Item) -> Token:
    assert isinstance(item, Token)
    return item
