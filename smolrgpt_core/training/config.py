"""Configuration of a training run: one validated dataclass for each section of the YAML file.

All defaults are defined here. A file only contains what it changes; `key=value` on the command line
overrides the file. Independent of PyTorch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smolrgpt_core.adapter_settings import PROMPT, AdapterSettings
from smolrgpt_core.answerer_settings import ANSWER_STYLES
from smolrgpt_core.data.readers.config import DatasetConfig
from smolrgpt_core.errors import bad_input
from smolrgpt_core.synthesis.mixtures import MIXTURES

PARTS = (
    "vision_encoder",
    "rgb_connector",
    "depth_connector",
    "rgb_refiner",
    "depth_refiner",
    "region_colors",
    "point_fusion",
    "metric_branch",
    "point_encoder",
    "projector",
    "language_model",
)
"""Parts of the model that a stage can train; `model.parts` maps them to weights.

A point-map model has vision_encoder, point_encoder, projector and language_model.
"""

ADAMW, MUON = "adamw", "muon"
OPTIMIZERS = (ADAMW, MUON)

TOKEN_MEAN, ANSWER_MEAN = "token_mean", "answer_mean"
LOSSES = (TOKEN_MEAN, ANSWER_MEAN)

STEPS = "steps"
STYLES = (*ANSWER_STYLES, STEPS)
"""Styles of the answers to train on: those of later questions, or step by step."""

AUTO_PRECISION = "auto"
PRECISIONS = (AUTO_PRECISION, "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class StartConfig:
    """Initial weights, which also determine the kind of model: exactly one of four sources.

    Attributes:
        checkpoint: folder or hub id of a checkpoint of SmolRGPT or of a point-map model, such as
            that of the previous stage; comes with its tokenizer.
        preset: a name of `model.PRESETS` or of `model.point_map.nano.PRESETS`: all weights random.
        vlm: folder or hub id of a vision-language model of transformers, which becomes a point-map
            model; comes with its tokenizer.
        vision_backbone, language_backbone: folders or hub ids of a vision encoder and a language
            model of transformers; connectors and refiners are random. The tokenizer is the
            language model's.
        vocabulary_size: of the tokenizer that is trained on the training texts if `preset` is used;
            checkpoints and backbones come with their own.
        tokenizer: with a `preset` of SmolRGPT, a folder or hub id of the checkpoint whose tokenizer
            is used instead, such as the teacher of a distillation.
        point_code: with `vlm`, how points become numbers: a name of
            `model.point_map.configuration.PRESETS`.
        overrides: fields of `SmolRGPTConfig` or `PointMapConfig`, such as `points` = what the model
            is given; nested ones as dictionaries. With `checkpoint` only those that change no
            weight.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    checkpoint: str = ""
    preset: str = ""
    vlm: str = ""
    vision_backbone: str = ""
    language_backbone: str = ""
    point_code: str = "warehouse"
    vocabulary_size: int = 2048
    tokenizer: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.vision_backbone) != bool(self.language_backbone):
            raise bad_input(
                "start.vision_backbone and start.language_backbone must be set together, got "
                f"{self.vision_backbone!r} and {self.language_backbone!r}"
            )
        ways = [
            bool(self.checkpoint),
            bool(self.preset),
            bool(self.vlm),
            bool(self.vision_backbone),
        ]
        if sum(ways) != 1:
            raise bad_input(
                "start must name exactly one of checkpoint, preset, vlm, or vision_backbone with "
                f"language_backbone; got {sum(ways)} of them"
            )
        _check_at_least("start.vocabulary_size", self.vocabulary_size, 300)
        if self.tokenizer and not self.preset:
            raise bad_input(
                "start.tokenizer needs start.preset: checkpoints, backbones and vision-language "
                "models bring their own tokenizer"
            )


