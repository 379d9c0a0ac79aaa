"""The engine with the metric depth branch says what `model.generate` says."""

from copy import deepcopy

import pytest
import torch

from smolrgpt_core.inference import AnswerStyle, EngineConfig, InferenceEngine, TorchSteps
from smolrgpt_core.model.quiet_linear import QuietLinear
from smolrgpt_core.training.config import StartConfig
from smolrgpt_core.training.start import make_start

NEW_TOKENS = 10
QUESTIONS = [
    ("How far is <mask> from <mask>?", (13, 15)),
    ("What is this?", ()),
    ("How many pallets <mask> <mask> <mask> <mask> are in the buffer <mask>?", (10, 11, 12, 13, 2)),
    ("Is <mask> left of <mask>?", (60, 13)),
    ("Is <mask> left of <mask>?", (13, 60)),
]
SIZES = {
    "vision_config": {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 1},
    "text_config": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
                    "num_attention_heads": 2, "num_key_value_heads": 2, "initializer_range": 0.3},
    "metric_width": 32,
    "metric_heads": 2,
}  # fmt: skip


@pytest.fixture(
    params=[
        (),
        ("point_fusion",),
        ("region_measures",),
        ("region_measures", "region_rays"),
        ("region_measures", "region_colors"),
    ],
    ids="-".join,
)
def metric(request):
    """Model and processor, without and with the map of metric points or measures of regions."""
    start = StartConfig(
        preset="smolrgpt-nano",
        vocabulary_size=400,
        overrides={**SIZES, **dict.fromkeys(request.param, True), "initializer_range": 0.3},
    )
    model, processor = make_start(start, 4, lambda: [text for text, _ in QUESTIONS])
    model.generation_config.eos_token_id = None
    if "point_fusion" in request.param:
        torch.nn.init.normal_(model.model.connectors["rgb"].projection.weight)
    if "region_measures" in request.param:
        for layer in model.modules():
            if isinstance(layer, QuietLinear):
                torch.nn.init.normal_(layer.weight, std=0.3)
    return model.eval(), processor


def probabilities(model, processor, frame, text, ids):
    """Of the tokens that the model chooses."""
    masks = [frame.regions[id] for id in ids]
    batch = processor(frame.rgb, text, frame.depth, masks, frame.intrinsics)
    output = model.generate(
        **batch,
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
    )
    return torch.stack(output.logits, dim=1)[0].softmax(dim=-1).amax(dim=-1)


def test_questions_together_and_one_by_one(metric, frames):
    model, processor = metric
    plain = deepcopy(model)
    plain.generation_config = model.generation_config
    style = AnswerStyle("", NEW_TOKENS)
    config = EngineConfig(device="cpu", short=style, sentence=style)
    engine = InferenceEngine(TorchSteps(model, processor, config))
    found = []
    for frame in (frames[0], frames[1], frames[0]):
        expected = [probabilities(plain, processor, frame, *question) for question in QUESTIONS]
        together = engine.ask(QUESTIONS, frame=frame)
        alone = [engine.ask([question], frame=frame)[0] for question in QUESTIONS]
        for answers in (together, alone):
            for answer, wanted in zip(answers, expected, strict=True):
                said = torch.tensor(answer.probabilities)
                torch.testing.assert_close(said, wanted, atol=1e-4, rtol=1e-3)
        found += [tuple(wanted.mul(1e3).round().tolist()) for wanted in expected]
    # Otherwise equal answers would prove nothing: frames, questions and the order of regions count.
    assert len(set(found)) == 2 * len(QUESTIONS)
