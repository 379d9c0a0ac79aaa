"""Tiny models of every family, with random weights, saved to disk as their publishers do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

CLASSES = {0: "pallet", 1: "buffer zone", 2: "forklift"}
WORDS = ("pallet", "buffer", "zone", "fork", "##lift", "truck", "a", "photo", "of", ".", "the",
         "task", "is", "instance", "crate")  # fmt: skip
STAGES: dict[str, Any] = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
SWIN: dict[str, Any] = {
    "image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 1, 1], "window_size": 2,
}  # fmt: skip
DINO: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 16,
    "mlp_ratio": 1, "image_size": 28, "patch_size": 14,
}  # fmt: skip
RESNET: dict[str, Any] = {
    "embedding_size": 8, "hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def on_one_thread(one_thread: None) -> None:
    """For every test of this folder."""


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """Wider than high, with structure at every scale."""
    rows, columns = np.mgrid[:36, :52]
    channels = [rows * 5, columns * 4, (rows // 8 + columns // 8) % 2 * 200]
    return np.stack(channels, axis=-1).astype(np.uint8)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a tiny model by the name of its family, built when it is first asked for."""
    built: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in built:
            folder = tmp_path_factory.mktemp(name)
            torch.manual_seed(0)
            BUILDERS[name](folder)
            built[name] = folder
        return built[name]

    return get


def words_tokenizer(kind: str) -> tf.PreTrainedTokenizerFast:
    """BERT's form of a tokenizer with a handful of words; CLIP's special tokens where it is one."""
    # CLIP reads a text at its largest id, which is that of the end.
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[CLS]", "[UNK]", *WORDS])}
    vocabulary["[SEP]"] = len(vocabulary)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", vocabulary["[SEP]"])]
    )
    inputs = ["input_ids", "attention_mask"] + (["token_type_ids"] if kind == "bert" else [])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        unk_token="[UNK]", model_input_names=inputs,
    )  # fmt: skip


def dinov2() -> tf.PreTrainedConfig:
    blocks: dict[str, Any] = {"out_indices": [1, 2, 3, 4]}
    return tf.Dinov2Config(**DINO, **blocks, reshape_hidden_states=False)


def depth_anything(folder: Path, kind: str = "metric") -> None:
    config = tf.DepthAnythingConfig(
        backbone_config=dinov2(), reassemble_hidden_size=16, neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8, head_hidden_size=4, depth_estimation_type=kind, max_depth=20,
    )  # fmt: skip
    tf.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    tf.DPTImageProcessorPil(
        size={"height": 56, "width": 56}, keep_aspect_ratio=True, ensure_multiple_of=14
    ).save_pretrained(folder)


def depth_pro(folder: Path, has_fov: bool = True) -> None:
    vit = {**DINO, "image_size": 16, "patch_size": 4}
    config = tf.DepthProConfig(
        patch_size=16, fusion_hidden_size=8, intermediate_hook_ids=[3, 1],
        intermediate_feature_dims=[8, 8], scaled_images_ratios=[0.5, 1.0],
        scaled_images_overlap_ratios=[0.0, 0.25], scaled_images_feature_dims=[8, 8],
        merge_padding_value=0, use_fov_model=has_fov, num_fov_head_layers=1,
        image_model_config=tf.Dinov2Config(**vit), patch_model_config=tf.Dinov2Config(**vit),
        fov_model_config=tf.Dinov2Config(**vit),
    )  # fmt: skip
    model = tf.DepthProForDepthEstimation(config)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.abs_()
        if model.fov_model is not None:
            last: Any = model.fov_model.head.layers[-1]
            last.bias.fill_(60.0)
    model.save_pretrained(folder)
    write_processor(folder, "DepthProImageProcessor", 32, 0.5, 0.5)


def zoedepth(folder: Path) -> None:
    beit = tf.BeitConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=8, use_relative_position_bias=True, reshape_hidden_states=False,
        **STAGES,
    )  # fmt: skip
    config = tf.ZoeDepthConfig(
        backbone_config=beit, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
        bottleneck_features=8, num_attractors=[4, 2, 2, 1], bin_embedding_dim=8,
        num_relative_features=4,
        bin_configurations=[{"name": "nyu", "n_bins": 8, "min_depth": 1e-3, "max_depth": 10.0}],
    )  # fmt: skip
    tf.ZoeDepthForDepthEstimation(config).save_pretrained(folder)
    tf.ZoeDepthImageProcessorPil(
        size={"height": 32, "width": 48}, ensure_multiple_of=8
    ).save_pretrained(folder)


def glpn(folder: Path) -> None:
    config = tf.GLPNConfig(hidden_sizes=[8, 8, 8, 8], num_attention_heads=[1, 1, 1, 1],
                           depths=[1, 1, 1, 1], decoder_hidden_size=8)  # fmt: skip
    tf.GLPNForDepthEstimation(config).save_pretrained(folder)
    tf.GLPNImageProcessorPil().save_pretrained(folder)


