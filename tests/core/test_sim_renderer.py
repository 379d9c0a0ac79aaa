"""Rendered frames: exact geometry, masks and truth that agree, clear errors, nothing left open."""

import hashlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.extras import install_command
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.sim import (
    CameraPose,
    RenderOptions,
    Scene,
    SceneObject,
    WarehouseConfig,
    WarehouseRenderer,
    build_scene,
)
from smolrgpt_core.sim.hall import Hall
from smolrgpt_core.sim.parts import ConvexPart, Shape
from smolrgpt_core.sim.truth import full_silhouette_area

FAST_FIELDS: dict[str, Any] = {"shadows": False, "reflections": False, "supersampling": 1}
FAST = RenderOptions(**FAST_FIELDS)
SMALL = CameraIntrinsics.from_vertical_fov(192, 144, 60.0)
ODD = CameraIntrinsics(width=320, height=200, fx=300.0, fy=280.0, cx=140.3, cy=110.8)
"""Principal point off the middle, pixels not square."""
LEVEL = CameraPose(np.array([0.0, 0.0, 1.0]), yaw_rad=0.0, pitch_rad=0.0)


def box(id, center, size, yaw=0.0, label="pallet", shape=Shape.BOX):
    part = ConvexPart("carton0", (0.0, 0.0, size[2] / 2), size, shape)
    return SceneObject(
        id, label, "box", (center[0], center[1], center[2] - size[2] / 2), yaw, (part,)
    )


def buffer(id, x, y, length, width, yaw=0.0):
    return SceneObject(id, "buffer", "painted", (x, y, 0.0), yaw, paint_size=(length, width))


def scene_of(*objects):
    hall = Hall(30.0, 20.0, 7.0, 1.0, (0.2, -0.2, -1.0))
    return Scene(0, WarehouseConfig(), hall, tuple(objects))


def render(scene, pose, intrinsics=ODD, options=FAST):
    with WarehouseRenderer(scene, intrinsics, options) as renderer:
        return renderer.render(pose)


def back_project(frame, id):
    """(N, 3) points under a mask."""
    mask = frame.regions.full_mask(id) & np.isfinite(frame.depth)
    rows, columns = np.nonzero(mask)
    z = frame.depth[mask].astype(np.float64)
    camera = frame.intrinsics
    return np.stack(
        [(columns - camera.cx) / camera.fx * z, (rows - camera.cy) / camera.fy * z, z], axis=1
    )


def digest(simulated):
    frame = simulated.frame
    parts = [frame.rgb, frame.depth, frame.regions.to_label_image()]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def demo_digest():
    scene = build_scene(4)
    return digest(render(scene, scene.camera_poses(1)[0], SMALL, RenderOptions(shadow_pixels=512)))


@pytest.fixture(scope="module")
def demo():
    """The first frame of the demo, as a user gets it."""
    scene = build_scene(0)
    with WarehouseRenderer(scene) as renderer:
        return scene, renderer.render(scene.camera_poses(1)[0], stamp_ns=5)


# Geometry


def test_depth_and_mask_of_a_known_box():
    simulated = render(scene_of(box(10, (4.0, 0.1, 1.2), (1.0, 0.8, 0.6))), LEVEL)
    points = back_project(simulated.frame, 10)
    # Its front is 3.5 m ahead: 0.5 m left to 0.3 m right, 0.5 m above to 0.1 m below.
    assert np.abs(points[:, 2] - 3.5).max() < 0.001
    pixel = 3.5 / 280
    assert points[:, 0].min() == pytest.approx(-0.5, abs=pixel)
    assert points[:, 0].max() == pytest.approx(0.3, abs=pixel)
    assert points[:, 1].min() == pytest.approx(-0.5, abs=pixel)
    assert points[:, 1].max() == pytest.approx(0.1, abs=pixel)


def test_a_pixel_belongs_to_what_its_center_sees():
    """(0, 0) is the center of the first pixel: the mask holds exactly the pixels inside."""
    simulated = render(scene_of(box(10, (4.0, 0.1, 1.2), (1.0, 0.8, 0.6))), LEVEL)
    columns = (np.arange(ODD.width) - ODD.cx) / ODD.fx * 3.5
    rows = (np.arange(ODD.height) - ODD.cy) / ODD.fy * 3.5
    expected = ((rows > -0.5) & (rows < 0.1))[:, None] & ((columns > -0.5) & (columns < 0.3))
    assert np.array_equal(simulated.frame.regions.full_mask(10), expected)


