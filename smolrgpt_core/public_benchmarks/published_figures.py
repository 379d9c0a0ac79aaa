"""Figures that papers print, with their sources, for `smolrgpt benchmark --table`.

Values are copied from the sources, in percent, under the names of our figures. A figure that its
source rounds from other counts, or that follows another rule than its authors', says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RGB, RELATIVE, METRIC = "RGB", "relative depth", "metric depth, estimated"
"""Inputs of a model besides the question."""

UNCHECKED = "not checked"
"""Of a model whose source was not read for its input."""

OF_FIVE = " (mean of five, no direction)"
"""HiSpatial's average, where ours is over all questions, direction among them."""

SRGPT = "SpatialRGPT, arXiv 2406.01584"
HISPATIAL = "HiSpatial, arXiv 2603.25411"
SMOLRGPT = (
    "SmolRGPT, arXiv 2509.15490; values are read by a local model, the horizontal distance fits no "
    "count of questions"
)
BOARD = "board of chanhee-luke/RoboSpatial-Eval"
QSPATIAL = "Q-Spatial Bench's paper"
REASONER = "SpatialReasoner's paper, real images"
VLMEVALKIT = "open-compass/VLMEvalKit pull request 909"


@dataclass(frozen=True)
class PublishedFigures:
    """What a source reports about one model.

    Attributes:
        model: as the source writes it.
        track: input of the model.
        source: paper or repository.
        figures: percent by name of our figure.
    """

    model: str
    track: str
    source: str
    figures: Mapping[str, float]


COLUMNS: dict[str, tuple[tuple[str, ...], ...]] = {
    "spatialrgpt": (
        ("below/above", "left/right", "big/small", "tall/short", "wide/thin", "behind/front",
         "qualitative"),
        ("direct distance", "horizontal distance", "vertical distance", "width", "height",
         "direction", "quantitative"),
    ),
    "cv-bench": (("overall", "2D", "3D", "2D Relation"),),
    "q-spatial": (("overall", "QSpatial_plus", "QSpatial_scannet"),),
    "embspatial": (("overall",),),
    "robospatial-home": (("configuration", "compatibility", "context", "VQA average", "total"),),
    "3dsrbench": (("overall", "height", "location", "orientation", "multi_object"),),
    "realworldqa": (("overall",),),
    "pope": (("mean F1", "mean accuracy", "accuracy"),),
    "mmbench": (("overall",),),
    "seed-bench": (("image", "all"),),
    "ai-city": (
        ("left_right", "mcq", "count", "distance", "overall", "final weighted score"),
    ),
    "hispatial-tasks": (("object to camera", "direction", "problem solving"),),
}  # fmt: skip
"""Figures of the tables of each benchmark."""


_QUALITATIVE, _QUANTITATIVE = COLUMNS["spatialrgpt"]
_QUANTITIES = _QUANTITATIVE[:-1]


def _spatialrgpt(
    model: str, track: str, qualitative: tuple[float, ...], quantities: tuple[float, ...]
) -> PublishedFigures:
    figures = dict(zip(_QUALITATIVE, qualitative, strict=True))
    return PublishedFigures(
        model, track, SRGPT, figures | dict(zip(_QUANTITIES, quantities, strict=True))
    )


