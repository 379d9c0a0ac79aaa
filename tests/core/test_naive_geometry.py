"""The naive rows of docs/accuracy.md are computed by naive geometry, not by the fitted one."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion, ask

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "geometric_accuracy.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = spec_from_file_location("geometric_accuracy", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_naive_and_fitted_geometry_differ_as_the_visible_surface_from_the_object(
    benchmark, ray_caster, block
):
    """The mean of what is seen of a pallet is nearer to the camera than its middle."""
    scene = ray_caster((block(5, "pallet", 0.3, 4.0, yaw=0.4), block(6, "pallet", -1.5, 6.0)))
    frame = scene.render()
    asked = AskedQuestion("How far is pallet 5 from the camera?")
    naive = ask(frame, asked, GeometricAnswerer(cache=benchmark.NaiveGeometryCache())).value
    fitted = ask(frame, asked, GeometricAnswerer()).value
    assert naive is not None
    assert fitted is not None
    true = float(np.linalg.norm(scene.center(5)))
    mask = frame.regions.full_mask(5)
    camera = frame.intrinsics
    rows, columns = np.nonzero(mask)
    z = frame.depth[mask]
    points = np.stack(
        [(columns - camera.cx) / camera.fx * z, (rows - camera.cy) / camera.fy * z, z], axis=1
    )
    assert naive == pytest.approx(np.linalg.norm(points.mean(axis=0)), abs=0.01)
    assert fitted == pytest.approx(true, abs=0.05)
    assert fitted - naive > 0.15


def test_naive_zones_are_the_smallest_rectangle_around_what_is_seen(benchmark, ray_caster, block):
    zone = block(1, "buffer", 0.5, 6.0, yaw=0.3, length=2.0, width=1.5, top=0.0)
    frame = ray_caster((zone, block(5, "pallet", 0.6, 6.1))).render()
    asked = AskedQuestion("Is pallet 5 in buffer 1?")
    assert ask(frame, asked, GeometricAnswerer(cache=benchmark.NaiveGeometryCache())).truth is True
