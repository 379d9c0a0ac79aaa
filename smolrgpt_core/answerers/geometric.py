"""Answers from metric depth and masks alone, without learning.

Objects are fitted with boxes on the floor, so a distance is one between centers of objects and not
of the surfaces that the camera happens to see. Left and right need no depth. What depth does not
decide is refused with the reason; docs/accuracy.md shows how often the rest is correct.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answer.from_finding import alternatives_note, answer_of, why_uncertain
from smolrgpt_core.answerers.base import UncertainAnswerError, answer_or_error, each_deadline
from smolrgpt_core.answerers.geometry_cache import (
    GeometryCache,
    odd_height_note,
    region_notes,
    region_places,
)
from smolrgpt_core.errors import SpatialError, bad_question
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FROM_BOX, FrameGeometry
from smolrgpt_core.geometry.input_doubts import stretch_note
from smolrgpt_core.label_map import similar_labels_note, synonyms_note, unlabeled_note
from smolrgpt_core.language import SpatialQuestion
from smolrgpt_core.language.interpreter import Finding, evaluate
from smolrgpt_core.language.marks import marks_of
from smolrgpt_core.language.operators.questions import DepthAt
from smolrgpt_core.region_doubts import doubled_note, lost_note, low_score_note
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.spatial_scene import cannot_tell

CERTAINTY = 0.8
"""An answer that fewer of the disturbed copies of the scene agree on is a tie."""

BOXED = 0.9
"""Confidence at most where boxes stand in for masks: in simulation 87 to 91 % of the distances are
right then (docs/accuracy.md), and the errors are no matter of standard deviations: the box holds
something else."""

MOST_COLOR_NOTES = 4
"""So many regions at most are listed with the reason why their colors are unsure."""

CONTRADICTED = 0.97
"""An answer about unclear colors that more of the copies agree on contradicts any other one: asked
whether an orange truck is green, a model that never saw such a question says yes."""

DOUBTED = 0.45
"""Confidence of a measured answer at most, where the inputs of the frame are doubted, and standard
deviations do not bound the error."""


class GeometricAnswerer:
    """Implements `Answerer` with geometry.

    The confidence of an answer is the fraction of disturbed copies of the scene that have the same
    answer, positions and sizes drawn with the standard deviations that the fits report. What they
    disagree about is in the message.

    Args:
        cache: geometry of frames, which determines how they are measured, and may be shared with
            another answerer; None: its own.
        certainty: fraction of the disturbed copies of the scene that must have the same answer;
            below it, the answer is CANNOT_TELL. Quantities are answered with their confidence
            instead.

    Raises:
        ValueError: the certainty is not 0 to 1.
    """

    def __init__(self, cache: GeometryCache | None = None, certainty: float = CERTAINTY) -> None:
        if not 0 <= certainty <= 1:
            raise ValueError(f"certainty must be 0 to 1, got {certainty}")
        self._cache = cache or GeometryCache()
        self._certainty = certainty

    @property
    def free_text(self) -> bool:
        """Never: geometry answers programs."""
        return False

    def prepare(self, frame: RGBDFrame) -> None:
        """Find the floor, on which all positions depend, and check for doubtful inputs."""
        self._cache.get(frame).prepare()

    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        """Answer one question.

        Raises:
            SpatialError: UNKNOWN_REGION, NO_VALID_DEPTH, CANNOT_TELL or BAD_QUESTION.
            UncertainAnswerError: a tie.
        """
        if question.program is None:
            raise bad_question(
                "geometry cannot tell from this wording which region is meant; rephrase the "
                'question, such as "How far is pallet 10 from buffer 1?"',
            )
        measured = self._cache.measured(frame)
        with measured.lock:
            measured.copies.begin_question()
            measured.geometry.expect(question.region_ids)
            finding = evaluate(question.program, measured.copies)
            shown = _shown_ids(finding)
            colors = self._color_notes(measured.copies, shown)
            is_mixed = measured.copies.has_mixed_colors(self._certainty)
            is_unclear = self._has_open_colors(measured.copies, finding)
            marks = marks_of(finding, measured.copies, question.unit)
            point = _point_at_pixel(finding, measured.copies)
            used = [id for id in shown if measured.copies.is_needed(id)]
            is_measured = bool(used) or measured.copies.pixel_is_needed
        answer = answer_of(finding, question, frame.regions)
        if point is not None:
            answer = replace(answer, vector=point)
        centers, valid_depth = region_places(measured.geometry, answer.region_ids)
        placed = replace(answer, centers=centers, valid_depth=valid_depth, marks=marks)
        uncertain = why_uncertain(finding, frame.regions, self._certainty)
        other = "" if uncertain else alternatives_note(finding, question.unit, frame.regions)
        notes, doubts = [other, *colors], [frame.regions.doubt]
        if answer.unit == "objects":
            notes += _count_notes(finding, measured.geometry)
            doubts.append(doubled_note(finding.counted, frame.regions))
        noted = replace(placed, message=_joined(notes), unclear_colors=is_unclear)
        answer = _with_notes(noted, measured.geometry, used, is_measured, _joined(doubts))
        if uncertain and is_mixed:
            raise cannot_tell(_joined((uncertain, *colors)))
        if uncertain:
            raise UncertainAnswerError(_joined((uncertain, *colors)), answer)
        return answer

    def _color_notes(self, copies: SceneCopies, shown: Sequence[int]) -> list[str]:
        return copies.color_notes(self._certainty, shown)[:MOST_COLOR_NOTES]

    def _has_open_colors(self, copies: SceneCopies, finding: Finding) -> bool:
        """Whether a model may know better: it learned colors of things that have one."""
        is_unclear = copies.has_unclear_colors(self._certainty)
        is_possible = finding.confidence < CONTRADICTED
        return is_unclear and is_possible and not copies.has_mixed_colors(self._certainty)

    def answer_batch(
        self,
        frame: RGBDFrame,
        questions: Sequence[SpatialQuestion],
        deadlines: Sequence[float] | None = None,
    ) -> list[SpatialAnswer | SpatialError]:
        """As `Answerer.answer_batch`: one by one, with measurements shared between them.

        A measurement that has begun is finished.
        """
        return [
            answer_or_error(self, frame, question, deadline)
            for question, deadline in zip(
                questions, each_deadline(questions, deadlines), strict=True
            )
        ]


def _shown_ids(finding: Finding) -> tuple[int, ...]:
    """The regions that an answer is about, and those that it counts."""
    return (*finding.ids, *finding.counted)


def _point_at_pixel(finding: Finding, copies: SceneCopies) -> NDArray[np.float64] | None:
    """(3,) what the pixel shows whose depth was asked for, meters, optical frame."""
    if finding.program.operator is not DepthAt:
        return None
    (pixel,) = finding.program.arguments
    return copies.scene.point_at(*pixel)


def _joined(notes: Iterable[str]) -> str:
    return "; ".join(note for note in notes if note)


def _count_notes(finding: Finding, geometry: FrameGeometry) -> tuple[str, ...]:
    """What is to be known of the regions of the frame where some were counted."""
    regions = geometry.frame.regions
    return (
        low_score_note(finding.counted, regions),
        lost_note(regions),
        unlabeled_note(regions),
        synonyms_note(finding.counted, regions),
        similar_labels_note(finding.counted, regions),
        # An answer has the places of what it counts, so they are measured already.
        odd_height_note(geometry, finding.counted),
    )


def _with_notes(
    answer: SpatialAnswer,
    geometry: FrameGeometry,
    used: Sequence[int],
    is_measured: bool,
    region_doubts: str,
) -> SpatialAnswer:
    """An answer with what was assumed of the regions it rests on, and what is doubtful.

    Args:
        answer: with further remarks only.
        geometry: of the frame.
        used: ids of the regions whose measurement it rests on.
        is_measured: whether it rests on any measurement.
        region_doubts: why regions may be missing, out of place or counted twice; empty if nothing
            says so.
    """
    assumed = region_notes(geometry, used)
    calibration = (stretch_note(geometry.frame.intrinsics), geometry.frame.calibration_note)
    doubts = (*geometry.doubts, *calibration) if is_measured else ()
    limit = min(BOXED, answer.confidence_limit) if FROM_BOX in assumed else answer.confidence_limit
    is_doubted = bool(region_doubts) or (is_measured and geometry.is_distrusted)
    limit = min(limit, DOUBTED) if is_doubted else limit
    message = _joined((answer.message, assumed, region_doubts, *doubts))
    confidence = min(answer.confidence, limit)
    return replace(answer, message=message, confidence=confidence, confidence_limit=limit)
