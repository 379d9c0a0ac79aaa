"""What became of the frames of a recording."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from smolrgpt_core.errors import SpatialError, Status


@dataclass
class RecordingReport:
    """Counts; every colour image is either written or left out for one reason.

    Attributes:
        images: colour images in the recording.
        frames: of them, those that were written.
        left_out: the others by reason.
        examples: what exactly was wrong, once for each reason that has more to say.
        questions: written, by category.
        proposals: questions of the recording that wait for a person's answer.
        reviewed: questions of the recording that are written with one.
        topics: by input.
        label_changes: labels that were read as classes.
        warnings: what may make all answers wrong, and cannot be told from the images.
        damage: where and why the recording ends early; empty if it is whole.
    """

    images: int = 0
    frames: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    questions: Counter[str] = field(default_factory=Counter)
    proposals: int = 0
    reviewed: int = 0
    topics: dict[str, str] = field(default_factory=dict)
    label_changes: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    damage: str = ""

    def leave_out(self, reason: str, example: str = "", count: int = 1) -> None:
        """Count images that are not written."""
        self.left_out[reason] += count
        if example:
            self.examples.setdefault(reason, example)

    def warn(self, warning: str) -> None:
        """Say something once."""
        if warning not in self.warnings:
            self.warnings.append(warning)

    def to_json(self) -> dict[str, Any]:
        """For a JSON file."""
        return {
            "images": self.images,
            "frames": self.frames,
            "left_out": dict(self.left_out),
            "examples": self.examples,
            "questions": dict(self.questions),
            "proposals": self.proposals,
            "reviewed": self.reviewed,
            "topics": self.topics,
            "label_changes": self.label_changes,
            "warnings": self.warnings,
            "damage": self.damage,
        }


class NoFrameError(SpatialError):
    """A recording of which no frame can be used.

    Attributes:
        report: why.
    """

    def __init__(self, report: RecordingReport) -> None:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in report.left_out.items())
        super().__init__(
            Status.BAD_INPUT,
            f"none of {report.images} colour images can be used ({reasons or 'there is none'}); "
            "nothing was written",
        )
        self.report = report
