"""What metric geometry says to each kind of question, before it is written down as an answer.

Distances follow the warehouse data set: between 3-D centres, and 0 for an object that stands in the
zone it is related to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import erf, hypot, sqrt

import numpy as np

from smolrgpt_core.answer import DISTANCE_TOLERANCE, Side
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.question import Category, Choice, Criterion, Load, SpatialQuestion
from smolrgpt_core.regions import Region, names_of

MASK_EDGE_STD_PX = 2.0
"""Standard deviation of the column of a mask's centre, for the confidence of left and right."""


@dataclass(frozen=True)
class RefusalMargins:
    """What is too close to call.

    Attributes:
        column_gap_px: mask centres closer than this are neither left nor right of each other.
        distance_gap_m: candidates whose distances differ by less cannot be ranked.
        edge_distance_m: a footprint whose middle is closer than this to the edge of a zone is
            neither inside nor outside.

    Raises:
        ValueError: for a negative margin, naming the field.
    """

    column_gap_px: float = 1.0
    distance_gap_m: float = 0.005
    edge_distance_m: float = 0.005

    def __post_init__(self) -> None:
        for name in ("column_gap_px", "distance_gap_m", "edge_distance_m"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True)
class Finding:
    """An answer as values.

    Attributes:
        confidence: probability that it is right if errors of position were normal with the
            standard deviations that the fits report.
        value: metres or number of objects.
        region_id: the choice.
        counted_ids: the regions that were counted.
        side: of the target.
    """

    confidence: float
    value: float | None = None
    region_id: int | None = None
    counted_ids: tuple[int, ...] = ()
    side: Side = Side.NONE


