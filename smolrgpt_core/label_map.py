"""The label map: what the labels of a frame mean, in the words of the questions.

Every way in for regions (topics, recordings, region files) puts them through `LabelMap.apply`
once. A label that the questions know stays; one that clearly means a class gets its name
(`label_rules`); the user's own entries, such as "0:pallet", go first. What nobody can know stays
as it is, and `doubt_of_class` keeps a question about a class from an answer without the regions
that the frame only calls something else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from smolrgpt_core.instance_labels import BACKGROUND, InstanceLabels
from smolrgpt_core.label_rules import class_in, index_in, number_in, says_nothing, words_of
from smolrgpt_core.object_classes import is_known, known_class, label_words
from smolrgpt_core.regions import Region, RegionSet

_SHOWN = 10
"""Labels that a message names before it only counts them."""

_NO_LABEL = frozenset({"unlabelled", "unlabeled", "unknown", "none", "null", "nan", "undefined"})
"""Words of sources for "no label"."""


@dataclass(frozen=True)
class LabelMap:
    """Which class a label means.

    Attributes:
        entries: (label, class) of the user, both in lower case; the class "background" stands for
            what is no object.

    Raises:
        ValueError: when a class is no word, or a label has two.
    """

    entries: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for label, name in self.entries:
            if not (label and name and all(word.isalpha() for word in label_words(name))):
                raise _unreadable(f"{label}:{name}")
        twice = Counter(label for label, _ in set(self.entries)).most_common(1)
        if twice and twice[0][1] > 1:
            raise ValueError(f"a label map can give {twice[0][0]!r} one class only: {self.text}")

    @classmethod
    def parse(cls, text: str) -> LabelMap:
        """From "0:pallet,1:buffer"; empty for the built-in rules alone.

        Raises:
            ValueError: naming the entry that cannot be read.
        """
        entries = []
        for entry in filter(None, (part.strip() for part in text.split(","))):
            label, _, name = (part.strip().lower() for part in entry.rpartition(":"))
            entries.append((label, class_in(name) or name))
        return cls(tuple(entries))

    @property
    def text(self) -> str:
        """The form that `parse` reads."""
        return ",".join(f"{label}:{name}" for label, name in self.entries)

    @property
    def classes(self) -> frozenset[str]:
        """What the user calls a class, so that its absence is one."""
        return frozenset(name for _, name in self.entries) - {BACKGROUND}

    def class_of(self, label: str) -> str:
        """The label to use in place of this one: the same where it is known or unclear.

        Args:
            label: as its source wrote it.
        """
        own = self._own_class(label)
        if own:
            return own
        lowered = label.lower()
        if lowered in _NO_LABEL:
            return ""
        return class_in(label) or lowered

    def apply(self, regions: RegionSet) -> RegionSet:
        """The same regions with their classes for labels, without those of the background."""
        mapped = (self._mapped(region) for region in regions)
        kept = tuple(region for region in mapped if region.label != BACKGROUND)
        return RegionSet(regions.image_size, kept, self.classes)

    def _mapped(self, region: Region) -> Region:
        label = self.class_of(region.source_label)
        return region if label == region.label else replace(region, label=label)

    def _own_class(self, label: str) -> str:
        """By the user's entries: the label as it stands, its words, its index, its plain name."""
        if not self.entries:
            return ""
        keys = (label.lower(), " ".join(words_of(label)), index_in(label), class_in(label))
        return next((self._by_words[key] for key in keys if key and key in self._by_words), "")

    @cached_property
    def _by_words(self) -> Mapping[str, str]:
        words = {" ".join(words_of(label)): name for label, name in self.entries}
        return {**words, **dict(self.entries)}


@dataclass(frozen=True)
class RegionLabels:
    """How regions get their labels, whatever they come from.

    Attributes:
        by_number: labels of sources that only have numbers: ids of an instance image, class
            indices of a file. None: those that stand beside the file, else none.
        label_map: what labels mean.
    """

    by_number: InstanceLabels | None = None
    label_map: LabelMap = field(default_factory=LabelMap)


