"""The label map: maps the labels of a frame to the classes that questions know.

Every source of regions (topics, recordings, region files) passes them through `LabelMap.apply`
once. A label that the questions know is unchanged; one that clearly means a class gets the name of
the class (`label_rules`); the user's own entries, such as "0:pallet", take precedence. Other labels
are unchanged, and `doubt_of_class` prevents answers about a class that would miss regions which the
frame merely labels differently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from smolrgpt_core.instance_labels import BACKGROUND, InstanceLabels
from smolrgpt_core.label_rules import (
    class_in,
    index_in,
    names_no_class,
    number_in,
    sounds_like,
    words_of,
)
from smolrgpt_core.object_classes import LABEL_SYNONYMS, is_known, known_class, label_words
from smolrgpt_core.regions import Region, RegionSet

_SHOWN = 10
"""Labels that a message names; the others are only counted."""

_NO_LABEL = frozenset({"unlabelled", "unlabeled", "unknown", "none", "null", "nan", "undefined"})
"""Labels that mean "no label"."""


@dataclass(frozen=True)
class LabelMap:
    """Maps labels to classes.

    Attributes:
        entries: the user's (label, class) pairs, both in lower case; the class "background" marks
            labels that are not objects.

    Raises:
        ValueError: a class is not a word, or a label has two classes.
    """

    entries: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for label, name in self.entries:
            if not (label and name and all(word.isalpha() for word in label_words(name))):
                raise _unreadable(f"{label}:{name}")
        twice = Counter(label for label, _ in set(self.entries)).most_common(1)
        if twice and twice[0][1] > 1:
            raise ValueError(
                f"{twice[0][0]!r} has two classes in the label map {self.text}; keep one"
            )

    @classmethod
    def parse(cls, text: str) -> LabelMap:
        """From "0:pallet,1:buffer"; an empty text means only the built-in rules.

        Raises:
            ValueError: an entry cannot be parsed; the message quotes it.
        """
        entries = []
        for entry in filter(None, (part.strip() for part in text.split(","))):
            label, _, name = (part.strip().lower() for part in entry.rpartition(":"))
            entries.append((label, class_in(name) or name))
        return cls(tuple(entries))

    @property
    def text(self) -> str:
        """The text that `parse` reads."""
        return ",".join(f"{label}:{name}" for label, name in self.entries)

    @property
    def classes(self) -> frozenset[str]:
        """The classes that the user declares, which may then be counted as 0."""
        return frozenset(name for _, name in self.entries) - {BACKGROUND}

    def class_of(self, label: str) -> str:
        """The class of a label, or the label itself if it is known or unclear.

        Args:
            label: as spelled by its source.
        """
        own = self._own_class(label)
        if own:
            return own
        lowered = label.lower()
        if lowered in _NO_LABEL:
            return ""
        return class_in(label) or lowered

    def apply(self, regions: RegionSet) -> RegionSet:
        """The regions with their labels replaced by classes, without the background."""
        mapped = (self._mapped(region) for region in regions)
        foreground = tuple(region for region in mapped if region.label != BACKGROUND)
        return replace(regions, regions=foreground, declared_classes=self.classes)

    def _mapped(self, region: Region) -> Region:
        label = self.class_of(region.source_label)
        return region if label == region.label else replace(region, label=label)

    def _own_class(self, label: str) -> str:
        """Class from the user's entries, looked up by label, words, index and class."""
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
    """Label settings for all sources of regions.

    Attributes:
        by_number: labels for sources that only have numbers: ids of an instance image, class
            indices of a file. None: labels from a file next to it, or none.
        label_map: maps labels to classes.
    """

    by_number: InstanceLabels | None = None
    label_map: LabelMap = field(default_factory=LabelMap)


def label_changes(regions: RegionSet) -> dict[str, str]:
    """The mapped labels of a frame, as spelled by their source, with their classes."""
    return {
        region.source_label: region.label
        for region in regions
        if region.label != region.source_label.lower()
    }