class Finder:
    """Answers one question about one frame.

    Args:
        geometry: of the frame.
        question: what is asked.
        margins: what is too close to call.
    """

    def __init__(
        self, geometry: FrameGeometry, question: SpatialQuestion, margins: RefusalMargins
    ) -> None:
        self._geometry = geometry
        self._regions = geometry.frame.regions
        self._question = question
        self._margins = margins

    def find(self) -> Finding:
        """The answer.

        Raises:
            SpatialError: UNKNOWN_REGION, NO_VALID_DEPTH, CANNOT_TELL or BAD_QUESTION.
        """
        if not self._question.has_roles:
            raise SpatialError(
                Status.BAD_QUESTION,
                "geometry needs to know which region is asked about, which these words do not say; "
                'ask in words such as "How far is pallet 10 from buffer 1?"',
            )
        find: dict[Category, Callable[[], Finding]] = {
            Category.DISTANCE: self._distance,
            Category.COUNT: self._count,
            Category.LEFT_RIGHT: self._left_right,
            Category.MCQ: self._choose,
        }
        return find[self._question.category]()

    def _distance(self) -> Finding:
        target, anchor = self._one_target(), self._one_anchor()
        metres, std = self._metres(target, anchor)
        if metres == 0 and anchor is not None:  # only what stands in a zone is 0 m away from it
            return Finding(self._side_of_edge_probability(*self._zone_last(target, anchor)), 0.0)
        return Finding(_within(DISTANCE_TOLERANCE * metres, std), metres)

    def _count(self) -> Finding:
        question = self._question
        targets = self._with_load(question.target_ids, question.target_load)
        anchor = self._one_anchor()
        if anchor is None:
            return Finding(1.0, float(len(targets)), counted_ids=tuple(targets))
        counted = [id for id in targets if self._inside(id, anchor) is not question.negated]
        sure = np.prod([self._side_of_edge_probability(id, anchor) for id in targets])
        return Finding(float(sure), float(len(counted)), counted_ids=tuple(counted))

    def _left_right(self) -> Finding:
        target, anchor = self._one_target(), self._one_anchor()
        column = mask_column(self._regions[target])
        middle = self._geometry.frame.intrinsics.cx
        gap = column - (middle if anchor is None else mask_column(self._regions[anchor]))
        if abs(gap) < self._margins.column_gap_px:
            other = "the image centre" if anchor is None else self._regions[anchor].name
            raise _cannot_tell(
                f"{self._regions[target].name} and {other} are {abs(gap):.1f} pixels apart in the "
                f"image, less than {self._margins.column_gap_px:g}: neither left nor right"
            )
        side = Side.LEFT if gap < 0 else Side.RIGHT
        return Finding(_beyond(abs(gap), MASK_EDGE_STD_PX), side=side)

    def _choose(self) -> Finding:
        question = self._question
        targets = self._with_load(question.target_ids, question.target_load)
        if question.criterion is None or not targets:
            raise SpatialError(
                Status.BAD_QUESTION,
                "a choice needs candidates and a criterion, such as nearest or leftmost",
            )
        anchor = self._one_anchor()
        if question.criterion in (Criterion.INSIDE, Criterion.CONTAINING):
            return self._choose_by_place(targets, anchor, question.criterion)
        if question.negated:
            raise SpatialError(
                Status.BAD_QUESTION,
                f"a choice of what is not {question.criterion.value} has no single answer; ask "
                "for what is, or for what is not in a buffer",
            )
        return self._pick(targets, question.criterion, question.rank, anchor)

    def _choose_by_place(
        self, targets: Sequence[int], anchor: int | None, criterion: Criterion
    ) -> Finding:
        """The target that is (not) in the anchor, or that (does not) contain it.

        Of several, the one that is farthest from being the other way round.
        """
        if anchor is None:
            raise SpatialError(
                Status.BAD_QUESTION, f"a choice of what is {criterion.value} needs a buffer"
            )
        pairs = [(id, anchor) if criterion is Criterion.INSIDE else (anchor, id) for id in targets]
        sign = -1.0 if self._question.negated else 1.0
        depths = [sign * self._geometry.depth_inside(*pair) for pair in pairs]
        best = int(np.argmax(depths))
        if depths[best] < self._margins.edge_distance_m:
            state = "outside" if self._question.negated else "inside"
            raise _cannot_tell(
                f"none of the {len(targets)} candidates is {state}, as far as depth shows"
            )
        return Finding(self._side_of_edge_probability(*pairs[best]), region_id=targets[best])

    def _pick(
        self, targets: Sequence[int], criterion: Criterion, rank: int, anchor: int | None
    ) -> Finding:
        """The target with a rank by distance or by column."""
        if not 1 <= rank <= len(targets):
            raise SpatialError(
                Status.BAD_QUESTION,
                f"rank {rank} was asked for, but there are {len(targets)} candidates",
            )
        by_column = criterion in (Criterion.LEFTMOST, Criterion.RIGHTMOST)
        if by_column:
            values = [(mask_column(self._regions[id]), MASK_EDGE_STD_PX) for id in targets]
            needed, unit = self._margins.column_gap_px, "pixels"
        else:
            values = [self._metres(id, anchor) for id in targets]
            needed, unit = self._margins.distance_gap_m, "m"
        falling = criterion in (Criterion.FARTHEST, Criterion.RIGHTMOST)
        order = sorted(range(len(targets)), key=lambda i: values[i][0], reverse=falling)
        chosen = order[rank - 1]
        rivals = [order[i] for i in (rank - 2, rank) if 0 <= i < len(order)]
        sure = 1.0
        for rival in rivals:
            gap = abs(values[chosen][0] - values[rival][0])
            if gap < needed:
                raise _cannot_tell(
                    f"{self._regions[targets[chosen]].name} and "
                    f"{self._regions[targets[rival]].name} differ by {gap:.3g} {unit}, less than "
                    f"{needed:g}: too close to rank"
                )
            sure *= _beyond(gap, hypot(values[chosen][1], values[rival][1]))
        return Finding(sure, region_id=targets[chosen])

    def _metres(self, id: int, anchor: int | None) -> tuple[float, float]:
        """Distance to a region, or to the camera, and its standard deviation, metres."""
        located = self._geometry.locate(id)
        if anchor is None:
            return float(np.linalg.norm(located.centre)), located.std
        object_id, zone_id = self._zone_last(id, anchor)
        is_zone = self._geometry.is_zone
        if is_zone(zone_id) and not is_zone(object_id) and self._inside(object_id, zone_id):
            return 0.0, located.std
        return self._centre_distance(id, anchor)

    def _centre_distance(self, id: int, other: int) -> tuple[float, float]:
        first, second = self._geometry.locate(id), self._geometry.locate(other)
        metres = float(np.linalg.norm(first.centre - second.centre))
        return metres, hypot(first.std, second.std)

    def _zone_last(self, id: int, other: int) -> tuple[int, int]:
        return (other, id) if self._geometry.is_zone(id) else (id, other)

    def _inside(self, id: int, zone_id: int) -> bool:
        """Whether the middle of a region's footprint lies in a zone."""
        depth = self._geometry.depth_inside(id, zone_id)
        if abs(depth) < self._margins.edge_distance_m:
            raise _cannot_tell(
                f"the middle of {self._regions[id].name} is on the edge of "
                f"{self._regions[zone_id].name}, closer than {self._margins.edge_distance_m:g} m"
            )
        return depth > 0

    def _side_of_edge_probability(self, id: int, zone_id: int) -> float:
        depth = self._geometry.depth_inside(id, zone_id)
        stds = (self._geometry.locate(id).std, self._geometry.locate(zone_id).std)
        return _beyond(abs(depth), hypot(*stds))

    def _one_target(self) -> int:
        question = self._question
        ids = self._with_load(question.target_ids, question.target_load)
        return self._only(ids, question.target_choice, "the question is about")

    def _one_anchor(self) -> int | None:
        """The anchor, or None for the camera (or for all that is seen)."""
        question = self._question
        if not question.anchor_ids:
            return None
        ids = self._with_load(question.anchor_ids, question.anchor_load)
        return self._only(ids, question.anchor_choice, "the question relates to")

    def _only(self, ids: Sequence[int], choice: Choice | None, what: str) -> int:
        if choice is not None and ids:
            anchor = choice.anchor_ids[0] if choice.anchor_ids else None
            picked = self._pick(ids, choice.criterion, choice.rank, anchor).region_id
            ids = [id for id in ids if id == picked]
        if len(ids) != 1:
            names = names_of([self._regions[id] for id in ids]) or "no region"
            raise _cannot_tell(
                f"{what} one region, but as far as depth shows {names} fit the description"
            )
        return ids[0]

    def _with_load(self, ids: Sequence[int], load: Load) -> list[int]:
        if load is Load.ANY:
            return list(ids)
        return [id for id in ids if self._is_loaded(id) is (load is Load.LOADED)]

    def _is_loaded(self, id: int) -> bool:
        self._geometry.footprint(id)  # refuses where no floor tells what stands on what
        return self._geometry.locate(id).cargo is not None


def mask_column(region: Region) -> float:
    """Mean column of a mask in the image, pixels."""
    return region.box.x + float(np.nonzero(region.mask)[1].mean())


def _beyond(gap: float, std: float) -> float:
    """Probability that a normal error with this standard deviation does not close a gap."""
    return 0.5 * (1 + erf(gap / (std * sqrt(2)))) if std > 0 else 1.0


def _within(tolerance: float, std: float) -> float:
    """Probability that a normal error with this standard deviation stays within a tolerance."""
    return erf(tolerance / (std * sqrt(2))) if std > 0 else 1.0


def _cannot_tell(reason: str) -> SpatialError:
    return SpatialError(Status.CANNOT_TELL, reason)
