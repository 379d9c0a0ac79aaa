"""How well a data set can be answered without its images: from the words of its questions.

Learns guesses from train and scores them on val and test together, as the challenge scores
answers. No category should be guessable above chance.

    python benchmarks/question_guessing.py DIR
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.files import write_file
from smolrgpt_core.quality.guessing import GuessScores, measure_guesses

COLUMNS = {
    "chance": "chance",
    "constant": "most frequent answer",
    "same_text": "same text",
    "words": "naive Bayes over words",
}


def print_scores(scores: dict[str, GuessScores]) -> None:
    """One row for each category."""
    table = Table("category", "questions", *COLUMNS.values(), title="right guesses")
    for category, item in scores.items():
        fractions = (f"{getattr(item, name):.1%}" for name in COLUMNS)
        table.add_row(category, str(item.questions), *fractions)
    Console().print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    train, val, test = (
        SplitFolder(options.data, split).read_records() for split in ("train", "val", "test")
    )
    scores = measure_guesses(train, val + test)
    print_scores(scores)
    if options.json:
        figures = {category: asdict(item) for category, item in scores.items()}
        write_file(options.json, json.dumps(figures, indent=2).encode())


if __name__ == "__main__":
    main()