def dpt(folder: Path) -> None:
    config = tf.DPTConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=8, backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, is_hybrid=False,
    )  # fmt: skip
    tf.DPTForDepthEstimation(config).save_pretrained(folder)
    tf.DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def grounding_dino(folder: Path, prefix: str = "GroundingDino") -> None:
    tokenizer = words_tokenizer("bert")
    stages: dict[str, Any] = {"out_indices": [2, 3, 4]}
    config = getattr(tf, f"{prefix}Config")(
        backbone_config=tf.SwinConfig(**SWIN, **stages),
        text_config=tf.BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=48,
        ),
        num_queries=12, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_attention_heads=2, d_model=32, max_text_len=48,
    )  # fmt: skip
    getattr(tf, f"{prefix}ForObjectDetection")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tf.GroundingDinoImageProcessorPil(
        size={"shortest_edge": 64, "longest_edge": 96}
    ).save_pretrained(folder)


def owl(folder: Path, family: str) -> None:
    tokenizer = words_tokenizer("clip")
    prefix = {"owlvit": "OwlViT", "owlv2": "Owlv2"}[family]
    text = {"vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16,
            "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 16,
            "pad_token_id": 0, "bos_token_id": 1,
            "eos_token_id": tokenizer.sep_token_id}  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "image_size": 32, "patch_size": 8}  # fmt: skip
    config = getattr(tf, f"{prefix}Config")(
        text_config=text, vision_config=vision, projection_dim=16
    )
    getattr(tf, f"{prefix}ForObjectDetection")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = getattr(tf, f"{prefix}ImageProcessorPil")
    processor(size={"height": 32, "width": 32}).save_pretrained(folder)


def sam(folder: Path) -> None:
    vision = {"hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1, "image_size": 64,
              "num_attention_heads": 2, "patch_size": 16, "window_size": 2, "mlp_dim": 16,
              "global_attn_indexes": [0], "num_pos_feats": 8,
              "initializer_range": 0.02}  # fmt: skip
    prompt = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {"hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2,
               "iou_head_hidden_dim": 16}  # fmt: skip
    config = tf.SamConfig(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder
    )
    tf.SamModel(config).save_pretrained(folder)
    image_processor = tf.SamImageProcessorPil(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}
    )
    tf.SamProcessor(image_processor).save_pretrained(folder)


def sam2(folder: Path, family: str = "sam2") -> None:
    hiera = tf.Sam2HieraDetConfig(
        hidden_size=8, num_attention_heads=1, image_size=[64, 64], patch_kernel_size=[7, 7],
        patch_stride=[4, 4], patch_padding=[3, 3], query_stride=[2, 2],
        window_positional_embedding_background_size=[2, 2], num_query_pool_stages=3,
        blocks_per_stage=[1, 1, 1, 1], embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1], window_size_per_stage=[4, 2, 2, 2],
        global_attention_blocks=[],
    )  # fmt: skip
    vision = tf.Sam2VisionConfig(
        backbone_config=hiera, backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]], fpn_hidden_size=16,
        fpn_top_down_levels=[2, 3], num_feature_levels=3,
    )  # fmt: skip
    prompt = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {"hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2,
               "iou_head_hidden_dim": 16}  # fmt: skip
    config = tf.Sam2Config(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder
    )
    tf.Sam2Model(config).save_pretrained(folder)
    if family != "sam2":
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": family}))
    write_processor(folder, "Sam2ImageProcessorFast", 64, 0.4, 0.2)


