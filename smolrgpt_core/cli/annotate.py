"""`smolrgpt annotate`: makes training data from a folder of plain photographs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from smolrgpt_core.annotation.on_ray import AnnotationOnRay
from smolrgpt_core.annotation.references import KINDS
from smolrgpt_core.annotation.run import Annotate, AnnotationRun, AnnotationSummary, in_this_process
from smolrgpt_core.annotation.settings import AnnotationSettings, Sources
from smolrgpt_core.cli import options
from smolrgpt_core.cli.option_groups import (
    DepthOptions,
    LabelOptions,
    MountingOptions,
    PerceptionOptions,
    grouped,
)
from smolrgpt_core.cli.options import parsed, wrong_call
from smolrgpt_core.cli.progress import resumable, work_progress
from smolrgpt_core.data.warehouse_format import SPLITS
from smolrgpt_core.ray_workers import LOCAL
from smolrgpt_core.synthesis import MIXTURES
from smolrgpt_core.text_tables import counts_table

Images = Annotated[
    Path,
    typer.Argument(
        help="Folder of color images.", exists=True, file_okay=False, show_default=False
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the data set; created if needed.")]
DepthFolder = Annotated[
    Path | None,
    typer.Option(
        "--depth",
        help="Folder of depth images of the same names (16 bit in millimeters, or float in "
        "meters), instead of --depth-model.",
        exists=True,
        file_okay=False,
    ),
]
Regions = Annotated[
    Path | None,
    typer.Option(
        "--regions",
        help="Folder of region files of the same names, or one file about all images, such as "
        "COCO, instead of a model.",
        exists=True,
    ),
]
Cameras = Annotated[
    Path | None,
    typer.Option(
        help="A cameras.json with the calibration of each image, instead of --intrinsics.",
        exists=True,
        dir_okay=False,
    ),
]
Intrinsics = Annotated[
    str,
    typer.Option(
        help="Pinhole calibration of all images in pixels; by default, estimated by the depth "
        "model.",
        metavar="FX,FY,CX,CY",
    ),
]
CaptionModel = Annotated[
    str,
    typer.Option(
        help="Image-text model, or the address of a server that speaks OpenAI's protocol: writes "
        "references, which --detector and --box-segmenter check, and skips images that are not "
        "photographs.",
        metavar="DIR_OR_HUB_ID_OR_URL",
    ),
]
Device = Annotated[str, typer.Option(help='Device for the models: "auto", "cpu", "cuda".')]
Mixture = Annotated[str, typer.Option(help=f"Mixture of tasks: {', '.join(MIXTURES)}.")]
Questions = Annotated[int, typer.Option(help="Maximum number of questions per image.", min=1)]
References = Annotated[
    float,
    typer.Option(
        help="Fraction of the questions that refer to objects in words, such as "
        "'the leftmost pallet', instead of by masks, where possible.",
        min=0,
        max=1,
    ),
]
Split = Annotated[str, typer.Option(help=f"Split for all images: {', '.join(SPLITS)}.")]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]
Ray = Annotated[
    str,
    typer.Option(
        help=f"Address of a Ray cluster, or {LOCAL}: workers on this machine; without it, one "
        f"process. The output is identical.",
        metavar="ADDRESS",
    ),
]
Workers = Annotated[int, typer.Option(help="Workers of --ray.", min=1)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


@dataclass(frozen=True)
class SourceOptions(DepthOptions, LabelOptions, MountingOptions, PerceptionOptions):
    """Where depth, regions and calibrations come from."""

    depth: DepthFolder = None
    regions: Regions = None
    intrinsics: Intrinsics = ""
    cameras: Cameras = None
    caption_model: CaptionModel = ""
    device: Device = Sources.device

    def sources(self) -> Sources:
        """The sources; a combination that cannot be used is refused as BAD_INPUT."""
        models, up, focal = self.models(), self.up_direction(), None
        if self.intrinsics:
            focal = parsed("--intrinsics", options.parse_intrinsics, self.intrinsics)
        return Sources(
            depth=self.depth,
            depth_model=models.depth,
            depth_scale=self.scale(),
            limits=self.limits(),
            regions=self.regions,
            labels=self.region_labels(),
            segmenter=models.segmenter,
            detector=models.detector,
            box_segmenter=models.box_segmenter,
            classes=models.classes,
            cameras=self.cameras,
            focal=focal,  # type: ignore[arg-type]
            up=None if up is None else tuple(up.tolist()),
            camera_height=self.camera_height,
            caption_model=self.caption_model,
            device=self.device,
        )


@grouped
def annotate(
    *,
    images: Images,
    out: Out,
    origin: SourceOptions,
    mixture: Mixture = AnnotationSettings.mixture,
    questions: Questions = AnnotationSettings.questions,
    references: References = AnnotationSettings.reference_fraction,
    split: Split = AnnotationSettings.split,
    seed: Seed = AnnotationSettings.seed,
    ray: Ray = "",
    workers: Workers = 2,
    as_json: AsJson = False,
) -> None:
    """Make a data set of questions about plain photographs, in the public layout.

    Depth and regions come from files or from models; the answers are measured in them, and are not
    ground truth. An image that cannot be used is skipped and named with the reason.

    The same options give the same bytes, regardless of the number of workers. After a kill the same
    command resumes. The exit status is 0 if the data set is complete, 1 if it is not, 2 for an
    invalid command line, 130 after Ctrl-C.
    """
    with wrong_call():
        settings = AnnotationSettings(
            images, origin.sources(), seed, questions, mixture, references, split
        )
        run = AnnotationRun(settings, out)
    _report(_make(run, AnnotationOnRay(ray, workers) if ray else in_this_process), out, as_json)


def _report(summary: AnnotationSummary | None, out: Path, as_json: bool) -> None:
    """Print what was made; None if the data set was complete before."""
    if summary is None:
        typer.echo(f"{out} is already complete.", err=True)
    elif as_json:
        typer.echo(json.dumps(summary.to_json(), indent=2))
    else:
        Console().print(summary_table(summary))


def _make(run: AnnotationRun, how: Annotate) -> AnnotationSummary | None:
    """Annotate what is missing; None if nothing was. Prints errors with how to resume."""
    with resumable(run.root), run.locked():
        if run.is_complete:
            return None
        missing = len(run.missing())
        with work_progress() as progress:
            total = len(run.images)
            task = progress.add_task("images", total=total, completed=total - missing)
            for _ in run.annotate(how):
                progress.advance(task)
            return run.finish()


def summary_table(summary: AnnotationSummary) -> Table:
    """What a data set holds, and what was skipped and why."""
    table = counts_table()
    table.add_row("images", str(summary.images["all"]), "")
    table.add_row("with questions", str(summary.images["with questions"]), "")
    for reason, count in summary.reasons.most_common():
        first = next(item for item in summary.skipped if item.reason == reason)
        table.add_row(f"skipped: {reason}", str(count), f"{first.image}: {first.detail}")
    table.add_section()
    table.add_row("objects", str(summary.objects["all"]), "")
    table.add_row("asked about", str(summary.objects["asked about"]), "")
    for kind in KINDS:
        table.add_row(f"with a reference by {kind}", str(summary.objects[kind]), "")
    table.add_section()
    levels = {name: item.level for mix in MIXTURES.values() for name, item in mix.families.items()}
    for family, count in sorted(summary.questions.items(), key=lambda one: levels[one[0]] or 0):
        level = "" if levels[family] is None else f"level {levels[family]}"
        table.add_row(f"questions: {family}", str(count), level)
    table.add_row("with references", str(summary.with_references), "")
    table.add_row("discarded as misread", str(summary.misread), "")
    table.add_row("discarded as uncertain", str(summary.unsure), "")
    return table
