"""Color alone becomes a frame, stage by stage."""

from __future__ import annotations

from concurrent.futures import CancelledError
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import encode_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.frame_files import FrameModels, OnStage
from smolrgpt_core.page.library import MAX_SIDE, Library
from smolrgpt_core.page.photograph import (
    MAX_WAITING,
    Photograph,
    PhotographCancelledError,
    PhotographQueue,
)
from smolrgpt_core.page.uploads import UploadedFile
from smolrgpt_core.perception.depth import load_depth_estimator

PATIENCE_S = 60.0


class SlowWork:
    """Two stages, the first of which lasts until it is let go."""

    def __init__(self, frame: RGBDFrame) -> None:
        self._frame = frame
        self.has_begun, self.may_end = Event(), Event()

    def photograph(self) -> Photograph:
        return Photograph("slow", ("first", "second"), self._make)

    def _make(self, on_stage: OnStage) -> RGBDFrame:
        on_stage("first")
        self.has_begun.set()
        assert self.may_end.wait(PATIENCE_S)
        on_stage("second")
        return self._frame


@pytest.fixture
def slow(frame: RGBDFrame) -> SlowWork:
    return SlowWork(frame)


def test_stages_tell_how_far_a_frame_is(slow: SlowWork, frame: RGBDFrame) -> None:
    made = PhotographQueue().add(slow.photograph())
    assert slow.has_begun.wait(PATIENCE_S)
    first, second = made.stages()
    assert first.is_running
    assert second.seconds is None
    slow.may_end.set()
    assert made.frame(0) is frame
    assert [stage.is_running for stage in made.stages()] == [False, False]
    assert made.stages() == made.stages(), "the time stands still"


def test_what_is_cancelled_ends_before_its_next_stage(slow: SlowWork) -> None:
    queue = PhotographQueue()
    running, waiting = queue.add(slow.photograph()), queue.add(slow.photograph())
    assert slow.has_begun.wait(PATIENCE_S)
    running.cancel()
    waiting.cancel()
    slow.may_end.set()
    with pytest.raises(PhotographCancelledError):
        running.frame(0)
    assert running.stages()[1].seconds is None
    with pytest.raises(CancelledError):
        waiting.frame(0)


def test_only_some_may_wait(slow: SlowWork) -> None:
    queue = PhotographQueue()
    added = [queue.add(slow.photograph()) for _ in range(MAX_WAITING + 1)]
    with pytest.raises(SpatialError, match="try again later") as refused:
        queue.add(slow.photograph())
    assert refused.value.status == Status.BUSY
    for photograph in added[1:]:
        photograph.cancel()
    queue.add(slow.photograph())
    queue.close()
    slow.may_end.set()


def test_a_stage_that_fails_is_reported_by_name() -> None:
    def make(on_stage: OnStage) -> RGBDFrame:
        on_stage("Find the objects")
        raise RuntimeError("out of memory\nmore")

    made = PhotographQueue().add(Photograph("broken", ("Find the objects",), make))
    with pytest.raises(SpatialError, match=r"Find the objects failed .*out of memory\)") as told:
        made.frame(0)
    assert told.value.status == Status.MODEL_ERROR


def test_color_alone_is_a_frame_with_models(photograph: Path, depth_model: Path) -> None:
    """The tiny model estimates a focal length; the segmenter of the package finds the objects."""
    library = Library((), FrameModels(str(depth_model)))
    sent = {"rgb": UploadedFile("mine.png", photograph.read_bytes())}
    made = library.photograph(sent, (None,) * 4)
    found = made.frame(0)
    assert [stage.name for stage in made.stages()] == [
        "Read the image", "Load the depth model", "Estimate the depth",
        "Load the model of objects", "Find the objects",
    ]  # fmt: skip
    assert "depth estimated by depth_model" in made.name
    assert "objects found by the segmenter of the package" in made.name
    estimate = load_depth_estimator(depth_model).estimate(found.rgb)
    known = np.isfinite(found.depth)
    assert known.mean() > 0.2
    assert np.array_equal(found.depth[known], estimate.depth[known])
    assert found.intrinsics == estimate.intrinsics
    assert len(found.regions) > 3


def test_a_phone_photograph_is_turned_upright_and_reduced(depth_model: Path) -> None:
    """The flag of the file says that it lies on its side."""
    lying = np.zeros((3000, 4000, 3), np.uint8)
    lying[:, :2000, 0] = 255
    content = encode_image(lying, ".jpg")
    flag = bytes.fromhex(
        "ffe1 0022 457869660000 4d4d002a00000008 0001 0112 0003 00000001 00060000 00000000"
    )
    turned = content[:2] + flag + content[2:]
    library = Library((), FrameModels(str(depth_model)))
    sent = {"rgb": UploadedFile("phone.jpg", turned)}
    camera = (3000.0, 3000.0, 1499.5, 1999.5)
    found = library.photograph(sent, camera).frame(0)
    assert found.rgb.shape == (MAX_SIDE, MAX_SIDE * 3 // 4, 3)
    assert found.rgb[:700, :, 0].min() > 200, "what was left is above"
    assert found.rgb[900:, :, 0].max() < 50
    scale = MAX_SIDE / 4000
    assert found.intrinsics.fx == pytest.approx(3000 * scale)
    assert found.intrinsics.cy == pytest.approx((MAX_SIDE - 1) / 2)


def test_a_model_that_cannot_be_used_is_reported(photograph: Path) -> None:
    sent = {"rgb": UploadedFile("mine.png", photograph.read_bytes())}
    made = Library((), FrameModels("/nowhere/at/all")).photograph(sent, (None,) * 4)
    with pytest.raises(SpatialError, match="/nowhere/at/all"):
        made.frame(0)
    assert [stage.seconds is None for stage in made.stages()] == [False, False, True, True, True]