@dataclass(frozen=True)
class SourceConfig(DatasetConfig):
    """One data set of the mixture.

    Attributes:
        kind, root, split, annotations, images, depths, first_images, depth_scale, index_folder: as
            in `DatasetConfig`.
        categories: use only questions of these, such as left_right; empty: all.
        matching: only questions in which this regular expression is found, in any case, such as
            "leftmost|rightmost"; empty: all. Rare kinds of questions need more weight.
        mixture: a name of `synthesis.MIXTURES`: its families of tasks are drawn by their weights,
            however many questions of each the data set has; empty: the questions in their order.
            For a data set whose records name their family, such as that of `smolrgpt simulate
            --mixture`.
        weight: fraction of the rows from this source, relative to the other weights.
        inputs: "rgbd"; "geometry" = masks and metric depth without color images, which is far
            cheaper and needs `depth_branch: metric`; "rgb" = no depth and no masks (captions). A
            point-map model always needs an image; "rgb" gives it one without depth readings.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    # A file holds names, no paths.
    root: str
    index_folder: str = ""
    categories: tuple[str, ...] = ()
    matching: str = ""
    mixture: str = ""
    weight: float = 1.0
    inputs: str = "rgbd"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_choice("data.sources.inputs", self.inputs, ("rgbd", "geometry", "rgb"))
        _check_positive("data.sources.weight", self.weight)
        if self.mixture:
            _check_choice("data.sources.mixture", self.mixture, tuple(MIXTURES))
        if self.mixture and self.categories:
            raise bad_input(
                "data.sources.categories and mixture cannot be combined: a mixture defines "
                "which families are drawn, and how often"
            )
        try:
            re.compile(self.matching)
        except re.error as error:
            raise bad_input(
                f"data.sources.matching must be a regular expression, got {self.matching!r}: "
                f"{error}"
            ) from error


@dataclass(frozen=True)
class DataConfig:
    """Training data, and how it is packed into rows.

    Attributes:
        sources: the mixture.
        questions_per_row: conversations about one image that share a row; each sees the image and
            itself only. 1 = one conversation in each row, as a point-map model needs it.
        row_tokens: maximum length of a row; the rest goes into the next row.
        styles: fraction of the questions that are answered in each of `STYLES`. A question without
            a value or steps is answered with a sentence.
        levels_left_out: levels of `synthesis.mixtures.Family` to skip: when one is drawn, a row of
            a source without a mixture takes its place.
        broken_fraction: a run stops if more than this fraction of the samples cannot be read.
        workers: processes that read and decode; 0 = the training process itself.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    sources: tuple[SourceConfig, ...]
    questions_per_row: int = 1
    row_tokens: int = 2048
    styles: Mapping[str, float] = field(default_factory=lambda: {"sentence": 1.0})
    levels_left_out: tuple[int, ...] = ()
    broken_fraction: float = 0.01
    workers: int = 2

    def __post_init__(self) -> None:
        if not self.sources:
            raise bad_input("data.sources must name at least one data set")
        _check_at_least("data.questions_per_row", self.questions_per_row, 1)
        _check_at_least("data.row_tokens", self.row_tokens, 64)
        _check_at_least("data.workers", self.workers, 0)
        _check_fraction("data.broken_fraction", self.broken_fraction)
        for name, fraction in self.styles.items():
            _check_choice("data.styles", name, STYLES)
            _check_fraction(f"data.styles.{name}", fraction)
        if not sum(self.styles.values()) > 0:
            raise bad_input("data.styles must have a fraction above 0")
        if self.levels_left_out and all(source.mixture for source in self.sources):
            raise bad_input(
                "data.levels_left_out needs a source without a mixture, whose rows replace the "
                "skipped ones"
            )


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its schedule: warm-up, then cosine decay.

    Attributes:
        name: "adamw", or "muon": Muon for the weight matrices of layers and AdamW for all other
            parameters, several times faster for small models from scratch.
        batch_rows: rows of one optimizer step over all processes.
        micro_rows: rows that one process computes at once; batch_rows must be a multiple of
            micro_rows times the number of processes.
        steps: optimizer steps; 0: determined by `epochs`.
        epochs: passes over the rows of all sources together.
        weight_decay, beta1, beta2, gradient_norm: of AdamW, and where gradients are clipped.
        warmup_fraction: fraction of the steps in which the learning rate rises.
        final_rate_fraction: final learning rate, as a fraction of the peak.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    name: str = ADAMW
    batch_rows: int = 32
    micro_rows: int = 8
    steps: int = 0
    epochs: float = 1.0
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    gradient_norm: float = 1.0
    warmup_fraction: float = 0.03
    final_rate_fraction: float = 0.1

    def __post_init__(self) -> None:
        _check_choice("optimizer.name", self.name, OPTIMIZERS)
        for name in ("batch_rows", "micro_rows"):
            _check_at_least(f"optimizer.{name}", getattr(self, name), 1)
        if self.batch_rows % self.micro_rows:
            raise bad_input(
                "optimizer.batch_rows must be a multiple of optimizer.micro_rows, got "
                f"{self.batch_rows} and {self.micro_rows}"
            )
        _check_at_least("optimizer.steps", self.steps, 0)
        for name in ("epochs", "gradient_norm"):
            _check_positive(f"optimizer.{name}", getattr(self, name))
        for name in ("weight_decay", "beta1", "beta2", "warmup_fraction", "final_rate_fraction"):
            _check_fraction(f"optimizer.{name}", getattr(self, name))


