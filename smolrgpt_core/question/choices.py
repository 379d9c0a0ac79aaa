"""Roles of a question that asks which one of several regions it is."""

from __future__ import annotations

from collections.abc import Sequence

from smolrgpt_core.question.attachment import LISTING
from smolrgpt_core.question.references import Item, Reference
from smolrgpt_core.question.resolution import Group, Resolver
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
from smolrgpt_core.question.tokens import Token, bad_question, quote, quote_all
from smolrgpt_core.question.vocabulary import SIDE_CRITERIA, Kind, Superlative

_MEASURED_FROM = frozenset({Kind.TO, Kind.FROM, Kind.BY, Kind.FOR, Kind.RELATIVE})
_CANDIDATES = frozenset({None, Kind.OF, Kind.BETWEEN}) | LISTING
_ASKING = (Kind.WHICH, Kind.OR, Kind.COMMA)


def choice_roles(items: Sequence[Item], resolver: Resolver) -> Roles:
    """Roles of a question with a superlative, or of "which one is in buffer 2?"."""
    superlative, anchor_references, picked = _what_singles_out(items)
    if superlative is None:
        return _roles_inside(items, resolver)
    by_side = picked is None and not has_word(items, Kind.SUPERLATIVE)
    singles_out = Kind.SIDE if by_side else Kind.SUPERLATIVE
    refuse_other_words(items, {singles_out, *JOINTS}, "which region")
    cameras, lists, others = sort_references(items)
    candidates = [reference for reference in others if reference not in anchor_references]
    _refuse_places(candidates)
    if any(reference.pick and reference is not picked for reference in candidates):
        raise bad_question(f"more than one superlative in {names_of(candidates)}")
    resolver.lists = [*lists, *(reference for reference in candidates if reference.ids)]
    named_camera = any(reference.is_camera for reference in [*anchor_references, *cameras])
    anchor = _one_anchor(anchor_references, named_camera, resolver)
    targets = _candidates(items, candidates, lists, resolver, anchor.ids)
    _check_superlative(superlative, has_anchor=bool(anchor.ids), has_camera=named_camera)
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
        words = quote_all(token.text for token in free)
        raise bad_question(f"more than one superlative: {words}")
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


def _one_anchor(references: Sequence[Reference], has_camera: bool, resolver: Resolver) -> Group:
    anchors = [reference for reference in references if not reference.is_camera]
    if len(anchors) + has_camera > 1:
        raise bad_question(f"measure from one object at a time; found {names_of(references)}")
    return resolver.one(anchors[0]) if anchors else NOBODY


def _candidates(
    items: Sequence[Item],
    candidates: Sequence[Reference],
    lists: Sequence[Reference],
    resolver: Resolver,
    excluded: tuple[int, ...],
) -> Group:
    """What can be chosen; all of a class, or at least two that are named."""
    refuse_other_relations([*candidates, *lists], _CANDIDATES)
    bare = [item for item in candidates if item.ids and item.relation is None and not item.pick]
    if bare and not has_word(items, *_ASKING):
        # "Are pallets 3 and 4 the leftmost ones?" is no choice between them.
        raise bad_question(f'which one of {names_of(bare)}? Ask with "which"')
    targets = find_targets(candidates, lists, resolver, excluded)
    asked_itself = any(item.asked and item.single for item in candidates)
    if len(targets.ids) == 1 and targets.ids not in resolver.expanded.values() and not asked_itself:
        # "Which pallet is closest pallet 3" lacks a word, and is no choice from pallet 3.
        raise bad_question(f"{names_of([*candidates, *lists])} leaves nothing to choose from")
    return targets


def _refuse_places(references: Sequence[Reference]) -> None:
    """Refuse to choose among what stands somewhere: a question has one relation to an anchor."""
    for reference in references:
        if reference.relation in (Kind.IN, Kind.OUTSIDE):
            raise bad_question(
                f"choosing among what stands in {quote(reference.text)} is two questions; ask "
                'first which regions stand there, then choose between them: "which of pallets 3 '
                'and 4 is leftmost?"'
            )


def _check_superlative(superlative: Superlative, has_anchor: bool, has_camera: bool) -> None:
    if superlative.criterion is None:
        raise bad_question('the second, third, ... in what order? Say "nearest" or "from the left"')
    if superlative.criterion in SIDE_CRITERIA.values() and (has_anchor or has_camera):
        raise bad_question("leftmost and rightmost are in the image; leave out what follows them")
    if superlative.needs_anchor and not (has_anchor or has_camera):
        raise bad_question("optimal for pick-up by what? Name the transporter or the shelf")


def _roles_inside(items: Sequence[Item], resolver: Resolver) -> Roles:
    """Roles of "Which pallet is in buffer 2?" and "Which buffer contains pallet 3?"."""
    refuse_other_words(items, {Kind.NOT, *STANDING, *JOINTS}, "which region")
    cameras, lists, others = sort_references(items)
    if not has_word(items, *STANDING) and not any(item.relation in STANDING for item in others):
        raise bad_question(
            f"what singles out one of {names_of([*others, *lists])}? Say nearest, leftmost, in "
            "which buffer, ..."
        )
    places, contents = find_places(items, others)
    if not places:
        places, lists = find_listed_places(lists)
    if cameras or len(places) != 1 or not contents:
        found = names_of([*others, *lists, *cameras])
        raise bad_question(f"which region is in which buffer? The question names {found}")
    refuse_unlikely_place(places[0])
    resolver.lists = lists
    if not places[0].pick and (places[0].asked or len(places[0].ids) > 1):
        return _roles_containing(items, places[0], contents, resolver)
    anchor = resolver.one(places[0])
    targets = _candidates(items, contents, lists, resolver, anchor.ids)
    return Roles(Category.MCQ, targets, anchor, Criterion.INSIDE, negated=is_negated(items))


def _roles_containing(
    items: Sequence[Item], places: Reference, contents: Sequence[Reference], resolver: Resolver
) -> Roles:
    if len(contents) != 1:
        raise bad_question(f"which buffer holds which one of {names_of(contents)}?")
    anchor = resolver.one(contents[0])
    targets = resolver.group(places, anchor.ids)
    return Roles(Category.MCQ, targets, anchor, Criterion.CONTAINING, negated=is_negated(items))
