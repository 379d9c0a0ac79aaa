"""Readers of all layouts on small real files."""

from __future__ import annotations

import itertools
import json
import pickle
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.data.readers import (
    DatasetConfig,
    Order,
    Position,
    ReaderPart,
    SampleIterator,
    open_dataset,
)
from smolrgpt_core.data.readers.annotated import AnnotatedDataset
from smolrgpt_core.data.samples import Sample
from smolrgpt_core.data.shards import write_shards
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import read_rgb, write_image
from smolrgpt_core.language import MASK
from smolrgpt_core.regions import decode_rle, encode_rle


def read_all(dataset: Any, **order: Any) -> tuple[list[Sample], list[str]]:
    """Samples and errors of an iterator that goes on behind errors."""
    samples, errors = [], []
    iterator = SampleIterator(dataset, **order)
    while True:
        try:
            samples.append(next(iterator))
        except SpatialError as error:
            errors.append(error.message)
        except StopIteration:
            return samples, errors


def ids(dataset: Any, **order: Any) -> list[str]:
    samples, errors = read_all(dataset, **order)
    assert not errors
    return [sample.id for sample in samples]


def make_shards(root: Path, split: str, images: int) -> list[Path]:
    folder = SplitFolder(root, split)
    records = folder.read_records()
    content = [
        (name, camera, [record for record in records if record.image == name])
        for name, camera in folder.read_cameras().items()
    ]
    write_shards(folder, content, images)
    return sorted((root / "shards").glob(f"{split}-*.tar"))


def open_folder(config: DatasetConfig, group_by_image: bool = False) -> AnnotatedDataset:
    """A data set whose samples have numbers."""
    dataset = open_dataset(config, group_by_image)
    assert isinstance(dataset, AnnotatedDataset)
    return dataset


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """LLaVA-CC3M with two captions."""
    root = tmp_path / "cc3m"
    entries = []
    for number, question in enumerate(["Describe it.\n<image>", "<image>\nWhat is this?"]):
        name = f"GCC_train_{number:09}"
        write_image(root / "images" / f"{name}.jpg", np.full((8, 10, 3), 40 * number, np.uint8))
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "a cat ."}]
        entries.append({"id": name, "image": f"{name}.jpg", "conversations": turns})
    (root / "chat.json").write_text(json.dumps(entries))
    return root


@pytest.fixture
def open_spatial(tmp_path: Path) -> Path:
    """Open Spatial Dataset with one conversation of two questions."""
    root = tmp_path / "osd"
    masks = [np.eye(6, 9, k, dtype=bool) for k in range(3)]
    write_image(root / "images" / "da0f50.jpg", np.zeros((6, 9, 3), np.uint8))
    gray = np.arange(54, dtype=np.uint8).reshape(6, 9)
    write_image(root / "depths" / "da0f50.png", np.repeat(gray[..., None], 3, axis=2))
    entry = {
        "filename": "da0f50",
        "conversations": [
            {"from": "human", "value": "<image>\nIs <mask> <depth> wider than <mask> <depth>?"},
            {"from": "gpt", "value": "Region [0] is wider."},
            {"from": "human", "value": "How tall is <mask> <depth>?"},
            {"from": "gpt", "value": "Region [0] is 2 meters tall."},
        ],
        "rle": [encode_rle(masks[0]), encode_rle(masks[1]), encode_rle(masks[0])],
        "bbox": [[0, 0, 6, 6], [1, 0, 7, 6], [0, 0, 6, 6]],
    }
    (root / "result_10_depth_convs.json").write_text(json.dumps([entry]))
    return root


@pytest.fixture
def official(warehouse: Path) -> Path:
    """The warehouse in the authors' Parquet layout: same images, rows in two splits."""
    from pyarrow import Table, parquet

    (warehouse / "data").mkdir()
    for split in ("train", "val"):
        rows = [
            {
                "id_db": f"db-{number}",
                "id": record.id,
                "rgb_image": record.image,
                "depth_image": f"{Path(record.image).stem}_depth.png",
                "rle": [dict(rle) for rle in record.rle],
                "texts": {
                    "user": record.question.replace(MASK, "<mask_rgb><mask_depth>"),
                    "assistant": record.freeform_answer,
                },
                "category": record.category,
                "normalized_answer": record.normalized_answer,
                "dataset_name": warehouse.name,
            }
            for number, record in enumerate(SplitFolder(warehouse, split).read_records())
        ]
        path = warehouse / "data" / f"{split}-00000-of-00001.parquet"
        parquet.write_table(Table.from_pylist(rows), path)
    return warehouse


