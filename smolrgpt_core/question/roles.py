"""From references to roles: what is asked about what.

One function for each category. It takes what it understands and refuses the rest by name, so
that no word of a question is ignored in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from smolrgpt_core.question.attachment import LISTING
from smolrgpt_core.question.choices import choice_roles
from smolrgpt_core.question.references import Item, Reference, all_references
from smolrgpt_core.question.resolution import Resolver
from smolrgpt_core.question.role_parts import (
    JOINTS,
    NOBODY,
    STANDING,
    Roles,
    find_listed_places,
    find_places,
    find_targets,
    has_word,
    is_negated,
    names_of,
    refuse_other_relations,
    refuse_other_words,
    refuse_unlikely_place,
    sort_references,
)
from smolrgpt_core.question.spatial_question import Category, Criterion
from smolrgpt_core.question.tokens import Token, bad_question, quote
from smolrgpt_core.question.vocabulary import Kind

_DISTANT = frozenset({None, Kind.FROM, Kind.TO, Kind.BETWEEN, Kind.OF, Kind.RELATIVE})
_COUNTED = frozenset({None, Kind.OF}) | LISTING
_OTHER_SIDE = frozenset({Kind.OF, Kind.RELATIVE, Kind.TO})


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
    refuse_other_words(items, {Kind.DISTANCE, Kind.COMMA, Kind.AND, Kind.WHICH}, "a distance")
    cameras, lists, objects = sort_references(items)
    refuse_other_relations(objects, _DISTANT)
    resolver.lists = lists
    if not objects and not cameras:
        objects = lists
    if len(objects) == 1 and not cameras:
        pair = resolver.pair(objects[0])
        if pair is not None:
            return Roles(Category.DISTANCE, *pair)
    if len(objects) == 1 and (cameras or objects[0].relation is not Kind.BETWEEN):
        return _distance_to_camera(objects[0], resolver, named=bool(cameras))
    if len(objects) != 2 or cameras:
        raise bad_question(
            f"a distance needs two objects, or one and the camera; found {names_of(objects)}"
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
    allowed = {Kind.COUNT, Kind.NOT, *STANDING, *JOINTS}
    refuse_other_words(items, allowed, "a number")
    cameras, lists, others = sort_references(items)
    if cameras:
        raise bad_question(f"{quote(cameras[0].text)} does not fit into a question about a number")
    places, subjects = find_places(items, others)
    refuse_other_relations(subjects, _COUNTED)
    if not places and has_word(items, Kind.IN, Kind.OUTSIDE):
        places, lists = find_listed_places(lists)
    negated = is_negated(items)
    if len(places) > 1:
        raise bad_question(f"count in one buffer at a time; found {names_of(places)}")
    if not places and (negated or has_word(items, *STANDING)):
        raise bad_question("in which buffer? The question names none")
    resolver.lists = lists
    anchors = NOBODY
    if places:
        refuse_unlikely_place(places[0])
        anchors = resolver.one(places[0])
    if any(reference.pick for reference in subjects):
        raise bad_question("a superlative singles out one; how many of what are to be counted?")
    targets = find_targets(subjects, lists, resolver, anchors.ids, may_be_empty=True)
    return Roles(Category.COUNT, targets, anchors, negated=negated)


def _left_right(items: Sequence[Item], resolver: Resolver) -> Roles:
    items = items[:-1] if has_word(items[-1:], Kind.IN) else items
    refuse_other_words(items, {Kind.SIDE, Kind.WHICH_SIDE, *JOINTS}, "left or right")
    cameras, lists, objects = sort_references(items)
    resolver.lists = lists
    anchors = [reference for reference in objects if reference.relation in _OTHER_SIDE]
    targets = [reference for reference in objects if reference.relation is None]
    cameras = [camera for camera in cameras if camera.relation not in (Kind.FROM, Kind.BY)]
    if cameras or len(anchors) != 1 or len(targets) != 1 or len(objects) != 2:
        raise bad_question(
            "left or right needs two objects, the first seen from the second; found "
            f"{names_of([*objects, *cameras])}"
        )
    sides = {item.value for item in items if isinstance(item, Token) and item.kind is Kind.SIDE}
    open_question = len(sides) != 1 or has_word(items, Kind.WHICH_SIDE)
    target, anchor = resolver.two(targets[0], anchors[0])
    asked = "" if open_question else sides.pop()
    return Roles(Category.LEFT_RIGHT, target, anchor, asked_side=asked)


_READERS: dict[Category, Callable[[Sequence[Item], Resolver], Roles]] = {
    Category.DISTANCE: _distance,
    Category.COUNT: _count,
    Category.LEFT_RIGHT: _left_right,
    Category.MCQ: choice_roles,
}
