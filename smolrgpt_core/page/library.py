"""The frames that a visitor may open: halls by seed, recordings under chosen folders, own files."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from smolrgpt_core.depth import DepthLimits
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import read_depth_readings, read_rgb
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.page.access import under_roots
from smolrgpt_core.page.frames import (
    FrameSource,
    KeptFrames,
    OneFrame,
    RecordedFrames,
    SimulatedHall,
)
from smolrgpt_core.region_files import read_regions

MAX_HALL_SEED = 2**31 - 1

MAX_UPLOAD_BYTES = 32 * 2**20
"""Of one file."""

MAX_UPLOAD_PIXELS = 2**25
"""Of one image: a file of some kilobytes may hold an image that fills the memory."""

MAX_LISTED = 500
"""Recordings that are offered."""

MAX_KEPT_SOURCES = 8
"""Sources that are kept for other visitors, each with its frames; the one used longest ago goes."""

RECORDING_SUFFIXES = (".mcap", ".db3")

KINDS = {
    "rgb": (".png", ".jpg", ".jpeg"),
    "depth": (".png", ".npy"),
    "regions": (".json", ".png"),
}
"""The files of a frame that are taken, and their suffixes."""

PNG_HEAD = struct.Struct(">8s4x4sII")
PNG_MAGIC, JPEG_MAGIC = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of JPEG segments that tell the size of the image."""


@dataclass(frozen=True)
class UploadedFile:
    """A file as a browser sent it."""

    name: str
    content: bytes


class Library:
    """Opens sources of frames and keeps those that others may open, too.

    Args:
        roots: folders whose recordings may be opened.
    """

    def __init__(self, roots: Sequence[Path] = ()) -> None:
        self.roots = tuple(roots)
        self._open: OrderedDict[object, FrameSource] = OrderedDict()
        self._lock = Lock()

    def hall(self, seed: int) -> FrameSource:
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

    def recording(self, path: Path) -> FrameSource:
        """A recording under one of the chosen folders.

        Raises:
            SpatialError: BAD_INPUT when it lies elsewhere, or cannot be read.
            ImportError: rosbags is missing.
        """
        real = under_roots(path, self.roots)
        return self._opened(real, lambda: RecordedFrames(real))

    def _opened(self, key: object, make: Callable[[], FrameSource]) -> FrameSource:
        with self._lock:
            if key not in self._open:
                self._open[key] = KeptFrames(make())
                if len(self._open) > MAX_KEPT_SOURCES:
                    self._open.popitem(last=False)
            self._open.move_to_end(key)
            return self._open[key]


def _recording_of(file: Path) -> Path:
    """The folder of a file with messages if that is a recording, else the file."""
    return file.parent if (file.parent / "metadata.yaml").is_file() else file


def uploaded_frame(files: Mapping[str, UploadedFile], pinhole: Sequence[float]) -> FrameSource:
    """A frame of files that a visitor sent, read as `smolrgpt ask` reads them.

    Args:
        files: one for each of `KINDS`.
        pinhole: fx, fy, cx, cy in pixels.

    Raises:
        SpatialError: BAD_INPUT when one is missing, too large, or cannot be used.
    """
    with TemporaryDirectory(prefix="smolrgpt_page_") as folder:
        paths = {kind: _written(Path(folder), kind, files.get(kind)) for kind in KINDS}
        name = Path(files["rgb"].name).name
        try:
            return OneFrame(name, _read_frame(paths, name, pinhole))
        except SpatialError as error:
            # A visitor knows the file by its kind, not by where it was put.
            told = error.message.replace(f"{folder}/", "")
            raise SpatialError(error.status, told) from error


def _read_frame(paths: Mapping[str, Path], name: str, pinhole: Sequence[float]) -> RGBDFrame:
    rgb = read_rgb(paths["rgb"])
    depth = read_depth_readings(paths["depth"], None, DepthLimits())
    height, width = rgb.shape[:2]
    regions = read_regions(paths["regions"], (height, width), RegionLabels(), name)
    camera = CameraIntrinsics(width, height, *pinhole)
    return RGBDFrame(rgb, depth.metres, camera, regions, depth_loss=depth.loss)


def _written(folder: Path, kind: str, file: UploadedFile | None) -> Path:
    """The file under a name of our own; of the sent name only a known suffix is used.

    Raises:
        SpatialError: BAD_INPUT when it is missing or too large, or its kind is not taken.
    """
    expected = " or ".join(KINDS[kind])
    if file is None:
        raise bad_input(f"the {kind} file is missing; choose one ({expected})")
    suffix = Path(file.name).suffix.lower()
    if suffix not in KINDS[kind]:
        raise bad_input(f"the {kind} file must be {expected}, got {file.name[-40:]!r}")
    if len(file.content) > MAX_UPLOAD_BYTES:
        size = len(file.content)
        raise bad_input(f"the {kind} file has {size} bytes, at most {MAX_UPLOAD_BYTES} are read")
    if suffix in (".png", ".jpg", ".jpeg"):
        width, height = image_size(file.content)
        if width * height > MAX_UPLOAD_PIXELS:
            raise bad_input(
                f"the {kind} image has {width}x{height} pixels, at most {MAX_UPLOAD_PIXELS} in all"
            )
    path = folder / f"{kind}{suffix}"
    path.write_bytes(file.content)
    return path


def image_size(content: bytes) -> tuple[int, int]:
    """(width, height) that a PNG or JPEG file declares, without decoding it.

    Raises:
        SpatialError: BAD_INPUT when it is neither.
    """
    if content.startswith(PNG_MAGIC) and len(content) >= PNG_HEAD.size:
        _, chunk, width, height = PNG_HEAD.unpack_from(content)
        if chunk == b"IHDR":
            return width, height
    if content.startswith(JPEG_MAGIC):
        place = len(JPEG_MAGIC)
        while place + 9 <= len(content) and content[place] == 0xFF:
            marker, (length,) = content[place + 1], struct.unpack_from(">H", content, place + 2)
            if marker in JPEG_SIZES:
                height, width = struct.unpack_from(">HH", content, place + 5)
                return width, height
            place += 2 + length
    raise bad_input("expected a PNG or JPEG image; is the file damaged, or of another format?")
