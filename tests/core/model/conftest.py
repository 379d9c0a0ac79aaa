"""The authors' small checkpoint, imported once, and what their implementation computed from it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.official import import_checkpoint

SAMPLES = 2


@pytest.fixture(scope="session", autouse=True)
def on_one_thread(one_thread: None) -> None:
    """For every test of this folder."""


@pytest.fixture(scope="session")
def official() -> Path:
    return Path(__file__).parents[2] / "data" / "official_tiny"


@pytest.fixture(scope="session")
def expected(official) -> dict[str, torch.Tensor]:
    with np.load(official / "expected.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture(scope="session")
def inputs(expected) -> list[dict]:
    """Arguments of forward for each sample alone, with the authors' own pixels."""
    return [
        {
            "input_ids": expected[f"input_ids_{sample}"],
            "pixel_values": expected["pixel_values"][sample : sample + 1],
            "depth_values": expected["depth_values"][sample : sample + 1],
            "region_masks": [expected[f"masks_{sample}"].permute(2, 0, 1)],
        }
        for sample in range(SAMPLES)
    ]


@pytest.fixture(scope="session")
def batch(expected, inputs) -> dict:
    """Both samples, left-padded."""
    ids = [sample["input_ids"][0] for sample in inputs]
    length = max(len(row) for row in ids)
    padding = [length - len(row) for row in ids]
    pad = torch.nn.functional.pad
    return {
        "input_ids": torch.stack(
            [pad(row, (left, 0), value=2) for row, left in zip(ids, padding, strict=True)]
        ),
        "attention_mask": torch.stack(
            [pad(torch.ones_like(row), (left, 0)) for row, left in zip(ids, padding, strict=True)]
        ),
        "pixel_values": expected["pixel_values"],
        "depth_values": expected["depth_values"],
        "region_masks": [sample["region_masks"][0] for sample in inputs],
    }


@pytest.fixture(scope="session")
def checkpoint(official, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("imported") / "checkpoint"
    import_checkpoint(official, folder)
    return folder


@pytest.fixture
def model(checkpoint) -> SmolRGPTForConditionalGeneration:
    return SmolRGPTForConditionalGeneration.from_pretrained(checkpoint).eval()


@pytest.fixture
def processor(checkpoint) -> SmolRGPTProcessor:
    return SmolRGPTProcessor.from_pretrained(checkpoint)


@pytest.fixture
def endless(model) -> SmolRGPTForConditionalGeneration:
    """The model without an end token, as the authors ran it."""
    model.generation_config.eos_token_id = None
    model.generation_config.max_new_tokens = 24
    return model
