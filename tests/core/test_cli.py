"""The `smolrgpt` command as a person or a script calls it."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.answerers.registry import ANSWERERS, DEFAULT_ANSWERER
from smolrgpt_core.cli.application import app, doctor_table
from smolrgpt_core.doctor import Check, CheckResult
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.extras import install_command
from smolrgpt_core.files import read_depth, read_rgb, write_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import SpatialQuestion
from smolrgpt_core.region_files import read_regions

FRAME = Path(__file__).parent.parent / "data" / "warehouse"
"""A frame of the simulated warehouse, 320 x 240: seed 4, no noise; see truth.json."""

TRUTH = json.loads((FRAME / "truth.json").read_text())


def options(**changes: object) -> list[str]:
    """Options of a good call of `ask`, some of them changed or, with None, left out."""
    values = {
        "rgb": FRAME / "rgb.jpg",
        "depth": FRAME / "depth.png",
        "regions": FRAME / "regions.json",
        "intrinsics": TRUTH["intrinsics"],
        **changes,
    }
    given = [(name, value) for name, value in values.items() if value is not None]
    return [text for name, value in given for text in (f"--{name.replace('_', '-')}", str(value))]


def ask(question: str, *flags: str, **changes: object) -> Any:
    return CliRunner().invoke(app, ["ask", question, *options(**changes), *flags])


def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Call the installed command."""
    command = shutil.which("smolrgpt", path=str(Path(sys.executable).parent))
    assert command is not None
    return subprocess.run(
        [command, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
        env={**os.environ, "COLUMNS": "100", **environment},
    )


class TestAsk:
    def test_answer_of_the_installed_command(self, tmp_path: Path) -> None:
        image = tmp_path / "new" / "answer.png"
        asked = TRUTH["distance"]
        done = run("ask", asked["question"], *options(), "--annotated", image)
        assert done.returncode == 0, done.stderr
        meters = re.search(r"(\d+\.\d+) m", done.stdout)
        assert meters is not None
        value = float(meters[1])
        assert value == pytest.approx(asked["value"], rel=0.1)
        assert done.stderr == ""
        height, width = read_rgb(FRAME / "rgb.jpg").shape[:2]
        assert read_rgb(image).shape[1] == width
        assert read_rgb(image).shape[0] > height

    @pytest.mark.parametrize("name", ["distance", "count", "left_right", "mcq"])
    def test_json_has_the_whole_answer(self, name: str) -> None:
        asked = TRUTH[name]
        result = ask(asked["question"], "--json")
        assert result.exit_code == 0, result.output
        answer = json.loads(result.stdout)
        assert (answer["status"], answer["category"]) == ("OK", name.upper())
        assert answer["text"]
        for field, truth in asked.items():
            if field == "value":
                assert answer[field] == pytest.approx(truth, rel=0.1)
            elif field != "question":
                assert answer[field] == truth
        assert len(answer["centers"]) == len(answer["valid_depth"]) == len(answer["region_ids"])
        assert answer["latency_s"]["answer"] > 0

    def test_colors_need_the_image(self) -> None:
        answer = json.loads(ask("What color is transporter 60?", "--json").stdout)
        assert (answer["status"], answer["relation"]) == ("OK", "orange")
        assert answer["confidence"] > 0.8
        unsure = json.loads(ask("What color is transporter 61?", "--json").stdout)
        assert (unsure["status"], unsure["relation"]) == ("OK", "orange")
        assert "from the model only" in unsure["message"]
        assert "% black" in unsure["message"]
        refused = json.loads(
            ask("What color is transporter 60?", "--json", "--answerer", "geometric").stdout
        )
        assert refused["status"] == "BAD_QUESTION"
        assert "answerer fused" in refused["message"]

    def test_placeholders_and_categories(self) -> None:
        first, second = TRUTH["pair"]
        expected = json.loads(ask(TRUTH["distance"]["question"], "--json").stdout)["value"]
        masked = ask("How far is <mask> from <mask>?", "--json", region_ids=f"{first},{second}")
        typed = ask("", "--json", region_ids=f"{first},{second}", category="distance")
        for result in (masked, typed):
            answer = json.loads(result.stdout)
            assert answer["value"] == pytest.approx(expected)
            assert answer["region_ids"] == [first, second]

    def test_no_answer_says_why(self, tmp_path: Path) -> None:
        image = tmp_path / "refusal.png"
        done = ask("How far is pallet 999 from buffer 1?", annotated=image)
        assert done.exit_code == 3
        assert done.stdout == ""
        assert done.stderr.startswith("UNKNOWN_REGION: region 999 is not in this frame")
        assert image.exists()
        result = ask("How heavy is it?", "--json")
        assert result.exit_code == 3
        answer = json.loads(result.stdout)
        assert (answer["status"], answer["category"], answer["value"]) == (
            "BAD_QUESTION",
            None,
            None,
        )
        assert answer["message"]

    def test_instance_image_with_labels(self, tmp_path: Path) -> None:
        size = read_rgb(FRAME / "rgb.jpg").shape[:2]
        regions = read_regions(FRAME / "regions.json", size)
        write_image(tmp_path / "ids.png", regions.to_label_image().astype(np.uint16))
        asked = TRUTH["count"]
        labels = "1-9:buffer,10-59:pallet,60-79:transporter,80-99:shelf"
        result = ask(asked["question"], "--json", regions=tmp_path / "ids.png", labels=labels)
        assert json.loads(result.stdout)["value"] == asked["value"]
        unlabeled = ask(asked["question"], regions=tmp_path / "ids.png")
        assert unlabeled.exit_code == 3

    def test_depth_scale(self, tmp_path: Path) -> None:
        raw = cv2.imread(str(FRAME / "depth.png"), cv2.IMREAD_UNCHANGED)
        assert raw is not None
        expected = json.loads(ask(TRUTH["distance"]["question"], "--json").stdout)["value"]
        cv2.imwrite(str(tmp_path / "tenths.png"), raw // 10)
        wrong = ask(TRUTH["distance"]["question"], depth=tmp_path / "tenths.png", depth_scale=1)
        assert wrong.exit_code == 3
        assert "the depth unit is wrong" in wrong.stderr
        right = ask(
            TRUTH["distance"]["question"], "--json", depth=tmp_path / "tenths.png", depth_scale=0.01
        )
        assert json.loads(right.stdout)["value"] == pytest.approx(expected, rel=0.02)
        np.save(tmp_path / "meters.npy", raw.astype(np.float32) / 1000)
        meters = ask(TRUTH["distance"]["question"], "--json", depth=tmp_path / "meters.npy")
        assert json.loads(meters.stdout)["value"] == pytest.approx(expected, rel=1e-4)

    def test_broken_files_are_named(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"nonsense")
        for option in ("rgb", "depth", "regions"):
            result = ask("How many pallets do you see?", **{option: broken})
            assert result.exit_code == 3
            assert result.stderr.startswith(f"BAD_INPUT: {broken}: expected")

    def test_eight_bit_depth_is_refused(self, tmp_path: Path) -> None:
        size = read_rgb(FRAME / "rgb.jpg").shape[:2]
        write_image(tmp_path / "depth.png", np.full(size, 80, np.uint8))
        result = ask("How many pallets do you see?", depth=tmp_path / "depth.png")
        assert result.exit_code == 3
        assert "found uint8" in result.stderr
        assert "give the depth scale" in result.stderr

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"rgb": None}, "--rgb"),
            ({"rgb": "missing.png"}, "missing.png"),
            ({"intrinsics": "500,500,320"}, "four numbers fx,fy,cx,cy"),
            ({"intrinsics": "a,b,c,d"}, "four numbers fx,fy,cx,cy"),
            ({"intrinsics": ""}, "four numbers fx,fy,cx,cy"),
            ({"depth_scale": "0"}, "meters per unit"),
            ({"depth_scale": "nan"}, "meters per unit"),
            ({"depth_scale": "mm"}, "meters per unit"),
            ({"region_ids": "7;2"}, "such as 7,2"),
            ({"labels": "pallet"}, "10-59:pallet"),
            ({"category": "color"}, "distance, count, left_right, mcq"),
            ({"answerer": "oracle"}, DEFAULT_ANSWERER),
            ({"annotated": "image.xyz"}, "use .png or .jpg"),
            ({"annotated": "/dev/null/image.png"}, "cannot be written"),
        ],
    )
    def test_wrong_calls(self, changes: dict[str, object], expected: str) -> None:
        result = ask("How many pallets do you see?", **changes)
        assert result.exit_code == 2
        assert expected in " ".join(result.stderr.replace("│", " ").split())
        assert not isinstance(result.exception, ValueError)


