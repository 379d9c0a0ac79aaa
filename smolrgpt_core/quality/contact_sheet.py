"""A contact sheet of a data set, for the eye: images with masks, question and answer.

Shows the content of the files. A question whose files are broken gets a tile that says so.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.canvas import (
    DARK,
    FONT,
    GRAY,
    GREEN,
    RED,
    WHITE,
    Canvas,
    Color,
    Lettering,
    text_size,
    wrap,
)
from smolrgpt_core.data.readers.config import DatasetConfig
from smolrgpt_core.data.readers.warehouse import open_layout
from smolrgpt_core.data.samples import Conversation, Sample
from smolrgpt_core.data.warehouse_format import MODEL, find_splits
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error, write_image
from smolrgpt_core.language import MASK
from smolrgpt_core.regions import Region
from smolrgpt_core.report import write_page

MASK_COLORS: tuple[Color, ...] = (
    (251, 160, 38), (64, 190, 255), (244, 96, 160), (163, 230, 53),
    (172, 140, 250), (45, 212, 191), (253, 224, 71), (252, 129, 110),
)  # fmt: skip
"""Of the regions of a question, in order, and from the start again."""

TILE_WIDTH = 480
"""Of an image on the sheet, in pixels."""

BACKGROUND: Color = (44, 47, 56)
DRAWN_PER_TILE = 8
"""Questions that are considered for each tile, so that every category is among them."""

GAP = 16
CAPTION_TEXT = 0.46
NAME_TEXT = 0.5
MAX_LINES = 5
"""Of the question and of the answer each."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One question on the sheet.

    Attributes:
        title: category, and where the record is.
        question: each `<mask>` written as the answer calls it.
        answer: free form and normalized; empty if the data set has none.
        image: image with masks beside its depth, uint8 (H, W, 3) RGB; None if broken.
        problem: what is broken; empty if nothing is.
    """

    title: str
    question: str
    answer: str
    image: NDArray[np.uint8] | None
    problem: str = ""


def choose_tiles(root: Path, split: str, count: int, seed: int) -> list[Tile]:
    """Tiles of random questions, the categories in turn.

    Args:
        root: folder of the data set.
        split: its split; empty: the first that there is.
        count: how many; fewer if there are not so many questions.
        seed: of the choice.

    Raises:
        SpatialError: BAD_INPUT when there are no questions to show.
    """
    split = split or find_splits(root)[0].split
    dataset = open_layout(DatasetConfig("warehouse", root, split))
    drawn: dict[str, list[Sample | SpatialError]] = defaultdict(list)
    order = np.random.default_rng(seed).permutation(len(dataset))
    for index in order[: DRAWN_PER_TILE * count].tolist():
        try:
            sample = dataset[index]
            drawn[sample.conversations[0].category].append(sample)
        except SpatialError as error:
            drawn["broken"].append(error)
    queues = [drawn[category] for category in sorted(drawn)]
    in_turn = (queue[turn] for turn in range(count) for queue in queues if turn < len(queue))
    return [_tile(sample) for sample in itertools.islice(in_turn, count)]


def write_contact_sheet(tiles: Sequence[Tile], path: Path, columns: int) -> None:
    """Write all tiles as one image.

    Args:
        tiles: at least one.
        path: where to write; an image format by its suffix.
        columns: tiles side by side.
    """
    drawn = [_draw_tile(tile) for tile in tiles]
    rows = [
        _row(drawn[start : start + columns], columns) for start in range(0, len(drawn), columns)
    ]
    write_image(path, np.vstack([*rows, _blank(GAP, rows[0].shape[1])]))


def write_index(tiles: Sequence[Tile], path: Path, root: Path) -> None:
    """Write all tiles as one HTML file that needs no other file.

    Args:
        tiles: what to show.
        path: where to write.
        root: folder of the data set, for the title.
    """
    write_page(
        path,
        "contact_sheet.html",
        title=f"Data set {root.name}",
        subtitle=f"{len(tiles)} random questions from {root}",
        cards=[
            {"tile": tile, "question": _parts(tile.question), "answer": _parts(tile.answer)}
            for tile in tiles
        ],
    )


def _tile(drawn: Sample | SpatialError) -> Tile:
    if isinstance(drawn, SpatialError):
        return Tile("broken record", "", "", None, str(drawn))
    conversation = drawn.conversations[0]
    words = {
        "title": f"{conversation.category or 'no category'} · {drawn.image.path.name}"
        f" · {conversation.id}",
        "question": _named(conversation),
        "answer": _answer(conversation),
    }
    try:
        return Tile(**words, image=_image(drawn, conversation))
    except SpatialError as error:
        return Tile(**words, image=None, problem=str(error))


def _named(conversation: Conversation) -> str:
    """The questions on one line, with the names of regions that the answers use."""
    text = " ".join(turn.text for turn in conversation.turns if turn.speaker != MODEL)
    numbers = itertools.count()
    return re.sub(MASK, lambda _: f"[Region {next(numbers)}]", " ".join(text.split()))


def _answer(conversation: Conversation) -> str:
    reply = " ".join(turn.text for turn in conversation.turns if turn.speaker == MODEL)
    normalized = conversation.normalized_answer
    return f"{reply} = {normalized}" if reply and normalized else reply or normalized


def _image(sample: Sample, conversation: Conversation) -> NDArray[np.uint8]:
    """Image with masks, and beside it the depth with the outlines, at the width of a tile."""
    rgb = sample.image.read()
    masks = sample.masks(conversation)
    for index, mask in enumerate(masks):
        if mask.shape != rgb.shape[:2]:
            raise file_error(
                sample.image.path,
                f"mask {index} is for (height, width) {mask.shape}, but the image has "
                f"{rgb.shape[:2]}",
            )
    scale = TILE_WIDTH / rgb.shape[1]
    size = (TILE_WIDTH, max(1, round(rgb.shape[0] * scale)))
    regions = [
        Region.from_bitmap(index, "region", _resized_mask(mask, size))
        for index, mask in enumerate(masks)
    ]
    views = [_with_regions(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), regions, tint=0.35)]
    if sample.depth is not None:
        depth = cv2.resize(
            _depth_colors(sample.depth.read()), size, interpolation=cv2.INTER_NEAREST
        )
        views.append(_with_regions(depth, regions, tint=0.0))
    return np.hstack(views)


def _resized_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """At another size; what is too small to be seen stays a pixel."""
    covered = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(covered >= min(0.5, float(covered.max())) if mask.any() else covered > 0)


def _with_regions(
    image: NDArray[np.uint8], regions: Sequence[Region], tint: float
) -> NDArray[np.uint8]:
    canvas = Canvas(image)
    for region in regions:
        canvas.tint(region, tint, _color(region.id))
    for region in regions:
        canvas.outline(region, 2.0, _color(region.id))
    for region in regions:
        canvas.name(region, Lettering(NAME_TEXT, _color(region.id), DARK))
    return canvas.image


def _color(index: int) -> Color:
    return MASK_COLORS[index % len(MASK_COLORS)]


def _depth_colors(levels: NDArray) -> NDArray[np.uint8]:
    """Near is bright, far is dark, no reading is black; from the 2nd to the 98th percentile."""
    readings = levels[levels > 0]
    near, far = np.percentile(readings, (2, 98)) if readings.size else (0, 1)
    nearness = np.clip((far - levels.astype(np.float32)) / max(far - near, 1), 0, 1)
    colors = cv2.applyColorMap((nearness * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    colors[levels == 0] = 0
    return np.asarray(cv2.cvtColor(colors, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _draw_tile(tile: Tile) -> NDArray[np.uint8]:
    """Image with its caption below; uint8 (H, 2 * TILE_WIDTH, 3) RGB."""
    width = 2 * TILE_WIDTH
    image = _blank(0, width) if tile.image is None else tile.image
    missing = _blank(image.shape[0], width - image.shape[1])
    lines = [
        (line, color)
        for text, color in (
            (tile.title, GRAY), (tile.question, WHITE), (tile.answer, GREEN), (tile.problem, RED),
        )
        for line in wrap(text, CAPTION_TEXT, width - 2 * GAP, MAX_LINES)
    ]  # fmt: skip
    return np.vstack([np.hstack([image, missing]), _text_strip(lines, width)])


def _text_strip(lines: Sequence[tuple[str, Color]], width: int) -> NDArray[np.uint8]:
    capitals = text_size("H", CAPTION_TEXT)[1]
    pitch = round(capitals * 2.1)
    strip = np.full((len(lines) * pitch + GAP, width, 3), DARK, np.uint8)
    for number, (line, color) in enumerate(lines):
        baseline = GAP // 2 + number * pitch + round(capitals * 1.5)
        cv2.putText(strip, line, (GAP, baseline), FONT, CAPTION_TEXT, color, 1, cv2.LINE_AA)
    return strip


def _row(tiles: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Tiles side by side, with a gap before each and above all."""
    height = max(tile.shape[0] for tile in tiles)
    width = tiles[0].shape[1]
    parts = [_blank(height, GAP)]
    for number in range(columns):
        tile = tiles[number] if number < len(tiles) else _blank(0, width)
        below = _blank(height - tile.shape[0], width)
        parts += [np.vstack([tile, below]), _blank(height, GAP)]
    row = np.hstack(parts)
    return np.vstack([_blank(GAP, row.shape[1]), row])


def _blank(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def _parts(text: str) -> list[tuple[str, Color | None]]:
    """The parts of a text, those that name a region with the color of its mask."""
    found = re.finditer(r"\[Region (\d+)\]|(?:(?!\[Region \d+\]).)+", text, re.DOTALL)
    return [(part[0], _color(int(part[1])) if part[1] else None) for part in found]
