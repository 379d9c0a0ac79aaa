"""What `smolrgpt annotate` makes of simulated photographs, beside the truth, and how fast.

The simulator's depth, disturbed as by a sensor, and its masks stand in for the models through the
files that annotation reads. What is found out about the objects, which references are unique, and
whether the answers are correct is judged by the truth, which annotation never sees.

    python benchmarks/annotation.py --scenes 100 --seed 5000000
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from performance_page import Table, describe_machine, publish
from rich.progress import track

from smolrgpt_core.annotation.filters import SkippedError
from smolrgpt_core.annotation.on_ray import AnnotationOnRay
from smolrgpt_core.annotation.pipeline import Annotator, KnownFrame
from smolrgpt_core.annotation.questions import AnnotatedQuestion
from smolrgpt_core.annotation.references import KINDS
from smolrgpt_core.annotation.run import Annotate, AnnotationRun, in_this_process
from smolrgpt_core.annotation.settings import AnnotationSettings, Sources
from smolrgpt_core.answer.scoring import is_correct
from smolrgpt_core.data.warehouse_format import CameraRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_depth, write_file, write_image
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.object_classes import is_zone
from smolrgpt_core.perception.cleaning import box_around, object_points
from smolrgpt_core.ray_workers import LOCAL
from smolrgpt_core.region_files.own_form import write_regions
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.spatial_scene import Placed, touches_border
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import RenderOptions
from smolrgpt_core.simulated_data.randomization import Randomization
from smolrgpt_core.simulated_data.scenes import SimulationSettings, render_scene
from smolrgpt_core.synthesis import MIXTURES
from smolrgpt_core.synthesis.margins import AmbiguityMargins

CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
GEOMETRY_ONLY = RenderOptions(shadows=False, reflections=False, supersampling=1)
"""Nothing here looks at colors, except for the fraction of black and white."""

CLOUDS = ("raw points", "cleaned points", "fitted box")
TIMED_IMAGES = 24


@dataclass
class Found:
    """What annotation found, beside the truth.

    Attributes:
        images: Counter of images: seen, and skipped by reason.
        boxes: by kind of box and class: rows of distance of the middles, and of how much too long
            the box is to the right, forward and up; meters.
        fitted: by class: rows of distance of the middles, then length, width and height relative
            to the true ones, less 1.
        references: whether each selects its object in the truth, by kind.
        answers: whether each is correct, by family.
    """

    images: Counter[str] = field(default_factory=Counter)
    boxes: defaultdict[tuple[str, str], list[NDArray]] = field(
        default_factory=lambda: defaultdict(list)
    )
    fitted: defaultdict[str, list[NDArray]] = field(default_factory=lambda: defaultdict(list))
    references: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    answers: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))


def simulate(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, TrueScene]]:
    """Write photographs with depth, regions and calibrations; yields what is true of each."""
    usual = Randomization()
    lens = replace(usual.camera, width=options.size[0], height=options.size[1])
    varied = replace(usual, camera=lens, rendering=GEOMETRY_ONLY)
    settings = SimulationSettings(options.scenes, options.seed, options.views, randomization=varied)
    cameras = {}
    for scene in range(options.scenes):
        for view, (seen, true_depth) in enumerate(render_scene(settings, scene)):
            frame = seen.frame
            name = f"{scene:04}_{view:02}"
            write_image(folder / "images" / f"{name}.png", frame.rgb)
            write_depth(folder / "depth" / f"{name}.png", frame.depth)
            write_regions(folder / "regions" / f"{name}.json", frame.regions)
            cameras[f"{name}.png"] = CameraRecord(frame.intrinsics).to_json()
            write_file(folder / "cameras.json", json.dumps(cameras).encode())
            true = TrueScene(seen.truth, frame.regions, frame.intrinsics, true_depth)
            yield f"{name}.png", true


def settings_of(folder: Path, seed: int) -> AnnotationSettings:
    """How the simulated photographs are annotated."""
    sources = Sources(
        depth=folder / "depth", regions=folder / "regions", cameras=folder / "cameras.json"
    )
    return AnnotationSettings(folder / "images", sources, seed)


def compare(known: KnownFrame, true: TrueScene, found: Found) -> None:
    """Add what was found out about one image, beside the truth."""
    _compare_boxes(known, true, found)
    copies = SceneCopies(true, copies=1)
    for id, references in known.references.items():
        for reference in references:
            assert reference.program is not None
            found.references[reference.kind].append(_value(reference.program, copies) == id)
    for question in known.questions:
        found.answers[question.family].append(_is_correct(question, copies))


def _compare_boxes(known: KnownFrame, true: TrueScene, found: Found) -> None:
    """Of objects that the border of the image does not cut, and that are not mostly hidden."""
    frame, scene = known.frame, known.scene
    floor = np.array([0.0, 0.0, scene.camera_height])
    for id, item in known.objects.items():
        visible = true.place(id).visible_fraction >= AmbiguityMargins.min_visible_fraction
        cut = touches_border(item.region, frame.regions.image_size)
        if is_zone(item.region) or cut or not visible or item.skipped or item.placed is None:
            continue
        target = _corners(true.place(id))
        assert item.cloud is not None
        raw = object_points(item.region, frame.depth, frame.intrinsics)
        for kind, points in zip(
            CLOUDS,
            (raw @ scene.axes.T + floor, item.cloud.points @ scene.axes.T + floor,
             _corners(item.placed)),
            strict=True,
        ):  # fmt: skip
            found.boxes[kind, item.region.label].append(_box_errors(points, target))
        if not scene.place(id).unsized:
            error = item.placed.center - true.place(id).center
            ratio = _own_size(item.placed) / _own_size(true.place(id)) - 1
            found.fitted[item.region.label].append(np.append(np.linalg.norm(error), ratio))


def _corners(placed: Placed) -> NDArray[np.float64]:
    """Corners (8, 3) of a box in the floor frame, meters."""
    cosine, sine = np.cos(placed.yaw), np.sin(placed.yaw)
    turn = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(placed.center + (CORNERS * placed.size) @ turn)


def _box_errors(points: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4,) distance of the middles, and how much too long it is along each axis, meters."""
    box, true = box_around(points), box_around(target)
    return np.append(np.linalg.norm(box.center - true.center), box.size - true.size)


