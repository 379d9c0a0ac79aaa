"""Recordings become data sets; what cannot be used is counted, with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import read_depth, read_rgb
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_map import LabelMap, RegionLabels
from smolrgpt_core.messages.sensor_settings import SensorSettings
from smolrgpt_core.recordings import dataset
from smolrgpt_core.recordings.dataset import convert_recording
from smolrgpt_core.recordings.motion import MotionConfig
from smolrgpt_core.recordings.options import RecordingOptions, TopicChoice
from smolrgpt_core.recordings.report import NoFrameError
from smolrgpt_core.regions import decode_rle
from smolrgpt_core.sim import LABEL_ID_RANGES
from smolrgpt_core.sim.drive import SimulatedDrive

Change = Callable[..., Path]

CLASS_INDICES = RegionLabels(
    InstanceLabels(
        tuple((ids.start, ids.stop - 1, str(i)) for i, ids in enumerate(LABEL_ID_RANGES.values()))
    ),
    LabelMap(tuple((str(index), label) for index, label in enumerate(LABEL_ID_RANGES))),
)
"""Numbers for labels, and what they mean."""


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_data_set_shows_what_the_camera_saw(
    recording: Path, drive: SimulatedDrive, converted: Any
) -> None:
    report = converted(recording).report
    folder = SplitFolder(converted(recording).folder, "train")
    records, cameras = folder.read_records(), folder.read_cameras()
    seen = dict(zip(range(3), drive.frames(), strict=False))
    origins = json.loads((folder.root / "train" / "provenance.json").read_text())["images"]
    first_stamp_ns = min(item["stamp_ns"] for item in origins.values())
    for image, origin in origins.items():
        index = round((origin["stamp_ns"] - first_stamp_ns) / 1e9 * drive.rate_hz)
        if index not in seen:
            continue
        frame = seen.pop(index).frame
        np.testing.assert_array_equal(read_rgb(folder.image_path(image)), frame.rgb)
        depth = read_depth(folder.depth_path(image), cameras[image].depth_scale)
        np.testing.assert_allclose(depth, frame.depth, atol=0.0006)
        assert cameras[image].intrinsics == drive.intrinsics
        masks = {region.mask.tobytes() for region in frame.regions}
        for record in (item for item in records if item.image == image):
            for rle in record.rle:
                mask = decode_rle(rle)
                rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
                cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                assert cut.tobytes() in masks
    assert not seen
    assert report.images == drive.frame_count == report.frames + report.skipped.total()
    assert set(report.questions) == {"distance", "count", "left_right", "mcq"}
    assert report.questions.total() == len(records) == len({record.id for record in records})
    assert all(r.question.count("<mask>") == len(r.rle) for r in records)
    assert not report.damage


def test_the_answers_are_called_measured(
    recording: Path, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    convert_recording(recording, tmp_path / "data", replace(every_frame, limit=1, split="val"))
    provenance = json.loads((tmp_path / "data" / "val" / "provenance.json").read_text())
    assert "not ground truth" in provenance["answers"]
    assert provenance["report"]["frames"] == len(provenance["images"]) == 1
    assert provenance["options"]["limit"] == 1
    assert str(tmp_path) not in json.dumps(provenance)


def test_both_storages_give_the_same_bytes(
    recording: Path, mcap_recording: Path, converted: Any
) -> None:
    first, second = converted(recording), converted(mcap_recording)
    assert first.report == second.report
    assert files(first.folder) == files(second.folder)


def test_instance_image_gives_the_same_bytes(
    recording: Path, changed: Change, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    def without_regions(topic: str, message: Any, number: int) -> Any:
        return None if topic == "/regions" else message

    bag = changed(without_regions).rename(tmp_path / "drive")
    options = replace(every_frame, labels=CLASS_INDICES, limit=5)
    report = convert_recording(bag, tmp_path / "instances", options)
    assert report.topics["instances"] == "/instances"
    assert report.label_changes["1"] == "pallet"
    assert set(report.label_changes.items()) <= set(CLASS_INDICES.label_map.entries)
    convert_recording(recording, tmp_path / "regions", replace(every_frame, limit=5))
    found, expected = files(tmp_path / "instances"), files(tmp_path / "regions")
    del found["train/provenance.json"], expected["train/provenance.json"]
    assert found == expected


def test_only_frames_that_differ_are_taken(
    recording: Path, changed: Change, tmp_path: Path
) -> None:
    first: dict[str, Any] = {}

    def stands_for_six_frames(topic: str, message: Any, number: int) -> Any:
        if number == 0:
            first[topic] = message
        if 0 < number < 6:
            stamp = message.header.stamp
            message = replace(first[topic], header=replace(first[topic].header, stamp=stamp))
        return message

    options = RecordingOptions(motion=MotionConfig(min_change=0.1))
    bag = changed(stands_for_six_frames)
    report = convert_recording(bag, tmp_path / "data", options)
    assert report.skipped == {dataset.NO_MOTION: 5}
    strict = replace(options, motion=MotionConfig(min_change=0.8))
    assert 1 < convert_recording(bag, tmp_path / "strict", strict).frames < 7


def test_every_and_limit(
    recording: Path, drive: SimulatedDrive, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    report = convert_recording(recording, tmp_path / "data", replace(every_frame, every=3, limit=2))
    assert report.frames == 2
    assert report.skipped[dataset.NOT_EVERY] == drive.frame_count - drive.frame_count // 3
    assert report.images == report.frames + report.skipped.total() == drive.frame_count


def test_unsynchronized_images_are_skipped(
    changed: Change, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    def late_depth(topic: str, message: Any, number: int) -> Any:
        if topic == "/depth" and number in (2, 5):
            message.header.stamp.nanosec += 30_000_000
        if topic == "/regions" and number == 7:
            return None
        return message

    bag = changed(late_depth)
    report = convert_recording(bag, tmp_path / "data", every_frame)
    assert report.skipped["no depth within 20 ms"] == 2
    assert report.skipped["no regions within 20 ms"] == 1
    assert report.images == report.frames + report.skipped.total()
    patient = convert_recording(
        bag, tmp_path / "patient", replace(every_frame, sync_tolerance_s=0.03)
    )
    assert "no depth within 30 ms" not in patient.skipped


def test_images_without_a_stamp_are_skipped(
    changed: Change, drive: SimulatedDrive, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    def unstamped(topic: str, message: Any, number: int) -> Any:
        if topic == "/rgb" and number < 4:
            message.header.stamp.sec = message.header.stamp.nanosec = 0
        return message

    report = convert_recording(changed(unstamped), tmp_path / "data", every_frame)
    assert report.skipped["without a stamp"] == 4
    assert report.images == report.frames + report.skipped.total() == drive.frame_count


def test_wrong_depth_unit_is_skipped(
    changed: Change, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    def in_micrometers(topic: str, message: Any, number: int) -> Any:
        if topic == "/depth" and number < 3:
            pixels = message.data.view(np.uint16) // 1000
            message = replace(message, data=pixels.view(np.uint8))
        return message

    report = convert_recording(changed(in_micrometers), tmp_path / "data", every_frame)
    assert report.skipped[dataset.WRONG_UNIT] == 3
    assert "depth scale" in report.examples[dataset.WRONG_UNIT]
    assert report.frames > 0


def test_depth_scale_of_the_camera_is_preserved(
    recording: Path, changed: Change, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    def quarters(topic: str, message: Any, number: int) -> Any:
        if topic == "/depth":
            pixels = (message.data.view(np.uint16).astype(np.uint32) * 4).clip(0, 65535)
            message = replace(message, data=pixels.astype(np.uint16).view(np.uint8))
        return message

    options = replace(every_frame, sensor=SensorSettings(0.00025), limit=1)
    convert_recording(changed(quarters), tmp_path / "data", options)
    folder = SplitFolder(tmp_path / "data", "train")
    ((image, camera),) = folder.read_cameras().items()
    assert camera.depth_scale == 0.00025
    depth = read_depth(folder.depth_path(image), camera.depth_scale)
    assert 0.5 < np.nanmedian(depth) < 17


def test_broken_messages_are_skipped(
    changed: Change, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    def broken(topic: str, message: Any, number: int) -> Any:
        if topic == "/rgb" and number == 1:
            return replace(message, data=message.data[:100])
        if topic == "/depth" and number == 2:
            # Header and stamp are whole, the rest is garbage.
            sec, nanosec = message.header.stamp.sec, message.header.stamp.nanosec
            head = b"\0\1\0\0" + sec.to_bytes(4, "little") + nanosec.to_bytes(4, "little")
            return head + b"\xff" * 40
        return message

    report = convert_recording(changed(broken, "mcap"), tmp_path / "data", every_frame)
    assert report.skipped[dataset.UNUSABLE] == 1
    assert "needs 57600 bytes, got 100" in report.examples[dataset.UNUSABLE]
    assert report.skipped[dataset.BROKEN] == 1
    assert "sensor_msgs/msg/Image" in report.examples[dataset.BROKEN]
    assert report.images == report.frames + report.skipped.total()


def test_without_a_usable_frame_nothing_is_written(
    changed: Change, drive: SimulatedDrive, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    def in_feet(topic: str, message: Any, number: int) -> Any:
        if topic == "/depth":
            message = replace(message, data=np.zeros_like(message.data) + 1)
        return message

    bag = changed(in_feet)
    with pytest.raises(NoFrameError, match=f"none of {drive.frame_count} color images") as caught:
        convert_recording(bag, tmp_path / "data", replace(every_frame, sensor=SensorSettings(1e-6)))
    assert caught.value.report.skipped[dataset.WRONG_UNIT] == drive.frame_count
    assert [path.name for path in tmp_path.iterdir()] == ["changed"]


def test_ambiguous_topics_are_listed(
    changed: Change, drive: SimulatedDrive, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    def two_depths(topic: str, message: Any, number: int) -> Any:
        if topic == "/instances":
            ids = message.data.astype(np.uint16).view(np.uint8)
            message = replace(message, encoding="16UC1", step=message.width * 2, data=ids)
        return message

    bag = changed(two_depths)
    with pytest.raises(SpatialError) as caught:
        convert_recording(bag, tmp_path / "data", every_frame)
    assert "depth could be /depth or /instances" in str(caught.value)
    assert f"/rgb  sensor_msgs/msg/Image  rgb8  {drive.frame_count} messages" in str(caught.value)
    named = replace(every_frame, topics=TopicChoice(depth="/depth"), limit=1)
    assert convert_recording(bag, tmp_path / "data", named).frames == 1


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (TopicChoice(rgb="/color"), "/color is not in the recording"),
        (TopicChoice(depth="/camera_info"), "/camera_info is sensor_msgs/msg/CameraInfo"),
    ],
)
def test_wrong_topic(
    recording: Path,
    choice: TopicChoice,
    message: str,
    every_frame: RecordingOptions,
    tmp_path: Path,
) -> None:
    with pytest.raises(SpatialError, match=message):
        convert_recording(recording, tmp_path / "data", replace(every_frame, topics=choice))
    assert not list(tmp_path.iterdir())


def test_existing_folder_is_left_alone(
    recording: Path, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(SpatialError, match="already exists"):
        convert_recording(recording, tmp_path / "data", every_frame)
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize(
    ("field", "value"),
    [("every", 0), ("limit", -1), ("split", "training"), ("sync_tolerance_s", float("nan"))],
)
def test_options_out_of_range(field: str, value: object) -> None:
    with pytest.raises(SpatialError, match=field):
        RecordingOptions(**{field: value})  # type: ignore[arg-type]
