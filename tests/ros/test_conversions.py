"""Messages become core types and back, for every encoding; no running graph."""

from __future__ import annotations

import array
import math
from dataclasses import fields
from enum import IntEnum

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from numpy.testing import assert_array_equal
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image
from smolrgpt_ros.msg import SpatialAnswer as SpatialAnswerMessage
from smolrgpt_ros.srv import SpatialQuery
from std_msgs.msg import Header

from smolrgpt_core.answer import Agreement, Side, SpatialAnswer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.language import Category
from smolrgpt_core.messages.answers import answer_from_message
from smolrgpt_core.messages.camera_info import intrinsics_from_camera_info, is_distorted
from smolrgpt_core.messages.encodings import rgb_pixels
from smolrgpt_core.messages.reading import (
    depth_from_image,
    regions_from_array,
    regions_from_instances,
)
from smolrgpt_core.messages.stamps import read_stamp_ns, time_to_ns, without_stamp
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_ros.messages.conversions import (
    answer_to_message,
    duration_to_ns,
    image_to_message,
    intrinsics_to_camera_info,
    regions_to_array,
    time_from_ns,
)

STAMP_NS = 1_700_000_000_123_456_789
RED_GREEN_BLUE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
HEADER = Header(frame_id="camera_optical_frame")


def image(encoding: str, pixels: np.ndarray, padding: int = 0, big_endian: bool = False) -> Image:
    """A message with `padding` bytes after each row."""
    stored = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
    rows = stored.reshape(stored.shape[0], -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    return Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(big_endian),
        step=padded.shape[1],
        data=array.array("B", padded.tobytes()),
    )


def bad_input(call: object, *arguments: object) -> str:
    """The message with which a conversion refuses."""
    assert callable(call)
    with pytest.raises(SpatialError) as caught:
        call(*arguments)
    assert caught.value.status is Status.BAD_INPUT
    return caught.value.message


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RED_GREEN_BLUE),
        ("bgr8", RED_GREEN_BLUE[:, :, ::-1]),
        ("rgba8", np.dstack([RED_GREEN_BLUE, np.full((2, 4), 9, np.uint8)])),
        ("bgra8", np.dstack([RED_GREEN_BLUE[:, :, ::-1], np.full((2, 4), 9, np.uint8)])),
    ],
)
def test_color(encoding: str, pixels: np.ndarray, padding: int) -> None:
    rgb = rgb_pixels(image(encoding, pixels, padding))
    assert_array_equal(rgb, RED_GREEN_BLUE)
    assert rgb.flags.c_contiguous


