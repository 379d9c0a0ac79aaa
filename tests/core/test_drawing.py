"""Annotated pictures show the regions asked about and the answer as it was given."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from smolrgpt_core.answer import Side, SpatialAnswer
from smolrgpt_core.canvas import (
    GREEN,
    LABEL_COLORS,
    RED,
    WHITE,
    Canvas,
    Lettering,
    label_color,
    text_size,
    wrap,
)
from smolrgpt_core.drawing import draw_answer, draw_regions, name_regions
from smolrgpt_core.errors import SpatialError, Status, bad_question
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.geometry.back_projection import back_project
from smolrgpt_core.language import Category, SpatialQuestion
from smolrgpt_core.language.marks import Mark, MarkKind
from smolrgpt_core.regions import Box, Region, RegionSet

BOXES = {
    2: ("buffer", Box(40, 300, 260, 140)),
    10: ("pallet", Box(80, 320, 60, 50)),
    12: ("pallet", Box(480, 250, 70, 60)),
    60: ("transporter", Box(380, 120, 90, 80)),
    80: ("shelf", Box(0, 20, 150, 200)),
}
GRAY = 110
NAME = Lettering(0.4, WHITE, RED)


def make_frame(width: int = 640, height: int = 480) -> RGBDFrame:
    scale = width / 640
    regions = tuple(
        Region.from_box(
            id, label, Box(*(max(1, int(v * scale)) for v in (b.x, b.y, b.width, b.height)))
        )
        for id, (label, b) in BOXES.items()
    )
    return RGBDFrame(
        rgb=np.full((height, width, 3), GRAY, np.uint8),
        depth=np.full((height, width), 4.0, np.float32),
        intrinsics=CameraIntrinsics.from_vertical_fov(width, height, 60.0),
        regions=RegionSet((height, width), regions),
    )


def make_answer(
    frame: RGBDFrame, category: Category, ids: tuple[int, ...], **more
) -> SpatialAnswer:
    points = back_project(frame.depth, frame.intrinsics)
    centers = np.array([points[frame.regions.full_mask(id)].mean(axis=0) for id in ids])
    return SpatialAnswer(
        Status.OK, category, text="So it is.", region_ids=ids, centers=centers,
        valid_depth=np.ones(len(ids)), **more,
    )  # fmt: skip


def share_of(image: np.ndarray, color: tuple[int, int, int], box: Box) -> float:
    """Share of the pixels in a box that have exactly this color."""
    return float(np.mean(np.all(image[box.slices] == color, axis=-1)))


def corner(box: Box) -> tuple[slice, slice]:
    """A few pixels inside a region, away from its outline, middle and name."""
    return np.s_[box.y + box.height - 12 : box.y + box.height - 8, box.x + 8 : box.x + 12]


def test_regions_are_tinted_in_the_color_of_their_label() -> None:
    frame = make_frame()
    image = draw_regions(frame)
    assert (image.shape, image.dtype) == (frame.rgb.shape, np.uint8)
    assert np.all(frame.rgb == GRAY)
    for id in (2, 12, 60, 80):
        label, box = BOXES[id]
        difference = image[corner(box)].mean(axis=(0, 1)) - GRAY
        wanted = np.array(label_color(label)) - GRAY
        cosine = difference @ wanted / np.linalg.norm(difference) / np.linalg.norm(wanted)
        assert cosine > 0.95, label


def test_label_colors_are_stable_and_distinct() -> None:
    colors = {label_color(label) for label in [*LABEL_COLORS, "cone", "forklift", "person"]}
    assert len(colors) == len(LABEL_COLORS) + 3
    assert label_color("forklift") == (242, 109, 145)


def test_only_the_regions_asked_about_stand_out() -> None:
    frame = make_frame()
    image = draw_answer(frame, "?", make_answer(frame, Category.DISTANCE, (12, 2), value=3.0))
    background = int(image[470, 600, 0])
    assert background < GRAY
    asked, other = (image[corner(BOXES[id][1])].astype(int) for id in (12, 80))
    assert np.abs(asked - background).max() > 40
    assert np.abs(other - background).max() == 0


def test_distance_line_runs_between_the_centers_and_carries_the_value() -> None:
    frame = make_frame()
    answer = make_answer(frame, Category.DISTANCE, (12, 60), value=3.42)
    image = draw_answer(frame, "?", answer)
    start, end = (np.array([515, 280]), np.array([425, 160]))
    for share in (0.02, 0.25, 0.75, 0.98):
        column, row = np.round(start + share * (end - start)).astype(int)
        assert share_of(image, WHITE, Box(column - 2, row - 2, 5, 5)) > 0.2
    assert share_of(image, WHITE, Box(455, 212, 30, 16)) > 0.4
    other = draw_answer(frame, "?", make_answer(frame, Category.DISTANCE, (12, 60), value=3.49))
    assert not np.array_equal(image, other)


def test_distance_from_the_camera_starts_below_the_image() -> None:
    frame = make_frame()
    image = draw_answer(frame, "?", make_answer(frame, Category.DISTANCE, (60,), value=9.5))
    start, end = (np.array([320, 479]), np.array([425, 160]))
    for share in (0.1, 0.3, 0.7, 0.9):
        column, row = np.round(start + share * (end - start)).astype(int)
        assert share_of(image, WHITE, Box(column - 2, row - 2, 5, 5)) > 0.2


def test_centers_without_depth_are_drawn_in_the_middle_of_their_masks() -> None:
    frame = make_frame()
    answer = make_answer(frame, Category.DISTANCE, (12, 60), value=3.42)
    expected = draw_answer(frame, "?", answer)
    answer.centers[:] = np.nan
    assert np.abs(draw_answer(frame, "?", answer).astype(int) - expected).mean() < 0.5


def marked(frame: RGBDFrame, *marks: Mark) -> SpatialAnswer:
    """The answer to a question about the transporter, with these marks."""
    return replace(make_answer(frame, Category.QUANTITY, (60,), value=1.0), marks=marks)


def at(frame: RGBDFrame, *places: tuple[float, float, float]) -> np.ndarray:
    """Points (N, 3) by column, row and depth."""
    camera = frame.intrinsics
    return np.array(
        [
            ((column - camera.cx) / camera.fx * z, (row - camera.cy) / camera.fy * z, z)
            for column, row, z in places
        ]
    )


def changed(frame: RGBDFrame, *marks: Mark) -> np.ndarray:
    """(H, W) the pixels that marks change, names too where they move out of the way."""
    plain, with_marks = (draw_answer(frame, "?", marked(frame, *each)) for each in ((), marks))
    return np.any(plain[:480] != with_marks[:480], axis=-1)


@pytest.mark.parametrize("kind", [MarkKind.LINE, MarkKind.ARROW])
def test_lines_and_arrows_run_between_their_points(kind: MarkKind) -> None:
    frame = make_frame()
    mark = Mark(kind, at(frame, (220, 240, 3.0), (420, 440, 7.0)), "4.57 m")
    difference = changed(frame, mark)
    for share in (0.05, 0.2, 0.8, 0.97):
        column, row = (np.array([220, 240]) + share * 200).astype(int)
        assert difference[row - 1 : row + 2, column - 1 : column + 2].all()
    assert difference[330:350, 310:330].all()  # the label in the middle
    assert not difference[240:300, 340:450].any()


def test_an_area_is_filled_and_its_holes_are_not() -> None:
    frame = make_frame()
    outer, inner = (
        at(frame, (a, a, 4.0), (b, a, 4.0), (b, b, 4.0), (a, b, 4.0)) + np.array([0.5, 0.0, 0.0])
        for a, b in ((250, 460), (320, 390))
    )
    shift = round(0.5 / 4 * frame.intrinsics.fx)
    difference = changed(frame, Mark(MarkKind.AREA, outer), Mark(MarkKind.AREA, inner))
    assert difference[270:300, 270 + shift : 300 + shift].all()
    assert difference[420:440, 420 + shift : 440 + shift].all()
    assert not difference[340:370, 340 + shift : 370 + shift].any()


@pytest.mark.parametrize(("height", "row"), [(150, 375), (30, 282)])
def test_the_label_of_an_area_is_in_its_middle_or_above_a_small_one(height: int, row: int) -> None:
    frame = make_frame()
    places = ((400, 300), (470, 300), (470, 300 + height), (400, 300 + height))
    shape = at(frame, *((column, line, 4.0) for column, line in places))
    plain, labeled = (
        draw_answer(frame, "?", marked(frame, Mark(MarkKind.AREA, shape, text)))
        for text in ("", "9 m2")
    )
    rows, columns = np.nonzero(np.any(plain != labeled, axis=-1))
    assert (rows.min() + rows.max()) / 2 == pytest.approx(row, abs=2)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(435, abs=2)


def test_a_place_is_a_cross_and_an_order_a_number() -> None:
    frame = make_frame()
    cross = changed(frame, Mark(MarkKind.POINT, at(frame, (300, 400, 5.0))))
    assert cross[398:403, 298:303].all()
    assert not cross[400, 309:320].any()
    unknown = np.full((1, 3), np.nan)
    badges = [
        draw_answer(frame, "?", marked(frame, Mark(MarkKind.NUMBER, unknown, text, (12,))))
        for text in ("1", "2")
    ]
    box = BOXES[12][1]
    assert share_of(badges[0], WHITE, Box(box.x + 20, box.y + 15, 30, 30)) > 0.3
    assert not np.array_equal(badges[0], badges[1])


def test_what_goes_behind_the_camera_is_cut_off_there() -> None:
    frame = make_frame()
    near = at(frame, (320, 300, 5.0))[0]
    behind = near * [1, 1, 0] + [0.0, 0.0, -1.0]
    difference = changed(frame, Mark(MarkKind.LINE, np.stack([near, behind]), "6.00 m"))
    assert difference[330:470:10, 318:322].any(axis=1).all()
    assert not difference[:280, 200:370].any()
    floor = np.array([[-3.0, 1.5, -2.0], [3.0, 1.5, -2.0], [3.0, 1.5, 6.0], [-3.0, 1.5, 6.0]])
    area = changed(frame, Mark(MarkKind.AREA, floor))
    assert area[455:, 310:330].all()
    assert not area[:300, 310:330].any()
    hidden = np.array([[0.0, 0.0, -2.0], [1.0, 0.0, -3.0], [1.0, 1.0, -3.0]])
    for kind in (MarkKind.LINE, MarkKind.AREA, MarkKind.ARROW, MarkKind.POINT):
        points = hidden if kind is MarkKind.AREA else hidden[: 1 if kind is MarkKind.POINT else 2]
        assert not changed(frame, Mark(kind, points, "1.00 m")).any(), kind


def test_marks_outside_of_the_image_leave_no_label_and_others_keep_theirs_inside() -> None:
    frame = make_frame()
    outside = Mark(MarkKind.LINE, at(frame, (-300, 100, 4.0), (-20, 200, 4.0)), "2.00 m")
    assert not changed(frame, outside).any()
    across = Mark(MarkKind.LINE, at(frame, (600, 300, 4.0), (4000, 300, 4.0)), "20.00 m")
    difference = changed(frame, across)
    assert difference[300, 600:638].all()
    assert difference[270:290, 570:630].any()  # the label, above what is seen of the line


def test_labels_do_not_cover_each_other() -> None:
    frame = make_frame()
    lines = [
        Mark(MarkKind.LINE, at(frame, (300 + k, 380, 4.0), (330 + k, 380, 4.0)), f"{k}.00 m")
        for k in range(3)
    ]
    together = np.count_nonzero(changed(frame, *lines))
    alone = [np.count_nonzero(changed(frame, line)) for line in lines]
    assert together > 1.8 * max(alone)


def test_every_mark_can_be_drawn_on_every_size() -> None:
    for size in ((32, 24), (1920, 1440)):
        frame = make_frame(*size)
        points = np.array([[-1.0, 0.5, 2.0], [1e4, -0.5, 0.2], [1.0, 3.0, -5.0]])
        marks = [Mark(kind, points[:2] if kind is MarkKind.ARROW else points, "1 m", (12, 2, 60))
                 for kind in MarkKind]  # fmt: skip
        assert draw_answer(frame, "?", marked(frame, *marks)).shape[1] == size[0]


@pytest.mark.parametrize("side", [Side.LEFT, Side.RIGHT])
def test_arrow_points_to_the_side_that_was_answered_even_if_wrong(side: Side) -> None:
    frame = make_frame()
    image = draw_answer(frame, "?", make_answer(frame, Category.LEFT_RIGHT, (60, 12), side=side))
    heads = {
        Side.LEFT: share_of(image, WHITE, Box(425, 205, 16, 30)),
        Side.RIGHT: share_of(image, WHITE, Box(500, 205, 16, 30)),
    }
    assert max(heads, key=lambda end: heads[end]) is side


@pytest.mark.parametrize(
    ("category", "fields", "ticked"),
    [
        (Category.MCQ, {"region_id": 12}, [12]),
        (Category.COUNT, {"value": 2.0, "answer_ids": (12, 60)}, [12, 60]),
        (Category.COUNT, {"value": 0.0}, []),
    ],
)
def test_chosen_and_counted_regions_are_ticked_and_rimmed(
    category: Category, fields: dict, ticked: list[int]
) -> None:
    frame = make_frame()
    image = draw_answer(frame, "?", make_answer(frame, category, (80, 12, 60), **fields))
    green = np.all(image[:480] == GREEN, axis=-1)
    for id in (80, 12, 60):
        box = BOXES[id][1]
        near = np.s_[max(0, box.y - 40) : box.y + box.height + 10, box.x : box.x + box.width + 30]
        assert (np.count_nonzero(green[near]) > 300) == (id in ticked)
        green[near] = False


def test_refusal_stands_in_red_with_its_status() -> None:
    frame = make_frame()
    question = SpatialQuestion(Category.DISTANCE, "<mask> <mask>", (12, 99))
    error = SpatialError(Status.UNKNOWN_REGION, "region 99 is not in this frame")
    image = draw_answer(frame, question.text, SpatialAnswer.refusal(error, question))
    answered = draw_answer(frame, "?", make_answer(frame, Category.COUNT, (10, 2), value=1.0))
    redder = (
        caption[480:, :, 0].astype(int) - caption[480:, :, 1] for caption in (image, answered)
    )
    refusal, answer = redder
    assert refusal.max() > 60
    assert refusal.min() > -20
    assert answer.min() < -40
    longer = SpatialError(Status.UNKNOWN_REGION, "region 99 is not in this frame " * 8)
    grown = draw_answer(frame, question.text, SpatialAnswer.refusal(longer, question))
    assert grown.shape[0] > image.shape[0]
    endless = SpatialError(Status.UNKNOWN_REGION, "region 99 is not in this frame " * 500)
    cut = draw_answer(frame, question.text, SpatialAnswer.refusal(endless, question))
    assert cut.shape[0] < 480 + 200


def test_without_words_the_caption_says_what_was_understood() -> None:
    frame = make_frame()
    typed = make_answer(frame, Category.LEFT_RIGHT, (60, 12), side=Side.LEFT)
    read = replace(typed, understood="Is transporter 60 left or right of pallet 12?")
    assert draw_answer(frame, "", read).shape[0] > draw_answer(frame, "", typed).shape[0]
    assert np.array_equal(draw_answer(frame, "", read), draw_answer(frame, read.understood, typed))


def test_refusal_before_the_question_was_read_shows_all_regions() -> None:
    frame = make_frame()
    refusal = SpatialAnswer.refusal(bad_question("what?"))
    image = draw_answer(frame, "bla", refusal)
    assert np.array_equal(image[:480], draw_regions(frame))


@pytest.mark.parametrize("size", [(32, 24), (320, 240), (1920, 1440)])
def test_every_image_size_can_be_drawn(size: tuple[int, int]) -> None:
    frame = make_frame(*size)
    for category in Category:
        answer = make_answer(frame, category, (12, 2), value=1.0, region_id=12, side=Side.LEFT)
        image = draw_answer(frame, "How far? " * 40, answer)
        assert image.shape[1] == size[0]
        assert image.shape[0] > size[1]


def test_text_that_the_font_lacks_does_no_harm() -> None:
    frame = make_frame()
    answer = make_answer(frame, Category.COUNT, (10, 2), value=1.0)
    for text in ("", "\n\t", "Wo ist 托盘 №7?", "x" * 2000, "\x00\x07"):
        assert draw_answer(frame, text, answer).shape[0] > 480


def test_names_keep_clear_of_each_other() -> None:
    frame = make_frame()
    regions = [Region.from_box(100 + i, "pallet", Box(300 + 25 * i, 200, 30, 30)) for i in range(8)]
    canvas = Canvas(frame.rgb)
    for region in regions:
        canvas.name(region, NAME)
    assert len(canvas.occupied) == 8
    for first, second in combinations(canvas.occupied, 2):
        apart_x = first.x + first.width <= second.x or second.x + second.width <= first.x
        apart_y = first.y + first.height <= second.y or second.y + second.height <= first.y
        assert apart_x or apart_y
        assert first.fits((480, 640))


def test_names_without_a_place_are_skipped_unless_required() -> None:
    canvas = Canvas(np.zeros((16, 40, 3), np.uint8))
    region = Region.from_box(100, "transporter", Box(0, 0, 40, 16))
    for required in (True, False, True):
        canvas.name(region, NAME, required)
    assert len(canvas.occupied) == 2


def test_wrapped_lines_fit_and_say_when_they_are_cut() -> None:
    text = "How many pallets stand in the buffer that is nearest to the empty transporter?"
    lines = wrap(text, 0.5, 200, 10)
    assert " ".join(lines) == text
    assert all(text_size(line, 0.5)[0] <= 200 for line in lines)
    cut = wrap(text, 0.5, 200, 2)
    assert len(cut) == 2
    assert cut[1].endswith("...")
    assert text_size(cut[1], 0.5)[0] <= 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "How far is <mask>\n from <mask> and <mask>?",
            "How far is pallet 12 from buffer 2 and region 99?",
        ),
        (
            "How far is the pallet <mask> from the buffer zone <mask> and region <mask>?",
            "How far is the pallet 12 from the buffer zone 2 and region 99?",
        ),
        ("<mask> <mask> <mask>", "pallet 12 buffer 2 region 99"),
    ],
)
def test_placeholders_become_names(text: str, expected: str) -> None:
    assert name_regions(text, (12, 2, 99), make_frame().regions) == expected
