"""The frame buffer finds the right messages, or names the reason; no ROS involved."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from smolrgpt_core.closing import ClosedError
from smolrgpt_core.errors import Status
from smolrgpt_ros.inputs.frame_buffer import (
    SYNCHRONIZED,
    FrameBuffer,
    FrameRequest,
    FrameUnavailableError,
    Patience,
)

MS = 1_000_000
S = 1_000_000_000
NOW = 1_000 * S
TOPICS = {"rgb": "/rgb", "depth": "/depth", "camera_info": "/info", "regions": "/regions"}
NEWEST = FrameRequest(
    stamp_ns=0, max_age_ns=S, sync_tolerance_ns=20 * MS, input_wait_s=0.1, timeout_s=0.3
)


@pytest.fixture
def buffer() -> FrameBuffer:
    """Three frames of a 30 Hz camera; the newest is 10 ms old. Payloads name input and frame."""
    buffer = FrameBuffer(30, TOPICS)
    for index in range(3):
        add_frame(buffer, NOW - 10 * MS - (2 - index) * 33 * MS, index)
    return buffer


def add_frame(buffer: FrameBuffer, stamp_ns: int, index: int, **offsets_ns: int) -> None:
    for name in TOPICS:
        buffer.add(name, stamp_ns + offsets_ns.get(name, 0), f"{name} {index}")


def refusal(buffer: FrameBuffer, request: FrameRequest, now_ns: int = NOW) -> FrameUnavailableError:
    with pytest.raises(FrameUnavailableError) as caught:
        buffer.select(request, now_ns)
    return caught.value


def test_newest_complete_set(buffer: FrameBuffer) -> None:
    buffer.add("rgb", NOW - 5 * MS + 33 * MS, "rgb 3")  # its depth and regions are still to come
    found = buffer.select(NEWEST, NOW + 30 * MS)
    assert found.rgb.payload == "rgb 2"
    assert found.depth.payload == "depth 2"
    assert found.regions.payload == "regions 2"


def test_calibration_is_the_one_nearest_to_the_image(buffer: FrameBuffer) -> None:
    request = replace(NEWEST, stamp_ns=NOW - 76 * MS)
    assert buffer.select(request, NOW).camera_info.payload == "camera_info 0"


def test_an_old_calibration_holds() -> None:
    buffer = FrameBuffer(30, TOPICS)
    add_frame(buffer, NOW, 0, camera_info=-3600 * S)
    assert buffer.select(NEWEST, NOW).camera_info.payload == "camera_info 0"


def test_requested_stamp_within_tolerance(buffer: FrameBuffer) -> None:
    request = replace(NEWEST, stamp_ns=NOW - 43 * MS + 15 * MS)
    assert buffer.select(request, NOW).rgb.payload == "rgb 1"


def test_messages_may_arrive_out_of_order() -> None:
    buffer = FrameBuffer(30, TOPICS)
    for index, stamp_ns in enumerate([NOW - 66 * MS, NOW, NOW - 33 * MS]):
        add_frame(buffer, stamp_ns, index)
    assert buffer.select(NEWEST, NOW).rgb.payload == "rgb 1"
    before = replace(NEWEST, stamp_ns=NOW - 33 * MS)
    assert buffer.select(before, NOW).rgb.payload == "rgb 2"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("rgb", Status.NO_RGB),
        ("depth", Status.NO_DEPTH),
        ("camera_info", Status.NO_CAMERA_INFO),
        ("regions", Status.NO_REGIONS),
    ],
)
def test_input_that_never_arrived(name: str, status: Status) -> None:
    buffer = FrameBuffer(30, TOPICS)
    for other in TOPICS:
        if other != name:
            buffer.add(other, NOW, "")
    error = refusal(buffer, NEWEST)
    assert error.status is status
    assert error.silent == (name,)
    assert TOPICS[name] in error.message


def test_camera_that_stopped(buffer: FrameBuffer, monkeypatch: pytest.MonkeyPatch) -> None:
    five_seconds_later_ns = time.monotonic_ns() + 5 * S
    monkeypatch.setattr(time, "monotonic_ns", lambda: five_seconds_later_ns)
    error = refusal(buffer, NEWEST, NOW + 5 * S)
    assert error.status is Status.STALE
    assert error.silent == ("rgb",)
    assert "5.010 s old, but max_age is 1.000 s" in error.message


def test_stamps_of_another_clock_are_not_mistaken_for_a_stopped_camera(
    buffer: FrameBuffer,
) -> None:
    error = refusal(buffer, NEWEST, NOW + 5 * S)
    assert error.status is Status.STALE
    assert error.silent == ()
    assert "synchronize the clocks" in error.message


def test_slow_camera(buffer: FrameBuffer) -> None:
    error = refusal(buffer, replace(NEWEST, max_age_ns=5 * MS))
    assert error.status is Status.STALE
    assert "publish more often" in error.message


@pytest.mark.parametrize(("now_ns", "cause"), [(NOW - 5 * S, "use_sim_time"), (0, "/clock")])
def test_stamps_from_the_future(buffer: FrameBuffer, now_ns: int, cause: str) -> None:
    error = refusal(buffer, NEWEST, now_ns)
    assert error.status is Status.BAD_INPUT
    assert "ahead" in error.message
    assert cause in error.message


def test_out_of_sync_says_which_and_how_far() -> None:
    buffer = FrameBuffer(30, TOPICS)
    for index in range(3):
        add_frame(buffer, NOW - index * 33 * MS, index, depth=-500 * MS, regions=5 * MS)
    error = refusal(buffer, NEWEST)
    assert error.status is Status.OUT_OF_SYNC
    assert "depth is 500 ms older and regions is 5 ms newer" in error.message


def test_complete_but_too_old_set_is_not_taken(buffer: FrameBuffer) -> None:
    later = NOW + 1200 * MS
    for name, offset_ns in zip(SYNCHRONIZED, (0, -300 * MS, -600 * MS), strict=True):
        buffer.add(name, later + offset_ns, "alone")
    error = refusal(buffer, NEWEST, later)
    assert error.status is Status.OUT_OF_SYNC
    assert "depth is 300 ms older and regions is 600 ms older" in error.message


def test_stamps_one_second_apart_are_out_of_sync_although_both_are_buffered() -> None:
    buffer = FrameBuffer(30, TOPICS)
    for index in range(30):
        add_frame(buffer, NOW - (29 - index) * 100 * MS, index, depth=-S)
    error = refusal(buffer, NEWEST, NOW + 10 * MS)
    assert error.status is Status.OUT_OF_SYNC
    assert "depth is 1000 ms older and regions is 0 ms newer" in error.message


@pytest.mark.parametrize("age_ns", [50 * MS + 12 * MS, 300 * MS])
def test_stamp_that_has_passed(buffer: FrameBuffer, age_ns: int) -> None:
    request = replace(NEWEST, stamp_ns=NOW - age_ns, sync_tolerance_ns=5 * MS)
    error = refusal(buffer, request)
    assert error.status is Status.STALE
    assert error.patience is Patience.NONE


def test_stamp_older_than_max_age(buffer: FrameBuffer) -> None:
    request = replace(NEWEST, stamp_ns=NOW - 76 * MS, max_age_ns=50 * MS)
    assert "max_age" in refusal(buffer, request).message


def test_stamp_too_far_ahead_to_wait_for(buffer: FrameBuffer) -> None:
    error = refusal(buffer, replace(NEWEST, stamp_ns=NOW + S))
    assert error.status is Status.TIMEOUT
    assert error.patience is Patience.NONE


def test_only_the_newest_messages_are_buffered() -> None:
    buffer = FrameBuffer(2, TOPICS)
    for index in range(5):
        add_frame(buffer, NOW + index * 33 * MS, index)
    request = replace(NEWEST, stamp_ns=NOW + 66 * MS)
    assert refusal(buffer, request, NOW + 132 * MS).status is Status.STALE


def test_clock_that_jumps_back_forgets_the_future(buffer: FrameBuffer) -> None:
    add_frame(buffer, 2 * S, 9)
    assert buffer.select(NEWEST, 2 * S).rgb.payload == "rgb 9"


def test_what_others_sent_before_a_restart_is_forgotten(buffer: FrameBuffer) -> None:
    """A loop of less than a second, whose stamps occur again with other pictures."""
    buffer.add("rgb", NOW - 76 * MS, "rgb 0 again")
    assert "since the stamps went back" in refusal(buffer, NEWEST).message
    buffer.add("depth", NOW - 76 * MS, "depth 0 again")
    buffer.add("regions", NOW - 76 * MS, "regions 0 again")
    found = buffer.select(NEWEST, NOW)
    assert {found.rgb.payload, found.depth.payload, found.regions.payload} == {
        "rgb 0 again", "depth 0 again", "regions 0 again",
    }  # fmt: skip
    assert buffer.stamp_counts("depth").restarts == 1


@pytest.mark.parametrize("frozen", [["rgb"], ["depth"], ["regions"], list(SYNCHRONIZED)])
def test_stamp_that_stands_still_names_no_message(buffer: FrameBuffer, frozen: list[str]) -> None:
    at = NOW + 33 * MS
    add_frame(buffer, at, 3)
    assert buffer.select(NEWEST, at).rgb.payload == "rgb 3"
    for name in frozen:
        buffer.add(name, at, f"{name} 4")
    before = buffer.select(NEWEST, at)
    assert {before.rgb.payload, before.depth.payload} == {"rgb 2", "depth 2"}
    for name in frozen:
        buffer.add(name, at, f"{name} 4")
    late = replace(NEWEST, max_age_ns=S // 2)
    assert refusal(buffer, late, at + S).status is Status.STALE
    message = refusal(buffer, late, at + S).message
    assert f"the stamps of {frozen[0]} ({TOPICS[frozen[0]]}) repeat although" in message
    assert buffer.stamp_counts(frozen[0]).still == 2


def test_the_same_message_again_is_used_until_it_is_too_old(buffer: FrameBuffer) -> None:
    at = NOW + 33 * MS
    for _ in range(3):
        add_frame(buffer, at, 3)
    assert buffer.select(NEWEST, at).rgb.payload == "rgb 3"
    assert "the same message keeps arriving" in refusal(buffer, NEWEST, at + 2 * S).message


@pytest.mark.parametrize("name", SYNCHRONIZED)
def test_stamps_that_are_zero(name: str) -> None:
    buffer = FrameBuffer(30, TOPICS)
    for index in range(3):
        for other in TOPICS:
            buffer.add(other, 0 if other == name else NOW + index * MS, f"{other} {index}")
    error = refusal(buffer, NEWEST)
    assert (error.status, error.silent) == (Status.STALE, ())
    assert f"the stamps of {name} ({TOPICS[name]}) are 0" in error.message
    assert buffer.stamp_counts(name).zero == 3


def test_calibration_with_one_stamp_holds_until_the_next(buffer: FrameBuffer) -> None:
    for content in ("first", "second", "second", "third"):
        buffer.add("camera_info", NOW - 10 * MS, content)
    assert buffer.select(NEWEST, NOW).camera_info.payload == "third"


def test_waits_for_a_frame_that_is_about_to_come() -> None:
    buffer = FrameBuffer(30, TOPICS)
    threading.Timer(0.05, add_frame, (buffer, NOW, 7)).start()
    patient = replace(NEWEST, input_wait_s=60.0, timeout_s=60.0)
    assert buffer.wait(patient, lambda: NOW).rgb.payload == "rgb 7"


def test_waits_for_a_stamp_longer_than_for_a_missing_input(buffer: FrameBuffer) -> None:
    future = replace(NEWEST, stamp_ns=NOW + 33 * MS, input_wait_s=0.0, timeout_s=60.0)
    threading.Timer(0.05, add_frame, (buffer, NOW + 33 * MS, 7)).start()
    assert buffer.wait(future, lambda: NOW + 40 * MS).rgb.payload == "rgb 7"
    never = replace(NEWEST, stamp_ns=NOW + 66 * MS, input_wait_s=0.0, timeout_s=0.1)
    with pytest.raises(FrameUnavailableError, match="did not reach the requested stamp") as caught:
        buffer.wait(never, lambda: NOW)
    assert caught.value.status is Status.TIMEOUT


def test_gives_up_after_input_wait() -> None:
    started = time.monotonic()
    with pytest.raises(FrameUnavailableError):
        FrameBuffer(30, TOPICS).wait(replace(NEWEST, timeout_s=60.0), lambda: NOW)
    assert 0.1 <= time.monotonic() - started < 30.0


def test_timeout_counts_from_the_arrival_of_the_request() -> None:
    request = replace(NEWEST, input_wait_s=60.0, timeout_s=60.0)
    started = time.monotonic()
    with pytest.raises(FrameUnavailableError):
        FrameBuffer(30, TOPICS).wait(request, lambda: NOW, arrived_s=started - 60.0)
    assert time.monotonic() - started < 30.0


def test_close_wakes_who_waits() -> None:
    buffer = FrameBuffer(30, TOPICS)
    threading.Timer(0.05, buffer.close).start()
    with pytest.raises(ClosedError):
        buffer.wait(replace(NEWEST, input_wait_s=60.0, timeout_s=60.0), lambda: NOW)
