"""Options that several commands take together: each group is a dataclass, each field an option.

What a group returns is valid; an invalid option raises `typer.BadParameter`: a usage error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import wraps
from typing import Any, get_type_hints

import numpy as np
import typer
from numpy.typing import NDArray

from smolrgpt_core.answerer_settings import FusionSettings
from smolrgpt_core.chat_server import ChatServer, ServerSettings
from smolrgpt_core.cli import options
from smolrgpt_core.depth import DepthLimits
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame_files import FrameModels
from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.label_map import LabelMap, RegionLabels
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.question_model import QuestionModel
from smolrgpt_core.recordings.options import TopicChoice


@dataclass(frozen=True)
class PerceptionOptions:
    """Models that supply the depth and the regions which no file has."""

    depth_model: options.DepthModel = ""
    segmenter: options.Segmenter = ""
    detector: options.Detector = ""
    box_segmenter: options.BoxSegmenter = ""
    classes: options.Classes = ""

    def models(self) -> FrameModels:
        """The models, with the classes as a list."""
        names = options.parse_classes(self.classes)
        return FrameModels(
            self.depth_model, self.segmenter, self.detector, self.box_segmenter, names
        )


@dataclass(frozen=True)
class MountingOptions:
    """How the camera is mounted."""

    up: options.Up = ""
    camera_height: options.CameraHeight = None

    def up_direction(self) -> NDArray[np.float64] | None:
        """Unit vector (3,) in the optical frame; None if not set."""
        return options.parsed("--up", options.parse_up, self.up)


@dataclass(frozen=True)
class LabelOptions:
    """What the labels of regions are."""

    labels: options.Labels = ""
    label_map: options.LabelMapText = ""

    def region_labels(self) -> RegionLabels:
        """Labels by id from "1-9:buffer,10-59:pallet", and the map from "0:pallet,1:buffer"."""
        by_number = options.parsed("--labels", options.parse_labels, self.labels)
        return RegionLabels(
            by_number, options.parsed("--label-map", LabelMap.parse, self.label_map)
        )


@dataclass(frozen=True)
class FusionOptions:
    """How the fused answerer decides."""

    prefer: options.Prefer = FusionSettings.prefer
    abstain_below: options.AbstainBelow = FusionSettings.abstain_below

    def settings(self) -> FusionSettings:
        """The settings."""
        options.parsed("--prefer", FusionSettings, self.prefer)
        return options.parsed(
            "--abstain-below", lambda _: FusionSettings(self.prefer, self.abstain_below), ""
        )


@dataclass(frozen=True)
class RewordingOptions:
    """Which language model rewords questions that cannot be read."""

    reader: options.QuestionReader = ""
    reader_model: options.QuestionReaderModel = ""
    reader_timeout: options.ReaderTimeout = None

    def question_model(self) -> QuestionModel | None:
        """The model; None without --reader.

        Raises:
            typer.BadParameter: its server cannot be asked.
        """
        if not self.reader:
            return None
        try:
            settings = ServerSettings(self.reader, self.reader_model)
            if self.reader_timeout is not None:
                settings = replace(settings, timeout_s=self.reader_timeout)
            return QuestionModel(JsonModel(ChatServer.connect(settings)))
        except (SpatialError, ValueError, ImportError) as error:
            raise typer.BadParameter(str(error), param_hint="--reader") from error


@dataclass(frozen=True)
class DepthOptions:
    """How depth is read."""

    depth_scale: options.DepthScale = ""
    min_depth: options.MinDepth = DepthLimits.min_depth
    max_depth: options.MaxDepth = DepthLimits.max_depth

    def scale(self) -> float | None:
        """Meters per unit; None if not set."""
        return options.parsed("--depth-scale", options.parse_depth_scale, self.depth_scale)

    def limits(self) -> DepthLimits:
        """The range of the camera in meters."""
        return options.parsed(
            "--min-depth", lambda _: DepthLimits(self.min_depth, self.max_depth), ""
        )


@dataclass(frozen=True)
class SensorOptions(DepthOptions):
    """How the images of a recording are read."""

    rectify: options.Rectify = SensorSettings.rectify

    def sensor(self) -> SensorSettings:
        """The settings."""
        scale = self.scale() or SensorSettings.depth_scale
        settings = SensorSettings(scale, self.limits())
        return options.parsed(
            "--rectify", lambda choice: replace(settings, rectify=choice), self.rectify
        )


@dataclass(frozen=True)
class TopicOptions:
    """Topics of a recording."""

    rgb: options.Topic = ""
    depth: options.Topic = ""
    camera_info: options.Topic = ""
    regions: options.Topic = ""
    instances: options.InstancesTopic = ""

    def choice(self) -> TopicChoice:
        """The topics; a combination that cannot be used is refused as BAD_INPUT."""
        return TopicChoice(self.rgb, self.depth, self.camera_info, self.regions, self.instances)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes each field of its dataclass parameters as an option of its own.

    Args:
        command: a Typer command; a parameter whose type is a dataclass is a group of options.
    """
    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hints[name] for name in signature.parameters if is_dataclass(hints[name])}

    @wraps(command)
    def ungrouped(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{item.name: values.pop(item.name) for item in fields(group)})
        command(**values)

    parameters = list(_parameters(signature, hints))
    ungrouped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    ungrouped.__annotations__ = {item.name: item.annotation for item in parameters}
    return ungrouped


def _parameters(signature: inspect.Signature, hints: dict[str, Any]) -> Iterator[inspect.Parameter]:
    """The parameters, with a group's fields in its place; by keyword, so that order is free."""
    for name, parameter in signature.parameters.items():
        kind = inspect.Parameter.KEYWORD_ONLY
        if not is_dataclass(hints[name]):
            yield parameter.replace(kind=kind, annotation=hints[name])
            continue
        types = get_type_hints(hints[name], include_extras=True)
        for item in fields(hints[name]):
            default = inspect.Parameter.empty if item.default is MISSING else item.default
            yield inspect.Parameter(item.name, kind, default=default, annotation=types[item.name])
