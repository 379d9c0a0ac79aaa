"""Converts parts to triangles with normals and texture coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.sim.materials import MATERIALS, Material
from smolrgpt_core.sim.parts import (
    CONE_PROFILE,
    CYLINDER_SIDES,
    ELLIPSOID_PROFILE,
    ConvexPart,
    Shape,
    pillow_grid,
    round_body,
)

TileRect = tuple[float, float, float, float]
"""Left, top, right, bottom of a tile in its texture, 0 to 1, row 0 on top."""
WHOLE_TEXTURE: TileRect = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles.

    Attributes:
        vertices, normals: float64 (V, 3).
        texture_coordinates: float64 (V, 2), u to the right, v down.
        faces: int32 (F, 3).
    """

    vertices: NDArray[np.float64]
    normals: NDArray[np.float64]
    texture_coordinates: NDArray[np.float64]
    faces: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class _Surface:
    """Faces of a unit shape: like `Mesh`, with (u, v) from 0 to 1, v up, and a side per vertex."""

    vertices: NDArray[np.float64]
    normals: NDArray[np.float64]
    uv: NDArray[np.float64]
    side: NDArray[np.int64]
    faces: NDArray[np.int32]


TOP, SIDE, END = 0, 1, 2


def parts_by_texture(parts: Sequence[ConvexPart]) -> dict[str, list[ConvexPart]]:
    """The parts, grouped by the texture that they need."""
    groups: dict[str, list[ConvexPart]] = {}
    for part in parts:
        groups.setdefault(MATERIALS[part.material].texture, []).append(part)
    return groups


def build_mesh(parts: Sequence[ConvexPart], tiles: Mapping[str, TileRect]) -> Mesh:
    """One mesh of all parts, in object axes.

    Args:
        parts: of one texture.
        tiles: where each tile is in that texture; a missing name means the whole texture.
    """
    vertices, normals, coordinates, faces = [], [], [], []
    offset = 0
    for index, part in enumerate(parts):
        surface = _UNIT_SURFACES[part.shape]
        rotation = part.rotation
        vertices.append((surface.vertices * part.size) @ rotation.T + part.center)
        scaled = surface.normals / part.size
        scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
        normals.append(scaled @ rotation.T)
        coordinates.append(_texture_coordinates(surface, part, tiles, index))
        faces.append(surface.faces + offset)
        offset += len(surface.vertices)
    return Mesh(
        np.concatenate(vertices),
        np.concatenate(normals),
        np.concatenate(coordinates),
        np.concatenate(faces),
    )


def _texture_coordinates(
    surface: _Surface, part: ConvexPart, tiles: Mapping[str, TileRect], index: int
) -> NDArray[np.float64]:
    """(V, 2): each face's piece of its tile, shifted a little from part to part."""
    material = MATERIALS[part.material]
    x, y, z = part.size
    result = np.empty_like(surface.uv)
    names = (
        (TOP, material.top, (x, y)),
        (SIDE, material.side, (x, z)),
        (END, material.end, (y, z)),
    )
    for side, name, extent in names:
        chosen = surface.side == side
        uv = _piece_of_tile(surface.uv[chosen], material, extent, index)
        left, top, right, bottom = tiles.get(name, WHOLE_TEXTURE)
        result[chosen, 0] = left + uv[:, 0] * (right - left)
        result[chosen, 1] = bottom - uv[:, 1] * (bottom - top)
    return result


def _piece_of_tile(
    uv: NDArray[np.float64], material: Material, extent_m: tuple[float, float], index: int
) -> NDArray[np.float64]:
    """(V, 2) within 0 to 1 of a tile for a face of this extent."""
    width, height = extent_m
    if material.grain and height > width:
        uv, width, height = uv[:, ::-1], height, width
    if material.tile_m is None:
        return uv
    scale = np.minimum(1.0, np.array([width, height]) / material.tile_m)
    shift = np.array([index * 0.618, index * 0.382]) % 1.0
    return uv * scale + shift * (1.0 - scale)


