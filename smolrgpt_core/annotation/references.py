"""References to objects in words, each of which selects exactly one object of its frame.

A spatial reference is a program of the language, such as the second pallet from the left. It is
used only if it selects the same object within the measurement uncertainty (`MarginView.truth`) and
its text is parsed to the program. It assumes that every object of the class is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import read_question
from smolrgpt_core.language.conventions import Conventions
from smolrgpt_core.language.operators import attributes, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.wording import say_phrase
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.synthesis.view import MarginView

CATEGORY, ORDER, POSITION, SIZE, WORDS = "category", "order", "position", "size", "words"
KINDS = (CATEGORY, WORDS, ORDER, POSITION, SIZE)
"""From the simplest one."""

MIN_IN_LINE = 3
"""Fewer objects have no order of a line."""

LINE_RATIO = 0.1
"""Objects stand in a line if the second principal component of their centers has less than this
fraction of the variance of the first."""

MAX_RANK = 2
"""Of positions and sizes: nobody asks for "the third largest"."""


@dataclass(frozen=True)
class Reference:
    """Words for one object.

    Attributes:
        kind: one of `KINDS`.
        text: such as "the second pallet from the left".
        program: selects the object; None if a model wrote the text and found the object.
        level: 1 class, 2 with an attribute, 3 with an action or a part, 4 with its position.
    """

    kind: str
    text: str
    program: Program | None = None
    level: int = 1

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        program = None if self.program is None else self.program.to_json()
        return {"kind": self.kind, "level": self.level, "text": self.text, "program": program}


def spatial_references(
    view: MarginView, conventions: Sequence[Conventions]
) -> dict[int, list[Reference]]:
    """References by region id, simplest first; none for regions without a unique one.

    Args:
        view: of the frame, with the margins in force.
        conventions: under each of which the words must mean the same object.
    """
    found: dict[int, list[Reference]] = {}
    labels = sorted({region.label for region in view.regions if region.label})
    for label in labels:
        for kind, program in _candidates(label, view):
            id = _selected(program, view, conventions)
            if id is None or any(item.kind == kind for item in found.get(id, ())):
                continue
            text = say_phrase(program, view.regions)
            if is_read_as(text, program, view.regions):
                found.setdefault(id, []).append(Reference(kind, text, program))
    return found


def is_read_as(text: str, program: Program, regions: RegionSet) -> bool:
    """Whether a reference is parsed to the region that a program selects.

    Args:
        text: of the reference, such as "the leftmost pallet".
        program: that selects the region.
        regions: of the frame.
    """
    try:
        read = read_question(f"Where is {text}?", regions)
    except SpatialError:
        # Whatever the reason is, nobody would be understood with these words.
        return False
    return read.program == questions.Position(program)


def _candidates(label: str, view: MarginView) -> Iterator[tuple[str, Program]]:
    every = selections.All(label)
    number = len(view.regions.with_label(label))
    if number == 1:
        yield CATEGORY, selections.The(every)
        return
    yield from ((ORDER, program) for program in _in_line(label, number, view))
    unsized = any(placed.unsized for id, placed in view.placed.items() if view.label(id) == label)
    for attribute, end in _POSITIONS:
        if unsized and attribute == _HEIGHT:
            # The middle of what is seen of a truck that is cut off is not that of the truck.
            continue
        yield from ((POSITION, selections.Extreme(every, attribute, end, float(rank)))
                    for rank in range(1, MAX_RANK + 1))  # fmt: skip
    for attribute, end in _SIZES:
        yield SIZE, selections.Extreme(every, attribute, end, 1.0)


_HEIGHT = attributes.CenterHeight()
_NEARNESS = attributes.Distance(selections.Camera())
_POSITIONS = (
    (attributes.Column(), "least"),
    (attributes.Column(), "most"),
    (_NEARNESS, "least"),
    (_NEARNESS, "most"),
    (_HEIGHT, "most"),
    (_HEIGHT, "least"),
)
_SIZES = (
    (attributes.Height(), "most"),
    (attributes.Height(), "least"),
    (attributes.Width(), "most"),
    (attributes.Width(), "least"),
    (attributes.Bigness(), "most"),
    (attributes.Bigness(), "least"),
)
_LINES = (attributes.Column(), attributes.Forward(), attributes.CenterHeight())
"""What orders a line that runs across, away from the camera, and upwards."""


def _in_line(label: str, number: int, view: MarginView) -> Iterable[Program]:
    """Ranks along the line that all objects of a class stand in; none where they do not."""
    ids = view.seen(label)
    if number < MIN_IN_LINE or len(ids) != number:
        return
    centers = np.array([view.placed[id].center for id in ids])
    variances, components = np.linalg.eigh(np.cov(centers.T))
    if variances[-2] >= LINE_RATIO * variances[-1]:
        return
    attribute = _LINES[int(np.argmax(np.abs(components[:, -1])))]
    for rank in range(1, number + 1):
        end, place = ("least", rank) if rank <= (number + 1) // 2 else ("most", number + 1 - rank)
        yield selections.Extreme(selections.All(label), attribute, end, float(place))


def _selected(program: Program, view: MarginView, conventions: Sequence[Conventions]) -> int | None:
    """The one region that a program selects under all conventions; None where it is not clear."""
    selected: set[int | None] = {view.truth(item.meant(program)) for item in conventions}
    return selected.pop() if len(selected) == 1 else None
