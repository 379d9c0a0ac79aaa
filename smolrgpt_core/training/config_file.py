"""Training configurations as YAML files with `key=value` overrides on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import file_error, write_file
from smolrgpt_core.settings_file import from_entries, import_yaml, parse_yaml, read_yaml, to_entries
from smolrgpt_core.training.config import TrainConfig

_WHAT = "a training configuration"


def read_config(path: Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a file and override single values.

    Args:
        path: YAML.
        changes: such as "optimizer.steps=200" or "data.sources.0.root=warehouse"; the value is
            read as YAML.

    Raises:
        ImportError: PyYAML is missing; the message says how to install it.
        SpatialError: BAD_INPUT; a key is unknown, missing or invalid; names the file and the key.
    """
    entries = read_yaml(path, _WHAT)
    try:
        for change in changes:
            _change(entries, change)
        return from_entries(TrainConfig, entries)
    except SpatialError as error:
        raise file_error(path, error.message) from error


def write_config(config: TrainConfig, path: Path) -> None:
    """Write all values, including defaults, in a form that `read_config` reads."""
    text = import_yaml(_WHAT).safe_dump(to_entries(config), sort_keys=False)
    write_file(path, text.encode())


def _change(entries: Any, change: str) -> None:
    """Set one value of nested mappings and lists; mappings on the way to it are made."""
    key, sign, text = change.partition("=")
    names = key.split(".")
    if not sign or not all(names):
        raise bad_input(f"expected key=value such as optimizer.steps=200, got {change!r}")
    try:
        value = parse_yaml(text, _WHAT)
    except SpatialError as error:
        raise bad_input(f"the value of {change!r}: {error.message}") from error
    place = entries
    for name in names[:-1]:
        place = _child(place, name, key)
    _check_place(place, names[-1], key)
    place[int(names[-1]) if isinstance(place, list) else names[-1]] = value


def _child(place: Any, name: str, key: str) -> Any:
    _check_place(place, name, key)
    if isinstance(place, list):
        return place[int(name)]
    if place.get(name) is None:
        place[name] = {}
    return place[name]


def _check_place(place: Any, name: str, key: str) -> None:
    if isinstance(place, list):
        if not name.isdecimal() or int(name) >= len(place):
            raise bad_input(f"`{key}`: expected a number below {len(place)}, got {name!r}")
    elif not isinstance(place, dict):
        raise bad_input(f"`{key}`: {place!r} is neither a mapping nor a list")
