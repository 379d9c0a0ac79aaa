"""What cleanup gives back: the weights of a model that are large enough to be seen."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from lifecycle_msgs.msg import Transition
from std_srvs.srv import Trigger

from smolrgpt_core.errors import Status
from smolrgpt_core.garbage_collection import settle
from smolrgpt_core.model import SmolRGPTConfig, SmolRGPTForConditionalGeneration
from smolrgpt_core.model.official import import_checkpoint
from smolrgpt_ros.runtime.memory import release_memory

OFFICIAL = Path(__file__).parents[1] / "data" / "official_tiny"

LARGER = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 8}
SHARE = 0.8
"""Of the weights: the rest is for what libraries keep of their own, once."""

ROUNDS = 4
GROWTH = 0.1
"""Of the weights, from the first round to any other."""

FREE_IN_A_THREAD = """
import ctypes, sys, threading
from smolrgpt_ros.runtime.memory import release_memory, resident_bytes, use_one_arena
if sys.argv[1] == "shared":
    use_one_arena()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
# From now on blocks of this size come from the arenas, and free ends of arenas are kept.
libc.free(libc.malloc(30_000_000))

# A list that grew between the blocks would divide what is free behind them.
blocks = [None] * 500

def allocate() -> None:
    for index in range(500):
        blocks[index] = libc.malloc(100_000)
    for block in blocks:
        ctypes.memset(block, 1, 100_000)
    for block in blocks:
        libc.free(block)

before = resident_bytes()
thread = threading.Thread(target=allocate)
thread.start()
thread.join()
release_memory()
print(resident_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="about glibc")
def test_memory_of_other_threads_is_released() -> None:
    def kept(mode: str) -> int:
        command = [sys.executable, "-c", FREE_IN_A_THREAD, mode]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert kept("shared") < 5e6
    assert kept("own") > 40e6  # or nobody needs `use_one_arena` any more


class Loop:
    """An object that only a collection can free."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_left_out_of_collections_is_released() -> None:
    loaded = Loop()
    settle()
    of_loaded = weakref.ref(loaded)
    del loaded
    gc.collect()
    assert of_loaded() is not None
    release_memory()
    assert of_loaded() is None


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
def test_memory_of_the_model_is_released_at_cleanup(
    graph: Any,
    camera: Any,
    make_operator: Any,
    start_new_node: Any,
    wait_for: Any,
    checkpoint: Path,
) -> None:
    weights = (checkpoint / "model.safetensors").stat().st_size
    assert weights > 100e6
    values = {"answerer": "model", "checkpoint": checkpoint, "answer_style": "short"}
    node = start_new_node(
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
    for _ in range(ROUNDS):
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
    assert max(released) - released[0] < GROWTH * weights
