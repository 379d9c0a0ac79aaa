"""Images with all their regions: rendered, written, read, and continued after a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smolrgpt_core.data.region_images import RegionImages
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.simulated_data.randomization import Randomization
from smolrgpt_core.simulated_data.region_images import make_region_images
from smolrgpt_core.simulated_data.scenes import SimulationSettings, render_scene

SMALL = Randomization.from_dict({"camera": {"width": 96, "height": 72}})


def settings(scenes: int, seed: int = 4) -> SimulationSettings:
    return SimulationSettings(scenes, seed, views=1, randomization=SMALL)


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_what_is_read_is_what_was_rendered(tmp_path: Path) -> None:
    list(make_region_images(settings(1), tmp_path))
    images = RegionImages(tmp_path)
    assert images.names() == ["000000_00"]
    rgb, regions = images.read("000000_00")
    ((seen, _),) = render_scene(settings(1), 0)
    assert np.array_equal(rgb, seen.frame.rgb)
    assert [(item.id, item.label) for item in regions] == [
        (item.id, item.label) for item in seen.frame.regions
    ]
    assert np.array_equal(regions.to_label_image(), seen.frame.regions.to_label_image())


def test_a_stopped_call_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    list(make_region_images(settings(2), tmp_path / "whole"))
    next(make_region_images(settings(2), tmp_path / "stopped"))
    list(make_region_images(settings(2), tmp_path / "stopped"))
    assert contents(tmp_path / "whole") == contents(tmp_path / "stopped")


def test_a_folder_of_other_warehouses_is_refused(tmp_path: Path) -> None:
    list(make_region_images(settings(1), tmp_path))
    with pytest.raises(SpatialError, match="started with other settings"):
        list(make_region_images(settings(1, seed=5), tmp_path))
