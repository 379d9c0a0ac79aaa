"""Whatever the files of a recording look like: all of their messages, or their names."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionMode
from rosbags.typesys import Stores, get_typestore

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.storage_files import zstd

SUFFIXES = {"mcap": ".mcap", "sqlite3": ".db3"}


@pytest.fixture(params=["mcap", "sqlite3"])
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def files_of(bag: Path) -> list[Path]:
    return sorted(file for file in bag.iterdir() if file.name != "metadata.yaml")


def edit(bag: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Change metadata.yaml."""
    path = bag / "metadata.yaml"
    content = yaml.safe_load(path.read_text())
    change(content["rosbag2_bagfile_information"])
    path.write_text(yaml.safe_dump(content))
    return bag


def in_parts(wall: Any, folder: Path, storage: str, packed: int = 0, count: int = 3) -> Path:
    """A recording of two frames in each part, 2, 3, ... m; metadata.yaml lists all parts."""
    bag = folder / "parts"
    for number in range(count):
        start_ns = wall.START_NS + number * 10 * wall.PERIOD_NS
        frames = wall.frames(*[2.0 + number] * 2, start_ns=start_ns)
        part = wall.write(folder / "part", frames, storage)
        (file,) = files_of(part)
        bag.mkdir(exist_ok=True)
        shutil.move(part / "metadata.yaml", bag / "metadata.yaml")
        target = bag / f"parts_{number}{SUFFIXES[storage]}"
        if number < packed:
            Path(f"{target}.zstd").write_bytes(zstd.compress(file.read_bytes()))
        else:
            shutil.move(file, target)
        shutil.rmtree(part)
    names = [file.name for file in files_of(bag)]
    return edit(bag, lambda content: content.update(relative_file_paths=names))


PROFILE = {
    "history": 3, "depth": 0, "reliability": 1, "durability": 1,
    "deadline": {"sec": 9223372036, "nsec": 854775807},
    "lifespan": {"sec": 9223372036, "nsec": 854775807},
    "liveliness": 1, "liveliness_lease_duration": {"sec": 9223372036, "nsec": 854775807},
    "avoid_ros_namespace_conventions": False,
}  # fmt: skip
NAMES = {
    "history": "keep_last", "reliability": "reliable", "durability": "volatile",
    "liveliness": "automatic",
}  # fmt: skip


