"""Published files of a benchmark from the hub."""

from __future__ import annotations

import re
from pathlib import Path

from smolrgpt_core.extras import require

DATA_FOLDER = Path("benchmark-data")
"""Where data sets of the hub are downloaded to; a cache of links would lead out of the folder."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def published_data(data: str, example: str) -> Path:
    """A file or folder, or the data set of the hub that has this id, downloaded once.

    Args:
        data: path or hub id.
        example: hub id of the benchmark, for messages.

    Raises:
        ValueError: it is neither.
        OSError: the data set cannot be downloaded; what has come is kept for the next time.
        ImportError: the client of the hub is not installed.
    """
    path = Path(data)
    if path.exists():
        return path
    if not _HUB_ID.fullmatch(data):
        raise ValueError(
            f"--data: expected a file, a folder or a hub id such as {example}, got {data!r}, where "
            "nothing is"
        )
    hub = require("huggingface_hub", "model", "data sets of the hub need its client")
    folder = DATA_FOLDER / data.replace("/", "-")
    try:
        hub.snapshot_download(data, repo_type="dataset", local_dir=folder)
    except OSError as error:
        reason = str(error).strip().split("\n")[0]
        raise OSError(
            f"--data: there is no file or folder {data!r}, and no such data set of the hub can be "
            f"downloaded (the benchmark's is {example}): {reason}"
        ) from error
    return folder
