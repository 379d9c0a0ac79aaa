"""Programs and conventions on their way to other processes."""

import pickle

import pytest

from smolrgpt_core.language.conventions import CONVENTIONS
from smolrgpt_core.language.operators import OPERATORS
from smolrgpt_core.language.operators.attributes import HorizontalDistance
from smolrgpt_core.language.operators.questions import Measure
from smolrgpt_core.language.operators.selections import Camera, Region


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_is_the_same_one_afterwards(name: str) -> None:
    assert pickle.loads(pickle.dumps(OPERATORS[name])) is OPERATORS[name]


def test_programs_and_conventions_are_equal_afterwards() -> None:
    program = Measure(Region(3), HorizontalDistance(Camera()))
    for item in (program, *CONVENTIONS.values()):
        assert pickle.loads(pickle.dumps(item)) == item
