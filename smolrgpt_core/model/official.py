"""Import of checkpoints in the layout that SmolRGPT's authors released.

Reads a folder, a tar file or a hub id; writes a folder that `from_pretrained` loads. All or
nothing: names and shapes are compared before a weight is read, the result is written to a temporary
folder and renamed. Only safetensors are read, and only two files of a tar file. The layout is
that of the released code.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoTokenizer, GenerationConfig
from transformers.utils import cached_file

from smolrgpt_core.files import read_json_object
from smolrgpt_core.model.configuration_smolrgpt import SmolRGPTConfig
from smolrgpt_core.model.modeling_smolrgpt import SmolRGPTForConditionalGeneration
from smolrgpt_core.model.processing_smolrgpt import SmolRGPTProcessor

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
STAGES = ("connector_alignment", "refiner_alignment", "mixed", "sft")
"""Training stages of released checkpoints, in order."""

RELEASED_MAX_NEW_TOKENS = 120
"""Length limit of an answer in the released scripts."""

_IGNORED_KEYS = {"decoder.rotary_embd.inv_freq"}
"""A buffer that follows from the configuration."""

_HEAD = "decoder.head.weight"
_EMBEDDING = "decoder.token_embedding.weight"
_QKV = {"q": 0, "k": 1, "v": 2}

_VISION = r"model\.vision_model\.(?:vision_model\.)?"
_VISION_LAYER = _VISION + r"encoder\.layers\.(\d+)\."
_TEXT_LAYER = r"model\.language_model\.layers\.(\d+)\."
_RENAMES: tuple[tuple[str, str], ...] = (
    (_VISION + r"embeddings\.patch_embedding\.(\w+)", r"vision_encoder.patch_embedding.conv.\1"),
    (
        _VISION + r"embeddings\.position_embedding\.weight",
        "vision_encoder.patch_embedding.position_embedding",
    ),
    (_VISION_LAYER + r"layer_norm([12])\.(\w+)", r"vision_encoder.blocks.\1.ln\2.\3"),
    (_VISION_LAYER + r"self_attn\.[qkv]_proj\.(\w+)", r"vision_encoder.blocks.\1.attn.qkv_proj.\2"),
    (_VISION_LAYER + r"self_attn\.out_proj\.(\w+)", r"vision_encoder.blocks.\1.attn.out_proj.\2"),
    (_VISION_LAYER + r"mlp\.(fc[12]\.\w+)", r"vision_encoder.blocks.\1.mlp.\2"),
    (_VISION + r"post_layernorm\.(\w+)", r"vision_encoder.layer_norm.\1"),
    (_TEXT_LAYER + r"self_attn\.([qkv]_proj\.weight)", r"decoder.blocks.\1.attn.\2"),
    (_TEXT_LAYER + r"self_attn\.o_proj\.weight", r"decoder.blocks.\1.attn.out_proj.weight"),
    (_TEXT_LAYER + r"mlp\.(\w+\.weight)", r"decoder.blocks.\1.mlp.\2"),
    (_TEXT_LAYER + r"input_layernorm\.weight", r"decoder.blocks.\1.norm1.weight"),
    (_TEXT_LAYER + r"post_attention_layernorm\.weight", r"decoder.blocks.\1.norm2.weight"),
    (r"model\.language_model\.norm\.weight", "decoder.norm.weight"),
    (r"model\.language_model\.embed_tokens\.weight", _EMBEDDING),
    (r"lm_head\.weight", _HEAD),
    (r"model\.connectors\.rgb\.projection\.weight", "MP.proj.weight"),
    (r"model\.connectors\.depth\.projection\.weight", "MP_depth.proj.weight"),
)
_REFINER = re.compile(r"model\.refiners\.(\w+)\.levels\.(\d+)\.(norm\.)?(\w+)")
_REFINER_WEIGHT = re.compile(r"model\.refiners\.\w+\.levels\.\d+\.weight")


@dataclass(frozen=True)
class ImportReport:
    """What an import found and wrote.

    Attributes:
        source: the folder, tar file member or hub id that was read.
        destination: the folder that was written.
        stage: training stage of the checkpoint, one of `STAGES`, as stated in its configuration.
        parameters: number of parameters, a tied head counted once.
        sizes: of the parts, by name.
        dtype: of the weights.
        tokenizer: folder or hub id of the tokenizer.
        ignored: keys that were skipped because they follow from others.
        others: other checkpoints that the source holds.
    """

    source: str
    destination: Path
    stage: str
    parameters: int
    sizes: Mapping[str, int]
    dtype: str
    tokenizer: str
    ignored: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class _Checkpoint:
    """A checkpoint in the released layout: where it lies, and its configuration."""

    name: str
    values: Mapping[str, Any]

    @property
    def stage(self) -> str:
        return str(self.values.get("stage", "unknown"))


def import_checkpoint(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    tokenizer: str | os.PathLike | None = None,
    stage: str | None = None,
) -> ImportReport:
    """Convert a checkpoint of the authors to this library's layout.

    Args:
        source: folder with `config.json` and `model.safetensors`, a tar file (or folder) that holds
            one or more such folders, or a hub id.
        destination: folder to write; must not exist, or be empty.
        tokenizer: folder or hub id; by default what the checkpoint's configuration names, looked
            for beside it first.
        stage: which checkpoint of several, one of `STAGES`; by default the last stage.

    Raises:
        ValueError: with a list, when a key is missing, extra or of another shape, and when source,
            configuration or tokenizer cannot be used. Nothing is written then.
    """
    target = Path(destination)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} exists already; name a folder that does not, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as work:
        folder, checkpoint, others = _fetch(str(source), Path(work), stage)
        config = read_official_config(checkpoint.values)
        tokenizer_name = str(tokenizer or _default_tokenizer(checkpoint.values, folder))
        processor = SmolRGPTProcessor(_load_tokenizer(tokenizer_name), config)
        state, ignored = read_official_weights(folder / WEIGHTS_FILE, config)
        model = _build(config, state, processor.tokenizer)
        model.save_pretrained(Path(work, "out"))
        processor.save_pretrained(Path(work, "out"))
        os.replace(Path(work, "out"), target)
    return ImportReport(
        source=checkpoint.name,
        destination=target,
        stage=checkpoint.stage,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        sizes=_sizes(model),
        dtype=str(model.dtype).removeprefix("torch."),
        tokenizer=tokenizer_name,
        ignored=ignored,
        others=others,
    )


def read_official_config(values: Mapping[str, Any]) -> SmolRGPTConfig:
    """The configuration that a released `config.json` describes.

    Raises:
        ValueError: naming the keys that are missing, or a value that this model has no place for.
    """
    missing = sorted(_CONFIG_KEYS - values.keys())
    if missing:
        raise ValueError(
            f"{CONFIG_FILE} is not of the released layout, it lacks {', '.join(missing)}"
        )
    if values["vit_cls_flag"] or values["lm_attn_scaling"] != 1:
        raise ValueError(
            "vit_cls_flag must be false and lm_attn_scaling 1, as released, got "
            f"{values['vit_cls_flag']} and {values['lm_attn_scaling']}"
        )
    tokens = values["vlm_extra_tokens"]
    ids = {name: values["lm_base_vocab_size"] + place for place, name in enumerate(tokens)}
    config = SmolRGPTConfig(
        vision_config=_vision_config(values),
        text_config=_text_config(values),
        pixel_shuffle_factor=values["mp_pixel_shuffle_factor"],
        chat_template=values["lm_chat_template"],
        tie_word_embeddings=values["lm_tie_weights"],
        **{name: tokens[name] for name in _TOKEN_NAMES},
        **{f"{name}_id": ids[name] for name in _TOKEN_NAMES},
    )
    if config.num_image_tokens != values["mp_image_token_length"]:
        raise ValueError(
            f"mp_image_token_length is {values['mp_image_token_length']}, but image, patch and "
            f"pixel shuffle sizes give {config.num_image_tokens}"
        )
    return config


def read_official_weights(
    path: Path, config: SmolRGPTConfig
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Weights of a released file under this library's names, and the keys that were skipped.

    Raises:
        ValueError: with a list of all keys that are missing, extra or of another shape.
    """
    with torch.device("meta"):
        wanted = SmolRGPTForConditionalGeneration(config).state_dict()
    tied = config.tie_word_embeddings
    if tied:
        wanted.pop("lm_head.weight")
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            names = {key: _official_name(key) for key in wanted}
            embedding = _HEAD if tied and _HEAD in shapes else _EMBEDDING
            names["model.language_model.embed_tokens.weight"] = embedding
            _check_keys(_official_shapes(wanted, names), shapes, tied)
            if tied and {_HEAD, _EMBEDDING} <= shapes.keys():
                _check_tied(file.get_tensor(_HEAD), file.get_tensor(_EMBEDDING))
            state = {
                key: _take(file.get_tensor(name), key, tuple(wanted[key].shape))
                for key, name in names.items()
            }
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    return state, tuple(sorted(shapes.keys() - set(names.values())))


