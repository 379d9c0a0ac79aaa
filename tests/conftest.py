"""What generated tests need: the same examples on every run, and one way to hold errors to account.

Hypothesis keeps no database of examples here: what it found once belongs into the test.

`make test` runs two processes, which take the tests file by file, so that what a file needs is made
once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from smolrgpt_core.errors import SpatialError, Status

# A busy machine makes an example slow; how long answers take is measured by benchmarks/.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")

# A million objects are made while tests are collected, and stay: to look for garbage among them
# again and again took one second of processor time in twenty.
gc.disable()

LONGEST_REFUSAL = 2000
"""Characters: a refusal is read by a person, and is sent to everybody who listens."""

HERE = Path(__file__).parent
LONGEST = (HERE / "ros", HERE / "core" / "training")

Result = TypeVar("Result")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: one that begins last would leave the other process without work."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(folder) for folder in LONGEST))


def pytest_collection_finish() -> None:
    """From now on garbage is looked for among what tests make."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def result_or_refusal() -> Callable[..., object]:
    """Call: result_or_refusal({Status.BAD_INPUT}, function, *arguments).

    The result, or None for a refusal that has one of these statuses and a readable message. Any
    other exception fails the test.
    """

    def call(
        statuses: set[Status], function: Callable[..., Result], *arguments: object
    ) -> Result | None:
        refusal = None
        try:
            return function(*arguments)
        except SpatialError as error:
            refusal = error
        assert refusal.status in statuses, refusal.message
        assert 0 < len(refusal.message) <= LONGEST_REFUSAL
        return None

    return call
