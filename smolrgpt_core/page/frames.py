"""Where the frames of the page come from: a simulated hall, files, a recording.

A source returns a frame by its number, which may take time. A live camera is a source of one frame
that changes.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Protocol

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.frame import RGBDFrame

HALL_VIEWS = 8
"""Places from which a simulated hall is seen, along the path of its camera."""

CACHE_SIZE = 8
"""Cached frames of a source, so that the geometry of each is measured once."""


SHOWN_ERRORS = (SpatialError, ImportError, OSError)
"""Shown to the visitor as they are; anything else is a bug of the page."""


class ShownFrames(Protocol):
    """Frames by number. Implementations are thread-safe."""

    @property
    def name(self) -> str:
        """The name that visitors see."""
        ...

    @property
    def count(self) -> int:
        """Number of frames, at least 1."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether the frame changes over time."""
        ...

    def frame(self, index: int) -> RGBDFrame:
        """The frame with this number, from 0.

        Raises:
            SpatialError: it cannot be used.
            ImportError: a package that makes it is missing; the message says how to install it.
        """
        ...


class OneFrame:
    """A frame that is already in memory.

    Args:
        name: of the source.
        frame: the only one.
    """

    count = 1
    is_live = False

    def __init__(self, name: str, frame: RGBDFrame) -> None:
        self.name = name
        self._frame = frame

    def frame(self, index: int) -> RGBDFrame:
        """The frame."""
        _check_index(index, self.count)
        return self._frame


class SimulatedHall:
    """Views of a simulated warehouse; the first is that of `smolrgpt demo`.

    Args:
        seed: of the warehouse.
    """

    count = HALL_VIEWS
    is_live = False

    def __init__(self, seed: int) -> None:
        self.name = f"Simulated hall {seed}"
        self._seed = seed
        self._lock = Lock()

    def frame(self, index: int) -> RGBDFrame:
        """Render a view."""
        _check_index(index, self.count)
        from smolrgpt_core.sim import WarehouseRenderer, build_scene

        # A renderer belongs to the thread that made it, so that none is kept for other threads.
        with self._lock:
            scene = build_scene(self._seed)
            with WarehouseRenderer(scene) as renderer:
                return renderer.render(scene.camera_poses(self.count)[index]).frame


class RecordedFrames:
    """The complete frames of a recording, as the query node would see them.

    Args:
        recording: a ROS 2 bag: a folder, or a `.db3` or `.mcap` file.

    Raises:
        SpatialError: BAD_INPUT when it cannot be read, its topics are ambiguous, or it has no
            complete frame.
        ImportError: rosbags is missing.
    """

    is_live = False

    def __init__(self, recording: Path) -> None:
        from smolrgpt_core.extras import require

        require("rosbags", "data", "recordings need rosbags")
        from smolrgpt_core.recordings.bag_reader import BagReader
        from smolrgpt_core.recordings.options import ReplayOptions
        from smolrgpt_core.recordings.synchronization import moment_at, synchronize
        from smolrgpt_core.recordings.topics import choose_topics

        self._recording = recording
        self._options = ReplayOptions()
        tolerance_s = self._options.sync_tolerance_s
        with BagReader(recording) as bag:
            self._choice = choose_topics(bag, self._options.topics)
            found = synchronize(bag, self._choice.by_input, tolerance_s)
        moment_at(found, 0, tolerance_s)  # says why where there is none
        self._moments = found.moments
        self.name = f"Recording {recording.name}"
        self.count = len(self._moments)

    def frame(self, index: int) -> RGBDFrame:
        """Read up to the messages of a frame and decode them.

        Raises:
            SpatialError: BAD_INPUT for an index that does not exist, or when the recording has
                changed.
        """
        from smolrgpt_core.recordings.bag_reader import BagReader
        from smolrgpt_core.recordings.frame_source import FrameSource
        from smolrgpt_core.recordings.synchronization import read_moments

        _check_index(index, self.count)
        # The files of a recording are open for one thread, and only as long as they are read.
        with BagReader(self._recording) as bag:
            decoder = FrameSource(bag, self._choice, self._options.labels, self._options.sensor)
            read = read_moments(bag, self._choice.by_input, [self._moments[index]])
            for _, serialized in read:
                return decoder.decode(serialized).frame
        raise bad_input(f"{self._recording} ends before its frame {index}; was it changed?")


class CachedFrames:
    """Caches the latest frames of a source; all callers get the same object.

    Args:
        source: asked for frames that are not cached.
        size: number of cached frames.
    """

    is_live = False

    def __init__(self, source: ShownFrames, size: int = CACHE_SIZE) -> None:
        self.name = source.name
        self.count = source.count
        self._source = source
        self._size = size
        self._cache: OrderedDict[int, RGBDFrame] = OrderedDict()
        self._lock = Lock()

    def frame(self, index: int) -> RGBDFrame:
        """A cached frame, or one read from the source, which replaces the least recently used."""
        with self._lock:
            if index not in self._cache:
                self._cache[index] = self._source.frame(index)
                if len(self._cache) > self._size:
                    self._cache.popitem(last=False)
            self._cache.move_to_end(index)
            return self._cache[index]


def _check_index(index: int, count: int) -> None:
    if not 0 <= index < count:
        raise bad_input(f"frames of this source are 0 to {count - 1}, got {index}")
