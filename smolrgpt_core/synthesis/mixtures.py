"""The question forms of a data set, and their frequencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from smolrgpt_core.language import CATEGORIES
from smolrgpt_core.language.conventions import HISPATIAL, SPATIALRGPT, WAREHOUSE, Conventions
from smolrgpt_core.synthesis.forms import COLOR_FORMS, FORMS, choice, counting, distance, left_right
from smolrgpt_core.synthesis.forms.registry import GUESSABLE

_WAREHOUSE_MODULES = {module.__name__ for module in (choice, counting, distance, left_right)}

ALL_WAREHOUSE_FORMS = tuple(
    name for name, make in FORMS.items()
    if getattr(make, "__module__", "") in _WAREHOUSE_MODULES
)  # fmt: skip
"""The forms of the four categories of the warehouse."""

WAREHOUSE_FORMS = tuple(name for name in ALL_WAREHOUSE_FORMS if name not in GUESSABLE)
"""Those for training and evaluation, whose answer does not follow from the words."""


_UNSEEN_BY_MODELS = (
    "depth_at_pixel", "nearer_pixel", "free_area", "capacity", "room_in_buffer", "room_for_several",
    *COLOR_FORMS,
)  # fmt: skip
"""Forms about places in the image, or about what may stand in a zone beside the regions that are
named, of which a model that sees these regions alone knows nothing; and about colors, which have a
mixture of their own."""


class Format(Enum):
    """The format of an answer."""

    FREE = "free"
    CHOICE = "multiple choice"
    TRUE_FALSE = "true or false"


@dataclass(frozen=True)
class Family:
    """A family of tasks.

    Attributes:
        weight: how often the family is asked, relative to the others.
        forms: names in `FORMS`, equally often.
        level: of the task in HiSpatial's hierarchy: 0 = pixels, 1 = one object, 2 = two objects,
            3 = what is derived from several; None in a mixture without levels.
    """

    weight: float
    forms: tuple[str, ...]
    level: int | None = None


@dataclass(frozen=True)
class Mixture:
    """The questions of a data set.

    Attributes:
        families: by name.
        formats: relative weights; a question that has no such format is asked in free form.
        conventions: what the words mean.
        for_models: ask in the words in which an answerer asks a model, instead of many wordings.
    """

    families: Mapping[str, Family]
    formats: Mapping[Format, float]
    conventions: Conventions = WAREHOUSE
    for_models: bool = False


def _evenly(*forms: str) -> dict[str, Family]:
    return {form: Family(1.0, (form,)) for form in forms}


_WAREHOUSE = Mixture(
    {
        "distance": Family(
            1.0,
            ("distance", "distance_to_camera", "distance_of_outermost", "distance_to_empty"),
        ),
        "count": Family(
            1.0, ("count_inside", "count_outside", "count_in_outermost", "count_in_nearest")
        ),
        "left_right": Family(1.0, ("left_or_right", "is_on_side")),
        "mcq": Family(
            1.0,
            ("nearest", "nearest_to_camera", "nearest_of_class", "nearest_empty", "outermost",
             "which_inside", "which_outside", "which_holds", "pickup"),
        ),
    },
    {Format.FREE: 1.0},
)  # fmt: skip

_HISPATIAL = Mixture(
    {
        "pixel_to_point": Family(10.51, ("depth_at_pixel",), level=0),
        "depth_ordering": Family(2.69, ("nearer_pixel",), level=0),
        # No operator says which way an object faces: 3.51 of "orientation" is skipped.
        "size": Family(
            11.56, ("width", "height", "length", "dimensions", "footprint", "volume", "top_height"),
            level=1,
        ),
        "localisation": Family(8.31, ("position", "distance_to_camera", "bearing"), level=1),
        "relative_direction": Family(
            26.09,
            ("left_or_right", "is_on_side", "front_or_behind", "above_or_below", "direction",
             "clock_direction", "is_above", "is_below", "is_front", "is_behind"),
            level=2,
        ),
        "relative_distance": Family(
            13.49,
            ("distance", "clearance", "horizontal_distance", "vertical_distance",
             "sideways_distance", "forward_distance", "difference_of_distances"),
            level=2,
        ),
        "comparison": Family(
            11.53,
            ("tall_choice", "short_choice", "wide_choice", "thin_choice", "big_choice",
             "small_choice", "is_tall", "is_wide", "is_big", "is_nearer", "nearest", "ordered"),
            level=2,
        ),
        "perspective_taking": Family(4.22, ("observer_side",), level=3),
        "counting": Family(7.52, ("count_related", "count_class_inside", "count_inside"), level=3),
        "problem_solving": Family(
            0.57,
            ("composed", "fits_through", "room_in_buffer", "room_for_several", "capacity",
             "free_area", "is_empty", "pickup"),
            level=3,
        ),
    },
    {Format.FREE: 0.3, Format.CHOICE: 0.4, Format.TRUE_FALSE: 0.3},
    HISPATIAL,
)  # fmt: skip
"""The task families of HiSpatial (arXiv 2603.25411, table 7) with its weights, in percent, its
levels, and the weights of formats of its data loader."""

_SPATIALRGPT = Mixture(
    _evenly(
        "left_choice", "right_choice", "is_on_side", "above_choice", "below_choice", "is_above",
        "is_below", "behind_choice", "front_choice", "is_behind", "is_front", "tall_choice",
        "short_choice", "is_tall", "is_short", "is_wide", "is_thin", "is_big", "is_small",
    )
    | {
        name: Family(3.0, (name,))
        for name in ("distance", "horizontal_distance", "vertical_distance", "width", "height",
                     "clock_direction")
    },
    {Format.FREE: 1.0},
    SPATIALRGPT,
)  # fmt: skip
"""The twelve categories of SpatialRGPT-Bench: yes or no, choice of one, and six quantities, about
as many of both."""

_LANGUAGE = Mixture(
    {name: replace(family, weight=4.0) for name, family in _WAREHOUSE.families.items()}
    | _evenly(
        *(
            name
            for name in FORMS
            if name not in (*ALL_WAREHOUSE_FORMS, *GUESSABLE, *_UNSEEN_BY_MODELS)
        )
    ),
    {Format.FREE: 1.0},
    for_models=True,
)
"""Every form of question about regions, for a model that answers whatever the language can say."""

_LOOKS = Mixture(_evenly(*COLOR_FORMS), {Format.FREE: 1.0}, for_models=True)
"""What the color image alone answers, in the words in which an answerer asks a model."""

MIXTURES: dict[str, Mixture] = {
    "warehouse": _WAREHOUSE,
    "language": _LANGUAGE,
    "looks": _LOOKS,
    "hispatial": _HISPATIAL,
    "spatialrgpt": _SPATIALRGPT,
}
"""Every mixture by name."""

TASKS = frozenset(name for mixture in MIXTURES.values() for name in mixture.families) - {
    *CATEGORIES
}
"""Names of families that a record of a data set may have in the place of a category."""

ORIENTATION, GENERAL = "orientation", "general"

UNMIXED_TASKS = frozenset({ORIENTATION, GENERAL})
"""What imported records may have in the place of a category beside `TASKS`: which way an object
faces, and questions about anything in an image. No mixture generates or draws them."""