@pytest.fixture(scope="module")
def demo_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "output"


@pytest.fixture(scope="module")
def demo_run(
    demo_output: Path, fork_python: Callable[..., Any]
) -> subprocess.CompletedProcess[str]:
    printed = demo_output.with_name("printed.txt")
    words = ["demo", "--seed", "0", "--questions", "8", "--output", str(demo_output)]
    command, folder = ["smolrgpt_core.cli", *words], demo_output.parent
    process = fork_python(command, printed, folder, {"COLUMNS": "100"})
    return subprocess.CompletedProcess(command, process.wait(380), printed.read_text())


class TestDemo:
    def test_answers_are_correct_and_written(
        self, demo_run: subprocess.CompletedProcess[str], demo_output: Path
    ) -> None:
        assert demo_run.returncode == 0, demo_run.stdout
        assert "8 of 8 answers correct" in demo_run.stdout
        names = {path.name for path in demo_output.iterdir()}
        pictures = {f"question_{number:02}.png" for number in range(1, 9)}
        assert names == {"report.html", "rgb.png", "depth.png", "regions.json", *pictures}
        assert (demo_output / "report.html").read_text().count("<article") == 8

    def test_the_command_that_it_shows_works(
        self, demo_run: subprocess.CompletedProcess[str], demo_output: Path
    ) -> None:
        program, *words = shlex.split(demo_run.stdout.strip().splitlines()[-1])
        assert program == "smolrgpt"
        again = CliRunner().invoke(app, words)
        assert again.exit_code == 0, again.output
        assert again.stdout.strip()

    def test_answers_that_are_missing_are_a_failure(
        self,
        demo_run: subprocess.CompletedProcess[str],
        demo_output: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        class Refuser(GeometricAnswerer):
            def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
                raise SpatialError(Status.CANNOT_TELL, "I never answer")

        monkeypatch.setitem(ANSWERERS, "refuser", Refuser)
        arguments = ["demo", "--answerer", "refuser", "--noise", "--output", str(tmp_path)]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert "CANNOT_TELL: I never answer" in result.stdout
        assert "0 of 12 answers correct" in result.stdout
        assert demo_run.returncode == 0
        clean, noisy = (read_depth(folder / "depth.png") for folder in (demo_output, tmp_path))
        assert np.isnan(noisy).mean() > np.isnan(clean).mean() + 0.005

    def test_without_mujoco_it_says_how_to_get_it(self, tmp_path: Path) -> None:
        (tmp_path / "mujoco.py").write_text("raise ModuleNotFoundError('x', name='mujoco')")
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        words = ("--answerer", "geometric", "--output", tmp_path / "output")
        done = run("demo", *words, PYTHONPATH=path)
        assert done.returncode == 1
        assert install_command("sim") in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "output").exists()


