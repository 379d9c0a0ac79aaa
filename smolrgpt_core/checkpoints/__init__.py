"""Checkpoints that come with the package; a model card lies beside the weights of each."""

from __future__ import annotations

from pathlib import Path

NANO = Path(__file__).parent / "nano"
"""The nano model, which `make nano` trains from nothing."""

NANO_REGIONS = Path(__file__).parent / "nano_regions"
"""The small segmenter, which finds the objects of a warehouse in color alone."""

PARTS_OF_A_HUB_ID = 2
"""Owner and name."""


def check_that_it_exists(checkpoint: str | Path) -> None:
    """Refuse a path that does not exist, which transformers would mistake for a hub id.

    Args:
        checkpoint: folder, or hub id such as "owner/name", which is not looked for here.

    Raises:
        FileNotFoundError: when it can only be a path, and there is no folder.
    """
    path = Path(checkpoint)
    is_path = (
        isinstance(checkpoint, Path)
        or str(checkpoint).startswith((".", "~"))
        or path.is_absolute()
        or len(path.parts) > PARTS_OF_A_HUB_ID
    )
    if is_path and not path.exists():
        raise FileNotFoundError(f"there is no such folder: {checkpoint}")
