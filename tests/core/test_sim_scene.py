"""Procedural scenes: deterministic, plausible, within their configuration, well seen."""

import hashlib
import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.sim import LABEL_ID_RANGES, CameraPose, WarehouseConfig, build_scene
from smolrgpt_core.sim.pallets import (
    LOAD_KINDS,
    PALLET_MODELS,
    load_color,
    load_parts,
    pallet_base,
)
from smolrgpt_core.sim.parts import ConvexPart, Shape, bounding_box, part_vertices
from smolrgpt_core.sim.transporters import (
    TRANSPORTER_MODELS,
    TransporterKind,
    transporter_parts,
)

SEEDS = range(12)


def fingerprint(scene):
    pose = scene.camera_poses(3)[1]
    text = repr(
        [
            (item.id, item.kind, item.origin, item.yaw, item.parts, item.paint_size, item.tint)
            for item in scene.objects
        ]
    )
    return hashlib.sha256(f"{text}{pose.position}{pose.yaw_rad}".encode()).hexdigest()


@pytest.fixture(scope="module")
def scenes():
    return [build_scene(seed) for seed in SEEDS]


def test_same_seed_same_scene_in_another_process():
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('t', {__file__!r})\n"
        "t = importlib.util.module_from_spec(spec); spec.loader.exec_module(t)\n"
        "print(t.fingerprint(t.build_scene(3)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert other.stdout.strip() == fingerprint(build_scene(3))


def test_another_seed_is_another_scene():
    assert len({fingerprint(build_scene(seed)) for seed in range(4)}) == 4


def test_ids_are_unique_and_lie_in_the_range_of_their_label(scenes):
    for scene in scenes:
        ids = [item.id for item in scene.objects]
        assert ids == sorted(set(ids))
        assert all(item.id in LABEL_ID_RANGES[item.label] for item in scene.objects)
        assert {1, 2} <= set(ids)


def test_numbers_lie_within_the_configuration(scenes):
    config = WarehouseConfig()
    for scene in scenes:
        for label, (low, high) in {
            "buffer": config.buffers,
            "pallet": config.pallets,
            "transporter": config.transporters,
            "shelf": config.shelves,
        }.items():
            assert low <= len(scene.with_label(label)) <= high, (scene.seed, label)
        loaded = {vehicle.loaded for vehicle in scene.with_label("transporter")}
        assert loaded == {False, True}


def test_nothing_on_the_floor_overlaps(scenes):
    for scene in scenes:
        standing = [item for item in scene.objects if item.origin[2] == 0 and item.parts]
        for first, second in combinations(standing, 2):
            overlap = first.footprint.overlaps(second.footprint)
            assert not overlap, (scene.seed, first.id, second.id)
        for first, second in combinations(scene.with_label("buffer"), 2):
            assert not first.footprint.overlaps(second.footprint)


def test_everything_is_inside_the_hall(scenes):
    for scene in scenes:
        limit = np.array([scene.hall.length_m, scene.hall.width_m]) / 2
        for item in scene.objects:
            assert np.all(np.abs(item.footprint.corners) < limit)
            low = item.center[2] - item.size[2] / 2
            assert low == pytest.approx(item.origin[2], abs=1e-9)
            assert low + item.size[2] < scene.hall.height_m - 0.9


def test_stacked_pallets_rest_on_the_pallet_below(scenes):
    stacked = 0
    for scene in scenes:
        for upper in scene.with_label("pallet"):
            if upper.carrier_id not in LABEL_ID_RANGES["pallet"]:
                continue
            lower = scene[upper.carrier_id]
            stacked += 1
            assert lower.cargo_id == upper.id
            assert upper.origin[2] == pytest.approx(lower.size[2])
            assert np.hypot(*(upper.center - lower.center)[:2]) < 0.05
    assert stacked >= 3


