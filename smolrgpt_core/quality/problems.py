"""What can be wrong with a data set, and the report of what is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

DEFAULT_EXAMPLES = 5
"""Problems of each kind that a report shows."""


class ProblemKind(Enum):
    """Kinds of problems; the value is the name in the JSON report."""

    BROKEN_FILE = "broken_file"
    BROKEN_RECORD = "broken_record"
    DUPLICATE_ID = "duplicate_id"
    IMAGE = "image"
    DEPTH = "depth"
    DEPTH_SIZE = "depth_size"
    DEPTH_UNIT = "depth_unit"
    DEPTH_EMPTY = "depth_empty"
    DEPTH_LOSS = "depth_loss"
    CAMERA_MISSING = "camera_missing"
    CAMERA_SIZE = "camera_size"
    MASK_BROKEN = "mask_broken"
    MASK_SIZE = "mask_size"
    MASK_EMPTY = "mask_empty"
    MASK_COUNT = "mask_count"
    CATEGORY = "category"
    ANSWER_MISSING = "answer_missing"
    ANSWER_UNREADABLE = "answer_unreadable"
    ANSWER_DISAGREES = "answer_disagrees"
    SHARED_SCENE = "shared_scene"
    SHARED_IMAGE = "shared_image"

    @property
    def title(self) -> str:
        """In words."""
        return _TITLES[self]


_TITLES = {
    ProblemKind.BROKEN_FILE: "JSON file missing, truncated or broken",
    ProblemKind.BROKEN_RECORD: "record with a missing field or a field of the wrong type",
    ProblemKind.DUPLICATE_ID: "duplicate id",
    ProblemKind.IMAGE: "image missing or not decodable",
    ProblemKind.DEPTH: "depth image missing or not decodable",
    ProblemKind.DEPTH_SIZE: "depth and image of different size",
    ProblemKind.DEPTH_UNIT: "implausible depth: wrong unit",
    ProblemKind.DEPTH_EMPTY: "depth without any reading",
    ProblemKind.DEPTH_LOSS: "depth with many readings out of range or missing",
    ProblemKind.CAMERA_MISSING: "image without an entry in cameras.json",
    ProblemKind.CAMERA_SIZE: "camera and image of different size",
    ProblemKind.MASK_BROKEN: "mask not decodable",
    ProblemKind.MASK_SIZE: "mask and image of different size",
    ProblemKind.MASK_EMPTY: "empty mask",
    ProblemKind.MASK_COUNT: "masks do not match the <mask> of the question",
    ProblemKind.CATEGORY: "unknown category",
    ProblemKind.ANSWER_MISSING: "answer missing",
    ProblemKind.ANSWER_UNREADABLE: "answer not readable",
    ProblemKind.ANSWER_DISAGREES: "normalized and free-form answer disagree",
    ProblemKind.SHARED_SCENE: "scene in two splits",
    ProblemKind.SHARED_IMAGE: "same image in two splits",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: what.
        place: file, and record where there is one.
        message: what was expected and what was found.
    """

    kind: ProblemKind
    place: str
    message: str


@dataclass
class CheckReport:
    """What was checked and what is wrong.

    Attributes:
        root: folder of the data set.
        max_examples: of each kind of problem.
        images: checked, by split.
        questions: checked, by split.
        depth_without_unit: number of images whose depth is an 8 bit visualization, by split. Fine
            for a model that looks at images, but no metric answer can be derived from them.
        counts: how many problems of each kind.
        examples: the first problems of each kind.
    """

    root: Path
    max_examples: int
    images: dict[str, int] = field(default_factory=dict)
    questions: dict[str, int] = field(default_factory=dict)
    depth_without_unit: Counter[str] = field(default_factory=Counter)
    counts: Counter[ProblemKind] = field(default_factory=Counter)
    examples: dict[ProblemKind, list[Problem]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.counts

    def add(self, problems: Iterable[Problem]) -> None:
        """Count problems; keep the first of each kind."""
        for problem in problems:
            self.counts[problem.kind] += 1
            examples_of_kind = self.examples.setdefault(problem.kind, [])
            if len(examples_of_kind) < self.max_examples:
                examples_of_kind.append(problem)

    def to_json(self) -> Mapping[str, Any]:
        """For programs: problems by the value of their kind."""
        return {
            "root": str(self.root),
            "clean": self.clean,
            "images": self.images,
            "questions": self.questions,
            "depth_pictures": dict(self.depth_without_unit),
            "problems": {
                kind.value: {
                    "title": kind.title,
                    "count": self.counts[kind],
                    "examples": [
                        {"place": problem.place, "message": problem.message}
                        for problem in self.examples[kind]
                    ],
                }
                for kind in ProblemKind
                if kind in self.counts
            },
        }
