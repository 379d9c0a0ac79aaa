"""Checks what is installed, what works, what is missing and how to install it.

Everything is actually tried in separate processes, so that a broken installation is reported
instead of crashing the doctor; for the same reason this module imports only the standard library
and modules that do the same. All packages are imported together, as most of them load others of
them, and one by one only when that fails, to find the broken one.
"""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from smolrgpt_core.extras import install_command

PACKAGES = {
    "": {
        "numpy": "numpy",
        "cv2": "opencv-python-headless",
        "PIL": "pillow",
        "jinja2": "jinja2",
        "pycocotools": "pycocotools",
        "rich": "rich",
        "typer": "typer",
    },
    "sim": {"mujoco": "mujoco"},
    "data": {
        "datasets": "datasets",
        "matplotlib": "matplotlib",
        "rosbags": "rosbags",
        "yaml": "pyyaml",
    },
    "model": {"safetensors": "safetensors", "torch": "torch", "transformers": "transformers"},
    "onnx": {"onnxruntime": "onnxruntime", "tokenizers": "tokenizers"},
    "page": {"nicegui": "nicegui"},
    "train": {"accelerate": "accelerate", "peft": "peft", "tensorboard": "tensorboard"},
}
"""Modules and their distributions for each extra of this package; "" = core."""

SMALLEST_SHARED_MEMORY = 64 * 2**20
"""Bytes of /dev/shm for three processes with the segments of config/fastdds.xml."""

CHECK_TIMEOUT_S = 60
"""Timeout of one check in seconds."""


class CheckResult(str, Enum):
    """Result of a check."""

    OK = "ok"
    OPTIONAL = "optional"
    """Missing, but optional."""
    WARNING = "warning"
    """Present, but it will cause problems."""
    FAILED = "failed"
    """Missing or broken, and required."""


@dataclass(frozen=True)
class Check:
    """One checked requirement.

    Attributes:
        group: heading in the report.
        name: of the requirement.
        verdict: result.
        found: what was found.
        remedy: how to fix it; empty if nothing is wrong.
    """

    group: str
    name: str
    verdict: CheckResult
    found: str
    remedy: str = ""


def examine() -> list[Check]:
    """Run all checks; takes some seconds."""
    versions = _versions_together(module for extra in PACKAGES.values() for module in extra)
    return [
        *_core(versions),
        *_packages("simulation", "sim", CheckResult.OPTIONAL, versions),
        *_rendering(),
        *_packages("data", "data", CheckResult.OPTIONAL, versions),
        *_packages("model", "model", CheckResult.OPTIONAL, versions),
        *_graphics_card(),
        *_packages("training", "train", CheckResult.OPTIONAL, versions),
        *_packages("onnx", "onnx", CheckResult.OPTIONAL, versions),
        *_packages("page", "page", CheckResult.OPTIONAL, versions),
        *_ros(),
        *_machine(),
    ]


def examine_core() -> list[Check]:
    """Run the checks for the offline core."""
    return _core(_versions_together(PACKAGES[""]))


def healthy(checks: list[Check]) -> bool:
    """Whether everything that the offline core needs works."""
    return all(check.verdict is not CheckResult.FAILED for check in checks)


def _core(versions: Mapping[str, str]) -> list[Check]:
    python = f"{platform.python_version()}, {sys.executable}"
    return [
        Check("core", "python", CheckResult.OK, python),
        *_packages("core", "", CheckResult.FAILED, versions),
    ]


def _packages(
    group: str, extra: str, if_missing: CheckResult, versions: Mapping[str, str]
) -> Iterator[Check]:
    """Checks of the packages of an extra; those without a version are tried one by one."""
    for module, distribution in PACKAGES[extra].items():
        if importlib.util.find_spec(module) is None:
            remedy = install_command(extra) if extra else f"pip install {distribution}"
            yield Check(group, module, if_missing, "not installed", remedy)
            continue
        works, output = (True, versions[module]) if module in versions else _import(module)
        if works:
            yield Check(group, module, CheckResult.OK, output or _version(distribution))
        else:
            broken = CheckResult.FAILED if not extra else CheckResult.WARNING
            remedy = f"pip install --force-reinstall {distribution}"
            yield Check(group, module, broken, f"cannot be imported: {output}", remedy)


_IMPORT_ALL = """
import importlib, json, sys
modules = {name: importlib.import_module(name) for name in sys.argv[1:]}
print(json.dumps({name: getattr(modules[name], "__version__", "") for name in modules}))
"""


def _versions_together(modules: Iterable[str]) -> dict[str, str]:
    """Versions of those modules that are installed, "" for one without; {} if any is broken."""
    present = [module for module in modules if importlib.util.find_spec(module)]
    command = [sys.executable, "-c", _IMPORT_ALL, *present]
    works, output = _try(command, CHECK_TIMEOUT_S * len(present))
    return dict(json.loads(output)) if works else {}


def _import(module: str) -> tuple[bool, str]:
    """Import one module; returns whether it works, and its version or what is wrong."""
    works, output = _try([sys.executable, "-c", _IMPORT_ALL, module])
    return works, str(json.loads(output)[module]) if works else output


