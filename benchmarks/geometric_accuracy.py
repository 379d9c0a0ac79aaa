"""How often the geometric answerer is right in simulated warehouses it has never seen.

Prints, without and with sensor noise, the share of right answers by category beside a naive
baseline in the same run, the refusals (which count as wrong), and the bias of distances; the same
where a detector's boxes take the place of the objects' masks (`boxes`). The questions are those of
`smolrgpt_core.data.synthesis` with its stated margins, read from their text; the answerers see RGB,
depth, calibration, masks and labels, never the truth.

    python benchmarks/geometric_accuracy.py --scenes 200 --seed 1000000
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.answerers.kept_geometry import KeptGeometry
from smolrgpt_core.data.drafts import Style
from smolrgpt_core.data.synthesis import QuestionWithTruth, generate_questions
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_file
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle
from smolrgpt_core.geometry.frame_geometry import FrameGeometry, Located
from smolrgpt_core.geometry.object_classes import is_zone
from smolrgpt_core.language import CATEGORIES, Category, read_question
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.report import compare_with_truth
from smolrgpt_core.sim import (
    RenderOptions,
    SensorNoise,
    WarehouseRenderer,
    apply_sensor_noise,
    build_scene,
)

GEOMETRY_ONLY = RenderOptions(shadows=False, reflections=False, supersampling=1)
"""No answerer here looks at colours."""

BIAS_PERCENTILES = (5, 25, 50, 75, 95)


class NaiveGeometry(FrameGeometry):
    """The baseline: the mean of the back-projected mask, and the hull of a buffer's points."""

    def _points(self, id: int) -> np.ndarray:
        """Readings (N, 3) under a mask, metres, optical frame."""
        mask = self.frame.regions.full_mask(id) & np.isfinite(self.frame.depth)
        rows, columns = np.nonzero(mask)
        rays = pixel_rays(rows, columns, self.frame.intrinsics)
        return rays * self.frame.depth[rows, columns, None]

    def _locate(self, id: int) -> Located:
        points = self._points(id)
        if not len(points) or self.plane is None:
            return super()._locate(id)
        floor = self.plane.to_floor(points)[:, :2]
        footprint = FloorRectangle(floor.mean(axis=0), 0.0, np.ptp(floor, axis=0))
        return Located(points.mean(axis=0), 0.0, footprint)

    def depth_inside(self, id: int, zone_id: int) -> float:
        """Signed distance to the convex hull of the zone's points on the floor, metres."""
        if self.plane is None:
            return super().depth_inside(id, zone_id)
        zone = self.plane.to_floor(self._points(zone_id))[:, :2].astype(np.float32)
        centre = self.footprint(id).centre
        return float(cv2.pointPolygonTest(cv2.convexHull(zone), tuple(map(float, centre)), True))


class KeptNaiveGeometry(KeptGeometry):
    """For the rules of the geometric answerer on naive geometry."""

    def _measure(self, frame: RGBDFrame) -> FrameGeometry:
        return NaiveGeometry(frame)


def with_boxes(frame: RGBDFrame) -> RGBDFrame:
    """The frame with the boxes of its objects in the place of their masks."""
    regions = tuple(
        region if is_zone(region) else Region.from_box(region.id, region.label, region.box)
        for region in frame.regions
    )
    return replace(frame, regions=RegionSet(frame.regions.image_size, regions))


@dataclass
class Tally:
    """Results of one answerer.

    Attributes:
        right: whether each answer was right, by category.
        refused: number of refusals, by category and status.
        distance_ratio: answered / true distance - 1, where both are positive.
    """

    right: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    distance_ratio: list[float] = field(default_factory=list)

    def ask(self, answerer: Answerer, frame: RGBDFrame, item: QuestionWithTruth) -> None:
        """Ask one question and keep how it went."""
        category = item.category.name.lower()
        try:
            question = read_question(item.text, frame.regions, None, item.region_ids)
            answer = answerer.answer(frame, question)
        except SpatialError as error:
            self.refused[f"{category}: {error.status.name}"] += 1
            self.right[category].append(False)
            return
        *_, right = compare_with_truth(item, answer)
        self.right[category].append(right)
        if item.category is Category.DISTANCE and item.value and answer.value:
            self.distance_ratio.append(answer.value / item.value - 1)

    def add(self, other: Tally) -> None:
        """Take over the results of another tally."""
        for category, outcomes in other.right.items():
            self.right[category] += outcomes
        self.refused += other.refused
        self.distance_ratio += other.distance_ratio


