"""That everybody reads the same rows in the same order, from anywhere on."""

from __future__ import annotations

import itertools
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from smolrgpt_core.data.shards import write_shards
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.training.config import OptimizerConfig, SourceConfig
from smolrgpt_core.training.rows import LOSS_CATEGORIES
from smolrgpt_core.training.stream import BrokenSamples, GroupFacts, TrainingStream


def _read(stream: TrainingStream, count: int) -> list[GroupFacts]:
    batches = list(itertools.islice(stream.loader(), count))
    for batch in batches:
        if "error" in batch:
            raise batch["error"]
    return [batch["facts"] for batch in batches]


def _places(groups: list[GroupFacts]) -> list[tuple[int, tuple[str, ...]]]:
    return [(group.number, group.ids) for group in groups]


@pytest.fixture
def mixed_config(run_config, warehouse, tmp_path, write_split):
    """Two sources, one of them shards; images have two rows, which groups of three pull apart."""
    folder = write_split(tmp_path / "sharded", "train", 12)
    records = itertools.groupby(folder.read_records(), lambda record: record.image)
    cameras = folder.read_cameras()
    write_shards(folder, [(image, cameras[image], list(of)) for image, of in records], 5)
    base = run_config()
    sources = (
        SourceConfig("warehouse", str(warehouse), weight=1.0),
        SourceConfig("shards", str(folder.root), weight=3.0),
    )
    return replace(
        base,
        data=replace(base.data, sources=sources, questions_per_row=2),
        optimizer=OptimizerConfig(batch_rows=6, micro_rows=3),
    )