class TestDoctor:
    def test_report_of_this_machine(self) -> None:
        done = run("doctor", "--json")
        assert done.returncode == 0, done.stderr
        checks = {check["name"]: check for check in json.loads(done.stdout)}
        for name in ("python", "numpy", "cv2", "pycocotools", "mujoco", "rendering", "CPU"):
            assert checks[name]["verdict"] == "ok", checks[name]
        assert "64 x 48 pixels" in checks["rendering"]["found"]
        for check in checks.values():
            assert check["remedy"] or check["verdict"] == "ok"

    def test_table_shows_what_to_do(self) -> None:
        output = io.StringIO()
        console = Console(file=output, width=80)
        console.print(
            doctor_table(
                [
                    Check("core", "numpy", CheckResult.OK, "2.4.6"),
                    Check(
                        "core", "cv2", CheckResult.FAILED, "not installed [gone]", "pip install x"
                    ),
                    Check("ROS 2", "rclpy", CheckResult.OPTIONAL, "not found", "run make setup"),
                ]
            )
        )
        text = output.getvalue()
        for words in ("2.4.6", "not installed [gone]", "-> pip install x", "-> run make setup"):
            assert words in text
        assert [mark for mark in text if mark in "✓✗"] == ["✓", "✗"]


def test_up_decides_what_a_floor_is() -> None:
    question, flags = "How many pallets are in buffer 2?", ("--answerer", "geometric")
    assert ask(question, *flags, up="0,-0.861,-0.509").stdout == ask(question, *flags).stdout
    contradicted = ask(question, *flags, up="0,1,0")
    assert contradicted.exit_code == 3
    assert "too little of the floor" in contradicted.stderr