Results = dict[str, Tally]
"""By "noise off: geometric", "noise off: naive", ..."""


def frames_of(seed: int, views: int, noises: list[str]) -> Iterator[tuple[str, RGBDFrame, list]]:
    """The noise setting, the frame and its questions, for each view of a scene."""
    scene = build_scene(seed)
    with WarehouseRenderer(scene, options=GEOMETRY_ONLY) as renderer:
        simulated = [renderer.render(pose) for pose in scene.camera_poses(views)]
    for view, item in enumerate(simulated):
        for noise in noises:
            rng = np.random.default_rng([seed, view])
            frame = item.frame
            if noise == "on":
                frame = apply_sensor_noise(frame, SensorNoise(), rng)
            style = (Style.MASK, Style.PLAIN)[view % 2]
            yield noise, frame, generate_questions(item.truth, frame.regions, rng, style=style)


def examine_scene(seed: int, views: int, noises: list[str]) -> Results:
    """Ask every answerer everything about one scene."""
    results: Results = defaultdict(Tally)
    for noise, frame, questions in frames_of(seed, views, noises):
        asked: dict[str, tuple[Answerer, RGBDFrame]] = {
            "geometric": (GeometricAnswerer(), frame),
            "naive": (GeometricAnswerer(kept=KeptNaiveGeometry()), frame),
            "boxes": (GeometricAnswerer(), with_boxes(frame)),
        }
        for name, (answerer, seen) in asked.items():
            for item in questions:
                results[f"noise {noise}: {name}"].ask(answerer, seen, item)
    return dict(results)


def print_results(results: Results, console: Console) -> None:
    """Tables of accuracy, refusals and bias."""
    accuracy = Table(title="right answers (refusals count as wrong)")
    for column in ("", *(category.name.lower() for category in CATEGORIES.values())):
        accuracy.add_column(column, justify="right")
    bias = Table(title="answered / true distance - 1")
    for column in ("", "mean", *(f"{percentile} %" for percentile in BIAS_PERCENTILES)):
        bias.add_column(column, justify="right")
    for name, tally in results.items():
        cells = [
            f"{100 * np.mean(outcomes):.1f} % of {len(outcomes)}"
            for category in CATEGORIES.values()
            if (outcomes := tally.right[category.name.lower()])
        ]
        accuracy.add_row(name, *cells)
        shown = [np.mean(tally.distance_ratio), *percentiles(tally)]
        bias.add_row(name, *(f"{100 * value:+.1f} %" for value in shown))
    console.print(accuracy, bias)
    for name, tally in results.items():
        console.print(f"{name}, refused: {dict(tally.refused) or 'none'}")


def percentiles(tally: Tally) -> np.ndarray:
    """Percentiles of the relative error of distances."""
    return np.percentile(tally.distance_ratio, BIAS_PERCENTILES)


def to_json(results: Results) -> bytes:
    """The figures of the tables."""
    return json.dumps(
        {
            name: {
                "right": {key: float(np.mean(value)) for key, value in tally.right.items()},
                "questions": {key: len(value) for key, value in tally.right.items()},
                "refused": dict(tally.refused),
                "distance_ratio_percentiles": dict(
                    zip(map(str, BIAS_PERCENTILES), percentiles(tally).tolist(), strict=True)
                ),
            }
            for name, tally in results.items()
        },
        indent=2,
    ).encode()


def main() -> None:
    """Examine the scenes and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first scene")
    parser.add_argument("--views", type=int, default=2, help="camera poses in each scene")
    parser.add_argument("--noise", choices=("off", "on", "both"), default="both")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    noises = ["off", "on"] if options.noise == "both" else [options.noise]
    results: Results = defaultdict(Tally)
    with ProcessPoolExecutor(options.workers) as pool:
        jobs = [
            pool.submit(examine_scene, options.seed + index, options.views, noises)
            for index in range(options.scenes)
        ]
        for job in track(jobs, description="scenes"):
            for name, tally in job.result().items():
                results[name].add(tally)
    print_results(results, Console())
    if options.json:
        write_file(options.json, to_json(results))


if __name__ == "__main__":
    main()