def write_processor(folder: Path, kind: str, side: int, mean: float, std: float) -> None:
    """The settings file of a processor that needs torchvision, and so cannot be made here."""
    settings = {
        "image_processor_type": kind, "do_resize": True, "do_rescale": True, "do_normalize": True,
        "size": {"height": side, "width": side}, "resample": 2, "rescale_factor": 1 / 255,
        "image_mean": [mean] * 3, "image_std": [std] * 3,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def mask2former(folder: Path) -> None:
    config = tf.Mask2FormerConfig(
        backbone_config=tf.SwinConfig(**SWIN, **STAGES),
        feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16,
        num_queries=6, id2label=CLASSES,
    )  # fmt: skip
    tf.Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    sizes: dict[str, Any] = {
        "size": {"shortest_edge": 64, "longest_edge": 96}, "pad_size": {"height": 96, "width": 128},
    }  # fmt: skip
    tf.Mask2FormerImageProcessorPil(**sizes).save_pretrained(folder)


def maskformer(folder: Path) -> None:
    config = tf.MaskFormerConfig(
        fpn_feature_size=32, mask_feature_size=32, id2label=CLASSES,
        backbone_config=tf.SwinConfig(**SWIN, **STAGES),
        decoder_config=tf.DetrConfig(
            d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=6,
            backbone_config=tf.ResNetConfig(**RESNET),
        ),
    )  # fmt: skip
    tf.MaskFormerForInstanceSegmentation(config).save_pretrained(folder)
    tf.MaskFormerImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(
        folder
    )


def oneformer(folder: Path) -> None:
    tokenizer = words_tokenizer("clip")
    config = tf.OneFormerConfig(
        backbone_config=tf.SwinConfig(**SWIN, **STAGES),
        num_queries=6, task_seq_len=12, text_encoder_width=32, text_encoder_context_length=12,
        text_encoder_num_layers=1, text_encoder_vocab_size=len(tokenizer), text_encoder_n_ctx=2,
        conv_dim=32, mask_dim=32, hidden_dim=32, encoder_feedforward_dim=16, encoder_layers=1,
        decoder_layers=2, num_attention_heads=2, dim_feedforward=16, query_dec_layers=1,
        id2label=CLASSES,
    )  # fmt: skip
    tf.OneFormerForUniversalSegmentation(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tf.OneFormerImageProcessorPil(
        size={"shortest_edge": 64, "longest_edge": 96}, num_text=2
    ).save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    settings = {**json.loads(path.read_text()), "class_info_file": "coco_panoptic.json"}
    path.write_text(json.dumps(settings))


def eomt(folder: Path, prefix: str = "Eomt", is_semantic: bool = False) -> None:
    size = {"intermediate_size": 16} if prefix == "EomtDinov3" else {}
    config = getattr(tf, f"{prefix}Config")(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=16,
        num_blocks=1, num_queries=6, num_register_tokens=1, id2label=CLASSES, num_upscale_blocks=1,
        **size,
    )  # fmt: skip
    getattr(tf, f"{prefix}ForUniversalSegmentation")(config).save_pretrained(folder)
    tf.EomtImageProcessorPil(
        size={"shortest_edge": 64, "longest_edge": 64},
        do_pad=not is_semantic, do_split_image=is_semantic,
    ).save_pretrained(folder)  # fmt: skip


def detr_config() -> tf.DetrConfig:
    return tf.DetrConfig(
        backbone_config=tf.ResNetConfig(**RESNET, **STAGES),
        d_model=64, encoder_layers=1, decoder_layers=1, encoder_attention_heads=8,
        decoder_attention_heads=8, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=6,
        id2label=CLASSES,
    )  # fmt: skip


def detr(folder: Path, has_masks: bool = True) -> None:
    model = tf.DetrForSegmentation if has_masks else tf.DetrForObjectDetection
    model(detr_config()).save_pretrained(folder)
    tf.DetrImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)


CHAT = (
    "{% for message in messages %}{{ message.role }} : {% for part in message.content %}"
    "{{ '<image>' if part.type == 'image' else ' ' + part.text }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %} assistant :{% endif %}"
)


def idefics3(folder: Path, has_chat: bool = True) -> None:
    """The family of SmolVLM, whose own processor is for videos too."""
    tokenizer = words_tokenizer("clip")
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<image>", "<fake_token_around_image>", "<global-img>"]}
    )
    tokenizer.add_tokens(["user", "assistant", ":"])
    llama = {"model_type": "llama", "hidden_size": 16, "intermediate_size": 16,
             "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
             "vocab_size": len(tokenizer), "pad_token_id": 0, "bos_token_id": 1,
             "eos_token_id": tokenizer.sep_token_id}  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "image_size": 32, "patch_size": 8}  # fmt: skip
    tokens: dict[str, Any] = {
        "image_token_id": tokenizer.convert_tokens_to_ids("<image>"), "pad_token_id": 0,
    }  # fmt: skip
    config = tf.Idefics3Config(scale_factor=2, vision_config=vision, text_config=llama, **tokens)
    tf.Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    images = tf.Idefics3ImageProcessorPil(
        size={"longest_edge": 32}, max_image_size={"longest_edge": 32}, do_image_splitting=False
    )
    chat = {"chat_template": CHAT} if has_chat else {}
    tf.Idefics3Processor(images, tokenizer, image_seq_len=4, **chat).save_pretrained(folder)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "depth_anything": depth_anything,
    "depth_anything_relative": lambda folder: depth_anything(folder, "relative"),
    "depth_pro": depth_pro,
    "depth_pro_without_fov": lambda folder: depth_pro(folder, has_fov=False),
    "zoedepth": zoedepth,
    "glpn": glpn,
    "dpt": dpt,
    "grounding-dino": grounding_dino,
    "mm-grounding-dino": lambda folder: grounding_dino(folder, "MMGroundingDino"),
    "owlvit": lambda folder: owl(folder, "owlvit"),
    "owlv2": lambda folder: owl(folder, "owlv2"),
    "sam": sam,
    "sam2": sam2,
    "sam2_video": lambda folder: sam2(folder, "sam2_video"),
    "mask2former": mask2former,
    "maskformer": maskformer,
    "oneformer": oneformer,
    "eomt": eomt,
    "eomt_dinov3": lambda folder: eomt(folder, "EomtDinov3"),
    "eomt_semantic": lambda folder: eomt(folder, is_semantic=True),
    "detr": detr,
    "idefics3": idefics3,
    "idefics3_without_chat": lambda folder: idefics3(folder, has_chat=False),
    "detr_of_boxes": lambda folder: detr(folder, has_masks=False),
}