_TOKEN_NAMES = ("image_token", "mask_rgb_token", "mask_depth_token")
_CONFIG_KEYS = {
    "vit_hidden_dim", "vit_inter_dim", "vit_patch_size", "vit_img_size", "vit_n_heads",
    "vit_n_blocks", "vit_ln_eps", "vit_cls_flag", "lm_hidden_dim", "lm_inter_dim", "lm_rms_eps",
    "lm_re_base", "lm_max_position_embeddings", "lm_base_vocab_size", "lm_vocab_size", "lm_n_heads",
    "lm_n_kv_heads", "lm_n_blocks", "lm_attn_scaling", "lm_tie_weights", "lm_tokenizer",
    "lm_chat_template", "mp_pixel_shuffle_factor", "mp_image_token_length", "vlm_extra_tokens",
}  # fmt: skip


def _vision_config(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model_type": "siglip_vision_model",
        "vision_use_head": False,
        "hidden_size": values["vit_hidden_dim"],
        "intermediate_size": values["vit_inter_dim"],
        "num_hidden_layers": values["vit_n_blocks"],
        "num_attention_heads": values["vit_n_heads"],
        "image_size": values["vit_img_size"],
        "patch_size": values["vit_patch_size"],
        "layer_norm_eps": values["vit_ln_eps"],
    }


