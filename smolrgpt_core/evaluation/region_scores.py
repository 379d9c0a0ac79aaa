"""Measures how many objects in a set of images a segmenter finds.

python -m smolrgpt_core.evaluation.region_scores CHECKPOINT DATA --json FILE
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from smolrgpt_core.data.region_images import RegionImages
from smolrgpt_core.data.warehouse_format import SIMULATION_FILE
from smolrgpt_core.evaluation.region_matching import AREAS, RegionScores
from smolrgpt_core.files import read_json, write_file
from smolrgpt_core.perception.center_voting import CenterVotingSegmenter
from smolrgpt_core.perception.stages import RegionFinder

COLUMNS = ("class", "objects", "found", "mean IoU of the found", "false regions per image")


def score_finder(finder: RegionFinder, images: RegionImages, names: Iterable[str]) -> RegionScores:
    """Find the objects of images, and count.

    Args:
        finder: to measure.
        images: with the true regions.
        names: of the images.
    """
    scores = RegionScores()
    for name in names:
        rgb, true = images.read(name)
        scores.add(true, finder.find(rgb))
    return scores


def score_rows(scores: RegionScores) -> list[tuple[str, ...]]:
    """Rows under `COLUMNS`, one for each class and one for all."""
    return [
        (label, str(objects), f"{100 * found:.1f} %", f"{iou:.2f}", f"{false:.2f}")
        for label, objects, found, iou, false in scores.rows()
    ]


def area_rows(scores: RegionScores) -> list[tuple[str, ...]]:
    """Area in pixels, number of objects and fraction found, for each range of `AREAS`."""
    rows: list[tuple[str, ...]] = []
    for name, (low, high) in AREAS.items():
        objects = scores.objects_by_area.get(name, 0)
        found = scores.found_by_area.get(name, 0)
        reach = f"from {low}" if high > 2**61 else f"{low} to {high - 1}"
        rows.append((reach, str(objects), f"{100 * found / max(objects, 1):.1f} %"))
    return rows


def scores_from(entry: Mapping[str, Any]) -> RegionScores:
    """Read what the command wrote as "scores"."""
    return RegionScores(**entry)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the segmenter named on the command line."""
    parser = argparse.ArgumentParser(description="Count the objects that a segmenter finds.")
    parser.add_argument("checkpoint", type=Path, help="folder of a center-voting network")
    parser.add_argument("data", type=Path, help="folder of images with regions")
    parser.add_argument("--json", type=Path, help="file for the scores")
    options = parser.parse_args(arguments)
    images = RegionImages(options.data)
    names = images.names()
    finder = CenterVotingSegmenter.from_pretrained(options.checkpoint)
    scores = score_finder(finder, images, track(names, "images"))
    table = Table(*COLUMNS)
    for row in score_rows(scores):
        table.add_row(*row)
    Console().print(table)
    if options.json:
        made = read_json(options.data / SIMULATION_FILE)
        found = {"seed": made["seed"], "views": made["views"], "scores": asdict(scores)}
        write_file(options.json, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