def test_a_height_of_the_camera_that_contradicts_depth_is_reported() -> None:
    question, flags = "How many pallets are in buffer 2?", ("--answerer", "geometric")
    assert "its mounting puts" not in ask(question, *flags).stderr
    told = ask(question, *flags, "--camera-height", "0.9")
    assert "its mounting puts 0.90 m above the floor" in told.stdout + told.stderr
    refused = ask(question, *flags, "--camera-height", "-1")
    assert refused.exit_code == 3
    assert "height of the camera above the floor must be positive" in refused.stderr


@pytest.mark.parametrize("up", ["0,0,0", "0,-1", "up", "nan,0,1"])
def test_up_that_is_no_direction_is_a_wrong_call(up: str) -> None:
    result = ask("How many pallets are in buffer 2?", up=up)
    assert result.exit_code == 2
    assert "--up" in result.stderr


def test_an_answer_says_that_it_rests_on_boxes(tmp_path: Path) -> None:
    regions = read_regions(FRAME / "regions.json", (240, 320))
    boxes = [
        {"id": r.id, "label": r.label, "box": [r.box.x, r.box.y, r.box.width, r.box.height]}
        for r in regions
    ]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"image_size": [240, 320], "regions": boxes}))
    flags = ("--answerer", "geometric", "--json")
    question = TRUTH["distance"]["question"]
    boxed, masked = (
        json.loads(ask(question, *flags, **changes).stdout) for changes in ({"regions": path}, {})
    )
    assert boxed["value"] == pytest.approx(TRUTH["distance"]["value"], rel=0.1)
    assert boxed["message"].count("from a box, not a mask") == 2
    assert masked["message"] == ""
    assert boxed["confidence"] < masked["confidence"]


def test_version() -> None:
    done = run("--version")
    assert re.fullmatch(r"smolrgpt \d+\.\d+\.\d+\n", done.stdout)


def test_help_lists_the_commands() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in ("ask", "demo", "doctor"):
        assert command in done.stdout


@pytest.mark.parametrize("name", ["ask", "evaluate", "replay"])
def test_help_of_a_choice_names_the_choices(name: str) -> None:
    commands = typer.main.get_command(app)
    assert isinstance(commands, typer.core.TyperGroup)
    helps = {option.name: getattr(option, "help", "") for option in commands.commands[name].params}
    assert "confident, model, geometry" in helps["prefer"]
    assert not any("join(" in text for text in helps.values())


def test_broken_installation_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ImportError('no such luck')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = run("doctor", PYTHONPATH=path)
    assert done.returncode == 1
    assert "smolrgpt cannot start" in done.stderr
    assert "pip install --force-reinstall rich" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["ask", "demo"])
def test_page_lists_every_option_with_its_default(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text()
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    rows = {
        row[0].split("`")[1].split()[0]: [cell.strip(" `") for cell in row]
        for row in (line.strip("| ").split("|") for line in section.splitlines())
        if row[0].startswith("`--")
    }
    commands = typer.main.get_command(app)
    assert isinstance(commands, typer.core.TyperGroup)
    command = commands.commands[name]
    options = {option.opts[0]: option for option in command.params if option.opts[0][0] == "-"}
    assert set(rows) == set(options)
    for text, option in options.items():
        default = "no" if option.default is False else str(option.default)
        assert name == "ask" or rows[text][1] == default


def commands_by_section() -> dict[str, list[Any]]:
    """The commands by their headings in the documentation."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return {
        name: list(command.commands.values())
        if isinstance(command, typer.core.TyperGroup)
        else [command]
        for name, command in group.commands.items()
    }


@pytest.mark.parametrize("name", commands_by_section())
def test_page_names_every_option_and_no_other(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text()
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    params = [option for command in commands_by_section()[name] for option in command.params]
    options = {text for option in params for text in option.opts if text.startswith("--")}
    assert not {option for option in options if option not in section}
    rows = re.findall(r"(?m)^\| `(--[a-z-]+)", section)
    assert set(rows) <= options