class TestWarehouse:
    def test_sample_holds_what_the_files_hold(self, warehouse: Path) -> None:
        folder = SplitFolder(warehouse, "train")
        records = folder.read_records()
        dataset = open_folder(DatasetConfig("warehouse", warehouse))
        assert len(dataset) == len(records)
        for index in (0, 2, len(records) - 1):
            sample, record = dataset[index], records[index]
            conversation = sample.conversations[0]
            assert sample.id == record.id
            assert conversation.category == record.category
            assert conversation.normalized_answer == record.normalized_answer
            assert conversation.turns[0].text == record.question
            assert conversation.turns[1].text == record.freeform_answer
            masks = sample.masks(conversation)
            assert all(
                (mask == decode_rle(rle)).all() for mask, rle in zip(masks, record.rle, strict=True)
            )
            assert (sample.image.read() == read_rgb(folder.image_path(record.image))).all()
            assert sample.depth is not None
            assert sample.depth.read().dtype == np.uint16
            assert 2 <= sample.depth.read_meters().min() <= sample.depth.read_meters().max() <= 9
            assert sample.camera == folder.read_cameras()[record.image]

    def test_questions_about_one_image_are_grouped(self, warehouse: Path) -> None:
        single = open_folder(DatasetConfig("warehouse", warehouse))
        grouped = open_folder(DatasetConfig("warehouse", warehouse), group_by_image=True)
        assert len(grouped) == 6
        seen = [
            conversation.id for sample in iter(grouped) for conversation in sample.conversations
        ]
        assert sorted(seen) == sorted(ids(single))
        sample = grouped[0]
        assert len(sample.rle) == 3, "masks that questions share are kept once"
        alone = {single[i].id: single[i] for i in range(len(single))}
        for conversation in sample.conversations:
            expected = alone[conversation.id]
            pairs = zip(
                sample.masks(conversation),
                expected.masks(expected.conversations[0]),
                strict=True,
            )
            assert all((mask == other).all() for mask, other in pairs)

    @pytest.mark.parametrize("grouped", [False, True])
    def test_the_first_images_bring_all_their_questions(
        self, warehouse: Path, grouped: bool
    ) -> None:
        whole = open_folder(DatasetConfig("warehouse", warehouse), group_by_image=True)
        expected = [c.id for sample in (whole[0], whole[1]) for c in sample.conversations]
        config = DatasetConfig("warehouse", warehouse, first_images=2)
        found = open_folder(config, grouped)
        assert len(found) == (2 if grouped else len(expected))
        samples = [found[index] for index in range(len(found))]
        assert sorted(c.id for sample in samples for c in sample.conversations) == sorted(expected)

    @pytest.mark.parametrize(("kind", "number"), [("warehouse", -1), ("shards", 5)])
    def test_first_images_that_there_are_not_are_refused(self, kind: str, number: int) -> None:
        with pytest.raises(SpatialError, match="first_images must be 0 or more"):
            DatasetConfig(kind, "folder", first_images=number)

    def test_scale_without_cameras_is_that_of_the_configuration(self, warehouse: Path) -> None:
        SplitFolder(warehouse, "train").cameras_path.unlink()
        config = DatasetConfig("warehouse", warehouse, depth_scale=0.005)
        sample = open_folder(config)[0]
        assert sample.camera is None
        assert sample.depth is not None
        assert sample.depth.read_meters().min() >= 10

    def test_images_are_read_on_demand(self, warehouse: Path) -> None:
        for path in (warehouse / "train").glob("*/*.png"):
            path.unlink()
        sample = open_folder(DatasetConfig("warehouse", warehouse))[0]
        with pytest.raises(SpatialError, match=r"train/images/000000_00\.png: cannot be opened"):
            sample.image.read()
        assert sample.depth is not None
        with pytest.raises(SpatialError, match=r"train/depths/000000_00_depth\.png"):
            sample.depth.read()

    def test_broken_samples_raise_one_by_one(self, warehouse: Path, edit_records: Any) -> None:
        def damage(entries: list[Any]) -> None:
            del entries[1]["image"]
            entries[3]["rle"].pop()
            entries[4]["rle"][0]["counts"] = "garbage !"
            entries[5]["image"] = "../../secret.png"

        edit_records(warehouse, "train", damage)
        samples, errors = read_all(open_dataset(DatasetConfig("warehouse", warehouse)))
        assert len(samples) == 24 - 3
        assert [number for number in (1, 3, 5) if f"train.json: record {number}: " in str(errors)]
        assert "`image` is missing" in errors[0]
        assert "has 3 <mask> but 2 masks" in errors[1]
        assert "plain file name" in errors[2]
        broken = next(s for s in samples if s.id == "train-0-1-left_right")
        with pytest.raises(SpatialError, match=r"000000_01\.png: mask 0 of sample"):
            broken.masks(broken.conversations[0])

    def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(
        self, warehouse: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = warehouse / "train.json"
        path.write_bytes(path.read_bytes()[:-400])
        dataset = open_folder(DatasetConfig("warehouse", warehouse))
        assert len(dataset) == 23
        assert str(path) in caplog.text
        assert len(ids(dataset)) == 23


class TestOtherLayouts:
    def test_captions(self, captions: Path) -> None:
        dataset = open_folder(DatasetConfig("llava", captions))
        texts = [[turn.text for turn in sample.conversations[0].turns] for sample in iter(dataset)]
        assert texts == [["Describe it.", "a cat ."], ["What is this?", "a cat ."]]
        assert dataset[0].depth is None
        assert dataset[1].image.read().shape == (8, 10, 3)

    @pytest.mark.parametrize("lines", [False, True])
    def test_open_spatial(self, open_spatial: Path, lines: bool) -> None:
        if lines:
            path = open_spatial / "result_10_depth_convs.json"
            path.write_text(json.dumps(json.loads(path.read_text())[0]) + "\n")
        sample = open_folder(DatasetConfig("open_spatial", open_spatial))[0]
        conversation = sample.conversations[0]
        assert sample.id == "da0f50"
        assert [turn.text for turn in conversation.turns][::2] == [
            "Is <mask> wider than <mask>?",
            "How tall is <mask>?",
        ]
        assert conversation.mask_indices == (0, 1, 0)
        assert (sample.masks(conversation)[1] == np.eye(6, 9, 1, dtype=bool)).all()
        assert sample.depth is not None
        assert sample.depth.read().tolist() == np.arange(54).reshape(6, 9).tolist()
        with pytest.raises(SpatialError, match="visualization"):
            sample.depth.read_meters()

    def test_official_parquet_gives_the_samples_of_the_public_files(
        self, official: Path, tmp_path: Path
    ) -> None:
        for split in ("train", "val"):
            public = open_folder(DatasetConfig("warehouse", official, split))
            config = DatasetConfig("official", official, split, index_folder=tmp_path / "cache")
            rows = open_folder(config)
            assert len(rows) == len(public)
            for index in range(len(rows)):
                row, expected = rows[index], public[index]
                assert row.conversations == expected.conversations
                masks = zip(
                    row.masks(row.conversations[0]),
                    expected.masks(expected.conversations[0]),
                    strict=True,
                )
                assert all((mask == other).all() for mask, other in masks)
                assert (row.image.read() == expected.image.read()).all()
                assert row.depth is not None
                assert expected.depth is not None
                assert (row.depth.read() == expected.depth.read()).all()
        config = DatasetConfig("official", official, index_folder=tmp_path / "cache")
        assert len(open_folder(config, group_by_image=True)) == 6

    @pytest.mark.parametrize(
        ("values", "texts"),
        [
            ([0, 3], ["0", "3"]),
            ([0.0, 2.5], ["0.0", "2.5"]),
            (["0", ""], ["0", ""]),
            ([None, 0], ["", "0"]),
            ([float("nan"), 0.0], ["", "0.0"]),
            ([False, True], ["False", "True"]),
        ],
        ids=str,
    )
    def test_answers_of_any_type_are_preserved(
        self, official: Path, tmp_path: Path, values: list[Any], texts: list[str]
    ) -> None:
        """A number for a name is one as well: an id of 0, an answer in words that is 0."""
        from pyarrow import Table, parquet

        rows = [
            {"id": place, "rgb_image": "000000_00.png", "category": "count",
             "texts": {"user": "How many pallets?", "assistant": place}, "normalized_answer": value}
            for place, value in enumerate(values)
        ]  # fmt: skip
        path = official / "data" / "train-00000-of-00001.parquet"
        parquet.write_table(Table.from_pylist(rows), path)
        config = DatasetConfig("official", official, index_folder=tmp_path / "cache")
        samples, errors = read_all(open_dataset(config))
        assert not errors
        assert [sample.id for sample in samples] == ["0", "1"]
        conversations = [sample.conversations[0] for sample in samples]
        assert [item.normalized_answer for item in conversations] == texts
        assert [item.turns[1].text for item in conversations] == ["0", "1"]

    @pytest.mark.parametrize("masks", ["masks.npz", [b"masks"], [7, 7], [[[1.0, 2.0]]]], ids=str)
    def test_masks_of_another_form_are_broken_samples(
        self, official: Path, tmp_path: Path, masks: Any
    ) -> None:
        from pyarrow import Table, parquet

        texts = {"user": "How far is <mask> from <mask>?", "assistant": "3.0"}
        row = {"id": "a", "rgb_image": "000000_00.png", "texts": texts, "rle": masks}
        path = official / "data" / "train-00000-of-00001.parquet"
        parquet.write_table(Table.from_pylist([row]), path)
        config = DatasetConfig("official", official, index_folder=tmp_path / "cache")
        _, (error,) = read_all(open_dataset(config))
        assert "record 0: a COCO mask must be" in error

    def test_a_broken_parquet_file_is_named(self, official: Path, tmp_path: Path) -> None:
        path = official / "data" / "train-00000-of-00001.parquet"
        path.write_bytes(path.read_bytes()[:-100])
        config = DatasetConfig("official", official, index_folder=tmp_path / "cache")
        with pytest.raises(
            SpatialError, match=r"train-00000-of-00001\.parquet: expected a Parquet"
        ):
            open_dataset(config)

    def test_a_missing_split_is_not_replaced_by_another(
        self, official: Path, tmp_path: Path
    ) -> None:
        config = DatasetConfig("official", official, "test", index_folder=tmp_path / "cache")
        with pytest.raises(SpatialError, match="split 'test', found train-00000"):
            open_dataset(config)


class TestShards:
    def test_shards_give_the_samples_of_the_folder(self, warehouse: Path) -> None:
        make_shards(warehouse, "train", 2)
        folder = open_dataset(DatasetConfig("warehouse", warehouse))
        shards = open_dataset(DatasetConfig("shards", warehouse))
        pairs = list(zip(SampleIterator(shards), SampleIterator(folder), strict=True))
        assert len(pairs) == 24
        for streamed, stored in pairs:
            assert streamed.conversations == stored.conversations
            assert streamed.camera == stored.camera
            assert (streamed.image.read() == stored.image.read()).all()
            assert streamed.depth is not None
            assert stored.depth is not None
            assert (streamed.depth.read_meters() == stored.depth.read_meters()).all()
        grouped = open_dataset(DatasetConfig("shards", warehouse), group_by_image=True)
        assert len(ids(grouped)) == 6

    def test_more_readers_than_shards_are_refused(self, warehouse: Path) -> None:
        make_shards(warehouse, "train", 3)
        dataset = open_dataset(DatasetConfig("shards", warehouse))
        with pytest.raises(SpatialError, match="2 shards are too few for 3 readers"):
            SampleIterator(dataset, part=ReaderPart(0, 3))

    def test_a_shard_that_is_cut_off_gives_what_it_has(self, warehouse: Path) -> None:
        first, *_ = make_shards(warehouse, "train", 3)
        with tarfile.open(first) as archive:
            cut = archive.getmembers()[5].offset_data + 10
        first.write_bytes(first.read_bytes()[:cut])
        samples, errors = read_all(open_dataset(DatasetConfig("shards", warehouse)))
        assert len(errors) == 1
        assert "train-000000.tar: the shard cannot be read to its end" in errors[0]
        assert len(samples) == 4 + 12, "one whole image, then the second shard"

    def test_a_broken_sample_is_named_and_the_rest_is_read(self, warehouse: Path) -> None:
        make_shards(warehouse, "train", 3)
        path = warehouse / "shards" / "train-000000.tar"
        damaged = path.read_bytes().replace(b'"camera"', b'"kamera"', 1)
        path.write_bytes(damaged)
        samples, errors = read_all(open_dataset(DatasetConfig("shards", warehouse)))
        assert len(errors) == 1
        assert "train-000000.tar/000000_00: 000000_00.json is broken" in errors[0]
        assert len(samples) == 20

    def test_shards_are_streamed_from_a_server(self, warehouse: Path) -> None:
        make_shards(warehouse, "train", 2)
        handler = partial(_QuietHandler, directory=str(warehouse / "shards"))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            host = f"http://127.0.0.1:{server.server_address[1]}"
            config = DatasetConfig("shards", host + "/train-{000000..000002}.tar")
            streamed = ids(open_dataset(config), order=Order(seed=3))
        finally:
            server.shutdown()
            server.server_close()
        local = ids(open_dataset(DatasetConfig("shards", warehouse)), order=Order(seed=3))
        assert streamed == local


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.mark.parametrize("kind", ["warehouse", "shards"])
class TestOrder:
    @pytest.fixture
    def dataset(self, kind: str, warehouse: Path) -> Any:
        make_shards(warehouse, "train", 1)
        return open_dataset(DatasetConfig(kind, warehouse))

    def test_the_seed_decides_and_each_epoch_differs(self, dataset: Any) -> None:
        stored = ids(dataset)
        first = ids(dataset, order=Order(seed=1))
        assert first == ids(dataset, order=Order(seed=1))
        others = [ids(dataset, order=Order(seed=2)), ids(dataset, order=Order(seed=1, epoch=1))]
        assert all(sorted(order) == sorted(stored) for order in [first, *others])
        assert len({tuple(order) for order in [stored, first, *others]}) == 4

    @pytest.mark.parametrize(("processes", "workers"), [(1, 1), (2, 1), (3, 2)])
    def test_parts_cover_everything_once(self, dataset: Any, processes: int, workers: int) -> None:
        parts = [
            ReaderPart(rank, processes).of_worker(worker, workers)
            for rank in range(processes)
            for worker in range(workers)
        ]
        read = [ids(dataset, order=Order(seed=5), part=part) for part in parts]
        assert sorted(itertools.chain.from_iterable(read)) == sorted(ids(dataset))
        assert min(map(len, read)) > 0

    @pytest.mark.parametrize("stop", [0, 1, 7, 23, 24])
    def test_a_position_is_where_it_goes_on(self, dataset: Any, stop: int) -> None:
        whole = ids(dataset, order=Order(seed=4))
        iterator = SampleIterator(dataset, Order(seed=4))
        before = [next(iterator).id for _ in range(stop)]
        saved = pickle.loads(pickle.dumps(iterator.position))
        assert isinstance(saved, Position)
        assert before + ids(dataset, order=Order(seed=4), position=saved) == whole

    def test_a_dataset_travels_to_worker_processes(self, dataset: Any) -> None:
        copy = pickle.loads(pickle.dumps(dataset))
        assert ids(copy) == ids(dataset)


class TestConfiguration:
    def test_unknown_kind(self) -> None:
        with pytest.raises(SpatialError, match=r"one of warehouse, official, .* got 'coco'"):
            open_dataset(DatasetConfig("coco", Path()))

    @pytest.mark.parametrize(
        "changes", [{"kind": ""}, {"split": "a/b"}, {"split": ""}, {"depth_scale": 0.0}]
    )
    def test_bad_values_name_their_field(self, changes: dict[str, Any]) -> None:
        with pytest.raises(SpatialError, match=next(iter(changes))):
            DatasetConfig(**{"kind": "warehouse", "root": "data", **changes})

    def test_a_missing_package_is_named_with_its_remedy(
        self, official: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(ImportError, match=r"`datasets`.*pip install .*\[data\]"):
            open_dataset(DatasetConfig("official", official))

    @pytest.mark.parametrize("part", [(-1, 2), (2, 2), (0, 0)])
    def test_parts_that_do_not_exist(self, part: tuple[int, int]) -> None:
        with pytest.raises(SpatialError, match="rank must be 0 to world_size - 1"):
            ReaderPart(*part)
