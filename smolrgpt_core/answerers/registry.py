"""Answerers by name, as chosen by the `answerer` parameter and the `--answerer` option."""

from __future__ import annotations

from collections.abc import Callable

from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.answerers.model_settings import ModelSettings


def _load_model_answerer(checkpoint: str, settings: ModelSettings) -> Answerer:
    """A `ModelAnswerer`.

    Raises:
        ValueError: when PyTorch is not installed, or the checkpoint cannot be loaded.
    """
    try:
        # Geometry alone must not need PyTorch, which also takes seconds to import.
        from smolrgpt_core.answerers.model import ModelAnswerer
    except ImportError as error:
        raise ValueError(
            f"answerer 'model' needs PyTorch and transformers ({error}); install them with: "
            'pip install "smolrgpt[model]"'
        ) from error
    try:
        return ModelAnswerer.from_pretrained(checkpoint, settings)
    except OSError as error:
        raise ValueError(
            f"checkpoint {checkpoint!r} cannot be loaded: {error}; give a folder that `smolrgpt "
            "import-checkpoint` or save_pretrained wrote, or a hub id"
        ) from error


ANSWERERS: dict[str, Callable[..., Answerer]] = {
    "geometric": GeometricAnswerer,
    "model": _load_model_answerer,
}

WITH_CHECKPOINT = frozenset({"model"})
"""Those that are built from a checkpoint and `ModelSettings`; the others take no argument."""

READS_TEXT = frozenset({"model"})
"""Those that understand a text themselves; the others need a question with roles."""

DEFAULT_ANSWERER = "geometric"


def make_answerer(
    name: str = "", checkpoint: str = "", settings: ModelSettings | None = None
) -> Answerer:
    """Build an answerer.

    Args:
        name: a key of `ANSWERERS`; empty: "model" where there is a checkpoint, else the default.
        checkpoint: folder or hub id of a checkpoint; empty for an answerer without one.
        settings: how a model computes and answers; the others have none.

    Raises:
        ValueError: for an unknown name, listing the known ones; for an answerer without the
            checkpoint that it needs, or with one that it does not need or cannot load; for a
            device that is not there.
    """
    name = name or ("model" if checkpoint else DEFAULT_ANSWERER)
    if name not in ANSWERERS:
        raise ValueError(f"answerer must be one of {sorted(ANSWERERS)}, got {name!r}")
    if name not in WITH_CHECKPOINT:
        if checkpoint:
            raise ValueError(
                f"answerer {name!r} takes no checkpoint, got {checkpoint!r}; leave it out, or "
                f"choose one of {sorted(WITH_CHECKPOINT)}"
            )
        return ANSWERERS[name]()
    if not checkpoint:
        raise ValueError(f"answerer {name!r} needs a checkpoint: a folder or hub id")
    return ANSWERERS[name](checkpoint, settings or ModelSettings())
