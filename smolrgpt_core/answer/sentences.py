"""The sentence that a person reads, the same from every answerer."""

from __future__ import annotations

from smolrgpt_core.answer.spatial_answer import Side
from smolrgpt_core.question.spatial_question import (
    Category,
    Choice,
    Criterion,
    Load,
    SpatialQuestion,
)
from smolrgpt_core.question.vocabulary import ORDINALS, concept_of
from smolrgpt_core.question.wording import common_noun
from smolrgpt_core.regions import RegionSet

_ORDINAL_WORDS = {rank: word for word, rank in ORDINALS.items()}
_COMPARED = {Criterion.NEAREST: "nearest to", Criterion.FARTHEST: "farthest from"}
_SIDES = {Criterion.LEFTMOST: "left", Criterion.RIGHTMOST: "right"}


def answer_sentence(
    question: SpatialQuestion,
    regions: RegionSet,
    *,
    value: float | None = None,
    region_id: int | None = None,
    side: Side = Side.NONE,
) -> str:
    """The answer as a sentence, such as "Pallet 12 is 3.42 m from buffer 2.".

    Args:
        question: what was asked.
        regions: of the frame that was asked about.
        value: metres (distance) or number of objects (count).
        region_id: the chosen region (mcq).
        side: of the target relative to the anchor (left_right).

    Raises:
        ValueError: when the field of the question's category is missing.
    """
    if question.category is Category.DISTANCE and value is not None:
        sentence = _distance(question, regions, value)
    elif question.category is Category.COUNT and value is not None:
        sentence = _count(question, regions, round(value))
    elif question.category is Category.LEFT_RIGHT and side is not Side.NONE:
        sentence = _left_right(question, regions, side)
    elif question.category is Category.MCQ and region_id is not None:
        sentence = _mcq(question, regions, region_id)
    else:
        raise ValueError(
            f"an answer to {question.category.name} needs its own field, got value={value} "
            f"region_id={region_id} side={side.name}"
        )
    return sentence[0].upper() + sentence[1:]


def _distance(question: SpatialQuestion, regions: RegionSet, metres: float) -> str:
    target, anchor = _target(question, regions), _anchor(question, regions)
    concepts = {concept_of(regions[id].label) for id in question.anchor_ids}
    if metres == 0 and concepts == {"buffer"}:
        return f"{target} stands in {anchor}, so the distance is 0 m."
    return f"{target} is {metres:.2f} m from {anchor}."


def _count(question: SpatialQuestion, regions: RegionSet, number: int) -> str:
    place = f"in {_anchor(question, regions)}" if question.anchor_ids else "visible"
    state = f"not {place}" if question.negated else place
    if not question.target_ids:
        return f"none is {state}."
    counted = [regions[id] for id in question.target_ids]
    noun = common_noun(counted, plural=number != 1)
    load = "" if question.target_load is Load.ANY else f"{question.target_load.value} "
    return f"{number} {load}{noun} {'is' if number == 1 else 'are'} {state}."


def _left_right(question: SpatialQuestion, regions: RegionSet, side: Side) -> str:
    name = side.name.lower()
    sentence = f"{_target(question, regions)} is {name} of {_anchor(question, regions)}."
    if not question.asked_side:
        return sentence
    return f"{'Yes' if name == question.asked_side else 'No'}, {sentence}"


def _mcq(question: SpatialQuestion, regions: RegionSet, region_id: int) -> str:
    chosen = regions[region_id].name
    criterion = question.criterion
    inside = "is not in" if question.negated else "is in"
    if criterion is Criterion.INSIDE:
        return f"{chosen} {inside} {_anchor(question, regions)}."
    if criterion is Criterion.CONTAINING:
        return f"{_anchor(question, regions)} {inside} {chosen}."
    if criterion in _COMPARED:
        rank = _rank(question.rank)
        return f"{chosen} is {rank}{_COMPARED[criterion]} {_anchor(question, regions)}."
    choice = Choice(criterion or Criterion.LEFTMOST, question.rank)
    return f"{chosen} is {_described(question.target_ids, question.target_load, choice, regions)}."


def _target(question: SpatialQuestion, regions: RegionSet) -> str:
    return _described(question.target_ids, question.target_load, question.target_choice, regions)


def _anchor(question: SpatialQuestion, regions: RegionSet) -> str:
    if not question.anchor_ids:
        return "the camera"
    return _described(question.anchor_ids, question.anchor_load, question.anchor_choice, regions)


def _described(ids: tuple[int, ...], load: Load, choice: Choice | None, regions: RegionSet) -> str:
    """Words such as "pallet 3", or what singles out one of several: "the empty transporter"."""
    if len(ids) == 1 and choice is None:
        return regions[ids[0]].name
    members = [regions[id] for id in ids]
    noun = common_noun(members, plural=False)
    noun = noun if load is Load.ANY else f"{load.value} {noun}"
    if choice is None:
        return f"the {noun}"
    if choice.criterion in _SIDES:
        if choice.rank == 1:
            return f"the {choice.criterion.value} {noun}"
        return f"the {_rank(choice.rank)}{noun} from the {_SIDES[choice.criterion]}"
    anchor = regions[choice.anchor_ids[0]].name if choice.anchor_ids else "the camera"
    return f"the {noun} {_rank(choice.rank)}{_COMPARED[choice.criterion]} {anchor}"


def _rank(rank: int) -> str:
    """Words such as "second " before a superlative; nothing for the first."""
    return "" if rank == 1 else f"{_ORDINAL_WORDS.get(rank, f'{rank}th')} "
