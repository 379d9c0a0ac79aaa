"""Checks a data set in the layout of the warehouse: every file, mask, question and answer.

Goes on behind whatever is broken, and reads one image at a time in each of its processes. Does not
judge whether a question makes sense.
"""

from __future__ import annotations

import multiprocessing
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smolrgpt_core.data.json_entries import GroupMembers, JsonEntries
from smolrgpt_core.data.warehouse_format import SPLITS, CameraRecord, SplitFolder, find_splits
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.quality.check_image import ImageFindings, ImageTask, check_image
from smolrgpt_core.quality.problems import DEFAULT_EXAMPLES, CheckReport, Problem, ProblemKind

_SCENE_AND_VIEW = re.compile(r"(.+)_\d{2}")
"""Image names of several views of a scene, as `smolrgpt simulate` writes them."""

_IMAGES_AT_ONCE = 8
"""That are sent to a process together."""

Progress = Callable[[str, int, int], None]
"""Gets the split, how many of its images are done, and how many there are."""


def check_dataset(
    root: Path,
    workers: int = 1,
    examples: int = DEFAULT_EXAMPLES,
    progress: Progress = lambda split, done, images: None,
) -> CheckReport:
    """Check every split of a data set.

    Args:
        root: folder of the data set.
        workers: processes that decode.
        examples: how many problems of each kind are reported as examples.
        progress: called after each image.

    Raises:
        SpatialError: BAD_INPUT when there is no data set.
    """
    report = CheckReport(root, examples)
    folders = find_splits(root)
    report.add(_splits_without_questions(root, folders))
    seen = _Seen()
    with _mapped(workers) as mapped:
        for folder in folders:
            entries, cameras = _open_split(folder, report)
            if entries is None:
                continue
            images = GroupMembers(entries.groups)
            report.images[folder.split] = len(images)
            report.questions[folder.split] = len(entries)
            for done, found in enumerate(mapped(_tasks(folder, entries, images, cameras)), 1):
                report.add(found.problems)
                report.depth_without_unit[folder.split] += found.has_depth_without_unit
                report.add(seen.record(folder, found))
                progress(folder.split, done, len(images))
    return report


def _splits_without_questions(root: Path, folders: list[SplitFolder]) -> Iterator[Problem]:
    """Folders with images that no file of questions belongs to."""
    for split in SPLITS:
        folder = SplitFolder(root, split)
        if folder not in folders and (root / split).is_dir():
            yield Problem(
                ProblemKind.BROKEN_FILE,
                str(folder.records_path),
                f"expected a file with the questions of {root / split}, found none",
            )


def _open_split(
    folder: SplitFolder, report: CheckReport
) -> tuple[JsonEntries | None, Mapping[str, CameraRecord] | None]:
    """Questions and cameras, None where there is no file that can be read."""
    entries, cameras = None, None
    try:
        entries = JsonEntries.scan(folder.records_path, _image_of)
        if entries.damage:
            place = str(folder.records_path)
            report.add([Problem(ProblemKind.BROKEN_FILE, place, entries.damage)])
    except SpatialError as error:
        report.add([_broken_file(folder.records_path, error)])
    try:
        if folder.cameras_path.is_file():
            cameras = folder.read_cameras()
    except SpatialError as error:
        report.add([_broken_file(folder.cameras_path, error)])
    return entries, cameras


def _broken_file(path: Path, error: SpatialError) -> Problem:
    message = str(error).removeprefix(f"{path}: ")
    return Problem(ProblemKind.BROKEN_FILE, str(path), message)


def _image_of(entry: Any) -> str:
    """Entries without an image are about none together."""
    return str(entry.get("image", "")) if isinstance(entry, Mapping) else ""


def _tasks(
    folder: SplitFolder,
    entries: JsonEntries,
    images: GroupMembers,
    cameras: Mapping[str, CameraRecord] | None,
) -> Iterator[ImageTask]:
    for numbers in images:
        numbered = [(number, entries[number]) for number in numbers]
        image = _image_of(numbered[0][1])
        own = None if cameras is None else {k: cameras[k] for k in (image,) if k in cameras}
        yield ImageTask(folder, numbered, own)


class _Seen:
    """What must not occur twice: ids at all, scenes and images in another split."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._scenes: dict[str, dict[str, str]] = defaultdict(dict)
        self._contents: dict[str, dict[str, str]] = defaultdict(dict)

    def record(self, folder: SplitFolder, found: ImageFindings) -> Iterator[Problem]:
        """Remember an image; what is wrong with it beside those before it."""
        for id, place in found.ids:
            first = self._ids.setdefault(id, place)
            if first != place:
                yield Problem(ProblemKind.DUPLICATE_ID, place, f"id {id!r} also at {first}")
        scene = _SCENE_AND_VIEW.fullmatch(Path(found.image).stem)
        place = f"{folder.records_path}: image {found.image}"
        if scene:
            places, what = self._scenes[scene[1]], f"scene {scene[1]!r}"
            yield from _elsewhere(ProblemKind.SHARED_SCENE, places, folder, place, what)
        if found.content_hash:
            places = self._contents[found.content_hash]
            yield from _elsewhere(ProblemKind.SHARED_IMAGE, places, folder, place, "it")


def _elsewhere(
    kind: ProblemKind, places: dict[str, str], folder: SplitFolder, place: str, what: str
) -> Iterator[Problem]:
    """One problem for each pair of splits, not for each image."""
    if folder.split in places:
        return
    for split, other in places.items():
        yield Problem(kind, place, f"{what} is also in {split}: {other}")
    places[folder.split] = place


@contextmanager
def _mapped(
    workers: int,
) -> Iterator[Callable[[Iterable[ImageTask]], Iterable[ImageFindings]]]:
    """`check_image` for many images, in order, in this process or in several."""
    if workers == 1:
        yield lambda tasks: map(check_image, tasks)
        return
    # Not forked: a fork of a process with threads may hang.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield lambda tasks: pool.imap(check_image, tasks, _IMAGES_AT_ONCE)
