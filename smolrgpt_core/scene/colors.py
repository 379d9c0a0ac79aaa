"""The colors of regions by name, as the color image of a frame shows them.

Pixels are named one by one: by the nearest, in CIELAB, of a few examples of each of the eleven
basic color terms of English (Berlin and Kay, Basic Color Terms, 1969), in full light and in shade.
The examples are colors of paint, plastic, wood and cardboard in sRGB, chosen for this purpose.
Before that, the light of the scene is taken out: what is nearly gray counts as gray, and the
brightest twentieth of the image as nearly white. Numbers below were chosen on simulated halls;
docs/accuracy.md has what came out on others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.regions import Region
from smolrgpt_core.scene.spatial_scene import COLORS, SeenColors, cannot_tell

EDGE_PX = 2
"""Pixels this close to the edge of a mask may show what is next to the region."""

SMALL_EDGE_PX, ENOUGH_PIXELS = 1, 40
"""That edge where the other one would leave fewer pixels than these."""

MIN_PIXELS = 20
"""A color is named from at least this many pixels."""

MOST_PIXELS = 800
"""Of a larger region, pixels at regular steps are used."""

BLUR_PX = 0.8
"""Standard deviation of the blur that removes the noise of single pixels."""

GRAY_LEVELS = 4
"""Red, green and blue that differ by no more than this, of 255, are no color."""

BURNT_LEVEL = 250
"""A pixel with this level in all channels is too bright to have a color."""

DARK_LIGHT = 0.015
"""Linear light, of 1, that the brightest twentieth of an image has at least: level 33 of 255."""

NEUTRAL_CHROMA = 15.0
"""What has less chroma in CIELAB is taken for gray when the light of the scene is estimated."""

NEUTRAL_LIGHTNESS = 30.0
"""Darker pixels reveal nothing about the color of the light."""

MIN_NEUTRAL_FRACTION = 0.05
"""Fraction of an image that must be nearly gray to reveal the color of the light."""

WHITE_LIGHT = 0.8
"""Linear light of what is as bright as the brightest twentieth of the image."""

MIN_WHITE_LIGHT = 0.25
"""An image is brightened as if its brightest twentieth had at least this linear light."""

LIGHT_STEP = 4
"""The light is estimated from one in this many rows and columns."""

EXAMPLES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "black": ((0, 0, 0), (25, 25, 25), (45, 45, 45), (58, 58, 60)),
    "white": ((255, 255, 255), (225, 225, 225), (195, 195, 195), (172, 172, 172)),
    "gray": ((90, 90, 90), (115, 115, 115), (140, 140, 140)),
    "red": ((230, 20, 30), (178, 34, 34)),
    "orange": ((255, 140, 0), (255, 100, 20), (240, 120, 40)),
    "yellow": ((255, 235, 0), (255, 205, 20), (240, 220, 90)),
    "green": ((0, 128, 0), (0, 180, 70), (60, 179, 113), (130, 200, 60)),
    "blue": ((0, 0, 255), (0, 80, 200), (70, 130, 200), (135, 206, 235)),
    "purple": ((128, 0, 128), (110, 60, 160), (170, 90, 210)),
    "pink": ((255, 182, 193), (255, 105, 180), (240, 140, 165)),
    "brown": ((101, 67, 33), (150, 105, 65), (190, 150, 105), (215, 180, 140)),
}
"""Examples of each name, sRGB of 255."""

SHADES = (1.0, 0.6, 0.35, 0.18)
"""Fractions of the light in which paint has the same name."""

SHADELESS = ("black", "white", "gray", "pink")
"""Names that change with the light: white in shade looks gray, and pink becomes red."""

LIGHTNESS_WEIGHT = 0.5
"""Of a difference in lightness, relative to hue and chroma, which depend less on the light."""

NAME_STD = 5.0
"""Distance in CIELAB within which two names fit a pixel almost equally well."""

INCIDENTAL = ({"black": 0.05, "gray": 0.2}, {"black": 0.5, "gray": 0.4})
"""What black and gray pixels count, of 1: little if they are shadow, rubber and steel, which are
parts of things that people call by another color, else more."""

VIVID_CHROMA = 45.0
"""Pixels of red, yellow, ... count in full with this chroma in CIELAB or more, with half of it
half: a gray car that mirrors the sky is not blue. Or all count alike: cardboard is brown. Which of
these, and of `INCIDENTAL`, applies is unknown, so a name is certain only if all cases agree."""

SHARPNESS = 4.0
"""A name becomes likely with this power of its fraction of the pixels."""

UNSURE_FACTOR = 2.0
"""How much faster the other names become likely than the likeliest one becomes unsure."""

LAPSE = 0.01
"""Probability of all names together regardless of what is seen."""


class ColorImage:
    """Names the colors of the regions of one image.

    Args:
        rgb: uint8 (H, W, 3).
    """

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        self._rgb = rgb

    def colors(self, region: Region) -> SeenColors:
        """What colors a region has.

        Raises:
            SpatialError: CANNOT_TELL where too little of it is seen, or the image has no colors.
        """
        if self._light.problem:
            raise cannot_tell(f"the color of {region.name} is unknown: {self._light.problem}")
        inside = _inside(region)
        pixels = self._rgb[region.box.slices][inside]
        burnt = (pixels >= BURNT_LEVEL).all(axis=1)
        if len(pixels) < MIN_PIXELS:
            raise cannot_tell(
                f"{region.name} is too small to judge its color: {len(pixels)} pixels lie inside "
                f"the edge of its mask, {MIN_PIXELS} are needed; ask again from nearby"
            )
        if np.mean(burnt) > 0.5:
            raise cannot_tell(
                f"{region.name} is too bright to judge its color: {np.mean(burnt):.0%} of its "
                "pixels are overexposed; reduce the exposure"
            )
        lab = _lab(self._lit(region, inside)[~burnt])
        fits = _fits(lab)
        vividness = np.clip(np.hypot(lab[:, 1], lab[:, 2]) / VIVID_CHROMA, 0.0, 1.0)
        vivid = np.where(_IS_NEUTRAL, fits, fits * vividness[:, None]).mean(axis=0)
        fractions = fits.mean(axis=0)
        likely = _name_weights(vivid, fractions)
        return SeenColors(fractions, (1 - LAPSE) * likely + LAPSE / len(COLORS))

    def _lit(self, region: Region, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(P, 3) linear light of pixels (h, w) of a region, as if the scene had white light."""
        return LINEAR[self._smooth[region.box.slices][inside]] * self._light.gains

    @cached_property
    def _smooth(self) -> NDArray[np.uint8]:
        return np.asarray(cv2.GaussianBlur(self._rgb, (0, 0), BLUR_PX), np.uint8)

    @cached_property
    def _light(self) -> _Light:
        return _light_of(self._rgb)