def test_depth_of_the_floor_is_the_plane_everywhere():
    pose = CameraPose(np.array([-3.0, 1.0, 3.0]), yaw_rad=0.4, pitch_rad=-0.7)
    depth = render(
        scene_of(), pose, options=RenderOptions(**FAST_FIELDS, max_range_m=6)
    ).frame.depth
    rows, columns = np.mgrid[: ODD.height, : ODD.width]
    rays = np.stack([(columns - ODD.cx) / ODD.fx, (rows - ODD.cy) / ODD.fy, np.ones_like(rows)], -1)
    expected = -3.0 / (rays @ pose.world_from_optical.T)[..., 2]
    near = (expected > 0) & (expected < 6)
    far = (expected > 6) & (expected < 7)
    assert min(near.sum(), far.sum()) > 1000
    assert np.abs(depth[near] - expected[near]).max() < 0.002
    assert np.isnan(depth[far]).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_masks_lie_inside_the_true_boxes(seed):
    scene = build_scene(seed)
    distances = []
    with WarehouseRenderer(scene, SMALL, FAST) as renderer:
        for pose in scene.camera_poses(3):
            simulated = renderer.render(pose)
            assert len(simulated.truth.objects) >= 6
            for truth in simulated.truth.objects:
                local = (back_project(simulated.frame, truth.id) - truth.center) @ truth.rotation
                distances.append((np.abs(local) - truth.size / 2).max(axis=1, initial=-1.0))
    outside = np.concatenate(distances)
    # On a face seen edge-on the rasterizer may miss the depth of a single pixel by more.
    assert np.mean(outside > 0.01) < 2e-4
    assert outside.max() < 0.05


def test_truth_is_in_the_optical_frame():
    scene = scene_of(box(10, (4.0, 0.5, 0.3), (1.2, 0.8, 0.6), yaw=np.pi / 6))
    pose = CameraPose(np.array([1.0, 0.0, 2.0]), yaw_rad=0.1, pitch_rad=-0.3)
    truth = render(scene, pose).truth
    assert truth.up @ pose.to_optical(pose.position + np.array([0, 0, 1.0])) == pytest.approx(1.0)
    assert truth[10].center == pytest.approx(pose.to_optical(np.array([4.0, 0.5, 0.3])))
    assert truth[10].size == pytest.approx([1.2, 0.8, 0.6])
    assert truth[10].rotation[:, 2] == pytest.approx(truth.up)
    ahead = pose.world_from_optical @ truth[10].rotation[:, 0]
    assert ahead == pytest.approx([np.cos(np.pi / 6), np.sin(np.pi / 6), 0])


# Regions and truth


def test_buffer_region_is_the_visible_floor_of_its_rectangle():
    scene = scene_of(
        buffer(1, 5.0, 0.5, 3.0, 2.0, yaw=0.3), box(10, (4.5, 0.5, 0.25), (0.8, 0.6, 0.5))
    )
    pose = CameraPose(np.array([0.0, 0.0, 2.0]), yaw_rad=0.0, pitch_rad=-0.3)
    simulated = render(scene, pose)
    floor = simulated.frame.regions.full_mask(1)
    assert not np.any(floor & simulated.frame.regions.full_mask(10))
    world = back_project(simulated.frame, 1) @ pose.world_from_optical.T + pose.position
    assert np.abs(world[:, 2]).max() < 0.005
    margins = [scene[1].footprint.signed_distance(x, y) for x, y, _ in world]
    assert min(margins) > -0.005
    assert simulated.truth[10].buffer_ids == (1,)
    assert simulated.truth[1].buffer_ids == ()


def test_visible_fraction_of_hidden_and_cut_objects():
    hidden = box(10, (6.0, 0.0, 1.0), (0.5, 1.0, 1.0))
    # Seen from the camera, this covers exactly the right half of the other.
    cover = box(11, (3.0, -0.5, 1.0), (0.001, 1.0, 1.0))
    cut = box(12, (4.0, 4.0 * 140.8 / 300, 1.0), (0.001, 0.6, 0.6))
    simulated = render(scene_of(hidden, cover, cut), LEVEL)
    truth = simulated.truth
    assert truth[10].visible_fraction == pytest.approx(0.5, abs=0.03)
    assert truth[11].visible_fraction == pytest.approx(1.0, abs=0.03)
    assert truth[12].visible_fraction == pytest.approx(0.5, abs=0.03)


def test_full_silhouettes_agree_with_objects_rendered_alone():
    scene = build_scene(2, WarehouseConfig(camera_view="ceiling"))
    pose = scene.camera_poses(1)[0]
    seen = render(scene, pose, options=FAST).frame.regions
    errors: list[float] = []
    for item in (scene[region.id] for region in seen if region.label != "buffer"):
        box_seen = seen[item.id].box
        corners = np.array([box_seen.x, box_seen.y, box_seen.width, box_seen.height])
        corners[2:] += corners[:2]
        if len(errors) == 6 or corners[:2].min() == 0 or np.any(corners[2:] == [320, 200]):
            continue
        alone = render(scene_of(item), pose, options=FAST).frame.regions[item.id]
        errors.append(full_silhouette_area(item, pose, ODD) / alone.area - 1)
    assert len(errors) == 6
    assert np.abs(errors).max() < 0.04, errors


def test_too_small_regions_are_skipped():
    scene = scene_of(box(10, (9.0, 0.0, 1.0), (0.2, 0.2, 0.2)))
    area = render(scene, LEVEL, options=RenderOptions(**FAST_FIELDS, min_region_pixels=1))
    pixels = area.frame.regions[10].area
    for least, expected in ((pixels, 1), (pixels + 1, 0)):
        options = RenderOptions(**FAST_FIELDS, min_region_pixels=least)
        simulated = render(scene, LEVEL, options=options)
        assert len(simulated.frame.regions) == len(simulated.truth.objects) == expected


