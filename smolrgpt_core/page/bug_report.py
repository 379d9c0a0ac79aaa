"""Exports a question with its frame as a file for `smolrgpt replay`: a zipped recording."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from smolrgpt_core.extras import require
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.messages.making import (
    answer_message,
    camera_info_message,
    header_message,
    image_message,
    region_array_message,
)
from smolrgpt_core.messages.types import CAMERA_INFO, IMAGE, REGION_ARRAY, SPATIAL_ANSWER, Message
from smolrgpt_core.page.conversation import Exchange

NAME = "smolrgpt_question"

TYPES = {"rgb": IMAGE, "depth": IMAGE, "camera_info": CAMERA_INFO, "regions": REGION_ARRAY}


def question_zip(exchange: Exchange) -> bytes:
    """A zip with a recording of one question, its answer and its frame.

    Depth and color are stored without loss. A frame without a stamp gets the current time, so that
    its messages can be matched.

    Args:
        exchange: question and answer.

    Raises:
        ImportError: rosbags is missing.
        OSError: there is no space for temporary files.
    """
    require("rosbags", "data", "a question is exported with rosbags")
    from smolrgpt_core.recordings.bag_types import known_types
    from smolrgpt_core.recordings.question_bag import QuestionBagWriter, RecordedMounting

    types = known_types()

    def make(type_name: str, /, **fields: Any) -> Message:
        return types.types[type_name](**fields)

    frame = exchange.frame
    frame = replace(frame, stamp_ns=frame.stamp_ns or time.time_ns())
    header = header_message(make, frame.stamp_ns, frame.frame_id)
    messages = _frame_messages(make, frame, header)
    answer = answer_message(make, exchange.answer, exchange.asked.text, header, {})
    asked = replace(exchange.asked, stamp_ns=frame.stamp_ns)
    with TemporaryDirectory(prefix="smolrgpt_page_") as folder:
        writer = QuestionBagWriter(Path(folder) / NAME)
        writer.write(
            asked,
            bytes(types.serialize_cdr(answer, SPATIAL_ANSWER)),
            {name: bytes(types.serialize_cdr(messages[name], TYPES[name])) for name in TYPES},
            RecordedMounting.of(frame),
        )
        writer.close()
        return _zipped(Path(folder))


def _frame_messages(make: Any, frame: RGBDFrame, header: Message) -> Mapping[str, Message]:
    return {
        "rgb": image_message(make, frame.rgb, "rgb8", header),
        "depth": image_message(make, frame.depth, "32FC1", header),
        "camera_info": camera_info_message(make, frame.intrinsics, header),
        "regions": region_array_message(make, frame.regions, header),
    }


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return content.getvalue()