@dataclass(frozen=True, eq=False)
class _Light:
    """What lights a scene.

    Attributes:
        gains: float32 (3,) by which linear red, green and blue become those under white light.
        problem: why colors cannot be determined, and what to do; "" where they can.
    """

    gains: NDArray[np.float32]
    problem: str = ""


def _light_of(rgb: NDArray[np.uint8]) -> _Light:
    levels = rgb[::LIGHT_STEP, ::LIGHT_STEP].reshape(-1, 3)
    none = np.ones(3, np.float32)
    spread = levels.max(axis=1).astype(int) - levels.min(axis=1)
    if np.quantile(spread, 0.999) <= GRAY_LEVELS:
        return _Light(none, "the image has no colors, its three channels are equal")
    linear = LINEAR[levels]
    brightest = float(np.quantile(linear @ LUMINANCE, 0.95))
    if brightest < DARK_LIGHT:
        return _Light(none, "the image is too dark; expose it longer")
    lab = _lab(linear)
    neutral = (np.hypot(lab[:, 1], lab[:, 2]) < NEUTRAL_CHROMA) & (lab[:, 0] > NEUTRAL_LIGHTNESS)
    neutral &= levels.max(axis=1) < BURNT_LEVEL
    if neutral.mean() < MIN_NEUTRAL_FRACTION:
        return _Light(
            none,
            "nothing in the image is nearly gray or white, so the color of the light is unknown; "
            "check the white balance of the camera",
        )
    light = np.median(linear[neutral], axis=0)
    gains = light.mean() / light * (WHITE_LIGHT / max(brightest, MIN_WHITE_LIGHT))
    return _Light(gains.astype(np.float32))