def _text_config(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "vocab_size": values["lm_vocab_size"],
        "hidden_size": values["lm_hidden_dim"],
        "intermediate_size": values["lm_inter_dim"],
        "num_hidden_layers": values["lm_n_blocks"],
        "num_attention_heads": values["lm_n_heads"],
        "num_key_value_heads": values["lm_n_kv_heads"],
        "max_position_embeddings": values["lm_max_position_embeddings"],
        "rms_norm_eps": values["lm_rms_eps"],
        "rope_parameters": {"rope_type": "default", "rope_theta": float(values["lm_re_base"])},
        "tie_word_embeddings": values["lm_tie_weights"],
    }


def _official_name(key: str) -> str:
    """Released name of a weight; query, key and value of the vision encoder share one."""
    refiner = _REFINER.fullmatch(key)
    if refiner:
        modality, level, part, kind = refiner.groups()
        # The released list counts convolution, norm and activation of each level.
        place = 3 * int(level) + (part is not None)
        return f"{modality}_refiner.refiner.{place}.{kind}"
    for pattern, name in _RENAMES:
        match = re.fullmatch(pattern, key)
        if match:
            return match.expand(name)
    raise ValueError(f"{key} has no counterpart in the released layout")


def _stacked_part(key: str) -> int | None:
    """Which third of a stacked projection a weight is, None for a weight of its own."""
    match = re.fullmatch(_VISION_LAYER + r"self_attn\.([qkv])_proj\.\w+", key)
    return _QKV[match.group(2)] if match else None


