"""Which messages of a recording belong to one moment.

As the query node does it: depth and regions are those nearest to the colour image, within a
tolerance; the calibration is the nearest one, however old. The recording is read once for the
stamps alone and then for the messages, so that only what is needed is held in memory.
"""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.messages.stamps import (
    INPUTS,
    NANOSECONDS,
    SYNCHRONISED,
    nearest,
    read_stamp_ns,
)
from smolrgpt_core.recordings.bag_reader import BagReader

NO_STAMP = "without a stamp"


@dataclass(frozen=True, order=True)
class StampedMessage:
    """A message by its place in the recording: the n-th of its topic."""

    stamp_ns: int
    number: int


@dataclass(frozen=True)
class Moment:
    """The messages of one colour image, by input: rgb, depth, camera_info, regions."""

    messages: Mapping[str, StampedMessage]

    @property
    def image(self) -> StampedMessage:
        """The colour image."""
        return self.messages["rgb"]

    @property
    def stamp_ns(self) -> int:
        """Of the colour image."""
        return self.image.stamp_ns


@dataclass(frozen=True)
class Synchronised:
    """The moments of a recording, by stamp, and why colour images have none.

    Attributes:
        moments: complete ones.
        images: number of colour images in the recording.
        left_out: colour images by reason.
        stamps: all messages with a stamp, by input and in ascending order.
    """

    moments: tuple[Moment, ...]
    images: int
    left_out: Counter[str]
    stamps: Mapping[str, Sequence[StampedMessage]]


def synchronise(
    bag: BagReader, topic_by_input: Mapping[str, str], tolerance_s: float
) -> Synchronised:
    """Read all stamps and put together what belongs together."""
    stamps, unstamped = _read_stamps(bag, topic_by_input)
    left_out: Counter[str] = Counter({NO_STAMP: unstamped} if unstamped else {})
    moments = []
    for image in stamps["rgb"]:
        moment = _moment(image, stamps)
        reason = _reason(moment, tolerance_s)
        if reason:
            left_out[reason] += 1
        else:
            moments.append(moment)
    return Synchronised(tuple(moments), len(stamps["rgb"]) + unstamped, left_out, stamps)


def moment_at(found: Synchronised, stamp_ns: int, tolerance_s: float) -> Moment:
    """The moment that the query node would answer about, had it seen the whole recording.

    Args:
        found: all that is in the recording.
        stamp_ns: that is asked about; 0 = the newest.
        tolerance_s: how far stamps may lie apart, and the requested one from the image.

    Raises:
        SpatialError: NO_RGB, NO_DEPTH, ... when an input is missing; without a stamp OUT_OF_SYNC
            when no moment is complete; with one TIMEOUT when the recording ends before it, else
            STALE.
    """
    for name, status in INPUTS.items():
        if not found.stamps[name]:
            raise SpatialError(status, f"the recording has no {name} with a stamp")
    if not stamp_ns:
        if not found.moments:
            raise SpatialError(
                Status.OUT_OF_SYNC,
                f"no rgb, depth and regions of the recording have stamps within "
                f"{tolerance_s * 1000:g} ms; raise the tolerance",
            )
        return found.moments[-1]
    image = nearest(found.stamps["rgb"], stamp_ns, _stamp)
    moment = _moment(image, found.stamps)
    tolerance_ns = tolerance_s * NANOSECONDS
    if abs(image.stamp_ns - stamp_ns) <= tolerance_ns and not _reason(moment, tolerance_s):
        return moment
    raise _no_such_moment(found, stamp_ns, tolerance_ns)


def _no_such_moment(found: Synchronised, stamp_ns: int, tolerance_ns: float) -> SpatialError:
    newest_ns = {name: found.stamps[name][-1].stamp_ns for name in SYNCHRONISED}
    behind = [name for name, last_ns in newest_ns.items() if last_ns < stamp_ns - tolerance_ns]
    if behind:
        return SpatialError(
            Status.TIMEOUT, f"{', '.join(behind)} of the recording end before the requested stamp"
        )
    nearest_ns = {n: nearest(found.stamps[n], stamp_ns, _stamp).stamp_ns for n in SYNCHRONISED}
    offsets = [f"{n} by {abs(ns - stamp_ns) / 1e6:.0f} ms" for n, ns in nearest_ns.items()]
    return SpatialError(
        Status.STALE,
        f"no frame of the recording lies within {tolerance_ns / 1e6:g} ms of the requested stamp; "
        f"the nearest messages miss it: {', '.join(offsets)}",
    )


def read_moments(
    bag: BagReader, topic_by_input: Mapping[str, str], moments: Sequence[Moment]
) -> Iterator[tuple[Moment, dict[str, bytes]]]:
    """The serialized messages of each moment, in the order of the moments."""
    uses = Counter(
        (name, item.number) for moment in moments for name, item in moment.messages.items()
    )
    waiting, held = deque(moments), dict[tuple[str, int], bytes]()
    for name, number, serialized in _numbered(bag, topic_by_input):
        if uses[name, number]:
            held[name, number] = serialized
        while waiting and all((n, m.number) in held for n, m in waiting[0].messages.items()):
            moment = waiting.popleft()
            keys = {name: (name, item.number) for name, item in moment.messages.items()}
            yield moment, {name: held[key] for name, key in keys.items()}
            for key in keys.values():
                uses[key] -= 1
                if not uses[key]:
                    del held[key]


def _numbered(
    bag: BagReader, topic_by_input: Mapping[str, str]
) -> Iterator[tuple[str, int, bytes]]:
    """Input, number within its topic, and bytes of each message."""
    inputs = {topic: name for name, topic in topic_by_input.items()}
    counts: Counter[str] = Counter()
    for topic, serialized in bag.messages(list(inputs)):
        yield inputs[topic], counts[topic], serialized
        counts[topic] += 1


def _read_stamps(
    bag: BagReader, topic_by_input: Mapping[str, str]
) -> tuple[dict[str, list[StampedMessage]], int]:
    """Stamps of each input in ascending order, and the number of colour images without one."""
    stamps: dict[str, list[StampedMessage]] = {name: [] for name in topic_by_input}
    unstamped = 0
    for name, number, serialized in _numbered(bag, topic_by_input):
        try:
            stamp_ns = read_stamp_ns(serialized)
        except (struct.error, IndexError):
            stamp_ns = 0
        # A calibration needs no stamp to be the only one.
        if stamp_ns > 0 or name == "camera_info":
            stamps[name].append(StampedMessage(stamp_ns, number))
        elif name == "rgb":
            unstamped += 1
    return {name: sorted(items) for name, items in stamps.items()}, unstamped


def _moment(image: StampedMessage, stamps: Mapping[str, Sequence[StampedMessage]]) -> Moment:
    others = {
        name: nearest(items, image.stamp_ns, _stamp)
        for name, items in stamps.items()
        if items and name != "rgb"
    }
    return Moment({"rgb": image, **others})


def _reason(moment: Moment, tolerance_s: float) -> str:
    """Why a moment is not complete; empty if it is."""
    for name in (*SYNCHRONISED, "camera_info"):
        if name not in moment.messages:
            return f"without any {name}"
    for name in SYNCHRONISED:
        offset_ns = moment.messages[name].stamp_ns - moment.stamp_ns
        if abs(offset_ns) > tolerance_s * NANOSECONDS:
            return f"no {name} within {tolerance_s * 1000:g} ms"
    return ""


def _stamp(item: StampedMessage) -> int:
    return item.stamp_ns
