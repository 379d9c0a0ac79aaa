"""What is computed once stays; what does not fit into memory goes; threads do not meet."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame

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
    width = engine.model.config.text_config.hidden_size
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
