"""Data sets as people write them: each oddity is read as it is meant, or named in the output."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from smolrgpt_core.cli.application import app
from smolrgpt_core.data.readers import DatasetConfig, open_dataset
from smolrgpt_core.data.readers.annotated import AnnotatedDataset
from smolrgpt_core.data.truths import true_answer
from smolrgpt_core.data.warehouse_format import HUMAN, MODEL, SplitFolder, WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.quality.check import check_dataset

FRAME = Path(__file__).resolve().parents[2] / "data" / "two_pallets"
CAMERA = {"width": 160, "height": 120, "fx": 100.0, "fy": 100.0, "cx": 79.5, "cy": 59.5,
          "depth_scale": 0.001}  # fmt: skip
LEFT = {"size": [120, 160], "counts": "b\\2d0T30000000000000000000000000000000000000^P>"}
RIGHT = {"size": [120, 160], "counts": "bS>d0T30000000000000000000000000000000000000^Y2"}
HOW_FAR = "How far is the pallet <mask> from the pallet <mask>?"
SENTENCE = "The pallet [Region 0] is 3.00 meters from the pallet [Region 1]."

THREE_METERS = pytest.approx(3.0, rel=0.05)
"""How exact geometry is about two flat pallets is not what is tested here."""

Write = Callable[..., Path]


def turn(speaker: str, text: str | None) -> dict[str, str | None]:
    return {"from": speaker, "value": text}


def entry(id: str = "q0", **fields: Any) -> dict[str, Any]:
    """A question about the distance of the two pallets, 3 m."""
    return {
        "id": id,
        "image": "a.png",
        "conversations": [turn("human", f"<image>\n{HOW_FAR}"), turn("gpt", SENTENCE)],
        "rle": [LEFT, RIGHT],
        "category": "distance",
        "normalized_answer": 3.0,
        "freeform_answer": SENTENCE,
    } | fields


def which_side(id: str, truth: Any) -> dict[str, Any]:
    text = "<image>\nIs the pallet <mask> left or right of the pallet <mask>?"
    return entry(id, conversations=[turn("human", text)], rle=[RIGHT, LEFT], category="left_right",
                 normalized_answer=truth, freeform_answer="")  # fmt: skip


def which_one(id: str, truth: Any) -> dict[str, Any]:
    text = "<image>\nWhich of the pallets <mask> <mask> is the leftmost?"
    return entry(id, conversations=[turn("human", text)], category="mcq",
                 normalized_answer=truth, freeform_answer="")  # fmt: skip


def how_many(id: str, truth: Any) -> dict[str, Any]:
    return entry(id, conversations=[turn("human", "<image>\nHow many pallets are there?")], rle=[],
                 category="count", normalized_answer=truth, freeform_answer="")  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a data set with one picture: write(entries of test.json, split=entries, ...)."""

    def _write(test: list[Any], **others: list[Any]) -> Path:
        root = tmp_path / "data"
        for split, entries in {"test": test, **others}.items():
            folder = SplitFolder(root, split)
            for path in (folder.image_path("a.png"), folder.depth_path("a.png")):
                path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(FRAME / "rgb.png", folder.image_path("a.png"))
            shutil.copy(FRAME / "depth.png", folder.depth_path("a.png"))
            folder.cameras_path.write_text(json.dumps({"a.png": CAMERA}))
            folder.records_path.write_text(json.dumps(entries))
        return root

    return _write


def evaluated(root: Path) -> tuple[Result, dict[str, Any], dict[str, Any]]:
    """What the command prints, predicts (distances as numbers) and measures, with geometry."""
    out = root.parent / "out"
    arguments = ["evaluate", "--data", str(root), "--answerer", "geometric", "--out", str(out),
                 "--json", str(out / "all.json")]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    predictions = json.loads((out / "predictions.json").read_text())
    answers = {item["id"]: item["normalized_answer"] for item in predictions}
    numbers = {id: float(answer) for id, answer in answers.items() if "." in answer}
    return result, answers | numbers, json.loads((out / "all.json").read_text())


