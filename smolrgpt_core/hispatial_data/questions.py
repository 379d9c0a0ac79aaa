"""Questions of the released records: which are used, in which format, and in which words.

As the authors' loader draws them while training, but once: a type of question by its weight among
those that the image has, an item of it, a format by its weight among those that the item has, one
of its wordings. What their loader skips is skipped; what it would silently accept although it is
broken is reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.hispatial_data.formats import Pair, drawn_pair, written
from smolrgpt_core.language import MASK
from smolrgpt_core.language.placeholders import without_image
from smolrgpt_core.model_inputs.regions_in_words import BOX_COLORS, Box, location_tokens
from smolrgpt_core.synthesis import Format
from smolrgpt_core.synthesis.mixtures import GENERAL, ORIENTATION

WILD_TYPES: dict[str, tuple[str, float]] = {
    "vqa_orientation": (ORIENTATION, 500),
    "vqa_object_size_single": ("size", 300),
    "vqa_query_aabb": ("localisation", 300),
    "vqa_distance_single": ("localisation", 180),
    "vqa_object_relation_multi": ("relative_direction", 700),
    "vqa_object_relation_multi_world": ("relative_direction", 700),
    "vqa_spatial_mcq_multiangle": ("relative_direction", 625),
    "vqa_spatial_mcq_multiangle_world": ("relative_direction", 625),
    "vqa_object_direction_multi": ("relative_direction", 300),
    "vqa_distance_multi": ("relative_distance", 600),
    "vqa_closest_distance_multi": ("relative_distance", 400),
    "vqa_distance_each_axis_multi": ("relative_distance", 350),
    "vqa_distance_each_axis_multi_world": ("relative_distance", 350),
    "vqa_distance_three_objects": ("relative_distance", 350),
    "vqa_comparison_multiple_objects": ("comparison", 650),
    "vqa_most_objects_in_class": ("comparison", 600),
    "vqa_orientation_comparison_two_objects": ("comparison", 500),
    "vqa_distance_three_objects_comparision": ("comparison", 350),
    "vqa_relative_position_new_perspective": ("perspective_taking", 600),
    "vqa_relative_position_new_perspective_no_orient": ("perspective_taking", 600),
    "vqa_counting_objects": ("counting", 700),
}
"""Task and weight by type of question."""

CA1M_TYPES: dict[str, tuple[str, float]] = {
    "orientation": (ORIENTATION, 0.8),
    "perspective_taking": ("perspective_taking", 1.0),
    "spatial_relation": ("relative_direction", 1.0),
    "distance": ("relative_distance", 0.8),
    "object_depth_comparison": ("comparison", 1.0),
    "object_width": ("size", 1.0),
    "object_height": ("size", 1.0),
    "problem_solving": ("problem_solving", 1.0),
}
"""Task and weight by a part of the type; the first that it contains counts."""

_BOX_WORDS = re.compile(rf"\(highlighted by (?:the|a) ({'|'.join(BOX_COLORS)}) box\)")
_REFERRED = ("", "_i", "_j", "_k", "_l", "_m", "_n")
_NUMBER = r"\s*([+-]?\d+(?:\.\d+)?)\s*"
_BOX_NUMBERS = re.compile(rf"\[{','.join([_NUMBER] * 4)}\]")


@dataclass(frozen=True)
class ImportedQuestion:
    """A question in our words.

    Attributes:
        qa_type: as the record calls it.
        category: family of tasks, or what stands in its place.
        format: of the answer.
        text: with one `<mask>` for each of `boxes`.
        answer: regions are named by the color of their box.
        boxes: of the regions, in pixels of the image.
        reasoning: the answer step by step; empty where there is none.
        further: questions and answers that follow in the same conversation.
    """

    qa_type: str
    category: str
    format: Format
    text: str
    answer: str
    boxes: tuple[Box, ...] = ()
    reasoning: str = ""
    further: tuple[tuple[str, str], ...] = ()


@dataclass
class QuestionDraw:
    """Draws the questions of one record.

    Attributes:
        rng: of every choice.
        limit: maximum number of questions.
        image_size: (height, width) of its image.
        left_out: called with the reason for each item that is not used.
    """

    rng: np.random.Generator
    limit: int
    image_size: tuple[int, int]
    left_out: Callable[[str], None]
    _items: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, kind: str, item: Any) -> None:
        """Offer an item of a type of question."""
        self._items.setdefault(kind, []).append(item)

    def questions(
        self,
        weights: Mapping[str, float],
        read: Callable[[str, Any], ImportedQuestion | None],
    ) -> list[ImportedQuestion]:
        """Up to the limit, each item at most once.

        Args:
            weights: of the types of questions.
            read: an item of a type; None where it holds nothing that is used.
        """
        made: list[ImportedQuestion] = []
        while self._items and len(made) < self.limit:
            kinds = list(self._items)
            wanted = np.array([weights[kind] for kind in kinds])
            kind = kinds[int(self.rng.choice(len(kinds), p=wanted / wanted.sum()))]
            items = self._items[kind]
            item = items.pop(int(self.rng.integers(len(items))))
            if not items:
                del self._items[kind]
            try:
                question = read(kind, item)
            except SpatialError as error:
                self.left_out(error.message)
                continue
            if question is None:
                self.left_out("no pair that the authors use")
            else:
                made.append(question)
        return made


def wild_questions(content: Any, draw: QuestionDraw) -> list[ImportedQuestion]:
    """Of COYO and Objects365: lists of items by level.

    Args:
        content: of `K.pt`.
        draw: of this record.

    Raises:
        SpatialError: BAD_INPUT when it is something else.
    """
    if not isinstance(content, dict):
        raise bad_input(f"expected lists of questions by level, got {type(content).__name__}")
    for level, items in content.items():
        if "metadata" in level:
            continue
        for item in _listed(items):
            kind = _text(item, "qa_type")
            if kind in WILD_TYPES:
                draw.add(kind, item)
            else:
                draw.left_out(f"a type of question that the authors do not train: {kind}")
    weights = {kind: weight for kind, (_, weight) in WILD_TYPES.items()}

    def read(kind: str, item: Any) -> ImportedQuestion | None:
        pair = drawn_pair(item, draw.rng)
        if pair is None:
            return None
        return _question(
            kind, WILD_TYPES[kind][0], pair, _boxes_by_color(item, draw.image_size), draw.rng
        )

    return draw.questions(weights, read)


def ca1m_questions(content: Any, draw: QuestionDraw) -> list[ImportedQuestion]:
    """Of CA-1M: a list of items.

    Args:
        content: of `B_qa.pt`.
        draw: of this record.

    Raises:
        SpatialError: BAD_INPUT when it is something else.
    """
    for item in _listed(content):
        kind = _text(item, "qa_type")
        known = next((name for name in CA1M_TYPES if name in kind), None)
        if known is not None:
            draw.add(known, item)
        else:
            draw.left_out(f"a type of question without a task: {kind}")
    weights = {kind: weight for kind, (_, weight) in CA1M_TYPES.items()}

    def read(kind: str, item: Any) -> ImportedQuestion:
        pair = Pair(Format.FREE, _text(item, "prefix"), _text(item, "suffix"))
        boxes = _boxes_by_color(item, draw.image_size)
        meta = item.get("meta") or {}
        if isinstance(meta, dict) and meta.get("2dbox") is not None:
            box = _box(meta["2dbox"], draw.image_size)
            if boxes.setdefault("red", box) != box:
                raise bad_input("two objects in boxes of one color: red")
        reasoning = _steps(meta) if kind == "problem_solving" else ""
        return _question(item["qa_type"], CA1M_TYPES[kind][0], pair, boxes, draw.rng, reasoning)

    return draw.questions(weights, read)


def general_question(content: Any) -> ImportedQuestion:
    """The conversation of a general record: newlines are spaces, boxes in numbers location tokens.

    Raises:
        SpatialError: BAD_INPUT when it is no conversation.
    """
    turns = _listed(content)
    speakers = [_text(turn, "from") for turn in turns]
    if not turns or speakers != ["human", "gpt"] * (len(turns) // 2):
        raise bad_input(f"expected turns of human and gpt, found: {', '.join(speakers) or 'none'}")
    texts = [_with_location_tokens(_text(turn, "value").replace("\n", " ")) for turn in turns]
    if any(MASK in text for text in texts):
        raise bad_input(f"expected a conversation without {MASK}")
    pairs = list(zip(map(without_image, texts[::2]), texts[1::2], strict=True))
    (text, answer), *further = pairs
    return ImportedQuestion(GENERAL, GENERAL, Format.FREE, text, answer, further=tuple(further))


def _question(
    qa_type: str,
    category: str,
    pair: Pair,
    boxes: Mapping[str, Box],
    rng: np.random.Generator,
    reasoning: str = "",
) -> ImportedQuestion:
    text, answer = written(pair, rng)
    text, colors = _with_masks(without_image(text), boxes)
    return ImportedQuestion(
        qa_type,
        category,
        pair.format,
        text,
        _recolored(answer, colors),
        tuple(boxes[color] for color in colors),
        _recolored(reasoning, colors),
    )


def _with_masks(text: str, boxes: Mapping[str, Box]) -> tuple[str, list[str]]:
    """A text with `<mask>` for the first mention of each box, and the colors of these in order.

    A box that is mentioned again is called by the color that it is drawn in then.
    """
    if MASK in text:
        raise bad_input(f"expected a text without {MASK}")
    colors: list[str] = []

    def place(match: re.Match[str]) -> str:
        color = match[1]
        if color in colors:
            return _box_words(colors.index(color))
        if color not in boxes:
            raise bad_input(f"a question about a box that the record does not have: {color}")
        colors.append(color)
        return MASK

    return _BOX_WORDS.sub(place, text), colors


def _recolored(text: str, colors: Sequence[str]) -> str:
    """An answer in which boxes have the colors that they are drawn in."""

    def place(match: re.Match[str]) -> str:
        if match[1] not in colors:
            raise bad_input(f"an answer with a box that the question does not name: {match[1]}")
        return _box_words(colors.index(match[1]))

    return _BOX_WORDS.sub(place, text)


def _box_words(place: int) -> str:
    return f"(highlighted by the {list(BOX_COLORS)[place]} box)"


def _boxes_by_color(item: Mapping[str, Any], image_size: tuple[int, int]) -> dict[str, Box]:
    """Boxes of the objects of an item by the color in their references."""
    objects: Any = item.get("object")
    boxes: dict[str, Box] = {}
    for tail in _REFERRED if isinstance(objects, dict) else ():
        words, raw = objects.get(f"referring{tail}"), objects.get(f"raw{tail}")
        match = _BOX_WORDS.search(words) if isinstance(words, str) else None
        if match and isinstance(raw, dict) and "raw_bbox" in raw:
            box = _box(raw["raw_bbox"], image_size)
            if boxes.setdefault(match[1], box) != box:
                raise bad_input(f"two objects in boxes of one color: {match[1]}")
    return boxes


def _box(corners: Any, image_size: tuple[int, int]) -> Box:
    """A box in whole pixels, cut to the image, with at least one pixel."""
    try:
        left, top, right, bottom = (round(float(number)) for number in corners)
    except (TypeError, ValueError, OverflowError) as error:
        raise bad_input("a box that is not four numbers") from error
    height, width = image_size
    if not (left <= right and top <= bottom):
        raise bad_input("a box whose corners are not in order")
    if left >= width or top >= height or right < 0 or bottom < 0:
        raise bad_input("a box outside its image")
    left, top = max(left, 0), max(top, 0)
    return left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)


def _steps(meta: Any) -> str:
    """The answer step by step that CA-1M has for solved problems; empty where there is none."""
    stored = meta.get("student_cot") if isinstance(meta, dict) else None
    if stored is None:
        return ""
    try:
        steps = json.loads(stored)["cot_simple"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise bad_input(f"the steps of an answer cannot be read: {type(error).__name__}") from error
    if isinstance(steps, dict):
        steps = list(steps.values())
    return "\n".join(map(str, steps)) if isinstance(steps, list) else str(steps)


def _with_location_tokens(text: str) -> str:
    def tokens(match: re.Match[str]) -> str:
        return location_tokens([float(number) for number in match.groups()], (1, 1))

    return _BOX_NUMBERS.sub(tokens, text)


def _listed(value: Any) -> list[dict[str, Any]]:
    """A list of dictionaries; None in it is skipped, as the authors do."""
    if not isinstance(value, list):
        raise bad_input(f"expected a list, found {type(value).__name__}")
    items = [item for item in value if item is not None]
    if not all(isinstance(item, dict) for item in items):
        raise bad_input("expected a list of dictionaries, found something else in it")
    return items


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value.strip():
        raise bad_input(f"expected a text as {name}, found {type(value).__name__}")
    return value
