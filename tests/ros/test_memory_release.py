"""What cleanup gives back: the weights of a model that are large enough to be seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lifecycle_msgs.msg import Transition
from std_srvs.srv import Trigger

from smolrgpt_core.errors import Status
from smolrgpt_core.model import SmolRGPTConfig, SmolRGPTForConditionalGeneration
from smolrgpt_core.model.official import import_checkpoint

OFFICIAL = Path(__file__).parents[1] / "data" / "official_tiny"

LARGER = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 8}
SHARE = 0.8
"""Of the weights: the rest is for what libraries keep of their own, once."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights, which says nothing that can be read."""
    folder = tmp_path_factory.mktemp("model") / "checkpoint"
    import_checkpoint(OFFICIAL, folder)
    values = SmolRGPTConfig.from_pretrained(folder).to_dict()
    values["text_config"] = {**values["text_config"], **LARGER, "head_dim": 128}
    torch.manual_seed(0)
    SmolRGPTForConditionalGeneration(SmolRGPTConfig(**values)).save_pretrained(folder)
    return folder


@pytest.mark.timeout(300)
def test_memory_of_the_model_is_given_back_at_cleanup(
    graph: Any, camera: Any, make_operator: Any, start_node: Any, wait_for: Any, checkpoint: Path
) -> None:
    weights = (checkpoint / "model.safetensors").stat().st_size
    assert weights > 100e6
    values = {"answerer": "model", "checkpoint": checkpoint, "answer_style": "short"}
    node = start_node(
        "spatial_query_node",
        *[argument for item in values.items() for argument in ("-p", "{}:={}".format(*item))],
        environment={"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    operator = make_operator(graph)

    def stats() -> dict[str, Any]:
        return json.loads(graph.call(Trigger, "/spatial_query/stats", Trigger.Request()).message)

    def asks_the_model() -> bool:
        return operator.ask_distance().status in (Status.OK, Status.MODEL_ERROR)

    def memory() -> int:
        return stats()["memory_bytes"]

    released = []
    for _ in range(2):
        wait_for(asks_the_model, "a word of the model", 60.0)
        active = stats()
        assert active["answerer"]["checkpoint"] == str(checkpoint)
        assert active["answerer"]["device"] == "cpu"
        assert active["latency"] == {} or "answer.decode" in active["latency"]
        assert operator.change(Transition.TRANSITION_DEACTIVATE)
        assert operator.change(Transition.TRANSITION_CLEANUP)
        assert stats()["answerer"] == {}
        # An answer that nobody waits for any more may still be computed on a busy machine.
        wait_for(
            lambda before=active["memory_bytes"]: before - memory() > SHARE * weights,
            "the memory of the weights",
        )
        released.append(memory())
        assert operator.change(Transition.TRANSITION_CONFIGURE)
        assert operator.change(Transition.TRANSITION_ACTIVATE)
    assert node.stop() == 0
    assert released[1] - released[0] < (1 - SHARE) * weights
