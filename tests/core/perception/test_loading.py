"""What cannot be loaded says what was expected, what came, and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from smolrgpt_core.perception.captions import load_image_text_model
from smolrgpt_core.perception.depth import load_depth_estimator
from smolrgpt_core.perception.detection import load_box_detector
from smolrgpt_core.perception.masks import load_box_segmenter
from smolrgpt_core.perception.segmentation import load_segmenter

LOADERS = [
    load_depth_estimator,
    load_box_detector,
    load_box_segmenter,
    load_segmenter,
    load_image_text_model,
]


@pytest.fixture
def copy(checkpoint, tmp_path) -> Path:
    """A depth model that may be damaged."""
    return Path(shutil.copytree(checkpoint("glpn"), tmp_path / "copy"))


@pytest.mark.parametrize("load", LOADERS)
def test_a_folder_that_is_not_there_is_named(load, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no such folder: .*nothing"):
        load(tmp_path / "nothing")


@pytest.mark.parametrize("load", LOADERS)
def test_a_hub_id_that_cannot_be_reached_is_named(load, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match=r"folder with a config.json or a hub id .*'nobody/nothing'"):
        load("nobody/nothing")


@pytest.mark.parametrize("load", LOADERS)
def test_a_folder_without_a_configuration_is_named(load, tmp_path) -> None:
    with pytest.raises((OSError, ValueError), match=str(tmp_path)):
        load(tmp_path)


@pytest.mark.parametrize("load", LOADERS[1:])
def test_a_checkpoint_for_another_task_is_refused(load, checkpoint) -> None:
    with pytest.raises(ValueError, match=r"must be a checkpoint of type .* is of type 'glpn'"):
        load(checkpoint("glpn"))


def test_missing_weights_are_not_drawn_at_random(copy) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights["head.head.2.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 of GLPN.*, such as head.head.2.weight"):
        load_depth_estimator(copy)


def test_a_model_of_boxes_is_no_model_of_masks(checkpoint) -> None:
    with pytest.raises(ValueError, match="must come with all its weights"):
        load_segmenter(checkpoint("detr_of_boxes"))


def test_pickled_weights_are_refused(copy) -> None:
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(OSError, match="must be safetensors"):
        load_depth_estimator(copy)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_named(checkpoint) -> None:
    with pytest.raises(ValueError, match="device must be auto or one that this PyTorch can use"):
        load_depth_estimator(checkpoint("glpn"), "cuda")