def _rendering() -> Iterator[Check]:
    libraries = [name for name in ("OSMesa", "EGL") if ctypes.util.find_library(name)]
    found = f"MUJOCO_GL={os.environ.get('MUJOCO_GL', 'not set')}; libraries: "
    found += ", ".join(libraries) or "none"
    if importlib.util.find_spec("mujoco") is None:
        yield Check("simulation", "rendering", CheckResult.OPTIONAL, f"not tried; {found}")
        return
    works, output = _try_python(
        "import time; from smolrgpt_core.frame import CameraIntrinsics\n"
        "from smolrgpt_core.sim import WarehouseRenderer, build_scene\n"
        "scene = build_scene(0)\n"
        "intrinsics = CameraIntrinsics.from_vertical_fov(64, 48, 60)\n"
        "with WarehouseRenderer(scene, intrinsics) as renderer:\n"
        "    start = time.perf_counter()\n"
        "    renderer.render(scene.camera_poses(1)[0])\n"
        "print(f'64 x 48 pixels in {1000 * (time.perf_counter() - start):.0f} ms')\n"
    )
    remedy = "apt-get install libosmesa6, or set MUJOCO_GL=egl on a machine with a GPU"
    if works:
        yield Check("simulation", "rendering", CheckResult.OK, f"{output}; {found}")
    else:
        yield Check("simulation", "rendering", CheckResult.WARNING, f"{output}; {found}", remedy)


def _graphics_card() -> Iterator[Check]:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    works, output = _try(query) if shutil.which(query[0]) else (False, "no nvidia-smi")
    verdict = CheckResult.OK if works else CheckResult.OPTIONAL
    yield Check("model", "GPU", verdict, output, "" if works else "not needed; the CPU is used")
    if works and importlib.util.find_spec("torch") is not None:
        works, output = _try_python(
            "import torch; print(torch.version.cuda, torch.cuda.is_available())"
        )
        usable = works and output.endswith("True")
        remedy = "" if usable else "install a CUDA build of torch that matches the driver"
        verdict = CheckResult.OK if usable else CheckResult.WARNING
        yield Check("model", "torch with CUDA", verdict, output, remedy)


def _ros() -> Iterator[Check]:
    if importlib.util.find_spec("rclpy") is None:
        remedy = "source a ROS 2 installation (/opt/ros/DISTRIBUTION/setup.bash), or run make setup"
        yield Check("ROS 2", "rclpy", CheckResult.OPTIONAL, "not found", remedy)
        return
    works, output = _try_python(
        "import rclpy; print(rclpy.get_rmw_implementation_identifier(), rclpy.__file__)"
    )
    if not works:
        remedy = "source the setup.bash of only one ROS 2 installation, and use its Python version"
        yield Check("ROS 2", "rclpy", CheckResult.WARNING, f"cannot be imported: {output}", remedy)
        return
    rmw, _, path = output.partition(" ")
    distribution = os.environ.get("ROS_DISTRO", "wheels, ROS_DISTRO not set")
    yield Check("ROS 2", "rclpy", CheckResult.OK, f"{distribution}; {Path(path).parent}")
    yield Check("ROS 2", "middleware", CheckResult.OK, rmw)
    if "fastrtps" in rmw:
        yield _fast_dds_profile()
    yield _interfaces()


def _fast_dds_profile() -> Check:
    name = "FASTRTPS_DEFAULT_PROFILES_FILE"
    path = os.environ.get(name, "")
    if path and Path(path).is_file():
        return Check("ROS 2", "Fast DDS profile", CheckResult.OK, path)
    return Check(
        "ROS 2",
        "Fast DDS profile",
        CheckResult.WARNING,
        f"no such file: {path}" if path else "not set",
        f"with its default settings, Fast DDS loses images: set {name} to config/fastdds.xml",
    )


def _interfaces() -> Check:
    works, output = _try_python(
        "from smolrgpt_ros.srv import SpatialQuery\n"
        "type(SpatialQuery).__import_type_support__()\n"
        "import smolrgpt_ros.srv; print(list(smolrgpt_ros.srv.__path__)[0])"
    )
    if works:
        return Check("ROS 2", "smolrgpt_ros interfaces", CheckResult.OK, output)
    remedy = "run colcon build (or make setup), then source install/local_setup.bash"
    return Check("ROS 2", "smolrgpt_ros interfaces", CheckResult.WARNING, output, remedy)


def _machine() -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("machine", "CPU", CheckResult.OK, f"{cores} cores for this process")
    if "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        yield Check("machine", "memory", CheckResult.OK, f"{memory / 2**30:.1f} GiB")
    shared = Path("/dev/shm")
    if shared.is_dir():
        size = shutil.disk_usage(shared).total
        small = size < SMALLEST_SHARED_MEMORY
        yield Check(
            "machine",
            "shared memory",
            CheckResult.WARNING if small else CheckResult.OK,
            f"{size / 2**20:.0f} MiB in {shared}",
            "too small for ROS images: docker run --shm-size=512m" if small else "",
        )


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "installed, version unknown"


def _try_python(program: str) -> tuple[bool, str]:
    """Run a program in this Python; returns whether it worked, and its last line of output."""
    return _try([sys.executable, "-c", program])


def _try(command: list[str], timeout_s: int = CHECK_TIMEOUT_S) -> tuple[bool, str]:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode == 0, lines[-1] if lines else f"exit status {done.returncode}"
