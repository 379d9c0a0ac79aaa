"""The frames that a visitor may open: halls by seed, recordings in chosen folders, uploads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.frame_files import (
    ESTIMATE_DEPTH,
    FIND_OBJECTS,
    FrameFiles,
    FrameModels,
    OnStage,
    read_frame,
    stages_of,
)
from smolrgpt_core.page.access import under_roots
from smolrgpt_core.page.frames import (
    CachedFrames,
    RecordedFrames,
    ShownFrames,
    SimulatedHall,
)
from smolrgpt_core.page.photograph import Make, Photograph, PhotographQueue
from smolrgpt_core.page.uploads import KINDS, UploadedFile, check_upload, pinhole_of, suffix_of

MAX_HALL_SEED = 2**31 - 1

MAX_SIDE = 1600
"""Pixels of the longer side that a photograph is reduced to: models see less, and the browser gets
all of it."""

NO_DEPTH_MODEL = (
    ", with fx, fy, cx and cy of its camera. The color image alone is enough if the page was "
    "started with a depth model, such as smolrgpt page --depth-model apple/DepthPro-hf"
)

ESTIMATED = (
    "Depth is estimated by a model, not measured: distances may be farther off than their "
    "confidence says."
)

MAX_LISTED = 500
"""Recordings that are offered."""

MAX_CACHED_SOURCES = 8
"""Sources cached for other visitors, each with its frames; the least recently used is dropped."""

RECORDING_SUFFIXES = (".mcap", ".db3")


class Library:
    """Opens sources of frames, and caches those that several visitors may open.

    Args:
        roots: folders whose recordings may be opened.
        models: for photographs without depth or regions.
    """

    def __init__(self, roots: Sequence[Path] = (), models: FrameModels | None = None) -> None:
        self.roots = tuple(roots)
        self._models = models or FrameModels()
        self._queue = PhotographQueue()
        self._open: OrderedDict[object, ShownFrames] = OrderedDict()
        self._lock = Lock()

    def hall(self, seed: int) -> ShownFrames:
        """A simulated hall.

        Raises:
            SpatialError: BAD_INPUT for a seed out of range.
        """
        if not 0 <= seed <= MAX_HALL_SEED:
            raise bad_input(f"the seed of a hall must be 0 to {MAX_HALL_SEED}, got {seed}")
        return self._opened(seed, lambda: SimulatedHall(seed))

    def recordings(self) -> list[Path]:
        """The recordings under the chosen folders."""
        found = {
            _recording_of(file)
            for root in self.roots
            for suffix in RECORDING_SUFFIXES
            for file in root.rglob(f"*{suffix}")
        }
        return sorted(found)[:MAX_LISTED]

    def recording(self, path: Path) -> ShownFrames:
        """A recording under one of the chosen folders.

        Raises:
            SpatialError: BAD_INPUT when it lies elsewhere, or cannot be read.
            ImportError: rosbags is missing.
        """
        real = under_roots(path, self.roots)
        return self._opened(real, lambda: RecordedFrames(real))

    def photograph(
        self, files: Mapping[str, UploadedFile], pinhole: Sequence[float | None]
    ) -> Photograph:
        """A frame from uploaded files, read as `smolrgpt ask` reads them.

        Args:
            files: by their kind of `KINDS`; models take the place of missing depth and regions.
            pinhole: fx, fy, cx, cy in pixels; None where none was entered.

        Raises:
            SpatialError: BAD_INPUT when a file is missing, too large, or of an unsupported type;
                BUSY when too many images are queued.
        """
        camera = pinhole_of(pinhole)
        self._check_complete(files, camera)
        for kind, file in files.items():
            check_upload(kind, file)
        names = {kind: f"{kind}{suffix_of(file)}" for kind, file in files.items()}
        image_name = Path(files["rgb"].name).name

        def make(on_stage: OnStage) -> RGBDFrame:
            with TemporaryDirectory(prefix="smolrgpt_page_") as folder:
                for kind, file in files.items():
                    (Path(folder) / names[kind]).write_bytes(file.content)
                try:
                    frame_files = _frame_files(Path(folder), names, camera, image_name)
                    return read_frame(frame_files, self._models, on_stage)
                except SpatialError as error:
                    # A visitor knows the file by its kind, not by where it was put.
                    message = error.message.replace(f"{folder}/", "")
                    raise SpatialError(error.status, message) from error

        stages = stages_of(_frame_files(Path(), names, camera, image_name))
        return self._added(image_name, stages, make)

    def started_with(self, files: FrameFiles) -> Photograph:
        """The frame from the files that were named on the command line.

        Args:
            files: models take the place of missing depth and regions.
        """
        reduced = replace(files, max_side=MAX_SIDE)
        stages = stages_of(reduced)

        def make(on_stage: OnStage) -> RGBDFrame:
            return read_frame(reduced, self._models, on_stage)

        return self._added(files.rgb.name, stages, make)

    @property
    def estimates_depth(self) -> bool:
        """Whether a color image alone is enough."""
        return bool(self._models.depth)

    def close(self) -> None:
        """Stop processing photographs."""
        self._queue.close()

    def _check_complete(
        self, files: Mapping[str, UploadedFile], camera: tuple[float, ...] | None
    ) -> None:
        needed = ("rgb",) if self.estimates_depth else ("rgb", "depth")
        for kind in needed:
            if kind not in files:
                message = f"the {kind} file is missing; choose one ({' or '.join(KINDS[kind])})"
                raise bad_input(message + (NO_DEPTH_MODEL if kind == "depth" else ""))
        if "depth" in files and camera is None:
            raise bad_input("a depth file needs the calibration of its camera: give fx, fy, cx, cy")

    def _added(self, file: str, stages: Sequence[str], make: Make) -> Photograph:
        """A photograph in the queue, with the models that what is seen of it comes from."""
        name, note = file, ""
        if ESTIMATE_DEPTH in stages:
            name += f"; depth estimated by {Path(self._models.depth).name}"
            note = ESTIMATED
        if FIND_OBJECTS in stages:
            model = Path(self._models.segmenter or self._models.detector).name
            name += f"; objects found by {model or 'the segmenter of the package'}"
        return self._queue.add(Photograph(name, stages, make, note))

    def _opened(self, key: object, make: Callable[[], ShownFrames]) -> ShownFrames:
        with self._lock:
            if key not in self._open:
                self._open[key] = CachedFrames(make())
                if len(self._open) > MAX_CACHED_SOURCES:
                    self._open.popitem(last=False)
            self._open.move_to_end(key)
            return self._open[key]


def _frame_files(
    folder: Path, names: Mapping[str, str], camera: tuple[float, ...] | None, image_name: str
) -> FrameFiles:
    paths = {kind: folder / name for kind, name in names.items()}
    return FrameFiles(
        paths["rgb"], paths.get("depth"), paths.get("regions"), camera, max_side=MAX_SIDE,
        image_name=image_name,
    )  # fmt: skip


def _recording_of(file: Path) -> Path:
    """The folder of a file with messages if that is a recording, else the file."""
    return file.parent if (file.parent / "metadata.yaml").is_file() else file