LAYOUTS = {
    "first": [turn("human", f"<image>\n{HOW_FAR}")],
    "last": [turn("human", f"{HOW_FAR}\n<image>")],
    "in the middle": [turn("human", HOW_FAR.replace("from", "<image> from"))],
    "grown together": [turn("human", HOW_FAR.replace(" from ", "<image>from "))],
    "twice": [turn("human", f"<image>\n<image>\n{HOW_FAR}")],
    "without": [turn("human", HOW_FAR)],
    "alone in a turn": [turn("human", "<image>"), turn("human", HOW_FAR)],
    "behind a system turn": [turn("system", "You help."), turn("human", f"<image>\n{HOW_FAR}")],
    "other speakers": [turn("user", f"<image>\n{HOW_FAR}"), turn("assistant", SENTENCE)],
    "other masks": [turn("human", f"<image>\n{HOW_FAR.replace('<mask>', '<mask> <depth>')}")],
    "masks of the model": [turn("human", HOW_FAR.replace("<mask>", "<mask_rgb><mask_depth>"))],
    "an answer that is withheld": [turn("human", f"<image>\n{HOW_FAR}"), turn("gpt", None)],
    "several turns": [
        turn("human", f"<image>\n{HOW_FAR}"), turn("gpt", SENTENCE),
        turn("human", "And back?"), turn("gpt", "It is the same way back."),
    ],
}  # fmt: skip


@pytest.mark.parametrize("turns", LAYOUTS.values(), ids=LAYOUTS)
def test_every_reader_reads_every_layout_of_a_prompt(write: Write, turns: list[Any]) -> None:
    root = write([entry(conversations=turns)])
    _, answers, figures = evaluated(root)
    assert answers == {"q0": THREE_METERS}
    assert figures["answerers"]["geometric"]["scores"]["Total_correct"] == 1
    assert check_dataset(root).clean
    data = open_dataset(DatasetConfig("warehouse", root, split="test"))
    assert isinstance(data, AnnotatedDataset)
    sample = data[0]
    first, *_ = sample.conversations[0].turns
    assert (first.speaker, first.text) == (HUMAN, HOW_FAR)
    assert {item.speaker for item in sample.conversations[0].turns} <= {HUMAN, MODEL}


def test_masks_of_later_turns_are_not_those_of_the_question(write: Write) -> None:
    later = [turn("human", "Is the pallet <mask> left or right of the pallet <mask>?"),
             turn("gpt", "It is on the right side.")]  # fmt: skip
    turns = [*LAYOUTS["first"], turn("gpt", SENTENCE), *later]
    root = write([entry(conversations=turns, rle=[LEFT, RIGHT, RIGHT, LEFT])])
    assert evaluated(root)[1] == {"q0": THREE_METERS}


def test_a_truth_of_another_turn_is_not_taken_for_that_of_the_question(write: Write) -> None:
    turns = [*LAYOUTS["first"], turn("gpt", SENTENCE),
             turn("human", "And in truth?"), turn("gpt", "It is 4.00 meters away.")]  # fmt: skip
    result, _, figures = evaluated(write([entry(conversations=turns, normalized_answer="4.0")]))
    assert "several questions" in figures["unscored"]["q0"]
    assert "1 of 1 questions have no readable ground-truth answer" in result.stdout


def test_a_record_without_a_question_is_refused_and_named(write: Write) -> None:
    root = write([entry(conversations=[turn("gpt", SENTENCE)])])
    assert evaluated(root)[1] == {"q0": ""}
    assert [kind.value for kind in check_dataset(root).counts] == ["broken_record", "mask_count"]


BROKEN_MASKS = {
    "base64": "bWFza3M=",
    "path": "masks/a_0.png",
    "polygon": [20, 50, 40, 50, 40, 70],
    "polygons": [[20, 50, 40, 50, 40, 70]],
    "number": 7,
    "null": None,
    "boolean": True,
    "no counts": {"size": [120, 160]},
    "number as counts": {"size": [120, 160], "counts": 7},
    "base64 counts": {"size": [120, 160], "counts": "bWFza3M="},
    "number as size": {"size": 120, "counts": [0, 19200]},
    "size turned": {"size": [160, 120], "counts": [0, 19200]},
}