def test_a_load_on_a_transporter_touches_but_does_not_enter_it():
    rng = np.random.default_rng(0)
    for kind in TransporterKind:
        vehicle = transporter_parts(kind, "white")
        for model in PALLET_MODELS:
            load = load_parts("cartons", model, 1.0, rng)
            cargo = [
                part.moved(TRANSPORTER_MODELS[kind].load_center)
                for part in [*pallet_base(model, "wood0"), *load]
            ]
            gaps = [box_gap(a, b) for a in vehicle for b in cargo]
            assert -1e-6 <= min(gaps) < 0.02, (kind, model.name)


def box_gap(first, second):
    """Largest gap along an axis between two upright parts; negative where they overlap."""
    a, b = part_vertices(first), part_vertices(second)
    return float(np.max([a.min(axis=0) - b.max(axis=0), b.min(axis=0) - a.max(axis=0)]))


@pytest.mark.parametrize("kind", list(TransporterKind))
def test_transporters_have_their_documented_size(kind):
    center, size = bounding_box(transporter_parts(kind, "orange"))
    assert size == pytest.approx(TRANSPORTER_MODELS[kind].size, abs=0.011)
    assert center[:2] == pytest.approx([0, 0], abs=0.006)


@pytest.mark.parametrize("model", PALLET_MODELS, ids=lambda model: model.name)
def test_pallets_have_standard_size(model):
    center, size = bounding_box(pallet_base(model, "wood0"))
    assert size == pytest.approx([model.length_m, model.width_m, 0.144])
    assert center == pytest.approx([0, 0, 0.072])


@pytest.mark.parametrize("kind", LOAD_KINDS)
@pytest.mark.parametrize("height", [0.1, 0.7, 1.6])
def test_loads_fit_their_pallet_and_stay_below_the_limit(kind, height):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        model = PALLET_MODELS[seed % 2]
        center, size = bounding_box(load_parts(kind, model, height, rng))
        assert np.all(size[:2] <= [model.length_m + 0.05, model.width_m + 0.05])
        assert center[2] - size[2] / 2 == pytest.approx(0.144, abs=0.003)
        assert 0.05 < size[2] <= 1.601


def test_bounding_box_of_a_turned_part():
    part = ConvexPart("wood0", (1, 2, 3), (2, 1, 0.5), Shape.BOX, yaw_rad=np.pi / 2)
    center, size = bounding_box([part])
    assert center == pytest.approx([1, 2, 3])
    assert size == pytest.approx([1, 2, 0.5])


def test_fractions_of_the_configuration_steer_the_scene():
    config = WarehouseConfig(
        buffers=(3, 3),
        buffer_side_m=(4.5, 6.0),
        pallets=(8, 8),
        pallet_fraction_in_buffer=1.0,
        pallet_fraction_on_edge=0.0,
        pallet_fraction_stacked=0.0,
        pallet_fraction_empty=1.0,
        transporters=(0, 0),
        shelves=(0, 0),
    )
    scene = build_scene(5, config)
    assert {item.label for item in scene.objects} == {"buffer", "pallet"}
    for pallet in scene.with_label("pallet"):
        assert max(scene.buffer_margins(pallet).values()) > 0
        assert pallet.size[2] == pytest.approx(0.144)


def test_margins_are_signed_distances_to_the_edges_of_buffers():
    scene = build_scene(0)
    buffer = scene[2]
    for pallet in scene.with_label("pallet"):
        x, y = pallet.footprint_center
        local = np.abs(buffer.footprint.axes @ (x - buffer.origin[0], y - buffer.origin[1]))
        inside = np.all(local < buffer.size[:2] / 2)
        assert (scene.buffer_margins(pallet)[2] > 0) == inside
    assert scene.buffer_margins(buffer) == {}


def test_hall_too_small_is_refused():
    config = WarehouseConfig(hall_length_m=(16, 16), hall_width_m=(14, 14), shelves=(19, 19))
    with pytest.raises(SpatialError, match=r"room for \d+ shelves.*at least 19") as caught:
        build_scene(0, config)
    assert caught.value.status is Status.BAD_INPUT


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pallets", (5, 2)),
        ("pallets", (0, 51)),
        ("buffers", (2, 10)),
        ("load_height_m", (0.2, 2.5)),
        ("pallet_fraction_stacked", 1.2),
        ("camera_view", "drone"),
        ("light_level", (float("nan"), 1.0)),
    ],
)
def test_configuration_errors_name_the_field(field, value):
    with pytest.raises(SpatialError, match=f"WarehouseConfig.{field}"):
        WarehouseConfig(**{field: value})


