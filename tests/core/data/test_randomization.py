"""The ranges of a simulated data set, and the YAML file that changes them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.sim import RenderOptions, WarehouseConfig
from smolrgpt_core.simulated_data.randomization import (
    CameraRandomization,
    Randomization,
    read_randomization,
)

CONFIG = Path(__file__).parents[3] / "config"
SHIPPED = CONFIG / "randomization.yaml"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_shipped_file_shows_every_default():
    assert read_randomization(SHIPPED) == Randomization()
    assert yaml.safe_load(SHIPPED.read_text()) == Randomization().to_dict()


def test_hard_scenes_have_more_noise_and_more_hidden_objects():
    usual, hard = Randomization(), read_randomization(CONFIG / "randomization_hard.yaml")
    assert hard.noise.depth_noise_per_m > 2 * usual.noise.depth_noise_per_m
    assert hard.noise_fraction == 1
    assert hard.warehouse.pallets > usual.warehouse.pallets
    assert hard.margins.min_visible_fraction < usual.margins.min_visible_fraction / 2
    assert hard.rendering == usual.rendering


def test_another_hall_has_another_camera():
    usual, small = Randomization(), read_randomization(CONFIG / "randomization_small_hall.yaml")
    assert (small.camera.width, small.camera.height) == (480, 360)
    assert small.warehouse.hall_length_m < usual.warehouse.hall_length_m
    assert small.margins == usual.margins


def test_a_file_names_only_what_it_changes(tmp_path):
    path = write(
        tmp_path / "own.yaml",
        "warehouse: {pallets: [3, 5], camera_view: ceiling}\ncamera: {width: 320}\n"
        "noise_fraction: 0",
    )
    expected = replace(
        Randomization(),
        warehouse=WarehouseConfig(pallets=(3, 5), camera_view="ceiling"),
        camera=CameraRandomization(width=320),
        noise_fraction=0.0,
    )
    assert read_randomization(path) == expected
    assert read_randomization(write(tmp_path / "empty.yaml", "")) == Randomization()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("warehouse: {palets: [3, 5]}", "unknown key `warehouse.palets`"),
        ("weather: rain", "unknown key `weather`"),
        ("warehouse: {pallets: [3]}", "`warehouse.pallets` must be a range"),
        ("warehouse: {pallets: [3, 5.5]}", "`warehouse.pallets` must be int"),
        ("warehouse: {pallets: [5, 3]}", "WarehouseConfig.pallets must be a range"),
        ("rendering: {shadows: 1}", "`rendering.shadows` must be bool"),
        ("camera: {width: true}", "`camera.width` must be int"),
        ("camera: {width: 5}", "CameraRandomization.width must lie within"),
        ("camera: {vertical_fov_deg: [10, 20]}", "vertical_fov_deg must be a range"),
        ("noise: {flying_fraction: 2}", "SensorNoise.flying_fraction"),
        ("noise_strength: [0.5, 1.5]", "noise_strength must be a range"),
        ("noise_fraction: much", "`noise_fraction` must be float"),
        ("margins: {min_visible_fraction: 2}", "margins: min_visible_fraction must be between"),
        ("camera: 640", "camera must be a mapping"),
        ("- 1", "the file must be a mapping"),
        ("camera: {width: ", "expected YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    path = write(tmp_path / "wrong.yaml", text)
    with pytest.raises(SpatialError) as caught:
        read_randomization(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_noise_is_drawn_for_a_fraction_of_the_frames_and_never_stronger_than_full():
    varied = Randomization(noise_fraction=0.5, noise_strength=(0.5, 1.0))
    rng = np.random.default_rng(0)
    drawn = [varied.draw_noise(rng) for _ in range(400)]
    strengths = [item.color_noise / varied.noise.color_noise for item in drawn if item]
    assert 160 < len(strengths) < 240
    assert 0.5 <= min(strengths) < 0.55
    assert 0.95 < max(strengths) <= 1.0
    assert all(item.min_range_m == varied.noise.min_range_m for item in drawn if item)


def test_cameras_are_within_the_range():
    camera = CameraRandomization(320, 240, (40.0, 60.0))
    rng = np.random.default_rng(0)
    drawn = [camera.draw(rng) for _ in range(100)]
    angles = [2 * np.degrees(np.arctan(120 / item.fy)) for item in drawn]
    assert {(item.width, item.height) for item in drawn} == {(320, 240)}
    assert 40 <= min(angles) < 43
    assert 57 < max(angles) <= 60


def test_defaults_render_faster_than_images_for_people():
    assert Randomization().rendering.supersampling < RenderOptions().supersampling
