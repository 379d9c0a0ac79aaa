"""Every encoding against bytes and colors that are written down here, not against a library."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from smolrgpt_core.messages.compressed import PlainImage
from smolrgpt_core.messages.encodings import (
    COLOR_ENCODINGS,
    DEPTH_ENCODINGS,
    canonical,
    depth_pixels,
    id_pixels,
    rgb_pixels,
)
from smolrgpt_core.messages.reading import depth_from_image

from .refusals import refusal


def image(
    encoding: str, width: int, height: int, rows: list[bytes] | bytes, padding: int = 0,
    big_endian: bool = False,
) -> PlainImage:  # fmt: skip
    """An image of these rows of bytes, with padding of 0xAA after each."""
    rows = [rows] if isinstance(rows, bytes) else rows
    data = b"".join(row + b"\xaa" * padding for row in rows)
    step = len(rows[0]) + padding
    return PlainImage(
        None, height, width, encoding, int(big_endian), step, np.frombuffer(data, np.uint8)
    )


TWO_PIXELS = {
    # red 10, green 20, blue 30 (alpha 255), then 200, 100, 50
    "rgb8": "0a141e c86432",
    "bgr8": "1e140a 3264c8",
    "BGR8": "1e140a 3264c8",
    "8UC3": "1e140a 3264c8",
    "8uc3": "1e140a 3264c8",
    "rgba8": "0a141eff c86432ff",
    "bgra8": "1e140aff 3264c8ff",
    "8UC4": "1e140aff 3264c8ff",
    # 257 times as much
    "rgb16": "0a0a14141e1e c8c864643232",
    "bgr16": "1e1e14140a0a 32326464c8c8",
    "16UC3": "1e1e14140a0a 32326464c8c8",
    "rgba16": "0a0a14141e1effff c8c864643232ffff",
    "bgra16": "1e1e14140a0affff 32326464c8c8ffff",
    "16UC4": "1e1e14140a0affff 32326464c8c8ffff",
}


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(("encoding", "row"), TWO_PIXELS.items())
def test_order_of_colors(encoding: str, row: str, padding: int) -> None:
    rgb = rgb_pixels(image(encoding, 2, 2, [bytes.fromhex(row)] * 2, padding))
    assert_array_equal(rgb, [[[10, 20, 30], [200, 100, 50]]] * 2)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous


@pytest.mark.parametrize(("big_endian", "row"), [(False, "00800001ff00"), (True, "8000010000ff")])
def test_sixteen_bits_are_scaled_in_either_byte_order(big_endian: bool, row: str) -> None:
    """0x8000, 0x0100 and 0x00ff of 0xffff are 127.5, 0.996 and 0.992 of 255."""
    rgb = rgb_pixels(image("rgb16", 1, 1, bytes.fromhex(row), 0, big_endian))
    assert_array_equal(rgb, [[[128, 1, 1]]])


@pytest.mark.parametrize("encoding", ["mono8", "8UC1", "mono16"])
def test_gray(encoding: str) -> None:
    row = bytes.fromhex("0708" if encoding != "mono16" else "07070808")
    rgb = rgb_pixels(image(encoding, 2, 1, row, 1))
    assert_array_equal(rgb, [[[7, 7, 7], [8, 8, 8]]])


def color_of(y: int, u: int, v: int) -> NDArray[np.uint8]:
    """ITU-R BT.601, 16 to 235 for black to white, as cameras send YUV."""
    luma, blue, red = 1.164 * (y - 16), u - 128, v - 128
    rgb = [luma + 1.596 * red, luma - 0.391 * blue - 0.813 * red, luma + 2.018 * blue]
    return np.clip(np.round(rgb), 0, 255).astype(np.uint8)


# Red, green, blue and skin-like, of two brightnesses each: (Y, Y, U, V).
PAIRS = [(81, 60, 90, 240), (145, 100, 54, 34), (41, 30, 240, 110), (180, 120, 110, 150)]
EXPECTED_PAIRS = np.array([[color_of(y, u, v) for y in ys] for *ys, u, v in PAIRS]).reshape(-1, 3)


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize(
    ("encodings", "order"),
    [(("yuv422", "uyvy", "UYVY"), (2, 0, 3, 1)), (("yuv422_yuy2", "yuyv"), (0, 2, 1, 3))],
)
def test_two_pixels_with_one_chroma(
    encodings: tuple[str, ...], order: tuple[int, ...], padding: int
) -> None:
    row = bytes(pair[index] for pair in PAIRS for index in order)
    for encoding in encodings:
        rgb = rgb_pixels(image(encoding, 8, 2, [row, row], padding))
        for line in rgb:
            assert_allclose(line, EXPECTED_PAIRS, atol=1)
    red, green, blue = rgb[0, 0], rgb[0, 2], rgb[0, 4]
    assert (red.argmax(), green.argmax(), blue.argmax()) == (0, 1, 2)


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_four_pixels_with_one_chroma(encoding: str, padding: int) -> None:
    first, second = PAIRS[0], PAIRS[2]
    lines = [bytes([first[0]] * 2 + [second[0]] * 2), bytes([first[1]] * 2 + [second[1]] * 2)]
    chroma = [first[2:], second[2:]]
    if encoding == "nv21":
        chroma = [pair[::-1] for pair in chroma]
    rows = [*lines, bytes(number for pair in chroma for number in pair)]
    rgb = rgb_pixels(image(encoding, 4, 2, rows, padding))
    for line, index in zip(rgb, (0, 1), strict=True):
        expected = [color_of(pair[index], *pair[2:]) for pair in (first, first, second, second)]
        assert_allclose(line, expected, atol=1)


def test_one_pixel_with_its_own_chroma() -> None:
    """NV24: two rows of brightness, then one of U and V for each, in rows of half of them."""
    colors = [(81, 90, 240), (145, 54, 34), (41, 240, 110)]
    colors += [(120, 110, 150), (200, 128, 128), (16, 128, 128)]
    luma = bytes(y for y, _, _ in colors)
    chroma = bytes(number for _, u, v in colors for number in (u, v))
    rows = [luma[:3], luma[3:], *(chroma[start : start + 3] for start in range(0, 12, 3))]
    rgb = rgb_pixels(image("nv24", 3, 2, rows))
    assert_allclose(rgb.reshape(-1, 3), [color_of(*color) for color in colors], atol=1)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_mosaic_of_one_color(pattern: str, bits: int) -> None:
    """Whoever takes one pattern for another swaps red and blue, or mixes green into both."""
    color = {"r": 220, "g": 120, "b": 40}
    scale = 1 if bits == 8 else 257
    mosaic = np.tile([[color[name] for name in pattern[:2]], [color[name] for name in pattern[2:]]],
                     (4, 5))  # fmt: skip
    for big_endian in (False, True):
        dtype = np.dtype(f"{'>' if big_endian else '<'}u{bits // 8}")
        rows = [line.tobytes() for line in (mosaic * scale).astype(dtype)]
        rgb = rgb_pixels(image(f"bayer_{pattern}{bits}", 10, 8, rows, 2, big_endian))
        assert_array_equal(rgb, np.broadcast_to([220, 120, 40], (8, 10, 3)))


def test_mosaic_is_not_shifted() -> None:
    """A red left half and a blue right half: the place of the edge."""
    mosaic = np.zeros((8, 12), np.uint8)
    mosaic[0::2, 0:6:2] = 200
    mosaic[1::2, 7::2] = 90
    rgb = rgb_pixels(image("bayer_rggb8", 12, 8, [bytes(row) for row in mosaic]))
    assert_array_equal(rgb[2:6, 2:4], np.broadcast_to([200, 0, 0], (4, 2, 3)))
    assert_array_equal(rgb[2:6, 8:10], np.broadcast_to([0, 0, 90], (4, 2, 3)))


def whole(encoding: str, padding: int = 0) -> PlainImage:
    """A gray picture of 8 x 6."""
    known = COLOR_ENCODINGS[encoding]
    row = bytes([128]) * (8 * known.channels * np.dtype(known.dtype).itemsize)
    return image(encoding, 8, 6, [row] * (6 * (2 + known.chroma_half_rows) // 2), padding)


def changed(message: PlainImage, **fields: object) -> PlainImage:
    return PlainImage(**{**vars(message), **fields})


@pytest.mark.parametrize("encoding", COLOR_ENCODINGS)
def test_sizes_that_do_not_fit(encoding: str) -> None:
    for padding in (0, 5):
        good = whole(encoding, padding)
        assert rgb_pixels(good).shape == (6, 8, 3)
        assert "bytes, got" in refusal(rgb_pixels, changed(good, data=good.data[:-1]))
        assert "bytes, got" in refusal(rgb_pixels, changed(good, data=good.data[: -good.step]))
        assert "bytes, got" in refusal(rgb_pixels, changed(good, data=np.append(good.data, 0)))
        assert "bytes, got" in refusal(rgb_pixels, changed(good, height=12))
        too_short = changed(good, step=good.step - padding - 1)
        assert "its step is" in refusal(rgb_pixels, too_short)
        refusal(rgb_pixels, changed(good, width=0))
        refusal(rgb_pixels, changed(good, data=good.data[:0]))
    assert encoding == canonical(encoding.swapcase())


@pytest.mark.parametrize(
    ("encoding", "width", "height"),
    [("yuv422", 7, 6), ("yuyv", 7, 6), ("nv12", 8, 5), ("nv21", 7, 6), ("bayer_rggb8", 2, 8)],
)
def test_sizes_that_an_encoding_cannot_have(encoding: str, width: int, height: int) -> None:
    known = COLOR_ENCODINGS[encoding]
    rows = [bytes(width * known.channels)] * (height * (2 + known.chroma_half_rows) // 2)
    assert "is invalid" in refusal(rgb_pixels, image(encoding, width, height, rows))


@pytest.mark.parametrize(
    ("call", "encoding", "stored"),
    [
        (rgb_pixels, "mono8", 3),
        (rgb_pixels, "rgb8", 4),
        (rgb_pixels, "bayer_rggb8", 2),
        (depth_pixels, "16UC1", 4),
        (depth_pixels, "32FC1", 8),
        (id_pixels, "8UC1", 2),
    ],
)
def test_another_encoding_than_that_of_the_data(call: object, encoding: str, stored: int) -> None:
    message = image(encoding, 64, 4, [bytes(64 * stored)] * 4)
    assert f"implies {stored}" in refusal(call, message)


def test_aligned_rows_are_no_other_encoding() -> None:
    rows = [bytes([50]) * 640 * 3] * 2
    assert (rgb_pixels(image("rgb8", 640, 2, rows, 2048 - 1920)) == 50).all()
    assert (rgb_pixels(image("mono8", 40, 2, [bytes([50]) * 40] * 2, 40)) == 50).all()


def test_unknown_color() -> None:
    message = refusal(rgb_pixels, image("h264", 2, 2, [bytes(6)] * 2))
    assert "'h264'" in message
    assert "rgb8, bgr8, rgba8" in message


@pytest.mark.parametrize(
    ("encoding", "little", "big", "expected", "meters_per_unit"),
    [
        ("16UC1", "dc05 ffff", "05dc ffff", [1500, 65535], 0.001),
        ("Z16", "dc05 ffff", "05dc ffff", [1500, 65535], 0.001),
        ("z16", "dc05 ffff", "05dc ffff", [1500, 65535], 0.001),
        ("mono16", "dc05 ffff", "05dc ffff", [1500, 65535], 0.001),
        ("16SC1", "dc05 ffff", "05dc ffff", [1500, -1], 0.001),
        ("32FC1", "0000c03f 000080bf", "3fc00000 bf800000", [1.5, -1.0], 1.0),
        (
            "64FC1", "000000000000f83f 000000000000f0bf", "3ff8000000000000 bff0000000000000",
            [1.5, -1.0], 1.0,
        ),
    ],
)  # fmt: skip
def test_depth(
    encoding: str, little: str, big: str, expected: list[float], meters_per_unit: float
) -> None:
    for row, big_endian in ((little, False), (big, True)):
        message = image(encoding, 2, 2, [bytes.fromhex(row)] * 2, 3, big_endian)
        values, scale = depth_pixels(message)
        assert_array_equal(values, [expected] * 2)
        assert values.dtype == DEPTH_ENCODINGS[canonical(encoding)][0]
        assert scale == meters_per_unit
        # -1 is no distance, 65535 marks that there is none.
        for factor in (1, 2):
            depth = depth_from_image(message, 0.0 if factor == 1 else factor * scale)
            assert depth.dtype == np.float32
            assert_allclose(depth, [[1.5 * factor, np.nan]] * 2, rtol=1e-6)
        for wrong in (
            changed(message, data=message.data[:-1]),
            changed(message, step=message.step - 4),
            changed(message, height=0),
        ):
            refusal(depth_from_image, wrong)


@pytest.mark.parametrize("encoding", ["8UC1", "mono8", "rgb8", "32SC1", "8UC3"])
def test_what_is_no_depth(encoding: str) -> None:
    assert "16UC1, mono16, Z16, 16SC1, 32FC1, 64FC1" in refusal(
        depth_from_image, image(encoding, 1, 1, bytes(4))
    )


def test_depth_that_float32_cannot_hold() -> None:
    row = np.array([1e300, 4.0]).tobytes()
    assert_array_equal(depth_from_image(image("64FC1", 2, 1, row)), [[np.nan, 4.0]])
