"""The public benchmarks by name."""

from __future__ import annotations

from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.cv_bench import CVBench
from smolrgpt_core.public_benchmarks.embspatial import EmbSpatial
from smolrgpt_core.public_benchmarks.general import RealWorldQA, SeedBench
from smolrgpt_core.public_benchmarks.hispatial_tasks import HiSpatialTasks
from smolrgpt_core.public_benchmarks.mmbench import MMBench
from smolrgpt_core.public_benchmarks.pope import Pope
from smolrgpt_core.public_benchmarks.q_spatial import QSpatial
from smolrgpt_core.public_benchmarks.robospatial_home import RoboSpatialHome
from smolrgpt_core.public_benchmarks.spatialrgpt_bench import SpatialRGPTBench
from smolrgpt_core.public_benchmarks.threedsrbench import ThreeDSRBench
from smolrgpt_core.public_benchmarks.warehouse_qa import WarehouseQA

BENCHMARKS: dict[str, Benchmark] = {
    kind.name: kind()
    for kind in (
        SpatialRGPTBench,
        CVBench,
        QSpatial,
        EmbSpatial,
        RoboSpatialHome,
        ThreeDSRBench,
        RealWorldQA,
        Pope,
        MMBench,
        SeedBench,
        WarehouseQA,
        HiSpatialTasks,
    )
}
