"""Which messages of a recording belong to one moment.

As the query node does it: depth and regions are those nearest to the colour image, within a
tolerance; the calibration is the nearest one, however old. Where stamps go back, only what was
received together belongs together (`recordings.passes`). The recording is read once for the stamps
alone and then for the messages, so that only what is needed is held in memory.
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
from smolrgpt_core.recordings.bag_reader import BagReader, RecordedMessage
from smolrgpt_core.recordings.passes import (
    InputStamps,
    StampedMessage,
    StampReader,
    stamp_of,
    usual_delay,
)

NO_STAMP = "without a stamp"
SAME_IMAGE = "the same image again"
REPEATED_STAMP = "stamp repeats: several images have it"


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
    """The moments of a recording, and why colour images have none.

    Attributes:
        moments: complete ones, by pass and stamp.
        images: number of colour images in the recording.
        left_out: colour images by reason.
        stamps: all messages that their stamp names, by input and in ascending order.
        notes: what is wrong with the stamps, in plain words.
    """

    moments: tuple[Moment, ...]
    images: int
    left_out: Counter[str]
    stamps: Mapping[str, Sequence[StampedMessage]]
    notes: tuple[str, ...] = ()


def synchronise(
    bag: BagReader, topic_by_input: Mapping[str, str], tolerance_s: float
) -> Synchronised:
    """Read all stamps and put together what belongs together."""
    inputs = _read_stamps(bag, topic_by_input)
    rgb = inputs["rgb"]
    counts = {
        NO_STAMP: rgb.unstamped,
        SAME_IMAGE: rgb.again,
        REPEATED_STAMP: rgb.still,
    }
    left_out = Counter({reason: count for reason, count in counts.items() if count})
    matcher, moments = _Matcher(inputs, tolerance_s), []
    for image in sorted(rgb.messages, key=lambda item: item.number_of_pass):
        try:
            moments.append(matcher.moment(image))
        except _NoMomentError as error:
            left_out[str(error)] += 1
    stamps = {name: item.messages for name, item in inputs.items()}
    notes = _notes(inputs, topic_by_input)
    return Synchronised(tuple(moments), rgb.count, left_out, stamps, tuple(notes))


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
            raise SpatialError(
                status, f"the recording has no {name} that its stamp names{_remarks(found)}"
            )
    if not stamp_ns:
        if not found.moments:
            raise SpatialError(
                Status.OUT_OF_SYNC,
                f"no rgb, depth and regions of the recording have stamps within "
                f"{tolerance_s * 1000:g} ms; raise the tolerance{_remarks(found)}",
            )
        return found.moments[-1]
    image = nearest(found.stamps["rgb"], stamp_ns, stamp_of)
    tolerance_ns = tolerance_s * NANOSECONDS
    near = [m for m in found.moments if abs(m.stamp_ns - stamp_ns) <= tolerance_ns]
    if len({moment.image.number_of_pass for moment in near}) > 1:
        raise SpatialError(
            Status.OUT_OF_SYNC,
            "several frames of the recording have the requested stamp, which one is meant cannot "
            f"be told; ask about every frame{_remarks(found)}",
        )
    for moment in near:
        if moment.image == image:
            return moment
    raise _no_such_moment(found, stamp_ns, tolerance_ns)


def _remarks(found: Synchronised) -> str:
    return "".join(f"; {note}" for note in found.notes)


def _no_such_moment(found: Synchronised, stamp_ns: int, tolerance_ns: float) -> SpatialError:
    newest_ns = {name: found.stamps[name][-1].stamp_ns for name in SYNCHRONISED}
    behind = [name for name, last_ns in newest_ns.items() if last_ns < stamp_ns - tolerance_ns]
    if behind:
        return SpatialError(
            Status.TIMEOUT,
            f"{', '.join(behind)} of the recording end before the requested stamp{_remarks(found)}",
        )
    nearest_ns = {n: nearest(found.stamps[n], stamp_ns, stamp_of).stamp_ns for n in SYNCHRONISED}
    offsets = [f"{n} by {abs(ns - stamp_ns) / 1e6:.0f} ms" for n, ns in nearest_ns.items()]
    return SpatialError(
        Status.STALE,
        f"no frame of the recording lies within {tolerance_ns / 1e6:g} ms of the requested stamp; "
        f"the nearest messages miss it: {', '.join(offsets)}{_remarks(found)}",
    )


def read_moments(
    bag: BagReader, topic_by_input: Mapping[str, str], moments: Sequence[Moment]
) -> Iterator[tuple[Moment, dict[str, bytes]]]:
    """The serialized messages of each moment, in the order of the moments."""
    uses = Counter(
        (name, item.number) for moment in moments for name, item in moment.messages.items()
    )
    waiting, held = deque(moments), dict[tuple[str, int], bytes]()
    for name, number, message in _numbered(bag, topic_by_input):
        if uses[name, number]:
            held[name, number] = message.serialized
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
) -> Iterator[tuple[str, int, RecordedMessage]]:
    """Input, number within its topic, and the message itself."""
    inputs = {topic: name for name, topic in topic_by_input.items()}
    counts: Counter[str] = Counter()
    for message in bag.messages(list(inputs)):
        yield inputs[message.topic], counts[message.topic], message
        counts[message.topic] += 1


def _read_stamps(bag: BagReader, topic_by_input: Mapping[str, str]) -> dict[str, InputStamps]:
    """The stamps of each input."""
    # A calibration needs no stamp to be the only one.
    readers = {name: StampReader(needs_stamp=name != "camera_info") for name in topic_by_input}
    for name, _, message in _numbered(bag, topic_by_input):
        try:
            stamp_ns = read_stamp_ns(message.serialized)
        except (struct.error, IndexError):
            stamp_ns = 0
        readers[name].add(stamp_ns, message.received_ns, message.serialized)
    return {name: reader.finish() for name, reader in readers.items()}


class _NoMomentError(Exception):
    """Nothing complete belongs to an image; the text says why."""


class _Matcher:
    """Finds what belongs to an image.

    Args:
        inputs: all stamps.
        tolerance_s: how far those of one moment may lie apart.
    """

    def __init__(self, inputs: Mapping[str, InputStamps], tolerance_s: float) -> None:
        self._inputs = inputs
        self._rgb = inputs["rgb"]
        # A whole number: stamps are too large for exact floats.
        self._tolerance_ns = round(tolerance_s * NANOSECONDS)
        self._within = f"within {tolerance_s * 1000:g} ms"
        restarted = [inputs[name] for name in SYNCHRONISED if inputs[name].passes > 1]
        apart_ns = min((item.apart_ns for item in restarted), default=0)
        self._delays = {
            name: usual_delay(self._rgb, inputs[name], apart_ns, self._tolerance_ns)
            for name in inputs
            if restarted and name != "rgb"
        }

    def moment(self, image: StampedMessage) -> Moment:
        """The image with what belongs to it.

        Raises:
            _NoMomentError: something is missing, or may belong to another pass.
        """
        for name in (*SYNCHRONISED, "camera_info"):
            stamps = self._inputs[name]
            if not stamps.count:
                raise _NoMomentError(f"without any {name}")
            if stamps.unstamped == stamps.count:
                raise _NoMomentError(f"{name} without a stamp")
        depth, regions = (self._synchronised(name, image) for name in ("depth", "regions"))
        return Moment(
            {
                "rgb": image,
                "depth": depth,
                "camera_info": self._calibration(image),
                "regions": regions,
            }
        )

    def _synchronised(self, name: str, image: StampedMessage) -> StampedMessage:
        stamps = self._inputs[name]
        near = stamps.near(image.stamp_ns, self._tolerance_ns)
        found = self._fitting(name, image, near)
        if found:
            return found
        if near:
            raise _NoMomentError(f"stamps go back: which {name} belongs to it cannot be told")
        if stamps.stands_still_at(image.stamp_ns, self._tolerance_ns):
            raise _NoMomentError(f"stamp repeats: several messages of {name} have it")
        raise _NoMomentError(f"no {name} {self._within}")

    def _calibration(self, image: StampedMessage) -> StampedMessage:
        stamps = self._inputs["camera_info"]
        if self._delays and stamps.contents > 1:
            near = stamps.near(image.stamp_ns, self._tolerance_ns)
            found = self._fitting("camera_info", image, near)
        else:
            found = nearest(stamps.messages, image.stamp_ns, stamp_of) if stamps.messages else None
        if not found:
            raise _NoMomentError("which camera_info belongs to it cannot be told by its stamp")
        return found

    def _fitting(
        self, name: str, image: StampedMessage, near: Sequence[StampedMessage]
    ) -> StampedMessage | None:
        """Of the messages that are near by their stamps, the one that belongs to the image."""
        delay = self._delays.get(name)
        if delay:
            near = [item for item in near if delay.fits(image, item)]
        if not near:
            return None
        found = min(near, key=lambda item: abs(item.stamp_ns - image.stamp_ns))
        if not delay:
            return found
        images = self._rgb.near(found.stamp_ns, self._tolerance_ns)
        claims = {item.number_of_pass for item in images if delay.fits(item, found)}
        is_unique = len({item.number_of_pass for item in near}) == len(claims) == 1
        return found if is_unique else None


def _notes(inputs: Mapping[str, InputStamps], topic_by_input: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the stamps."""
    for name, stamps in inputs.items():
        messages = f"of {stamps.count} messages of {name} ({topic_by_input[name]})"
        if stamps.unstamped:
            yield (
                f"{stamps.unstamped} {messages} have the stamp 0: what publishes them must fill "
                "header.stamp, a detector with that of its image"
            )
        if stamps.still:
            yield (
                f"{stamps.still} {messages} have stamps that repeat although the messages differ: "
                "look after what publishes them"
            )
    going_back = [
        f"{name} ({stamps.passes} passes)" for name, stamps in inputs.items() if stamps.passes > 1
    ]
    if going_back:
        yield (
            f"stamps go back in {', '.join(going_back)}, as when a simulation or a driver starts "
            "again: what was recorded before and after is kept apart"
        )