def _inside(region: Region) -> NDArray[np.bool_]:
    """(h, w) pixels of a mask that are not near its edge, `MOST_PIXELS` at most."""
    inside = _eroded(region.mask, EDGE_PX)
    if inside.sum() < ENOUGH_PIXELS:
        inside = _eroded(region.mask, SMALL_EDGE_PX)
    step = -(-int(inside.sum()) // MOST_PIXELS)
    if step > 1:
        rows, columns = np.nonzero(inside)
        inside = np.zeros_like(inside)
        inside[rows[::step], columns[::step]] = True
    return inside


def _eroded(mask: NDArray[np.bool_], edge_px: int) -> NDArray[np.bool_]:
    """A mask (h, w) without its pixels next to others, so many deep."""
    padded = np.pad(mask, 1).astype(np.uint8)
    size = 2 * edge_px + 1
    kernel = np.ones((size, size), np.uint8)
    eroded = cv2.erode(padded, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(eroded[1:-1, 1:-1], dtype=bool)


def _fits(lab: NDArray[np.float32]) -> NDArray[np.float64]:
    """(P, 11) how well each name fits pixels (P, 3) in CIELAB; the sum of each is 1."""
    scale = np.array([LIGHTNESS_WEIGHT, 1.0, 1.0])
    examples, names = _examples()
    squares = (((lab * scale)[:, None] - examples * scale) ** 2).sum(axis=2)
    nearest = np.stack(
        [squares[:, place == names].min(axis=1) for place in range(len(COLORS))], axis=1
    )
    fits = np.exp((nearest.min(axis=1, keepdims=True) - nearest) / (2 * NAME_STD**2))
    return np.asarray(fits / fits.sum(axis=1, keepdims=True))


def _name_weights(
    vivid: NDArray[np.float64], fractions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(11,) how likely each name is the one for a region.

    Args:
        vivid: (11,) fractions of its pixels, those of pale ones lowered.
        fractions: (11,) of its pixels.
    """
    cases = [
        _likely(item, counts, SHARPNESS) for item in (vivid, fractions) for counts in INCIDENTAL
    ]
    likely = np.mean(cases, axis=0)
    # Where the name is unsure, a smaller part may be what gives a thing its color.
    unsure = min(1.0, UNSURE_FACTOR * (1 - float(likely.max())))
    possible = _likely(vivid, INCIDENTAL[0], sharpness=1.0)
    return np.asarray((1 - unsure) * likely + unsure * possible)


def _likely(
    fractions: NDArray[np.float64], counts: Mapping[str, float], sharpness: float
) -> NDArray[np.float64]:
    """(11,) how likely each name is by fractions of pixels alone.

    Args:
        fractions: (11,) of the pixels.
        counts: what pixels of a name count, where that is not 1.
        sharpness: power of the fraction by which a name becomes likely.
    """
    evidence = fractions * [counts.get(name, 1.0) for name in COLORS]
    powers = (evidence / evidence.max()) ** sharpness
    return np.asarray(powers / powers.sum())


def _lab(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """CIELAB (P, 3) of linear light (P, 3), of sRGB's primaries and white."""
    clipped = np.clip(linear, 0, 1).astype(np.float32)[None]
    return np.asarray(cv2.cvtColor(clipped, cv2.COLOR_LRGB2LAB)[0])


def _linear(levels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Linear light, of 1, of sRGB levels, of 255 (IEC 61966-2-1)."""
    encoded = levels / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


LINEAR = _linear(np.arange(256.0))
"""float32 (256,) linear light of each level."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of linear red, green and blue in luminance."""


@cache
def _examples() -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """CIELAB (E, 3) of the examples in all their shades, and the place of each one's name (E,).

    Not made before it is needed: for its first color OpenCV makes tables, which takes 0.1 s.
    """
    linear, names = [], []
    for place, name in enumerate(COLORS):
        for example in EXAMPLES[name]:
            for shade in (1.0,) if name in SHADELESS else SHADES:
                linear.append(LINEAR[list(example)] * shade)
                names.append(place)
    return _lab(np.array(linear, np.float32)), np.array(names)


_IS_NEUTRAL = np.isin(COLORS, ("black", "white", "gray"))
