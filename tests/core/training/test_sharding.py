"""Weights cut over two processes learn what one process learns.

With PyTorch's own `fully_shard`: accelerate ignores FSDP on a CPU and trains replicas, so that a
run of the trainer would prove nothing here. The trainer itself refuses `fsdp` without CUDA.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.model.adapters import attach_adapter
from smolrgpt_core.training.config import TrainConfig
from smolrgpt_core.training.config_file import read_config, write_config
from smolrgpt_core.training.losses import answer_losses, answer_weights
from smolrgpt_core.training.optimizer import set_trainable
from smolrgpt_core.training.run import training_arguments
from smolrgpt_core.training.start import make_start
from smolrgpt_core.training.stream import TrainingStream

STEPS, PROCESSES = 3, 2
DEADLINE_S = 240.0
KINDS = ("full", "lora")


@pytest.fixture
def configs(adapter_run) -> dict[str, TrainConfig]:
    lora = adapter_run("lora", {"language_model": "q_proj|v_proj", "metric_branch": ".*"})
    return {"lora": lora, "full": replace(lora, peft=None)}


def losses(config: TrainConfig, rank: int, processes: int) -> Iterator[float]:
    """Of each step, over all processes; the rows of a step are the same for any number of them."""
    model, processor = make_start(config.start, config.seed, list)
    if config.peft:
        attach_adapter(model, processor, config.peft)
    set_trainable(model, config.trainable, config.adapted)
    if processes > 1:
        for layer in model.model.language_model.layers:
            fully_shard(layer)
        fully_shard(model)
        weights = [weight for weight in model.parameters() if isinstance(weight, DTensor)]
        assert len(weights) == len(list(model.parameters()))
        assert 2 * sum(item.to_local().numel() for item in weights) < 1.3 * sum(
            item.numel() for item in weights
        )
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    # Unlike Adam, it notices gradients of a wrong size.
    optimizer = torch.optim.SGD(trained, lr=0.1, foreach=False)
    batches = iter(TrainingStream(config, processor, rank, processes))
    for _ in range(STEPS):
        step = [next(batches) for _ in range(PROCESSES // processes)]
        total = torch.stack([answer_weights(b["labels"], config.loss).sum() for b in step]).sum()
        total = _summed(total, processes)
        loss = torch.zeros(())
        for batch in step:
            del batch["facts"]
            part, *_ = answer_losses(model, batch, total, config.reading_weight, config.loss)
            # Gradients are averaged over the processes, but their sum is needed.
            (part * processes).backward()
            loss += part.detach()
        optimizer.step()
        optimizer.zero_grad()
        yield float(_summed(loss, processes))


def _summed(value: torch.Tensor, processes: int) -> torch.Tensor:
    if processes > 1:
        distributed.all_reduce(value)
    return value


def _work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=PROCESSES
    )
    for kind in KINDS:
        found = list(losses(read_config(folder / f"{kind}.yaml"), rank, PROCESSES))
        if rank == 0:
            (folder / f"{kind}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def test_two_processes_with_cut_weights_have_the_losses_of_one(configs, tmp_path, warm_python):
    for kind, config in configs.items():
        write_config(config, tmp_path / f"{kind}.yaml")
    workers = [warm_python(__file__, tmp_path, str(rank)) for rank in range(PROCESSES)]
    for worker in workers:
        assert worker.wait(DEADLINE_S) == 0, worker.output.read_text()
    for kind, config in configs.items():
        alone = list(losses(config, 0, 1))
        assert alone[-1] < alone[0]
        assert json.loads((tmp_path / f"{kind}.json").read_text()) == pytest.approx(alone, rel=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="with CUDA it is allowed")
def test_the_trainer_does_not_pretend_without_cuda(configs):
    with pytest.raises(SpatialError, match="fsdp needs CUDA"):
        training_arguments(replace(configs["full"], fsdp=True))


if __name__ == "__main__":
    _work(int(sys.argv[2]), Path(sys.argv[1]))
