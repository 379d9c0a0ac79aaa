"""Places everything in a hall by seed: shelves, buffers, transporters, pallets, then extras.

Every object keeps a clearance to all others; a lane along the south wall stays free for the
camera. Nothing is rendered here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.sim.config import LABEL_ID_RANGES, WarehouseConfig
from smolrgpt_core.sim.extras import place_extras
from smolrgpt_core.sim.footprints import Area, Footprint, is_free
from smolrgpt_core.sim.hall import Hall, draw_hall
from smolrgpt_core.sim.objects import SceneObject
from smolrgpt_core.sim.pallets import (
    LOAD_KINDS,
    PALLET_MODELS,
    STACKABLE_LOADS,
    PalletModel,
    load_parts,
    pallet_base,
)
from smolrgpt_core.sim.racks import BAY_DEPTH_M, BAY_WIDTH_M, rack_bay, rack_levels
from smolrgpt_core.sim.transporters import (
    TRANSPORTER_COLORS,
    TRANSPORTER_MODELS,
    TransporterKind,
    transporter_parts,
)

LANE_WIDTH_M = 2.6
"""Strip along the south wall that stays free for the camera."""
BAY_GAP_M = 0.02
CORNER_M = 2.0
"""Free length between rows of bays along two walls."""
WALL_GAP_M = 0.35
PALLET_CLEARANCE_M = 0.1
TRANSPORTER_CLEARANCE_M = 0.3
BUFFER_CLEARANCE_M = 0.7
EXTRA_MARGIN_M = 0.2
STACK_LIMIT_M = 0.95
"""Highest load that carries a second pallet."""
TRIES = 80


def lay_out_warehouse(seed: int, config: WarehouseConfig) -> tuple[Hall, list[SceneObject]]:
    """The hall and all objects of a scene.

    Raises:
        SpatialError: BAD_INPUT when there is no room for the smallest numbers of the configuration.
    """
    rng = np.random.default_rng([seed, 1])
    hall = draw_hall(config, rng)
    layout = _Layout(config, hall, rng)
    layout.place_shelves()
    layout.place_buffers()
    layout.place_transporters()
    layout.place_pallets()
    area = layout.staging(EXTRA_MARGIN_M)
    return hall, layout.objects + place_extras(seed, config, hall, area, layout.objects)


class _Layout:
    """The objects placed so far, and the floor that they take."""

    def __init__(self, config: WarehouseConfig, hall: Hall, rng: np.random.Generator) -> None:
        self.config = config
        self.hall = hall
        self.rng = rng
        self.objects: list[SceneObject] = []
        self.taken: list[Footprint] = []
        self.buffers: list[SceneObject] = []
        self.pallet_count = self._draw(config.pallets)
        ids = LABEL_ID_RANGES["pallet"][: self.pallet_count]
        self._free_pallet_ids = [int(id) for id in rng.permutation(ids)]

    # Shelves

    def place_shelves(self) -> None:
        """Bays along the north wall and, with more of them, along the east or west wall.

        Raises:
            SpatialError: BAD_INPUT; the hall has no room for the smallest number.
        """
        count = self._draw(self.config.shelves)
        spots = self._shelf_spots()
        if len(spots) < self.config.shelves[0]:
            raise _no_room("shelves", self.config.shelves[0], len(spots))
        count = min(count, len(spots))
        levels = rack_levels(self.hall.height_m, self.rng)
        for id, (x, y, yaw) in zip(LABEL_ID_RANGES["shelf"], spots[:count], strict=False):
            parts = tuple(rack_bay(levels, self.rng))
            self._add(SceneObject(id, "shelf", "pallet rack", (x, y, 0.0), yaw, parts))

    def _shelf_spots(self) -> list[tuple[float, float, float]]:
        """(x, y, yaw) of all places for bays, the most wanted first."""
        pitch = BAY_WIDTH_M + BAY_GAP_M
        north_y = self.hall.width_m / 2 - WALL_GAP_M - BAY_DEPTH_M / 2
        side_x = self.hall.length_m / 2 - WALL_GAP_M - BAY_DEPTH_M / 2
        room = self.hall.length_m - 2 * (BAY_DEPTH_M + CORNER_M)
        columns = int(room / pitch)
        north = [((index + 0.5) * pitch - columns * pitch / 2) for index in range(columns)]
        north.sort(key=abs)
        low, high = self._lane_end() + 0.8, north_y - BAY_DEPTH_M / 2 - CORNER_M
        rows = max(int((high - low) / pitch), 0)
        side = self.rng.choice([-1.0, 1.0])
        along = [high - (index + 0.5) * pitch for index in range(rows)]
        first = self.rng.integers(3, 7)
        spots = [(x, north_y, 0.0) for x in north]
        sides = [(side * side_x, y, -side * np.pi / 2) for y in along]
        return spots[:first] + sides + spots[first:]

    # Buffers

    def place_buffers(self) -> None:
        """The first two side by side in the middle of the hall, the others where there is room.

        Raises:
            SpatialError: BAD_INPUT; the hall has no room for the smallest number.
        """
        count = self._draw(self.config.buffers)
        for id in LABEL_ID_RANGES["buffer"][:count]:
            footprint = self._find_buffer(id)
            if footprint is None:
                break
            self.buffers.append(_buffer(id, footprint))
        if len(self.buffers) < self.config.buffers[0]:
            raise _no_room("buffers", self.config.buffers[0], len(self.buffers))
        self.objects += self.buffers

    def _find_buffer(self, id: int) -> Footprint | None:
        others = [buffer.footprint for buffer in self.buffers]
        low, high = self.config.buffer_side_m
        for attempt in range(TRIES):
            largest = max(low, high - (high - low) * attempt / TRIES)
            length, width = self.rng.uniform(low, largest, size=2)
            area = self.staging(0.3)
            y = self.rng.uniform(*area.y)
            x = self.rng.uniform(*area.x)
            if id <= 2:
                x = (-1 if id == 1 else 1) * (length / 2 + self.rng.uniform(0.4, 0.9))
                y = area.y[0] + width / 2 + self.rng.uniform(0.0, 2.5)
            candidate = Footprint(float(x), float(y), float(length), float(width))
            if area.contains(candidate) and is_free(candidate, others, BUFFER_CLEARANCE_M):
                return candidate
        return None

    # Transporters

    def place_transporters(self) -> None:
        """Vehicles on free floor or in a buffer, some loaded; the first two in the middle.

        Raises:
            SpatialError: BAD_INPUT; the hall has no room for the smallest number.
        """
        count = self._draw(self.config.transporters)
        loaded = self._which_are_loaded(count)
        for index, id in enumerate(LABEL_ID_RANGES["transporter"][:count]):
            kind = list(TransporterKind)[self.rng.integers(len(TransporterKind))]
            model = TRANSPORTER_MODELS[kind]
            spot = self._find_transporter_spot(model.size[0], model.size[1], central=index < 2)
            if spot is None:
                if index < self.config.transporters[0]:
                    raise _no_room("transporters", self.config.transporters[0], index)
                return
            color = TRANSPORTER_COLORS[self.rng.integers(len(TRANSPORTER_COLORS))]
            vehicle = SceneObject(
                id,
                "transporter",
                kind.value,
                (spot.x, spot.y, 0.0),
                spot.yaw_rad,
                tuple(transporter_parts(kind, color)),
            )
            self._add_transporter(vehicle, kind, bool(loaded[index]))

    def _which_are_loaded(self, count: int) -> np.ndarray:
        """(count,) bool; of two or more, both kinds occur if the probability allows it."""
        probability = self.config.transporter_fraction_loaded
        loaded = self.rng.random(count) < probability
        if count >= 2 and 0 < probability < 1:
            loaded[:2] = self.rng.permutation([False, True])
        return loaded

    def _find_transporter_spot(
        self, length: float, width: float, central: bool
    ) -> Footprint | None:
        """A free place, where cameras see it well if central."""
        area = self.staging(0.4)
        reach_x, reach_y = (0.45, 0.5) if central else (0.75, 1.0)
        for _ in range(TRIES):
            x = self.rng.uniform(*area.x) * reach_x
            y = area.y[0] + (area.y[1] - area.y[0]) * self.rng.uniform(0.0, reach_y)
            yaw = self.rng.integers(4) * np.pi / 2 + self.rng.normal(0, 0.25)
            spot = Footprint(float(x), float(y), length, width, float(yaw))
            if area.contains(spot) and is_free(spot, self.taken, TRANSPORTER_CLEARANCE_M):
                return spot
        return None

    def _add_transporter(self, vehicle: SceneObject, kind: TransporterKind, loaded: bool) -> None:
        if not loaded or not self._free_pallet_ids:
            self._add(vehicle)
            return
        model = PALLET_MODELS[self.rng.integers(len(PALLET_MODELS))]
        offset = vehicle.rotation @ np.asarray(TRANSPORTER_MODELS[kind].load_center)
        origin = np.asarray(vehicle.origin) + offset
        turned = float(self.rng.integers(2) * np.pi)
        load, yaw = self._draw_load(), vehicle.yaw + turned
        cargo = self._pallet(model, load, 1.3, origin, yaw, vehicle.id)
        self._add(replace(vehicle, cargo_id=cargo.id))
        self._add(cargo)

    # Pallets

    def place_pallets(self) -> None:
        """Pallets on the floor, by the configured probabilities, some with a second one on top.

        Raises:
            SpatialError: BAD_INPUT; the hall has no room for the smallest number.
        """
        while self._free_pallet_ids:
            model = PALLET_MODELS[self.rng.integers(len(PALLET_MODELS))]
            spot = self._find_pallet_spot(model)
            if spot is None:
                break
            self._add_pallet(model, spot)
        placed = self.pallet_count - len(self._free_pallet_ids)
        if placed < self.config.pallets[0]:
            raise _no_room("pallets", self.config.pallets[0], placed)

    def _add_pallet(self, model: PalletModel, spot: Footprint) -> None:
        """A pallet, by chance with a flat load that carries a second one."""
        origin = np.array([spot.x, spot.y, 0.0])
        stacks = self.rng.random() < self.config.pallet_fraction_stacked
        if not stacks or len(self._free_pallet_ids) < 2 or self._lowest_load_m > STACK_LIMIT_M:
            kind = self._draw_load()
            highest = self.config.load_height_m[1]
            self._add(self._pallet(model, kind, highest, origin, spot.yaw_rad, None))
            return
        kind = STACKABLE_LOADS[self.rng.integers(len(STACKABLE_LOADS))]
        lower = self._pallet(model, kind, STACK_LIMIT_M, origin, spot.yaw_rad, None)
        origin[2] = lower.size[2]
        yaw = spot.yaw_rad + float(self.rng.normal(0, 0.015))
        upper = self._pallet(model, self._draw_load(), 1.0, origin, yaw, lower.id)
        self._add(replace(lower, cargo_id=upper.id))
        self._add(upper)

    @property
    def _lowest_load_m(self) -> float:
        return self.config.load_height_m[0]

    def _draw_load(self) -> str:
        """Kind of a load, or "empty"."""
        if self.rng.random() < self.config.pallet_fraction_empty:
            return "empty"
        return LOAD_KINDS[self.rng.integers(len(LOAD_KINDS))]

    def _pallet(
        self,
        model: PalletModel,
        load: str,
        highest_load_m: float,
        origin: np.ndarray,
        yaw: float,
        carrier_id: int | None,
    ) -> SceneObject:
        """A pallet with a load of a kind, or "empty"; takes the next free id."""
        parts = pallet_base(model, f"wood{self.rng.integers(3)}")
        if load != "empty":
            highest = max(self._lowest_load_m, min(self.config.load_height_m[1], highest_load_m))
            height = float(self.rng.uniform(self._lowest_load_m, highest))
            parts += load_parts(load, model, height, self.rng)
        shade = float(self.rng.uniform(0.86, 1.0))
        return SceneObject(
            self._free_pallet_ids.pop(),
            "pallet",
            f"{model.name} {load}",
            (float(origin[0]), float(origin[1]), float(origin[2])),
            float(yaw),
            tuple(parts),
            tint=(shade, shade, shade),
            carrier_id=carrier_id,
        )

    def _find_pallet_spot(self, model: PalletModel) -> Footprint | None:
        """A free place of the kind that the probabilities of the configuration ask for."""
        draw = self.rng.random()
        in_buffer = self.config.pallet_fraction_in_buffer
        on_edge = self.config.pallet_fraction_on_edge
        area = self.staging(0.2)
        finders = [self._beside_buffers]
        if self.buffers and draw < in_buffer:
            finders.insert(0, self._inside_buffer)
        elif self.buffers and draw < in_buffer + on_edge:
            finders.insert(0, self._on_buffer_edge)
        for find in finders:
            for _ in range(TRIES):
                spot = find(model)
                if (
                    spot is not None
                    and area.contains(spot)
                    and is_free(spot, self.taken, PALLET_CLEARANCE_M)
                ):
                    return spot
        return None

    def _inside_buffer(self, model: PalletModel) -> Footprint | None:
        """Completely inside a buffer, nearly parallel to its sides."""
        buffer = self._any_buffer().footprint
        yaw = buffer.yaw_rad + self._tidy_yaw()
        local = self.rng.uniform(-0.5, 0.5, size=2) * (buffer.length, buffer.width)
        x, y = local @ buffer.axes + (buffer.x, buffer.y)
        spot = Footprint(float(x), float(y), model.length_m, model.width_m, yaw)
        return spot if buffer.contains(spot.grown(0.08)) else None

    def _on_buffer_edge(self, model: PalletModel) -> Footprint | None:
        """Across the edge of a buffer, but with its middle clearly on one side."""
        buffer = self._any_buffer().footprint
        spot = self._anywhere(model)
        margin = abs(buffer.signed_distance(spot.x, spot.y))
        return spot if 0.15 < margin < 0.4 else None

    def _beside_buffers(self, model: PalletModel) -> Footprint | None:
        """Outside all buffers."""
        spot = self._anywhere(model)
        buffers = [buffer.footprint for buffer in self.buffers]
        return spot if is_free(spot, buffers, 0.15) else None

    def _anywhere(self, model: PalletModel) -> Footprint:
        area = self.staging(0.2)
        x, y = self.rng.uniform(*area.x), self.rng.uniform(*area.y)
        yaw = self._tidy_yaw() + float(self.rng.normal(0, 0.1))
        return Footprint(float(x), float(y), model.length_m, model.width_m, yaw)

    def _any_buffer(self) -> SceneObject:
        return self.buffers[self.rng.integers(len(self.buffers))]

    def _tidy_yaw(self) -> float:
        return float(self.rng.integers(4) * np.pi / 2 + self.rng.normal(0, 0.04))

    # Common

    def _draw(self, bounds: tuple[int, int]) -> int:
        return int(self.rng.integers(bounds[0], bounds[1] + 1))

    def _lane_end(self) -> float:
        return -self.hall.width_m / 2 + 0.4 + LANE_WIDTH_M

    def staging(self, margin_m: float) -> Area:
        """The floor where everything but shelves and doors may be."""
        racks = WALL_GAP_M + BAY_DEPTH_M + 0.3 + margin_m
        x = self.hall.length_m / 2 - racks
        return Area((-x, x), (self._lane_end() + margin_m, self.hall.width_m / 2 - racks))

    def _add(self, item: SceneObject) -> None:
        self.objects.append(item)
        if item.carrier_id not in LABEL_ID_RANGES["pallet"]:
            self.taken.append(item.footprint)


def _buffer(id: int, footprint: Footprint) -> SceneObject:
    return SceneObject(
        id,
        "buffer",
        "painted",
        (footprint.x, footprint.y, 0.0),
        footprint.yaw_rad,
        paint_size=(footprint.length, footprint.width),
    )


def _no_room(name: str, wanted: int, found: int) -> SpatialError:
    return bad_input(
        f"the hall has room for {found} {name}, but WarehouseConfig.{name} requires at least "
        f"{wanted}; enlarge the hall or lower the number",
    )
