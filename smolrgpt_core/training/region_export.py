"""Exports a trained segmenter: the network, and a model card from the records of its run.

python -m smolrgpt_core.training.region_export RUN OUT --scores FILE
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from smolrgpt_core.data.region_images import RegionImages
from smolrgpt_core.data.warehouse_format import SIMULATION_FILE
from smolrgpt_core.evaluation.region_scores import COLUMNS, area_rows, score_rows, scores_from
from smolrgpt_core.files import file_error, read_json
from smolrgpt_core.markdown import markdown_table
from smolrgpt_core.training.checkpoints import CheckpointStore
from smolrgpt_core.training.export import CARD_FILE
from smolrgpt_core.training.region_segmenter import (
    CONFIG_FILE,
    MODEL_FOLDER,
    RegionSegmenterConfig,
    read_config,
)

_LIMITS = """\
## What it is for, and what it is not

It finds pallets, transporters, buffers and shelves in color images of the simulated warehouse, so
that the demo also runs without masks from elsewhere. It was trained on nothing else, from random
weights, for about an hour on one core: it often misses what is small, far away or mostly hidden,
and sometimes takes objects that stand close together for one. Real images need another segmenter,
or this one trained on such images; the layout of its training data is described in
`smolrgpt_core/data/region_images.py`.
"""


def export(run: Path, out: Path, scores: Path) -> None:
    """Copy the network of a finished run and write its model card.

    Args:
        run: folder of the run, `output` of its configuration.
        out: folder to write; files of the same names are replaced.
        scores: output of `smolrgpt_core.evaluation.region_scores --json` for this network.

    Raises:
        SpatialError: BAD_INPUT when the run is not finished, or a file cannot be read.
    """
    model = run / MODEL_FOLDER
    newest = CheckpointStore(run, 1).newest()
    if not model.is_dir() or newest is None:
        raise file_error(run, f"expected a finished run with a folder {MODEL_FOLDER!r}; train it")
    card = region_card(read_config(run / CONFIG_FILE), newest.facts(), read_json(scores))
    shutil.copytree(model, out, dirs_exist_ok=True)
    (out / CARD_FILE).write_text(card)
    for path in out.iterdir():
        path.chmod(0o644)


def region_card(
    config: RegionSegmenterConfig, facts: Mapping[str, Any], measured: Mapping[str, Any]
) -> str:
    """The model card as Markdown.

    Args:
        config: of the run.
        facts: of its last checkpoint.
        measured: content of the file of scores.
    """
    data = Path(config.data)
    made = read_json(data / SIMULATION_FILE)
    scores = scores_from(measured["scores"])
    images = len(RegionImages(data).names())
    training = (
        f"From random weights, by `make nano_regions`: {facts['step']} steps of "
        f"{config.batch_images} images on {images} images of simulated warehouses "
        f"(`--seed {made['seed']} --views {made['views']}`), {config.network.image_height} pixels "
        f"high; seed {config.seed}; {facts['cpu_seconds'] / 60:.0f} CPU minutes, "
        f"{facts['threads']} thread(s)."
    )
    found = (
        f"On {scores.images} images of warehouses that it was not trained on "
        f"(`--seed {measured['seed']} --views {measured['views']}`). An object is found when a "
        "region of its class overlaps it by half (IoU of 0.5); every object with at least 40 "
        "visible pixels counts, however far or hidden."
    )
    return "\n".join(
        [
            "---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n",
            "# smolrgpt-nano-regions\n",
            "A center-voting instance segmenter (color image -> labeled masks): UperNet on a small "
            "ResNet.\n",
            f"## Training\n\n{training}\n",
            f"## Scores\n\n{found}\n",
            f"{markdown_table(COLUMNS, score_rows(scores))}\n",
            f"{markdown_table(('area, pixels', 'objects', 'found'), area_rows(scores))}\n",
            _LIMITS,
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Export the run named on the command line."""
    parser = argparse.ArgumentParser(description="Export a trained segmenter with its model card.")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--scores", type=Path, required=True, help="of region_scores --json")
    options = parser.parse_args(arguments)
    export(options.run, options.out, options.scores)
    Console(soft_wrap=True).print(f"wrote {options.out}", highlight=False)


if __name__ == "__main__":
    main()
