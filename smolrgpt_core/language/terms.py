"""The English terms of the operators, from which `wording` makes sentences."""

from __future__ import annotations

from typing import Any

from smolrgpt_core.language.operators import attributes, benchmarks, fronts, predicates

UNIT_WORDS = {"m": "m", "m2": "square meters", "m3": "cubic meters", "deg": "degrees",
              "objects": "objects", "h": "o'clock", "share": "percent"}  # fmt: skip

HOW_WORDS = {
    "more": "more than",
    "less": "less than",
    "at_least": "at least",
    "at_most": "at most",
    "equal": "equal to",
}

REACHES = {
    "more": "more than {} from {}",
    "at_least": "at least {} from {}",
    "at_most": "within {} of {}",
}
"""How far away something is; "less than" is read as "within"."""

SIZE_ADJECTIVES = {
    attributes.Height: "tall",
    attributes.Width: "wide",
    attributes.Length: "long",
}
"""What stands behind a length: "at least 1 m tall"."""

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
            "tenth")  # fmt: skip

SUPERLATIVES = {
    (attributes.Column, "least"): "leftmost",
    (attributes.Column, "most"): "rightmost",
    (attributes.Forward, "least"): "frontmost",
    (attributes.Forward, "most"): "backmost",
    (attributes.CenterHeight, "most"): "highest",
    (attributes.CenterHeight, "least"): "lowest",
    (attributes.Bigness, "most"): "largest",
    (attributes.Bigness, "least"): "smallest",
    (attributes.Height, "most"): "tallest",
    (attributes.Height, "least"): "shortest",
    (attributes.Length, "most"): "longest",
    (attributes.Width, "most"): "widest",
    (attributes.Width, "least"): "narrowest",
    (attributes.FreeArea, "most"): "emptiest",
    (attributes.FreeArea, "least"): "fullest",
}
"""One word for the least or most of an attribute."""

FROM_SIDE = {
    (attributes.Column, "least"): "left",
    (attributes.Column, "most"): "right",
}
"""From where those behind the first are counted: "the second from the left"."""

ATTRIBUTES: dict[Any, str] = {
    attributes.Distance: "distance to {}",
    attributes.DistanceToAny: "distance to {}",
    attributes.HorizontalDistance: "horizontal distance to {}",
    attributes.VerticalDistance: "vertical distance to {}",
    attributes.SidewaysDistance: "sideways distance to {}",
    attributes.ForwardDistance: "forward distance to {}",
    attributes.Clearance: "clearance to {}",
    attributes.Column: "image column",
    attributes.Forward: "depth in front of the camera",
    attributes.CenterHeight: "height of center",
    attributes.Top: "top height",
    attributes.Length: "length",
    attributes.Width: "width",
    attributes.Height: "height",
    attributes.Span: "span",
    attributes.FootprintArea: "footprint area",
    attributes.Volume: "volume",
    attributes.Bigness: "size in space",
    attributes.FreeArea: "free area",
    attributes.FreeShare: "free share",
    attributes.Capacity: "capacity for more pallets",
    attributes.Bearing: "bearing from {}",
    attributes.ClockHour: "clock hour from {}",
    attributes.Holding: "number of {} held",
    fronts.Heading: "facing direction",
    benchmarks.SurfaceDistance: "mean distance between surfaces to {}",
    benchmarks.Rightward: "offset to right",
    benchmarks.NearestForward: "depth of nearest point",
    benchmarks.AlignedVolume: "size along axes",
    benchmarks.ClockSector: "clock sector from {}",
}

COMPARATIVES = {
    (attributes.Bigness, "more"): "larger",
    (attributes.Bigness, "less"): "smaller",
    (attributes.Height, "more"): "taller",
    (attributes.Height, "less"): "shorter",
    (attributes.Length, "more"): "longer",
    (attributes.Width, "more"): "wider",
    (attributes.Width, "less"): "narrower",
    (attributes.Distance, "more"): "farther from {}",
    (attributes.Distance, "less"): "nearer to {}",
}
"""What has more or less of an attribute than something else; "shorter" is less tall."""

NEARNESS = {"less": "nearer to {} than to {}", "more": "farther from {} than from {}"}
"""Which of two places something is nearer to."""

COUNTED_HOW = {**HOW_WORDS, "less": "fewer than", "equal": "exactly"}
"""How many there are."""

COUNTED_MORE = {
    "more": "more {} than {}",
    "less": "fewer {} than {}",
    "equal": "exactly as many {} as {}",
}
"""Of which of two kinds there are more."""

DIFFERENCES = {
    attributes.Height: "taller",
    attributes.Width: "wider",
    attributes.Length: "longer",
    attributes.FootprintArea: "larger",
    attributes.Distance: "farther from {}",
}
"""How much more of an attribute one has than another; "larger" of zones."""

NEIGHBOR_GAPS = {"least": "smallest", "most": "largest"}
"""Which of the gaps between neighbors is meant."""

BETWEEN_TWO = {
    attributes.Distance: "distance from {} to {}",
    attributes.HorizontalDistance: "horizontal distance between {} and {}",
    attributes.VerticalDistance: "vertical distance between {} and {}",
    attributes.SidewaysDistance: "sideways distance between {} and {}",
    attributes.ForwardDistance: "forward distance between {} and {}",
    attributes.Clearance: "clearance between {} and {}",
}
"""What is measured between two things."""

SEEN_FROM = {attributes.Bearing: "bearing", attributes.ClockHour: "clock hour"}
"""What is measured of one thing as seen from another."""

PREDICATES: dict[Any, str] = {
    predicates.In: "in {}",
    predicates.Holds: "holding {}",
    predicates.Empty: "empty",
    predicates.HasRoom: "with room for another pallet",
    predicates.LeftOf: "left of {}",
    predicates.RightOf: "right of {}",
    predicates.InFrontOf: "in front of {}",
    predicates.Behind: "behind {}",
    predicates.Above: "above {}",
    predicates.Below: "below {}",
    predicates.OnTopOf: "on top of {}",
    predicates.Between: "between {} and {}",
    predicates.Is: "the same as {}",
    predicates.HasRoomFor: "with room for {}",
    predicates.IsAmong: "among {}",
    fronts.Facing: "facing {}",
    fronts.FacingAway: "facing away from {}",
}

SIDES = {
    "left_right": "left or right of",
    "front_behind": "in front of or behind",
    "above_below": "above or below",
    "inside_outside": "inside or outside",
}

OFFSET_SIDES = {
    "left": "to the left of",
    "right": "to the right of",
    "front": "in front of",
    "behind": "behind",
    "above": "above",
    "below": "below",
}
"""How far to a side of something else it is."""

RELATIONS = {
    "left": "left of",
    "right": "right of",
    "front": "in front of",
    "behind": "behind",
    "above": "above",
    "below": "below",
    "inside": "inside",
    "outside": "outside",
}
