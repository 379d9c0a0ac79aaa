"""Doors in the walls at the ends of a hall, as parts.

Object axes: x along the wall, y into the wall, z up, origin on the floor in the middle of the
footprint. A leaf hangs on the inside of the wall, as that of a sectional door does. Sizes: doors of
loading docks are 2.75 or 3.0 m wide and 3.0 m tall (DIN 18225 and makers' lists), doors for people
1.0 x 2.125 m (DIN 18100, order size).
"""

from __future__ import annotations

from smolrgpt_core.sim.parts import ConvexPart

DOORS_M = {"dock_wide": (3.0, 3.0), "dock": (2.75, 3.0), "for_people": (1.0, 2.125)}
"""Width and height of each kind, with the frame."""
DEPTH_M = 0.12
FRAME_M = 0.06


def door_parts(kind: str) -> list[ConvexPart]:
    """A closed door.

    Args:
        kind: a key of `DOORS_M`.
    """
    width, height = DOORS_M[kind]
    leaf = "door_people" if kind == "for_people" else "door_dock"
    parts = [
        ConvexPart(
            leaf,
            (0, 0.01, (height - FRAME_M) / 2),
            (width - 2 * FRAME_M, DEPTH_M - 0.02, height - FRAME_M),
        ),
        ConvexPart("steel_dark", (0, 0, height - FRAME_M / 2), (width, DEPTH_M, FRAME_M)),
    ]
    for side in (-1, 1):
        post = (side * (width - FRAME_M) / 2, 0, (height - FRAME_M) / 2)
        parts.append(ConvexPart("steel_dark", post, (FRAME_M, DEPTH_M, height - FRAME_M)))
    return parts
