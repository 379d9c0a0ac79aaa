"""An engine computes with its own number of threads and leaves that of the program alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from smolrgpt_core.answerer_settings import ModelSettings
from smolrgpt_core.inference import EngineConfig
from smolrgpt_core.inference.torch_threads import SMALL_PARAMETERS, threads_of

QUESTION = ("How far is <mask> from <mask>?", (13, 15))


@pytest.fixture(autouse=True)
def three_threads_outside():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("asked", "used"), [(0, 1), (2, 2)])
def test_threads_inside_and_outside_of_a_call(make_engine, frames, asked, used):
    engine = make_engine(threads=asked)
    seen = []
    engine.steps.model.lm_head.register_forward_pre_hook(
        lambda *_: seen.append(torch.get_num_threads())
    )
    engine.ask([QUESTION], frame=frames[0])
    assert set(seen) == {used}
    assert torch.get_num_threads() == 3


def test_the_number_outside_is_back_after_a_refusal(make_engine, frames):
    engine = make_engine()
    with pytest.raises(RuntimeError, match="set_frame"):
        engine.ask([QUESTION])
    assert torch.get_num_threads() == 3


def test_a_large_model_computes_with_the_threads_of_the_program():
    large = nn.Linear(SMALL_PARAMETERS, 1, bias=False, device="meta")
    small = nn.Linear(SMALL_PARAMETERS - 1, 1, bias=False, device="meta")
    assert threads_of(large, 0) == 0
    assert threads_of(small, 0) == 1
    assert threads_of(large, 5) == 5


@pytest.mark.parametrize("settings", [ModelSettings, EngineConfig])
def test_a_number_of_threads_that_cannot_be_is_refused(settings):
    with pytest.raises(ValueError, match=r"threads must be 0 .* or more, got -1"):
        settings(threads=-1)
