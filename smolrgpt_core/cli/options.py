"""Options shared by several commands: names, help texts and parsers."""

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

from smolrgpt_core.answerer_settings import (
    DTYPES,
    PREFER_CHOICES,
    STYLE_CHOICES,
    FusionSettings,
    ModelSettings,
)
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.registry import ANSWERERS, DEFAULT_ANSWERER, make_answerer
from smolrgpt_core.cli.exits import exit_on
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.extras import require
from smolrgpt_core.geometry.object_sizes import size_priors
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_map import described_changes
from smolrgpt_core.language import CATEGORIES, Category
from smolrgpt_core.messages.sensor_settings import RECTIFY_CHOICES

QuestionText = Annotated[
    str,
    typer.Argument(
        help='Plain English, regions as "pallet 7", "region 7" or <mask>; "" when --category and '
        "--region-ids suffice.",
        show_default=False,
    ),
]
RgbFile = Annotated[Path, typer.Option(help="Color image.", exists=True, dir_okay=False)]
DepthFile = Annotated[
    Path | None,
    typer.Option(
        help="Depth aligned to the color image: a 16 bit image in millimeters, or a float image "
        "or .npy array in meters.",
        exists=True,
        dir_okay=False,
    ),
]
Intrinsics = Annotated[
    str | None,
    typer.Option(
        help="Pinhole calibration in pixels; with --depth-model, estimated by that model by "
        "default.",
        metavar="FX,FY,CX,CY",
    ),
]
Up = Annotated[
    str,
    typer.Option(
        help="Up direction in the optical frame (x right, y down, z forward), for a camera that is "
        "mounted upside down or looks straight down; 0,-1,0 for a level camera. By default, the "
        "normal of the visible floor.",
        metavar="X,Y,Z",
    ),
]
CameraHeight = Annotated[
    float | None,
    typer.Option(
        help="Height of the camera above the floor in meters, if known: a table top is then not "
        "mistaken for the floor, and with --up the floor need not be visible. By default, "
        "estimated from depth.",
    ),
]
RegionsFile = Annotated[
    Path | None,
    typer.Option(
        help="File with masks or boxes (own JSON, COCO, LabelMe, CVAT, YOLO, ...), or an "
        "instance image (pixel value = region id). Without it, a model finds the objects.",
        exists=True,
        dir_okay=False,
    ),
]
DepthModel = Annotated[
    str,
    typer.Option(
        help="Metric depth model instead of --depth: DepthPro, Depth Anything V2 metric, ZoeDepth.",
        metavar="DIR_OR_HUB_ID",
    ),
]
Segmenter = Annotated[
    str,
    typer.Option(
        help="Segmentation model instead of --regions, such as Mask2Former; by default the one of "
        "the package.",
        metavar="DIR_OR_HUB_ID",
    ),
]
Detector = Annotated[
    str,
    typer.Option(
        help="Open-vocabulary detector instead of --regions, such as Grounding DINO: finds "
        "--classes.",
        metavar="DIR_OR_HUB_ID",
    ),
]
BoxSegmenter = Annotated[
    str, typer.Option(help="SAM or SAM 2, for the boxes of the detector.", metavar="DIR_OR_HUB_ID")
]
Classes = Annotated[
    str, typer.Option(help='What a detector looks for, such as "pallet. buffer zone. forklift."')
]
Labels = Annotated[
    str,
    typer.Option(help="Labels of the ids in an instance image, such as 1-9:buffer,10-59:pallet."),
]
ObjectSizes = Annotated[
    str,
    typer.Option(
        help="Footprints of the objects of your hall in meters, where they differ from EUR pallets "
        "and the like: pallet:1.219x1.016, or several such as pallet:1.2x0.8,pallet:0.8x0.6; any "
        "label can have one, such as carton:0.6x0.4.",
        metavar="LABEL:LxW,...",
    ),
]
LabelMapText = Annotated[
    str,
    typer.Option(
        "--label-map",
        help="Classes for labels that questions do not use, such as 0:pallet,1:buffer; "
        "pallet_01, wooden_pallet or /World/pallet_3 are known without it.",
        metavar="LABEL:CLASS,...",
    ),
]
DepthScale = Annotated[
    str, typer.Option(help="Meters per unit of the depth file.", metavar="METERS")
]
MinDepth = Annotated[
    float, typer.Option(help="Depth nearer than this counts as no reading.", metavar="METERS")
]
MaxDepth = Annotated[
    float, typer.Option(help="Depth farther than this counts as no reading.", metavar="METERS")
]
Rectify = Annotated[
    str,
    typer.Option(
        help=f"{', '.join(RECTIFY_CHOICES)}: whether to remove lens distortion from the images; "
        "auto does not change images of a topic with `rect` in its name."
    ),
]
Topic = Annotated[str, typer.Option(help="Topic; by default, detected by type.")]
InstancesTopic = Annotated[
    str,
    typer.Option(help="Topic of instance images (pixel value = region id), instead of regions."),
]
RegionIds = Annotated[
    str, typer.Option(help="Ids for the <mask> of the question, in order, such as 7,2.")
]
CategoryName = Annotated[
    str, typer.Option(help=f"{', '.join(CATEGORIES)}; not needed if the question determines it.")
]
AnswererName = Annotated[str, typer.Option(help=f"{', '.join(ANSWERERS)}.")]
Checkpoint = Annotated[
    str,
    typer.Option(
        help="Folder or hub id of a SmolRGPT checkpoint to use instead of the nano model that "
        f"comes with the package; --answerer is then model by default, not {DEFAULT_ANSWERER}.",
        metavar="DIR_OR_HUB_ID",
    ),
]
Adapter = Annotated[
    str,
    typer.Option(
        help="Folder of an adapter for the checkpoint, written by `smolrgpt train` with a `peft` "
        "section; --answerer is then model by default.",
        metavar="DIR",
    ),
]
Device = Annotated[str, typer.Option(help="Device for the model: auto, cpu, cuda, cuda:1.")]
Dtype = Annotated[
    str,
    typer.Option(
        help=f"Data type of the model: {', '.join(DTYPES)}. int8 is for language models on a CPU."
    ),
]
AnswerStyle = Annotated[
    str, typer.Option(help=f"Style of the model's answers: {', '.join(STYLE_CHOICES)}.")
]
Prefer = Annotated[
    str,
    typer.Option(
        help="Which answer --answerer fused returns when model and geometry disagree: "
        f"{', '.join(PREFER_CHOICES)}."
    ),
]
AbstainBelow = Annotated[
    float,
    typer.Option(
        help="--answerer fused refuses answers of lower confidence; 0 = never. Needs a checkpoint "
        "with a calibration.",
        metavar="0..1",
    ),
]
QuestionsFile = Annotated[
    Path | None,
    typer.Option(
        "--questions",
        help='Ask all questions in a file: JSON Lines of {"question", "region_ids"?, "category"?}, '
        "or a .txt file with a question per line.",
        exists=True,
        dir_okay=False,
    ),
]
AnswersFile = Annotated[
    Path | None,
    typer.Option(
        "--out", help="File for the answers to --questions, one line each.", dir_okay=False
    ),
]
QuestionReader = Annotated[
    str,
    typer.Option(
        "--reader",
        help="Server of a language model, such as http://localhost:11434/v1, which rewords "
        "questions that cannot be read; its sentence is checked, and shown in `understood`.",
        metavar="URL",
    ),
]
QuestionReaderModel = Annotated[
    str, typer.Option("--reader-model", help="Its name; not needed if the server has only one.")
]
ReaderTimeout = Annotated[
    float | None, typer.Option("--reader-timeout", help="Its timeout in seconds; 60 by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print all fields of the answer as JSON.")]
