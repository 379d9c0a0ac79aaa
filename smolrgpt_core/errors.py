"""Errors: one exception class that carries a status code.

Everything that can go wrong between a request and an answer is raised as a `SpatialError`, so
that the ROS node, the command line and the evaluation report it in the same way. A message says
what was expected, what was found, and what to do.
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
    """The latest frame is older than the request allows, or the requested one is gone."""
    OUT_OF_SYNC = 6
    """Inputs arrive, but their stamps are not within the synchronization tolerance."""
    QOS_INCOMPATIBLE = 7
    """An input has a publisher with an incompatible quality of service."""
    BAD_INPUT = 8
    """An input cannot be used: unknown encoding, wrong size, wrong depth unit, broken mask."""
    UNKNOWN_REGION = 9
    """The question names a region id that is not in the frame."""
    NO_VALID_DEPTH = 10
    """Too few pixels under a mask have a depth reading."""
    BAD_QUESTION = 11
    """The question is not understood, or does not match its category or its region ids."""
    CANNOT_TELL = 12
    """The question is clear and the input is valid, but the evidence does not decide it."""
    BUSY = 13
    """Too many questions are pending."""
    TIMEOUT = 14
    """No answer within the timeout of the request."""
    NOT_ACTIVE = 15
    """The node is not in the lifecycle state `active`, or is shutting down."""
    MODEL_ERROR = 16
    """The answerer failed; neither the question nor the frame is at fault."""
    NO_TRANSFORM = 17
    """tf has no transform at the stamp of the images to the frame that was asked for."""


class SpatialError(Exception):
    """The reason why a question has no answer.

    Attributes:
        status: the reason, never `Status.OK`.
        message: what was expected, what was found, and what to do, in one or two sentences.
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def __reduce__(self) -> tuple[type[SpatialError], tuple[Status, str]]:
        """Makes the error picklable, for worker processes."""
        return type(self), (self.status, self.message)


class UnansweredError(SpatialError):
    """A model that works has no answer to this one question; it may have one to others."""


def bad_input(message: str) -> SpatialError:
    """A BAD_INPUT error: an input cannot be used."""
    return SpatialError(Status.BAD_INPUT, message)


def bad_question(message: str) -> SpatialError:
    """A BAD_QUESTION error: a question is not understood."""
    return SpatialError(Status.BAD_QUESTION, message)


def bad_setting(name: str, expected: str, value: object) -> SpatialError:
    """A BAD_INPUT error for a setting with an invalid value.

    Args:
        name: of the setting.
        expected: what it must be.
        value: what it is.
    """
    return bad_input(f"{name} must be {expected}, got {value!r}")


class RunStoppedError(SpatialError):
    """The run ended before its last step; its checkpoints remain."""