@pytest.mark.parametrize("mask", BROKEN_MASKS.values(), ids=BROKEN_MASKS)
def test_a_mask_that_is_none_refuses_its_question_only(write: Write, mask: Any) -> None:
    root = write([entry(), entry("q1", rle=[LEFT, mask])])
    result, answers, figures = evaluated(root)
    assert answers == {"q0": THREE_METERS, "q1": ""}
    assert figures["answerers"]["geometric"]["refusals"] == {"BAD_INPUT": 1}
    assert "record 'q1', mask 1: " in figures["answerers"]["geometric"]["broken"]["q1"]
    assert "'q1'" in result.stdout
    problems = check_dataset(root).counts
    assert len(problems) == 1
    assert {kind.value for kind in problems} <= {"mask_broken", "mask_size"}
    data = open_dataset(DatasetConfig("warehouse", root, split="test"))
    assert isinstance(data, AnnotatedDataset)
    assert len(data[0].masks(data[0].conversations[0])) == 2
    if not isinstance(mask, dict):
        with pytest.raises(SpatialError, match=r"record 1: a COCO mask must be"):
            data[1]


@pytest.mark.parametrize("masks", ["masks.npz", 7, None, LEFT], ids=["path", "number", "null", "1"])
def test_masks_that_are_no_list_refuse_their_question_only(write: Write, masks: Any) -> None:
    root = write([entry(), entry("q1", rle=masks)])
    result, answers, _ = evaluated(root)
    assert answers == {"q0": THREE_METERS, "q1": ""}
    assert "refused: 1 BAD_" in result.stdout
    assert check_dataset(root).counts


def test_a_mask_that_stands_without_a_list_is_one_mask(write: Write) -> None:
    turns = [turn("human", "<image>\nHow far is the pallet <mask> from the camera?")]
    fields = {"normalized_answer": "", "freeform_answer": ""}
    alone, listed = (
        evaluated(write([entry(conversations=turns, rle=rle, **fields)]))[1]
        for rle in (LEFT, [LEFT])
    )
    assert alone == listed != {"q0": ""}


READABLE = [
    (entry, truth, 3.0)
    for truth in (3, 3.0, "3", "3.0", " 3.00 ", "3.0 m", "3.0m", "3.0 meters", "3 m.", "300 cm",
                  "3000 mm", "three", "Three.", "three meters", "It is 3.0 m.")
] + [
    (which_side, truth, "right")
    for truth in ("right", "Right.", "RIGHT", "r", "R", "right side", "It is on the right.")
] + [
    (which_one, truth, 0)
    for truth in (0, 0.0, "0", "0.0", "zero", "[Region 0]", "Region [0]", "Region[0].", "region 0")
] + [
    (how_many, truth, 2) for truth in (2, 2.0, "2", "two", "2 pallets", "There are two pallets.")
]  # fmt: skip


@pytest.mark.parametrize(("ask", "truth", "value"), READABLE)
def test_truths_in_other_spellings_are_read(
    write: Write, ask: Callable[..., Any], truth: Any, value: Any
) -> None:
    assert true_answer(WarehouseRecord.from_json(ask("q0", normalized_answer=truth)
                       if ask is entry else ask("q0", truth))) == value  # fmt: skip


UNREADABLE: list[tuple[Callable[..., dict[str, Any]], Any]] = [
    *((entry, truth) for truth in ("-3.0", "far", "3,0 m", "3 kg", True, "NaN", "inf", [3, 4])),
    *((which_side, truth) for truth in ("up", "both", 1, False, "neither left nor right")),
    *((which_one, truth) for truth in ("-1", -1, "2", "1.5", "none", "Region [7]", "pallet_1")),
    *((how_many, truth) for truth in ("many", "2.7", 2.7, "2 m", -1, {"min": 2, "max": 3})),
    *((ask, truth) for ask in (entry, which_side, which_one, how_many)
      for truth in (None, "", float("nan"))),
]  # fmt: skip


def test_truths_that_cannot_be_read_are_counted_and_named(write: Write) -> None:
    """Beside two that can: those alone are scored, and no reader takes the others for a value."""
    broken = [
        (ask(f"u{place}", normalized_answer=truth) if ask is entry else ask(f"u{place}", truth))
        for place, (ask, truth) in enumerate(UNREADABLE)
    ]
    root = write([which_side("q0", "r"), *broken, which_one("q1", "Region [0]")])
    result, answers, figures = evaluated(root)
    assert len(answers) == len(broken) + 2
    assert "correct of 2, %" in " ".join(result.stdout.split())
    said = f"{len(broken)} of {len(broken) + 2} questions have no readable ground-truth answer"
    assert said in " ".join(result.stdout.split())
    assert (figures["questions"], figures["scored"]) == (len(broken) + 2, 2)
    assert list(figures["unscored"]) == [item["id"] for item in broken]
    assert figures["answerers"]["geometric"]["scores"]["Total_correct"] == 2
    page = (root.parent / "out" / "report.html").read_text()
    assert said in page
    given = [item for item in broken if item["normalized_answer"] not in (None, "")]
    unreadable = sum(item["normalized_answer"] == item["normalized_answer"] for item in given)
    found = {kind.value: number for kind, number in check_dataset(root).counts.items()}
    assert found["answer_unreadable"] == unreadable


