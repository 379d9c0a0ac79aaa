"""Options of `smolrgpt ask`: what they are called, what they mean, and how their text is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray

from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.fusion_settings import PREFER_CHOICES, FusionSettings
from smolrgpt_core.answerers.model_settings import STYLE_CHOICES, ModelSettings
from smolrgpt_core.answerers.registry import ANSWERERS, DEFAULT_ANSWERER, make_answerer
from smolrgpt_core.depth import DepthLimits
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.extras import require
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_map import LabelMap, RegionLabels, described_changes
from smolrgpt_core.language import CATEGORIES, Category
from smolrgpt_core.messages.sensor_settings import RECTIFY_CHOICES, SensorSettings

QuestionText = Annotated[
    str,
    typer.Argument(
        help='Plain English, regions as "pallet 7", "region 7" or <mask>; "" when --category and '
        "--region-ids say it all.",
        show_default=False,
    ),
]
RgbFile = Annotated[Path, typer.Option(help="Colour image.", exists=True, dir_okay=False)]
DepthFile = Annotated[
    Path,
    typer.Option(
        help="Depth aligned to the colour image: a 16 bit image in millimetres, or a float image "
        "or .npy array in metres.",
        exists=True,
        dir_okay=False,
    ),
]
Intrinsics = Annotated[
    str, typer.Option(help="Pinhole calibration in pixels.", metavar="FX,FY,CX,CY")
]
Up = Annotated[
    str,
    typer.Option(
        help="What is up, in the optical frame (x right, y down, z forward), of a camera that "
        "hangs upside down or looks straight down; 0,-1,0 is a level one. Without it the floor "
        "tells.",
        metavar="X,Y,Z",
    ),
]
CameraHeight = Annotated[
    float | None,
    typer.Option(
        help="Metres of the camera above the floor, where it is known: a table top is then not "
        "taken for the floor, and with --up the floor need not be seen. Without it depth tells.",
    ),
]
RegionsFile = Annotated[
    Path,
    typer.Option(
        help="File with masks or boxes (own JSON, COCO, LabelMe, CVAT, YOLO, ...), or an "
        "instance image (pixel value = region id).",
        exists=True,
        dir_okay=False,
    ),
]
Labels = Annotated[
    str,
    typer.Option(help="Labels of the ids in an instance image, such as 1-9:buffer,10-59:pallet."),
]
LabelMapText = Annotated[
    str,
    typer.Option(
        "--label-map",
        help="What labels mean that are not the words of the questions, such as "
        "0:pallet,1:buffer; pallet_01, wooden_pallet or /World/pallet_3 are known without it.",
        metavar="LABEL:CLASS,...",
    ),
]
DepthScale = Annotated[
    str, typer.Option(help="Metres per unit of the depth file.", metavar="METRES")
]
MinDepth = Annotated[
    float, typer.Option(help="Nearer depth is no reading, in metres.", metavar="METRES")
]
MaxDepth = Annotated[
    float, typer.Option(help="Farther depth is no reading, in metres.", metavar="METRES")
]
Rectify = Annotated[
    str,
    typer.Option(
        help=f"{', '.join(RECTIFY_CHOICES)}: whether lens distortion is taken out of the images; "
        "auto leaves those of a topic with `rect` in its name as they are."
    ),
]
RegionIds = Annotated[
    str, typer.Option(help="Ids for the <mask> of the question, in order, such as 7,2.")
]
CategoryName = Annotated[
    str, typer.Option(help=f"{', '.join(CATEGORIES)}; not needed where the question says it.")
]
AnswererName = Annotated[str, typer.Option(help=f"{', '.join(ANSWERERS)}.")]
Checkpoint = Annotated[
    str,
    typer.Option(
        help="Folder or hub id of a SmolRGPT checkpoint in place of the nano model that comes with "
        f"the package; with it --answerer is model by default, without it {DEFAULT_ANSWERER}.",
        metavar="DIR_OR_HUB_ID",
    ),
]
AnswerStyle = Annotated[
    str, typer.Option(help=f"How a model is asked to answer: {', '.join(STYLE_CHOICES)}.")
]
Prefer = Annotated[
    str,
    typer.Option(
        help="Whose answer --answerer fused gives where both have one and they differ: "
        f"{', '.join(PREFER_CHOICES)}."
    ),
]
AbstainBelow = Annotated[
    float,
    typer.Option(
        help="--answerer fused refuses an answer of less confidence; 0 = never. Needs a checkpoint "
        "with a calibration.",
        metavar="0..1",
    ),
]
QuestionsFile = Annotated[
    Path | None,
    typer.Option(
        "--questions",
        help='Ask all questions of a file of JSON lines: {"question", "region_ids"?, "category"?}.',
        exists=True,
        dir_okay=False,
    ),
]
AnswersFile = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Write the answers to --questions here, a line each.", dir_okay=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything that is in the answer.")]
Picture = Annotated[
    Path | None, typer.Option(help="Write an annotated picture here.", dir_okay=False)
]

Value = TypeVar("Value")
Number = TypeVar("Number", int, float)


def require_rosbags(status: int) -> None:
    """End the command with this exit status where rosbags, which reads recordings, is missing."""
    try:
        require("rosbags", "data", "recordings need rosbags")
    except ImportError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(status) from error


def parsed(option: str, parse: Callable[[str], Value], text: str) -> Value:
    """The value of an option; what cannot be parsed is a wrong call, not a traceback."""
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


@contextmanager
def wrong_call() -> Iterator[None]:
    """Settings that are refused as BAD_INPUT are a wrong call; any other error is none."""
    try:
        yield
    except SpatialError as error:
        if error.status is not Status.BAD_INPUT:
            raise
        raise typer.BadParameter(error.message) from error


def chosen_answerer(
    name: str, checkpoint: str, fusion: FusionSettings, settings: ModelSettings | None = None
) -> Answerer:
    """The answerer of the options; one that cannot be built is a wrong call."""
    source = "--checkpoint" if checkpoint else "--answerer"
    return parsed(source, lambda text: make_answerer(text, checkpoint, settings, fusion), name)


@contextmanager
def writing(option: str) -> Iterator[None]:
    """A place where nothing can be written is a wrong call as well."""
    try:
        yield
    except OSError as error:
        raise typer.BadParameter(f"cannot be written: {error}", param_hint=option) from error


def parse_intrinsics(text: str) -> tuple[float, ...]:
    """Focal lengths and principal point in pixels, from "fx,fy,cx,cy"."""
    return _numbers(text, float, 4, "four numbers fx,fy,cx,cy in pixels")


def parse_up(text: str) -> NDArray[np.float64] | None:
    """Unit vector (3,) from "x,y,z" of any length; None if it is not given."""
    if not text:
        return None
    expected = "a vector x,y,z that is not 0, such as 0,-1,0"
    vector = np.array(_numbers(text, float, 3, expected))
    length = float(np.linalg.norm(vector))
    if not (math.isfinite(length) and length > 0):
        raise ValueError(f"expected {expected}, got {text!r}")
    return vector / length


def parse_depth_scale(text: str) -> float | None:
    """Metres per unit; None if the type of the file decides."""
    if not text:
        return None
    (scale,) = _numbers(text, float, 1, "metres per unit, such as 0.001")
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"expected metres per unit above 0, got {text!r}")
    return scale


def depth_limits(min_depth: float, max_depth: float) -> DepthLimits:
    """The range of the depth camera; one that is out of order is a wrong call."""
    return parsed("--min-depth", lambda _: DepthLimits(min_depth, max_depth), "")


def sensor_settings(
    depth_scale: str, min_depth: float, max_depth: float, rectify: str
) -> SensorSettings:
    """How the images of a recording are read."""
    scale = parsed("--depth-scale", parse_depth_scale, depth_scale)
    limits = depth_limits(min_depth, max_depth)
    settings = SensorSettings(scale or SensorSettings.depth_scale, limits)
    return parsed("--rectify", lambda choice: replace(settings, rectify=choice), rectify)


def parse_region_ids(text: str) -> tuple[int, ...]:
    """Ids from "7,2"."""
    return _numbers(text, int, text.count(",") + 1, "region ids such as 7,2") if text else ()


def _numbers(
    text: str, kind: Callable[[str], Number], count: int, expected: str
) -> tuple[Number, ...]:
    """Numbers between commas."""
    try:
        numbers = tuple(kind(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"expected {expected}, got {text!r}") from error
    if len(numbers) != count:
        raise ValueError(f"expected {expected}, got {text!r}")
    return numbers


def region_labels(labels: str, label_map: str) -> RegionLabels:
    """How regions get their labels, from "1-9:buffer,10-59:pallet" and "0:pallet,1:buffer"."""
    by_number = parsed("--labels", parse_labels, labels)
    return RegionLabels(by_number, parsed("--label-map", LabelMap.parse, label_map))


def parse_labels(text: str) -> InstanceLabels | None:
    """Labels from "1-9:buffer,10-59:pallet"; None if they stand in a file, or nowhere."""
    return InstanceLabels.parse(text.split(","), lowest=0) if text else None


def tell_label_changes(changes: Mapping[str, str]) -> None:
    """Say on standard error which labels were read as which classes."""
    if changes:
        typer.echo(f"labels: {described_changes(changes)}", err=True)


def fusion_settings(prefer: str, abstain_below: float) -> FusionSettings:
    """Settings from the options; what is none of their choices is a wrong call."""
    parsed("--prefer", FusionSettings, prefer)
    return parsed("--abstain-below", lambda _: FusionSettings(prefer, abstain_below), "")


def model_settings(device: str, dtype: str, answer_style: str) -> ModelSettings:
    """Settings from the options; what is none of their choices is a wrong call."""
    parsed("--device", lambda text: ModelSettings(device=text), device)
    parsed("--dtype", lambda text: ModelSettings(dtype=text), dtype)
    return parsed("--answer-style", lambda text: ModelSettings(device, dtype, text), answer_style)


def parse_category(text: str) -> Category | None:
    """A category by its name; None if the question says it."""
    names = [category.name.lower() for category in Category]
    if text and text not in names:
        raise ValueError(f"expected one of {', '.join(names)}, got {text!r}")
    return Category[text.upper()] if text else None