def _official_shapes(
    wanted: Mapping[str, torch.Tensor], names: Mapping[str, str]
) -> dict[str, tuple[int, ...]]:
    """Shape that each released weight must have."""
    shapes = {}
    for key, name in names.items():
        shape = tuple(wanted[key].shape)
        if _stacked_part(key) is not None:
            shape = (3 * shape[0], *shape[1:])
        elif name.endswith("position_embedding"):
            shape = (1, *shape)
        elif _REFINER_WEIGHT.fullmatch(key):
            shape = (shape[0], shape[3], *shape[1:3])
        shapes[name] = shape
    return shapes


def _check_keys(
    wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], tied: bool
) -> None:
    allowed = _IGNORED_KEYS | ({_HEAD, _EMBEDDING} if tied else set())
    problems = [
        *(f"missing: {key} {wanted[key]}" for key in sorted(wanted.keys() - found.keys())),
        *(f"extra: {key} {found[key]}" for key in sorted(found.keys() - wanted.keys() - allowed)),
        *(
            f"{key}: file has {found[key]}, the configuration wants {wanted[key]}"
            for key in sorted(wanted.keys() & found.keys())
            if wanted[key] != found[key]
        ),
    ]
    if problems:
        raise ValueError(
            f"{WEIGHTS_FILE} does not fit its {CONFIG_FILE}, nothing was imported:\n  "
            + "\n  ".join(problems)
        )


def _check_tied(head: torch.Tensor, embedding: torch.Tensor) -> None:
    if not torch.equal(head, embedding):
        raise ValueError(
            f"lm_tie_weights is true, but {_HEAD} and {_EMBEDDING} differ; the checkpoint is broken"
        )


