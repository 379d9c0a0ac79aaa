"""Images of simulated warehouses with all their regions, from which a segmenter learns.

    python -m smolrgpt_core.simulated_data.region_images --scenes 100 --seed 1 --out DIR

The layout is that of `RegionImages`; the settings stay with the data, in `simulation.json`. A run
may be killed at any moment; the same call goes on where it stopped and ends with the same bytes. A
call with more scenes adds to those that are there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.progress import track

from smolrgpt_core.data.region_images import RegionImages
from smolrgpt_core.data.warehouse_format import SIMULATION_FILE
from smolrgpt_core.files import file_error, read_json, write_file
from smolrgpt_core.simulated_data.randomization import Randomization, read_randomization
from smolrgpt_core.simulated_data.scenes import SimulationSettings, render_scene


def make_region_images(settings: SimulationSettings, folder: Path) -> Iterator[int]:
    """Make the scenes that are missing; yields the index of each scene that is there.

    Args:
        settings: `scenes`, `seed`, `views` and `randomization` count.
        folder: to write to; created if needed.

    Raises:
        SpatialError: BAD_INPUT when the folder was begun with other settings.
    """
    path = folder / SIMULATION_FILE
    described = settings.to_json()
    wanted = {name: described[name] for name in ("seed", "views", "randomization")}
    if path.exists() and read_json(path) != wanted:
        raise file_error(path, "this folder was started with other settings; choose another folder")
    write_file(path, json.dumps(wanted, indent=1).encode())
    images = RegionImages(folder)
    for index in range(settings.scenes):
        names = [f"{index:06}_{view:02}" for view in range(settings.views)]
        if not all(images.is_complete(name) for name in names):
            for name, (seen, _) in zip(names, render_scene(settings, index), strict=True):
                images.write(name, seen.frame.rgb, seen.frame.regions)
        yield index


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the images that the command line asks for."""
    parser = argparse.ArgumentParser(description="Render simulated warehouses with all regions.")
    parser.add_argument("--scenes", type=int, required=True, help="number of warehouses")
    parser.add_argument("--seed", type=int, required=True, help="of everything")
    parser.add_argument("--views", type=int, default=3, help="images of each warehouse")
    parser.add_argument("--randomization", type=Path, help="YAML file of the randomization")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    varied = read_randomization(options.randomization) if options.randomization else Randomization()
    varied.refuse_words("a set of region images")
    settings = SimulationSettings(options.scenes, options.seed, options.views, randomization=varied)
    for _ in track(make_region_images(settings, options.out), "scenes", total=settings.scenes):
        pass


if __name__ == "__main__":
    main()
