"""Why there is no answer: one exception class that carries a status code.

Everything that can go wrong between a request and an answer is raised as a `SpatialError`, so
that the ROS node, the command line and the evaluation report it in the same way. A message says
what was expected, what came, and what to do.
"""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Outcome of a question. The values equal the STATUS_* constants of `msg/SpatialAnswer`."""

    OK = 0
    NO_RGB = 1
    """No RGB image has ever arrived."""
    NO_DEPTH = 2
    """No depth image has ever arrived."""
    NO_CAMERA_INFO = 3
    """No camera calibration has ever arrived."""
    NO_REGIONS = 4
    """No regions have ever arrived."""
    STALE = 5
    """The newest frame is older than the request allows, or the requested stamp has passed."""
    OUT_OF_SYNC = 6
    """Inputs arrive, but no set of them has stamps within the synchronisation tolerance."""
    QOS_INCOMPATIBLE = 7
    """An input has a publisher whose quality of service cannot be matched."""
    BAD_INPUT = 8
    """An input cannot be used: unknown encoding, wrong size, wrong depth unit, broken mask."""
    UNKNOWN_REGION = 9
    """The question names a region id that the frame does not have."""
    NO_VALID_DEPTH = 10
    """Too few pixels under a mask have a depth reading."""
    BAD_QUESTION = 11
    """The question cannot be read, or does not fit its category or its region ids."""
    CANNOT_TELL = 12
    """The question is clear and the input is good, but the evidence does not decide it."""
    BUSY = 13
    """The queue of waiting questions is full."""
    TIMEOUT = 14
    """No answer within the time that the request allows."""
    NOT_ACTIVE = 15
    """The node is not in the lifecycle state `active`, or is shutting down."""
    MODEL_ERROR = 16
    """The answerer failed in a way that is not the fault of the question or the frame."""
    NO_TRANSFORM = 17
    """Centres cannot be told in the frame that is wanted: tf has no transform at their stamp."""


class SpatialError(Exception):
    """A question that gets no answer, and why.

    Attributes:
        status: the reason, never `Status.OK`.
        message: what was expected, what came, and what to do, in one or two sentences.
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def __reduce__(self) -> tuple[type[SpatialError], tuple[Status, str]]:
        """So that it can come out of a worker process."""
        return type(self), (self.status, self.message)


def bad_input(message: str) -> SpatialError:
    """An input that cannot be used."""
    return SpatialError(Status.BAD_INPUT, message)


def bad_question(message: str) -> SpatialError:
    """A question that cannot be read."""
    return SpatialError(Status.BAD_QUESTION, message)


def bad_setting(name: str, expected: str, value: object) -> SpatialError:
    """A setting that has another value than what was expected."""
    return bad_input(f"{name} must be {expected}, got {value!r}")