@dataclass(frozen=True)
class ValidationConfig:
    """Validation during training.

    Attributes:
        source: a data set that is not used for training, without a mixture; None: no validation.
        every_steps: how often.
        rows: number of rows, the same ones each time.
        examples: number of answers written to the log each time.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    source: SourceConfig | None = None
    every_steps: int = 500
    rows: int = 64
    examples: int = 4

    def __post_init__(self) -> None:
        if self.source and self.source.mixture:
            raise bad_input(f"validation.source must have no mixture, got {self.source.mixture!r}")
        _check_at_least("validation.every_steps", self.every_steps, 1)
        _check_at_least("validation.rows", self.rows, 1)
        _check_at_least("validation.examples", self.examples, 0)


@dataclass(frozen=True)
class CheckpointConfig:
    """Checkpoints from which a run can be resumed.

    Attributes:
        every_steps: how often one is written.
        keep: number of latest checkpoints to keep, plus the one with the best validation loss.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    every_steps: int = 500
    keep: int = 2

    def __post_init__(self) -> None:
        _check_at_least("checkpoints.every_steps", self.every_steps, 1)
        _check_at_least("checkpoints.keep", self.keep, 1)


@dataclass(frozen=True)
class LoggingConfig:
    """Logging.

    Attributes:
        every_steps: how often loss, rates and throughput are logged.
        tensorboard: also for TensorBoard.
        wandb_project: project of Weights & Biases; empty: none.
    """

    every_steps: int = 20
    tensorboard: bool = True
    wandb_project: str = ""

    def __post_init__(self) -> None:
        _check_at_least("logging.every_steps", self.every_steps, 1)


@dataclass(frozen=True)
class DistillationConfig:
    """Distillation: what a teacher adds to the labels of the data set.

    Attributes:
        teacher: folder or hub id of a checkpoint of SmolRGPT or of a point-map model, which runs
            alongside the student; it must have the student's tokenizer.
        logits: folder that `smolrgpt distill` wrote, instead of `teacher`.
        answers: JSON lines with "id", "question" and "answer": a teacher's texts, which replace the
            answers of the data set. They may come from any model, whatever its tokenizer; see
            `answers_of`.
        temperature: divides the logits of both.
        soft_weight: of the divergence from the teacher, times the square of the temperature.
        hard_weight: of the loss of the labels.
        hidden_weight: of the cosine distance between the states before the heads, where `teacher`
            is computed; the student's go through a projection that is trained with it and dropped.
        rate: peak learning rate of the projection.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    teacher: str = ""
    logits: str = ""
    answers: str = ""
    temperature: float = 2.0
    soft_weight: float = 1.0
    hard_weight: float = 0.5
    hidden_weight: float = 0.0
    rate: float = 1e-3

    def __post_init__(self) -> None:
        if not (self.teacher or self.logits or self.answers):
            raise bad_input("distillation must name a teacher, logits or answers")
        if self.teacher and self.logits:
            raise bad_input(
                "distillation.teacher and logits cannot be combined: logits are those of a "
                "teacher, computed earlier"
            )
        if self.hidden_weight and not self.teacher:
            raise bad_input(
                "distillation.hidden_weight needs distillation.teacher: hidden states are not "
                "stored"
            )
        for name in ("temperature", "rate"):
            _check_positive(f"distillation.{name}", getattr(self, name))
        for name in ("soft_weight", "hard_weight", "hidden_weight"):
            _check_weight(f"distillation.{name}", getattr(self, name))
        if self.learns_logits and not self.soft_weight + self.hidden_weight:
            raise bad_input(
                "distillation.soft_weight and hidden_weight are both 0, so the teacher would "
                "change nothing"
            )

    @property
    def source(self) -> str:
        """What the student learns from, for the model card."""
        named = (self.teacher, self.logits, self.answers)
        return ", ".join(item for item in named if item)

    @property
    def learns_logits(self) -> bool:
        """Whether the logits of the teacher are used, not only its texts."""
        return bool(self.teacher or self.logits)


METRIC_DEPTH, DEPTH_ORDER = "metric", "order"
DEPTH_TARGETS = (METRIC_DEPTH, DEPTH_ORDER)


@dataclass(frozen=True)
class AuxiliaryDepthConfig:
    """A head that predicts depth from the vision features during training and is then dropped.

    Attributes:
        weight: of the loss of one image, beside the loss of one answer token.
        target: "metric" = the logarithm of the depth of each patch in meters; "order" = which of
            two patches is nearer.
        rate: peak learning rate of the head.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    weight: float = 1.0
    target: str = METRIC_DEPTH
    rate: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("weight", "rate"):
            _check_positive(f"auxiliary_depth.{name}", getattr(self, name))
        _check_choice("auxiliary_depth.target", self.target, DEPTH_TARGETS)


