"""A folder of small photographs with their depth, regions and calibrations."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from smolrgpt_core.annotation.run import AnnotationRun, in_this_process
from smolrgpt_core.annotation.settings import AnnotationSettings, Sources
from smolrgpt_core.data.warehouse_format import CameraRecord
from smolrgpt_core.files import write_depth, write_file, write_image
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.region_files.own_form import write_regions

CAMERA = CameraIntrinsics.from_vertical_fov(160, 120, 60.0)


@dataclass(frozen=True)
class Photographs:
    """The folder of the images, and those beside it.

    Attributes:
        root: of `images`, `depth`, `regions` and `cameras.json`.
    """

    root: Path

    @property
    def sources(self) -> Sources:
        return Sources(
            depth=self.root / "depth",
            regions=self.root / "regions",
            cameras=self.root / "cameras.json",
        )

    @property
    def settings(self) -> AnnotationSettings:
        return AnnotationSettings(self.root / "images", self.sources, seed=5, questions=10)

    def add(self, name: str, frame: RGBDFrame) -> None:
        write_image(self.root / "images" / f"{name}.png", frame.rgb)
        write_depth(self.root / "depth" / f"{name}.png", frame.depth)
        write_regions(self.root / "regions" / f"{name}.json", frame.regions)
        path = self.root / "cameras.json"
        cameras = json.loads(path.read_bytes()) if path.exists() else {}
        cameras[f"{name}.png"] = CameraRecord(frame.intrinsics).to_json()
        write_file(path, json.dumps(cameras).encode())


def colored(frame: RGBDFrame, seed: int) -> RGBDFrame:
    noise = np.random.default_rng(seed).integers(40, 200, frame.rgb.shape)
    return replace(frame, rgb=noise.astype(np.uint8))


@pytest.fixture(scope="session")
def scene_of(block, ray_caster):
    """A frame of 160x120 pixels of chairs, pallets and a table; `seed` moves the table."""

    def make(seed: int) -> RGBDFrame:
        chairs = [
            block(id=number, label="chair", x=-1.6 + 1.5 * number, y=4.0, length=0.6, width=0.6)
            for number in (1, 2)
        ]
        pallets = [
            block(id=10 + number, label="pallet", x=-2.4 + 1.7 * number, y=6.5 + number, top=0.7)
            for number in range(3)
        ]
        table = block(id=20, label="table", x=0.3 * seed - 2.0, y=3.2, length=0.9, top=0.75)
        caster = ray_caster((*chairs, *pallets, table), intrinsics=CAMERA, pitch_deg=14.0)
        return colored(caster.render(), seed)

    return make


@pytest.fixture
def photographs(scene_of, tmp_path: Path) -> Photographs:
    """Three usable photographs, and four that are skipped."""
    folder = Photographs(tmp_path / "in")
    for seed in range(3):
        folder.add(f"good_{seed}", scene_of(seed))
    frame = scene_of(0)
    folder.add("white", replace(frame, rgb=np.full_like(frame.rgb, 255)))
    depth = frame.depth.copy()
    depth[:70] = np.nan
    folder.add("holes", replace(frame, depth=depth))
    folder.add("no_depth", frame)
    (folder.root / "depth" / "no_depth.png").unlink()
    write_file(folder.root / "images" / "broken.png", b"no image")
    return folder


@pytest.fixture
def annotated(photographs: Photographs, tmp_path: Path) -> Path:
    """The data set that one process makes of them."""
    root = tmp_path / "one"
    make(photographs.settings, root)
    return root


def make(settings: AnnotationSettings, root: Path, how=in_this_process):
    run = AnnotationRun(settings, root)
    with run.locked():
        for _ in run.annotate(how):
            pass
        return run.finish()


@pytest.fixture(scope="session")
def make_data_set():
    return make


def files_in(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="session")
def tree():
    return files_in
