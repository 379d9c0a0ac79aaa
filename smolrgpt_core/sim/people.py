"""People who stand or walk, as parts.

Object axes: x where the person looks, y to the left, z up, origin on the floor between the feet.
Body heights are those of adults (DIN 33402-2: 1.54 m, 5 % of women are smaller, to 1.86 m, 5 % of
men are taller), measured as ISO 7250-1 says.
"""

from __future__ import annotations

import numpy as np

from smolrgpt_core.sim.parts import ConvexPart, Shape, Vector3

BODY_HEIGHT_M = (1.5, 1.87)
"""From the floor to the top of the bare head, in shoes."""
TOPS = ("vest_yellow", "vest_orange", "shirt_blue", "shirt_gray", "shirt_red")
VEST_FRACTION = 0.6
"""People in a high-visibility vest (EN ISO 20471)."""
TROUSERS = ("trousers_dark", "trousers_blue", "trousers_khaki")
SKINS = ("skin_light", "skin_medium", "skin_dark")
HELMETS = ("helmet_white", "helmet_yellow", "helmet_blue")


def person_parts(height_m: float, rng: np.random.Generator) -> list[ConvexPart]:
    """A person who stands, or is about to make a step, in clothes of a warehouse.

    Args:
        height_m: from the floor to the top of the bare head.
        rng: of the clothes and of the pose.
    """
    vested = rng.random() < VEST_FRACTION
    top = TOPS[rng.integers(2)] if vested else TOPS[rng.integers(2, len(TOPS))]
    sleeve = "shirt_gray" if vested else top
    trousers = TROUSERS[rng.integers(len(TROUSERS))]
    skin = SKINS[rng.integers(len(SKINS))]
    cap = HELMETS[rng.integers(len(HELMETS))] if rng.random() < 0.5 else "hair"
    step = float(rng.choice([0.0, rng.uniform(0.1, 0.35)]))
    parts = [*_trunk(top, skin), *_head(skin, cap)]
    for side in (-1, 1):
        parts += _leg(side, side * step, trousers)
        parts += _arm(side, -side * step * 0.8, sleeve, skin)
    return [_scaled(part, height_m) for part in parts]


def _scaled(part: ConvexPart, factor: float) -> ConvexPart:
    """A part of a person 1 m tall, at the person's height."""
    x, y, z = (value * factor for value in part.center)
    length, width, height = (value * factor for value in part.size)
    return ConvexPart(
        part.material, (x, y, z), (length, width, height), part.shape, part.tilt_rad, part.yaw_rad
    )


# The parts below are those of a person 1 m tall.


def _trunk(top: str, skin: str) -> list[ConvexPart]:
    """Hips, chest, shoulders and neck."""
    return [
        ConvexPart(top, (0, 0, 0.655), (0.125, 0.19, 0.32), Shape.CYLINDER),
        ConvexPart(top, (0, 0, 0.73), (0.145, 0.215, 0.2), Shape.ELLIPSOID),
        ConvexPart(top, (0, 0, 0.805), (0.11, 0.25, 0.08), Shape.ELLIPSOID),
        ConvexPart(skin, (0, 0, 0.845), (0.062, 0.062, 0.07), Shape.CYLINDER),
    ]


def _head(skin: str, cap: str) -> list[ConvexPart]:
    """Head with hair or a helmet over its upper half."""
    brim = 0.012 if cap.startswith("helmet") else 0.0
    return [
        ConvexPart(skin, (0.006, 0, 0.93), (0.1, 0.085, 0.13), Shape.ELLIPSOID),
        ConvexPart(
            cap, (-0.006, 0, 0.956 + brim), (0.105 + brim, 0.092 + brim, 0.088), Shape.ELLIPSOID
        ),
    ]


def _leg(side: int, swing_rad: float, trousers: str) -> list[ConvexPart]:
    """Thigh and shank in one, and a shoe that stays on the floor."""
    hip = (0.0, side * 0.052, 0.52)
    middle, foot = _swung(hip, 0.25, swing_rad), _swung(hip, 0.49, swing_rad)
    size = (0.095, 0.095, 0.5)
    return [
        _limb(trousers, middle, size, swing_rad),
        ConvexPart("rubber", (foot[0] + 0.03, foot[1], 0.0225), (0.16, 0.055, 0.045)),
    ]


def _arm(side: int, swing_rad: float, sleeve: str, skin: str) -> list[ConvexPart]:
    """Upper and lower arm in one, and a hand."""
    shoulder = (0.0, side * 0.12, 0.81)
    middle, hand = _swung(shoulder, 0.165, swing_rad), _swung(shoulder, 0.36, swing_rad)
    return [
        _limb(sleeve, middle, (0.056, 0.056, 0.35), swing_rad),
        ConvexPart(skin, hand, (0.05, 0.035, 0.09), Shape.ELLIPSOID),
    ]


def _swung(joint: Vector3, length: float, swing_rad: float) -> Vector3:
    """The point of a limb at a length below its joint, swung forward."""
    x, y, z = joint
    return (x + length * float(np.sin(swing_rad)), y, z - length * float(np.cos(swing_rad)))


def _limb(material: str, middle: Vector3, size: Vector3, swing_rad: float) -> ConvexPart:
    """A round limb that leans forward: parts tilt about x, so it is turned by a quarter."""
    return ConvexPart(material, middle, size, Shape.CYLINDER, swing_rad, np.pi / 2)