@pytest.mark.parametrize(("processes", "workers"), [(1, 2), (2, 0), (2, 2)])
def test_any_number_of_readers_reads_the_same(mixed_config, processor, processes, workers):
    alone = _places(_read(TrainingStream(mixed_config, processor), 24))
    assert [number for number, _ in alone] == list(range(24))
    config = replace(mixed_config, data=replace(mixed_config.data, workers=workers))
    shared = [
        _places(_read(TrainingStream(config, processor, rank, processes), 24 // processes))
        for rank in range(processes)
    ]
    assert sorted(itertools.chain(*shared)) == alone


DEADLINE_S = 120.0


def all_others_sleep() -> bool:
    """Whether no other thread of this process is running, or ready to."""
    others = set(Path("/proc/self/task").iterdir())
    others.discard(Path("/proc/self/task", str(threading.get_native_id())))
    assert others
    try:
        # The state stands behind the name, which may hold anything in its brackets.
        return {(path / "stat").read_text().rpartition(") ")[2][0] for path in others} == {"S"}
    except (FileNotFoundError, ProcessLookupError):
        # One has just ended.
        return False


def test_workers_start_where_opencv_has_threads(mixed_config, processor):
    """A fork copies the conditions that such threads wait for, and not the threads."""
    cv2.setNumThreads(2)
    cv2.resize(np.zeros((2000, 2000, 3), np.float32), (1000, 1000), interpolation=cv2.INTER_AREA)
    # Only a thread that has been idle for a while waits in this way.
    deadline = time.monotonic() + DEADLINE_S
    while not all_others_sleep():
        assert time.monotonic() < deadline
    config = replace(mixed_config, data=replace(mixed_config.data, workers=1))
    loader = TrainingStream(config, processor).loader()
    loader.timeout = 100
    assert "facts" in next(iter(loader))


@pytest.mark.parametrize("at", [1, 6, 17])
@pytest.mark.parametrize("workers", [0, 2])
def test_reading_goes_on_where_it_stopped(mixed_config, processor, at, workers):
    config = replace(mixed_config, data=replace(mixed_config.data, workers=workers))
    whole = _read(TrainingStream(config, processor), 30)
    # As it is in a checkpoint.
    state = json.loads(json.dumps(whole[at - 1].state))
    rest = _read(TrainingStream(config, processor, state=state, counts_from=at), 30 - at)
    assert _places(rest) == _places(whole[at:])


def test_a_state_of_one_process_serves_another_number_of_them(mixed_config, processor):
    whole = _places(_read(TrainingStream(mixed_config, processor), 20))
    # The last group of process 0 in the steps of two processes that end before group 8.
    state = _read(TrainingStream(mixed_config, processor, 0, 2), 4)[-1].state
    assert state["group"] == 7
    parts = [
        _places(_read(TrainingStream(mixed_config, processor, rank, 3, state, 8), 4))
        for rank in range(3)
    ]
    assert sorted(itertools.chain(*parts)) == whole[8:]


def test_an_epoch_has_every_question_once_and_the_next_another_order(run_config, processor):
    config = run_config()
    config = replace(
        config,
        data=replace(config.data, questions_per_row=1),
        optimizer=replace(config.optimizer, micro_rows=4),
    )
    stream = TrainingStream(config, processor)
    assert stream.rows_of_epoch() == 48
    ids = [id for group in _read(stream, 24) for id in group.ids]
    first, second = ids[:48], ids[48:]
    assert len(set(first)) == 48
    assert sorted(first) == sorted(second)
    assert first != second


def test_a_source_without_a_question_of_its_categories_is_an_error(run_config, processor):
    config = run_config()
    source = replace(config.data.sources[0], categories=("height",))
    nothing = replace(config, data=replace(config.data, sources=(source,)))
    with pytest.raises(SpatialError, match="no usable sample"):
        _read(TrainingStream(nothing, processor), 1)


def test_sources_share_the_groups_by_weight(mixed_config, processor):
    states = [
        group.state["sources"] for group in _read(TrainingStream(mixed_config, processor), 60)
    ]
    rows = [source["epoch"] * 24 + source["rows"] for source in states[-1]]
    assert sum(rows) == 180
    assert 0.6 < rows[1] / 180 < 0.9


def test_answer_tokens_know_their_category(run_config, processor):
    config = run_config()
    data = replace(config.data, questions_per_row=1, styles={"short": 1.0})
    stream = TrainingStream(replace(config, data=data), processor)
    batch = next(iter(stream.loader()))
    answers = batch["labels"][:, 1:] != -100
    assert len(batch["answer_categories"]) == int(answers.sum())
    expected = [
        LOSS_CATEGORIES.index(id.rsplit("-", 1)[1])
        for id, row in zip(batch["facts"].ids, answers, strict=True)
        for _ in range(int(row.sum()))
    ]
    assert torch.equal(batch["answer_categories"], torch.tensor(expected))


@pytest.fixture
def damaged(tmp_path, write_split, run_config):
    """damaged(images): a run whose data set of 20 images has these pictures cut off."""

    def make(images):
        root = tmp_path / "damaged"
        folder: SplitFolder = write_split(root, "train", 20)
        for index in images:
            folder.image_path(f"{index:06}_00.png").write_bytes(b"no picture")
        config = run_config()
        source = SourceConfig("warehouse", str(root))
        return replace(config, data=replace(config.data, sources=(source,)))

    return make


def test_broken_samples_are_named_and_replaced_by_the_same_rows(damaged, processor):
    config = damaged([4, 11])
    alone = _read(TrainingStream(config, processor), 20)
    reasons = [reason for group in alone for reason in group.broken]
    for name in ("000004_00.png", "000011_00.png"):
        assert any(name in reason for reason in reasons)
    assert all(len(group.ids) >= 2 and group.rows == 2 for group in alone)
    broken_ids = ("train-4-", "train-11-")
    assert not any(id.startswith(broken_ids) for group in alone for id in group.ids)
    pair = [_read(TrainingStream(config, processor, rank, 2), 10) for rank in range(2)]
    assert sorted(_places(list(itertools.chain(*pair)))) == _places(alone)


def test_broken_records_are_passed_over(damaged, processor):
    config = damaged([])
    records = SplitFolder(Path(config.data.sources[0].root), "train").records_path
    entries = json.loads(records.read_text())
    entries[5]["rle"] = []
    records.write_text(json.dumps(entries))
    groups = _read(TrainingStream(config, processor), 20)
    assert any("masks" in reason for group in groups for reason in group.broken)
    assert not any(id.startswith("train-1-") for group in groups for id in group.ids)


def test_a_fraction_of_broken_samples_stops_the_run_after_enough_samples(damaged, processor):
    facts = _read(TrainingStream(damaged([]), processor), 1)[0]
    one_broken = replace(facts, samples=10, broken=("picture 7 is damaged",))
    count = BrokenSamples(0.05)
    for _ in range(4):
        count.add(one_broken)
    with pytest.raises(SpatialError, match=r"5 of 50 samples.*broken_fraction = 0.05.*picture 7"):
        count.add(one_broken)
    tolerant = BrokenSamples(0.1, count.state)
    tolerant.add(one_broken)
    assert tolerant.state == {"samples": 60, "broken": 6}


def test_a_data_set_without_one_good_sample_is_an_error(damaged, processor):
    with pytest.raises(SpatialError, match=r"cannot be used"):
        _read(TrainingStream(damaged(range(20)), processor), 1)
