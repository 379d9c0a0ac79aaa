"""What is loaded is left out of collections, and collected when it is released."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from smolrgpt_core.garbage_collection import settle


class Loop:
    """An object that only a collection can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def settled_again() -> Iterator[None]:
    """Tests after this one are as settled as those before it."""
    yield
    settle()


def test_what_is_loaded_is_collected_only_when_it_is_released() -> None:
    loaded = Loop()
    settle()
    of_loaded, of_later = weakref.ref(loaded), weakref.ref(Loop())
    del loaded
    gc.collect()
    assert of_later() is None
    assert of_loaded() is not None
    gc.unfreeze()
    gc.collect()
    assert of_loaded() is None
