"""What labels mean: names as detectors, simulators and data sets write them, and their refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import write_image
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.label_map import (
    LabelMap,
    described_changes,
    label_changes,
    unknown_labels,
)
from smolrgpt_core.language import read_question
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.truth import ObjectTruth, SceneTruth

FRAME = Path(__file__).parent.parent / "data" / "labels"
"""160 x 120, 3 m everywhere, focal length 100 px."""

SIZE = (120, 160)
BOXES = {1: [20, 50, 20, 20], 2: [120, 50, 20, 20], 3: [50, 90, 60, 30]}
"""Two pallets and a buffer."""

HOW_MANY = "How many pallets are visible?"


def ask(regions: Path, question: str = HOW_MANY, *flags: str) -> Any:
    files = ["--rgb", FRAME / "rgb.png", "--depth", FRAME / "depth.png", "--regions", regions]
    others = ["--intrinsics", "100,100,79.5,59.5", "--answerer", "geometric", "--json"]
    return CliRunner().invoke(app, ["ask", question, *map(str, files), *others, *flags])


def answer(result: Any) -> dict[str, Any]:
    return json.loads(result.stdout)


def region_file(folder: Path, *labels: str) -> Path:
    entries = [
        {"id": id, "label": label, "box": BOXES[id]} for id, label in enumerate(labels, start=1)
    ]
    path = folder / "regions.json"
    path.write_text(json.dumps({"image_size": SIZE, "regions": entries}))
    return path


def regions_with(*labels: str) -> RegionSet:
    made = (Region.from_box(i, label, Box(10 * i, 0, 5, 5)) for i, label in enumerate(labels))
    return RegionSet((100, 600), tuple(made))


def value(regions: RegionSet, question: str = HOW_MANY) -> Any:
    """The answer on a scene in which the regions stand side by side, 2 m apart."""
    program = read_question(question, regions).program
    assert program is not None
    rotation = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    objects = tuple(
        ObjectTruth(
            region.id, region.label, np.array([2.0 * place, 0.5, 8.0]), np.ones(3), rotation, 1.0,
            buffer_ids=(),
        )
        for place, region in enumerate(regions)
    )  # fmt: skip
    truth = SceneTruth(0, objects, up=np.array([0.0, -1.0, 0.0]), camera_height=1.0)
    intrinsics = CameraIntrinsics(600, 100, 100.0, 100.0, 299.5, 49.5)
    return evaluate(program, SceneCopies(TrueScene(truth, regions, intrinsics), copies=1)).value


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("pallet_01", "pallet"),
        ("Pallet-3", "pallet"),
        ("pallet.002", "pallet"),
        ("pallet #4", "pallet"),
        ("pallet no. 4", "pallet"),
        ("Pallet (2)", "pallet"),
        ("PALLET", "pallet"),
        ("Pallets", "pallet"),
        ("wooden_pallet", "pallet"),
        ("euro pallet", "pallet"),
        ("EuroPallet03", "pallet"),
        ("europallet", "pallet"),
        ("Europalette", "pallet"),
        ("Holzpaletten", "pallet"),
        ("Europalets_3", "pallet"),
        ("pallet_wood", "pallet"),
        ("pallet with boxes", "pallet"),
        ("SM_Pallet_A1", "pallet"),
        ("SM_PaletteA_01", "pallet"),
        ("/World/Warehouse/pallet_3", "pallet"),
        ("/World/pallet_a", "pallet"),
        ("/World/pallet_01/geometry/mesh_0", "pallet"),
        ("warehouse::pallet_3::link::visual", "pallet"),
        ("pallet,wood", "pallet"),
        ("Pallet, 0.93", "pallet"),
        ("EPAL", "pallet"),
        ("epal_2", "pallet"),
        ("AGVs", "agv"),
        ("Fork-Lift 3", "fork lift"),
        ("Rack-A12", "rack"),
        ("shelves", "shelf"),
        ("pallet_rack", "rack"),
        ("pallet jack", "transporter"),
        ("zone_2", "zone"),
        ("Buffer_03", "buffer"),
        ("crate_07", "crate"),
        ("unlabelled", ""),
    ],
)
def test_clear_labels_are_read_as_classes(label: str, expected: str) -> None:
    assert LabelMap().class_of(label) == expected


@pytest.mark.parametrize(
    "label",
    [
        *("0", "class_2", "object_7", "no_pallet", "non-pallet", "stack_of_pallets", "pallet load"),
        *("person_on_forklift", "/World/Pallets/SM_Crate_01", "box,pallet", "pallet and box"),
        *("4_pallets", "stacked pallets", "pallet front", "belt transporter", "server_rack"),
        *("safety_zone", "robot arm", "palletizer", "traffic_cone", "skid", "box_pallet", ""),
        "2 Paletten",
    ],
)
def test_other_labels_stay_as_they_are(label: str) -> None:
    assert LabelMap().class_of(label) == label.lower()


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("0", "pallet"),
        ("class_0", "pallet"),
        ("1", "buffer"),
        ("2", "2"),
        ("Crate", "skid"),
        ("crate_07", "skid"),
        ("/World/crate_7", "skid"),
        ("pallet_01", "pallet"),
        ("wall", "background"),
    ],
)
def test_entries_of_the_user_go_first(label: str, expected: str) -> None:
    label_map = LabelMap.parse("0:Pallets, 1:buffer,crate:skid,wall:background,")
    assert label_map.class_of(label) == expected
    assert LabelMap.parse(label_map.text) == label_map


@pytest.mark.parametrize("text", ["0", "0:", ":pallet", "0:1", "0:pallet,0:buffer", "pallet;0"])
def test_maps_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="label map"):
        LabelMap.parse(text)


def test_what_is_mapped_is_reported() -> None:
    given = regions_with("Pallet_01", "pallet_02", "0", "buffer", "wall")
    mapped = LabelMap.parse("0:buffer,wall:background").apply(given)
    assert [region.label for region in mapped] == ["pallet", "pallet", "buffer", "buffer"]
    changes = label_changes(mapped)
    assert described_changes(changes) == "Pallet_01, pallet_02 -> pallet; 0 -> buffer"
    assert unknown_labels(mapped) == []
    assert unknown_labels(given) == ["Pallet_01", "pallet_02", "0", "wall"]


class TestAbsence:
    @pytest.mark.parametrize(
        "labels",
        [("0", "0", "1"), ("crate", "buffer"), ("", "buffer"), ("no_pallet",), ("buffer", "2")],
    )
    def test_unknown_labels_are_not_none(self, labels: tuple[str, ...]) -> None:
        with pytest.raises(SpatialError, match="there is no pallet") as caught:
            value(LabelMap().apply(regions_with(*labels)))
        assert caught.value.status is Status.BAD_QUESTION
        assert "label_map" in caught.value.message
        for label in labels:
            assert label in caught.value.message

    @pytest.mark.parametrize("other", ["0", "object_7", "class_3"])
    def test_labels_that_say_nothing_may_be_one_more(self, other: str) -> None:
        given = LabelMap().apply(regions_with("pallet", other, "buffer"))
        for question in (
            HOW_MANY,
            "Which pallet is leftmost?",
            "How many pallets are in buffer 2?",
        ):
            with pytest.raises(SpatialError, match="may be more than pallet 0: ") as caught:
                value(given, question)
            assert f'"{other}"' in caught.value.message
        assert value(LabelMap.parse(f"{other}:crate").apply(given)) == 1
        assert value(LabelMap.parse(f"{other}:pallet").apply(given)) == 2

    def test_what_lies_on_a_transporter_must_be_known(self) -> None:
        question = "Is transporter 0 empty?"
        given = LabelMap().apply(regions_with("AGV", "agv", "3"))
        with pytest.raises(SpatialError, match=r'is loaded cannot be known: .*"3"'):
            value(given, question)
        assert value(LabelMap.parse("3:buffer").apply(given), question) is True

    def test_other_words_and_other_indices_are_other_classes(self) -> None:
        assert value(LabelMap().apply(regions_with("pallet", "crate", "pallet stack", ""))) == 1
        assert value(LabelMap.parse("0:pallet").apply(regions_with("0", "1", "2"))) == 1

    @pytest.mark.parametrize("labels", [(), ("buffer", "transporter"), ("zone", "Rack", "AGV_1")])
    def test_a_class_that_is_absent_is_counted_as_none(self, labels: tuple[str, ...]) -> None:
        assert value(LabelMap().apply(regions_with(*labels))) == 0

    def test_the_name_of_a_class_means_all_its_synonyms(self) -> None:
        given = LabelMap().apply(regions_with("pallet", "skid", "skid", "rack", "shelf", "crate"))
        assert value(given) == 3
        assert value(given, "How many skids are visible?") == 2
        assert value(given, "How many shelves are visible?") == 2
        assert value(given, "How many racks are visible?") == 1
        without = LabelMap().apply(regions_with("pallet", "shelf"))
        assert value(without, "How many racks are visible?") == 1

    def test_declared_classes_are_known(self) -> None:
        given = regions_with("crate_1", "buffer")
        assert value(LabelMap.parse("crate:crate").apply(given)) == 0
        assert value(LabelMap.parse("crate:pallet").apply(given)) == 1
        assert value(LabelMap().apply(given), "How many crates are visible?") == 1

    def test_none_beside_the_place(self) -> None:
        given = LabelMap().apply(regions_with("0", "buffer"))
        with pytest.raises(SpatialError, match='"0"'):
            value(given, "How many pallets are in buffer 1?")


def test_a_number_that_names_two_regions_is_refused() -> None:
    regions = LabelMap().apply(regions_with("buffer_9", "pallet_2", "pallet_1", "pallet_3"))
    with pytest.raises(SpatialError, match='say "region 1" or "region 2"') as caught:
        read_question("How far is pallet 1 from pallet 3?", regions)
    assert caught.value.status is Status.BAD_QUESTION
    assert read_question("How far is region 1 from pallet 3?", regions).region_ids == (1, 3)
    masked = read_question("How far is the pallet <mask> from <mask>?", regions, None, (1, 3))
    assert masked.region_ids == (1, 3)


def test_labels_that_count_as_one_class_are_reported(tmp_path: Path) -> None:
    mixed = answer(ask(region_file(tmp_path, "pallet", "skid", "buffer")))
    assert (mixed["value"], mixed["message"]) == (
        2, "pallet and skid are counted as one class, pallet",
    )  # fmt: skip
    alike = answer(ask(region_file(tmp_path, "pallet", "pallet", "buffer")))
    assert (alike["value"], alike["message"]) == (2, "")


@pytest.mark.parametrize(
    "label",
    [
        *("pallett", "pal let", "pallet stack", "\uff50allet", "palletizer", "2 Paletten"),
        *("wooden_plt", "PLT_03", "pllt", "pal"),
    ],
)
def test_labels_that_sound_like_a_counted_class_are_named(tmp_path: Path, label: str) -> None:
    found = answer(ask(region_file(tmp_path, "pallet", label, "buffer")))
    assert found["value"] == 1
    assert found["message"].startswith("not counted, as their labels name no class: ")
    assert label in found["message"]


@pytest.mark.parametrize(
    "label", ["crate", "not_a_pallet", "wall", "pallet rack", "plate", "plant", "box", "pole"]
)
def test_other_labels_are_not_named_beside_a_count(tmp_path: Path, label: str) -> None:
    found = answer(ask(region_file(tmp_path, "pallet", label, "buffer")))
    assert (found["value"], found["message"]) == (1, "")


class TestRegionFiles:
    @pytest.mark.parametrize(
        "labels",
        [
            ("pallet", "pallet", "buffer"),
            ("pallet_01", "pallet_02", "buffer_03"),
            ("wooden_pallet", "wooden_pallet", "buffer"),
            ("SM_PaletteA_01", "/World/Pallet_2", "buffer zone"),
        ],
    )
    def test_names_are_counted(self, tmp_path: Path, labels: tuple[str, ...]) -> None:
        result = ask(region_file(tmp_path, *labels))
        assert answer(result)["value"] == 2
        assert answer(ask(region_file(tmp_path, *labels), "How far is pallet 1 from pallet 2?"))[
            "value"
        ] == pytest.approx(3.0, rel=0.1)
        changed = [label for label in labels if label not in ("pallet", "buffer", "buffer zone")]
        assert all(label in result.stderr for label in changed)
        assert bool(result.stderr) == bool(changed)

    def test_class_indices(self, tmp_path: Path) -> None:
        path = region_file(tmp_path, "0", "0", "1")
        refused = ask(path)
        assert (refused.exit_code, answer(refused)["status"]) == (3, "BAD_QUESTION")
        assert '"0", "1"' in answer(refused)["message"]
        assert "regions are: region 1, region 2, region 3;" in answer(refused)["message"]
        distance = answer(ask(path, "How far is pallet 1 from pallet 2?"))
        assert distance["status"] == "UNKNOWN_REGION"
        assert "region 1 is a 0" in distance["message"]
        assert "--label-map" in distance["message"]
        mapped = ask(path, HOW_MANY, "--label-map", "0:pallet,1:buffer")
        assert answer(mapped)["value"] == 2
        assert "0 -> pallet; 1 -> buffer" in mapped.stderr
        wrong = ask(path, HOW_MANY, "--label-map", "0=pallet")
        assert wrong.exit_code == 2
        assert "--label-map" in wrong.stderr


class TestOtherForms:
    YOLO = "0 0.1875 0.5 0.125 0.1666667\n0 0.8125 0.5 0.125 0.1666667\n1 0.5 0.875 0.375 0.25\n"

    @pytest.mark.parametrize(
        "option", [("--label-map", "0:pallet,1:buffer"), ("--labels", "0:pallet,1:buffer")]
    )
    def test_yolo(self, tmp_path: Path, option: tuple[str, str]) -> None:
        path = tmp_path / "yolo.txt"
        path.write_text(self.YOLO)
        assert answer(ask(path))["status"] == "BAD_QUESTION"
        assert answer(ask(path, HOW_MANY, *option))["value"] == 2
        distance = answer(ask(path, "How far is pallet 1 from pallet 2?", *option))["value"]
        assert distance == pytest.approx(3.0, rel=0.1)

    def test_the_image_is_found_by_the_name_of_the_color_image(self, tmp_path: Path) -> None:
        images = [
            {"id": id, "file_name": name, "width": 160, "height": 120}
            for id, name in enumerate(("other.png", "rgb.png"))
        ]
        annotations = [
            {"id": id, "image_id": id > 1, "category_id": 3, "bbox": box}
            for id, box in BOXES.items()
        ]
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 3, "name": "Pallet"}],
        }
        path = tmp_path / "coco.json"
        path.write_text(json.dumps(content))
        assert answer(ask(path))["value"] == 2


class TestLabelsFileOfASimulator:
    @pytest.fixture
    def image_path(self, tmp_path: Path) -> Path:
        """Objects 2 and 3 are pallets, 4 is a buffer, 1 is the rest of a part of the picture."""
        image = np.zeros(SIZE, np.uint8)
        image[:40] = 1
        for id, (x, y, width, height) in BOXES.items():
            image[y : y + height, x : x + width] = id + 1
        write_image(tmp_path / "ids.png", image)
        return tmp_path / "ids.png"

    @pytest.mark.parametrize(
        "labels",
        [
            {"2": {"class": "pallet"}, "3": {"class": "pallet"}, "4": {"class": "buffer"}},
            {
                "0": {"class": "BACKGROUND"},
                "1": {"class": "UNLABELLED"},
                "2-3": {"class": "pallet", "material": "wood"},
                "4": {"class": "buffer"},
            },
            {
                "idToLabels": {
                    "2": "/World/pallet_a",
                    "3": "/World/crate_b",
                    "4": "/World/buffer_c",
                },
                "idToSemantics": {"2-3": {"class": "pallet"}, "4": {"class": "buffer"}},
            },
            {"2": {"class": "pallet,wood"}, "3": "Pallet_03", "4": "buffer"},
            {"1": "UNLABELLED", "2": "/World/pallet_a", "3": "/World/pallet_b", "4": "/W/buffer_c"},
        ],
    )
    def test_is_read(self, image_path: Path, labels: dict[str, Any]) -> None:
        image_path.with_suffix(".json").write_text(json.dumps(labels))
        assert answer(ask(image_path))["value"] == 2
        distance = answer(ask(image_path, "How far is pallet 2 from pallet 3?"))
        assert distance["value"] == pytest.approx(3.0, rel=0.1)
        if "1" in labels:
            assert answer(ask(image_path, "How many regions do you see?"))["value"] == 3

    def test_the_files_of_the_basic_writer(self, image_path: Path) -> None:
        image = image_path.rename(image_path.with_name("instance_segmentation_0007.png"))
        assert answer(ask(image))["status"] == "BAD_QUESTION"
        paths, classes = (
            image.with_name(f"instance_segmentation_{name}mapping_0007.json")
            for name in ("", "semantics_")
        )
        paths.write_text(json.dumps({"1-2": "/World/pallet_a", "3": "/W/box_1", "4": "/W/buffer"}))
        assert answer(ask(image))["value"] == 2
        classes.write_text(json.dumps({"1": {"class": "UNLABELLED"}, "2-4": {"class": "pallet"}}))
        assert answer(ask(image))["value"] == 3
        semantic = image.rename(image.with_name("semantic_segmentation_0007.png"))
        refused = answer(ask(semantic))
        assert refused["status"] == "BAD_INPUT"
        assert "use the instance segmentation" in refused["message"]

    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            ({"idToLabels": 3}, "idToLabels"),
            ({"1-2": None}, "must be text"),
            ({"1-2": 0}, "must be text"),
            ({"2": ["pallet"]}, "must be text"),
            ({"2": {"class": None}}, "must be text"),
            ({"2": {"material": "wood"}}, 'must have a "class"'),
            ({"(255, 0, 0, 255)": {"class": "pallet"}}, "must have the form"),
            ({"0": "pallet"}, "must have the form"),
        ],
    )
    def test_oddities_are_refused(
        self, image_path: Path, labels: dict[str, Any], expected: str
    ) -> None:
        image_path.with_suffix(".json").write_text(json.dumps(labels))
        found = answer(ask(image_path))
        assert found["status"] == "BAD_INPUT"
        assert expected in found["message"]
