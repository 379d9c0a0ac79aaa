"""How long a question takes to be read, and to be answered on a scene, by its number of words.

Questions of all forms about a simulated frame, read from text to program and evaluated on the
true scene. Times are processor times, which other processes hardly change.

    python benchmarks/question_reading.py [--repeats 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_file
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import WarehouseRenderer, build_scene

LONGEST = (5, 10, 15, 25, 50)
"""Words of the longest question of each row."""

QUESTIONS = (
    "How many pallets?",
    "pallet {0} width?",
    "How far is pallet {0} from pallet {1}?",
    "Is pallet {0} left or right of pallet {1}?",
    "Which pallet is nearest to buffer {2}?",
    "How many pallets are in the buffer nearest to pallet {0}?",
    "Which pallets are left of pallet {0} and in front of pallet {1}?",
    "Could you please tell me how far pallet {0} is from buffer {2} in feet?",
    "Which of pallets {0} and {1} is farther from the buffer that holds the most pallets?",
    "If I stand at pallet {0} and look at pallet {1}, is buffer {2} to my left?",
    "How much farther from buffer {2} is pallet {0} than pallet {1}, measured in centimeters?",
    "How far is the leftmost pallet in the buffer nearest to pallet {0} from the pallet that is "
    "farthest from buffer {2}?",
    "Given the pallets {0} and {1} and the buffer {2}, can you tell me which of these pallets is "
    "the one that stands nearest to the buffer as seen from the camera?",
    "I would like to know whether there are any pallets that are taller than pallet {0}, left of "
    "pallet {1}, not in buffer {2} and closer to the camera than the pallet that is farthest from "
    "buffer {2}.",
)


@dataclass(frozen=True)
class Row:
    """Times of the questions up to a length, in milliseconds.

    Attributes:
        words: of the longest.
        questions: how many.
        read_median, read_worst: from text to program.
        answer_median, answer_worst: from program to answer.
    """

    words: int
    questions: int
    read_median: float
    read_worst: float
    answer_median: float
    answer_worst: float


def questions_about(regions: RegionSet) -> list[str]:
    """The questions with ids of a frame that has two pallets and a buffer."""
    pallets = [region.id for region in regions if region.label == "pallet"][:2]
    zone = next(region.id for region in regions if region.label == "buffer")
    return [question.format(*pallets, zone) for question in QUESTIONS]


def measure(repeats: int, seed: int = 0) -> list[Row]:
    """Read and answer every question so often."""
    scene = build_scene(seed)
    with WarehouseRenderer(scene) as renderer:
        seen = renderer.render(scene.camera_poses(1)[0])
    true_scene = TrueScene(seen.truth, seen.frame.regions, seen.frame.intrinsics)
    times: list[tuple[int, list[float], list[float]]] = []
    for question in questions_about(seen.frame.regions):
        read, answered = [], []
        for _ in range(repeats):
            started = time.process_time()
            program = read_text(question, seen.frame.regions).program
            read.append(1e3 * (time.process_time() - started))
            started = time.process_time()
            # A refusal takes its time as well.
            with suppress(SpatialError):
                evaluate(program, SceneCopies(true_scene))
            answered.append(1e3 * (time.process_time() - started))
        times.append((len(question.split()), read, answered))
    return _rows(times)


def _rows(times: Sequence[tuple[int, list[float], list[float]]]) -> list[Row]:
    rows, shorter = [], 0
    for longest in LONGEST:
        here = [item for item in times if shorter < item[0] <= longest]
        read = [value for item in here for value in item[1]]
        answered = [value for item in here for value in item[2]]
        if here:
            rows.append(
                Row(
                    longest,
                    len(here),
                    statistics.median(read),
                    max(read),
                    statistics.median(answered),
                    max(answered),
                )
            )
        shorter = longest
    return rows


def print_rows(rows: Sequence[Row]) -> None:
    """One row for each length."""
    table = Table(
        "words",
        "questions",
        "read: median",
        "worst",
        "answer: median",
        "worst",
        title="milliseconds",
    )
    for row in rows:
        values = (row.read_median, row.read_worst, row.answer_median, row.answer_worst)
        table.add_row(f"up to {row.words}", str(row.questions), *(f"{item:.2f}" for item in values))
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20, help="times that each is asked")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    rows = measure(options.repeats)
    print_rows(rows)
    if options.json:
        write_file(options.json, json.dumps([asdict(row) for row in rows], indent=2).encode())


if __name__ == "__main__":
    main()
