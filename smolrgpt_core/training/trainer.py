"""Extends the Trainer of transformers for the runs of this project.

Its loop, accelerate, DDP and FSDP, mixed precision and the reporting to TensorBoard are used
unchanged. Batches, loss normalization, checkpoints, validation and the loss log are implemented
here; nothing happens at the end of an epoch, since a run is measured in steps.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import write_file
from smolrgpt_core.model.adapter_files import AdapterCard, save_adapter
from smolrgpt_core.training.checkpoints import CheckpointStore, storage_errors
from smolrgpt_core.training.config import TrainConfig
from smolrgpt_core.training.loss_log import LossLog
from smolrgpt_core.training.objectives import Objectives
from smolrgpt_core.training.optimizer import make_optimizer, parameter_groups
from smolrgpt_core.training.progress import ProgressBar, add_tensorboard
from smolrgpt_core.training.start import Model, Processor
from smolrgpt_core.training.step import Spent, StepResult, StepSums, Throughput
from smolrgpt_core.training.stream import BrokenSamples, GroupFacts, State, TrainingStream
from smolrgpt_core.training.validation import Validation

logger = logging.getLogger(__name__)

EXAMPLES_FILE = "examples.jsonl"


def _trained_parameters(model: Model) -> int:
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


class RunTrainer(Trainer):
    """Trains one run, starting from any step."""

    def __init__(
        self,
        config: TrainConfig,
        arguments: TrainingArguments,
        model: Model,
        processor: Processor,
        stream: TrainingStream,
        store: CheckpointStore,
        resumed: Mapping[str, Any],
        objectives: Objectives,
        card: AdapterCard | None = None,
    ) -> None:
        """Prepare the run without computing anything.

        Args:
            config: of the run.
            arguments: of `training_arguments`.
            model: with the parts to train set.
            processor: saved with every checkpoint.
            stream: batches of this process.
            store: of the run's checkpoints.
            resumed: data saved with the checkpoint to resume from; empty at the start.
            objectives: what is learned; its heads are on the device.
            card: of the adapter, which alone is saved then.
        """
        super().__init__(model=model, args=arguments, train_dataset=stream)
        self.remove_callback(PrinterCallback)
        self._config = config
        self._output = Path(config.output)
        step = resumed.get("step", 0)
        self._bar = ProgressBar()
        if self.is_world_process_zero():
            self.add_callback(self._bar)
            if config.logging.tensorboard:
                add_tensorboard(self, self._output, step)
        self._processor = processor
        self._objectives = objectives
        self._card = card
        self._stream = stream
        self._store = store
        self._facts = {**resumed, "trained_parameters": _trained_parameters(model)}
        self._spent = Spent(resumed)
        self._broken = BrokenSamples(config.data.broken_fraction, resumed.get("broken"))
        self._losses = LossLog(self._output, step) if self.is_world_process_zero() else None
        source = config.validation.source
        self._validation = Validation(config, source, processor) if source else None
        self._validation_loss: float | None = None
        self._sums = StepSums(self.args.device, objectives.names)
        self._result: StepResult | None = None
        self._throughput = Throughput()

    def close(self) -> None:
        """Release the terminal and files, however the run ended."""
        self._bar.close()
        if self._losses is not None:
            self._losses.close()

    def get_train_dataloader(self) -> DataLoader:
        """Batches of this process."""
        return self._stream.loader()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Nothing: the run began with these weights, and transformers wants those of all parts."""

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The optimizer of the trainable parts, each with its learning rate."""
        optimizer = self._config.optimizer
        groups = parameter_groups(
            self.accelerator.unwrap_model(self.model),
            self._config.trainable,
            optimizer.weight_decay,
        )
        groups += self._objectives.parameter_groups(optimizer.weight_decay)
        self.optimizer = make_optimizer(groups, optimizer)
        return self.optimizer

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, torch.Tensor]:
        """The batches of one optimizer step, and the sum of its loss weights on all processes.

        Args:
            epoch_iterator: batches of this process.
            num_batches: micro-batches of the step.
            device: of the model.

        Raises:
            SpatialError: BAD_INPUT when the data cannot be read, or too much of it is broken.
        """
        began = time.perf_counter()
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._throughput.waited(time.perf_counter() - began)
        for batch in batches:
            if "error" in batch:
                raise batch["error"]
            facts: GroupFacts = batch["facts"]
            self._broken.add(facts)
            self._facts["data"] = facts.state
        self._sums = StepSums(device, self._objectives.names)
        # The loop of transformers resets the gradients of the model alone.
        self._objectives.heads.zero_grad()
        weights = [self._objectives.weights(batch).sum() for batch in batches]
        return batches, self.accelerator.reduce(torch.stack(weights).sum().to(device))

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """The batch's part of the step loss: its sum over the weights of all batches.

        Args:
            model: wrapped or not.
            inputs: a batch of `TrainingStream`.
            return_outputs: not used; part of the signature in transformers.
            num_items_in_batch: the weights of all batches of the step.
        """
        facts: GroupFacts = inputs["facts"]
        batch = {name: value for name, value in inputs.items() if name != "facts"}
        assert num_items_in_batch is not None
        loss = self._objectives.loss(model, batch, num_items_in_batch)
        self._sums.add(facts, loss)
        # Gradients are averaged over the processes, but their sum is needed.
        return loss.loss * self.accelerator.num_processes

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """Clip gradients, and stop before a step with non-finite values."""
        norm = super()._clip_grad_norm(model)
        self._clip_heads()
        self._result = self._sums.result(partial(self.accelerator.reduce, reduction="sum"), norm)
        # With float16, the scaler skips gradients that overflow.
        checks_norm = self._config.precision != "float16"
        if not self._result.is_finite(checks_norm):
            self._stop_for_numbers(self._result)
        return norm

    def _clip_heads(self) -> None:
        """Average gradients of the heads over processes, as DDP does for the model; clip them."""
        weights = [
            weight for weight in self._objectives.heads.parameters() if weight.grad is not None
        ]
        for weight in weights:
            weight.grad = self.accelerator.reduce(weight.grad, reduction="mean")
        if weights:
            nn.utils.clip_grad_norm_(weights, self.args.max_grad_norm)

    def _stop_for_numbers(self, result: StepResult) -> None:
        step = self.state.global_step + 1
        path = self._output / f"not-finite-step-{step}-process-{self.args.process_index}.json"
        batches = self._sums.batches()
        content = {"step": step, **asdict(result), "batches": batches}
        write_file(path, json.dumps(content, indent=1).encode())
        culprits = [batch for batch in batches if not batch["is_finite"]] or batches
        ids = [id for batch in culprits for id in batch["ids"]]
        shown = ", ".join(ids[:8]) + (", ..." if len(ids) > 8 else "")
        raise SpatialError(
            Status.MODEL_ERROR,
            f"step {step}: loss {result.loss}, gradient norm {result.gradient_norm}; the step "
            f"was discarded. Its conversations are {shown}; all of them are listed in {path}. "
            "Check these samples, lower the learning rates, or use another precision",
        )

    def _maybe_log_save_evaluate(
        self,
        tr_loss: torch.Tensor,
        grad_norm: torch.Tensor | float | None,
        model: nn.Module,
        *unused: Any,
        **options: Any,
    ) -> None:
        """Actions after a step. Called once more at the end, with nothing to do."""
        result, self._result = self._result, None
        if result is None:
            return
        step, config = self.state.global_step, self._config
        is_last = step >= self.state.max_steps
        self._throughput.add(result)
        self._spent.add(result)
        if self._losses is not None:
            self._losses.append(step, result.record())
        if is_last or step % config.logging.every_steps == 0:
            self.log({**self._throughput.take(), "learning_rate": self._get_learning_rate()})
        if self._validation and (is_last or step % config.validation.every_steps == 0):
            self._validate(model, self._validation)
        if is_last or step % config.checkpoints.every_steps == 0:
            self._save_checkpoint(model, None)
        self._validation_loss = None

    def _validate(self, model: nn.Module, validation: Validation) -> None:
        sums = validation.losses(model, self.args.device)
        self._validation_loss = sums.mean
        by_category = {f"eval_loss_{name}": loss for name, loss in sums.by_category().items()}
        self.log({"eval_loss": sums.mean, **by_category})
        # Sharded weights cannot generate on one process alone.
        if not self.is_fsdp_enabled and self.is_world_process_zero():
            step = self.state.global_step
            answers = validation.answers(self.accelerator.unwrap_model(model), self.args.device)
            with (self._output / EXAMPLES_FILE).open("a") as file:
                for item in answers:
                    file.write(json.dumps({"step": step, **asdict(item)}) + "\n")
                    logger.info(
                        "%s  expected: %s  answered: %s", item.question, item.expected, item.answer
                    )
        self._throughput = Throughput()

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a complete checkpoint to resume from, or nothing."""
        step = self.state.global_step
        with storage_errors(self._store):
            folder = self._store.begin(step)
            self.accelerator.wait_for_everyone()
            self._save_weights(folder)
            if self.is_world_process_zero():
                self._objectives.save(folder)
            self._save_optimizer_and_scheduler(str(folder))
            self._save_scaler(str(folder))
            self._save_rng_state(str(folder))
            if self._losses is not None:
                self.state.save_to_json(str(folder / TRAINER_STATE_NAME))
                (folder / TRAINING_ARGS_NAME).unlink(missing_ok=True)
                self._losses.flush_to_disk()
            self.accelerator.wait_for_everyone()
            if self._losses is not None:
                self._store.commit(step, self._saved_facts(step))
        self.accelerator.wait_for_everyone()
        logger.info("step %d: checkpoint written", step)

    def _save_weights(self, folder: Path) -> None:
        """The whole model with its processor, or the adapter alone."""
        if self._card is None:
            self.save_model(str(folder), _internal_call=True)
        if not self.is_world_process_zero():
            return
        if self._card is None:
            self._processor.save_pretrained(folder)
        else:
            save_adapter(self.accelerator.unwrap_model(self.model), self._card, folder)

    def _hardware(self) -> str:
        count, device = self.accelerator.num_processes, self.args.device
        if device.type == "cuda":
            return f"{count} x {torch.cuda.get_device_name(device)}"
        return f"{count} CPU process(es) of {torch.get_num_threads()} thread(s)"

    def _saved_facts(self, step: int) -> State:
        return {
            **self._facts,
            **self._spent.facts(),
            "hardware": self._hardware(),
            "step": step,
            "broken": self._broken.state,
            "validation_loss": self._validation_loss,
        }
