"""What is taken away is gone, and nothing else is."""

import numpy as np
import pytest

from smolrgpt_core.data.record_frames import AskedRecord
from smolrgpt_core.data.warehouse_format import WarehouseRecord
from smolrgpt_core.evaluation.ablations import ABLATIONS, FLAT_DEPTH_M, GRAY
from smolrgpt_core.evaluation.predictions import AnswererChoice
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.language import Category, SpatialQuestion
from smolrgpt_core.regions import Box, Region, RegionSet

HEIGHT, WIDTH = 20, 30


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    regions = tuple(
        Region(id, "pallet", Box(3 * id, id, 2, 4), np.ones((4, 2), dtype=bool))
        for id in (1, 2, 5, 7)
    )
    return RGBDFrame(
        rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8),
        rng.uniform(1, 9, (HEIGHT, WIDTH)).astype(np.float32),
        CameraIntrinsics(WIDTH, HEIGHT, 30.0, 30.0, 14.5, 9.5),
        RegionSet((HEIGHT, WIDTH), regions),
    )


@pytest.fixture
def asked():
    question = SpatialQuestion(Category.DISTANCE, "How far is <mask> from <mask>?", (1, 5))
    record = WarehouseRecord("a", "a.png", (), (), "distance", "", "")
    return [AskedRecord(record, (1, 5), question), AskedRecord(record, (1, 5))]


def parts(frame, asked):
    return {
        "image": frame.rgb.tobytes(),
        "depth": frame.depth.tobytes(),
        "masks": [(region.box, region.mask.shape) for region in frame.regions],
        "words": [item.question.text for item in asked if item.question],
    }


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("no_image", {"image"}),
        ("no_depth", {"depth"}),
        ("no_masks", {"masks"}),
        ("shuffled_masks", {"masks"}),
        ("question_only", {"image", "depth", "masks"}),
        ("no_words", {"words"}),
    ],
)
def test_what_is_taken_away_is_gone_and_nothing_else(frame, asked, name, gone):
    before, after = parts(frame, asked), parts(*ABLATIONS[name](frame, asked))
    changed = {key for key in before if before[key] != after[key]}
    assert changed == gone
    assert [region.id for region in ABLATIONS[name](frame, asked)[0].regions] == [1, 2, 5, 7]


def test_all_ablations_are_tested_above():
    assert len(ABLATIONS) == 6


def test_ablated_inputs_carry_no_information(frame, asked):
    bare, _ = ABLATIONS["question_only"](frame, asked)
    assert np.unique(bare.rgb).tolist() == [GRAY]
    assert np.unique(bare.depth).tolist() == [FLAT_DEPTH_M]
    assert all(region.mask.all() and region.area == HEIGHT * WIDTH for region in bare.regions)
    shuffled, _ = ABLATIONS["shuffled_masks"](frame, asked)
    for region in shuffled.regions:
        assert region.box != frame.regions[region.id].box
    assert {region.box for region in shuffled.regions} == {r.box for r in frame.regions}
    _, wordless = ABLATIONS["no_words"](frame, asked)
    assert wordless[0].question is not None
    assert wordless[0].question.text == "<mask> <mask>?"
    assert wordless[0].question.region_ids == (1, 5)


def test_an_unknown_ablation_is_refused():
    with pytest.raises(ValueError, match="no_image, no_depth"):
        AnswererChoice("geometric", ablation="no_wheels")
