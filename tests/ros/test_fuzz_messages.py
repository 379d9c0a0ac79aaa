"""Whatever arrives on a topic: core types that hold what they promise, or BAD_INPUT. No graph."""

from __future__ import annotations

import array
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import event, given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from smolrgpt_ros.msg import Region as RegionMessage
from smolrgpt_ros.msg import RegionArray
from smolrgpt_ros.msg import SpatialAnswer as SpatialAnswerMessage
from std_msgs.msg import Header

from smolrgpt_core.answer import Agreement, Side, SpatialAnswer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.errors import Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.language import Category, read_question
from smolrgpt_core.messages.answers import answer_from_message
from smolrgpt_core.messages.camera_info import intrinsics_from_camera_info
from smolrgpt_core.messages.encodings import (
    COLOR_ENCODINGS,
    DEPTH_ENCODINGS,
    INSTANCE_ENCODINGS,
    MASK_ENCODINGS,
    rgb_pixels,
)
from smolrgpt_core.messages.input_stamps import StampedMessage
from smolrgpt_core.messages.reading import (
    alignment_warnings,
    depth_from_image,
    frame_from_messages,
    regions_from_array,
    regions_from_instances,
)
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.messages.stamps import read_stamp_ns, time_to_ns, without_stamp
from smolrgpt_core.messages.synchronizer import Moment
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_ros.inputs.frame_decoder import FrameDecoder
from smolrgpt_ros.messages.conversions import (
    answer_to_message,
    image_to_message,
    intrinsics_to_camera_info,
    regions_to_array,
    time_from_ns,
)

BAD_INPUT = {Status.BAD_INPUT}
HEIGHT, WIDTH = 12, 16
NO_LABELS = InstanceLabels()

bytes_per_pixel = st.sampled_from([1, 2, 3, 4, 6, 8])
sizes = st.integers(0, 9) | st.sampled_from([HEIGHT, WIDTH, 2**16, 2**31, 2**32 - 1])
small = st.integers(0, 9)
encodings = st.sampled_from([*COLOR_ENCODINGS, *DEPTH_ENCODINGS, *INSTANCE_ENCODINGS]) | st.text(
    max_size=6
)
any_float = st.floats()
plausible = st.sampled_from([0.0, 1.0, 10.0, 320.0]) | any_float
# What DDS carries: no halves of surrogate pairs, and nothing after a NUL.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
headers = st.builds(
    Header,
    stamp=st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, 2**32 - 1)),
    frame_id=texts,
)


