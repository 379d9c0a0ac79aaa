"""Question forms that ask for a quantity, a position or a direction of one or two regions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Operator, Program
from smolrgpt_core.synthesis.drafts import Draft
from smolrgpt_core.synthesis.forms.draws import (
    classes,
    named,
    objects,
    pick,
    region,
    solid,
    some,
)
from smolrgpt_core.synthesis.forms.registry import form, named_form
from smolrgpt_core.synthesis.view import MarginView

MOST_PALLETS = 9
"""So many at most are asked for at once."""

Classes = Callable[[MarginView], tuple[str, ...]]
"""The classes of a frame that a form asks about, such as `draws.solid`."""

OF_ONE: dict[str, tuple[Operator, Classes]] = {
    "width": (attributes.Width, classes),
    "height": (attributes.Height, solid),
    "length": (attributes.Length, classes),
    "top_height": (attributes.Top, objects),
    "footprint": (attributes.FootprintArea, classes),
    "volume": (attributes.Volume, solid),
    "free_area": (attributes.FreeArea, lambda view: ("buffer",)),
    "capacity": (attributes.Capacity, lambda view: ("buffer",)),
}
"""Attributes of one region, and the classes of which they are asked."""

OF_TWO: dict[str, tuple[Operator, Classes]] = {
    "clearance": (attributes.Clearance, solid),
    "horizontal_distance": (attributes.HorizontalDistance, solid),
    "vertical_distance": (attributes.VerticalDistance, solid),
    "sideways_distance": (attributes.SidewaysDistance, solid),
    "forward_distance": (attributes.ForwardDistance, solid),
}
"""Attributes of two regions."""


def _of_one(
    attribute: Operator, of: Classes, view: MarginView, rng: np.random.Generator
) -> Draft | None:
    ids = some(view.whole(pick(of(view), rng)), 1, rng)
    if not ids:
        return None
    return Draft(questions.Measure(region(ids[0]), attribute()), {"first": named(*ids)})


def _of_two(
    attribute: Operator, of: Classes, view: MarginView, rng: np.random.Generator
) -> Draft | None:
    return two_regions(
        lambda first, second: questions.Measure(first, attribute(second)), of, view, rng
    )


def two_regions(
    make: Callable[[Program, Program], Program],
    of: Classes,
    view: MarginView,
    rng: np.random.Generator,
) -> Draft | None:
    """A question about two regions; None if the scene has fewer.

    Args:
        make: the program of two regions.
        of: classes that the regions are drawn from.
        view: of the scene.
        rng: random numbers.
    """
    ids = some(view.whole(*of(view)), 2, rng)
    if not ids:
        return None
    first, second = ids
    return Draft(
        make(region(first), region(second)), {"first": named(first), "second": named(second)}
    )


for _name, (_attribute, _of) in OF_ONE.items():
    named_form(_name, partial(_of_one, _attribute, _of))
for _name, (_attribute, _of) in OF_TWO.items():
    named_form(_name, partial(_of_two, _attribute, _of))


@form
def dimensions(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Length, width and height of a region."""
    ids = some(view.whole(*solid(view)), 1, rng)
    return Draft(questions.Dimensions(region(ids[0])), {"first": named(*ids)}) if ids else None


@form
def position(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Where a region is."""
    ids = some(view.whole(*classes(view)), 1, rng)
    return Draft(questions.Position(region(ids[0])), {"first": named(*ids)}) if ids else None


@form
def direction(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """In which direction a region is from another one."""
    return two_regions(questions.Direction, classes, view, rng)


@form
def clock_direction(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """At which hour of a clock a region is from another one, 12 being the viewing direction."""
    return two_regions(
        lambda first, second: questions.Measure(first, attributes.ClockHour(second)),
        classes, view, rng,
    )  # fmt: skip


@form
def bearing(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """By how many degrees a region is off the viewing direction."""
    ids = some(view.whole(*classes(view)), 1, rng)
    if not ids:
        return None
    angle = attributes.Bearing(selections.Camera())
    return Draft(questions.Measure(region(ids[0]), angle), {"first": named(*ids)})


@form
def difference_of_distances(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """How much farther one region is from a third than another one."""
    ids = some(view.whole(*solid(view)), 3, rng)
    if not ids:
        return None
    first, second, third = ids
    place = attributes.Distance(region(third))
    meters = view.values(place, (first, second))
    if meters[first] < meters[second]:
        first, second = second, first
    return Draft(
        questions.Difference(
            questions.Measure(region(first), place), questions.Measure(region(second), place)
        ),
        {"first": named(first), "second": named(second), "third": named(third)},
    )


@form
def fits_through(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Whether something of a width fits between two objects."""
    ids = some(view.whole(*solid(view)), 2, rng)
    if not ids:
        return None
    gap = view.values(attributes.Clearance(region(ids[1])), [ids[0]])[ids[0]]
    width = round(max(0.3, gap * float(rng.choice([0.6, 0.8, 1.3, 1.6]))), 1)
    clearance = questions.Measure(region(ids[0]), attributes.Clearance(region(ids[1])))
    return Draft(
        questions.Compare(clearance, "at_least", questions.Amount(width, "m")),
        {"first": named(ids[0]), "second": named(ids[1])},
        {"width": f"{width:g} m"},
    )


@form
def room_in_buffer(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Whether there is room for another pallet in a buffer."""
    ids = some(view.whole("buffer"), 1, rng)
    if not ids:
        return None
    program = questions.Whether(region(ids[0]), predicates.HasRoom())
    return Draft(program, {"place": named(*ids)})


@form
def room_for_several(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Whether there is room for two or more pallets in a buffer."""
    ids = some(view.whole("buffer"), 1, rng)
    if not ids:
        return None
    number = int(rng.integers(2, MOST_PALLETS + 1))
    capacity = questions.Measure(region(ids[0]), attributes.Capacity())
    limit = questions.Amount(float(number), "objects")
    program = questions.Compare(capacity, "at_least", limit)
    return Draft(program, {"place": named(*ids)}, {"number": str(number)})


@form
def is_empty(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Whether a buffer, a transporter or a pallet is empty; both answers equally often."""
    label = pick(["buffer", "transporter", "pallet"], rng)
    ids = view.whole(label)
    wanted = int(rng.integers(2))
    chosen = some(view.split(predicates.Empty(), ids)[wanted], 1, rng)
    if not chosen:
        return None
    program = questions.Whether(region(chosen[0]), predicates.Empty())
    return Draft(program, {"target": named(*chosen)})


@form
def depth_at_pixel(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """The depth at a pixel, and so the point behind it."""
    pixel = _pixel(view, rng)
    return Draft(questions.DepthAt(pixel), words={"pixel": f"({pixel[0]}, {pixel[1]})"})


@form
def nearer_pixel(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Whether one pixel is nearer than another one; asked only where depths differ by 10 %."""
    pixels = [_pixel(view, rng), _pixel(view, rng)]
    depths = [view.truth(questions.DepthAt(pixel)) for pixel in pixels]
    known = [depth for depth in depths if depth is not None]
    if len(known) < 2 or abs(known[0] - known[1]) < 0.1 * max(known):
        return None
    first, second = (questions.DepthAt(pixel) for pixel in pixels)
    return Draft(
        questions.Compare(first, "less", second),
        words={"pixel": str(pixels[0]), "other_pixel": str(pixels[1])},
    )


def _pixel(view: MarginView, rng: np.random.Generator) -> tuple[int, int]:
    height, width = view.regions.image_size
    return int(rng.integers(width)), int(rng.integers(height))
