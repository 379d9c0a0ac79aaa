"""Synchronizes the messages of a recording like the query node (`messages.synchronizer`).

The recording is read once for the stamps only and then for the messages, so that only required
messages are held in memory.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.messages.stamps import INPUTS, NANOSECONDS, read_stamp_ns, without_stamp
from smolrgpt_core.messages.synchronizer import Moment, NoMomentError, Synchronizer
from smolrgpt_core.recordings.bag_reader import BagReader, RecordedMessage

NO_STAMP = "without a stamp"
SAME_IMAGE = "repeated image"
REPEATED_STAMP = "stamp repeats: several images have it"


@dataclass(frozen=True)
class Synchronized:
    """The moments of a recording, and why color images have none.

    Attributes:
        moments: complete ones, by pass and stamp.
        skipped: number of color images by reason.
        stamps: all messages by stamp; the payload is the number within the topic.
    """

    moments: tuple[Moment, ...]
    skipped: Counter[str]
    stamps: Synchronizer

    @property
    def images(self) -> int:
        """Number of color images in the recording."""
        return self.stamps.inputs["rgb"].count

    @property
    def notes(self) -> tuple[str, ...]:
        """Problems with the stamps, as text."""
        return tuple(self.stamps.notes())


def synchronize(
    bag: BagReader, topic_by_input: Mapping[str, str], tolerance_s: float
) -> Synchronized:
    """Read all stamps and find the messages that belong together.

    Args:
        bag: the recording.
        topic_by_input: topic of each input.
        tolerance_s: largest difference of stamps, seconds.
    """
    stamps = _read_stamps(bag, topic_by_input)
    rgb, tolerance_ns = stamps.inputs["rgb"], _nanoseconds(tolerance_s)
    counts = {
        NO_STAMP: rgb.counts.zero,
        SAME_IMAGE: rgb.counts.again,
        REPEATED_STAMP: rgb.still,
    }
    skipped = Counter({reason: count for reason, count in counts.items() if count})
    moments = []
    for image in sorted(rgb.samples, key=lambda item: item.number_of_pass):
        try:
            moments.append(stamps.moment(image, tolerance_ns))
        except NoMomentError as error:
            skipped[str(error)] += 1
    return Synchronized(tuple(moments), skipped, stamps)


def moment_at(found: Synchronized, stamp_ns: int, tolerance_s: float) -> Moment:
    """The moment that the query node would answer about, had it seen the whole recording.

    Args:
        found: all that is in the recording.
        stamp_ns: requested stamp; 0 = the latest.
        tolerance_s: largest difference between stamps, and between the requested one and the image.

    Raises:
        SpatialError: NO_RGB, NO_DEPTH, ... when an input is missing; without a stamp OUT_OF_SYNC
            when no moment is complete; with one TIMEOUT when the recording ends before it, else
            STALE.
    """
    for name in found.stamps.missing:
        raise SpatialError(
            INPUTS[name], f"the recording has no {name} with a unique stamp{_remarks(found)}"
        )
    tolerance_ns = _nanoseconds(tolerance_s)
    if not stamp_ns:
        if not found.moments:
            apart = found.stamps.out_of_sync("of the recording", tolerance_ns)
            raise SpatialError(Status.OUT_OF_SYNC, f"{apart}; raise the tolerance{_remarks(found)}")
        return found.moments[-1]
    image = found.stamps.inputs["rgb"].nearest(stamp_ns)
    near = [m for m in found.moments if abs(m.stamp_ns - stamp_ns) <= tolerance_ns]
    if len({moment.rgb.number_of_pass for moment in near}) > 1:
        raise SpatialError(
            Status.OUT_OF_SYNC,
            "several frames of the recording have the requested stamp, it is unclear which one is "
            f"meant; ask about every frame{_remarks(found)}",
        )
    for moment in near:
        if moment.rgb is image:
            return moment
    raise _no_such_moment(found, stamp_ns, tolerance_ns)


def _nanoseconds(seconds: float) -> int:
    # A whole number: stamps are too large for exact floats.
    return round(seconds * NANOSECONDS)


def _remarks(found: Synchronized) -> str:
    return "".join(f"; {note}" for note in found.notes)


def _no_such_moment(found: Synchronized, stamp_ns: int, tolerance_ns: int) -> SpatialError:
    behind = found.stamps.behind(stamp_ns, tolerance_ns)
    if behind:
        return SpatialError(
            Status.TIMEOUT,
            f"{', '.join(behind)} of the recording end before the requested stamp{_remarks(found)}",
        )
    return SpatialError(
        Status.STALE,
        f"no frame of the recording is within {tolerance_ns / 1e6:g} ms of the requested stamp; "
        f"{found.stamps.missed(stamp_ns)}{_remarks(found)}",
    )


def read_moments(
    bag: BagReader, topic_by_input: Mapping[str, str], moments: Sequence[Moment]
) -> Iterator[tuple[Moment, dict[str, bytes]]]:
    """The serialized messages of each moment, in their order.

    Args:
        bag: the recording.
        topic_by_input: topic of each input.
        moments: from `synchronize`.
    """
    uses = Counter(
        (name, item.payload) for moment in moments for name, item in moment.messages.items()
    )
    waiting, held = deque(moments), dict[tuple[str, int], bytes]()
    for name, number, message in _numbered(bag, topic_by_input):
        if uses[name, number]:
            held[name, number] = message.serialized
        while waiting and all((n, m.payload) in held for n, m in waiting[0].messages.items()):
            moment = waiting.popleft()
            keys = {name: (name, item.payload) for name, item in moment.messages.items()}
            yield moment, {name: held[key] for name, key in keys.items()}
            for key in keys.values():
                uses[key] -= 1
                if not uses[key]:
                    del held[key]


def _numbered(
    bag: BagReader, topic_by_input: Mapping[str, str]
) -> Iterator[tuple[str, int, RecordedMessage]]:
    """Input, number within its topic, and the message itself."""
    inputs = {topic: name for name, topic in topic_by_input.items()}
    counts: Counter[str] = Counter()
    for message in bag.messages(list(inputs)):
        yield inputs[message.topic], counts[message.topic], message
        counts[message.topic] += 1


def _read_stamps(bag: BagReader, topic_by_input: Mapping[str, str]) -> Synchronizer:
    stamps = Synchronizer(topic_by_input)
    for name, number, message in _numbered(bag, topic_by_input):
        try:
            stamp_ns = read_stamp_ns(message.serialized)
        except (struct.error, IndexError):
            stamp_ns = 0
        content = zlib.crc32(without_stamp(message.serialized))
        stamps.add(name, stamp_ns, number, content, message.received_ns)
    return stamps
