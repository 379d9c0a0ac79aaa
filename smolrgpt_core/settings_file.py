"""Reads YAML files into dataclasses, which define the keys and their defaults.

A file needs only the keys that it changes. Unknown or missing keys and values of the wrong type are
errors that name the key. Earlier names of keys are read as what they are called now.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Collection, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.extras import require
from smolrgpt_core.files import file_error, read_json, write_file

Settings = TypeVar("Settings")

RENAMED = {
    "broken_share": "broken_fraction",
    "warmup_share": "warmup_fraction",
    "final_rate_share": "final_rate_fraction",
    "noise_share": "noise_fraction",
    "dropout_share": "dropout_fraction",
    "flying_share": "flying_fraction",
    "edge_dropout_share": "edge_dropout_fraction",
    "pallet_share_in_buffer": "pallet_fraction_in_buffer",
    "pallet_share_on_edge": "pallet_fraction_on_edge",
    "pallet_share_stacked": "pallet_fraction_stacked",
    "pallet_share_empty": "pallet_fraction_empty",
    "transporter_share_loaded": "transporter_fraction_loaded",
    "min_visible_share": "min_visible_fraction",
    "min_buffer_visible_share": "min_buffer_visible_fraction",
    "min_same_share": "min_same_fraction",
    "shares": "split_fractions",
    "reference_share": "reference_fraction",
    "max_box_share": "max_box_fraction",
    "min_kept_share": "min_cluster_fraction",
    "max_pure_share": "max_pure_fraction",
    "max_invalid_share": "max_invalid_fraction",
    "pictures": "inputs",
    "colour_noise": "color_noise",
    "depth_share": "depth_fraction",
    "region_depth_share": "region_depth_fraction",
}
"""Keys that files of earlier versions have, and what they are called now."""

_EXPONENT = re.compile(r"[+-]?[0-9]+[eE][+-]?[0-9]+$")


def import_yaml(what: str) -> types.ModuleType:
    """The package PyYAML.

    Args:
        what: what needs it, for the message.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    return require("yaml", "data", f"{what} needs PyYAML")


def read_yaml(path: Path, what: str) -> Any:
    """Content of a YAML file; an empty file is an empty mapping.

    Raises:
        ImportError: as `import_yaml`.
        SpatialError: BAD_INPUT; the message names the file.
    """
    try:
        entries = parse_yaml(path.read_text(), what)
    except OSError as error:
        raise file_error(path, f"cannot be opened: {error.strerror}") from error
    except (SpatialError, UnicodeDecodeError) as error:
        raise file_error(path, str(error)) from error
    return {} if entries is None else entries


def parse_yaml(text: str, what: str) -> Any:
    """Content of a YAML text. Unlike in plain PyYAML, 1e-4 is a number.

    Raises:
        ImportError: as `import_yaml`.
        SpatialError: BAD_INPUT when the text is not valid YAML.
    """
    yaml = import_yaml(what)

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined]
        """With its own number formats."""

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("+-0123456789"))
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise bad_input(f"expected YAML: {error}") from error


def from_entries(kind: type[Settings], entries: Any, base: Settings | None = None) -> Settings:
    """A dataclass filled from a mapping.

    Args:
        kind: the dataclass.
        entries: values by field name, nested like the dataclasses.
        base: values of the other fields; None: the defaults of the class.

    Raises:
        SpatialError: BAD_INPUT; a key is unknown or missing, or its value is invalid; the message
            names the key.
    """
    return _filled(kind, entries, base, "")


def to_entries(settings: Any) -> dict[str, Any]:
    """A dataclass as plain values for YAML and JSON."""
    return _plain(asdict(settings))


def with_current_names(entries: Any) -> Any:
    """Plain values in which the keys of all mappings are called what they are called now.

    Args:
        entries: of a file, perhaps of an earlier version.

    Raises:
        SpatialError: BAD_INPUT when a key is there under both names.
    """
    if isinstance(entries, list):
        return [with_current_names(item) for item in entries]
    if not isinstance(entries, Mapping):
        return entries
    current = _renamed(entries, RENAMED.values())
    return {key: with_current_names(value) for key, value in current.items()}


