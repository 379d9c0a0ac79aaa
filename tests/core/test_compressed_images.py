"""CompressedImage: JPEG, PNG and both forms of compressedDepth, whole, damaged and hostile."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from smolrgpt_core.errors import Status
from smolrgpt_core.messages.compressed import plain_image
from smolrgpt_core.messages.encodings import rgb_pixels
from smolrgpt_core.messages.reading import depth_from_image

from .refusals import refusal

HEADER = SimpleNamespace(stamp="of the image", frame_id="camera")
DEPTH_MM = (np.arange(48 * 64).reshape(48, 64) * 7 % 8000 + 500).astype(np.uint16)
DEPTH_MM[:6] = 0
METERS = np.where(DEPTH_MM == 0, np.nan, DEPTH_MM / 1000)
COLOR = np.zeros((48, 64, 3), np.uint8)
COLOR[:, :32] = (200, 60, 30)
COLOR[:, 32:] = (20, 90, 180)


def compressed(content: bytes, form: str) -> SimpleNamespace:
    return SimpleNamespace(header=HEADER, format=form, data=np.frombuffer(content, np.uint8))


def encoded(suffix: str, pixels: NDArray, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


def jpeg(bgr: NDArray[np.uint8]) -> bytes:
    return encoded(".jpg", bgr, cv2.IMWRITE_JPEG_QUALITY, 100)


def rgb_of(message: SimpleNamespace) -> NDArray[np.uint8]:
    image = plain_image(message)
    assert image.header is HEADER
    return rgb_pixels(image)


def depth_of(message: SimpleNamespace) -> NDArray[np.float32]:
    return depth_from_image(plain_image(message, is_depth=True))


@pytest.mark.parametrize(
    "form",
    ["jpeg", "jpg", "image/jpeg", "", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8",
     "bgra8; jpeg compressed bgr8", "BGR8; JPEG compressed BGR8", "png"],
)  # fmt: skip
def test_jpeg(form: str) -> None:
    """Also where the format says something else: the bytes say what they are."""
    rgb = rgb_of(compressed(jpeg(COLOR[:, :, ::-1]), form))
    assert_allclose(rgb[:, :28].astype(float), COLOR[:, :28], atol=3)
    assert_allclose(rgb[:, 36:].astype(float), COLOR[:, 36:], atol=3)


def test_channels_that_were_compressed_red_first() -> None:
    rgb = rgb_of(compressed(encoded(".png", COLOR), "bgr8; png compressed rgb8"))
    assert_array_equal(rgb, COLOR)


@pytest.mark.parametrize("form", ["png", "rgb8; png compressed bgr8"])
def test_png(form: str) -> None:
    bgr = np.ascontiguousarray(COLOR[:, :, ::-1])
    alpha = np.dstack([bgr, np.full((48, 64), 7, np.uint8)])
    for pixels in (bgr, alpha, bgr.astype(np.uint16) * 257):
        assert_array_equal(rgb_of(compressed(encoded(".png", pixels), form)), COLOR)


def test_gray_png_and_a_compressed_mosaic() -> None:
    mosaic = np.tile(np.array([[220, 120], [120, 40]], np.uint8), (24, 32))
    png = encoded(".png", mosaic)
    assert_array_equal(rgb_of(compressed(png, "png"))[0, 0], [220, 220, 220])
    assert_array_equal(rgb_of(compressed(png, "mono8; png compressed "))[0, 1], [120] * 3)
    rgb = rgb_of(compressed(png, "bayer_rggb8; png compressed "))
    assert_array_equal(rgb, np.broadcast_to([220, 120, 40], (48, 64, 3)))


def with_header(body: bytes, a: float = 0.0, b: float = 0.0) -> bytes:
    return struct.pack("<iff", 0, a, b) + body


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (with_header(encoded(".png", DEPTH_MM)), "16UC1; compressedDepth"),
        (with_header(encoded(".png", DEPTH_MM)), "16UC1; compressedDepth png"),
        (with_header(encoded(".png", DEPTH_MM)), "mono16; compressedDepth png"),
        (encoded(".png", DEPTH_MM), "16UC1; compressedDepth png"),
        (encoded(".png", DEPTH_MM), "16UC1; png compressed "),
        (encoded(".png", DEPTH_MM), "png"),
    ],
)
def test_depth_in_millimeters(content: bytes, form: str) -> None:
    assert_allclose(depth_of(compressed(content, form)), METERS, rtol=1e-6)


def quantized(
    depth: NDArray[np.floating], best: float, farthest: float
) -> tuple[NDArray[np.uint16], float, float]:
    """As image_transport does it by default: A / depth + B, cut to whole numbers."""
    a = best * (best + 1)
    b = 1 - a / farthest
    with np.errstate(invalid="ignore"):
        units = np.where(depth > 0, a / depth + b, 0).astype(np.uint16)
    return units, a, b


def test_depth_in_meters_is_quantized_inversely() -> None:
    units, a, b = quantized(METERS, best=100.0, farthest=10.0)
    message = compressed(with_header(encoded(".png", units), a, b), "32FC1; compressedDepth png")
    depth = depth_of(message)
    assert plain_image(message).encoding == "32FC1"
    near = METERS < 5
    # One unit is depth² / A: 0.25 cm at 5 m.
    assert_allclose(depth[near], METERS[near], atol=5**2 / a)
    assert np.isnan(depth[:6]).all()


def rvl(depth: NDArray[np.uint16]) -> bytes:
    """By the paper, one number after another."""
    groups: list[int] = []

    def put(number: int) -> None:
        while True:
            group, number = number & 7, number >> 3
            groups.append(group | (8 if number else 0))
            if not number:
                return

    values, position, before = depth.ravel().tolist(), 0, 0
    while position < len(values):
        start = position
        while position < len(values) and values[position] == 0:
            position += 1
        put(position - start)
        start = position
        while position < len(values) and values[position]:
            position += 1
        put(position - start)
        for value in values[start:position]:
            difference, before = value - before, value
            put(2 * difference if difference >= 0 else -2 * difference - 1)
    groups += [0] * (-len(groups) % 8)
    words = [groups[start : start + 8] for start in range(0, len(groups), 8)]
    numbers = [sum(group << 4 * (7 - place) for place, group in enumerate(word)) for word in words]
    return struct.pack(f"<II{len(numbers)}I", *depth.shape[::-1], *numbers)


def test_inverse_depth_by_hand() -> None:
    """A = 10100, B = -1009: 10100 / (1511 + 1009) = 4.00794."""
    units = np.array([[1511, 0]], np.uint16)
    content = with_header(encoded(".png", units), 10100, -1009)
    depth = depth_of(compressed(content, "32FC1; compressedDepth"))
    assert_allclose(depth, [[4.007937, np.nan]], rtol=1e-6)


def test_rvl_of_four_pixels_by_hand() -> None:
    """0 0 5 3: two zeros (2), two others (2), +5 (10 = 2 and more, 1), -2 (3): 0x22a13000."""
    content = struct.pack("<II", 4, 1) + bytes.fromhex("0030a122")
    assert rvl(np.array([[0, 0, 5, 3]], np.uint16)) == content
    image = plain_image(compressed(with_header(content), "16UC1; compressedDepth rvl"))
    assert image.data.view("<u2").tolist() == [0, 0, 5, 3]


@pytest.mark.parametrize("seed", range(4))
def test_rvl(seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth = rng.integers(0, 65536 if seed else 2000, (31, 57)).astype(np.uint16)
    depth[rng.random(depth.shape) < 0.2 * seed] = 0
    image = plain_image(compressed(with_header(rvl(depth)), "16UC1; compressedDepth rvl"))
    assert_array_equal(image.data.view("<u2").reshape(image.height, image.width), depth)


def test_rvl_of_meters() -> None:
    units, a, b = quantized(METERS, best=100.0, farthest=10.0)
    message = compressed(with_header(rvl(units), a, b), "32FC1; compressedDepth rvl")
    assert_allclose(depth_of(message)[METERS < 5], METERS[METERS < 5], atol=5**2 / a)


def test_what_is_no_depth() -> None:
    gray = encoded(".png", np.full((48, 64), 100, np.uint8))
    assert "changes depth values" in refusal(depth_of, compressed(jpeg(COLOR), "jpeg"))
    form = "16UC1; jpeg compressed "
    assert "changes depth values" in refusal(plain_image, compressed(jpeg(COLOR), form))
    assert "'mono8'" in refusal(depth_of, compressed(gray, "png"))
    assert "8 bits" in refusal(depth_of, compressed(gray, "16UC1; png compressed "))
    assert "8 bits" in refusal(depth_of, compressed(with_header(gray), "16UC1; compressedDepth"))
    png = encoded(".png", DEPTH_MM)
    assert "not 32FC1" in refusal(depth_of, compressed(png, "32FC1; png compressed "))
    assert "A > 0" in refusal(depth_of, compressed(with_header(png), "32FC1; compressedDepth png"))
    nan = with_header(png, float("nan"), 1.0)
    assert "A > 0" in refusal(depth_of, compressed(nan, "32FC1; compressedDepth png"))
    # Whether it is quantized cannot be told.
    refusal(depth_of, compressed(with_header(png), "compressedDepth png"))
    refusal(depth_of, compressed(with_header(png), "8UC1; compressedDepth png"))
    refusal(rgb_of, compressed(png, "16UC1; png compressed "))


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b"", "jpeg"),
        (b"", "16UC1; compressedDepth png"),
        (b"\0\0\0\1 h264", "h264"),
        (with_header(b""), "16UC1; compressedDepth png"),
        (with_header(b"\1\2\3"), "16UC1; compressedDepth rvl"),
        (with_header(struct.pack("<II", 0, 4)), "16UC1; compressedDepth rvl"),
    ],
)
def test_nothing_and_something_else(content: bytes, form: str) -> None:
    assert repr(form) in refusal(plain_image, compressed(content, form))


WHOLE = {
    "jpeg": (jpeg(COLOR), 0),
    "rgb8; png compressed bgr8": (encoded(".png", COLOR), 0),
    "16UC1; compressedDepth png": (with_header(encoded(".png", DEPTH_MM)), 12),
    "16UC1; compressedDepth rvl": (with_header(rvl(DEPTH_MM)), 20),
}


@pytest.mark.parametrize("form", WHOLE)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.99])
def test_cut(form: str, kept: float) -> None:
    """Never the upper part of a picture."""
    content, _ = WHOLE[form]
    refusal(plain_image, compressed(content[: int(len(content) * kept)], form))


@settings(max_examples=300, deadline=None)
@given(
    form=st.sampled_from([*WHOLE]),
    patches=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=6)), max_size=3),
    kept=st.sampled_from([1.0, 1.0, 0.5]) | st.floats(0, 1),
    other=st.sampled_from(["", "png", "32FC1; compressedDepth png", "\0", *WHOLE]),
)
def test_any_damage_is_an_image_or_refused(
    result_or_refusal: Callable[..., Any],
    form: str,
    patches: list[tuple[float, bytes]],
    kept: float,
    other: str,
) -> None:
    content = bytearray(WHOLE[form][0])
    for place, patch in patches:
        start = int(place * len(content))
        content[start : start + len(patch)] = patch
    content = content[: int(kept * len(content))]
    for told in (form, other):
        image = result_or_refusal({Status.BAD_INPUT}, plain_image, compressed(bytes(content), told))
        if image is not None:
            assert image.step * image.height == len(image.data)


def huge_png() -> bytes:
    """A few hundred bytes that promise 30000 x 30000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    size = struct.pack(">IIBBBBB", 30_000, 30_000, 16, 0, 0, 0, 0)
    parts = [(b"IHDR", size), (b"IDAT", zlib.compress(bytes(9999))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def huge_jpeg() -> bytes:
    content = bytearray(jpeg(COLOR))
    position = content.find(b"\xff\xc0")
    struct.pack_into(">HH", content, position + 5, 65_000, 65_000)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (huge_png(), "png"),
        (huge_jpeg(), "jpeg"),
        (with_header(huge_png()), "16UC1; compressedDepth png"),
        (with_header(struct.pack("<II", 2**31, 2**31)), "16UC1; compressedDepth rvl"),
    ],
    ids=["png", "jpeg", "depth as png", "depth as rvl"],
)
def test_small_files_that_promise_much(content: bytes, form: str) -> None:
    assert "pixels, but at most" in refusal(plain_image, compressed(content, form))


def test_other_images_stay_as_they_are() -> None:
    image = SimpleNamespace(encoding="rgb8")
    assert plain_image(image) is image
