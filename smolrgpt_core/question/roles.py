"""From references to roles: what is asked about what.

One function for each category. It takes what it understands and refuses the rest by name, so
that no word of a question is ignored in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from smolrgpt_core.question.attachment import LISTING
from smolrgpt_core.question.references import Item, Reference, all_references
from smolrgpt_core.question.resolution import Group, Resolver
from smolrgpt_core.question.spatial_question import Category, Criterion
from smolrgpt_core.question.tokens import Token, bad_question, quote
from smolrgpt_core.question.vocabulary import SIDE_CRITERIA, Kind, Superlative

_JOINTS = frozenset({Kind.COMMA, Kind.AND, Kind.OR, Kind.WHICH})
_MEASURED_FROM = frozenset({Kind.TO, Kind.FROM, Kind.BY, Kind.FOR, Kind.RELATIVE})
_OTHER_SIDE = frozenset({Kind.OF, Kind.RELATIVE, Kind.TO, Kind.THAN})
_CANDIDATES = frozenset({None, Kind.OF, Kind.BETWEEN}) | LISTING
_STANDING = frozenset({Kind.IN, Kind.OUTSIDE, Kind.CONTAIN})
_NO_PLACES = frozenset({"pallet", "transporter", "shelf"})
_NOBODY = Group(())


@dataclass(frozen=True)
class Roles:
    """A question without its text; the fields are those of `SpatialQuestion`."""

    category: Category
    targets: Group
    anchors: Group = _NOBODY
    criterion: Criterion | None = None
    rank: int = 1
    negated: bool = False
    asked_side: str = ""


def assign_roles(items: Sequence[Item], resolver: Resolver) -> Roles:
    """Decide the category and who plays which role.

    Raises:
        SpatialError: BAD_QUESTION, naming the words that do not fit or what is missing.
    """
    category = _category(items)
    roles = _READERS[category](items, resolver)
    shared = set(roles.targets.ids) & set(roles.anchors.ids)
    if shared:
        raise bad_question(
            f"region {min(shared)} is on both sides of the question; name two different regions"
        )
    resolver.refuse_unused_lists(implicit_camera=not roles.anchors.ids and _measures(roles, items))
    return roles


def _category(items: Sequence[Item]) -> Category:
    kinds = {item.kind for item in items if isinstance(item, Token)}
    references = [item for item in items if isinstance(item, Reference)]
    asked = [
        item
        for item in items
        if isinstance(item, Token) and item.kind in (Kind.COUNT, Kind.DISTANCE)
    ]
    if len(asked) > 1:
        words = " and ".join(quote(token.text) for token in asked)
        raise bad_question(f"the question asks for more than one thing: {words}; ask one at a time")
    if Kind.COUNT in kinds:
        return Category.COUNT
    if Kind.DISTANCE in kinds:
        return Category.DISTANCE
    if Kind.SUPERLATIVE in kinds:
        return Category.MCQ
    if kinds & {Kind.SIDE, Kind.WHICH_SIDE}:
        chooses = Kind.WHICH in kinds and Kind.WHICH_SIDE not in kinds
        return Category.MCQ if chooses and not _side_of_something(items) else Category.LEFT_RIGHT
    if any(reference.pick for reference in references) or Kind.WHICH in kinds:
        return Category.MCQ
    raise bad_question(
        "the question does not say what is asked: a distance, a number, a side, or which region"
    )


def _side_of_something(items: Sequence[Item]) -> bool:
    """Whether "left" or "right" is said of an object: "left of pallet 4"."""
    return any(
        isinstance(side, Token)
        and side.kind is Kind.SIDE
        and isinstance(item, Reference)
        and item.relation in _OTHER_SIDE
        for side, item in pairwise(items)
    )


def _measures(roles: Roles, items: Sequence[Item]) -> bool:
    """Whether something is measured from the camera though the question does not name it."""
    named = any(reference.is_camera for reference in all_references(items))
    nearest = roles.criterion in (Criterion.NEAREST, Criterion.FARTHEST)
    return not named and (nearest or roles.category is Category.DISTANCE)


def _distance(items: Sequence[Item], resolver: Resolver) -> Roles:
    _refuse_others(items, {Kind.DISTANCE, Kind.COMMA, Kind.AND, Kind.WHICH}, "a distance")
    cameras, lists, objects = _sort(items)
    _refuse_relations(objects, {None, Kind.FROM, Kind.TO, Kind.BETWEEN, Kind.OF, Kind.RELATIVE})
    resolver.lists = lists
    if not objects and not cameras:
        objects = lists
    if len(objects) == 1 and not cameras:
        pair = resolver.pair(objects[0])
        if pair is not None:
            return Roles(Category.DISTANCE, *pair)
    if len(objects) == 1 and objects[0].relation is not Kind.BETWEEN:
        return _distance_to_camera(objects[0], resolver, named=bool(cameras))
    if len(objects) != 2 or cameras:
        raise bad_question(
            f"a distance needs two objects, or one and the camera; found {_names(objects)}"
        )
    first, second = objects
    if first.concept == "buffer" and second.concept != "buffer":
        # An object and a buffer: the object stands in the buffer or not, never the other way.
        first, second = second, first
    return Roles(Category.DISTANCE, *resolver.two(first, second))


def _distance_to_camera(target: Reference, resolver: Resolver, named: bool) -> Roles:
    if not named and target.pick is not None and target.pick.anchor is not None:
        raise bad_question(
            f"the distance of {quote(target.text)} from what? Name the second object or the camera"
        )
    return Roles(Category.DISTANCE, resolver.one(target))


def _count(items: Sequence[Item], resolver: Resolver) -> Roles:
    allowed = {Kind.COUNT, Kind.NOT, Kind.IN, Kind.OUTSIDE, Kind.CONTAIN, *_JOINTS}
    _refuse_others(items, allowed, "a number")
    cameras, lists, others = _sort(items)
    if cameras:
        raise bad_question(f"{quote(cameras[0].text)} does not fit into a question about a number")
    places, subjects = _places(items, others)
    if not places and _has(items, Kind.IN, Kind.OUTSIDE):
        places, lists = _listed_places(lists)
    negated = _negated(items)
    if len(places) > 1:
        raise bad_question(f"count in one buffer at a time; found {_names(places)}")
    if not places and (negated or _has(items, *_STANDING)):
        raise bad_question("in which buffer? The question names none")
    resolver.lists = lists
    anchors = _NOBODY
    if places:
        _refuse_unlikely_place(places[0])
        anchors = resolver.one(places[0])
    if any(reference.pick for reference in subjects):
        raise bad_question("a superlative singles out one; how many of what are to be counted?")
    targets = _targets(subjects, lists, resolver, anchors.ids, may_be_empty=True)
    return Roles(Category.COUNT, targets, anchors, negated=negated)


def _left_right(items: Sequence[Item], resolver: Resolver) -> Roles:
    items = items[:-1] if _has(items[-1:], Kind.IN) else items
    _refuse_others(items, {Kind.SIDE, Kind.WHICH_SIDE, *_JOINTS}, "left or right")
    cameras, lists, objects = _sort(items)
    resolver.lists = lists
    anchors = [reference for reference in objects if reference.relation in _OTHER_SIDE]
    targets = [reference for reference in objects if reference.relation is None]
    cameras = [camera for camera in cameras if camera.relation not in (Kind.FROM, Kind.BY)]
    if cameras or len(anchors) != 1 or len(targets) != 1 or len(objects) != 2:
        raise bad_question(
            "left or right needs two objects, the first seen from the second; found "
            f"{_names([*objects, *cameras])}"
        )
    sides = {item.value for item in items if isinstance(item, Token) and item.kind is Kind.SIDE}
    open_question = len(sides) != 1 or _has(items, Kind.WHICH_SIDE)
    target, anchor = resolver.two(targets[0], anchors[0])
    asked = "" if open_question else sides.pop()
    return Roles(Category.LEFT_RIGHT, target, anchor, asked_side=asked)


def _mcq(items: Sequence[Item], resolver: Resolver) -> Roles:
    superlative, anchor_references, picked = _what_singles_out(items)
    if superlative is None:
        return _inside(items, resolver)
    by_side = picked is None and not _has(items, Kind.SUPERLATIVE)
    singles_out = Kind.SIDE if by_side else Kind.SUPERLATIVE
    _refuse_others(items, {singles_out, *_JOINTS}, "which region")
    cameras, lists, others = _sort(items)
    candidates = [reference for reference in others if reference not in anchor_references]
    _refuse_relations([*candidates, *lists], _CANDIDATES)
    if any(reference.pick and reference is not picked for reference in candidates):
        raise bad_question(f"more than one superlative in {_names(candidates)}")
    named_camera = any(reference.is_camera for reference in anchor_references) or bool(cameras)
    anchors = [reference for reference in anchor_references if not reference.is_camera]
    if len(anchors) + named_camera > 1:
        raise bad_question(f"measure from one object at a time; found {_names(anchors)}")
    resolver.lists = [*lists, *(reference for reference in candidates if reference.ids)]
    anchor = resolver.one(anchors[0]) if anchors else _NOBODY
    targets = _targets(candidates, lists, resolver, anchor.ids)
    _check_superlative(superlative, has_anchor=bool(anchors), has_camera=named_camera)
    rank = resolver.rank(superlative, len(targets.ids))
    return Roles(Category.MCQ, targets, anchor, superlative.criterion, rank)


def _what_singles_out(
    items: Sequence[Item],
) -> tuple[Superlative | None, list[Reference], Reference | None]:
    """The superlative, what it is measured from, and the reference that it belongs to, if any."""
    free = [item for item in items if isinstance(item, Token) and item.kind is Kind.SUPERLATIVE]
    references = [item for item in items if isinstance(item, Reference)]
    measured = [item for item in references if item.relation in _MEASURED_FROM]
    if len(free) > 1:
        raise bad_question(
            f"more than one superlative: {', '.join(quote(token.text) for token in free)}"
        )
    if free:
        return free[0].value, measured, None
    for reference in references:
        if reference.pick and reference.relation in _CANDIDATES:
            anchor = [reference.pick.anchor] if reference.pick.anchor else []
            return reference.pick.superlative, [*anchor, *measured], reference
    sides = {item.value for item in items if isinstance(item, Token) and item.kind is Kind.SIDE}
    if len(sides) == 1:
        return Superlative(SIDE_CRITERIA[sides.pop()], of_two=True), measured, None
    return None, [], None


def _check_superlative(superlative: Superlative, has_anchor: bool, has_camera: bool) -> None:
    if superlative.criterion is None:
        raise bad_question("the second, third, ... in what order? Say \"from the left\" or "
                           '"nearest"')  # fmt: skip
    if superlative.criterion in SIDE_CRITERIA.values() and (has_anchor or has_camera):
        raise bad_question("leftmost and rightmost are in the image; leave out what follows them")
    if superlative.needs_anchor and not (has_anchor or has_camera):
        raise bad_question("optimal for pick-up by what? Name the transporter or the shelf")


def _inside(items: Sequence[Item], resolver: Resolver) -> Roles:
    """Roles of "Which pallet is in buffer 2?" and "Which buffer contains pallet 3?"."""
    allowed = {Kind.NOT, Kind.IN, Kind.OUTSIDE, Kind.CONTAIN, *_JOINTS}
    _refuse_others(items, allowed, "which region")
    cameras, lists, others = _sort(items)
    if not _has(items, *_STANDING) and not any(item.relation in _STANDING for item in others):
        raise bad_question(
            f"what singles out one of {_names([*others, *lists])}? Say nearest, leftmost, in which "
            "buffer, ..."
        )
    places, contents = _places(items, others)
    if cameras or len(places) != 1 or not contents:
        raise bad_question(
            "which region is in which buffer? The question names "
            f"{_names([*others, *lists, *cameras])}"
        )
    _refuse_unlikely_place(places[0])
    resolver.lists = lists
    negated = _negated(items)
    asks_for_place = places[0].asked or len(places[0].ids) > 1
    if asks_for_place and not places[0].pick:
        anchor = resolver.one(contents[0]) if len(contents) == 1 else _NOBODY
        if not anchor.ids:
            raise bad_question(f"which buffer holds which one of {_names(contents)}?")
        targets = resolver.group(places[0], anchor.ids)
        return Roles(Category.MCQ, targets, anchor, Criterion.CONTAINING, negated=negated)
    anchor = resolver.one(places[0])
    targets = _targets(contents, lists, resolver, anchor.ids)
    return Roles(Category.MCQ, targets, anchor, Criterion.INSIDE, negated=negated)


def _places(
    items: Sequence[Item], references: Sequence[Reference]
) -> tuple[list[Reference], list[Reference]]:
    """What something stands in, and the rest: by class first, then by "in" and "contain"."""
    inside = [item for item in references if item.relation in (Kind.IN, Kind.OUTSIDE)]
    if inside:
        return inside, [item for item in references if item not in inside]
    buffers = [item for item in references if item.concept == "buffer"]
    if buffers and _has(items, Kind.IN, Kind.OUTSIDE, Kind.CONTAIN):
        return buffers, [item for item in references if item not in buffers]
    holder = _before(items, Kind.CONTAIN)
    if holder is not None:
        return [holder], [item for item in references if item is not holder]
    return [], list(references)


def _listed_places(
    lists: Sequence[Reference],
) -> tuple[list[Reference], list[Reference]]:
    """The place is in the list: "Pallets 3 and 4 and buffer 2: how many are inside?"."""
    places = [item for item in lists if item.concept == "buffer"]
    return places, [item for item in lists if item not in places]


def _targets(
    subjects: Sequence[Reference],
    lists: Sequence[Reference],
    resolver: Resolver,
    excluded: tuple[int, ...],
    may_be_empty: bool = False,
) -> Group:
    """The regions that are counted or chosen from."""
    _refuse_relations(subjects, _CANDIDATES)
    nouns = [reference for reference in subjects if not reference.ids]
    named = [reference for reference in subjects if reference.ids]
    if len(nouns) > 1:
        raise bad_question(f"which of these is asked about: {_names(nouns)}?")
    if nouns:
        resolver.lists = [*lists, *named]
        return resolver.group(nouns[0], excluded, may_be_empty)
    if not named:
        named = [item for item in lists if not set(item.ids) <= set(excluded)]
        if not named:
            raise bad_question("the question names no regions to count or to choose from")
        if not all(named[0].agrees_with(item) for item in named):
            raise bad_question(f"which of these is asked about: {_names(named)}?")
    return resolver.union(named)


def _negated(items: Sequence[Item]) -> bool:
    relations = [item.relation for item in items if isinstance(item, Reference)]
    tokens = [item.kind for item in items if isinstance(item, Token)]
    negations = [*relations, *tokens].count(Kind.OUTSIDE) + tokens.count(Kind.NOT)
    if negations > 1:
        raise bad_question("the question is negated twice; say it without")
    return negations == 1


def _refuse_unlikely_place(place: Reference) -> None:
    if place.concept in _NO_PLACES:
        raise bad_question(f"{quote(place.text)} is not a buffer: nothing is counted in it")


def _refuse_others(items: Sequence[Item], allowed: Iterable[Kind], subject: str) -> None:
    """Refuse words that have a meaning, but none in this category."""
    allowed = set(allowed)
    others = [item for item in items if isinstance(item, Token) and item.kind not in allowed]
    if others:
        words = ", ".join(quote(token.text) for token in others)
        raise bad_question(f"{words} does not fit into a question about {subject}")


def _refuse_relations(references: Iterable[Reference], allowed: Iterable[Kind | None]) -> None:
    allowed = set(allowed)
    for reference in references:
        if reference.relation not in allowed:
            raise bad_question(
                f"{quote(reference.text)} is named in a way that does not fit the question"
            )


def _sort(
    items: Sequence[Item],
) -> tuple[list[Reference], list[Reference], list[Reference]]:
    """References to the camera, lists to choose from, all other references."""
    references = [item for item in items if isinstance(item, Reference)]
    cameras = [item for item in references if item.is_camera]
    lists = [item for item in references if item.relation in LISTING]
    return cameras, lists, [item for item in references if item not in [*cameras, *lists]]


def _has(items: Iterable[Item], *kinds: Kind) -> bool:
    return any(isinstance(item, Token) and item.kind in kinds for item in items)


def _before(items: Sequence[Item], kind: Kind) -> Reference | None:
    """The reference that stands directly before the first token of a kind."""
    for previous, item in pairwise(items):
        if isinstance(item, Token) and item.kind is kind and isinstance(previous, Reference):
            return previous
    return None


def _names(references: Sequence[Reference]) -> str:
    return ", ".join(quote(reference.text) for reference in references) or "none"


_READERS: dict[Category, Callable[[Sequence[Item], Resolver], Roles]] = {
    Category.DISTANCE: _distance,
    Category.COUNT: _count,
    Category.LEFT_RIGHT: _left_right,
    Category.MCQ: _mcq,
}
