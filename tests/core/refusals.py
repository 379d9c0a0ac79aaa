"""What is refused, and with which words."""

from __future__ import annotations

import pytest

from smolrgpt_core.errors import SpatialError, Status


def refusal(call: object, message: object) -> str:
    """The words with which a function refuses a message as BAD_INPUT."""
    assert callable(call)
    with pytest.raises(SpatialError) as caught:
        call(message)
    assert caught.value.status is Status.BAD_INPUT
    return caught.value.message