@pytest.mark.parametrize(
    "profiles",
    [
        yaml.safe_dump([PROFILE]), [PROFILE], [{**PROFILE, **NAMES}],
        yaml.safe_dump([{**PROFILE, **NAMES}]), [{"history": 3, "depth": 0}], "", [], None,
        "reliable", "- [", [{**PROFILE, "deadline": "infinite"}],
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", [4, 5, 9])
def test_quality_of_service_of_any_form(
    wall: Any, tmp_path: Path, storage: str, profiles: object, version: int
) -> None:
    bag = wall.write(tmp_path / "bag", wall.frames(3.0), storage)

    def change(content: dict[str, Any]) -> None:
        content["version"] = version
        for topic in content["topics_with_message_count"]:
            topic["topic_metadata"]["offered_qos_profiles"] = profiles

    found = wall.replay(edit(bag, change))
    assert (wall.values(found), found.damage) == ([3.0], "")


def test_quality_of_service_in_the_file(wall: Any, tmp_path: Path) -> None:
    bag = wall.write(tmp_path / "bag", wall.frames(3.0), "sqlite3")
    (file,) = files_of(bag)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE topics SET offered_qos_profiles = '- history: x'")
    assert wall.values(wall.replay(file)) == [3.0]


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("has_metadata", [True, False])
def test_compressed(
    wall: Any, tmp_path: Path, storage: str, mode: CompressionMode, has_metadata: bool
) -> None:
    bag = wall.write(tmp_path / "bag", wall.frames(2.0, 3.0), storage, mode)
    if not has_metadata:
        (bag / "metadata.yaml").unlink()
    found = wall.replay(bag)
    assert wall.values(found) == [2.0, 3.0]
    assert bool(found.damage) is not has_metadata
    (file,) = files_of(bag)
    assert wall.values(wall.replay(file)) == [2.0, 3.0]


@pytest.mark.parametrize("packed", [2, 3])
def test_recorder_killed_while_it_compressed(
    wall: Any, tmp_path: Path, storage: str, packed: int
) -> None:
    bag = in_parts(wall, tmp_path, storage, packed)
    (bag / "metadata.yaml").unlink()
    found = wall.replay(bag)
    assert wall.values(found) == [2.0, 2.0, 3.0, 3.0, 4.0, 4.0]
    assert "metadata.yaml is missing" in found.damage


def test_half_of_a_part_is_compressed(wall: Any, tmp_path: Path, storage: str) -> None:
    """Beside a compressed part that is not complete, the part itself is read."""
    bag = in_parts(wall, tmp_path, storage)
    whole = files_of(bag)[1]
    Path(f"{whole}.zstd").write_bytes(zstd.compress(whole.read_bytes())[:500])
    assert wall.distances(bag) == [2.0, 2.0, 3.0, 3.0, 4.0, 4.0]


@pytest.mark.parametrize("packed", [0, 3])
def test_last_part_is_cut(wall: Any, tmp_path: Path, storage: str, packed: int) -> None:
    bag = in_parts(wall, tmp_path, storage, packed)
    last = files_of(bag)[2]
    content = last.read_bytes()
    last.write_bytes(content[: len(content) // (2 if packed else 50)])
    found = wall.replay(bag)
    assert wall.values(found)[:4] == [2.0, 2.0, 3.0, 3.0]
    assert last.name.removesuffix(".zstd") in found.damage


def test_part_that_is_missing_and_one_that_is_not_listed(
    wall: Any, tmp_path: Path, storage: str
) -> None:
    bag = in_parts(wall, tmp_path, storage)
    names = [file.name for file in files_of(bag)]
    edit(bag, lambda content: content.update(relative_file_paths=[f"old/{n}" for n in names[:2]]))
    (bag / names[0]).unlink()
    found = wall.replay(bag)
    assert wall.values(found) == [3.0, 3.0, 4.0, 4.0]
    assert f"{names[0]} is listed in metadata.yaml, but missing" in found.damage
    assert f"{names[2]} is read, but not listed in metadata.yaml" in found.damage


@pytest.mark.parametrize("packed", [0, 3])
def test_parts_packed_or_unpacked_by_hand(
    wall: Any, tmp_path: Path, storage: str, packed: int
) -> None:
    """The list names them as they were recorded."""
    bag = in_parts(wall, tmp_path, storage, packed)
    ending = "" if packed else ".zstd"
    names = [file.name.removesuffix(".zstd") + ending for file in files_of(bag)]
    found = wall.replay(edit(bag, lambda content: content.update(relative_file_paths=names)))
    assert (wall.values(found), found.damage) == ([2.0, 2.0, 3.0, 3.0, 4.0, 4.0], "")


@pytest.mark.parametrize("content", ["", "rosbag2_bagfile_information: 3", "a: [", "[]"])
def test_metadata_that_cannot_be_read(wall: Any, tmp_path: Path, content: str) -> None:
    bag = wall.write(tmp_path / "bag", wall.frames(2.0))
    (bag / "metadata.yaml").write_text(content)
    found = wall.replay(bag)
    assert wall.values(found) == [2.0]
    assert "metadata.yaml cannot be read" in found.damage


def test_file_with_the_name_of_another_format(wall: Any, tmp_path: Path, storage: str) -> None:
    (file,) = files_of(wall.write(tmp_path / "bag", wall.frames(2.0), storage))
    other = file.rename(tmp_path / ("bag.db3" if storage == "mcap" else "bag.mcap"))
    assert wall.values(wall.replay(other)) == [2.0]


def test_parts_in_another_compression_are_named(wall: Any, tmp_path: Path) -> None:
    bag = in_parts(wall, tmp_path, "mcap")
    first = files_of(bag)[0]
    first = first.rename(f"{first}.lz4")
    names = [file.name for file in files_of(bag)]
    found = wall.replay(edit(bag, lambda content: content.update(relative_file_paths=names)))
    assert wall.values(found) == [3.0, 3.0, 4.0, 4.0]
    assert f"{first.name} is not read: expected .db3 or .mcap, or these compressed" in found.damage


def ros1_bag(path: Path) -> Path:
    types = get_typestore(Stores.ROS1_NOETIC)
    with Ros1Writer(path) as writer:
        connection = writer.add_connection("/word", "std_msgs/msg/String", typestore=types)
        message = types.types["std_msgs/msg/String"](data="hello")
        writer.write(connection, 1, types.serialize_ros1(message, "std_msgs/msg/String"))
    return path


@pytest.mark.parametrize("name", ["hall.bag", "hall.db3", "hall.mcap", "hall"])
def test_ros1_bag(tmp_path: Path, name: str) -> None:
    path = ros1_bag(tmp_path / name)
    with pytest.raises(SpatialError, match="this is a ROS 1 bag; convert it with `rosbags-conv"):
        BagReader(path)


@pytest.mark.parametrize("name", ["hall.bag", "hall_0.db3", "hall_0.mcap"])
def test_folder_with_a_ros1_bag(tmp_path: Path, name: str) -> None:
    ros1_bag(tmp_path / name)
    with pytest.raises(SpatialError, match="this is a ROS 1 bag"):
        BagReader(tmp_path)


def test_ros1_messages_in_mcap(wall: Any, tmp_path: Path) -> None:
    (file,) = files_of(wall.write(tmp_path / "bag", wall.frames(2.0)))
    content = file.read_bytes()
    file.write_bytes(content.replace(b"\4\0\0\0ros2", b"\4\0\0\0ros1", 1))
    with pytest.raises(SpatialError, match="ROS 1 messages"):
        BagReader(file)
