"""One scene of a simulated data set: rendered, disturbed, asked about, encoded.

A scene follows from the settings and its index alone, so scenes can be made in any order and by
any process. Which of the candidate questions get into the data set is decided when all scenes
are there, see `run`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.data.records import encode_masks
from smolrgpt_core.data.warehouse_format import SPLITS, AnswerTruth, CameraRecord, SplitFolder
from smolrgpt_core.depth import depth_to_units
from smolrgpt_core.errors import bad_input
from smolrgpt_core.files import encode_image, write_file
from smolrgpt_core.language import Category
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import (
    SimulatedFrame,
    WarehouseRenderer,
    apply_sensor_noise,
    build_scene,
)
from smolrgpt_core.simulated_data.randomization import Randomization
from smolrgpt_core.synthesis import (
    MIXTURES,
    WAREHOUSE_FORMS,
    QuestionWithTruth,
    generate_mixture,
    generate_questions,
)
from smolrgpt_core.synthesis.answer_truth import truth_of
from smolrgpt_core.synthesis.generator import MisreadError
from smolrgpt_core.synthesis.reasoning import steps_of

DEPTH_SCALE = 0.001
"""Meters per unit of the depth images."""

WAREHOUSE_MIXTURE = "warehouse"
"""The mixture of the four categories, the only one that a hall's own words are for."""

CANDIDATES_PER_QUESTION = 4
"""So many candidates are made for each question that is wanted: a choice for the balance."""

_SPLITS_STREAM, _SCENE_STREAM, _FRAME_STREAM = range(3)
"""Kinds of random streams; each has its own so that none depends on what another draws."""


@dataclass(frozen=True)
class SimulationSettings:
    """Everything that the bytes of a simulated data set follow from.

    Attributes:
        scenes: number of warehouses.
        seed: of everything.
        views: camera poses in each scene.
        questions: at most so many about each image.
        split_fractions: of the scenes in train, val and test; they add up to 1.
        folders: write images, depths and JSON files in the public layout.
        shards: write WebDataset tar files.
        shard_images: images in each tar file.
        randomization: what varies.
        mixture: name in `synthesis.MIXTURES` whose families of tasks are asked by their weights;
            None: the four categories of the warehouse, evenly.

    Raises:
        SpatialError: BAD_INPUT, naming the field that is wrong.
    """

    scenes: int
    seed: int = 0
    views: int = 4
    questions: int = 12
    split_fractions: tuple[float, float, float] = (0.9, 0.05, 0.05)
    folders: bool = True
    shards: bool = False
    shard_images: int = 256
    randomization: Randomization = field(default_factory=Randomization)
    mixture: str | None = None

    def __post_init__(self) -> None:
        for name in ("scenes", "views", "questions", "shard_images"):
            if getattr(self, name) < 1:
                raise bad_input(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise bad_input(f"seed must not be negative, got {self.seed}")
        fractions = self.split_fractions
        if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
            raise bad_input(
                f"split_fractions must be those of {', '.join(SPLITS)} and add up to 1, "
                f"got {fractions}"
            )
        if not (self.folders or self.shards):
            raise bad_input("nothing to write: both folders and shards are disabled")
        if self.mixture is not None and self.mixture not in MIXTURES:
            raise bad_input(f"mixture must be one of {', '.join(MIXTURES)}, got {self.mixture!r}")
        if self.mixture not in (None, WAREHOUSE_MIXTURE):
            self.randomization.refuse_words(f"the mixture {self.mixture}")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        randomization = self.randomization.to_dict()
        fractions = list(self.split_fractions)
        return asdict(self) | {"split_fractions": fractions, "randomization": randomization}

    def splits(self) -> list[str]:
        """The split of each scene: exact fractions, scenes in random order."""
        rng = np.random.default_rng([self.seed, _SPLITS_STREAM])
        train, val, _ = self.split_fractions
        last_val = round(self.scenes * (train + val))
        last_train = min(round(self.scenes * train), last_val)
        order = rng.permutation(self.scenes)
        names = dict.fromkeys(order[:last_train].tolist(), "train")
        names |= dict.fromkeys(order[last_train:last_val].tolist(), "val")
        return [names.get(index, "test") for index in range(self.scenes)]


@dataclass(frozen=True)
class Candidate:
    """A question that may get into the data set; the other fields are those of `QuestionWithTruth`.

    Attributes:
        task: its family in the mixture; empty without one.
        reasoning: its answer step by step; empty without one.
        truth: what is true of its regions.
    """

    form: str
    category: Category
    wording: str
    text: str
    region_ids: tuple[int, ...]
    normalized_answer: str
    freeform_answer: str
    task: str = ""
    reasoning: str = ""
    truth: AnswerTruth | None = None

    @classmethod
    def of(
        cls,
        item: QuestionWithTruth,
        task: str = "",
        reasoning: str = "",
        truth: AnswerTruth | None = None,
    ) -> Candidate:
        """The parts of a generated question that are stored.

        Args:
            item: the generated question.
            task: family of the mixture; empty: none.
            reasoning: steps before the answer; empty: none.
            truth: what is true of its regions.
        """
        return cls(
            item.form, item.category, item.wording, item.text, item.region_ids,
            item.normalized_answer, item.freeform_answer, task, reasoning, truth,
        )  # fmt: skip

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Candidate:
        """Read what `json` made of the fields."""
        plain = {"category": Category(entry["category"]), "region_ids": tuple(entry["region_ids"])}
        truth = AnswerTruth.from_json(entry["truth"]) if entry["truth"] else None
        return cls(**{**entry, **plain, "truth": truth})

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "truth": self.truth.to_json() if self.truth else None}


