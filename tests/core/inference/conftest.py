"""The authors' small checkpoint behind the engine, and a frame of the simulated warehouse."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch

from smolrgpt_core.answerers import base
from smolrgpt_core.answerers.likeness import FEATURES, FORMAT, Likeness
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.frame_files import FrameFiles, read_frame
from smolrgpt_core.inference import (
    AnswerStyle,
    EngineConfig,
    InferenceEngine,
    TorchSteps,
    stage_clock,
)
from smolrgpt_core.language import read_question
from smolrgpt_core.language.model_wording import masked_question
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.official import import_checkpoint

DATA = Path(__file__).parents[2] / "data"
NEW_TOKENS = 24

LESSONS = {
    "How far is pallet 13 from pallet 15?": "The distance is 3.8 meters.",
    "How many pallets are in buffer 2?": "There are 3 pallets.",
    "Is transporter 60 on the left side or the right side of pallet 13?": "It is on the right.",
    "Which pallet among pallets 16, 12, 14, 10 and 15 is in buffer 1?": "[Region 4]",
    # The buffer itself, which is none of the choices.
    "Which pallet among pallets 16, 12, 14, 10 and 15 is closest to buffer 1?": "[Region 5]",
    "How far is pallet 10 from pallet 11?": "I am not sure.",
    # It is 7.55 m, and the other way round the same.
    "How far is pallet 11 from pallet 10?": "The distance is 2.0 meters.",
    # More than there are.
    "How many pallets are in buffer 1?": "There are 56 pallets.",
}


@pytest.fixture(scope="session", autouse=True)
def on_one_thread(one_thread: None) -> None:
    """For every test of this folder."""


class Clock:
    """Stands still until a test moves it on; in place of the module `time`."""

    def __init__(self):
        self._now_s = 1000.0

    def monotonic(self):
        return self._now_s

    def go_on(self, seconds):
        self._now_s += seconds


@pytest.fixture
def clock(monkeypatch):
    """The clock of all deadlines of engine and answerers."""
    clock = Clock()
    for module in (stage_clock, base):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def anything():
    """A likeness by which every question about a pallet or buffer is like the training."""

    def anything(weights_sha256="0" * 64, **changes):
        ranges = dict.fromkeys(FEATURES, (-1e6, 1e6)) | changes
        classes = ("buffer", "pallet", "transporter")
        return Likeness(classes, ranges, "warehouse/train", 1, 1, weights_sha256, FORMAT)

    return anything


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
    files = (folder / "rgb.jpg", folder / "depth.png", folder / "regions.json")
    seen = read_frame(FrameFiles(*files, intrinsics))
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
        return InferenceEngine(TorchSteps(model, processor, EngineConfig(**values)))

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


@pytest.fixture(scope="session")
def lessons() -> list[str]:
    """Questions about the first frame that the taught model has an answer to."""
    return list(LESSONS)


@pytest.fixture(scope="session")
def taught(checkpoint, processor, frames, tmp_path_factory) -> Path:
    """A checkpoint trained until it says these sentences."""
    return teach(checkpoint, processor, frames[0], LESSONS, tmp_path_factory.mktemp("taught"))


def teach(checkpoint, processor, frame, lessons, folder) -> Path:
    """Train a checkpoint until it says what the lessons want, and save it in a folder."""
    torch.manual_seed(0)
    model = SmolRGPTForConditionalGeneration.from_pretrained(checkpoint).train()
    batch = lesson_batch(processor, frame, lessons)
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad], lr=3e-3
    )
    for _ in range(400):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.01:
            break
    assert loss < 0.01
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def lesson_batch(processor, frame, lessons):
    questions = [in_words_of_a_model(text, frame.regions) for text in lessons]
    conversations = [
        [{"role": "user", "content": question.text}, {"role": "assistant", "content": said}]
        for question, said in zip(questions, lessons.values(), strict=True)
    ]
    masks = [[frame.regions[id] for id in question.region_ids] for question in questions]
    count = len(questions)
    return processor(
        [frame.rgb] * count, conversations, [frame.depth] * count, masks, return_labels=True
    )


def in_words_of_a_model(text, regions):
    """As the warehouse data set says it, or the canonical sentence with masks."""
    question = read_question(text, regions)
    assert question.program is not None
    return question if question.for_model else masked_question(question.program, regions)


@pytest.fixture(scope="module")
def engine(taught) -> InferenceEngine:
    """The engine of the taught checkpoint, on the CPU."""
    return InferenceEngine.from_pretrained(taught, EngineConfig(device="cpu"))
