"""Decodes the messages of a recording with the definitions stored in it.

A recording without definitions (ROS before Iron) is read with those of Jazzy, of known detectors,
and with the `.msg` files of this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.serde import SerdeError
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from smolrgpt_core.errors import SpatialError, Status, bad_input
from smolrgpt_core.messages.definitions import DETECTOR_DEFINITIONS, own_definitions
from smolrgpt_core.messages.types import Message

BAG_VERSION: Literal[9] = 9
"""Of the metadata of recordings that are written: that of ROS 2 Jazzy."""


def known_types() -> Typestore:
    """The types of ROS 2 Jazzy and of this project."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for type_name, text in own_definitions().items():
        store.register(get_types_from_msg(text, type_name))
    return store


class BrokenMessageError(SpatialError):
    """Bytes that are not a message of their type."""


class BagTypes:
    """Decodes messages by type name.

    Args:
        definitions: those that are in the recording, by type name.
    """

    def __init__(self, definitions: Mapping[str, MessageDefinition]) -> None:
        self._definitions = definitions
        self._stores: dict[str, tuple[Typestore, ...]] = {}

    def decode(self, serialized: bytes, type_name: str) -> Message:
        """The message.

        Raises:
            BrokenMessageError: BAD_INPUT when the bytes are no such message.
            SpatialError: BAD_INPUT when the type is unknown.
        """
        if type_name not in self._stores:
            self._stores[type_name] = self._stores_for(type_name)
        errors: list[Exception] = []
        for store in self._stores[type_name]:
            try:
                return store.deserialize_cdr(serialized, type_name)
            # What the bytes of a broken message make of its lengths decides which of them it is.
            except (SerdeError, ValueError, IndexError, AssertionError, MemoryError) as error:
                errors.append(error)
        raise BrokenMessageError(
            Status.BAD_INPUT, f"a {type_name} cannot be decoded: {errors[0]!r}"
        ) from errors[0]

    def _stores_for(self, type_name: str) -> tuple[Typestore, ...]:
        """The definitions of a type: one, or those of several distributions to be tried."""
        definition = self._definitions.get(type_name)
        if definition is None or definition.format is MessageDefinitionFormat.NONE:
            return _stores_without_definition(type_name)
        store = get_typestore(Stores.EMPTY)
        try:
            if definition.format is MessageDefinitionFormat.IDL:
                store.register(get_types_from_idl(definition.data))
            else:
                store.register(get_types_from_msg(definition.data, type_name))
        except (TypesysError, SyntaxError) as error:
            raise bad_input(
                f"the definition of {type_name} in the recording is broken: {error}"
            ) from error
        return (store,)


def _stores_without_definition(type_name: str) -> tuple[Typestore, ...]:
    if type_name in DETECTOR_DEFINITIONS:
        return tuple(_with_types(texts) for texts in DETECTOR_DEFINITIONS[type_name])
    store = known_types()
    if type_name not in store.types:
        raise bad_input(
            f"the recording has no definition of {type_name}, and it is not a type of ROS 2 Jazzy; "
            "record with ROS 2 Iron or newer, which stores definitions"
        )
    return (store,)


def _with_types(texts: Mapping[str, str]) -> Typestore:
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for type_name, text in texts.items():
        types.update(get_types_from_msg(text, type_name))
    store.register(types)
    return store