def test_the_first_image_of_the_demo_has_something_to_ask_about(demo):
    scene, simulated = demo
    frame, truth = simulated.frame, simulated.truth
    assert frame.rgb.shape == (480, 640, 3)
    assert frame.stamp_ns == 5
    assert [item.id for item in truth.objects] == [region.id for region in frame.regions]
    assert {"pallet", "buffer", "transporter", "shelf"} == set(frame.regions.labels)
    clear = [item for item in truth.objects if item.visible_fraction > 0.2]
    assert {1, 2} <= {item.id for item in clear}
    homes = [item.buffer_ids for item in clear if item.label == "pallet"]
    assert {(1,), (2,), ()} <= set(homes)
    assert {item.loaded for item in clear if item.label == "transporter"} == {True, False}
    for item in truth.objects:
        assert item.loaded == scene[item.id].loaded


def test_the_image_is_lit_and_colored(demo):
    _, simulated = demo
    rgb = simulated.frame.rgb.astype(float)
    assert 70 < rgb.mean() < 190
    assert rgb.std() > 30
    buffer_two = rgb[simulated.frame.regions.full_mask(2)]
    assert buffer_two.std(axis=0).max() > 8


def test_shadows_darken_the_floor():
    scene = scene_of(box(10, (5.0, 0.0, 1.5), (1.5, 1.5, 3.0)))
    pose = CameraPose(np.array([0.0, 0.0, 4.0]), yaw_rad=0.0, pitch_rad=-0.5)
    lit = render(scene, pose, options=FAST).frame
    shady = render(scene, pose, options=RenderOptions(reflections=False, supersampling=1)).frame
    darker = lit.rgb.astype(int).sum(axis=2) - shady.rgb.astype(int).sum(axis=2) > 60
    floor = lit.regions.to_label_image() == 0
    assert 0.005 < (darker & floor).mean() < 0.3


# Determinism and life cycle


def test_same_pixels_in_another_process():
    code = (
        "import importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('t', {__file__!r})\n"
        "t = importlib.util.module_from_spec(spec); spec.loader.exec_module(t)\n"
        "print(t.demo_digest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == demo_digest()
    assert other.stderr == ""


def test_two_renderers_do_not_disturb_each_other():
    first, second = build_scene(1), build_scene(2)
    pose, other_pose = first.camera_poses(1)[0], second.camera_poses(1)[0]
    with WarehouseRenderer(first, SMALL, FAST) as one:
        alone = digest(one.render(pose))
        with WarehouseRenderer(second, ODD, FAST) as two:
            before = digest(two.render(other_pose))
            assert digest(one.render(pose)) == alone
            assert digest(two.render(other_pose)) == before
        assert digest(one.render(pose)) == alone


def test_a_closed_renderer_says_so():
    renderer = WarehouseRenderer(scene_of(), SMALL, FAST)
    renderer.close()
    renderer.close()
    with pytest.raises(SpatialError, match="closed"):
        renderer.render(LEVEL)


def test_a_camera_in_the_floor_is_refused():
    with (
        WarehouseRenderer(scene_of(), SMALL, FAST) as renderer,
        pytest.raises(SpatialError, match="above the floor") as caught,
    ):
        renderer.render(CameraPose(np.array([0.0, 0.0, -1.0]), 0.0, 0.0))
    assert caught.value.status is Status.BAD_INPUT


@pytest.mark.parametrize("field", ["shadow_pixels", "supersampling", "max_range_m"])
def test_option_errors_name_the_field(field):
    fields: dict[str, Any] = {field: -1}
    with pytest.raises(SpatialError, match=f"RenderOptions.{field}"):
        RenderOptions(**fields)


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("sys.modules['mujoco'] = None", install_command("sim")),
        ("sys.modules['OpenGL.osmesa'] = None", "apt-get install libosmesa6"),
        ("hide_library('OSMesa')", "apt-get install libosmesa6"),
    ],
)
def test_what_is_missing_is_named(missing, remedy):
    code = f"""
import ctypes, sys
def hide_library(name):
    load = ctypes.CDLL.__init__
    def refuse(self, path, *args, **kwargs):
        if name in str(path):
            raise OSError(path)
        load(self, path, *args, **kwargs)
    ctypes.CDLL.__init__ = refuse
    ctypes.util.find_library = lambda _: None
import ctypes.util
{missing}
from smolrgpt_core.sim import WarehouseRenderer, build_scene
scene = build_scene(0)
try:
    WarehouseRenderer(scene)
except ImportError as error:
    print(error)
"""
    environment = {**os.environ, "MUJOCO_GL": "osmesa"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert remedy in result.stdout, result.stderr


def test_a_model_can_be_loaded_after_rendering():
    """Mesa and Triton each bring LLVM, and used to crash the process in this order."""
    code = (
        "from smolrgpt_core.sim import WarehouseRenderer, build_scene\n"
        "with WarehouseRenderer(build_scene(0)): pass\n"
        "import smolrgpt_core.model\n"
        "print('alive')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "alive" in result.stdout, result.stderr[-2000:]
