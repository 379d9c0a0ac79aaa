"""One image: from its file to the files and records of the data set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from smolrgpt_core.annotation.filters import NO_QUESTION, SkippedError
from smolrgpt_core.annotation.frames import FrameReader, load_models
from smolrgpt_core.annotation.objects import KnownObject, know
from smolrgpt_core.annotation.questions import AnnotatedQuestion, refer
from smolrgpt_core.annotation.references import KINDS, Reference, spatial_references
from smolrgpt_core.annotation.scene import AskedScene, measured_geometry
from smolrgpt_core.annotation.settings import AnnotationSettings
from smolrgpt_core.data.records import encode_masks
from smolrgpt_core.data.warehouse_format import CameraRecord
from smolrgpt_core.depth import depth_to_units
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import encode_image, read_bytes
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language.conventions import WAREHOUSE
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.operators import attributes
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.measured_scene import MeasuredScene
from smolrgpt_core.synthesis import MIXTURES, QuestionWithTruth, RegionStyle, generate_mixture
from smolrgpt_core.synthesis.reasoning import steps_of
from smolrgpt_core.synthesis.view import NO_ANSWER, MarginView

DEPTH_SCALE = 0.001
"""Meters per unit of the depth images that are written."""

References = Mapping[int, list[Reference]]


@dataclass(frozen=True)
class AnnotatedImage:
    """The output for one image.

    Attributes:
        image: file name.
        part: JSON of the data set's entry; of an image that is skipped, why.
        color: content of the color image; empty where it is skipped.
        depth: content of the depth image.
    """

    image: str
    part: bytes
    color: bytes = b""
    depth: bytes = b""


@dataclass(frozen=True, eq=False)
class KnownFrame:
    """A frame with all facts about it.

    Attributes:
        frame: the original one.
        scene: the one that questions are about.
        objects: by region id.
        references: by region id, simplest first.
        questions: made about it.
        misread: texts that were discarded because they are parsed differently than intended.
        unsure: questions that were discarded because the measured answer is too uncertain.
        floor_is_seen: whether heights above the floor are known.
    """

    frame: RGBDFrame
    scene: MeasuredScene
    objects: Mapping[int, KnownObject]
    references: References = field(default_factory=dict)
    questions: list[AnnotatedQuestion] = field(default_factory=list)
    misread: int = 0
    unsure: int = 0
    floor_is_seen: bool = True

    def facts(self, image: str, ids: list[str]) -> dict[str, Any]:
        """One line of `facts.jsonl`: plain values, meters; `ids` are those of the records."""
        axes = self.scene.axes
        return {
            "image": image,
            "camera_height": round(self.scene.camera_height, 4),
            "floor_is_seen": self.floor_is_seen,
            "axes": [[round(float(number), 6) for number in row] for row in axes],
            "objects": [
                item.to_json() | {"references": [r.to_json() for r in self.references.get(id, ())]}
                for id, item in self.objects.items()
            ],
            "questions": {id: item.to_json() for id, item in zip(ids, self.questions, strict=True)},
        }


class Annotator:
    """Annotates images, one after another.

    Args:
        settings: what to make.

    Raises:
        OSError, ImportError: as `load_models`.
        SpatialError: as `load_models`, or BAD_INPUT when the file of calibrations cannot be used.
    """

    def __init__(self, settings: AnnotationSettings) -> None:
        models = load_models(settings.sources)
        self._settings = settings
        self._reader = FrameReader(settings.sources, settings.photographs, models)
        self._writer = None
        if models.words and models.detector and models.box_segmenter:
            # The drawing of boxes comes with the models that need it, and with torch.
            from smolrgpt_core.annotation.captions import ReferenceWriter

            self._writer = ReferenceWriter(models.words, models.detector, models.box_segmenter)

    def annotate(self, image: Path) -> AnnotatedImage:
        """The files and records of an image."""
        try:
            known = self.know(image)
        except SkippedError as error:
            why = {"image": image.name, "reason": error.reason, "detail": error.detail}
            return AnnotatedImage(image.name, _encoded(why))
        frame = known.frame
        regions = frame.regions
        rle = encode_masks(regions, {id for item in known.questions for id in item.region_ids})
        ids = [f"{image.stem}_{number:02}" for number in range(len(known.questions))]
        records = [
            item.record(id, image.name, rle).to_json()
            for id, item in zip(ids, known.questions, strict=True)
        ]
        part: dict[str, Any] = {
            "image": image.name,
            "camera": CameraRecord(frame.intrinsics, DEPTH_SCALE).to_json(),
            "records": records,
            "facts": known.facts(image.name, ids),
            "misread": known.misread,
            "unsure": known.unsure,
        }
        depth = encode_image(depth_to_units(frame.depth, DEPTH_SCALE), ".png")
        return AnnotatedImage(image.name, _encoded(part), read_bytes(image), depth)

    def know(self, image: Path) -> KnownFrame:
        """Collect all facts about an image.

        Raises:
            SkippedError: the image is skipped, with the reason.
        """
        frame = self._reader.read(image)
        geometry, floor_is_guessed = measured_geometry(frame)
        objects = know(frame, MeasuredScene(geometry), self._settings.objects)
        skipped = {id: item.skipped for id, item in objects.items()}
        scene = AskedScene(geometry, skipped)
        rng = np.random.default_rng([self._settings.seed, crc32(image.name.encode())])
        references = self._references(frame, scene, skipped, rng)
        known = KnownFrame(frame, scene, objects, references, floor_is_seen=not floor_is_guessed)
        known = self._ask(known, rng)
        if not known.questions:
            raise SkippedError(NO_QUESTION, f"about {len(objects)} regions")
        return known

    def _references(
        self,
        frame: RGBDFrame,
        scene: AskedScene,
        skipped: Mapping[int, str],
        rng: np.random.Generator,
    ) -> References:
        """Simplest first."""
        conventions = (WAREHOUSE, MIXTURES[self._settings.mixture].conventions)
        view = MarginView(scene, self._settings.margins, rng)
        found = spatial_references(view, conventions)
        for region in frame.regions if self._writer else ():
            if not skipped.get(region.id):
                assert self._writer is not None
                written = self._writer.reference(frame.rgb, frame.regions, region.id)
                if written:
                    found.setdefault(region.id, []).append(written)
        return {
            id: sorted(items, key=lambda item: KINDS.index(item.kind))
            for id, items in found.items()
        }

    def _ask(self, known: KnownFrame, rng: np.random.Generator) -> KnownFrame:
        settings = self._settings
        misread: list[str] = []
        made = generate_mixture(
            known.scene, rng, settings.mixture, settings.questions, settings.margins,
            RegionStyle.MASK, misread=misread.append,
        )  # fmt: skip
        regions = known.frame.regions
        plain = [
            AnnotatedQuestion.of(family, item, _steps(item, known))
            for family, item in _different(made)
        ]
        unread = [item.text for item in plain if not item.is_answer_read]
        plain = [item for item in plain if item.text not in unread]
        copies = SceneCopies(known.scene)
        sure = [item for item in plain if _confidence(item, copies) >= settings.min_confidence]
        unsure, plain = len(plain) - len(sure), sure
        if not known.floor_is_seen:
            plain = [item for item in plain if not _is_of_heights(item)]
        simplest = {id: items[0] for id, items in known.references.items()}
        questions = refer(
            plain,
            simplest,
            settings.reference_fraction,
            regions,
            MIXTURES[settings.mixture].conventions,
            rng,
            for_scores=settings.split != "train",
        )
        return replace(
            known, questions=questions, misread=len(misread) + len(unread), unsure=unsure
        )


def _different(made: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Without what is asked twice in the same words."""
    return list({(item.text, item.region_ids): (family, item) for family, item in made}.values())


def _confidence(question: AnnotatedQuestion, copies: SceneCopies) -> float:
    """How sure a measured answer is; 0 where there is none.

    Margins keep an answer from turning into another one; a small distance is then still known
    worse than by the tolerance of its score.
    """
    try:
        return evaluate(question.made.program, copies).confidence
    except SpatialError as error:
        if error.status not in NO_ANSWER:
            raise
        return 0.0


def _steps(item: QuestionWithTruth, known: KnownFrame) -> str:
    """The answer step by step; "" where a step would say what is not known of a region."""
    places = [known.scene.place(id) for id in item.region_ids]
    if not known.floor_is_seen or any(placed.unsized for placed in places):
        return ""
    return steps_of(item, known.scene)


def _is_of_heights(question: AnnotatedQuestion) -> bool:
    """Whether a question is about heights above the floor."""
    return any(part.operator is attributes.Top for part in question.made.program.walk())


def _encoded(part: dict[str, Any]) -> bytes:
    return json.dumps(part).encode()
