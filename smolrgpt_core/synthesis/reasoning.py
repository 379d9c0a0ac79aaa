"""An answer step by step, as HiSpatial trains it: plan, facts, reasoning, final answer.

The facts come from the scene of the answer, and the reasoning is the interpreter's own, so no step
is invented.
"""

from __future__ import annotations

from smolrgpt_core.language.answer_wording import answer_sentence
from smolrgpt_core.language.interpreter import Step, evaluate
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.wording import quantity, say_phrase
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.spatial_scene import SpatialScene
from smolrgpt_core.synthesis.generator import QuestionWithTruth, with_region_names

REQUESTS = (
    "Think step by step.",
    "Explain your reasoning.",
    "Show the steps.",
    "Reason before you answer.",
)
"""Written behind a question, to ask for its steps. Those of the paper are not public."""

MOST_FACTS = 8
"""Maximum number of regions whose positions are listed; questions about more have no steps."""

_PLANS = {
    Type.QUANTITY: "compute the value",
    Type.TRUTH: "decide whether it is so",
    Type.REGION: "choose one",
    Type.REGIONS: "list those that fit",
    Type.RELATION: "compare where they are",
    Type.COLOR: "look at its color",
    Type.POINT: "say where it is",
    Type.VECTOR: "subtract the one place from the other",
    Type.SIZE: "read its sides",
}


def steps_of(item: QuestionWithTruth, scene: SpatialScene) -> str:
    """The answer to a question step by step.

    It is "" if there are no steps, as for a pixel, or if the steps involve regions that a question
    with placeholders does not mention.

    Args:
        item: a question about the scene.
        scene: the one it was made from.
    """
    finding = evaluate(item.program, SceneCopies(scene, copies=1))
    ids = tuple(dict.fromkeys((*item.region_ids, *finding.ids)))
    steps = [step for step in finding.steps if step.program is not finding.program]
    unnamed = {*ids, *(id for step in steps for id in step.ids)} - set(item.region_ids)
    if not 0 < len(ids) <= MOST_FACTS or (item.region_ids and unnamed):
        return ""
    regions = scene.regions
    named = ", ".join(regions[id].name for id in ids)
    lines = [
        f"Plan: find {named}, then {_PLANS[item.program.type]}.",
        f"Facts: {' '.join(_fact(scene, id) for id in ids)}",
        f"Reasoning: {_reasoning(item, steps, regions)}",
    ]
    text = "\n".join(lines)
    if item.region_ids:
        text = with_region_names(text, regions, item.region_ids)
    return f"{text}\nAnswer: {item.normalized_answer}"


def _fact(scene: SpatialScene, id: int) -> str:
    """Where a region is as seen from the camera, and how large."""
    place = scene.place(id)
    right, forward, height = place.center
    length, width, tall = place.size
    return (
        f"{scene.regions[id].name} is {right:.2f} m right, {forward:.2f} m ahead, {height:.2f} m "
        f"up; {length:.2f} m by {width:.2f} m by {tall:.2f} m."
    )


def _reasoning(item: QuestionWithTruth, steps: list[Step], regions: RegionSet) -> str:
    found = [_step(step, regions) for step in steps]
    return " ".join([*found, answer_sentence(item.program, item.truth, regions)])


def _step(step: Step, regions: RegionSet) -> str:
    """What a part of the question stands for."""
    phrase = say_phrase(step.program, regions)
    names = ", ".join(regions[id].name for id in step.ids) or "none"
    number = "" if step.value is None or not step.unit else f" ({quantity(step.value, step.unit)})"
    return f"{phrase[0].upper()}{phrase[1:]}: {names}{number}."
