"""A training run in a folder: the same call starts, resumes and finishes it.

    OUTPUT/config.yaml        configuration of the run
    OUTPUT/losses.jsonl       the loss of every step
    OUTPUT/checkpoints/       points from which it can resume
    OUTPUT/examples.jsonl     answers at every validation
    OUTPUT/adapter/           with `peft`, the adapter after the last step
    OUTPUT/model/             the model after the last step, the adapter merged

With several processes (`torchrun`), each process makes this call.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments, set_seed
from transformers.utils.logging import disable_progress_bar

from smolrgpt_core.adapter_settings import AdapterSettings
from smolrgpt_core.answerer_settings import SHORT
from smolrgpt_core.data.readers import Order, SampleIterator
from smolrgpt_core.data.samples import Conversation
from smolrgpt_core.data.warehouse_format import HUMAN
from smolrgpt_core.errors import RunStoppedError, SpatialError, bad_input
from smolrgpt_core.files import file_error, new_folder
from smolrgpt_core.inference.loading import load_adapted
from smolrgpt_core.model.adapter_files import (
    AdapterCard,
    card_of,
    load_adapter,
    read_card,
)
from smolrgpt_core.model.adapters import attach_adapter
from smolrgpt_core.settings_file import to_entries
from smolrgpt_core.torch_device import computes_bfloat16, torch_device
from smolrgpt_core.training.checkpoints import (
    RUN_FILE,
    Checkpoint,
    CheckpointStore,
    flush_to_disk,
    storage_errors,
)
from smolrgpt_core.training.config import AUTO_PRECISION, StartConfig, TrainConfig
from smolrgpt_core.training.config_file import read_config, write_config
from smolrgpt_core.training.learned import learned_of
from smolrgpt_core.training.objectives import HEADS_FILE
from smolrgpt_core.training.optimizer import set_trainable
from smolrgpt_core.training.start import Model, Processor, make_start
from smolrgpt_core.training.stream import TrainingStream, open_source
from smolrgpt_core.training.trainer import RunTrainer

logger = logging.getLogger(__name__)

CONFIG_FILE = "config.yaml"
MODEL_FOLDER = "model"
ADAPTER_FOLDER = "adapter"
LOCK_FILE = ".lock"

TOKENIZER_SAMPLES = 20_000
"""Number of samples for training a new tokenizer."""

_RANK = "LOCAL_RANK"
"""Environment variable set by torchrun."""

_MAY_GROW = ("optimizer.steps", "optimizer.epochs")
_MAY_DIFFER = ("output", "checkpoints.", "logging.", "data.workers")
"""Settings that do not affect the weights."""

_OF_TRAINING = (
    "optimizer.",
    "scheduler.",
    HEADS_FILE,
    "scaler.",
    "rng_state",
    "trainer_state.",
    RUN_FILE,
)
"""Beginnings of the names of files in a checkpoint that the finished model does without."""


def train(config: TrainConfig) -> Path:
    """Train until the last step, from the latest checkpoint in `config.output` if there is one.

    Returns:
        The folder of the finished model.

    Raises:
        SpatialError: BAD_INPUT when the run cannot begin: the folder belongs to a run with another
            configuration or is in use, or data or start cannot be used.
        RunStoppedError: BAD_INPUT when too much of the data is broken or the disk is full;
            MODEL_ERROR when loss or gradients are not finite. Checkpoints remain.
    """
    disable_progress_bar()
    arguments = training_arguments(config)
    output = Path(config.output)
    store = CheckpointStore(output, config.checkpoints.keep)
    is_main = arguments.process_index == 0
    with storage_errors(store), _locked(output, is_main):
        if is_main:
            store.remove_unfinished()
            if store.newest():
                check_same_run(config)
            write_config(config, output / CONFIG_FILE)
        with arguments.main_process_first():
            newest = store.newest()
        _train_from(config, arguments, store, newest)
        last = store.newest()
        if is_main and last:
            _publish(config, last, output)
        with arguments.main_process_first():
            return output / MODEL_FOLDER


def training_arguments(config: TrainConfig) -> TrainingArguments:
    """Arguments of a run for transformers; `RunTrainer` does the rest.

    Raises:
        SpatialError: BAD_INPUT when the rows of a batch cannot be split evenly over the processes.
    """
    has_cuda, is_distributed = torch.cuda.is_available(), _RANK in os.environ
    if config.fsdp and not (has_cuda and is_distributed):
        raise bad_input("fsdp needs CUDA and processes started by torchrun; set fsdp to false")
    optimizer, precision = config.optimizer, precision_of(config)
    arguments = TrainingArguments(
        output_dir=config.output,
        per_device_train_batch_size=optimizer.micro_rows,
        max_steps=max(optimizer.steps, 1),
        max_grad_norm=optimizer.gradient_norm,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": optimizer.final_rate_fraction},
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        fsdp=config.fsdp or None,  # type: ignore[arg-type]
        use_cpu=not has_cuda,
        ddp_backend=("nccl" if has_cuda else "gloo") if is_distributed else None,
        # Rows without images or regions leave parts of the model out.
        ddp_find_unused_parameters=True,
        seed=config.seed,
        ignore_data_skip=True,
        remove_unused_columns=False,
        use_cache=True,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=_reports(config),
    )
    # One process for each device; without torchrun only the first is used.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    rows, world_size = optimizer.batch_rows, arguments.world_size
    if rows % (optimizer.micro_rows * world_size):
        raise bad_input(
            f"optimizer.batch_rows must be a multiple of optimizer.micro_rows = "
            f"{optimizer.micro_rows} times the number of processes = {world_size}, got {rows}"
        )
    arguments.gradient_accumulation_steps = rows // (optimizer.micro_rows * world_size)
    return arguments


def check_same_run(config: TrainConfig) -> None:
    """Check that a folder does not belong to another run.

    Raises:
        SpatialError: BAD_INPUT when it does; the message lists the differences.
    """
    path = Path(config.output) / CONFIG_FILE
    if not path.exists():
        return
    before, now = (dict(_flat(to_entries(item))) for item in (read_config(path), config))
    differing = [
        f"{name}: {before.get(name)!r} before, {now.get(name)!r} now"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
        and not name.startswith(_MAY_DIFFER)
        and not (name in _MAY_GROW and now[name] > before[name])
    ]
    if differing:
        raise file_error(
            path.parent,
            "belongs to a run with another configuration; choose another output, or set back "
            + "; ".join(differing),
        )


def precision_of(config: TrainConfig) -> str:
    """The precision of a run on this machine; never "auto"."""
    if config.precision != AUTO_PRECISION:
        return config.precision
    return "bfloat16" if computes_bfloat16(torch_device("auto")) else "float32"


def _train_from(
    config: TrainConfig,
    arguments: TrainingArguments,
    store: CheckpointStore,
    newest: Checkpoint | None,
) -> None:
    """Train the remaining steps, if any."""
    facts: dict[str, Any] = newest.facts() if newest else {}
    step = facts.get("step", 0)
    model, processor, card = _model_of(config, newest)
    set_trainable(model, config.trainable, config.adapted)
    if arguments.device.type == "cpu" and precision_of(config) == "bfloat16":
        # There, the backward pass of fused attention is several times slower than plain products.
        model.set_attn_implementation("eager")
    if config.gradient_checkpointing:
        _checkpoint_activations(model)
    kind, objectives = learned_of(config, model, processor, arguments.device)
    if newest:
        objectives.load(newest.folder)
    stream = TrainingStream(
        config,
        processor,
        arguments.process_index,
        arguments.world_size,
        facts.get("data"),
        counts_from=step * config.optimizer.batch_rows // config.optimizer.micro_rows,
        kind=kind,
    )
    if not config.optimizer.steps and "rows_of_epoch" not in facts:
        facts["rows_of_epoch"] = stream.rows_of_epoch()
    arguments.max_steps = _total_steps(config, facts)
    arguments.warmup_steps = math.ceil(config.optimizer.warmup_fraction * arguments.max_steps)
    if step >= arguments.max_steps:
        logger.info("%s: all %d steps are done", config.output, step)
        return
    if newest:
        logger.info("%s: resuming after step %d", config.output, step)
    set_seed(config.seed)
    trainer = RunTrainer(
        config, arguments, model, processor, stream, store, facts, objectives, card
    )
    try:
        trainer.train(resume_from_checkpoint=str(newest.folder) if newest else None)
    except SpatialError as error:
        raise RunStoppedError(error.status, error.message) from error
    finally:
        trainer.close()


def _model_of(
    config: TrainConfig, newest: Checkpoint | None
) -> tuple[Model, Processor, AdapterCard | None]:
    if config.peft:
        return _adapted_model_of(config, config.peft, newest)
    start = StartConfig(checkpoint=str(newest.folder)) if newest else config.start
    return *make_start(start, config.seed, lambda: _texts(config)), None


def _adapted_model_of(
    config: TrainConfig, peft: AdapterSettings, newest: Checkpoint | None
) -> tuple[Model, Processor, AdapterCard]:
    """The base with an adapter, new or that of a checkpoint; and the adapter's card.

    Raises:
        SpatialError: BAD_INPUT when base and adapter cannot be used.
    """
    model, processor = make_start(config.start, config.seed, lambda: ())
    checkpoint = config.start.checkpoint
    whole = tuple(part for part in config.trainable if part not in config.adapted)
    try:
        if newest:
            processor = load_adapter(model, processor, checkpoint, newest.folder)
            return model, processor, read_card(newest.folder)
        processor = attach_adapter(model, processor, peft)
        return model, processor, card_of(checkpoint, peft, whole)
    except (OSError, ValueError) as error:
        raise bad_input(f"peft: {error}") from error


def _checkpoint_activations(model: Model) -> None:
    """Enable gradient checkpointing; the method has had two names."""
    enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
    enable({"use_reentrant": False})


def _total_steps(config: TrainConfig, facts: Mapping[str, Any]) -> int:
    optimizer = config.optimizer
    if optimizer.steps:
        return optimizer.steps
    return max(math.ceil(optimizer.epochs * facts["rows_of_epoch"] / optimizer.batch_rows), 1)


def _texts(config: TrainConfig) -> Iterator[str]:
    """Texts of the training data in both styles, for training a tokenizer."""
    for source in config.data.sources:
        samples = SampleIterator(open_source(source, config.data), Order(config.seed))
        for _ in range(TOKENIZER_SAMPLES):
            try:
                sample = next(samples)
            except StopIteration:
                break
            except SpatialError as error:
                logger.debug("no texts for the tokenizer: %s", error)
                continue
            for conversation in sample.conversations:
                yield from _texts_of(conversation)


def _texts_of(conversation: Conversation) -> Iterator[str]:
    for turn in conversation.turns:
        yield f"user\n{turn.text}" if turn.speaker == HUMAN else f"assistant\n{turn.text}"
        if turn.speaker == HUMAN:
            yield f"user\n{SHORT.write(turn.text)}"
    yield f"assistant\n{conversation.normalized_answer}"
    yield conversation.reasoning


def _publish(config: TrainConfig, checkpoint: Checkpoint, output: Path) -> None:
    """Write the model of a checkpoint to its own folder, and its adapter to another."""
    if not config.peft:
        with _replaced(output / MODEL_FOLDER) as new:
            _copy_published(checkpoint, new)
        return
    with _replaced(output / ADAPTER_FOLDER) as new:
        _copy_published(checkpoint, new)
    model, processor = load_adapted(config.start.checkpoint, output / ADAPTER_FOLDER)
    with _replaced(output / MODEL_FOLDER) as new:
        model.save_pretrained(new)
        processor.save_pretrained(new)


def _copy_published(checkpoint: Checkpoint, folder: Path) -> None:
    for path in checkpoint.folder.iterdir():
        if not path.name.startswith(_OF_TRAINING):
            shutil.copy2(path, folder)


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which replaces another one when it is complete."""
    earlier = folder.with_name(f".{folder.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    staged = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(staged, ignore_errors=True)
    with new_folder(staged) as new:
        yield new
        flush_to_disk(new)
    if folder.exists():
        folder.rename(earlier)
    staged.rename(folder)
    shutil.rmtree(earlier, ignore_errors=True)


def _reports(config: TrainConfig) -> list[str]:
    """Integrations that transformers reports to; wandb reads its project from the environment.

    Raises:
        SpatialError: BAD_INPUT when Weights & Biases is asked for and not installed.
    """
    if not config.logging.wandb_project:
        return []
    if not find_spec("wandb"):
        raise bad_input(
            "logging.wandb_project is set, but Weights & Biases is not installed; install it "
            "with: pip install wandb, or leave the setting empty"
        )
    os.environ["WANDB_PROJECT"] = config.logging.wandb_project
    return ["wandb"]


@contextmanager
def _locked(output: Path, is_main: bool) -> Iterator[None]:
    """Lock the folder against a second run.

    Raises:
        SpatialError: BAD_INPUT when another run uses it.
    """
    if not is_main:
        yield
        return
    output.mkdir(parents=True, exist_ok=True)
    with (output / LOCK_FILE).open("w") as file:
        try:
            # Not `flock`: workers that outlive a killed run for a moment would hold it.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise file_error(
                output,
                "another process is training in this folder; wait for it, or choose another output",
            ) from error
        yield


def _flat(entries: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested mappings and lists, with names such as "data.sources.0.root"."""
    if isinstance(entries, Mapping):
        pairs: Any = entries.items()
    elif isinstance(entries, list | tuple):
        pairs = enumerate(entries)
    else:
        yield name, entries
        return
    for key, value in pairs:
        yield from _flat(value, f"{name}.{key}" if name else str(key))
