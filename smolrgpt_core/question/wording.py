"""Texts that are written, not read: questions from a category and ids, examples for errors."""

from __future__ import annotations

from collections.abc import Sequence

from smolrgpt_core.question.spatial_question import MASK, Category
from smolrgpt_core.question.tokens import MAX_QUESTION_LENGTH, bad_question
from smolrgpt_core.question.vocabulary import concept_of, pluralise, readable_label
from smolrgpt_core.regions import Region, RegionSet

_IMPERATIVES = ("count", "measure", "tell", "give", "find", "identify", "select", "choose", "pick",
                "name", "show", "report", "estimate", "calculate", "determine")  # fmt: skip

_HINTS = {
    Category.DISTANCE: ("how far", "distance", "how many m"),
    Category.COUNT: ("how many", "count", "number of"),
    Category.MCQ: ("which pallet", "which of", "nearest", "closest", "most"),
    Category.LEFT_RIGHT: ("left", "right"),
}

_REQUIRED_IDS = {
    Category.DISTANCE: (1, 2),
    Category.COUNT: (2, None),
    Category.LEFT_RIGHT: (2, 2),
    Category.MCQ: (2, None),
}
"""Smallest and largest number of ids of a request without text."""


def canonical_text(category: Category | None, regions: Sequence[Region]) -> str:
    """The question that a category and regions stand for, with placeholders.

    Raises:
        SpatialError: BAD_QUESTION without category, or when the number of regions does not fit.
    """
    if category is None:
        raise bad_question("the question is empty; write one, or give a category and region ids")
    least, most = _REQUIRED_IDS[category]
    if len(regions) < least or (most is not None and len(regions) > most):
        needed = f"{least} or more" if most is None else " or ".join(map(str, {least, most}))
        raise bad_question(
            f"a {category.name} request without text needs {needed} region ids, got {len(regions)}"
        )
    others, last = with_masks(regions[:-1]), with_masks(regions[-1:])
    if category is Category.DISTANCE and len(regions) == 1:
        return f"How far is {last} from the camera?"
    return {
        Category.DISTANCE: f"How far is {others} from {last}?",
        Category.LEFT_RIGHT: f"Is {others} left or right of {last}?",
        Category.COUNT: f"How many of {others} are in {last}?",
        Category.MCQ: f"Which of {others} is nearest to {last}?",
    }[category]


def with_masks(regions: Sequence[Region]) -> str:
    """Words such as "the pallets <mask> <mask>"."""
    return f"the {common_noun(regions, plural=len(regions) > 1)} {' '.join([MASK] * len(regions))}"


def common_noun(regions: Sequence[Region], plural: bool) -> str:
    """The label that regions share, else "region"."""
    labels = {region.label for region in regions}
    noun = (readable_label(labels.pop()) if len(labels) == 1 else "") or "region"
    return pluralise(noun) if plural else noun


def as_sentence(text: str) -> str:
    """Capital letter and closing mark, like the questions that a model was trained on."""
    if text[-1] not in ".?!":
        text += "." if text.lower().startswith(_IMPERATIVES) else "?"
    return text[0].upper() + text[1:]


def likely_category(text: str) -> Category:
    """What a question that cannot be read is likely about, to show a helpful example."""
    lowered = text[:MAX_QUESTION_LENGTH].lower()
    for category, hints in _HINTS.items():
        if any(hint in lowered for hint in hints):
            return category
    return Category.DISTANCE


def example(regions: RegionSet, category: Category) -> str:
    """A question about this frame that can be read, in quotes."""
    buffers = [region for region in regions if concept_of(region.label) == "buffer"]
    others = [region for region in regions if region not in buffers]
    ordered = others + buffers
    if len(ordered) < 2:
        return '"How many regions do you see?"'
    first, second = ordered[0], buffers[0] if others and buffers else ordered[1]
    names = [f"{common_noun([region], plural=False)} {region.id}" for region in (first, second)]
    if category is Category.COUNT and others and buffers:
        return f'"How many {common_noun([first], plural=True)} are in {names[1]}?"'
    return {
        Category.DISTANCE: f'"How far is {names[0]} from {names[1]}?"',
        Category.COUNT: '"How many regions do you see?"',
        Category.LEFT_RIGHT: f'"Is {names[0]} left or right of {names[1]}?"',
        Category.MCQ: f'"Which of {names[0]} and {names[1]} is leftmost?"',
    }[category]