def _box_surface() -> _Surface:
    """Six faces with four corners each, seen upright from outside."""
    half = 0.5
    x, y, z = np.eye(3) * half
    frames = [(x, y, z, END), (-x, -y, z, END), (y, -x, z, SIDE), (-y, x, z, SIDE),
              (z, x, y, TOP), (-z, x, -y, TOP)]  # fmt: skip
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    vertices = [out + a * right + b * up for out, right, up, _ in frames for a, b in corners]
    normals = np.repeat([out * 2 for out, *_ in frames], 4, axis=0)
    side = np.repeat([kind for *_, kind in frames], 4)
    faces = np.concatenate([_quads(np.arange(4) + 4 * k) for k in range(6)])
    return _Surface(np.array(vertices), normals, np.tile((corners + 1) / 2, (6, 1)), side, faces)


def _cylinder_surface() -> _Surface:
    """Wall with its seam, and two caps."""
    angle = np.arange(CYLINDER_SIDES + 1) * (2 * np.pi / CYLINDER_SIDES)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) / 2
    return _stack_rings([circle, circle], [-0.5, 0.5], [0.0, 0.0])


def _pillow_surface() -> _Surface:
    """Lower and upper half around the rim, and two caps."""
    rings = pillow_grid()
    closed = [np.concatenate([ring, ring[:1]])[:, :2] for ring in rings]
    heights = [float(ring[0, 2]) for ring in rings]
    return _stack_rings(closed, heights, [height * 0.4 for height in heights])


def _round_surface(profile: list[tuple[float, float]], upward: list[float]) -> _Surface:
    """Wall with its seam over the rings of a profile, and two caps."""
    rings = round_body(profile)
    closed = [np.concatenate([ring, ring[:1]])[:, :2] for ring in rings]
    return _stack_rings(closed, [height for _, height in profile], upward)


def _stack_rings(
    rings: list[NDArray[np.float64]], heights: list[float], upward: list[float]
) -> _Surface:
    """A wall over closed rings (first point repeated at the end), smoothly lit, with flat caps.

    Args:
        rings: (N, 2) points of each.
        heights: of each.
        upward: of the normals of each before they are scaled to 1, beside the ring's own radius.
    """
    count = len(rings[0])
    vertices, normals, uv = [], [], []
    for ring, height, up in zip(rings, heights, upward, strict=True):
        vertices.append(np.column_stack([ring, np.full(count, height)]))
        outward = np.column_stack([ring, np.full(count, up)])
        normals.append(outward / np.linalg.norm(outward, axis=1, keepdims=True))
        uv.append(np.column_stack([np.linspace(0, 1, count), np.full(count, height + 0.5)]))
    base = np.arange(count - 1)
    faces = [
        _quads(np.stack([base, base + 1, base + 1 + count, base + count], axis=1) + level * count)
        for level in range(len(rings) - 1)
    ]
    side = [np.full(count * len(rings), SIDE)]
    offset = count * len(rings)
    for ring, height, up in ((rings[-1], heights[-1], 1.0), (rings[0], heights[0], -1.0)):
        vertices.append(np.column_stack([ring, np.full(count, height)]))
        normals.append(np.tile([0.0, 0.0, up], (count, 1)))
        uv.append(ring + 0.5)
        side.append(np.full(count, TOP))
        fan = np.stack([np.zeros(count - 2, int), base[:-1] + 1, base[:-1] + 2], axis=1)
        faces.append((fan if up > 0 else fan[:, ::-1]) + offset)
        offset += count
    return _Surface(
        np.concatenate(vertices),
        np.concatenate(normals),
        np.concatenate(uv),
        np.concatenate(side),
        np.concatenate(faces).astype(np.int32),
    )


def _quads(corners: NDArray[np.integer]) -> NDArray[np.int32]:
    """Two triangles for each row of four corners (Q, 4)."""
    quads = np.atleast_2d(corners)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


_UNIT_SURFACES = {
    Shape.BOX: _box_surface(),
    Shape.CYLINDER: _cylinder_surface(),
    Shape.PILLOW: _pillow_surface(),
    Shape.ELLIPSOID: _round_surface(ELLIPSOID_PROFILE, [z for _, z in ELLIPSOID_PROFILE]),
    Shape.CONE: _round_surface(CONE_PROFILE, [0.375 * radius for radius, _ in CONE_PROFILE]),
}