def test_negative_seed_is_refused():
    with pytest.raises(SpatialError, match="seed"):
        build_scene(-1)


@pytest.mark.parametrize(("view", "heights"), [("robot", (1.2, 2.0)), ("ceiling", (4.0, 6.0))])
def test_camera_path_is_smooth_and_free(view, heights):
    for seed in range(3):
        scene = build_scene(seed, WarehouseConfig(camera_view=view))
        poses = scene.camera_poses(300)
        positions = np.array([pose.position for pose in poses])
        steps = np.linalg.norm(np.diff(positions, axis=0, append=positions[:1]), axis=1)
        forward = np.array([pose.forward for pose in poses])
        turns = np.arccos(np.clip((forward * np.roll(forward, -1, axis=0)).sum(axis=1), -1, 1))
        assert steps.max() < 0.3
        assert np.rad2deg(turns.max()) < 4
        assert np.all((positions[:, 2] >= heights[0]) & (positions[:, 2] <= heights[1]))
        for item in scene.objects:
            if item.parts and item.center[2] + item.size[2] / 2 > heights[0] - 0.3:
                margins = [item.footprint.signed_distance(x, y) for x, y, _ in positions]
                assert max(margins) < -0.4


def test_a_load_has_a_color_where_it_has_a_single_one():
    names: dict[str, set[str]] = {kind: set() for kind in LOAD_KINDS}
    for seed in range(60):
        for kind in LOAD_KINDS:
            rng = np.random.default_rng(seed)
            parts = pallet_base(PALLET_MODELS[0], "wood0")
            load = load_parts(kind, PALLET_MODELS[0], 0.9, rng)
            name = load_color([*parts, *load])
            names[kind].add(name)
            painted = {part.material.partition("_")[2] for part in load}
            if kind in ("crates", "drums"):
                assert painted == {name}
    assert names["crates"] == {"blue", "gray", "red", "green"}
    assert names["drums"] == {"blue", "black", "red"}
    assert names["cartons"] == {"brown", ""}
    assert names["wrapped"] == {"white", "black", ""}
    assert "" in names["mixed_cartons"]
    assert load_color(pallet_base(PALLET_MODELS[0], "wood0")) == ""


def test_camera_poses_start_at_the_overview_and_close_the_way():
    scene = build_scene(1)
    one, many = scene.camera_poses(1)[0], scene.camera_poses(40)
    assert one.position == pytest.approx(many[0].position)
    assert scene.camera_path.pose(1.0).position == pytest.approx(one.position)
    with pytest.raises(SpatialError, match="count"):
        scene.camera_poses(0)


def test_optical_frame_of_a_pose():
    pose = CameraPose(np.array([1.0, 2.0, 1.5]), yaw_rad=0.0, pitch_rad=0.0)
    ahead_left_above = np.array([4.0, 3.0, 2.0])
    assert pose.to_optical(ahead_left_above) == pytest.approx([-1.0, -0.5, 3.0])
    tilted = CameraPose(np.array([0.0, 0.0, 2.0]), yaw_rad=np.pi / 2, pitch_rad=-np.pi / 4)
    assert tilted.to_optical(np.array([0.0, 2.0, 0.0])) == pytest.approx([0, 0, np.sqrt(8)])
    assert np.linalg.det(tilted.world_from_optical) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "pose", [((1, 2), 0.0, 0.0), ((1, 2, np.nan), 0.0, 0.0), ((1, 2, 3), 0.0, np.pi / 2)]
)
def test_impossible_camera_poses_are_refused(pose):
    with pytest.raises(SpatialError):
        CameraPose(*pose)
