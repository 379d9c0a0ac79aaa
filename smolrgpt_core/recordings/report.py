"""Report of the conversion of a recording."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from smolrgpt_core.errors import SpatialError, Status


@dataclass
class RecordingReport:
    """Counts; every color image is either written or skipped for exactly one reason.

    Attributes:
        images: color images in the recording.
        frames: number of images that were written.
        skipped: the others by reason.
        examples: details of the first error of a reason.
        questions: written, by category.
        proposals: questions of the recording without a person's answer.
        reviewed: questions of the recording that were written with one.
        topics: by input.
        label_changes: labels that were read as classes.
        warnings: possible reasons for wrong answers that the images do not show.
        damage: where and why the recording ends early; empty if it is complete.
    """

    images: int = 0
    frames: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    questions: Counter[str] = field(default_factory=Counter)
    proposals: int = 0
    reviewed: int = 0
    topics: dict[str, str] = field(default_factory=dict)
    label_changes: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    damage: str = ""

    def leave_out(self, reason: str, example: str = "", count: int = 1) -> None:
        """Count images that are skipped.

        Args:
            reason: why they are skipped.
            example: details of one of them.
            count: number of images.
        """
        self.skipped[reason] += count
        if example:
            self.examples.setdefault(reason, example)

    def warn(self, warning: str) -> None:
        """Add a warning once."""
        if warning not in self.warnings:
            self.warnings.append(warning)

    def to_json(self) -> dict[str, Any]:
        """For a JSON file."""
        return {
            "images": self.images,
            "frames": self.frames,
            "left_out": dict(self.skipped),
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
    """No frame of a recording can be used.

    Attributes:
        report: why.
    """

    def __init__(self, report: RecordingReport) -> None:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in report.skipped.items())
        super().__init__(
            Status.BAD_INPUT,
            f"none of {report.images} color images can be used ({reasons or 'there are none'}); "
            "nothing was written",
        )
        self.report = report
