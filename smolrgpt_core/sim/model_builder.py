"""Builds the MuJoCo model of a scene: one mesh per object, the hall, the lights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.sim.config import FAR_M, NEAR_M, RenderOptions
from smolrgpt_core.sim.extra_textures import paint_extras_atlas
from smolrgpt_core.sim.floor import paint_floor
from smolrgpt_core.sim.hall import hall_parts
from smolrgpt_core.sim.hall_textures import paint_hall
from smolrgpt_core.sim.materials import ATLAS, EXTRAS_ATLAS, LAMP
from smolrgpt_core.sim.meshes import Mesh, TileRect, build_mesh, parts_by_texture
from smolrgpt_core.sim.mujoco_import import import_mujoco
from smolrgpt_core.sim.objects import SceneObject
from smolrgpt_core.sim.scene import Scene
from smolrgpt_core.sim.textures import paint_atlas

if TYPE_CHECKING:
    import mujoco

FLOOR_GEOM = "floor"
FLOOR_REFLECTANCE = 0.06


def object_geom_name(id: int, texture: str) -> str:
    """Name of the geom that shows an object; `geom_object_id` reads it."""
    return f"object {id} {texture}"


def geom_object_id(name: str) -> int:
    """Id of the object that a geom belongs to, 0 for the hall."""
    return int(name.split()[1]) if name.startswith("object ") else 0


def build_model(
    scene: Scene, intrinsics: CameraIntrinsics, options: RenderOptions
) -> mujoco.MjModel:
    """Compile the MuJoCo model of a scene for images of this size and quality.

    Args:
        scene: to render.
        intrinsics: size of the images.
        options: quality of the images.
    """
    mujoco = import_mujoco()
    spec = mujoco.MjSpec()
    _set_visual(spec, scene, intrinsics, options)
    _add_textures(spec, scene)
    spec.material(FLOOR_GEOM).reflectance = FLOOR_REFLECTANCE if options.reflections else 0.0
    _add_floor(spec, scene)
    _add_hall(spec, scene)
    for item in scene.objects:
        _add_object(spec, item)
    _add_lights(spec, scene, options.shadows)
    return spec.compile()


def _set_visual(
    spec: Any, scene: Scene, intrinsics: CameraIntrinsics, options: RenderOptions
) -> None:
    """Size of the image, clipping planes and quality."""
    spec.stat.extent = 1.0
    spec.stat.center = [0, 0, 0]
    visual = spec.visual
    visual.global_.offwidth = intrinsics.width * options.supersampling
    visual.global_.offheight = intrinsics.height * options.supersampling
    visual.map.znear = NEAR_M
    visual.map.zfar = FAR_M
    visual.map.shadowclip = 0.5 * float(np.hypot(scene.hall.length_m, scene.hall.width_m))
    visual.quality.offsamples = 0
    visual.quality.shadowsize = options.shadow_pixels if options.shadows else 1
    visual.headlight.active = 0


def _add_textures(spec: Any, scene: Scene) -> None:
    _add_texture(spec, ATLAS, paint_atlas().image)
    if any(EXTRAS_ATLAS in parts_by_texture(item.parts) for item in scene.objects):
        _add_texture(spec, EXTRAS_ATLAS, paint_extras_atlas().image)
    _add_texture(spec, FLOOR_GEOM, paint_floor(scene))
    for name, image in _hall_images(scene).items():
        _add_texture(spec, name, image)
    _add_texture(spec, LAMP, np.full((4, 4, 3), 255, np.uint8), emission=1.0)


def _hall_images(scene: Scene) -> dict[str, NDArray[np.uint8]]:
    """Walls and ceiling; no door is painted on a wall that has real ones."""
    return paint_hall(scene.hall, scene.seed, end_doors=not scene.with_label("door"))


def _add_texture(spec: Any, name: str, image: NDArray[np.uint8], emission: float = 0.0) -> None:
    """A texture with a material of the same name."""
    mujoco = import_mujoco()
    texture = spec.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        height=image.shape[0],
        width=image.shape[1],
        nchannel=3,
    )
    texture.data = image.tobytes()
    material = spec.add_material(name=name, specular=0.0, shininess=0.0, emission=emission)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def _add_floor(spec: Any, scene: Scene) -> None:
    mujoco = import_mujoco()
    spec.worldbody.add_geom(
        name=FLOOR_GEOM,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[scene.hall.length_m / 2, scene.hall.width_m / 2, 1.0],
        material=FLOOR_GEOM,
        castshadow=False,
        contype=0,
        conaffinity=0,
    )


def _add_hall(spec: Any, scene: Scene) -> None:
    """The hall casts no shadow: the light comes through its roof."""
    for texture, parts in parts_by_texture(hall_parts(scene.hall)).items():
        mesh = build_mesh(parts, _tiles(texture))
        geom = _add_mesh_geom(spec, f"hall {texture}", mesh, texture)
        geom.castshadow = 0


def _add_object(spec: Any, item: SceneObject) -> None:
    for texture, parts in parts_by_texture(item.parts).items():
        mesh = build_mesh(parts, _tiles(texture))
        geom = _add_mesh_geom(spec, object_geom_name(item.id, texture), mesh, texture)
        geom.pos = item.origin
        geom.quat = [np.cos(item.yaw / 2), 0, 0, np.sin(item.yaw / 2)]
        geom.rgba = [*item.tint, 1.0]


def _tiles(texture: str) -> Mapping[str, TileRect]:
    """Where the tiles of a texture are; none in a texture that is one tile."""
    if texture == ATLAS:
        return paint_atlas().tiles
    return paint_extras_atlas().tiles if texture == EXTRAS_ATLAS else {}


def _add_mesh_geom(spec: Any, name: str, mesh: Mesh, material: str) -> Any:
    mujoco = import_mujoco()
    spec.add_mesh(
        name=name,
        uservert=mesh.vertices.astype(np.float32).ravel(),
        usernormal=mesh.normals.astype(np.float32).ravel(),
        usertexcoord=mesh.texture_coordinates.astype(np.float32).ravel(),
        userface=mesh.faces.ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    return spec.worldbody.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=material,
        contype=0,
        conaffinity=0,
    )


def _add_lights(spec: Any, scene: Scene, shadows: bool) -> None:
    """One light from above with shadows; weak ones that brighten the sides and the ceiling.

    The ambient light comes with the fill lights: that of a light with shadows is lost in them.
    """
    level = scene.hall.light_level
    _add_light(spec, "roof", scene.hall.light_direction, 0.44 * level, 0.0, shadows)
    _add_light(spec, "fill south", (0.5, 0.8, -0.45), 0.2 * level, 0.44 * level, False)
    _add_light(spec, "fill north", (-0.7, -0.6, -0.4), 0.18 * level, 0.0, False)
    _add_light(spec, "floor glow", (0, 0.1, 1), 0.2 * level, 0.0, False)


def _add_light(
    spec: Any, name: str, direction: tuple[float, float, float], diffuse: float, ambient: float,
    shadows: bool,
) -> None:  # fmt: skip
    mujoco = import_mujoco()
    spec.worldbody.add_light(
        name=name,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0, 0, 12],
        dir=direction,
        castshadow=shadows,
        diffuse=[diffuse] * 3,
        ambient=[ambient] * 3,
        specular=[0, 0, 0],
    )