def described_changes(changes: Mapping[str, str]) -> str:
    """Text such as 'pallet_01, pallet_02 -> pallet; 0 -> buffer'; empty without changes."""
    by_class: dict[str, list[str]] = {}
    for label, name in changes.items():
        by_class.setdefault(name, []).append(label)
    return "; ".join(
        f"{_listed(labels)} -> {name or 'no label'}" for name, labels in by_class.items()
    )


def unknown_labels(regions: RegionSet) -> list[str]:
    """Labels, as spelled by their source, that are neither known classes nor in the label map.

    Regions without a label are listed as "".
    """
    return list(
        dict.fromkeys(
            region.source_label for region in regions if not _is_class(region.label, regions)
        )
    )


def doubt_of_class(class_labels: Collection[str], regions: RegionSet) -> str:
    """Why the frame may have more regions of a class than are labeled so; empty if it does not.

    Without any region of the class, every unknown label may be the source's name for it. If there
    are some, another word ("crate") is another class, and a region without a label was skipped by
    whoever labeled the others; but a number or "object_7" may be one more.

    Args:
        class_labels: labels in the frame that belong to the class asked about.
        regions: all regions of the frame.

    Returns:
        What was found and how to map it, as part of a sentence.
    """
    mine = [region for region in regions if region.label in class_labels]
    return _doubt(_silent_labels(mine, regions) if mine else unknown_labels(regions))


def doubt_of_load(regions: RegionSet) -> str:
    """Why a carrier without a known pallet may still be loaded; like `doubt_of_class`."""
    cargo = [region for region in regions if known_class(region.label) == "pallet"]
    return _doubt(_silent_labels(cargo, regions))


def unlabeled_note(regions: RegionSet) -> str:
    """Note that a count ignores regions without a label; empty if all or none have one."""
    count = sum(not region.label for region in regions)
    if count in (0, len(regions)):
        return ""
    return f"{count} of the {len(regions)} regions have no label and are not counted as any class"


def synonyms_note(ids: Iterable[int], regions: RegionSet) -> str:
    """Note that regions of several labels are counted as one class; empty where none are."""
    labels = dict.fromkeys(regions[id].label for id in ids)
    by_class: dict[str, list[str]] = {}
    for label in labels:
        by_class.setdefault(known_class(label), []).append(label)
    return "; ".join(
        f"{' and '.join(same)} are counted as one class, {name}"
        for name, same in by_class.items()
        if name in LABEL_SYNONYMS and len(same) > 1
    )


def similar_labels_note(ids: Iterable[int], regions: RegionSet) -> str:
    """Note that labels which sound like those of counted regions were not counted; or empty.

    Where none is counted, such as sound like any known class.
    """
    classes = {known_class(regions[id].label) for id in ids} or set(LABEL_SYNONYMS)
    similar = [
        label
        for label in unknown_labels(regions)
        if any(sounds_like(label, name) for name in classes)
    ]
    if not similar:
        return ""
    return (
        f"not counted, as their labels name no class: {_listed(similar)}; say what they are with "
        "the label map (label_map, --label-map)"
    )


def _silent_labels(mine: Sequence[Region], regions: RegionSet) -> list[str]:
    """Uninformative labels, which may belong to the same class."""
    # If some class indices are mapped, the others are other classes.
    are_indices = any(index_in(region.source_label) for region in mine)
    return [
        label
        for label in unknown_labels(regions)
        if label and names_no_class(label) and not (are_indices and index_in(label))
    ]


def _doubt(unknown: Sequence[str]) -> str:
    if not unknown:
        return ""
    named = [f'"{label}"' if label else "(no label)" for label in unknown]
    example = next((label for label in unknown if label and not set(label) & set(",:")), "0")
    return (
        f"labels of unknown class in this frame: {_listed(named)}; if they belong to it, say so "
        f'with the label map (label_map, --label-map), such as "{example}:pallet"; if not, map '
        f'them to another class, such as "{example}:box"'
    )


def namesake(regions: RegionSet, id: int) -> Region | None:
    """The region labeled "pallet_3" if region 3 has a label with another number; otherwise None.

    A source that labels its objects pallet_01, pallet_02, ... may give them other ids.
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
        f'a label map must have the form "0:pallet,1:buffer", labels with their classes, got '
        f"{entry!r}"
    )