AnnotatedImage = Annotated[
    Path | None, typer.Option("--annotated", help="File for an annotated image.", dir_okay=False)
]

Value = TypeVar("Value")
Number = TypeVar("Number", int, float)


def require_rosbags(status: int) -> None:
    """Exit with this status if rosbags, which reads recordings, is not installed.

    Raises:
        typer.Exit: it is not installed.
    """
    with exit_on(status, ImportError):
        require("rosbags", "data", "recordings need rosbags")


def parsed(option: str, parse: Callable[[str], Value], text: str) -> Value:
    """The parsed value of an option.

    Args:
        option: name of the option, for the error message.
        parse: raises ValueError for invalid text.
        text: as given on the command line.

    Raises:
        typer.BadParameter: the text is invalid.
    """
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


@contextmanager
def wrong_call() -> Iterator[None]:
    """Turn settings that are refused as BAD_INPUT into usage errors; any other error passes.

    Raises:
        typer.BadParameter: settings were refused.
    """
    try:
        yield
    except SpatialError as error:
        if error.status is not Status.BAD_INPUT:
            raise
        raise typer.BadParameter(error.message) from error


def chosen_answerer(
    name: str,
    checkpoint: str,
    fusion: FusionSettings,
    settings: ModelSettings | None = None,
    object_sizes: str = "",
) -> Answerer:
    """The answerer that the options select.

    Args:
        name: of --answerer; empty: the default.
        checkpoint: folder or hub id; empty: the nano model.
        fusion: how answers are combined.
        settings: of the model; None: the defaults.
        object_sizes: of the hall.

    Raises:
        typer.BadParameter: it cannot be built.
    """
    parsed("--object-sizes", size_priors, object_sizes)
    source = "--checkpoint" if checkpoint else "--answerer"
    source = "--adapter" if settings and settings.adapter else source

    def make(name: str) -> Answerer:
        return make_answerer(name, checkpoint, settings, fusion, object_sizes)

    return parsed(source, make, name)


