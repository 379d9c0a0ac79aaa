"""From tokens to references: "the nearest empty transporter", "pallets 3, 4 and 5", "<mask>".

Finds which words speak of regions and what belongs to them. What role a reference plays, and
which regions a word without a number means, is decided in `roles`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from smolrgpt_core.label_map import doubt_of_class, namesake
from smolrgpt_core.question.spatial_question import Criterion, Load
from smolrgpt_core.question.tokens import DEFINITE, Token, bad_question, quote, quote_all
from smolrgpt_core.question.vocabulary import (
    SIDE_CRITERIA,
    Kind,
    Noun,
    Superlative,
    concept_of,
)
from smolrgpt_core.regions import RegionSet, names_of

_IDS = frozenset({Kind.NUMBER, Kind.MASK, Kind.REGION_ID})
_MODIFIERS = frozenset({Kind.LOAD, Kind.SUPERLATIVE, Kind.ORDINAL, Kind.SIDE, Kind.CARDINAL})
_SEPARATORS = frozenset({Kind.COMMA, Kind.AND, Kind.OR})
_BEST = Superlative(Criterion.NEAREST, needs_anchor=True)


@dataclass(frozen=True)
class Pick:
    """A superlative that belongs to a reference, and what it is measured from."""

    superlative: Superlative
    anchor: Reference | None = None


@dataclass(frozen=True)
class Reference:
    """Words that speak of one or more regions, or of the camera.

    Attributes:
        text: as written, for messages.
        start, end: where it stands in the text, without modifiers.
        noun_end: end of its noun; equals `start` without one.
        concept: class that the noun or the labels of the regions name; empty if they name none.
        labels: labels of the frame that a reference without ids can mean.
        ids: the regions that are named; empty when only the noun is there.
        placeholders: position of each `<mask>`; empty when the ids are written as numbers.
        plural, cardinal: grammatical number, and "two" in "the two pallets".
        modified: a word such as "nearest" or "empty" stands before the noun.
        determined: "the", "which", ... stands before it.
        asked: "which" stands before it.
        load, pick: what narrows it down.
        relation: the preposition before it.
        is_camera: it means the camera.
    """

    text: str
    start: int
    end: int
    noun_end: int = 0
    concept: str = ""
    labels: frozenset[str] = frozenset()
    ids: tuple[int, ...] = ()
    placeholders: tuple[int, ...] = ()
    plural: bool = False
    cardinal: int | None = None
    modified: bool = False
    determined: bool = False
    asked: bool = False
    load: Load = Load.ANY
    pick: Pick | None = None
    relation: Kind | None = None
    is_camera: bool = False

    @property
    def single(self) -> bool:
        """Whether it names exactly one region."""
        return len(self.ids) == 1

    def agrees_with(self, other: Reference) -> bool:
        """Whether both can be of one class."""
        return not self.concept or not other.concept or self.concept == other.concept


Item = Token | Reference


def noun_phrases_of(tokens: Sequence[Token], regions: RegionSet) -> list[Item]:
    """Replace the words of each reference by a `Reference`, with what stands before the noun.

    Raises:
        SpatialError: UNKNOWN_REGION for an id that the frame does not have, BAD_QUESTION for an
            id whose label is another than the one written.
    """
    tokens = _combine(tokens)
    items: list[Item] = []
    position = 0
    while position < len(tokens):
        item, position = _noun_phrase(tokens, position, regions)
        items.append(item)
    return items


def all_references(items: Sequence[Item]) -> list[Reference]:
    """Every reference, with those that superlatives are measured from, in order of the text."""
    found: list[Reference] = []
    waiting = [item for item in items if isinstance(item, Reference)]
    while waiting:
        reference = waiting.pop()
        found.append(reference)
        if reference.pick is not None and reference.pick.anchor is not None:
            waiting.append(reference.pick.anchor)
    return sorted(found, key=lambda reference: reference.start)


def _combine(tokens: Sequence[Token]) -> list[Token]:
    """Join "second" + "nearest", "rightmost" + "but one"; settle "best" and "one"."""
    kinds = {token.kind for token in tokens}
    wants_pickup = Kind.PICKUP in kinds and kinds & {Kind.BEST, Kind.SUPERLATIVE}
    combined: list[Token] = []
    for token in tokens:
        before = combined[-1] if combined else None
        if token.kind is Kind.PICKUP and wants_pickup:
            continue
        if token.kind is Kind.BEST and wants_pickup:
            token = replace(token, kind=Kind.SUPERLATIVE, value=_BEST)
        if before is not None and (joined := _join(before, token)) is not None:
            combined[-1] = joined
        else:
            combined.append(token)
    return combined


def _join(before: Token, token: Token) -> Token | None:
    """One token for two that belong together, or None."""
    superlative = None
    if before.kind is Kind.ORDINAL and token.kind is Kind.SUPERLATIVE:
        superlative = replace(token.value, rank=before.value)
    elif before.kind is Kind.ORDINAL and token.kind is Kind.FROM_SIDE:
        superlative = Superlative(SIDE_CRITERIA[token.value], before.value)
    elif before.kind is Kind.SUPERLATIVE and token.kind is Kind.BUT:
        superlative = replace(before.value, rank=before.value.rank + token.value)
    elif before.kind is token.kind and (token.kind is Kind.COUNT or token.value == _BEST):
        return before
    elif before.kind in (Kind.WHICH, Kind.SUPERLATIVE) and token.kind is Kind.CARDINAL:
        if token.value != 1:
            raise bad_question(
                f"{quote(f'{before.text} {token.text}')} asks for more than one region; ask for "
                'one at a time, such as "the second nearest"'
            )
        return before
    if superlative is None:
        return None
    return replace(
        before,
        kind=Kind.SUPERLATIVE,
        value=superlative,
        end=token.end,
        text=f"{before.text} {token.text}",
    )


def _noun_phrase(tokens: Sequence[Token], position: int, regions: RegionSet) -> tuple[Item, int]:
    """The reference that starts here, or else the token; and the position after it."""
    if tokens[position].kind is Kind.CAMERA:
        return _camera(tokens[position]), position + 1
    head = position
    while head < len(tokens) and tokens[head].kind in _MODIFIERS:
        head += 1
    has_noun = head < len(tokens) and tokens[head].kind is Kind.NOUN
    ids_from = head + has_noun
    ids_to = _end_of_ids(tokens, ids_from, has_noun)
    modifiers = tokens[position:head]
    if not has_noun and ids_to == ids_from:
        return tokens[position], position + 1
    singles_out = any(token.kind not in (Kind.LOAD, Kind.CARDINAL) for token in modifiers)
    if singles_out and ids_to == ids_from + 1:
        # "Which is nearest, pallet 3 or ...": the superlative does not belong to "pallet 3".
        return tokens[position], position + 1
    before = tokens[position - 1] if position else None
    noun = tokens[head] if has_noun else None
    reference = _build(noun, tokens[ids_from:ids_to], modifiers, before, regions)
    if noun is not None and ids_to < len(tokens) and tokens[ids_to].kind is Kind.CARDINAL:
        raise bad_question(
            f"write region numbers with digits: {quote(noun.text + ' ' + tokens[ids_to].text)}"
        )
    return reference, ids_to


def _end_of_ids(tokens: Sequence[Token], position: int, has_noun: bool) -> int:
    """The position after a list of ids of one kind; numbers need a noun and separators."""
    if position >= len(tokens) or tokens[position].kind not in _IDS:
        return position
    kind = tokens[position].kind
    if kind is Kind.NUMBER and not has_noun:
        return position
    end = position + 1
    while True:
        following = end
        while following < len(tokens) and tokens[following].kind in _SEPARATORS:
            following += 1
        separated = following > end or kind is not Kind.NUMBER
        if not separated or following >= len(tokens) or tokens[following].kind is not kind:
            return end
        end = following + 1


def _camera(token: Token) -> Reference:
    return Reference(token.text, token.start, token.end, is_camera=True)


def _build(
    noun: Token | None,
    id_tokens: Sequence[Token],
    modifiers: Sequence[Token],
    before: Token | None,
    regions: RegionSet,
) -> Reference:
    """The reference of a noun, ids, or both, after its modifiers."""
    ids = tuple(token.value for token in id_tokens if token.kind in _IDS)
    parts = [part for part in (noun, *id_tokens) if part is not None]
    meaning: Noun = noun.value if noun else Noun("", frozenset(), len(ids) > 1)
    reference = Reference(
        text=" ".join(part.text for part in parts).replace(" ,", ","),
        start=parts[0].start,
        end=parts[-1].end,
        noun_end=noun.end if noun else parts[0].start,
        concept=meaning.concept,
        labels=meaning.labels,
        ids=ids,
        placeholders=tuple(part.start for part in id_tokens if part.kind is Kind.MASK),
        plural=meaning.plural,
        modified=bool(modifiers),
        determined=bool(parts[0].determiner)
        or (before is not None and before.kind in (Kind.WHICH, Kind.COUNT)),
        asked=before is not None and before.kind is Kind.WHICH,
    )
    reference = _check_labels(reference, regions)
    if noun is not None and meaning.concept:
        _refuse_namesakes(
            [token.value for token in id_tokens if token.kind is Kind.NUMBER], regions
        )
    if noun is not None and _means_the_camera(noun, reference, before):
        if "robot" in meaning.labels:
            raise bad_question(
                f'"{noun.determiner} robot" may be the camera or a region with the label "robot"; '
                'say "the camera", or give the region\'s number'
            )
        return _camera(noun)
    return _modify(reference, modifiers)


def _refuse_namesakes(ids: Sequence[int], regions: RegionSet) -> None:
    """Refuse "pallet 3" where region 3 has another name, and another region is called pallet_3."""
    for id in ids:
        other = namesake(regions, id)
        if other is not None:
            raise bad_question(
                f'{id} can be region {id}, which is called "{regions[id].source_label}", or region '
                f'{other.id}, which is called "{other.source_label}"; say "region {id}" or '
                f'"region {other.id}"'
            )


def _means_the_camera(noun: Token, reference: Reference, before: Token | None) -> bool:
    """Whether "the robot" that asks is meant, the one that carries the camera; not "robot 5"."""
    asked_for = before is not None and before.kind in (Kind.WHICH, Kind.COUNT)
    plain = not reference.ids and not reference.modified and not asked_for
    return plain and noun.text.lower() == "robot" and noun.determiner in DEFINITE


def _check_labels(reference: Reference, regions: RegionSet) -> Reference:
    """Fill in the class from the regions; their labels must be what the noun says."""
    labels = [regions[id].label for id in reference.ids]
    for id, label in zip(reference.ids, labels, strict=True):
        if reference.concept and label and label not in reference.labels:
            known = [region for region in regions if region.label in reference.labels]
            doubt = doubt_of_class(reference.labels, regions)
            raise bad_question(
                f"{quote(reference.text)} does not fit: region {id} is a {label}; what could be "
                f"meant in this frame: {names_of(known) or 'nothing'}"
                + (f"; there are {doubt}" if doubt else "")
            )
    concepts = {concept_of(label) for label in labels}
    if not reference.concept and len(concepts) == 1:
        return replace(reference, concept=concepts.pop())
    return reference


def _modify(reference: Reference, modifiers: Sequence[Token]) -> Reference:
    """Apply the words before the noun."""
    picks = [token.text for token in modifiers if token.kind not in (Kind.LOAD, Kind.CARDINAL)]
    if len(picks) > 1:
        raise bad_question(f"{quote_all(picks)} cannot both single out {quote(reference.text)}")
    for token in modifiers:
        if token.kind is Kind.LOAD:
            reference = with_load(reference, token)
        elif token.kind is Kind.CARDINAL:
            reference = replace(reference, cardinal=token.value)
        elif token.kind is Kind.SUPERLATIVE:
            reference = replace(reference, pick=Pick(token.value))
        elif token.kind is Kind.SIDE:
            reference = replace(reference, pick=Pick(Superlative(SIDE_CRITERIA[token.value])))
        else:
            reference = replace(reference, pick=Pick(Superlative(None, token.value)))
    return reference


def with_load(reference: Reference, token: Token) -> Reference:
    """The reference with "empty" or "loaded".

    Raises:
        SpatialError: BAD_QUESTION when it is not about transporters.
    """
    if reference.concept not in ("transporter", ""):
        raise bad_question(
            f"{quote(f'{token.text} {reference.text}')} cannot be read: only a transporter can be "
            "empty or loaded"
        )
    if reference.single:
        # A word that merely describes the one region that is named.
        return reference
    return replace(reference, load=token.value)