def _own_size(placed: Placed) -> NDArray[np.float64]:
    """Length, width and height, the longer side first."""
    return np.append(np.sort(placed.size[:2])[::-1], placed.size[2])


def _value(program: object, copies: SceneCopies) -> object:
    """The true value of a program; None where the truth has none."""
    try:
        return evaluate(program, copies).value  # type: ignore[arg-type]
    except SpatialError:
        return None


def _is_correct(question: AnnotatedQuestion, copies: SceneCopies) -> bool:
    made = question.made
    true = _value(made.program, copies)
    if true is None:
        return False
    given = made.truth
    unit = made.program.unit
    return is_correct(made.question.category, given, true, unit, ordered=True)


def accuracy_tables(found: Found) -> list[Table]:
    """What was found out, beside the truth."""
    return [*_box_tables(found), *_question_tables(found)]


def _box_tables(found: Found) -> list[Table]:
    skipped = ", ".join(f"{count} skipped: {name}" for name, count in found.images.items()
                         if name != "seen")  # fmt: skip
    return [
        Table(
            "Boxes of objects: raw points, cleaned points, fitted boxes",
            ("box", "class", "objects", "middle, m", "90 %", "right, m", "forward, m", "up, m"),
            tuple(
                (kind, label, str(len(rows)), *_box_row(np.array(rows)))
                for label in sorted({label for _, label in found.boxes})
                for kind in CLOUDS
                if (rows := found.boxes[kind, label])
            ),
            f"{found.images['seen']} images{', ' + skipped if skipped else ''}. Distance of the "
            "middle from the true one, median and 90th percentile, and median of the absolute "
            "error of the extent along each axis of the floor frame; objects inside the image that "
            "are visible by 35 % at least. Cleaned: largest cluster of DBSCAN. Questions are made "
            "of fitted boxes.",
        ),
        Table(
            "Sizes and positions that questions are made of",
            ("class", "objects", "middle, m", "90 %", "length", "width", "height"),
            tuple(
                (label, str(len(rows)), *_size_row(np.array(rows)))
                for label, rows in sorted(found.fitted.items())
            ),
            "Median and 90th percentile of the distance of the middle, and median of the relative "
            "error of the sizes, of objects whose size is known.",
        ),
    ]


