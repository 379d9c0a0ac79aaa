"""Sets for benchmarks about simulated warehouses, in the layout of SpatialRGPT-Bench.

    DIR/SpatialRGPT-Bench_v1.json   records as published; with the two fields below
    DIR/images/NAME.png             color
    DIR/depths/NAME.png             16 bit, as the simulated camera measures it: `depth_path`
                                    of a record, its unit and the calibration in `camera`

Truths are those of the simulator under the conventions of the benchmark (`language.conventions`).
What is asked is a `SetLayout`: the published raw categories of SpatialRGPT-Bench in about the
published numbers, or what stands in another module.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from smolrgpt_core.data.records import encode_masks
from smolrgpt_core.data.warehouse_format import CameraRecord
from smolrgpt_core.errors import bad_input
from smolrgpt_core.files import new_folder, write_file
from smolrgpt_core.language import read_question
from smolrgpt_core.language.placeholders import numbered
from smolrgpt_core.language.question import asked_side
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import SimulatedFrame
from smolrgpt_core.simulated_data.randomization import Randomization
from smolrgpt_core.simulated_data.scenes import (
    DEPTH_SCALE,
    SimulationSettings,
    encode_frame,
    render_scene,
)
from smolrgpt_core.synthesis import QuestionWithTruth, generate_mixture

MIXTURE = "spatialrgpt"

PUBLISHED_COUNTS = {
    "below_choice": 19, "below_predicate": 35, "above_choice": 29, "above_predicate": 37,
    "left_choice": 28, "left_predicate": 25, "right_choice": 24, "right_predicate": 28,
    "big_predicate": 61, "small_predicate": 45,
    "tall_choice": 31, "tall_predicate": 26, "short_choice": 33, "short_predicate": 22,
    "wide_predicate": 56, "thin_predicate": 48,
    "behind_predicate": 55, "front_predicate": 55,
    "distance_data": 148, "horizontal_distance_data": 122, "vertical_distance_data": 106,
    "width_data": 133, "height_data": 133, "direction": 107,
}  # fmt: skip
"""Questions of each raw category in the published set."""

VIEWS = 2
"""Images of each scene."""

DRAWN, EACH_IMAGE = 60, 16
"""So many questions are drawn for an image, and at most so many of them asked."""

MAX_SCENES = 2000
"""So many scenes are tried to fill all categories."""

_STREAM = 3
"""Kind of random stream, beside those of `scenes`."""

_QUANTITIES = {
    "distance": "distance_data",
    "horizontal_distance": "horizontal_distance_data",
    "vertical_distance": "vertical_distance_data",
    "width": "width_data",
    "height": "height_data",
    "clock_direction": "direction",
}


Drawn = tuple[str, QuestionWithTruth]
"""A question, and the raw category that it counts in."""


@dataclass(frozen=True)
class SetLayout:
    """What a set asks.

    Attributes:
        file: name of the file of records.
        counts: questions of each raw category in the published set.
        draw: questions about a frame, with raw categories; those that have none are skipped.
        kind: `type` of a record, by its question and raw category.
        truth: the true answer in words, by the same.
        shows_all: whether a record also has the masks of what its question does not name, on which
            the answer may depend ("is the buffer empty?"): `others`.
    """

    file: str
    counts: Mapping[str, int]
    draw: Callable[[TrueScene, np.random.Generator], Iterable[Drawn]]
    kind: Callable[[QuestionWithTruth, str], str]
    truth: Callable[[QuestionWithTruth, str], str]
    shows_all: bool = False

    def wanted(self, questions: int) -> dict[str, int]:
        """How many questions of each raw category: the published proportions, at least one of each.

        Args:
            questions: how many in all, at least the number of categories.
        """
        total = sum(self.counts.values())
        wanted = {name: max(1, number * questions // total) for name, number in self.counts.items()}
        largest = sorted(self.counts, key=lambda name: -self.counts[name])
        place = 0
        while (left := questions - sum(wanted.values())) != 0:
            name = largest[place % len(largest)]
            if left > 0 or wanted[name] > 1:
                wanted[name] += 1 if left > 0 else -1
            place += 1
        return wanted


@dataclass
class BenchmarkSet:
    """Questions that are wanted, and those that are made.

    Attributes:
        layout: what is asked.
        questions: how many are wanted.
        seed: of everything.
        randomization: what varies.
        made: records by now.
    """

    layout: SetLayout
    questions: int
    seed: int = 0
    randomization: Randomization = field(default_factory=Randomization)
    made: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.questions < len(self.layout.counts):
            raise bad_input(
                f"expected at least {len(self.layout.counts)} questions, one of each category, got "
                f"{self.questions}"
            )
        self._room = Counter(self.layout.wanted(self.questions))

    def write(self, folder: Path, advance: Callable[[int], None]) -> None:
        """Make the set.

        Args:
            folder: must not exist; appears when all is written.
            advance: called after each image with the number of questions so far.

        Raises:
            SpatialError: BAD_INPUT when the folder exists, or the scenes do not offer enough
                questions of a category.
        """
        settings = SimulationSettings(
            MAX_SCENES, self.seed, VIEWS, randomization=self.randomization
        )
        with new_folder(folder) as root:
            for index in range(MAX_SCENES):
                if not self._room.total():
                    break
                for view, (seen, true_depth) in enumerate(render_scene(settings, index)):
                    scene = TrueScene(
                        seen.truth, seen.frame.regions, seen.frame.intrinsics, true_depth
                    )
                    self._add(root, seen, scene, index, view)
                    advance(len(self.made))
            self._refuse_gaps()
            write_file(root / self.layout.file, json.dumps(self.made, indent=1).encode())

    def _add(
        self, root: Path, seen: SimulatedFrame, scene: TrueScene, index: int, view: int
    ) -> None:
        """Write an image, its depth and its questions, if it has any that are wanted."""
        rng = np.random.default_rng([self.seed, _STREAM, index, view])
        name = f"{index:06}_{view:02}.png"
        before = len(self.made)
        for category, item in _distinct(self.layout.draw(scene, rng)):
            if self._room[category] > 0 and len(self.made) < before + EACH_IMAGE:
                self._room[category] -= 1
                self.made.append(record_of(self.layout, item, category, seen, name))
        if len(self.made) > before:
            color, depth = encode_frame(seen)
            write_file(root / "images" / name, color)
            write_file(root / "depths" / name, depth)

    def _refuse_gaps(self) -> None:
        missing = {name: number for name, number in self._room.items() if number}
        if missing:
            raise bad_input(
                f"{MAX_SCENES} scenes do not offer enough questions, missing: {missing}; ask for "
                "fewer"
            )


def raw_category(item: QuestionWithTruth, regions: RegionSet) -> str:
    """The published raw category of a question; empty for one that the published set has not."""
    if item.form in _QUANTITIES:
        return _QUANTITIES[item.form]
    if item.form.endswith("_choice"):
        # A choice is between two.
        return item.form if len(item.region_ids) == 2 and item.form in PUBLISHED_COUNTS else ""
    if item.form == "is_on_side":
        read = read_question(item.text, regions, None, item.region_ids)
        return f"{asked_side(read.program)}_predicate" if read.program else ""
    return f"{item.form.removeprefix('is_')}_predicate"


def record_of(
    layout: SetLayout, item: QuestionWithTruth, category: str, seen: SimulatedFrame, image: str
) -> dict[str, Any]:
    """A record in the published layout.

    Args:
        layout: what the set asks.
        item: the question.
        category: its raw category.
        seen: the frame that it is about.
        image: file name.
    """
    regions, ids = seen.frame.regions, item.region_ids
    height, width = regions.image_size
    kind = layout.kind(item, category)
    name = sha256(f"{image} {item.text} {ids}".encode()).hexdigest()[:10]
    others = [region.id for region in regions if layout.shows_all and region.id not in ids]
    masks = encode_masks(regions, {*ids, *others})
    path = f"images/{image}"
    return {
        "id": f"{kind.replace(' ', '_')}_{name}",
        "image_info": {
            "dataset": "simulation", "file_path": path, "height": height, "landmark": "warehouse",
            "width": width,
        },
        "qa_info": {
            "category": category, "class": [regions[id].label for id in ids], "type": kind,
        },
        "conversations": [
            {"from": "human", "value": f"<image>\n {item.text}"},
            {"from": "gpt", "value": layout.truth(item, category)},
        ],
        "text_q": numbered(item.text),
        "bbox": [list(_corners(regions, id)) for id in ids],
        "rle": [masks[id] for id in ids],
        **({"others": _others(regions, others, masks)} if layout.shows_all else {}),
        "file_path": path,
        "depth_path": f"depths/{image}",
        "camera": CameraRecord(seen.frame.intrinsics, DEPTH_SCALE).to_json(),
    }  # fmt: skip


def truth_text(item: QuestionWithTruth, category: str) -> str:
    """The true answer as the published ones are written, with two decimals of meters or cm."""
    if category == "direction":
        return f"{item.truth:.0f} o'clock"
    if category not in _QUANTITIES.values():
        return re.sub(r"\[Region ([0-9]+)\]", r"Region [\1]", item.freeform_answer)
    meters = float(item.truth)  # type: ignore[arg-type]
    return f"{meters:.2f} meters" if meters >= 1 else f"{100 * meters:.2f} cm"


def _distinct(drawn: Iterable[Drawn]) -> Iterator[Drawn]:
    """Questions about a frame, each once, that have a category."""
    asked: set[tuple[str, tuple[int, ...]]] = set()
    for category, item in drawn:
        if category and (item.text, item.region_ids) not in asked:
            asked.add((item.text, item.region_ids))
            yield category, item


def _draw(scene: TrueScene, rng: np.random.Generator) -> Iterator[Drawn]:
    """Questions of all categories of SpatialRGPT-Bench."""
    for _, item in generate_mixture(scene, rng, MIXTURE, DRAWN):
        yield raw_category(item, scene.regions), item


def _kind(item: QuestionWithTruth, category: str) -> str:
    return "quantitative" if category in _QUANTITIES.values() else "qualitative"


def _others(
    regions: RegionSet, ids: Sequence[int], masks: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    return {"class": [regions[id].label for id in ids], "rle": [masks[id] for id in ids]}


def _corners(regions: RegionSet, id: int) -> tuple[int, int, int, int]:
    box = regions[id].box
    return box.x, box.y, box.x + box.width, box.y + box.height


SPATIALRGPT_SET = SetLayout("SpatialRGPT-Bench_v1.json", PUBLISHED_COUNTS, _draw, _kind, truth_text)
"""All twelve groups of SpatialRGPT-Bench by its conventions."""
