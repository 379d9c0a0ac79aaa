"""`smolrgpt demo`: questions about a simulated warehouse, without ROS, compared with the truth."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.registry import DEFAULT_ANSWERER, make_answerer
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.cli.exits import exit_on
from smolrgpt_core.cli.options import AnswererName, parsed, writing
from smolrgpt_core.drawing import draw_answer, draw_regions
from smolrgpt_core.files import write_depth, write_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import CATEGORIES
from smolrgpt_core.region_files import write_regions
from smolrgpt_core.report import TOTAL, ReportRow, print_report, report_row, write_html_report
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import (
    SensorNoise,
    SimulatedFrame,
    WarehouseRenderer,
    apply_sensor_noise,
    build_scene,
)
from smolrgpt_core.synthesis import (
    ALL_WAREHOUSE_FORMS,
    QuestionWithTruth,
    RegionStyle,
    generate_questions,
)

Seed = Annotated[int, typer.Option(help="Random seed for the warehouse and the questions.", min=0)]
Noise = Annotated[bool, typer.Option(help="Add the noise of a stereo RGB-D camera.")]
Output = Annotated[Path, typer.Option(help="Folder for report and images.", file_okay=False)]
QuestionCount = Annotated[int, typer.Option(help="Number of questions.", min=1, max=200)]


def demo(
    seed: Seed = 0,
    noise: Noise = False,
    output: Output = Path("output/offline_demo"),
    questions: QuestionCount = 12,
    answerer: AnswererName = DEFAULT_ANSWERER,
) -> None:
    """Ask about a simulated warehouse and compare the answers with the truth.

    The exit status is 0 only if every answer is correct.
    """
    chosen_answerer = parsed("--answerer", make_answerer, answerer)
    console = Console()
    with exit_on(1, ImportError), console.status("Building and rendering the warehouse ..."):
        seen = simulate(seed, noise)
    asked = mixed_questions(seen, questions, np.random.default_rng(seed))
    rows = [answered_row(chosen_answerer, seen.frame, question) for question in asked]
    print_report(rows, console)
    subtitle = f"Seed {seed}, {'with' if noise else 'without'} sensor noise, answerer {answerer}."
    with writing("--output"):
        write_results(output, rows, seen.frame, subtitle)
    typer.echo(f"\nReport: {output / 'report.html'}\n\nAsk more about the same image:\n")
    typer.echo(ask_command(output, seen.frame, rows[0].question if rows else ""))
    if not all(row.within_tolerance for row in rows):
        raise typer.Exit(1)


def simulate(seed: int, noise: bool) -> SimulatedFrame:
    """The overview image of a warehouse.

    Raises:
        ImportError: MuJoCo is missing; the message says how to install it.
    """
    scene = build_scene(seed)
    with WarehouseRenderer(scene) as renderer:
        seen = renderer.render(scene.camera_poses(1)[0])
    if not noise:
        return seen
    frame = apply_sensor_noise(seen.frame, SensorNoise(), np.random.default_rng(seed))
    return SimulatedFrame(frame, seen.truth)


def mixed_questions(
    seen: SimulatedFrame, count: int, rng: np.random.Generator
) -> list[QuestionWithTruth]:
    """Questions in plain English, alternating between the categories.

    Args:
        seen: the scene and its image.
        count: number of questions; fewer if the scene does not have that many.
        rng: draws them.
    """
    scene = TrueScene(seen.truth, seen.frame.regions, seen.frame.intrinsics)
    made = generate_questions(
        scene, rng, style=RegionStyle.PLAIN, forms=ALL_WAREHOUSE_FORMS, per_form=1 + count // 4
    )
    different = list({question.text: question for question in made}.values())
    rng.shuffle(different)
    by_category = [
        [q for q in different if q.category is category] for category in CATEGORIES.values()
    ]
    turns = chain.from_iterable(zip_longest(*by_category))
    return [question for question in turns if question is not None][:count]


def answered_row(answerer: Answerer, frame: RGBDFrame, question: QuestionWithTruth) -> ReportRow:
    """Answer a question by its text, draw the answer and compare it with the truth.

    Args:
        answerer: answers the question.
        frame: the question is about it.
        question: with its true answer.
    """
    start = time.perf_counter()
    answer = ask(frame, AskedQuestion(question.text, None, question.region_ids), answerer)
    latency = {TOTAL: time.perf_counter() - start}
    image = draw_answer(frame, question.text, answer)
    return report_row(question, replace(answer, latency_s=latency), frame.regions, image)


def write_results(output: Path, rows: list[ReportRow], frame: RGBDFrame, subtitle: str) -> None:
    """Write report and images, and the frame as files for `smolrgpt ask`.

    Args:
        output: folder.
        rows: questions with answers.
        frame: what they are about.
        subtitle: of the report.
    """
    write_image(output / "rgb.png", frame.rgb)
    write_depth(output / "depth.png", frame.depth)
    write_regions(output / "regions.json", frame.regions)
    for number, row in enumerate(rows, start=1):
        if row.image is not None:
            write_image(output / f"question_{number:02}.png", row.image)
    write_html_report(
        rows,
        output / "report.html",
        "Questions about a simulated warehouse",
        subtitle,
        {"What the camera sees": frame.rgb, "Its regions": draw_regions(frame)},
    )


def ask_command(output: Path, frame: RGBDFrame, question: str) -> str:
    """The `smolrgpt ask` command for a frame that `write_results` wrote.

    Args:
        output: folder of the files.
        frame: gives the calibration.
        question: text of the question.
    """
    camera = frame.intrinsics
    words = ["smolrgpt", "ask", "--rgb", str(output / "rgb.png")]
    words += ["--depth", str(output / "depth.png")]
    words += ["--intrinsics", f"{camera.fx:.2f},{camera.fy:.2f},{camera.cx},{camera.cy}"]
    words += ["--regions", str(output / "regions.json"), question]
    return shlex.join(words)