@dataclass(frozen=True)
class AugmentationConfig:
    """Augmented views of the rows that keep questions and answers true.

    Attributes:
        flip: probability that a row is mirrored: image, depth, masks, camera, and left and right in
            its texts. Rows whose texts cannot be mirrored safely stay unchanged.
        crop: probability that a row is cut to a part that holds all of its regions.
        smallest_crop: fraction of the width and of the height that remains at least.
        scale: probability that a row is resized.
        scales: range of the scale factor.
        depth_noise: standard deviation of the measured depth, as a fraction of it.
        missing_depth: fraction of the image that loses its readings, in one rectangle.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    flip: float = 0.0
    crop: float = 0.0
    smallest_crop: float = 0.6
    scale: float = 0.0
    scales: tuple[float, float] = (0.75, 1.25)
    depth_noise: float = 0.0
    missing_depth: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip", "crop", "smallest_crop", "scale", "missing_depth"):
            _check_fraction(f"augmentation.{name}", getattr(self, name))
        _check_positive("augmentation.smallest_crop", self.smallest_crop)
        low, high = self.scales
        if not 0.1 <= low <= high <= 4:
            raise bad_input(
                f"augmentation.scales must be a range within 0.1 to 4, got {list(self.scales)}"
            )
        if not 0 <= self.depth_noise <= 0.2:
            raise bad_input(
                "augmentation.depth_noise must be a fraction of the depth from 0 to 0.2, got "
                f"{self.depth_noise!r}; no camera is noisier"
            )
        if not (self.flip or self.crop or self.scale or self.depth_noise or self.missing_depth):
            raise bad_input(
                "augmentation changes nothing: set flip, crop, scale, depth_noise or missing_depth"
            )


@dataclass(frozen=True)
class ContrastConfig:
    """Pairs of questions in the same words whose answers differ by one relation.

    Attributes:
        weight: of the loss of one pair, beside the loss of one answer token.
        margin: by which the log-likelihood of the correct answer must exceed that of the answer to
            the other question.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    weight: float = 1.0
    margin: float = 2.0

    def __post_init__(self) -> None:
        for name in ("weight", "margin"):
            _check_positive(f"contrast.{name}", getattr(self, name))


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        output: folder of checkpoints, logs and the final model; a run resumes in its folder.
        start: initial weights.
        trainable: peak learning rate by name of a part, see `PARTS`; all others are frozen. Of the
            parts that `peft` names, only the adapter is trained.
        data: what is read.
        peft: an adapter for `start.checkpoint`, whose other weights stay as they are; None: the
            weights of the parts themselves are trained.
        distillation: a teacher beside the labels; None: the labels alone.
        auxiliary_depth: depth prediction as an auxiliary task; None: none.
        augmentation: augmented views of the rows; None: the rows unchanged.
        contrast: pairs of questions; None: none.
        loss: "token_mean" = mean over the answer tokens of a step, in which long answers weigh
            more (as the authors of both papers); "answer_mean" = mean over the answers, each the
            mean of its tokens.
        reading_weight: of the loss of what the metric branch reads off the regions of a question,
            beside the loss of one answer token; other models have none.
        seed: of weights, order and packing.
        precision: of the computation, one of `PRECISIONS`; weights and optimizer stay float32.
            "auto" = bfloat16 where the device has instructions for it, float32 elsewhere.
        gradient_checkpointing: recompute activations to save memory.
        fsdp: shard weights, gradients and optimizer over the processes (CUDA); otherwise each
            process has all of them.

    Raises:
        SpatialError: BAD_INPUT; a field is invalid, the message names it.
    """

    output: str
    start: StartConfig
    trainable: Mapping[str, float]
    data: DataConfig
    peft: AdapterSettings | None = None
    distillation: DistillationConfig | None = None
    auxiliary_depth: AuxiliaryDepthConfig | None = None
    augmentation: AugmentationConfig | None = None
    contrast: ContrastConfig | None = None
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    loss: str = TOKEN_MEAN
    reading_weight: float = 3.0
    seed: int = 0
    precision: str = "float32"
    gradient_checkpointing: bool = False
    fsdp: bool = False

    def __post_init__(self) -> None:
        if not self.output:
            raise bad_input("output must name a folder")
        if not self.trainable:
            raise bad_input(f"trainable must name at least one of {', '.join(PARTS)}")
        for part, rate in self.trainable.items():
            _check_choice("trainable", part, PARTS)
            _check_positive(f"trainable.{part}", rate)
        _check_weight("reading_weight", self.reading_weight)
        _check_at_least("seed", self.seed, 0)
        _check_choice("loss", self.loss, LOSSES)
        _check_choice("precision", self.precision, PRECISIONS)
        if self.fsdp and self.optimizer.name == MUON:
            raise bad_input(
                "optimizer.name muon needs whole matrices, which fsdp shards; use adamw"
            )
        if self.peft:
            self._check_adapter(self.peft)
        self._check_objectives()

    @property
    def adapted(self) -> tuple[str, ...]:
        """The parts of which only the adapter is trained."""
        return self.peft.parts if self.peft else ()

    def _check_objectives(self) -> None:
        if self.fsdp and (self.distillation or self.auxiliary_depth or self.contrast):
            raise bad_input(
                "distillation, auxiliary_depth and contrast need whole layers, which fsdp "
                "shards; set fsdp to false"
            )
        if self.distillation and self.distillation.logits and self.augmentation:
            raise bad_input(
                "distillation.logits were computed for unchanged rows, and augmentation changes "
                "them; set distillation.teacher instead, or remove augmentation"
            )
        if self.auxiliary_depth and "vision_encoder" not in self.trainable:
            raise bad_input(
                "auxiliary_depth trains the vision encoder, which is frozen; set a learning "
                "rate for trainable.vision_encoder"
            )
        sources = self.data.sources
        if self.auxiliary_depth and all(source.inputs != "rgbd" for source in sources):
            raise bad_input(
                "auxiliary_depth needs rows with an image and its depth: set inputs of a source "
                'to "rgbd"'
            )

    def _check_adapter(self, peft: AdapterSettings) -> None:
        if not self.start.checkpoint or self.start.overrides:
            raise bad_input(
                "peft adapts the weights of a checkpoint as they are: name it as start.checkpoint, "
                "without start.overrides"
            )
        if self.fsdp:
            raise bad_input(
                "fsdp is not supported with peft, which trains few weights; set fsdp to false"
            )
        missing = [part for part in peft.parts if part not in self.trainable]
        if missing:
            raise bad_input(
                f"peft changes {', '.join(missing)}, for which trainable has no learning rate; "
                f"its parts are {', '.join(self.trainable)}"
            )
        if peft.method == PROMPT and any(
            source.inputs == "geometry" for source in self.data.sources
        ):
            raise bad_input(
                "peft.method prompt writes its tokens before those of the image, and rows of "
                'data.sources with inputs "geometry" have none; use "rgbd" or "rgb"'
            )


def _check_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise bad_input(f"{name} must be at least {least}, got {value!r}")


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise bad_input(f"{name} must be a positive number, got {value!r}")


def _check_weight(name: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise bad_input(f"{name} must be 0 or more, got {value!r}")


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise bad_input(f"{name} must be a fraction from 0 to 1, got {value!r}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise bad_input(f"{name} must be one of {', '.join(choices)}, got {value!r}")
