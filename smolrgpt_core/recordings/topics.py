"""Finds the topics of color, depth, calibration and regions in a recording.

They are found by type and by the encoding of the first image. If several qualify, the user must
choose: nothing is guessed from names.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error
from smolrgpt_core.messages.compressed import COMPRESSED, plain_image
from smolrgpt_core.messages.encodings import (
    COLOR_ENCODINGS,
    DEPTH_ENCODINGS,
    INSTANCE_ENCODINGS,
    canonical,
)
from smolrgpt_core.messages.region_sources import SOURCES_BY_TYPE
from smolrgpt_core.messages.types import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.options import TopicChoice

CERTAIN_COLOR_ENCODINGS = (
    COLOR_ENCODINGS.keys() - DEPTH_ENCODINGS.keys() - INSTANCE_ENCODINGS.keys()
)
CERTAIN_INSTANCE_ENCODINGS = ("8UC1", "mono8", "32SC1")
"""16 bit ids cannot be distinguished from depth."""

IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)

REGION_ARRAYS = tuple(type_name for type_name in SOURCES_BY_TYPE if type_name != IMAGE)
"""Message types that contain only regions."""


def choose_topics(bag: BagReader, wanted: TopicChoice) -> TopicChoice:
    """All required topics, given or found.

    Raises:
        SpatialError: BAD_INPUT that lists the topics of the recording, when one is missing, has
            another type, or several could be meant.
    """
    finder = _Finder(bag, wanted)
    rgb = finder.choose("rgb", IMAGE_TYPES, finder.all_images(CERTAIN_COLOR_ENCODINGS))
    depth = finder.choose("depth", IMAGE_TYPES, finder.all_images(DEPTH_ENCODINGS))
    camera_info = finder.choose("camera_info", (CAMERA_INFO,), finder.calibrations(rgb))
    arrays = finder.of_type(*REGION_ARRAYS)
    if wanted.regions or (arrays and not wanted.instances):
        regions = finder.choose("regions", REGION_ARRAYS, arrays)
        return TopicChoice(rgb, depth, camera_info, regions=regions)
    images = finder.images(IMAGE, CERTAIN_INSTANCE_ENCODINGS)
    instances = finder.choose("instances", (IMAGE,), images)
    return TopicChoice(rgb, depth, camera_info, instances=instances)


class _Finder:
    """The topics of a recording, and the encodings of their first messages."""

    def __init__(self, bag: BagReader, wanted: TopicChoice) -> None:
        self._bag = bag
        self._wanted = wanted
        self._types = {topic.name: topic.type_name for topic in bag.topics}
        self._encodings = {name: self._encoding(name) for name in self.of_type(*IMAGE_TYPES)}

    def of_type(self, *type_names: str) -> list[str]:
        """Topics with messages of one of these types."""
        return [name for name, found in self._types.items() if found in type_names]

    def images(self, type_name: str, encodings: Collection[str]) -> list[str]:
        """Topics of images in one of these encodings, without those given for another input."""
        named = {getattr(self._wanted, item.name) for item in fields(self._wanted)}
        return [
            name
            for name in self.of_type(type_name)
            if self._encodings[name] in encodings and name not in named
        ]

    def all_images(self, encodings: Collection[str]) -> list[str]:
        """The same; compressed images only if there are no raw ones."""
        return self.images(IMAGE, encodings) or self.images(COMPRESSED_IMAGE, encodings)

    def calibrations(self, rgb: str) -> list[str]:
        """Calibrations; if there are several, the one next to the color image."""
        found = self.of_type(CAMERA_INFO)
        image = rgb.removesuffix(f"/{COMPRESSED}")
        beside = f"{image.rpartition('/')[0]}/camera_info"
        return [beside] if beside in found else found

    def choose(self, name: str, type_names: tuple[str, ...], candidates: list[str]) -> str:
        """The given topic, or the only candidate.

        Args:
            name: of the input.
            type_names: allowed message types.
            candidates: topics to choose from.

        Raises:
            SpatialError: BAD_INPUT with the topics of the recording.
        """
        topic = getattr(self._wanted, name)
        expected = " or ".join(type_names)
        if topic:
            if self._types.get(topic) not in type_names:
                found = self._types.get(topic, "not in the recording")
                raise self._error(f"{name} must be a topic of {expected}, {topic} is {found}")
            return str(topic)
        if not candidates:
            raise self._error(f"no topic found for {name} ({expected}); name it")
        if len(candidates) > 1:
            raise self._error(f"{name} could be {' or '.join(candidates)}; name the correct one")
        return candidates[0]

    def _encoding(self, topic: str) -> str:
        """Encoding of the first image; empty without a message that can be decoded."""
        try:
            first = self._bag.first(topic)
            return canonical(plain_image(first).encoding) if first is not None else ""
        except SpatialError:
            return ""

    def _error(self, problem: str) -> SpatialError:
        lines = [
            f"  {topic.name}  {topic.type_name}  {self._encodings.get(topic.name, '')}  "
            f"{topic.count} messages"
            for topic in self._bag.topics
        ]
        listing = "\n".join(lines) or "  none"
        damage = f" ({self._bag.damage})" if self._bag.damage else ""
        return file_error(
            self._bag.path, f"{problem}; the recording{damage} has these topics:\n{listing}"
        )