def _renamed(entries: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """A mapping with the current names of its keys, as far as these are known."""
    current: dict[str, Any] = {}
    for key, value in entries.items():
        name = RENAMED.get(key, key)
        name = name if name in known else key
        if name != key and name in entries:
            raise bad_input(f"`{key}` is the earlier name of `{name}`; remove one of the two")
        current[name] = value
    return current


def _filled(kind: Any, entries: Any, base: Any, path: str) -> Any:
    if not isinstance(entries, Mapping):
        raise bad_input(
            f"{path or 'the file'} must be a mapping of names to values, got {entries!r}"
        )
    known = {item.name: item for item in fields(kind)}
    hints = get_type_hints(kind)
    changes = {}
    for key, value in _renamed(entries, known).items():
        where = f"{path}.{key}" if path else str(key)
        if key not in known:
            raise bad_input(f"unknown key `{where}`; known keys are: {', '.join(known)}")
        changes[key] = _value(hints[key], value, where, getattr(base, key, None))
    try:
        if base is not None:
            return replace(base, **changes)
        _check_complete(known, changes, path)
        return kind(**changes)
    except ValueError as error:
        raise bad_input(f"{path}: {error}" if path else str(error)) from error


def _check_complete(known: Mapping[str, Any], changes: Mapping[str, Any], path: str) -> None:
    for name, item in known.items():
        if name not in changes and item.default is MISSING and item.default_factory is MISSING:
            raise bad_input(f"missing key `{path}.{name}`" if path else f"missing key `{name}`")


def _value(kind: Any, value: Any, where: str, base: Any) -> Any:
    """A value converted to the type of its field."""
    if is_dataclass(kind):
        return _filled(kind, value, base, where)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (part for part in parts if part is not type(None))
        return None if value is None else _value(inner, value, where, base)
    if origin is tuple:
        return _tuple(parts, value, where)
    if origin is Literal:
        return _plain_value(type(parts[0]), value, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise bad_input(f"`{where}` must be a mapping, got {value!r}")
        return {str(k): _value(parts[1], v, f"{where}.{k}", None) for k, v in value.items()}
    return _plain_value(kind, value, where)


def _tuple(parts: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    """A tuple from a list: of any length, or a range of fixed length."""
    if parts[-1] is Ellipsis:
        if not isinstance(value, (list, tuple)):
            raise bad_input(f"`{where}` must be a list, got {value!r}")
        return tuple(_value(parts[0], v, f"{where}[{i}]", None) for i, v in enumerate(value))
    if not isinstance(value, (list, tuple)) or len(value) != len(parts):
        raise bad_input(f"`{where}` must be a range [low, high], got {value!r}")
    return tuple(_value(kind, item, where, None) for kind, item in zip(parts, value, strict=True))


def _plain_value(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    kinds = (int, float) if kind is float else (kind,)
    if not isinstance(value, kinds) or isinstance(value, bool) is not (kind is bool):
        raise bad_input(f"`{where}` must be {kind.__name__}, got {value!r}")
    return float(value) if kind is float else value


def _plain(value: Any) -> Any:
    """Tuples converted to lists recursively, as after a round trip through JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def read_json_entries(kind: type[Settings], path: Path) -> Settings:
    """A dataclass from a JSON file; see `from_entries`.

    Args:
        kind: the dataclass.
        path: of the file.

    Raises:
        SpatialError: BAD_INPUT that names the file and what is wrong in it.
    """
    entries = read_json(path)
    try:
        return from_entries(kind, entries)
    except SpatialError as error:
        raise file_error(path, error.message) from error


def write_json_entries(path: Path, settings: Any) -> None:
    """Write a dataclass as a JSON file that `read_json_entries` reads, completely or not at all."""
    write_file(path, (json.dumps(to_entries(settings), indent=1) + "\n").encode())