PUBLISHED: dict[str, list[PublishedFigures]] = {
    "spatialrgpt": [
        _spatialrgpt("GPT-4V", RGB, (63.34, 46.67, 64.15, 60.71, 68.26, 45.45, 58.14),
                     (29.7, 25.4, 33.0, 51.1, 68.4, 43.9)),
        _spatialrgpt("LLaVA-1.6-34B + SoM", RGB, (44.16, 40.01, 33.96, 47.32, 41.34, 46.36, 42.31),
                     (12.8, 20.4, 11.3, 9.0, 7.5, 12.8)),
        _spatialrgpt("SpatialRGPT-7B", RELATIVE, (99.17, 99.04, 80.19, 91.96, 87.50, 91.81, 91.78),
                     (41.2, 65.6, 51.9, 49.6, 57.9, 95.3)),
        _spatialrgpt("SpatialRGPT-VILA-1.5-3B", RELATIVE,
                     (99.17, 100.0, 81.13, 88.39, 85.57, 93.63, 91.47),
                     (44.6, 63.1, 50.9, 42.9, 63.2, 93.5)),
        _spatialrgpt("SpatialRGPT-VILA-1.5-8B", RELATIVE,
                     (99.17, 100.0, 84.90, 89.28, 91.34, 90.90, 92.69),
                     (45.9, 68.0, 56.6, 48.9, 61.7, 95.3)),
        PublishedFigures("SmolRGPT", RELATIVE, SMOLRGPT, {
            "qualitative": 65.6, "direct distance": 35.8, "horizontal distance": 18.3,
            "vertical distance": 33.9, "width": 18.05, "height": 20.3, "direction": 35.5}),
        PublishedFigures(f"HiSpatial-3B{OF_FIVE}", METRIC, HISPATIAL, {"quantitative": 79.28}),
        PublishedFigures(f"MM-Spatial-3B{OF_FIVE}", UNCHECKED, HISPATIAL, {"quantitative": 68.70}),
        PublishedFigures(f"GPT-5{OF_FIVE}", RGB, HISPATIAL, {"quantitative": 40.47}),
    ],
    "cv-bench": [
        PublishedFigures("HiSpatial-3B", METRIC, HISPATIAL, {"3D": 97.58, "2D Relation": 95.69}),
        PublishedFigures("RoboRefer-8B", UNCHECKED, HISPATIAL, {"2D Relation": 96.90}),
        PublishedFigures("Qwen3-VL-8B", RGB, HISPATIAL, {"3D": 90.66}),
        PublishedFigures("GPT-4o", RGB, HISPATIAL, {"3D": 84.90}),
        PublishedFigures("Qwen-VL-Plus", RGB, VLMEVALKIT, {"2D": 73.5, "3D": 74.5}),
    ],
    "q-spatial": [
        PublishedFigures("HiSpatial-3B", METRIC, HISPATIAL,
                         {"overall": 85.16, "QSpatial_scannet": 84.17}),
        PublishedFigures("HiSpatial-3B, RGB only", RGB, HISPATIAL, {"overall": 76.01}),
        PublishedFigures("GPT-5", RGB, HISPATIAL, {"overall": 68.45}),
        PublishedFigures("InternVL3.5-8B", RGB, HISPATIAL, {"overall": 57.94}),
        PublishedFigures("GPT-4V", RGB, QSPATIAL, {"QSpatial_plus": 18.81}),
        PublishedFigures("GPT-4V, reference objects", RGB, QSPATIAL, {"QSpatial_plus": 53.47}),
    ],
    "embspatial": [
        PublishedFigures("HiSpatial-3B", METRIC, HISPATIAL, {"overall": 80.71}),
        PublishedFigures("Qwen3-VL-8B", RGB, HISPATIAL, {"overall": 78.50}),
        PublishedFigures("Gemini-2.5-Pro", RGB, HISPATIAL, {"overall": 76.67}),
        PublishedFigures("GPT-4o", RGB, HISPATIAL, {"overall": 63.38}),
    ],
    "robospatial-home": [
        PublishedFigures("GPT-4o", RGB, BOARD, {
            "configuration": 74.0, "compatibility": 55.2, "context": 6.6, "total": 45.3}),
        PublishedFigures("RoboPoint-13B (total: mean 53.4)", RGB, BOARD, {
            "configuration": 69.9, "compatibility": 70.5, "context": 19.7, "total": 47.3}),
        PublishedFigures("RoboRefer-8B", UNCHECKED, BOARD, {
            "configuration": 58.33, "compatibility": 61.48, "context": 59.4}),
        PublishedFigures("SpaceTools-3B", UNCHECKED, BOARD, {
            "VQA average": 79.38, "context": 52.46, "total": 70.4}),
        PublishedFigures("HiSpatial-3B", METRIC, HISPATIAL, {"configuration": 86.18}),
        PublishedFigures("Qwen3-VL-8B", RGB, HISPATIAL, {"configuration": 82.11}),
    ],
    "3dsrbench": [
        *(
            PublishedFigures(model, RGB, REASONER,
                             dict(zip(COLUMNS["3dsrbench"][0], values, strict=True)))
            for model, values in (
                ("human", (95.7, 92.9, 96.4, 97.7, 94.9)),
                ("SpatialReasoner", (60.3, 52.5, 75.2, 55.2, 51.8)),
                ("Qwen2.5-VL-7B", (48.4, 44.1, 62.7, 40.6, 40.5)),
                ("GPT-4o", (44.2, 53.2, 59.6, 21.6, 39.0)),
            )
        ),
        PublishedFigures("HiSpatial-3B", METRIC, HISPATIAL, {"overall": 63.81}),
    ],
    "realworldqa": [
        PublishedFigures("PaliGemma2-3B", RGB, HISPATIAL, {"overall": 47.76}),
        PublishedFigures("HiSpatial-3B", METRIC, HISPATIAL, {"overall": 58.95}),
    ],
    "pope": [
        PublishedFigures("PaliGemma2-3B (unnamed metric)", RGB, HISPATIAL, {"accuracy": 87.00}),
        PublishedFigures("HiSpatial-3B (unnamed metric)", METRIC, HISPATIAL, {"accuracy": 87.97}),
    ],
    "mmbench": [
        PublishedFigures("PaliGemma2-3B", RGB, HISPATIAL, {"overall": 49.86}),
        PublishedFigures("HiSpatial-3B", METRIC, HISPATIAL, {"overall": 69.67}),
    ],
    "seed-bench": [
        PublishedFigures("PaliGemma2-3B", RGB, HISPATIAL, {"image": 48.32}),
        PublishedFigures("HiSpatial-3B", METRIC, HISPATIAL, {"image": 63.51}),
    ],
    "ai-city": [],
    "hispatial-tasks": [
        PublishedFigures("HiSpatial-3B (on its own photographs)", METRIC, HISPATIAL, {
            "object to camera": 92.18, "direction": 67.21, "problem solving": 47.44}),
    ],
}  # fmt: skip
"""By benchmark."""
