"""Models of a benchmark by name: a checkpoint, a server, or an answerer of this package."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from transformers.utils import cached_file

from smolrgpt_core.answerers.registry import make_answerer
from smolrgpt_core.chat_server import ServerSettings
from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.checkpoints.weights import in_folder, weights_files, weights_fingerprint
from smolrgpt_core.inference import EngineConfig, load_engine
from smolrgpt_core.inference.config import AnswerStyle
from smolrgpt_core.inference.loading import model_type_of
from smolrgpt_core.model import SmolRGPTConfig
from smolrgpt_core.model.point_map import PointMapConfig
from smolrgpt_core.perception.captions import ImageTextServer
from smolrgpt_core.perception.depth import load_depth_estimator
from smolrgpt_core.public_benchmarks.frame_models import AnswererModel, DepthSource, EngineModel
from smolrgpt_core.public_benchmarks.models import ModelOptions, WordsModel
from smolrgpt_core.public_benchmarks.names import FUSED, GEOMETRIC, PACKAGED
from smolrgpt_core.public_benchmarks.questions import AnswerMethod
from smolrgpt_core.public_benchmarks.whole_image_model import WholeImageModel, load_zoo_model

ANSWERERS = {GEOMETRIC: "geometric", FUSED: "fused", PACKAGED: "model"}
"""Answerers of this package, which read questions and need metric depth, by the name as a model."""

AnyModel = WordsModel | EngineModel | AnswererModel

WITH_ENGINE = (SmolRGPTConfig.model_type, PointMapConfig.model_type)


def load_benchmark_model(name: str, options: ModelOptions) -> AnyModel:
    """A model by its name.

    Args:
        name: "geometric", "nano" or "fused"; the URL of a server of the OpenAI protocol; else the
            folder or hub id of a checkpoint: SmolRGPT, a point-map model, or any image-text model
            of transformers.
        options: how to ask it.

    Raises:
        OSError, ValueError: when there is no such checkpoint, it is of another kind, or an option
            does not fit it.
        ImportError: when a package is needed and missing.
        SpatialError: MODEL_ERROR when the server cannot be asked for its models.
    """
    is_server = name.startswith(("http://", "https://"))
    if options.answer_form is AnswerMethod.LIKELIHOOD and (
        is_server or name in ANSWERERS or model_type_of(name) in WITH_ENGINE
    ):
        raise ValueError(
            "likelihoods are only available for image-text models of transformers, got "
            f"{name!r}; use --answers words"
        )
    if is_server:
        server = ImageTextServer.connect(ServerSettings(name, **options.server))
        server_facts = server.server.identity()
        about = {"kind": "server", "model": server.server.model, "url": name, **server_facts}
        return WordsModel(server, options, about)
    if options.server:
        raise ValueError(f"options of a server need its URL as the model, got {name!r}")
    depth = _depth_source(options)
    if name in ANSWERERS:
        return _packaged(name, options, depth)
    if model_type_of(name) in WITH_ENGINE:
        return _with_engine(name, options, depth)
    if options.depth_model:
        raise ValueError(f"{name!r} takes only color images; omit the depth model")
    words = load_zoo_model(name, options.device)
    way = "image once, without tiles" if isinstance(words, WholeImageModel) else "its own processor"
    return WordsModel(words, options, {"kind": "transformers", **revision_of(name), "sees": way})


def _with_engine(checkpoint: str, options: ModelOptions, depth: DepthSource) -> EngineModel:
    style = AnswerStyle(max_new_tokens=options.max_new_tokens)
    engine = load_engine(checkpoint, EngineConfig(device=options.device, sentence=style))
    config = engine.model_config
    about = {"kind": str(config.model_type), **revision_of(checkpoint)}
    return EngineModel(engine, depth, options, {**about, "style": config.answer_style})


def _packaged(name: str, options: ModelOptions, depth: DepthSource) -> AnswererModel:
    answerer = make_answerer(ANSWERERS[name])
    about = {"kind": "answerer", "model": name}
    if name != GEOMETRIC:
        about |= revision_of(str(NANO)) | {"checkpoint": NANO.name}
    return AnswererModel(answerer, depth, options, about, measures_sides=name == GEOMETRIC)


def _depth_source(options: ModelOptions) -> DepthSource:
    if not options.depth_model:
        return DepthSource()
    estimator = load_depth_estimator(options.depth_model, options.device)
    return DepthSource(estimator, revision_of(options.depth_model))


def revision_of(checkpoint: str) -> dict[str, str]:
    """The name of a checkpoint and the hash of its weights; empty if unknown."""
    find = in_folder(Path(checkpoint))
    if not Path(checkpoint).is_dir():
        find = partial(_on_hub, checkpoint)
    files = weights_files(find)
    sha256 = weights_fingerprint(files) if files else ""
    return {"checkpoint": checkpoint, "weights_sha256": sha256}


def _on_hub(checkpoint: str, name: str) -> Path | None:
    found = cached_file(checkpoint, name, _raise_exceptions_for_missing_entries=False)
    return None if found is None else Path(found)
