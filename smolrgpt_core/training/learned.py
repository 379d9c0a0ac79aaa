"""Builds row preparation and objectives of a run from its configuration."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from smolrgpt_core.errors import bad_input
from smolrgpt_core.model.parts import Model
from smolrgpt_core.model.point_map.processing import PointMapProcessor
from smolrgpt_core.training.augmentation import Augmentation
from smolrgpt_core.training.auxiliary_depth import DepthTerm, PatchDepths
from smolrgpt_core.training.config import DistillationConfig, TrainConfig
from smolrgpt_core.training.contrast import AnswerPairs, ContrastTerm
from smolrgpt_core.training.distillation import (
    HiddenTerm,
    SoftTerm,
    StoredTargets,
    Teacher,
    TeacherRows,
    check_tokenizers,
    head_of,
    load_teacher,
)
from smolrgpt_core.training.objectives import Objectives, Term
from smolrgpt_core.training.prepared_rows import BatchExtra, PreparedRows
from smolrgpt_core.training.rows import RowKind
from smolrgpt_core.training.start import Processor
from smolrgpt_core.training.stored_logits import StoredLogits
from smolrgpt_core.training.stream import row_kind

_SQUARES = ("paligemma", "internvl")
"""Families of point-map models that resize every image to one square."""


def learned_of(
    config: TrainConfig, model: Model, processor: Processor, device: torch.device
) -> tuple[RowKind, Objectives]:
    """Build the row preparation and the objectives of a run.

    Loads the teacher if there is one, which seeds the random number generators.

    Args:
        config: of the run.
        model: to train.
        processor: of the model.
        device: for teacher and heads.

    Raises:
        SpatialError: BAD_INPUT when the teacher does not fit, or the model has no such objective.
    """
    extras: list[BatchExtra] = []
    terms: list[Term] = []
    hard_weight = 1.0
    if config.distillation and config.distillation.learns_logits:
        hard_weight = config.distillation.hard_weight
        extra, more = _distilled(config, config.distillation, model, processor, device)
        extras.append(extra)
        terms += more
    if config.auxiliary_depth:
        grid = patch_grid_of(processor)
        extras.append(PatchDepths(grid))
        terms.append(DepthTerm(model, config.auxiliary_depth, grid))
    if config.contrast:
        terms.append(ContrastTerm(config.contrast))
    kind = PreparedRows(
        row_kind(processor, config.data),
        Augmentation(config.augmentation) if config.augmentation else None,
        AnswerPairs() if config.contrast else None,
        extras,
    )
    objectives = Objectives(config.loss, config.reading_weight, hard_weight, terms)
    objectives.heads.to(device)
    return kind, objectives


def _distilled(
    config: TrainConfig,
    settings: DistillationConfig,
    model: Model,
    processor: Processor,
    device: torch.device,
) -> tuple[BatchExtra, Iterable[Term]]:
    if settings.logits:
        stored = StoredLogits(Path(settings.logits), processor)
        return stored, [SoftTerm(StoredTargets(), settings)]
    taught, own = load_teacher(settings.teacher)
    check_tokenizers(settings.teacher, own, processor)
    _check_vocabulary(taught, model)
    nn.Module.to(taught, device)
    teacher = Teacher(taught)
    terms: list[Term] = []
    if settings.soft_weight:
        terms.append(SoftTerm(teacher, settings))
    if settings.hidden_weight:
        terms.append(HiddenTerm(teacher, model, settings))
    return TeacherRows(row_kind(own, config.data)), terms


def _check_vocabulary(teacher: Model, student: Model) -> None:
    sizes = [head_of(model).out_features for model in (teacher, student)]
    if sizes[0] != sizes[1]:
        raise bad_input(
            f"the teacher's head has {sizes[0]} outputs and the student's {sizes[1]}, although "
            "they have the same tokenizer; create the student with start.tokenizer"
        )


def patch_grid_of(processor: Processor) -> int:
    """Number of vision patches along each side of an image, which is resized to a square.

    Raises:
        SpatialError: BAD_INPUT for a model that does not resize images to one square.
    """
    if not isinstance(processor, PointMapProcessor):
        return processor.config.patch_grid
    config = processor.config.vlm_config
    if config.model_type not in _SQUARES:
        raise bad_input(
            "auxiliary_depth needs a model that resizes images to one square: SmolRGPT or a "
            f"point-map model of {' or '.join(_SQUARES)}, got {config.model_type!r}"
        )
    sizes = (config.vision_config.image_size, config.vision_config.patch_size)
    side, patch = (size if isinstance(size, int) else size[0] for size in sizes)
    return int(side // patch)
