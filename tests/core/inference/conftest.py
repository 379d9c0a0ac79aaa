"""The authors' small checkpoint behind the engine, and a frame of the simulated warehouse."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch

from smolrgpt_core.cli.ask import read_frame
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference import AnswerStyle, EngineConfig, InferenceEngine
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.official import import_checkpoint

DATA = Path(__file__).parents[2] / "data"
NEW_TOKENS = 24


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Threads cost more than these small tensors take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("engine") / "checkpoint"
    import_checkpoint(DATA / "official_tiny", folder)
    return folder


@pytest.fixture(scope="session")
def processor(checkpoint) -> SmolRGPTProcessor:
    return SmolRGPTProcessor.from_pretrained(checkpoint)


@pytest.fixture
def model(checkpoint) -> SmolRGPTForConditionalGeneration:
    """Without an end token, which this model of random weights does not come to."""
    model = SmolRGPTForConditionalGeneration.from_pretrained(checkpoint).eval()
    model.generation_config.eos_token_id = None
    return model


@pytest.fixture(scope="session")
def frames() -> list[RGBDFrame]:
    """Three views: as it is, and mirrored in one direction each."""
    folder = DATA / "warehouse"
    truth = json.loads((folder / "truth.json").read_text())
    intrinsics = tuple(float(number) for number in truth["intrinsics"].split(","))
    seen = read_frame(
        folder / "rgb.jpg", folder / "depth.png", folder / "regions.json", intrinsics, None, None
    )
    mirrored = [
        RGBDFrame(seen.rgb[turn].copy(), seen.depth[turn].copy(), seen.intrinsics, seen.regions)
        for turn in (slice(None, None, -1), (slice(None), slice(None, None, -1)))
    ]
    return [seen, *mirrored]


@pytest.fixture
def make_engine(model, processor):
    """An engine whose styles have the length limit of these tests."""

    def make(**changes) -> InferenceEngine:
        values = {
            "device": "cpu",
            "short": AnswerStyle("Value only.", NEW_TOKENS),
            "sentence": AnswerStyle("", NEW_TOKENS),
            **changes,
        }
        return InferenceEngine(model, processor, EngineConfig(**values))

    return make


@pytest.fixture
def generate(model, processor):
    """What `model.generate` makes of one question: new ids, and logits before each of them.

    With a copy of the model, since an engine changes the one that it takes over.
    """
    plain = deepcopy(model)
    plain.generation_config = model.generation_config

    def ask(frame, text, ids, max_new_tokens=NEW_TOKENS):
        masks = [frame.regions[id] for id in ids]
        batch = processor(frame.rgb, text, frame.depth, masks)
        output = plain.generate(
            **batch,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        new = output.sequences[0, batch["input_ids"].shape[1] :].tolist()
        return new, torch.stack(output.logits, dim=1)[0]

    return ask
