"""How often the geometric answerer is correct in simulated warehouses it has never seen.

Prints, without and with sensor noise, the fraction of correct answers by category beside a naive
baseline in the same run, the refusals (which count as wrong), the bias of distances, a row for
each question form with the errors of quantities, and one with how sure its answers were beside how
many of them are correct; the same where a detector's boxes take the place
of the objects' masks (`boxes`). The questions are those of `smolrgpt_core.synthesis` with its
stated margins, read from their text; the answerers see RGB, depth, calibration, masks and labels,
never the truth.

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
from smolrgpt_core.answerers.geometry_cache import GeometryCache
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.evaluation.reliability import reliability
from smolrgpt_core.files import write_file
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.box_fitting import OrientedBox
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle
from smolrgpt_core.geometry.frame_geometry import FrameGeometry, Located
from smolrgpt_core.language import CATEGORIES, Category
from smolrgpt_core.object_classes import is_zone
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.report import compare_with_truth
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import (
    RenderOptions,
    SensorNoise,
    WarehouseRenderer,
    apply_sensor_noise,
    build_scene,
)
from smolrgpt_core.synthesis import (
    ALL_WAREHOUSE_FORMS,
    COLOR_FORMS,
    FORMS,
    QuestionWithTruth,
    RegionStyle,
    generate_questions,
)

GEOMETRY_ONLY = RenderOptions(shadows=False, reflections=False, supersampling=1)
"""No answerer here looks at colors."""

MEASURED_FORMS = tuple(name for name in FORMS if name not in COLOR_FORMS)

BIAS_PERCENTILES = (5, 25, 50, 75, 95)

ERROR_PERCENTILES = (50, 90)

SURE = 0.5
"""A wrong answer with this confidence and no message is wrong in silence."""


class NaiveGeometry(FrameGeometry):
    """The baseline: the mean of the back-projected mask, and the smallest rectangle around it."""

    def _points(self, id: int) -> np.ndarray:
        """Readings (N, 3) under a mask, meters, optical frame."""
        mask = self.frame.regions.full_mask(id) & np.isfinite(self.frame.depth)
        rows, columns = np.nonzero(mask)
        rays = pixel_rays(rows, columns, self.frame.intrinsics)
        return np.asarray(rays * self.frame.depth[rows, columns, None], dtype=np.float64)

    def _locate(self, id: int) -> Located:
        points = self._points(id)
        if not len(points) or self.plane is None:
            return super()._locate(id)
        floor = self.plane.to_floor(points)
        around = cv2.minAreaRect(floor[:, :2].astype(np.float32))
        center, size, degrees = around
        footprint = FloorRectangle(np.array(center), float(np.deg2rad(degrees)), np.array(size))
        low, high = (0.0, 0.0) if self.is_zone(id) else (floor[:, 2].min(), floor[:, 2].max())
        box = OrientedBox(footprint, float(low), float(high), np.zeros(2), np.zeros((2, 2)))
        return Located(points.mean(axis=0), 0.0, footprint, box=box)


class NaiveGeometryCache(GeometryCache):
    """For the rules of the geometric answerer on naive geometry."""

    def _measure(self, frame: RGBDFrame) -> FrameGeometry:
        return NaiveGeometry(frame, self._size_priors)


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
        right: whether each answer was correct, by category; of the forms of the warehouse.
        refused: number of refusals, by category and status.
        distance_ratio: answered / true distance - 1, where both are positive.
        by_form: whether each answer was correct, by question form.
        errors: |answered - true| / true of quantities by form; degrees and hours as they are.
        form_refused: number of refusals, by form.
        given: confidence of each answer that is no refusal, whether it is correct, and whether it
            has a message, by form.
    """

    right: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    distance_ratio: list[float] = field(default_factory=list)
    by_form: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    errors: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    form_refused: Counter[str] = field(default_factory=Counter)
    given: defaultdict[str, list[tuple[float, bool, bool]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def ask(self, answerer: Answerer, frame: RGBDFrame, item: QuestionWithTruth) -> None:
        """Ask one question and keep how it went."""
        category = item.category.name.lower()
        answer = ask(frame, AskedQuestion(item.text, None, item.region_ids), answerer)
        *_, right = compare_with_truth(item, answer)
        self.by_form[item.form].append(right)
        self.form_refused[item.form] += not answer.ok
        if answer.ok:
            self.given[item.form].append((answer.confidence, right, bool(answer.message)))
        if answer.ok and item.value is not None and answer.value is not None:
            self._add_error(item, answer.value)
        if item.form not in ALL_WAREHOUSE_FORMS:
            return
        self.right[category].append(right)
        if not answer.ok:
            self.refused[f"{category}: {answer.status.name}"] += 1
        elif item.category is Category.DISTANCE and item.value and answer.value:
            self.distance_ratio.append(answer.value / item.value - 1)

    def _add_error(self, item: QuestionWithTruth, value: float) -> None:
        true, unit = float(item.value or 0.0), item.program.unit
        turn = {"deg": 360.0, "h": 12.0}.get(unit)
        if turn is not None:
            self.errors[item.form].append(abs((value - true + turn / 2) % turn - turn / 2))
        elif unit != "objects" and true > 0:
            self.errors[item.form].append(abs(value - true) / true)

    def add(self, other: Tally) -> None:
        """Take over the results of another tally."""
        for name in ("right", "by_form", "errors", "given"):
            mine = getattr(self, name)
            for key, values in getattr(other, name).items():
                mine[key] += values
        self.refused += other.refused
        self.form_refused += other.form_refused
        self.distance_ratio += other.distance_ratio


Results = dict[str, Tally]
"""By "noise off: geometric", "noise off: naive", ..."""


def frames_of(seed: int, views: int, noises: list[str]) -> Iterator[tuple[str, RGBDFrame, list]]:
    """The noise setting, the frame and its questions, for each view of a scene."""
    scene = build_scene(seed)
    with WarehouseRenderer(scene, options=GEOMETRY_ONLY) as renderer:
        simulated = [renderer.render(pose) for pose in scene.camera_poses(views)]
    for view, item in enumerate(simulated):
        clean = item.frame
        rng = np.random.default_rng([seed, view])
        true = TrueScene(item.truth, clean.regions, clean.intrinsics, clean.depth)
        style = (RegionStyle.MASK, RegionStyle.PLAIN)[view % 2]
        questions = generate_questions(true, rng, style=style, forms=MEASURED_FORMS)
        for noise in noises:
            frame = clean
            if noise == "on":
                frame = apply_sensor_noise(clean, SensorNoise(), np.random.default_rng(seed))
            yield noise, frame, questions


def examine_scene(seed: int, views: int, noises: list[str]) -> Results:
    """Ask every answerer everything about one scene."""
    results: Results = defaultdict(Tally)
    for noise, frame, questions in frames_of(seed, views, noises):
        asked: dict[str, tuple[Answerer, RGBDFrame]] = {
            "geometric": (GeometricAnswerer(), frame),
            "naive": (GeometricAnswerer(cache=NaiveGeometryCache()), frame),
            "boxes": (GeometricAnswerer(), with_boxes(frame)),
        }
        for name, (answerer, seen) in asked.items():
            for item in questions:
                results[f"noise {noise}: {name}"].ask(answerer, seen, item)
    return dict(results)


def print_results(results: Results, console: Console) -> None:
    """Tables of accuracy, refusals, bias and forms."""
    accuracy = Table(title="correct answers (refusals count as wrong)")
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
    console.print(forms_in_markdown(results), highlight=False, soft_wrap=True)
    for name, tally in results.items():
        if name.endswith("geometric"):
            console.print(f"{name}:\n{confidences_in_markdown(tally)}", soft_wrap=True)


def forms_in_markdown(results: Results) -> str:
    """A row for each question form, as docs/accuracy.md has it."""
    heads = [
        f"{name.removeprefix('noise ').split(':')[0]}: {what}"
        for name in results
        if name.endswith("geometric")
        for what in ("correct", "refused", *(f"error {p} %" for p in ERROR_PERCENTILES))
    ]
    lines = [f"| form | questions | {' | '.join(heads)} |", f"| {'--- | ' * (len(heads) + 2)}"]
    tallies = [tally for name, tally in results.items() if name.endswith("geometric")]
    for form in MEASURED_FORMS:
        if tallies[0].by_form[form]:
            cells = [cell for tally in tallies for cell in form_cells(form, tally)]
            lines.append(f"| {form} | {len(tallies[0].by_form[form])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def confidences_in_markdown(tally: Tally) -> str:
    """How sure the answers of each form were; how many are correct, noted, silently wrong."""
    heads = (
        "form | answers | confidence | correct | error of confidence | correct, sure | with a note"
    )
    lines = [f"| {heads} | wrong in silence |", f"| {'--- | ' * 8}"]
    rows = [(form, tally.given[form]) for form in MEASURED_FORMS if tally.given[form]]
    for form, given in [*rows, ("all", [item for _, items in rows for item in items])]:
        confidences, right, noted = (list(column) for column in zip(*given, strict=True))
        found = reliability(confidences, right)
        assert found is not None
        sure = [item[0] >= SURE and not item[2] for item in given]
        silent = sum(
            is_sure and not is_correct for is_sure, is_correct in zip(sure, right, strict=True)
        )
        cells = [
            form, str(len(given)),
            *(f"{100 * x:.1f} %" for x in (found.confidence, found.right)),
            f"{100 * found.expected_calibration_error:.1f} %",
            str(sum(sure) - silent), str(sum(noted)), str(silent),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def form_cells(form: str, tally: Tally) -> list[str]:
    """Right, refused, and the errors of a quantity."""
    number = len(tally.by_form[form])
    errors = tally.errors[form]
    unit, factor = {"bearing": ("deg", 1.0), "clock_direction": ("h", 1.0)}.get(form, ("%", 100.0))
    shown = [f"{factor * np.percentile(errors, p):.1f} {unit}" for p in ERROR_PERCENTILES] if (
        errors
    ) else [""] * len(ERROR_PERCENTILES)  # fmt: skip
    fraction = 100 * float(np.mean(tally.by_form[form]))
    return [f"{fraction:.1f} %", f"{100 * tally.form_refused[form] / number:.1f} %", *shown]


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
                "forms": {
                    form: {
                        "right": float(np.mean(outcomes)),
                        "questions": len(outcomes),
                        "refused": tally.form_refused[form],
                        "errors": np.percentile(tally.errors[form], BIAS_PERCENTILES).tolist()
                        if tally.errors[form]
                        else [],
                    }
                    for form, outcomes in tally.by_form.items()
                },
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
