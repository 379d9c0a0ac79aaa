"""Awkward rows and files: named and counted, never dropped in silence."""

from __future__ import annotations

import base64
import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.public_benchmarks.predictions import read_predictions
from smolrgpt_core.public_benchmarks.published_files import MAX_LITERAL_LENGTH, literal
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS


def encoded_image(seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def write_tsv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return path


def mmbench_row(**changes: Any) -> dict[str, Any]:
    image = base64.b64encode(encoded_image()).decode()
    return {
        "index": 7, "question": "What?", "hint": "nan", "A": "a", "B": "b", "C": "nan", "D": "",
        "answer": "A", "category": "x", "image": image, "l2-category": "logic_reasoning", **changes,
    }  # fmt: skip


def test_nan_options_and_hints_are_none(tmp_path: Path) -> None:
    data = BENCHMARKS["mmbench"].read(write_tsv(tmp_path / "MMBench.tsv", [mmbench_row()]))
    record = data.records[0]
    assert record.options == ("a", "b")
    assert "nan" not in record.prompt
    assert "Hint" not in record.prompt
    assert record.image is not None
    assert record.image.rgb().shape == (12, 16, 3)


def test_rows_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    rows = [
        mmbench_row(),
        mmbench_row(index=8, answer="C"),
        mmbench_row(index=9, C="nan", D="d"),
        mmbench_row(),
        mmbench_row(index=10, question=""),
    ]
    data = BENCHMARKS["mmbench"].read(write_tsv(tmp_path / "MMBench.tsv", rows))
    assert [record.id for record in data.records] == ["7"]
    assert [row.place for row in data.rejected] == [f"MMBench.tsv row {i}" for i in (1, 2, 3, 4)]
    assert [reason in row.reason for row, reason in zip(
        data.rejected, ("letter of one of 2", "no gap", "occurs twice", "'question'"), strict=True
    )] == [True] * 4  # fmt: skip


def test_a_short_image_is_the_index_of_another_row(tmp_path: Path) -> None:
    rows = [mmbench_row(), mmbench_row(index=1_000_007, A="b", B="a", answer="B", image="7")]
    first, second = BENCHMARKS["mmbench"].read(write_tsv(tmp_path / "MMBench.tsv", rows)).records
    assert first.image is not None
    assert second.image is not None
    assert (first.image.rgb() == second.image.rgb()).all()
    assert (first.group, second.group) == ("7", "7")


def test_a_mirrored_image_is_not_mirrored_again(folder: Path) -> None:
    records = {r.id: r for r in BENCHMARKS["3dsrbench"].read(folder / "3dsrbench").records}
    plain, mirrored = records["TOYAAAA6"], records["TOYAAAA6-flip"]
    assert plain.image is not None
    assert mirrored.image is not None
    assert not (plain.image.rgb() == mirrored.image.rgb()).all()
    assert (plain.image.rgb()[:, ::-1] == mirrored.image.rgb()).all()
    assert (plain.group, mirrored.group) == ("TOYAAAA6", "TOYAAAA6-flip")
    assert records["TOYAAAA6-flip-1"].group == mirrored.group


def test_a_row_with_only_the_address_of_its_image_says_so(tmp_path: Path) -> None:
    row = {
        "index": 0, "qid": "AB12CD34-flip", "question": "Which?", "A": "x", "B": "y", "C": "",
        "D": "", "answer": "B", "category": "height_higher", "image": "",
        "image_url": "http://images.example/1.jpg",
    }  # fmt: skip
    data = BENCHMARKS["3dsrbench"].read(write_tsv(tmp_path / "3dsrbench_v1.tsv", [row]))
    assert data.records[0].image is None
    assert "not mirrored there" in data.records[0].problems[0]


def test_a_row_without_a_image_is_scored(folder: Path) -> None:
    records = BENCHMARKS["q-spatial"].read(folder / "q_spatial").records
    missing = [record.id for record in records if "no image" in record.problems]
    assert missing == [f"QSpatial_scannet/{i}" for i in range(10)]


def spatialrgpt_row(folder: Path, **changes: Any) -> dict[str, Any]:
    rows = json.loads((folder / "spatialrgpt_bench/SpatialRGPT-Bench_v1.json").read_text())
    return rows[0] | changes


def test_a_mask_that_does_not_decode_is_replaced_by_its_clamped_box(
    tmp_path: Path, folder: Path
) -> None:
    row = spatialrgpt_row(folder)
    row["rle"][1]["counts"] = "\x7f not a mask"
    row["bbox"][1] = [60, 10, 500, 34]
    path = tmp_path / "SpatialRGPT-Bench_v1.json"
    path.write_text(json.dumps([row]))
    record = BENCHMARKS["spatialrgpt"].read(path).records[0]
    assert any(problem.startswith("mask 1 does not decode") for problem in record.problems)
    box = record.regions[1].box
    assert (box.x, box.y, box.width, box.height) == (60, 10, 96 - 60, 34 - 10)
    assert record.prompt.count("<mask> <depth>") == 2
    assert record.prompt.startswith("<image>\n ")


def test_both_forms_of_spatialrgpt_bench_are_the_same(folder: Path) -> None:
    forms = [
        BENCHMARKS["spatialrgpt"].read(folder / "spatialrgpt_bench" / name).records
        for name in ("SpatialRGPT-Bench_v1.json", "val-00000-of-00001.parquet")
    ]
    for first, second in zip(*forms, strict=True):
        assert (first.id, first.prompt, first.truth, first.category) == (
            second.id, second.prompt, second.truth, second.category,
        )  # fmt: skip
        assert (first.image.rgb() == second.image.rgb()).all()
        assert [r.box for r in first.regions] == [r.box for r in second.regions]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * (MAX_LITERAL_LENGTH + 1), "at most"),
        ("__import__('os').system('true')", "expected a Python literal"),
        ("[" * 5000, "expected a Python literal"),
        ("[1, 2", "expected a Python literal"),
    ],
)
def test_literals_of_files_are_not_trusted(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        literal(text)


def test_a_image_outside_of_the_folder_is_not_opened(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "secret.png").write_bytes(encoded_image())
    row = spatialrgpt_row(folder, file_path="../secret.png")
    path = tmp_path / "data" / "SpatialRGPT-Bench_v1.json"
    path.parent.mkdir()
    path.write_text(json.dumps([row]))
    record = BENCHMARKS["spatialrgpt"].read(path).records[0]
    assert record.image is None
    assert "outside of the folder" in record.problems[0]


def test_masks_of_robospatial_home(tmp_path: Path, folder: Path) -> None:
    """Without a mask that decodes a context question is scored, and named."""
    path = folder / "robospatial_home" / "context-00000-of-00001.parquet"
    rows = parquet.read_table(path).to_pylist()[:2]
    rows[1]["mask"] = {"bytes": b"no image", "path": "mask.png"}
    table = pyarrow.Table.from_pylist(rows)
    parquet.write_table(table, tmp_path / "context-00000-of-00001.parquet")
    good, bad = BENCHMARKS["robospatial-home"].read(tmp_path).records
    assert good.problems == ()
    assert good.mask is not None
    assert good.mask.plane().shape == (80, 100)
    assert good.depth is not None
    assert good.depth.plane().dtype == np.uint16
    assert bad.problems == ("no mask that decodes",)


def test_the_stray_quote_of_embspatial_is_named(folder: Path) -> None:
    records = BENCHMARKS["embspatial"].read(folder / "embspatial_bench").records
    assert [r.id for r in records if "stray quote" in "".join(r.problems)] == ["ai2thor_1"]
    assert records[0].image is not None
    assert records[0].image.rgb().shape == (48, 64, 3)


LETTER = "Answer with the option's letter from the given choices directly."


@pytest.mark.parametrize(
    ("name", "data", "prompt"),
    [
        (
            "cv-bench",
            "cv_bench/test.jsonl",
            f"How many red squares are drawn? Pick one:\n(A) 3\n(B) 2\n(C) 1\n(D) 0\n{LETTER}",
        ),
        (
            "embspatial",
            "embspatial_bench",
            "Say how the box and the ball lie to each other.\nA. The box lies over the ball.\n"
            "B. The box hides the ball.\nC. The box lies under the ball.\nD. The box touches the "
            "ball.",
        ),
        (
            "mmbench",
            "general_vqa/mmbench_dev_toy.tsv",
            "Question: What colour is the ball?\nOptions:\nA. green\nB. red\nC. blue\nD. grey\n"
            "Please select the correct answer from the options above. \n",
        ),
        (
            "pope",
            "general_vqa/pope.jsonl",
            "Is there a car in the picture?\nAnswer the question using a single word or phrase.",
        ),
        (
            "seed-bench",
            "general_vqa/seedbench.jsonl",
            f"What is shown?\nA. a road\nB. a sea\nC. a roof\nD. a hall\n{LETTER}",
        ),
        (
            "robospatial-home",
            "robospatial_home",
            "Is the crate left of the ball? Reply yes or no.",
        ),
    ],
)
def test_prompts(name: str, data: str, prompt: str, folder: Path) -> None:
    assert BENCHMARKS[name].read(folder / data).records[0].prompt == prompt


def test_files_in_several_parts(tmp_path: Path) -> None:
    """Questions without an id are named by their place in all parts together."""
    for part, question in enumerate(("Is it wet?\nA. Yes\nB. No", "How many?")):
        answer = "A" if part == 0 else "3"
        row = {
            "image": {"bytes": encoded_image(), "path": None},
            "question": question,
            "answer": answer,
        }
        table = pyarrow.Table.from_pylist([row])
        parquet.write_table(table, tmp_path / f"test-0000{part}-of-00002.parquet")
    data = BENCHMARKS["realworldqa"].read(tmp_path)
    assert [(r.id, r.options, r.truth) for r in data.records] == [
        ("0", ("Yes", "No"), "A"), ("1", (), "3"),
    ]  # fmt: skip


def test_numbers_of_pope_that_repeat_in_each_category(tmp_path: Path) -> None:
    path = tmp_path / "pope.jsonl"
    row = {"question_id": "1", "question": "Is there a cat?", "answer": "no", "image": ""}
    lines = [json.dumps(row | {"category": name}) for name in ("random", "popular")]
    path.write_text("\n".join(lines))
    data = BENCHMARKS["pope"].read(path)
    assert [record.id for record in data.records] == ["random/1", "popular/1"]
    assert "such as random/12" in data.notes[0]
    assert BENCHMARKS["pope"].question_id({"id": "random/1"}) == "random/1"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("MMBench.tsv", "index\tquestion\n1\tWhat?\n", "no row can be used"),
        (
            "dev-00000.parquet",
            "PAR1 and no more",
            "expected a whole parquet file; download it again",
        ),
        ("other.txt", "", r"a folder with MMBench.*\.tsv or .*; it has other\.txt"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: str, told: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SpatialError, match=told):
        BENCHMARKS["mmbench"].read(tmp_path)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpatialError, match="it has no files"):
        BENCHMARKS["mmbench"].read(tmp_path)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('{"idx": 1, "prediction": "A"}\n{"idx": 1, "prediction": "B"}', "occurs twice"),
        ('{"prediction": "A"}', r"names no question: expected idx, or id, got \['prediction'\]"),
        ('{"idx": 1, "text": "A"}', "expected one of"),
        ('{"idx": 1, ', "line 1: expected JSON"),
        ("[1]", "expected an object"),
    ],
)
def test_predictions_that_cannot_be_used(tmp_path: Path, lines: str, told: str) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_text(lines)
    with pytest.raises(SpatialError, match=told):
        read_predictions(path, BENCHMARKS["cv-bench"].question_id)