def filled(seed: bytes, size: int) -> array.array:
    """`size` bytes that repeat the seed."""
    return array.array("B", (seed * (size // max(len(seed), 1) + 1))[:size])


@st.composite
def images(
    draw: st.DrawFn,
    encoding: st.SearchStrategy[str] = encodings,
    height: st.SearchStrategy[int] = small,
    width: st.SearchStrategy[int] = small,
) -> Image:
    """Mostly consistent: then one of size, step and amount of data is not."""
    image = Image(
        header=draw(headers), encoding=draw(encoding), is_bigendian=draw(st.integers(0, 2))
    )
    image.height, image.width = draw(height), draw(width)
    image.step = image.width * draw(bytes_per_pixel) + draw(st.sampled_from([0, 0, 0, 1, 7]))
    amount = min(image.step * image.height, 4096) + draw(st.sampled_from([0, 0, 0, -1, 5]))
    image.data = filled(draw(st.binary(min_size=1, max_size=24)), max(amount, 0))
    wrong = draw(st.sampled_from(["", "", "", "height", "width", "step"]))
    if wrong:
        setattr(image, wrong, draw(sizes))
    return image


camera_infos = st.builds(
    CameraInfo,
    header=headers,
    width=sizes,
    height=sizes,
    k=st.lists(plausible, min_size=9, max_size=9),
    p=st.lists(plausible, min_size=12, max_size=12) | st.just([0.0] * 12),
    d=st.lists(any_float, max_size=8),
)


@st.composite
def region_messages(draw: st.DrawFn) -> RegionMessage:
    mask = draw(images(encoding=st.sampled_from(MASK_ENCODINGS) | encodings))
    box = RegionOfInterest(
        x_offset=draw(sizes), y_offset=draw(sizes), height=mask.height, width=mask.width
    )
    if not draw(st.integers(0, 4)):
        box.width = draw(sizes)
    return RegionMessage(
        id=draw(small | st.integers(0, 2**32 - 1)),
        label=draw(texts),
        score=draw(st.floats(0, 1, width=32) | st.floats(width=32)),
        box=box,
        mask=mask,
    )


region_arrays = st.builds(
    RegionArray,
    header=headers,
    image_height=st.just(40) | sizes,
    image_width=st.just(40) | sizes,
    regions=st.lists(region_messages(), max_size=3),
)


def check_regions(regions: RegionSet) -> None:
    ids = [region.id for region in regions]
    assert len(set(ids)) == len(ids)
    for region in regions:
        assert region.box.fits(regions.image_size)
        assert region.mask.any()
        assert 0 <= region.score <= 1


def check_depth(depth: np.ndarray) -> None:
    assert depth.dtype == np.float32
    assert np.all(np.isnan(depth) | (np.isfinite(depth) & (depth > 0)))


@settings(max_examples=1500)
@given(image=images())
def test_any_color_image(result_or_refusal: Callable[..., Any], image: Image) -> None:
    rgb = result_or_refusal(BAD_INPUT, rgb_pixels, image)
    if rgb is not None:
        assert (rgb.dtype, rgb.shape) == (np.uint8, (image.height, image.width, 3))


@settings(max_examples=1500)
@given(
    image=images(encoding=st.sampled_from([*DEPTH_ENCODINGS])),
    scale=st.sampled_from([0.0, 0.001, 1000.0]),
)
def test_any_depth_image(result_or_refusal: Callable[..., Any], image: Image, scale: float) -> None:
    depth = result_or_refusal(BAD_INPUT, depth_from_image, image, scale)
    if depth is not None:
        assert depth.shape == (image.height, image.width)
        check_depth(depth)


@settings(max_examples=1500)
@given(message=camera_infos)
def test_any_calibration(result_or_refusal: Callable[..., Any], message: CameraInfo) -> None:
    intrinsics = result_or_refusal(BAD_INPUT, intrinsics_from_camera_info, message)
    if intrinsics is not None:
        assert min(intrinsics.width, intrinsics.height, intrinsics.fx, intrinsics.fy) > 0
        assert np.all(np.isfinite([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy]))


@settings(max_examples=1500)
@given(message=region_arrays)
def test_any_regions(result_or_refusal: Callable[..., Any], message: RegionArray) -> None:
    regions = result_or_refusal(BAD_INPUT, regions_from_array, message)
    if regions is not None:
        assert len(regions) == len(message.regions)
        check_regions(regions)


@settings(max_examples=1000)
@given(image=images(encoding=st.sampled_from([*INSTANCE_ENCODINGS])))
def test_any_instance_image(result_or_refusal: Callable[..., Any], image: Image) -> None:
    regions = result_or_refusal(BAD_INPUT, regions_from_instances, image, NO_LABELS)
    if regions is not None:
        assert regions.image_size == (image.height, image.width)
        check_regions(regions)


REGIONS = RegionSet(
    (HEIGHT, WIDTH),
    (
        Region.from_box(1, "pallet", Box(1, 2, 4, 4)),
        Region.from_box(2, "pallet", Box(10, 2, 4, 4)),
        Region.from_box(3, "buffer", Box(2, 7, 12, 5)),
    ),
)
INTRINSICS = CameraIntrinsics(WIDTH, HEIGHT, 12.0, 12.0, 7.5, 5.5)
QUESTIONS = [
    read_question(text, REGIONS)
    for text in (
        "How far is pallet 1 from pallet 2?",
        "How many pallets are in buffer 3?",
        "Which of pallets 1 and 2 is nearest to buffer 3?",
        "Is pallet 1 left or right of buffer 3?",
    )
]


@st.composite
def readable_frames(draw: st.DrawFn) -> tuple[Image, Image, CameraInfo]:
    """Messages that fit each other, with any depth and any calibration."""
    header = draw(headers)
    number = st.floats(0.5, 20, width=32) | st.floats(width=32)
    readings = draw(st.lists(number, min_size=1, max_size=20))
    depth = np.resize(np.array(readings, np.float32), (HEIGHT, WIDTH))
    info = intrinsics_to_camera_info(INTRINSICS, header)
    for index in draw(st.lists(st.sampled_from([0, 2, 5, 6]), max_size=2)):
        info.p[index] = info.k[index if index < 3 else index - 1] = draw(plausible)
    rgb = image_to_message(np.zeros((HEIGHT, WIDTH, 3), np.uint8), "rgb8", header)
    return rgb, image_to_message(depth, "32FC1", header), info


@settings(max_examples=1000)
@given(messages=readable_frames(), question=st.sampled_from(QUESTIONS))
def test_geometry_of_any_frame(
    result_or_refusal: Callable[..., Any],
    messages: tuple[Image, Image, CameraInfo],
    question: Any,
) -> None:
    frame = result_or_refusal(BAD_INPUT, frame_from_messages, *messages, REGIONS)
    if frame is None:
        return
    check_depth(frame.depth)
    alignment_warnings(*messages[:2])
    refusals = {Status.NO_VALID_DEPTH, Status.CANNOT_TELL, Status.BAD_INPUT}
    answer = result_or_refusal(refusals, GeometricAnswerer().answer, frame, question)
    event("answered" if answer is not None else "refused")
    if answer is not None and answer.value is not None:
        assert math.isfinite(answer.value)


HEADER = Header(stamp=Time(sec=1000), frame_id="camera")
GOOD = {
    "rgb": image_to_message(np.zeros((HEIGHT, WIDTH, 3), np.uint8), "rgb8", HEADER),
    "depth": image_to_message(np.full((HEIGHT, WIDTH), 2000, np.uint16), "16UC1", HEADER),
    "camera_info": intrinsics_to_camera_info(INTRINSICS, HEADER),
    "regions": regions_to_array(REGIONS, HEADER),
}
SERIALIZED = {name: serialize_message(message) for name, message in GOOD.items()}
PATCH = st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4))


def damaged(serialized: bytes, patches: list[tuple[float, bytes]], kept: float) -> bytes:
    """With some bytes replaced, and an end cut off."""
    changed = bytearray(serialized)
    for place, patch in patches:
        start = int(place * len(changed))
        changed[start : start + len(patch)] = patch
    return bytes(changed[: int(kept * len(changed))])


@settings(max_examples=2500)
@given(
    name=st.sampled_from(sorted(SERIALIZED)),
    patches=st.lists(PATCH, max_size=4),
    kept=st.just(1.0) | st.floats(0, 1),
)
def test_any_bytes_on_the_wire(
    result_or_refusal: Callable[..., Any],
    name: str,
    patches: list[tuple[float, bytes]],
    kept: float,
) -> None:
    wire = {**SERIALIZED, name: damaged(SERIALIZED[name], patches, kept)}
    samples = Moment(**{key: StampedMessage(0, serialized) for key, serialized in wire.items()})
    decoder = FrameDecoder("regions", SensorSettings(), RegionLabels())
    decoded = result_or_refusal(BAD_INPUT, decoder.decode, samples)
    if decoded is not None:
        frame: RGBDFrame = decoded[0].frame
        check_depth(frame.depth)
        check_regions(frame.regions)


@settings(max_examples=1000)
@given(header=headers)
def test_any_stamp(header: Header) -> None:
    serialized = serialize_message(header)
    stamp_ns = time_to_ns(header.stamp)
    assert read_stamp_ns(serialized) == stamp_ns
    with pytest.raises(struct.error):
        read_stamp_ns(serialized[:11])
    with pytest.raises(struct.error):
        read_stamp_ns(b"")
    assert without_stamp(serialized) == without_stamp(
        serialize_message(Header(frame_id=header.frame_id))
    )
    if -(2**31) <= stamp_ns // 10**9 < 2**31:
        assert time_to_ns(time_from_ns(stamp_ns)) == stamp_ns


numbers = st.floats(allow_nan=False)
answers = st.builds(
    SpatialAnswer,
    status=st.sampled_from(Status),
    category=st.none() | st.sampled_from(Category),
    message=texts,
    text=texts,
    value=st.none() | numbers,
    region_id=st.none() | st.integers(0, 2**32 - 1),
    side=st.sampled_from(Side),
    confidence=st.floats(0, 1, width=32),
    geometric_value=st.none() | numbers,
    model_value=st.none() | numbers,
    agreement=st.sampled_from(Agreement),
    region_ids=st.lists(st.integers(0, 2**32 - 1), max_size=4).map(tuple),
)


@settings(max_examples=1000)
@given(answer=answers, question=texts, header=headers)
def test_any_answer_over_the_wire(answer: SpatialAnswer, question: str, header: Header) -> None:
    sent = answer_to_message(answer, question, header, {"total": 0.5})
    received = deserialize_message(serialize_message(sent), SpatialAnswerMessage)
    assert (received.question, received.header) == (question, header)
    back = answer_from_message(received)
    for name in ("status", "category", "message", "text", "value", "region_id", "side"):
        assert getattr(back, name) == getattr(answer, name)
    for name in ("confidence", "geometric_value", "model_value", "agreement", "region_ids"):
        assert getattr(back, name) == getattr(answer, name)