@contextmanager
def writing(option: str) -> Iterator[None]:
    """Turn an OSError while writing into a usage error.

    Raises:
        typer.BadParameter: nothing can be written there.
    """
    try:
        yield
    except OSError as error:
        raise typer.BadParameter(f"cannot be written: {error}", param_hint=option) from error


def parse_intrinsics(text: str) -> tuple[float, ...]:
    """Focal lengths and principal point in pixels, from "fx,fy,cx,cy"."""
    return _numbers(text, float, 4, "four numbers fx,fy,cx,cy in pixels")


def pinhole(text: str | None) -> tuple[float, ...] | None:
    """The calibration of --intrinsics, None if it is not given; a wrong one is a usage error."""
    return None if text is None else parsed("--intrinsics", parse_intrinsics, text)


def parse_up(text: str) -> NDArray[np.float64] | None:
    """Unit vector (3,) from "x,y,z" of any length; None for an empty text.

    Raises:
        ValueError: not three finite numbers, or all zero.
    """
    if not text:
        return None
    expected = "a nonzero vector x,y,z, such as 0,-1,0"
    vector = np.array(_numbers(text, float, 3, expected))
    length = float(np.linalg.norm(vector))
    if not (math.isfinite(length) and length > 0):
        raise ValueError(f"expected {expected}, got {text!r}")
    return vector / length


def parse_depth_scale(text: str) -> float | None:
    """Meters per unit; None for an empty text: the type of the file decides.

    Raises:
        ValueError: not a positive number.
    """
    if not text:
        return None
    (scale,) = _numbers(text, float, 1, "meters per unit, such as 0.001")
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"expected a positive number of meters per unit, got {text!r}")
    return scale


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


def parse_labels(text: str) -> InstanceLabels | None:
    """Labels from "1-9:buffer,10-59:pallet"; None for an empty text."""
    return InstanceLabels.parse(text.split(","), lowest=0) if text else None


def report_label_changes(changes: Mapping[str, str]) -> None:
    """Print to standard error which labels were read as which classes."""
    if changes:
        typer.echo(f"labels: {described_changes(changes)}", err=True)


def model_settings(device: str, dtype: str, answer_style: str) -> ModelSettings:
    """Settings of the model from the options.

    Args:
        device: of --device.
        dtype: of --dtype.
        answer_style: of --answer-style.

    Raises:
        typer.BadParameter: a value is not one of the choices.
    """
    parsed("--device", lambda text: ModelSettings(device=text), device)
    parsed("--dtype", lambda text: ModelSettings(dtype=text), dtype)
    valid = ModelSettings(device, dtype)
    return parsed("--answer-style", lambda text: replace(valid, answer_style=text), answer_style)


def parse_category(text: str) -> Category | None:
    """A category by its name; None for an empty text: the question determines it.

    Raises:
        ValueError: there is no such category.
    """
    names = [category.name.lower() for category in Category]
    if text and text not in names:
        raise ValueError(f"expected one of {', '.join(names)}, got {text!r}")
    return Category[text.upper()] if text else None


def parse_classes(text: str) -> tuple[str, ...]:
    """Names from "pallet. buffer zone. forklift."."""
    return tuple(filter(None, map(str.strip, text.split("."))))
