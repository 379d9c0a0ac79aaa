"""What geometry measures stays as it was: every number of some frames, to 1e-6.

`python tests/core/test_geometry_values.py` writes the numbers anew, for a change that is meant to
change them.
"""

from __future__ import annotations

import json
import runpy
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_file
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry import FrameGeometry

STORED = Path(__file__).resolve().parents[1] / "data" / "geometry_values.json"

NOISE_PER_M = {"clean": 0.0, "noise": 0.0018, "much noise": 0.006}


def warehouse_frame(block, ray_caster, stereo_noise, noise: float) -> RGBDFrame:
    """Three pallets and a thing of no class in front of a rack, two of them in a zone, a truck."""
    seen = ray_caster(
        blocks=(
            block(1, "pallet", -1.4, 4.0, 0.4),
            block(2, "pallet", 0.9, 5.2, -0.3, width=1.0, top=0.144),
            block(3, "pallet", 1.1, 7.5, 1.2, top=1.5),
            block(4, "crate", -0.5, 6.0, 0.9, length=0.7, width=0.5, top=0.6),
            block(5, "transporter", 3.0, 6.5, 0.2, length=1.6, width=0.8, top=1.2),
            block(6, "shelf", -3.5, 9.0, 0.0, length=2.8, width=1.1, top=2.4),
            block(7, "buffer", 0.9, 6.0, 0.1, length=4.0, width=3.2, top=0.0),
        )
    ).render()
    return stereo_noise(seen, noise) if noise else seen


def measured(frame: RGBDFrame) -> dict[str, object]:
    """The floor, the doubts and the places of all regions."""
    geometry = FrameGeometry(frame)
    places: dict[str, object] = {}
    for region in frame.regions:
        try:
            places[str(region.id)] = flat(geometry.locate(region.id))
        except SpatialError as error:
            places[str(region.id)] = str(error)
    return {"plane": flat(geometry.plane), "doubts": list(geometry.doubts), "places": places}


def flat(value: object) -> object:
    """Plain numbers, words and lists of what may be a data class."""
    if is_dataclass(value):
        return {item.name: flat(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple | list):
        return [flat(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def assert_same(found: object, expected: object, path: str) -> None:
    """Numbers to 1e-6, all else exactly; the message says which is not."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), path
        assert found.keys() == expected.keys(), path
        for name in expected:
            assert_same(found[name], expected[name], f"{path}.{name}")
    elif isinstance(expected, list):
        assert isinstance(found, list), path
        assert len(found) == len(expected), path
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{path}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-6, rel=0, nan_ok=True), path
    else:
        assert found == expected, path


@pytest.mark.parametrize("name", NOISE_PER_M)
def test_every_number_is_what_it_was(name: str, block, ray_caster, stereo_noise) -> None:
    frame = warehouse_frame(block, ray_caster, stereo_noise, NOISE_PER_M[name])
    assert_same(measured(frame), json.loads(STORED.read_text())[name], name)


if __name__ == "__main__":
    names = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
    made = names["Block"], names["RayCaster"], names["add_stereo_noise"]
    values = {name: measured(warehouse_frame(*made, noise)) for name, noise in NOISE_PER_M.items()}
    write_file(STORED, json.dumps(values, indent=1).encode())