def _question_tables(found: Found) -> list[Table]:
    return [
        Table(
            "References, by the truth",
            ("kind", "references", "unique and correct"),
            tuple(
                (kind, str(len(held)), f"{np.mean(held):.1%}")
                for kind in KINDS
                if (held := found.references[kind])
            ),
            "A reference is correct if its program selects its object, and no other one, in the "
            "true scene.",
        ),
        Table(
            "Answers, by the truth",
            ("level", "family", "questions", "correct"),
            tuple(
                (str(task.level), family, str(len(held)), f"{np.mean(held):.1%}")
                for family, task in MIXTURES["hispatial"].families.items()
                if (held := found.answers[family])
            ),
            "Quantities and vectors are correct within 10 %, angles within 10 degrees.",
        ),
    ]


def _box_row(rows: NDArray[np.float64]) -> Iterator[str]:
    yield from (f"{value:.3f}" for value in np.quantile(rows[:, 0], (0.5, 0.9)))
    yield from (f"{value:.3f}" for value in np.median(np.abs(rows[:, 1:]), axis=0))


def _size_row(rows: NDArray[np.float64]) -> Iterator[str]:
    yield from (f"{value:.3f}" for value in np.quantile(rows[:, 0], (0.5, 0.9)))
    yield from (f"{value:.1%}" for value in np.median(np.abs(rows[:, 1:]), axis=0))


def speed_table(settings: AnnotationSettings, workers: Sequence[int], images: int) -> Table:
    """Images per second in one process, and by number of workers of Ray."""
    cases: dict[str, Annotate] = {"one process, without Ray": in_this_process}
    cases |= {f"Ray, {number} workers": AnnotationOnRay(LOCAL, number) for number in workers}
    rows = []
    first = ""
    for name, how in cases.items():
        seconds, content = _timed(settings, how, images)
        first = first or content
        same = "yes" if content == first else "no"
        rows.append((name, f"{seconds:.1f}", f"{images / seconds:.2f}", same))
    return Table(
        "Speed by number of workers",
        ("how", "seconds", "images/s", "same bytes"),
        tuple(rows),
        f"{images} images, from the call to the finished data set, with the start of Ray and of "
        "its workers.",
    )


def _timed(settings: AnnotationSettings, how: Annotate, images: int) -> tuple[float, str]:
    """Seconds for a data set, and all its bytes as text."""
    with tempfile.TemporaryDirectory() as folder:
        run = AnnotationRun(settings, Path(folder) / "out")
        run.images = run.images[:images]
        start = time.perf_counter()
        with run.locked():
            for _ in run.annotate(how):
                pass
            run.finish()
        seconds = time.perf_counter() - start
        files = sorted(path for path in run.root.rglob("*") if path.is_file())
        return seconds, "".join(path.read_bytes().hex() for path in files)


def measure(folder: Path, options: argparse.Namespace) -> Found:
    """Simulate, annotate and compare."""
    found = Found()
    total = options.scenes * options.views
    scenes = dict(track(simulate(folder, options), "simulating", total, transient=True))
    annotator = Annotator(settings_of(folder, options.seed))
    for image, true in track(scenes.items(), "annotating", total, transient=True):
        found.images["seen"] += 1
        try:
            known = annotator.know(folder / "images" / image)
        except SkippedError as error:
            found.images[error.reason] += 1
            continue
        compare(known, true, found)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--seed", type=int, default=5_000_000)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("W", "H"))
    parser.add_argument("--workers", type=int, nargs="*", default=(1, 2), help="of Ray")
    parser.add_argument("--timed", type=int, default=TIMED_IMAGES, help="images that are timed")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = accuracy_tables(measure(folder, options))
        timed = min(options.timed, options.scenes * options.views)
        tables.append(speed_table(settings_of(folder, options.seed), options.workers, timed))
    publish("Annotation", describe_machine(), tables, options.write_docs)


if __name__ == "__main__":
    main()
