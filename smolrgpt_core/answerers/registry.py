"""Answerers by name, as chosen by the `answerer` parameter and the `--answerer` option."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from smolrgpt_core.answerer_settings import FusionSettings, ModelSettings
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.fused import FusedAnswerer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.answerers.geometry_cache import GeometryCache
from smolrgpt_core.answerers.likeness import LikenessTest
from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.extras import install_command
from smolrgpt_core.geometry.object_sizes import size_priors

# Imported in the functions: geometry alone must not need PyTorch, which also takes seconds.


def _load_model(
    checkpoint: str, settings: ModelSettings, fusion: FusionSettings, cache: GeometryCache
) -> Answerer:
    from smolrgpt_core.answerers.model import ModelAnswerer

    return ModelAnswerer.from_pretrained(checkpoint, settings, cache)


def _load_fused(
    checkpoint: str, settings: ModelSettings, fusion: FusionSettings, cache: GeometryCache
) -> Answerer:
    from smolrgpt_core.answerers.model import ModelAnswerer, fitting_calibration, load_reliability

    # What is calibrated depends on geometry's answers.
    raw = replace(settings, raw_confidence=True)
    model = ModelAnswerer.from_pretrained(checkpoint, raw, cache)
    calibration, likeness = load_reliability(checkpoint, settings.adapter)
    return FusedAnswerer(
        model,
        GeometricAnswerer(cache),
        LikenessTest(likeness, cache),
        fusion,
        fitting_calibration(calibration, model.style),
    )


ANSWERERS: dict[str, Callable[..., Answerer]] = {
    "geometric": GeometricAnswerer,
    "model": _load_model,
    "fused": _load_fused,
}

WITH_CHECKPOINT = frozenset({"model", "fused"})
"""Those that are built from a checkpoint, `ModelSettings` and `FusionSettings`, too; the others
from the geometry of frames alone."""

LOOKING = frozenset({"fused"})
"""Those that answer questions about colors, from the color image."""

DEFAULT_ANSWERER = "fused"


def make_answerer(
    name: str = "",
    checkpoint: str = "",
    settings: ModelSettings | None = None,
    fusion: FusionSettings | None = None,
    object_sizes: str = "",
    looks: bool = False,
) -> Answerer:
    """Build an answerer.

    Args:
        name: a key of `ANSWERERS`; empty: "model" where there is a checkpoint or an adapter, else
            the default.
        checkpoint: folder or hub id of a checkpoint; empty: the nano model of this package, where
            the answerer has a model.
        settings: how a model computes and answers; the others have none.
        fusion: how "fused" decides between model and geometry; the others have none.
        object_sizes: of one's own hall, such as "pallet:1.219x1.016"; see `size_priors`.
        looks: whether geometry alone uses the color image, as it does beside a model.

    Raises:
        ValueError: for an unknown name, listing the known ones; for sizes that cannot be read; for
            a checkpoint that the answerer does not need or cannot load; for a device that is not
            there; for a checkpoint without the calibration that `fusion` needs.
    """
    settings = settings or ModelSettings()
    name = name or ("model" if checkpoint or settings.adapter else DEFAULT_ANSWERER)
    if name not in ANSWERERS:
        raise ValueError(f"answerer must be one of {sorted(ANSWERERS)}, got {name!r}")
    cache = GeometryCache(size_priors(object_sizes), looks=looks or name in LOOKING)
    if name in WITH_CHECKPOINT:
        # From a parameter file or a launch argument no shell has expanded a path.
        settings = replace(settings, adapter=os.path.expanduser(settings.adapter))
        checkpoint = os.path.expanduser(checkpoint) or str(NANO)
        return _load(name, checkpoint, settings, fusion or FusionSettings(), cache)
    for kind, value in (("checkpoint", checkpoint), ("adapter", settings.adapter)):
        if value:
            raise ValueError(
                f"answerer {name!r} takes no {kind}, got {value!r}; omit it, or choose one of "
                f"{sorted(WITH_CHECKPOINT)}"
            )
    return ANSWERERS[name](cache)


def _load(
    name: str,
    checkpoint: str,
    settings: ModelSettings,
    fusion: FusionSettings,
    cache: GeometryCache,
) -> Answerer:
    try:
        return ANSWERERS[name](checkpoint, settings, fusion, cache)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"answerer {name!r} needs PyTorch and transformers ({error}); install them with: "
            f"{install_command('model')}; the answerer 'geometric' needs neither"
        ) from error
    except ImportError as error:
        # Says itself what is missing and how to install it.
        raise ValueError(f"answerer {name!r} cannot be loaded: {error}") from error
    except SpatialError as error:
        raise ValueError(f"checkpoint {checkpoint!r} cannot be used: {error}") from error
    except OSError as error:
        raise ValueError(
            f"checkpoint {checkpoint!r} cannot be loaded: {error}; give a folder that `smolrgpt "
            "import-checkpoint` or save_pretrained wrote, or a hub id"
        ) from error
