"""Finds messages that belong together, or explains why there are none.

Used by the query node and for recordings: depth and regions are those nearest to the color image,
within a tolerance; the calibration is the nearest one, however old, and in a recording where it
changes the one that was valid for the image. If stamps go back, a node
starts over, and in a recording only messages that were received together belong together
(`messages.passes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smolrgpt_core.messages.input_stamps import STILL, ZERO, InputStamps, StampedMessage
from smolrgpt_core.messages.passes import UsualDelay, usual_delay
from smolrgpt_core.messages.stamps import INPUTS, SYNCHRONIZED


@dataclass(frozen=True)
class Moment:
    """The messages that belong together."""

    rgb: StampedMessage
    depth: StampedMessage
    camera_info: StampedMessage
    regions: StampedMessage

    @property
    def stamp_ns(self) -> int:
        """Stamp of the color image in nanoseconds."""
        return self.rgb.stamp_ns

    @property
    def messages(self) -> dict[str, StampedMessage]:
        """The messages by input."""
        return {name: getattr(self, name) for name in INPUTS}


class NoMomentError(Exception):
    """There is no complete set of messages for an image; the text says why."""


class Synchronizer:
    """All inputs of a camera. Not thread-safe.

    Args:
        topics: topic name of each input, for messages to the operator.
        size: number of messages to keep per input, of the latest pass only; None: all of all
            passes.

    Attributes:
        inputs: messages of each input.
    """

    def __init__(self, topics: Mapping[str, str], size: int | None = None) -> None:
        self.inputs = {name: InputStamps(name, size) for name in INPUTS}
        self._topics = topics
        self._forgets = size is not None
        self._delays: tuple[int, dict[str, UsualDelay]] | None = None

    def add(
        self, name: str, stamp_ns: int, payload: Any, content: object, received_ns: int
    ) -> None:
        """Add the next message of an input.

        Args:
            name: of the input.
            stamp_ns: of its header.
            payload: data to keep.
            content: equal for equal messages with the same stamp.
            received_ns: time of reception.
        """
        self._delays = None
        before_ns = self.inputs[name].received_ns
        restarts = self.inputs[name].add(stamp_ns, payload, content, received_ns)
        if restarts and self._forgets and name in SYNCHRONIZED:
            self._forget_time_before(before_ns)

    def _forget_time_before(self, before_ns: int | None) -> None:
        """Discard earlier messages of other inputs after the stamps of an input started over.

        For example when a simulation is restarted, or a recording is played in a loop.

        Args:
            before_ns: reception of the previous message; inputs restarted since then are kept.
        """
        for name in SYNCHRONIZED:
            restarted_ns = self.inputs[name].restarted_ns
            if restarted_ns is None or (before_ns is not None and restarted_ns < before_ns):
                self.inputs[name].forget()

    def moment(self, image: StampedMessage, tolerance_ns: int) -> Moment:
        """A color image with the messages that belong to it.

        Args:
            image: one of the samples of `rgb`.
            tolerance_ns: largest difference of the stamps.

        Raises:
            NoMomentError: a message is missing, or may belong to another pass.
        """
        for name in (*SYNCHRONIZED, "camera_info"):
            stamps = self.inputs[name]
            if not stamps.count:
                raise NoMomentError(f"without any {name}")
            if stamps.counts.zero == stamps.count:
                raise NoMomentError(f"{name} without a stamp")
        depth, regions = (
            self._synchronized(name, image, tolerance_ns) for name in ("depth", "regions")
        )
        return Moment(image, depth, self._calibration(image, tolerance_ns), regions)

    def _synchronized(self, name: str, image: StampedMessage, tolerance_ns: int) -> StampedMessage:
        stamps = self.inputs[name]
        near = stamps.near(image.stamp_ns, tolerance_ns)
        found = self._fitting(name, image, near, tolerance_ns)
        if found:
            return found
        if near:
            raise NoMomentError(f"stamps go back: unclear which {name} belongs to it")
        if stamps.stands_still_at(image.stamp_ns, tolerance_ns):
            raise NoMomentError(f"stamp repeats: several messages of {name} have it")
        raise NoMomentError(f"no {name} within {tolerance_ns / 1e6:g} ms")

    def _calibration(self, image: StampedMessage, tolerance_ns: int) -> StampedMessage:
        stamps, found = self.inputs["camera_info"], None
        if self._usual_delays(tolerance_ns) and stamps.contents > 1:
            near = stamps.near(image.stamp_ns, tolerance_ns)
            found = self._fitting("camera_info", image, near, tolerance_ns)
        elif stamps.contents > 1:
            found = self._changing_calibration(image, tolerance_ns)
        elif stamps.samples:
            found = stamps.nearest(image.stamp_ns)
        if not found:
            raise NoMomentError("its stamp does not show which camera_info belongs to it")
        return found

    def _changing_calibration(
        self, image: StampedMessage, tolerance_ns: int
    ) -> StampedMessage | None:
        """The one of the image's stamp, or the only one near it, or that of before.

        A camera with a zoom sends one with each image. One that is sent once is valid until the
        next one. Of two cameras on one topic none may be taken.
        """
        stamps = self.inputs["camera_info"]
        if not stamps.samples:
            return None
        same = stamps.near(image.stamp_ns, 0)
        near = same or stamps.near(image.stamp_ns, tolerance_ns)
        if not near:
            return stamps.last_before(image.stamp_ns)
        return stamps.nearest(image.stamp_ns) if len({item.content for item in near}) == 1 else None

    def _fitting(
        self, name: str, image: StampedMessage, near: Sequence[StampedMessage], tolerance_ns: int
    ) -> StampedMessage | None:
        """The message that belongs to the image, among those with a near stamp."""
        delay = self._usual_delays(tolerance_ns).get(name)
        if delay:
            near = [item for item in near if delay.fits(image, item)]
        if not near:
            return None
        found = min(near, key=lambda item: abs(item.stamp_ns - image.stamp_ns))
        if not delay:
            return found
        images = self.inputs["rgb"].near(found.stamp_ns, tolerance_ns)
        claims = {item.number_of_pass for item in images if delay.fits(item, found)}
        is_unique = len({item.number_of_pass for item in near}) == len(claims) == 1
        return found if is_unique else None

    def _usual_delays(self, tolerance_ns: int) -> Mapping[str, UsualDelay]:
        """Delays after the image by input; empty unless several passes are kept."""
        if self._forgets:
            return {}
        if self._delays is None or self._delays[0] != tolerance_ns:
            self._delays = tolerance_ns, self._find_delays(tolerance_ns)
        return self._delays[1]

    def _find_delays(self, tolerance_ns: int) -> dict[str, UsualDelay]:
        restarted = [self.inputs[name] for name in SYNCHRONIZED if self.inputs[name].passes > 1]
        if not restarted:
            return {}
        apart_ns = min(item.apart_ns for item in restarted)
        return {
            name: usual_delay(self.inputs["rgb"], stamps, apart_ns, tolerance_ns)
            for name, stamps in self.inputs.items()
            if name != "rgb"
        }

    # Texts for messages

    @property
    def missing(self) -> tuple[str, ...]:
        """Inputs without any message that its stamp identifies."""
        return tuple(name for name, stamps in self.inputs.items() if not stamps.samples)

    def named(self, names: Sequence[str]) -> str:
        """Text with inputs and their topics."""
        return ", ".join(f"{name} ({self._topics[name]})" for name in names)

    def newest_ns(self, name: str) -> int:
        """Stamp of the latest message of an input that is not missing."""
        return self.inputs[name].samples[-1].stamp_ns

    def behind(self, stamp_ns: int, tolerance_ns: int) -> tuple[str, ...]:
        """Inputs that have not reached a stamp; none may be missing."""
        last_ns = stamp_ns - tolerance_ns
        return tuple(name for name in SYNCHRONIZED if self.newest_ns(name) < last_ns)

    def out_of_sync(self, where: str, tolerance_ns: int) -> str:
        """Message that nothing belongs together, with the offsets of the latest messages.

        Args:
            where: which messages, such as "of the recording".
            tolerance_ns: largest difference of the stamps.
        """
        offsets = [(n, self.newest_ns(n) - self.newest_ns("rgb")) for n in ("depth", "regions")]
        apart = " and ".join(
            f"{name} is {_milliseconds(abs(offset_ns))} {'older' if offset_ns < 0 else 'newer'}"
            for name, offset_ns in offsets
        )
        return (
            f"no rgb, depth and regions {where} have stamps within {_milliseconds(tolerance_ns)} "
            f"(sync_tolerance); in the latest messages, {apart} than rgb"
        )

    def missed(self, stamp_ns: int) -> str:
        """Text with the distances of the nearest messages from a stamp."""
        offsets_ns = {
            name: abs(self.inputs[name].nearest(stamp_ns).stamp_ns - stamp_ns)
            for name in SYNCHRONIZED
        }
        offsets = [f"{name} by {_milliseconds(offset)}" for name, offset in offsets_ns.items()]
        return f"the nearest messages are off: {', '.join(offsets)}"

    def notes(self) -> Iterator[str]:
        """Problems with the stamps of all messages so far."""
        for name, stamps in self.inputs.items():
            messages = f"of {stamps.count} messages of {self.named([name])}"
            if stamps.counts.zero:
                yield f"{stamps.counts.zero} {messages} have stamps that {ZERO}"
            if stamps.still:
                yield f"{stamps.still} {messages} have stamps that {STILL}"
        passes = {name: stamps.passes for name, stamps in self.inputs.items() if stamps.passes > 1}
        if passes:
            listed = ", ".join(f"{name} ({number} passes)" for name, number in passes.items())
            yield (
                f"stamps go back in {listed}, as when a simulation or a driver restarts: "
                "messages from before and after are not combined"
            )


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.0f} ms"