def label_changes(regions: RegionSet) -> dict[str, str]:
    """The labels of a frame that were mapped, as their source wrote them, and their classes."""
    return {
        region.source_label: region.label
        for region in regions
        if region.label != region.source_label.lower()
    }


def described_changes(changes: Mapping[str, str]) -> str:
    """Such as 'pallet_01, pallet_02 -> pallet; 0 -> buffer'; empty without any."""
    by_class: dict[str, list[str]] = {}
    for label, name in changes.items():
        by_class.setdefault(name, []).append(label)
    return "; ".join(
        f"{_listed(labels)} -> {name or 'no label'}" for name, labels in by_class.items()
    )


def unknown_labels(regions: RegionSet) -> list[str]:
    """Labels that are neither known classes nor declared by the label map, as they were written.

    Regions without label count as one, "".
    """
    return list(
        dict.fromkeys(
            region.source_label for region in regions if not _is_class(region.label, regions)
        )
    )


def doubt_of_class(class_labels: Collection[str], regions: RegionSet) -> str:
    """Why the regions of a class may not be all there are; empty where they are.

    Without any region of the class, every unknown label may be what its source calls that class.
    Beside some, another word ("crate") is another class, and a region without label is left
    aside by whoever labels the others; a number or "object_7" may be one more.

    Args:
        class_labels: labels of the frame that belong to the class that is asked about.
        regions: of the frame.

    Returns:
        What was found and how to map it, as a part of a sentence.
    """
    mine = [region for region in regions if region.label in class_labels]
    return _doubt(_silent_labels(mine, regions) if mine else unknown_labels(regions))


def doubt_of_load(regions: RegionSet) -> str:
    """Why a carrier without a known pallet on it may be loaded; else empty. As `doubt_of_class`."""
    cargo = [region for region in regions if known_class(region.label) == "pallet"]
    return _doubt(_silent_labels(cargo, regions))


def unlabelled_note(regions: RegionSet) -> str:
    """That a count leaves regions without label aside, beside others that have one; else empty."""
    count = sum(not region.label for region in regions)
    if count in (0, len(regions)):
        return ""
    return f"{count} of the {len(regions)} regions have no label and are not counted as any class"


def _silent_labels(mine: Sequence[Region], regions: RegionSet) -> list[str]:
    """Labels that say nothing, and may stand for one more of the same class."""
    # A map of some class indices leaves the others to other classes.
    are_indices = any(index_in(region.source_label) for region in mine)
    return [
        label
        for label in unknown_labels(regions)
        if label and says_nothing(label) and not (are_indices and index_in(label))
    ]


def _doubt(unknown: Sequence[str]) -> str:
    if not unknown:
        return ""
    named = [f'"{label}"' if label else "(no label)" for label in unknown]
    example = next((label for label in unknown if label and not set(label) & set(",:")), "0")
    return (
        f"labels of this frame that no class is known for: {_listed(named)}; if they belong to it, "
        f'say so with the label map (label_map, --label-map), such as "{example}:pallet", or that '
        f'they are something else, such as "{example}:box"'
    )


def namesake(regions: RegionSet, id: int) -> Region | None:
    """The region that "pallet 3" means by its name, where region 3 has another name; else None.

    A source that calls its objects pallet_01, pallet_02, ... may give them other ids.
    """
    region = regions[id]
    if number_in(region.source_label) in (None, id):
        return None
    of_class = (other for other in regions if known_class(other.label) == known_class(region.label))
    return next((other for other in of_class if number_in(other.source_label) == id), None)


def _is_class(label: str, regions: RegionSet) -> bool:
    return bool(label) and (is_known(label) or label in regions.declared_classes)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _unreadable(entry: str) -> ValueError:
    return ValueError(
        f'a label map must read like "0:pallet,1:buffer", a label and the name of its class, got '
        f"{entry!r}"
    )