@dataclass(frozen=True)
class FrameDraft:
    """What is known of one image before the questions are chosen.

    Attributes:
        image: file name.
        camera: calibration and depth scale.
        rle: COCO RLE by region id.
        candidates: questions to choose from.
    """

    image: str
    camera: CameraRecord
    rle: Mapping[int, Mapping[str, Any]]
    candidates: tuple[Candidate, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "image": self.image,
            "camera": self.camera.to_json(),
            "rle": {str(id): dict(rle) for id, rle in self.rle.items()},
            "candidates": [item.to_json() for item in self.candidates],
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> FrameDraft:
        """Read what `to_json` made."""
        return cls(
            entry["image"],
            CameraRecord.from_json(entry["camera"]),
            {int(id): rle for id, rle in entry["rle"].items()},
            tuple(Candidate.from_json(item) for item in entry["candidates"]),
        )


def simulate_scene(
    settings: SimulationSettings, index: int, folder: SplitFolder, draft_path: Path
) -> None:
    """Make one scene and write it: its images, then the drafts of its questions.

    The drafts are written last, and as a whole: where they are, the scene is complete.

    Args:
        settings: of the data set.
        index: of the scene.
        folder: of the split, where images are written.
        draft_path: file for the drafts.
    """
    drafts = []
    for view, (seen, true_depth) in enumerate(render_scene(settings, index)):
        draft = draft_frame(settings, index, view, seen, true_depth)
        if draft.candidates:
            color, depth = encode_frame(seen)
            write_file(folder.image_path(draft.image), color)
            write_file(folder.depth_path(draft.image), depth)
            drafts.append(draft)
    write_drafts(draft_path, drafts)


def render_scene(
    settings: SimulationSettings, index: int
) -> Iterator[tuple[SimulatedFrame, NDArray[np.float32]]]:
    """The views of one scene, disturbed as the randomization wants it, and their true depth."""
    varied = settings.randomization
    rng = np.random.default_rng([settings.seed, _SCENE_STREAM, index])
    scene = build_scene(int(rng.integers(2**31)), varied.warehouse)
    intrinsics = varied.camera.draw(rng)
    with WarehouseRenderer(scene, intrinsics, varied.rendering) as renderer:
        for pose in scene.camera_poses(settings.views):
            seen = renderer.render(pose)
            true_depth = seen.frame.depth
            noise = varied.draw_noise(rng)
            if noise is not None:
                seen = SimulatedFrame(apply_sensor_noise(seen.frame, noise, rng), seen.truth)
            yield seen, true_depth


def draft_frame(
    settings: SimulationSettings,
    index: int,
    view: int,
    seen: SimulatedFrame,
    true_depth: NDArray[np.float32],
) -> FrameDraft:
    """Candidates for one image, and the masks that they need.

    Args:
        settings: of the data set.
        index: of the scene.
        view: number of the image in the scene.
        seen: the rendered frame with its truth.
        true_depth: float32 (H, W), meters, without noise.

    Raises:
        SpatialError: BAD_INPUT when a question in the hall's own words is read as another one.
    """
    rng = np.random.default_rng([settings.seed, _FRAME_STREAM, index, view])
    regions = seen.frame.regions
    scene = TrueScene(seen.truth, regions, seen.frame.intrinsics, true_depth)
    make = _of_warehouse if settings.mixture is None else _of_mixture
    try:
        candidates = make(settings, scene, rng)
    except MisreadError as error:
        raise bad_input(f"a question cannot be asked in the words of this hall: {error}") from error
    return FrameDraft(
        f"{index:06}_{view:02}.png",
        CameraRecord(seen.frame.intrinsics, DEPTH_SCALE),
        encode_masks(regions, {id for item in candidates for id in item.region_ids}),
        candidates,
    )


def _of_warehouse(
    settings: SimulationSettings, scene: TrueScene, rng: np.random.Generator
) -> tuple[Candidate, ...]:
    words = settings.randomization.words
    generated = generate_questions(
        scene, rng, settings.randomization.margins,
        per_form=1 + CANDIDATES_PER_QUESTION * settings.questions // len(WAREHOUSE_FORMS),
        wordings=words.wordings,
    )  # fmt: skip
    return tuple(
        Candidate.of(words.reworded(item, scene.regions), truth=truth_of(item, scene))
        for item in generated
    )


def _of_mixture(
    settings: SimulationSettings, scene: TrueScene, rng: np.random.Generator
) -> tuple[Candidate, ...]:
    """As many as are wanted, each once: proportions come from the draw, not from a later choice."""
    assert settings.mixture is not None
    words = settings.randomization.words
    drawn = generate_mixture(
        scene, rng, settings.mixture, settings.questions, settings.randomization.margins,
        wordings=words.wordings,
    )  # fmt: skip
    once = {(item.text, item.region_ids): (task, item) for task, item in drawn}
    return tuple(
        Candidate.of(
            words.reworded(item, scene.regions),
            task,
            words.renamed(steps_of(item, scene)),
            truth_of(item, scene),
        )
        for task, item in once.values()
    )


def encode_frame(seen: SimulatedFrame) -> tuple[bytes, bytes]:
    """Color and depth as PNG files."""
    depth = depth_to_units(seen.frame.depth, DEPTH_SCALE)
    return encode_image(seen.frame.rgb, ".png"), encode_image(depth, ".png")


def write_drafts(path: Path, drafts: list[FrameDraft]) -> None:
    """Write what is known of the frames of one scene, as a whole or not at all."""
    write_file(path, json.dumps([draft.to_json() for draft in drafts]).encode())