def _take(tensor: torch.Tensor, key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The weight `key` out of the released tensor that holds it."""
    part = _stacked_part(key)
    if part is not None:
        tensor = tensor.chunk(3)[part]
    if _REFINER_WEIGHT.fullmatch(key):
        # Ours is the order in memory of the kernels, see RefinerLevel.
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.reshape(shape).clone()


def _build(
    config: SmolRGPTConfig, state: dict[str, torch.Tensor], tokenizer: Any
) -> SmolRGPTForConditionalGeneration:
    """The model with these weights; nothing is initialized in between."""
    text = config.text_config
    text.bos_token_id = tokenizer.bos_token_id
    text.eos_token_id = tokenizer.eos_token_id
    text.pad_token_id = tokenizer.pad_token_id
    with torch.device("meta"):
        model = SmolRGPTForConditionalGeneration(config)
    if config.tie_word_embeddings:
        state = {**state, "lm_head.weight": state["model.language_model.embed_tokens.weight"]}
    model.load_state_dict(state, strict=True, assign=True)
    model.tie_weights()
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
        max_new_tokens=RELEASED_MAX_NEW_TOKENS,
    )
    return model


def _sizes(model: SmolRGPTForConditionalGeneration) -> dict[str, int]:
    config = model.config
    parts = {
        f"parameters of the {name.replace('_', ' ')}": sum(p.numel() for p in part.parameters())
        for name, part in model.model.named_children()
    }
    return {
        **parts,
        "vision layers": config.vision_config.num_hidden_layers,
        "vision width": config.vision_config.hidden_size,
        "text layers": config.text_config.num_hidden_layers,
        "text width": config.text_config.hidden_size,
        "vocabulary": config.text_config.vocab_size,
        "image size": config.image_size,
        "image tokens": config.num_image_tokens,
        "refined grid": config.refined_grid,
    }


def _default_tokenizer(values: Mapping[str, Any], folder: Path) -> str:
    beside = folder / values["lm_tokenizer"]
    return str(beside) if beside.is_dir() else str(values["lm_tokenizer"])


def _load_tokenizer(name: str) -> Any:
    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the tokenizer {name} cannot be loaded; give the folder or hub id of the language "
            f"model's tokenizer (--tokenizer): {error}"
        ) from error


def _fetch(source: str, work: Path, stage: str | None) -> tuple[Path, _Checkpoint, tuple[str, ...]]:
    """Folder, configuration and siblings of the checkpoint to import."""
    if Path(source).is_dir():
        found = {
            path.parent: read_json_object(path)
            for path in sorted(Path(source).rglob(CONFIG_FILE))
            if (path.parent / WEIGHTS_FILE).is_file()
        }
        chosen, others = _choose(source, {str(path): found[path] for path in found}, stage)
        return Path(chosen.name), chosen, others
    if Path(source).is_file():
        return _fetch_from_tar(source, work / "source", stage)
    try:
        paths = [cached_file(source, name) for name in (CONFIG_FILE, WEIGHTS_FILE)]
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{source} is neither a folder, nor a tar file, nor a hub id that can be fetched: "
            f"{error}"
        ) from error
    config = Path(str(paths[0]))
    chosen, others = _choose(source, {source: read_json_object(config)}, stage)
    return config.parent, chosen, others


def _fetch_from_tar(
    source: str, folder: Path, stage: str | None
) -> tuple[Path, _Checkpoint, tuple[str, ...]]:
    """Copy the two files of one checkpoint out of a tar file, under names of our own.

    No name in the file decides where something is written; links and devices are not followed.
    """
    try:
        with tarfile.open(source) as archive:
            files = {member.name: member for member in archive if member.isfile()}
            unsafe = [name for name in files if _leaves_its_folder(name)]
            if unsafe:
                raise ValueError(f"{source} holds files outside its folder: {', '.join(unsafe)}")
            configs = {
                name: _read_json(archive, member)
                for name, member in files.items()
                if PurePosixPath(name).name == CONFIG_FILE
                and str(PurePosixPath(name).with_name(WEIGHTS_FILE)) in files
            }
            chosen, others = _choose(source, configs, stage)
            folder.mkdir()
            weights = files[str(PurePosixPath(chosen.name).with_name(WEIGHTS_FILE))]
            with (
                _open_member(archive, weights) as member,
                (folder / WEIGHTS_FILE).open("wb") as copy,
            ):
                shutil.copyfileobj(member, copy)
    except tarfile.TarError as error:
        raise ValueError(f"{source} is not a tar file: {error}") from error
    return folder, _Checkpoint(f"{source}:{chosen.name}", chosen.values), others


def _leaves_its_folder(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts


def _open_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is not a file")
    return file


def _read_json(archive: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    with _open_member(archive, member) as file:
        content = json.loads(file.read())
    if not isinstance(content, dict):
        raise ValueError(f"{member.name}: expected an object {{...}}, got {content!r:.40}")
    return content


def _choose(
    source: str, configs: Mapping[str, Mapping[str, Any]], stage: str | None
) -> tuple[_Checkpoint, tuple[str, ...]]:
    """The checkpoint of the wanted or last stage, and the names of the others."""
    found = [_Checkpoint(name, values) for name, values in configs.items()]
    listed = ", ".join(f"{checkpoint.name} ({checkpoint.stage})" for checkpoint in found) or "none"
    fitting = [checkpoint for checkpoint in found if stage in (None, checkpoint.stage)]
    if not fitting:
        raise ValueError(
            f"{source} holds no checkpoint ({CONFIG_FILE} beside {WEIGHTS_FILE})"
            f"{f' of stage {stage}' if stage else ''}; found: {listed}"
        )
    last = max(_stage_rank(checkpoint) for checkpoint in fitting)
    best = [checkpoint for checkpoint in fitting if _stage_rank(checkpoint) == last]
    if len(best) > 1:
        raise ValueError(f"{source} holds several checkpoints, name one of: {listed}")
    return best[0], tuple(other.name for other in found if other is not best[0])


def _stage_rank(checkpoint: _Checkpoint) -> int:
    return STAGES.index(checkpoint.stage) if checkpoint.stage in STAGES else -1
