"""Which images are processed, and which are skipped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from smolrgpt_core.messages.input_stamps import StampedMessage
from smolrgpt_ros.nodes.image_worker import Images, ImageWorker, NewestImages

MS = 1_000_000


def stamps(images: Images | None) -> dict[str, int]:
    assert images is not None
    return {name: sample.stamp_ns // MS for name, sample in images.items()}


def test_first_image_of_each_period_is_chosen() -> None:
    newest = NewestImages(["rgb"], [], 0.0, rate=2.0)
    chosen = [
        ms for ms in range(1000, 2600, 100) if newest.add("rgb", StampedMessage(ms * MS, b""))
    ]
    assert chosen == [1000, 1500, 2000, 2500]


def test_stamps_that_do_not_advance_hide_no_image() -> None:
    newest = NewestImages(["rgb"], [], 0.0, rate=2.0)
    assert all(newest.add("rgb", StampedMessage(0, b"")) for _ in range(3))
    assert newest.add("rgb", StampedMessage(1900 * MS, b""))
    assert newest.add("rgb", StampedMessage(1010 * MS, b"")), "a recording began again"


def test_newest_image_with_all_that_belongs_to_it() -> None:
    newest = NewestImages(["rgb", "depth"], ["camera_info"], 0.02, rate=10.0)
    assert newest.add("camera_info", StampedMessage(5 * MS, b"")) is None
    assert newest.add("rgb", StampedMessage(1000 * MS, b"")) is None
    assert newest.add("rgb", StampedMessage(1100 * MS, b"")) is None
    found = newest.add("depth", StampedMessage(1010 * MS, b""))
    assert stamps(found) == {"rgb": 1000, "depth": 1010, "camera_info": 5}
    assert newest.add("depth", StampedMessage(1030 * MS, b"")) is None, "the image was found before"
    assert stamps(newest.add("depth", StampedMessage(1090 * MS, b"")))["rgb"] == 1100
    assert newest.add("depth", StampedMessage(1015 * MS, b"")) is None, "a newer one was found"


class Held:
    """Processing that waits until it may go on."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.has_begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.errors: list[Exception] = []

    def process(self, images: Images) -> None:
        self.begun.append(images["rgb"].stamp_ns)
        self.has_begun.release()
        assert self.may_end.acquire(timeout=60)
        if images["rgb"].payload == b"broken":
            raise ValueError("cannot be read")


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def worker(held: Held) -> Iterator[ImageWorker]:
    worker = ImageWorker(held.process, rate=1000.0, on_error=held.errors.append)
    yield worker
    held.may_end.release(100)
    assert worker.close(60)


def image(number: int, payload: Any = b"") -> Images:
    return {"rgb": StampedMessage(number, payload)}


def test_images_are_skipped_while_one_is_processed(held: Held, worker: ImageWorker) -> None:
    worker.offer(image(1))
    assert held.has_begun.acquire(timeout=60)
    for number in (2, 3, 4):
        worker.offer(image(number))
    held.may_end.release(2)
    assert held.has_begun.acquire(timeout=60)
    assert held.begun == [1, 4]
    assert worker.statistics.skipped == 2


def test_error_is_reported_and_the_next_image_processed(
    held: Held, worker: ImageWorker, wait_for: Any
) -> None:
    held.may_end.release(2)
    worker.offer(image(1, b"broken"))
    wait_for(lambda: worker.statistics.failed == 1, "the error")
    assert worker.statistics.last_error == "cannot be read"
    assert [str(error) for error in held.errors] == ["cannot be read"]
    worker.offer(image(2))
    wait_for(lambda: worker.statistics.processed == 1, "the next image")
    assert worker.statistics.last_error == ""


def test_rate_is_a_limit_of_real_time(held: Held, wait_for: Any) -> None:
    """An hour passes before the second image has its turn; a new rate takes effect with it."""
    held.may_end.release(100)
    worker = ImageWorker(held.process, rate=1 / 3600, on_error=held.errors.append)
    worker.offer(image(1))
    assert held.has_begun.acquire(timeout=60)
    wait_for(lambda: worker.statistics.processed == 1, "the first image")
    for number in (2, 3):
        worker.offer(image(number))
    assert worker.statistics.skipped == 1
    assert worker.close(60), "closing must not wait for the turn of an image"
    assert held.begun == [1]


def test_closing_does_not_wait_longer_than_its_timeout(held: Held, worker: ImageWorker) -> None:
    worker.offer(image(1))
    assert held.has_begun.acquire(timeout=60)
    assert not worker.close(0.0)
    held.may_end.release()
    assert worker.close(60)
    worker.offer(image(2))
    assert held.begun == [1]
