"""Which regions a reference means: named ones, those of a list, or all of its class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from smolrgpt_core.label_map import doubt_of_class, doubt_of_load
from smolrgpt_core.question.references import Pick, Reference
from smolrgpt_core.question.spatial_question import Choice, Load
from smolrgpt_core.question.tokens import bad_question, quote, quote_all
from smolrgpt_core.question.vocabulary import (
    MIDDLE_RANK,
    SIDE_CRITERIA,
    Kind,
    Superlative,
    concept_of,
)
from smolrgpt_core.regions import RegionSet, names_of


@dataclass(frozen=True)
class Group:
    """The regions behind a reference, and what narrows them down."""

    ids: tuple[int, ...]
    load: Load = Load.ANY
    choice: Choice | None = None


@dataclass
class Resolver:
    """Resolves the references of one question.

    Attributes:
        regions: of the frame.
        lists: references with ids that a noun without ids refers back to.
        expanded: the nouns that were taken to mean regions of the frame, with their ids.
    """

    regions: RegionSet
    lists: Sequence[Reference] = ()
    expanded: dict[Reference, tuple[int, ...]] = field(default_factory=dict)
    _used: set[Reference] = field(default_factory=set)
    _seen: set[Reference] = field(default_factory=set)

    def group(
        self,
        reference: Reference,
        excluded: tuple[int, ...] = (),
        may_be_empty: bool = False,
    ) -> Group:
        """All regions that are meant; a superlative is left to the caller.

        Args:
            reference: what is meant.
            excluded: regions with another role, which a noun does not mean.
            may_be_empty: no region at all is an answer, too: there are 0 pallets.

        Raises:
            SpatialError: BAD_QUESTION when there is none, or not the number that is written.
        """
        ids = self._ids(reference, excluded)
        is_class = reference in self.expanded and reference.concept
        doubt = doubt_of_class(reference.labels, self.regions) if is_class else ""
        if not ids and (doubt or not may_be_empty):
            known = names_of(self.regions.regions) or "none"
            raise bad_question(
                f"there is no {'other ' if excluded else ''}{reference.concept or 'region'} for "
                f"{quote(reference.text)} in this frame; its regions are: {known}"
                + (f"; {doubt}" if doubt else "")
            )
        if doubt:
            raise bad_question(
                f"{quote(reference.text)} may be more than {self._names(ids)}: there are {doubt}"
            )
        if reference.load is not Load.ANY and (doubt := doubt_of_load(self.regions)):
            raise bad_question(
                f"whether {quote(reference.text)} is loaded cannot be known: there are {doubt}"
            )
        if reference.cardinal is not None and reference.cardinal != len(ids):
            raise bad_question(
                f"{quote(reference.text)} should be {reference.cardinal}, but there are "
                f"{len(ids)}: {self._names(ids)}"
            )
        if reference.cardinal not in (None, 1) and reference.pick:
            raise bad_question(f"a superlative of {reference.cardinal} {quote(reference.text)}; "
                               "ask for one at a time")  # fmt: skip
        return Group(ids, reference.load)

    def one(self, reference: Reference, other: tuple[int, ...] = ()) -> Group:
        """One region, or several of which the load or a superlative leaves one.

        Args:
            reference: what is meant.
            other: the other object of the question, which "the nearest pallet" is nearest to.

        Raises:
            SpatialError: BAD_QUESTION when it is not clear which one is meant.
        """
        group = self.group(reference, excluded=other)
        if reference.pick is not None:
            group = replace(group, choice=self._choice(reference.pick, group.ids, other))
        if len(group.ids) > 1 and group.choice is None and group.load is Load.ANY:
            raise bad_question(
                f"{quote(reference.text)} can be any of {self._names(group.ids)}; name one"
            )
        return group

    def two(self, first: Reference, second: Reference) -> tuple[Group, Group]:
        """Two different objects, each as in `one`."""
        if first.pick is None:
            target = self.one(first, second.ids)
            return target, self.one(second, target.ids)
        anchor = self.one(second)
        return self.one(first, anchor.ids), anchor

    def pair(self, reference: Reference) -> tuple[Group, Group] | None:
        """Both objects, if one reference means exactly two; else None."""
        plural = reference.plural or len(reference.ids) > 1
        if not plural or reference.pick or reference.load is not Load.ANY:
            return None
        ids = self.group(reference).ids
        if len(ids) != 2:
            raise bad_question(
                f"a distance needs two objects, {quote(reference.text)} are {self._names(ids)}"
            )
        first, second = sorted(ids, key=self._is_buffer)
        return Group((first,)), Group((second,))

    def union(self, references: Sequence[Reference]) -> Group:
        """The regions of several references that were named one by one."""
        groups = [self.group(reference) for reference in references]
        ids = tuple(id for group in groups for id in group.ids)
        _refuse_repeated(ids)
        if any(group.load is not groups[0].load for group in groups):
            words = quote_all(reference.text for reference in references)
            raise bad_question(f'"empty" or "loaded" must hold for all of {words}, or for none')
        return replace(groups[0], ids=ids)

    def rank(self, superlative: Superlative, size: int) -> int:
        """The rank among `size` regions.

        Raises:
            SpatialError: BAD_QUESTION when there are too few, or no middle.
        """
        if superlative.of_two and size != 2:
            raise bad_question(f"a comparative chooses between two regions, there are {size}")
        if superlative.rank == MIDDLE_RANK:
            if size % 2 == 0:
                raise bad_question(f"{size} regions have none in the middle")
            return (size + 1) // 2
        if not 1 <= superlative.rank <= size:
            raise bad_question(f"the question asks for number {superlative.rank} of {size} regions")
        return superlative.rank

    def refuse_unused_lists(self, implicit_camera: bool) -> None:
        """Refuse a list that nothing refers to, unless it can be there to distract.

        Args:
            implicit_camera: something is measured from the camera though it is not named; then
                the list may have been meant to measure from.
        """
        for reference in self._seen | set(self.lists):
            distracts = reference.relation is Kind.GIVEN and not implicit_camera
            if reference not in self._used and not distracts:
                raise bad_question(f"what about {quote(reference.text)}? Nothing refers to it")

    def _ids(self, reference: Reference, excluded: tuple[int, ...]) -> tuple[int, ...]:
        self._seen.update(self.lists)
        if reference.ids:
            self._used.add(reference)
            _refuse_repeated(reference.ids)
            return reference.ids
        lists = [item for item in self.lists if reference.agrees_with(item)]
        lists = [item for item in lists if item.concept == reference.concept] or lists
        listed = dict.fromkeys(
            id for item in lists for id in item.ids if self._fits(reference, id, excluded)
        )
        if not listed:
            return self._all_of(reference, excluded)
        self._used.update(lists)
        return tuple(listed)

    def _fits(self, reference: Reference, id: int, excluded: tuple[int, ...]) -> bool:
        """Whether a listed region can be meant by a noun; one without label fits any noun."""
        label = self.regions[id].label
        return id not in excluded and (not label or label in reference.labels)

    def _all_of(self, reference: Reference, excluded: tuple[int, ...]) -> tuple[int, ...]:
        """Every region of the frame that the noun can mean."""
        places = {self.regions[id].label for id in excluded} if not reference.concept else set()
        ids = tuple(
            region.id
            for region in self.regions
            if region.label in reference.labels
            and region.label not in places
            and region.id not in excluded
        )
        self.expanded[reference] = ids
        return ids

    def _choice(self, pick: Pick, ids: tuple[int, ...], other: tuple[int, ...]) -> Choice | None:
        superlative = pick.superlative
        if superlative.criterion is None:
            raise bad_question('the second, third, ... in what order? Say "from the left"')
        rank = self.rank(superlative, len(ids))
        if len(ids) == 1:
            return None
        if superlative.criterion in SIDE_CRITERIA.values():
            return Choice(superlative.criterion, rank)
        return Choice(superlative.criterion, rank, self._measured_from(pick, other))

    def _measured_from(self, pick: Pick, other: tuple[int, ...]) -> tuple[int, ...]:
        """What "nearest" is measured from: what is named, else the other object, else camera."""
        if pick.anchor is None:
            anchors = other
        elif pick.anchor.is_camera:
            return ()
        else:
            anchors = self.one(pick.anchor).ids
        if len(anchors) > 1:
            raise bad_question(
                f"a superlative is measured from one region, not from {self._names(anchors)}"
            )
        return anchors

    def _is_buffer(self, id: int) -> bool:
        return concept_of(self.regions[id].label) == "buffer"

    def _names(self, ids: Sequence[int]) -> str:
        return names_of([self.regions[id] for id in ids])


def _refuse_repeated(ids: Sequence[int]) -> None:
    id, count = Counter(ids).most_common(1)[0] if ids else (0, 0)
    if count > 1:
        raise bad_question(f"region {id} is named twice; name each region once")
