"""Other views of rows: what stays true, what is drawn, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smolrgpt_core.answer import DISTANCE_TOLERANCE, Side, SpatialAnswer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.data.readers import DatasetConfig, Order, SampleIterator, open_dataset
from smolrgpt_core.data.samples import Conversation, DepthFile
from smolrgpt_core.data.warehouse_format import HUMAN, MODEL, Turn
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.label_rules import class_in
from smolrgpt_core.language import CATEGORIES, MASK, read_question
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.simulated_data.randomization import CameraRandomization, Randomization
from smolrgpt_core.simulated_data.run import SimulationRun
from smolrgpt_core.simulated_data.scenes import SimulationSettings
from smolrgpt_core.training.augmentation import Augmentation, View
from smolrgpt_core.training.config import AugmentationConfig
from smolrgpt_core.training.mirrored_text import mirrored, mirrored_words
from smolrgpt_core.training.rows import Row

OPPOSITE = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT, Side.NONE: Side.NONE}


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list[Row]:
    """Rows of simulated warehouses, each about one image with all of its questions."""
    root = tmp_path_factory.mktemp("hall") / "hall"
    camera = CameraRandomization(width=256, height=192)
    settings = SimulationSettings(
        randomization=Randomization(camera=camera), scenes=2, seed=4, views=2, questions=8
    )
    run = SimulationRun(settings, root)
    with run.locked():
        list(run.make_scenes(1))
        run.finish()
    dataset = open_dataset(DatasetConfig("warehouse", root), group_by_image=True)
    samples = list(SampleIterator(dataset, Order()))
    return [Row(sample, sample.conversations, draws=(0, 0, n)) for n, sample in enumerate(samples)]


def camera_of(row: Row) -> CameraIntrinsics:
    assert row.sample.camera is not None
    return row.sample.camera.intrinsics


def depth_of(row: Row) -> DepthFile:
    assert row.sample.depth is not None
    return row.sample.depth


def answers(row: Row) -> list[SpatialAnswer]:
    """What geometry alone says to each question of a row."""
    sample = row.sample
    answerer = GeometricAnswerer()
    said = []
    for item in row.conversations:
        question = item.turns[0].text
        labels = dict(zip(item.mask_indices, mask_labels(question), strict=True))
        regions = [
            Region.from_rle(i, class_in(label) or label, sample.rle[i])
            for i, label in labels.items()
        ]
        image = sample.image.read()
        frame = RGBDFrame(
            image,
            depth_of(row).read_meters(),
            camera_of(row),
            RegionSet(image.shape[:2], tuple(regions)),
        )
        asked = read_question(question, frame.regions, CATEGORIES[item.category], item.mask_indices)
        try:
            said.append(answerer.answer(frame, asked))
        except SpatialError as error:
            said.append(SpatialAnswer.refusal(error, asked))
    return said


def value(answer: SpatialAnswer) -> float:
    return answer.value or 0.0


def confidence(*answers: SpatialAnswer) -> float:
    """Of the one that is an answer."""
    return max(answer.confidence for answer in answers if answer.status is Status.OK)


@pytest.fixture(scope="module")
def answers_of_rows(rows) -> list[list[SpatialAnswer]]:
    """To the questions of each row as it is."""
    return [answers(row) for row in rows]


def test_geometry_gives_the_exchanged_answers_to_mirrored_rows(rows, answers_of_rows):
    flip = Augmentation(AugmentationConfig(flip=1.0))
    sides = compared = 0
    for row, unchanged in zip(rows, answers_of_rows, strict=True):
        seen = flip.row(row)
        assert np.array_equal(seen.sample.image.read(), row.sample.image.read()[:, ::-1])
        for before, after, item, changed in zip(
            unchanged, answers(seen), row.conversations, seen.conversations, strict=True
        ):
            assert changed.mask_indices == item.mask_indices
            swapped = {"left": "right", "right": "left"}
            truth = item.normalized_answer
            assert changed.normalized_answer == swapped.get(truth, truth)
            # Boxes are fitted to pixels drawn at random: near its limit geometry may not answer.
            if before.status is after.status is Status.OK:
                assert after.region_id == before.region_id
                assert after.side is OPPOSITE[before.side]
                assert value(after) == pytest.approx(value(before), rel=DISTANCE_TOLERANCE)
                sides += before.side is not Side.NONE
                compared += 1
            else:
                assert before.status is after.status or confidence(before, after) < 0.85
    assert sides > 2
    assert compared > 10


def test_points_of_regions_are_mirrored_exactly(rows):
    row, seen = rows[0], Augmentation(AugmentationConfig(flip=1.0)).row(rows[0])
    for index in {i for item in row.conversations for i in item.mask_indices}:
        before, after = points(row, index), points(seen, index)
        np.testing.assert_allclose(after[:, ::-1], before * [-1, 1, 1], atol=1e-6)


def points(row: Row, index: int) -> np.ndarray:
    """Back-projected pixels (H, W, 3) of a mask, NaN elsewhere."""
    camera, depth = camera_of(row), depth_of(row).read_meters().astype(np.float64)
    grid = np.indices(depth.shape)
    across, down = (grid[1] - camera.cx) / camera.fx, (grid[0] - camera.cy) / camera.fy
    rays = np.stack([across, down, np.ones(depth.shape)], axis=-1)
    return np.where(row.sample.mask(index), depth, np.nan)[..., None] * rays


def test_distances_stay_what_they_are_in_cut_and_scaled_rows(rows, answers_of_rows):
    cut = Augmentation(AugmentationConfig(crop=1.0, scale=1.0, scales=(0.8, 1.2)))
    compared = 0
    for row, unchanged in zip(rows, answers_of_rows, strict=True):
        seen = cut.row(row)
        camera = camera_of(seen)
        assert seen.sample.image.read().shape == (camera.height, camera.width, 3)
        assert seen.conversations == row.conversations
        for before, after in zip(unchanged, answers(seen), strict=True):
            if before.status is after.status is Status.OK:
                assert (after.region_id, after.side) == (before.region_id, before.side)
                # What is measured at the border of a mask moves with the resolution.
                assert value(after) == pytest.approx(value(before), rel=DISTANCE_TOLERANCE, abs=0.1)
                compared += 1
    assert compared > 10


def test_a_view_maps_pixels_and_rays_alike(rows):
    camera = camera_of(rows[0])
    view = View((camera.width, camera.height), (32, 20, 232, 180), (100, 80), is_flipped=True)
    seen = view.camera(camera)
    columns = np.broadcast_to(np.arange(camera.width, dtype=np.float32), (192, 256))
    rays = (columns - camera.cx) / camera.fx
    # Every pixel of the view shows what lies on its own mirrored ray, to half a pixel.
    expected = -(np.arange(100) - seen.cx) / seen.fx
    found = view.nearest(rays.astype(np.float32))[0]
    assert np.abs(found - expected).max() <= 1.01 / camera.fx


def test_what_is_drawn_follows_from_the_row_alone(rows):
    config = AugmentationConfig(flip=0.5, crop=0.5, scale=0.5, depth_noise=0.02, missing_depth=0.1)
    once, again = ([Augmentation(config).row(row) for row in rows] for _ in range(2))
    for one, two in zip(once, again, strict=True):
        assert one.conversations == two.conversations
        assert np.array_equal(depth_of(one).read(), depth_of(two).read())
        assert one.sample.rle == two.sample.rle
    flipped = [one.conversations != row.conversations for one, row in zip(once, rows, strict=True)]
    assert 0 < sum(flipped) < len(rows)
    other = Augmentation(config).row(replace(rows[0], draws=(9, 9, 9)))
    assert not np.array_equal(
        depth_of(Augmentation(config).row(rows[0])).read(), depth_of(other).read()
    )


def test_noise_grows_with_depth_and_makes_no_readings(rows):
    row = rows[0]
    before = depth_of(row).read().astype(float)
    after = depth_of(Augmentation(AugmentationConfig(depth_noise=0.02)).row(row)).read()
    assert np.array_equal(after == 0, before == 0)
    measured = before > 0
    shares = after[measured] / before[measured]
    assert np.std(shares) == pytest.approx(0.02, rel=0.1)
    lost = depth_of(Augmentation(AugmentationConfig(missing_depth=0.2)).row(row)).read()
    assert np.mean((lost == 0) & measured) == pytest.approx(0.2, abs=0.05)


def talk(question: str, answer: str, category: str = "left_right", value: str = "") -> Conversation:
    turns = (Turn(HUMAN, question), Turn(MODEL, answer))
    return Conversation("a", turns, tuple(range(question.count(MASK))), category, value)


@pytest.mark.parametrize(
    ("question", "answer", "mirrored_question", "mirrored_answer"),
    [
        ("Is the pallet <mask> left or right of the pallet <mask>?", "left",
         "Is the pallet <mask> left or right of the pallet <mask>?", "right"),
        ("Is the pallet <mask> to the left of the pallet <mask>?", "Yes, it is on its left.",
         "Is the pallet <mask> to the right of the pallet <mask>?", "Yes, it is on its right."),
        ("Which of the pallets <mask> <mask> is the second from the left?", "1",
         "Which of the pallets <mask> <mask> is the second from the right?", "1"),
        ("How far is the box <mask> from the box <mask>? Answer with the value only.", "3.42",
         "How far is the box <mask> from the box <mask>? Answer with the value only.", "3.42"),
    ],
)  # fmt: skip
def test_left_and_right_are_exchanged(question, answer, mirrored_question, mirrored_answer):
    changed = mirrored(talk(question, answer))
    assert changed is not None
    assert [turn.text for turn in changed.turns] == [mirrored_question, mirrored_answer]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("At which clock position is the pallet <mask>?", "At 3 o'clock."),
        ("Where is the pallet <mask>?", "It is 1.20 m right and 3.00 m ahead."),
        ("What is the depth at pixel (10, 20)?", "3.2 meters"),
        ("What does the sign read?", "Keep left"),
        ("How far is the pallet <mask> from the pallet <mask>?", "Right now 3 meters."),
        ("How many of the pallets <mask> <mask> do you see?", "There are 2 left."),
        ("Describe the image.", "A forklift on the left."),
    ],
)
def test_what_cannot_be_mirrored_safely_is_left_alone(rows, question, answer):
    item = talk(question, answer)
    assert mirrored(item) is None
    row = replace(rows[0], conversations=(item, *rows[0].conversations))
    seen = Augmentation(AugmentationConfig(flip=1.0)).row(row)
    assert seen.conversations == row.conversations
    assert np.array_equal(seen.sample.image.read(), row.sample.image.read())


def test_words_keep_their_case():
    assert mirrored_words("LEFT, Leftmost, bright, left or right, right-hand") == (
        "RIGHT, Rightmost, bright, left or right, left-hand"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "changes nothing"),
        ({"flip": 1.5}, r"augmentation\.flip"),
        ({"scale": 1.0, "scales": (2.0, 1.0)}, r"augmentation\.scales"),
        ({"depth_noise": 0.5}, r"augmentation\.depth_noise"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SpatialError, match=message):
        AugmentationConfig(**settings)


def test_a_row_without_regions_is_not_augmented(rows):
    caption = Conversation("c", (Turn(HUMAN, "Describe the image."), Turn(MODEL, "A hall.")))
    row = replace(rows[0], conversations=(caption,), inputs="rgb")
    assert Augmentation(AugmentationConfig(crop=1.0, scale=1.0)).row(row) is row


def test_paths_stay_for_error_messages(rows):
    seen = Augmentation(AugmentationConfig(flip=1.0)).row(rows[0])
    assert isinstance(seen.sample.image.path, Path)
    assert seen.sample.image.path == rows[0].sample.image.path
