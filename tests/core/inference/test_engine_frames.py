"""What is computed once stays; what does not fit into memory goes; threads do not meet."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.regions import Box, Region, RegionSet

QUESTION = ("How far is <mask> from <mask>?", (13, 15))
OTHER = ("How far is <mask> from <mask>?", (13, 2))


@pytest.fixture
def encoded(model):
    """A list that grows by one with every picture that goes through the vision encoder."""
    pictures = []
    model.model.vision_model.register_forward_hook(lambda *_: pictures.append(1))
    return pictures


@pytest.fixture
def pooled(model, monkeypatch):
    """Numbers of masks that were pooled, in order."""
    counts = []
    pool = model.model.pool_regions

    def counted(tokens, masks, modality):
        counts.append(len(masks[0]))
        return pool(tokens, masks, modality)

    monkeypatch.setattr(model.model, "pool_regions", counted)
    return counts


def test_a_frame_is_encoded_once(make_engine, frames, encoded):
    engine = make_engine()
    engine.set_frame(frames[0])
    engine.ask([QUESTION])
    engine.ask([QUESTION, OTHER])
    engine.set_frame(frames[1])
    latency = engine.set_frame(frames[0])
    assert len(encoded) == 4
    assert "encode" not in latency
    assert "prefix" not in latency


def test_a_region_is_refined_once(make_engine, frames, pooled):
    engine = make_engine()
    engine.ask([QUESTION], frame=frames[0])
    engine.ask([QUESTION, OTHER], frame=frames[0])
    engine.ask([OTHER], frame=frames[0])
    assert pooled == [2, 2, 1, 1]


def test_no_more_frames_are_cached_than_wanted(make_engine, frames, encoded):
    engine = make_engine(cache_frames=2)
    for frame in (frames[0], frames[1], frames[2]):
        engine.ask([QUESTION], frame=frame)
    assert engine.cached_frames == 2
    encoded.clear()
    engine.ask([QUESTION], frame=frames[2])
    assert not encoded
    engine.ask([QUESTION], frame=frames[0])
    assert encoded


def test_the_memory_bound_holds_and_the_oldest_use_goes(make_engine, frames, encoded):
    engine = make_engine()
    sizes = []
    for frame in frames:
        engine.ask([QUESTION], frame=frame)
        sizes.append(engine.cached_bytes)
    # Room for all but a byte: using the first makes the second the oldest.
    small = make_engine(cache_bytes=sizes[-1] - 1)
    for frame in (frames[0], frames[1], frames[0], frames[2]):
        small.ask([QUESTION], frame=frame)
    assert small.cached_frames == 2
    assert small.cached_bytes <= sizes[-1] - 1
    encoded.clear()
    small.ask([QUESTION], frame=frames[0])
    assert not encoded
    small.ask([QUESTION], frame=frames[1])
    assert len(encoded) == 2


def test_regions_count_as_memory(make_engine, frames):
    engine = make_engine()
    engine.set_frame(frames[0])
    before = engine.cached_bytes
    assert before > frames[0].rgb.nbytes + frames[0].depth.nbytes
    engine.ask([QUESTION])
    width = engine.steps.model.config.text_config.hidden_size
    assert engine.cached_bytes == before + 2 * 2 * width * 4


def test_without_a_frame_the_next_step_is_named(make_engine, frames):
    engine = make_engine()
    with pytest.raises(RuntimeError, match=r"set with \.set_frame\(frame\) before \.ask"):
        engine.ask([QUESTION])
    engine.set_frame(frames[0])
    engine.clear()
    assert engine.cached_bytes == 0
    with pytest.raises(RuntimeError, match="set_frame"):
        engine.ask([QUESTION])


def test_a_frame_that_cannot_be_encoded_leaves_none_set(make_engine, frames):
    good = frames[0]
    blind = RGBDFrame(good.rgb, np.full_like(good.depth, np.nan), good.intrinsics, good.regions)
    engine = make_engine()
    engine.set_frame(good)
    with pytest.raises(SpatialError) as caught:
        engine.set_frame(blind)
    assert caught.value.status is Status.NO_VALID_DEPTH
    with pytest.raises(RuntimeError, match="set_frame"):
        engine.ask([QUESTION])
    assert engine.ask([QUESTION], frame=good)


def test_single_missing_readings_are_no_obstacle(make_engine, frames):
    good = frames[0]
    depth = good.depth.copy()
    depth[::3] = np.nan
    engine = make_engine()
    engine.set_frame(RGBDFrame(good.rgb, depth, good.intrinsics, good.regions))
    (answer,) = engine.ask([QUESTION])
    assert 0 < answer.confidence <= 1


def test_threads_get_the_answers_of_their_own_frame(make_engine, frames):
    engine = make_engine(cache_bytes=0)
    expected = [engine.ask([QUESTION, OTHER], frame=frame) for frame in frames]
    with ThreadPoolExecutor(4) as threads:
        jobs = [
            (place, threads.submit(engine.ask, [QUESTION, OTHER], frame=frames[place]))
            for place in [0, 1, 2] * 4
        ]
        for place, job in jobs:
            answers = [answer.token_ids for answer in job.result()]
            assert answers == [answer.token_ids for answer in expected[place]]


@pytest.fixture
def large_frame() -> RGBDFrame:
    """4K, a grid of 64 regions, and depth that is missing in every second row."""
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (2160, 3840, 3), dtype=np.uint8)
    depth = random.uniform(1, 20, (2160, 3840)).astype(np.float32)
    depth[::2] = np.nan
    regions = [
        Region.from_box(100 + place, "pallet", Box(480 * column, 270 * row, 300, 200))
        for place, (row, column) in enumerate(np.ndindex(8, 8))
    ]
    intrinsics = CameraIntrinsics.from_vertical_fov(3840, 2160, 60.0)
    return RGBDFrame(rgb, depth, intrinsics, RegionSet((2160, 3840), tuple(regions)))


def test_a_4k_frame_and_64_regions_in_one_question(make_engine, generate, large_frame):
    ids = tuple(region.id for region in large_frame.regions)
    question = ("Which of " + "<mask> " * len(ids) + "is nearest?", ids)
    (answer,) = make_engine().ask([question], "sentence", frame=large_frame)
    assert list(answer.token_ids) == generate(large_frame, *question)[0]


def test_a_frame_without_regions(make_engine, generate, frames):
    bare = RGBDFrame(
        frames[0].rgb, frames[0].depth, frames[0].intrinsics, RegionSet(frames[0].depth.shape, ())
    )
    engine = make_engine()
    engine.set_frame(bare)
    (answer,) = engine.ask(["What do you see?"], "sentence")
    assert list(answer.token_ids) == generate(bare, "What do you see?", ())[0]
    with pytest.raises(SpatialError) as caught:
        engine.ask([QUESTION])
    assert caught.value.status is Status.UNKNOWN_REGION


def test_a_mask_of_one_pixel_survives_pooling_by_area(
    make_engine, generate, processor, frames, monkeypatch
):
    good = frames[0]
    dot = Region.from_box(7, "pallet", Box(0, 0, 1, 1))
    regions = RegionSet(good.regions.image_size, (*good.regions, dot))
    frame = RGBDFrame(good.rgb, good.depth, good.intrinsics, regions)
    monkeypatch.setattr(processor.config, "mask_pooling", "area")
    question = ("How far is <mask> from <mask>?", (13, 7))
    (answer,) = make_engine().ask([question], "sentence", frame=frame)
    assert list(answer.token_ids) == generate(frame, *question)[0]
    other = ("How far is <mask> from <mask>?", (13, 15))
    assert list(answer.token_ids) != generate(frame, *other)[0]