def test_mono_becomes_gray() -> None:
    rgb = rgb_pixels(image("mono8", RED_GREEN_BLUE[:, :, 0]))
    assert_array_equal(rgb, np.repeat(RED_GREEN_BLUE[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
def test_depth_in_millimeters(encoding: str, big_endian: bool) -> None:
    millimeters = np.array([[0, 1500], [45000, 300]], dtype=np.uint16)
    depth = depth_from_image(image(encoding, millimeters, 3, big_endian))
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[np.nan, 1.5], [45.0, 0.3]], rtol=1e-6)


@pytest.mark.parametrize("big_endian", [False, True])
def test_depth_in_meters_without_readings(big_endian: bool) -> None:
    meters = np.array([[2.5, 0.0, -1.0], [np.nan, np.inf, 7.25]], dtype=np.float32)
    depth = depth_from_image(image("32FC1", meters, 0, big_endian))
    assert_array_equal(depth, np.array([[2.5, np.nan, np.nan], [np.nan, np.nan, 7.25]], np.float32))


def test_depth_scale_overrides_the_encoding() -> None:
    quarters = image("16UC1", np.array([[4000]], dtype=np.uint16))
    np.testing.assert_allclose(depth_from_image(quarters, 0.00025), [[1.0]])


def test_depth_in_an_encoding_for_color() -> None:
    assert "16UC1, mono16, Z16" in bad_input(depth_from_image, image("rgb8", RED_GREEN_BLUE))


def test_image_with_too_little_data() -> None:
    message = image("rgb8", RED_GREEN_BLUE)
    message.data = message.data[:-1]
    assert "needs 24 bytes, got 23" in bad_input(rgb_pixels, message)


@pytest.mark.parametrize("field", ["step", "height", "width"])
def test_image_with_a_size_of_zero(field: str) -> None:
    message = image("rgb8", RED_GREEN_BLUE)
    setattr(message, field, 0)
    bad_input(rgb_pixels, message)


def test_image_to_message_and_back() -> None:
    strided = RED_GREEN_BLUE[:, ::-1]
    message = image_to_message(strided, "rgb8", HEADER)
    assert_array_equal(rgb_pixels(message), strided)
    depth = np.array([[1.5, 2.5]], dtype=">f4")
    assert_array_equal(depth_from_image(image_to_message(depth, "32FC1", HEADER)), depth)


def test_intrinsics_both_ways() -> None:
    intrinsics = CameraIntrinsics(640, 480, 500.0, 501.0, 319.5, 239.5)
    message = intrinsics_to_camera_info(intrinsics, HEADER)
    assert intrinsics_from_camera_info(message) == intrinsics
    assert not is_distorted(message)


def test_rectified_image_has_the_projection_matrix() -> None:
    message = intrinsics_to_camera_info(CameraIntrinsics(640, 480, 500, 500, 320, 240), HEADER)
    message.d = [0.1, -0.2, 0.0, 0.0, 0.0]
    message.p[0] = message.p[5] = 480.0
    assert intrinsics_from_camera_info(message).fx == 480.0
    assert is_distorted(message)
    message.p = [0.0] * 12
    assert intrinsics_from_camera_info(message).fx == 500.0


def test_uncalibrated_camera() -> None:
    assert "not calibrated" in bad_input(
        intrinsics_from_camera_info, CameraInfo(width=640, height=480)
    )


def test_calibration_that_is_not_a_number() -> None:
    message = intrinsics_to_camera_info(CameraIntrinsics(640, 480, 500, 500, 320, 240), HEADER)
    message.p[0] = math.nan
    bad_input(intrinsics_from_camera_info, message)


@pytest.fixture
def regions() -> RegionSet:
    mask = np.array([[True, False, True], [True, True, False]])
    return RegionSet(
        (40, 60),
        (
            Region(3, "pallet", Box(5, 6, 3, 2), mask, 0.5),
            Region.from_box(70000, "buffer", Box(10, 20, 50, 20)),
        ),
    )


def test_regions_both_ways(regions: RegionSet) -> None:
    back = regions_from_array(regions_to_array(regions, HEADER))
    assert back.image_size == (40, 60)
    assert [region.id for region in back] == [3, 70000]
    assert (back[3].label, back[3].box, back[3].score) == ("pallet", Box(5, 6, 3, 2), 0.5)
    assert_array_equal(back[3].mask, regions[3].mask)


def test_region_mask_of_another_size_than_its_box(regions: RegionSet) -> None:
    message = regions_to_array(regions, HEADER)
    message.regions[0].box.width = 4
    assert "crop the mask to the box" in bad_input(regions_from_array, message)


def test_region_mask_in_another_encoding(regions: RegionSet) -> None:
    message = regions_to_array(regions, HEADER)
    message.regions[0].mask.encoding = "32FC1"
    assert "mono8" in bad_input(regions_from_array, message)


def test_region_mask_with_too_little_data(regions: RegionSet) -> None:
    message = regions_to_array(regions, HEADER)
    message.regions[0].mask.data = array.array("B", [1])
    bad_input(regions_from_array, message)


@pytest.mark.parametrize(
    ("encoding", "dtype"),
    [("8UC1", "u1"), ("mono8", "u1"), ("16UC1", "u2"), ("mono16", "u2"), ("32SC1", "i4")],
)
def test_instance_image(encoding: str, dtype: str) -> None:
    ids = np.array([[0, 7, 7], [0, 12, 200]], dtype=dtype)
    labels = InstanceLabels.parse(["", "1-9:Buffer", "7:never reached", "10-59:pallet"])
    found = regions_from_instances(image(encoding, ids, 1), labels)
    assert [(region.id, region.label) for region in found] == [
        (7, "buffer"),
        (12, "pallet"),
        (200, ""),
    ]
    assert found[7].box == Box(1, 0, 2, 1)


def test_instance_image_in_floats() -> None:
    ids = np.zeros((2, 2), np.float32)
    assert "32SC1" in bad_input(regions_from_instances, image("32FC1", ids), InstanceLabels())


def test_answer_with_a_value() -> None:
    answer = SpatialAnswer(
        status=Status.OK,
        category=Category.DISTANCE,
        text="1.25 m",
        value=1.25,
        unit="m",
        confidence=0.75,
        geometric_value=1.5,
        model_value=1.25,
        agreement=Agreement.DISAGREE,
        region_ids=(3, 4),
        centers=np.array([[0.0, 1.0, 2.0], [np.nan] * 3]),
        valid_depth=np.array([1.0, 0.0]),
    )
    message = answer_to_message(answer, "how far?", HEADER, {"wait": 0.5, "total": 1.0})
    assert (message.status, message.category, message.question) == (0, 1, "how far?")
    assert (message.has_value, message.value, message.unit) == (True, 1.25, "m")
    assert (message.confidence, message.geometric_value, message.agreement) == (0.75, 1.5, 2)
    assert message.model_value == 1.25
    assert not message.has_region
    assert list(message.region_ids) == [3, 4]
    assert message.centers[0].z == 2.0
    assert math.isnan(message.centers[1].x)
    assert (message.latency_wait, message.latency_convert, message.latency_total) == (0.5, 0.0, 1.0)
    assert message.header.frame_id == HEADER.frame_id


@pytest.mark.parametrize(
    "answer",
    [
        SpatialAnswer(
            Status.OK, Category.DISTANCE, text="2 m", value=2.0, unit="m", geometric_value=1.5
        ),
        SpatialAnswer(
            Status.OK, Category.COUNT, text="2", value=2.0, model_value=3.0, answer_ids=(7, 3)
        ),
        SpatialAnswer(Status.OK, Category.MCQ, region_id=0, agreement=Agreement.DISAGREE),
        SpatialAnswer(Status.OK, Category.MCQ, region_id=4, answer_ids=(4,), option="B"),
        SpatialAnswer(Status.OK, Category.TRUTH, truth=True, understood="Is it?"),
        SpatialAnswer(Status.OK, Category.TRUTH, truth=False, steps=("It is pallet 3.", "So no.")),
        SpatialAnswer(Status.OK, Category.LIST, answer_ids=(9, 0, 4)),
        SpatialAnswer(Status.OK, Category.QUANTITY, value=-15.0, unit="deg"),
        SpatialAnswer(Status.OK, Category.RELATION, relation="behind"),
        SpatialAnswer(Status.OK, Category.POSITION, vector=np.array([-1.0, 0.5, 4.0])),
        SpatialAnswer(Status.OK, Category.DIRECTION, vector=np.array([0.0, 0.6, -0.8])),
        SpatialAnswer(Status.OK, Category.SIZE, vector=np.array([1.2, 0.8, 0.144])),
        SpatialAnswer(Status.OK, Category.LEFT_RIGHT, side=Side.RIGHT, confidence=0.5),
        SpatialAnswer(Status.NO_DEPTH, None, message="no depth"),
    ],
)
def test_answer_survives_the_way_there_and_back(answer: SpatialAnswer) -> None:
    found = answer_from_message(answer_to_message(answer, "", HEADER, {"wait": 0.5}))
    assert found.latency_s == {
        "wait": 0.5,
        **dict.fromkeys(("convert", "answer", "transform", "total"), 0.0),
    }
    for field in fields(SpatialAnswer):
        if field.name != "latency_s":
            np.testing.assert_equal(getattr(found, field.name), getattr(answer, field.name))


@pytest.mark.parametrize(("frame", "told"), [("", HEADER.frame_id), ("map", "map")])
def test_centers_survive_the_way_there_and_back(frame: str, told: str) -> None:
    centers, valid = np.array([[0.5, 1.0, 2.0], [np.nan] * 3]), np.array([1.0, 0.5])
    answer = SpatialAnswer(
        Status.OK, Category.COUNT, value=2.0, region_ids=(3, 4), centers=centers,
        centers_frame=frame, valid_depth=valid,
    )  # fmt: skip
    message = answer_to_message(answer, "", HEADER, {})
    assert message.centers_frame == told
    found = answer_from_message(message)
    assert found.centers_frame == frame
    np.testing.assert_array_equal(found.centers, centers)
    np.testing.assert_array_equal(found.valid_depth, valid)
    assert found.region_ids == (3, 4)


def test_answer_with_a_region_or_a_side() -> None:
    chosen = SpatialAnswer(status=Status.OK, category=Category.MCQ, region_id=0)
    message = answer_to_message(chosen, "", HEADER, {})
    assert message.centers_frame == ""
    assert (message.has_region, message.region_id, message.has_value) == (True, 0, False)
    assert math.isnan(message.value)
    assert math.isnan(message.confidence)
    side = SpatialAnswer(status=Status.OK, category=Category.LEFT_RIGHT, side=Side.RIGHT)
    assert answer_to_message(side, "", HEADER, {}).side == SpatialAnswerMessage.SIDE_RIGHT


def test_refusal() -> None:
    refusal = SpatialAnswer.refusal(SpatialError(Status.BUSY, "later"))
    message = answer_to_message(refusal, "?", Header(), {})
    assert (message.status, message.message, message.text) == (13, "later", "")
    assert (message.category, message.has_value, message.has_region) == (0, False, False)
    assert (message.has_truth, message.has_vector) == (False, False)
    assert math.isnan(message.vector.x)


@pytest.mark.parametrize(
    ("interface", "prefix", "core"),
    [
        (SpatialAnswerMessage, "STATUS_", Status),
        (SpatialAnswerMessage, "CATEGORY_", Category),
        (SpatialAnswerMessage, "SIDE_", Side),
        (SpatialAnswerMessage, "AGREEMENT_", Agreement),
        (SpatialQuery.Request, "CATEGORY_", Category),
    ],
)
def test_constants_equal_the_core(interface: type, prefix: str, core: type[IntEnum]) -> None:
    constants = {
        name.removeprefix(prefix): getattr(interface, name)
        for name in dir(interface)
        if name.startswith(prefix)
    }
    for only_in_messages in ("UNKNOWN", "FREE_FORM"):
        if core is Category and only_in_messages in constants:
            assert constants.pop(only_in_messages) == 0
    assert constants == {member.name: member.value for member in core}


def test_times() -> None:
    assert time_to_ns(time_from_ns(STAMP_NS)) == STAMP_NS
    assert duration_to_ns(Duration(sec=2, nanosec=5)) == 2_000_000_005
    assert duration_to_ns(Duration(sec=-1, nanosec=0)) == -1_000_000_000


def test_stamp_is_read_from_the_bytes() -> None:
    message = Image(header=Header(stamp=time_from_ns(STAMP_NS)), data=array.array("B", b"1234"))
    serialized = serialize_message(message)
    assert read_stamp_ns(serialized) == STAMP_NS
    message.header.stamp.sec += 1
    assert without_stamp(serialize_message(message)) == without_stamp(serialized)
    assert serialize_message(message) != serialized
    swapped = serialized[4:8][::-1] + serialized[8:12][::-1]
    assert read_stamp_ns(b"\x00\x00\x00\x00" + swapped + serialized[12:]) == STAMP_NS