def test_baselines_learn_from_what_can_be_read(write: Write) -> None:
    lessons = [entry(f"t{place}", normalized_answer=truth)
               for place, truth in enumerate(("3.0 m", "300 cm", "far", None))]  # fmt: skip
    result, _, figures = evaluated(write([entry(normalized_answer="3.0 m")], train=lessons))
    about = figures["answerers"]["most frequent answer"]["about"]
    assert "learned from 2 questions of train.json; 2 have no true answer" in about
    assert "'t2': expected non-negative meters, got 'far'" in about
    assert "'t2'" in result.stdout
    scores = figures["answerers"]["most frequent answer"]["scores"]
    assert scores["Quan_distance_acc"] == 100.0


def test_fields_of_another_type_cost_their_own_record_only(write: Write) -> None:
    odd = [entry("q1", category=3), entry("q2", freeform_answer=3.0), entry("q3", category=None)]
    _, answers, figures = evaluated(write([entry(), *odd]))
    assert [id for id, answer in answers.items() if answer == THREE_METERS] == [
        "q0", "q1", "q2", "q3",
    ]  # fmt: skip
    assert list(figures["unscored"]) == ["q1", "q3"]
    assert figures["scored"] == 2


def test_two_questions_with_one_id_are_refused(write: Write) -> None:
    result = CliRunner().invoke(app, ["evaluate", "--data", str(write([entry(), entry()]))])
    assert result.exit_code == 2
    assert "id 'q0' is used by several questions" in result.output


def test_the_public_test_split_is_clean(write: Write) -> None:
    """It has neither categories nor answers; an answer without category cannot be checked."""
    bare = {name: value for name, value in entry().items() if name in ("id", "image", "rle")}
    bare["conversations"] = LAYOUTS["first"]
    root = write([bare])
    result = CliRunner().invoke(app, ["data", "check", str(root)])
    assert (result.exit_code, "no problems" in result.stdout) == (0, True), result.output
    assert evaluated(root)[1] == {"q0": THREE_METERS}
    for fields in ({"normalized_answer": 3.0}, {"category": "riddle"}):
        found = check_dataset(write([bare | fields])).counts
        assert [kind.value for kind in found] == ["category"]


NOUNS = ["box", "cardboard box", "forklift", "object", "region", "wooden pallet", "traffic cone",
         "robot arm", "can", "Kiste", "glass", "person", "buffer", "big red box"]  # fmt: skip


@pytest.mark.parametrize("noun", NOUNS)
def test_geometry_is_asked_about_whatever_noun_stands_before_a_mask(
    write: Write, noun: str
) -> None:
    texts = {
        "far": f"How far is the {noun} <mask> from the drum <mask>?",
        "side": f"Is the {noun} <mask> left or right of the {noun} <mask>?",
        "near": f"Is the {noun} <mask> to the left of the pallet <mask>?",
    }
    fields = {"normalized_answer": "", "freeform_answer": "", "category": ""}
    entries = [
        entry(id, conversations=[turn("human", f"<image>\n{text}")], **fields)
        for id, text in texts.items()
    ]
    _, answers, figures = evaluated(write(entries))
    assert figures["answerers"]["geometric"]["refusals"] == {}
    assert (answers["side"], answers["near"]) == ("left", "left")
    # Of a zone the middle of what is seen of its floor counts, which hangs in the air here.
    assert noun == "buffer" or answers["far"] == THREE_METERS


@pytest.mark.parametrize(
    "text",
    [
        "How far is the box behind <mask> from the pallet <mask>?",
        "How far is the box <mask> touching the pallet <mask>?",
        "How far is the box <mask> from the one beside <mask>?",
    ],
)
def test_words_that_change_the_question_are_no_nouns(write: Write, text: str) -> None:
    fields = {"normalized_answer": "", "freeform_answer": ""}
    root = write([entry(conversations=[turn("human", text)], **fields)])
    _, answers, figures = evaluated(root)
    assert answers == {"q0": ""}
    assert figures["answerers"]["geometric"]["refusals"] == {"BAD_QUESTION": 1}
