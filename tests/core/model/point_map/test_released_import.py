"""Checkpoints of HiSpatial's authors become folders that `from_pretrained` loads."""

import shutil

import pytest
import torch
import typer
from safetensors.torch import load_file, save_file

from smolrgpt_core.cli.import_checkpoint import import_checkpoint as command
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.model.point_map import PointMapForConditionalGeneration
from smolrgpt_core.model.point_map.released_checkpoint import import_released, is_released


@pytest.fixture
def source(released, tmp_path):
    """A copy that may be spoiled."""
    folder = tmp_path / "source"
    shutil.copytree(released, folder)
    return folder


def test_a_pickle_gives_what_safetensors_give(source, tmp_path):
    report = import_released(source, tmp_path / "first")
    assert report.parameters == sum(report.sizes.values())
    weights = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    torch.save(weights, source / "weights.pt")
    import_released(source, tmp_path / "second")
    files = [folder / "model.safetensors" for folder in (tmp_path / "first", tmp_path / "second")]
    assert files[0].read_bytes() == files[1].read_bytes()


class Spoiled:
    """Something that a pickle could run."""


def test_a_pickle_of_anything_else_is_refused(source, tmp_path):
    (source / "model.safetensors").unlink()
    torch.save({"weight": Spoiled()}, source / "weights.pt")
    with pytest.raises(ValueError, match=r"holds more than tensors.*Spoiled"):
        import_released(source, tmp_path / "imported")
    torch.save({"weight": 3}, source / "weights.pt")
    with pytest.raises(ValueError, match="expected tensors only, got others under weight"):
        import_released(source, tmp_path / "imported")
    (source / "weights.pt").write_bytes(b"no pickle")
    with pytest.raises(ValueError, match="damaged"):
        import_released(source, tmp_path / "imported")
    assert not (tmp_path / "imported").exists()


def test_keys_that_do_not_fit_are_listed(source, tmp_path):
    weights = load_file(source / "model.safetensors")
    weights["depth_encoder.conv.bias"] = torch.zeros(5)
    weights["surplus"] = torch.zeros(1)
    del weights["multi_modal_projector.linear.bias"]
    save_file(weights, source / "model.safetensors")
    with pytest.raises(ValueError, match="nothing was imported") as caught:
        import_released(source, tmp_path / "imported")
    message = str(caught.value)
    assert "missing: vlm.model.multi_modal_projector.linear.bias" in message
    assert "extra: surplus" in message
    assert "point_encoder.conv.bias: file has (5,), the configuration wants (12,)" in message
    assert not (tmp_path / "imported").exists()


def test_nothing_is_overwritten(source, tmp_path):
    (tmp_path / "imported").mkdir()
    with pytest.raises(SpatialError, match="already exists"):
        import_released(source, tmp_path / "imported")


def test_released_layouts_are_distinguished(released, tmp_path):
    assert is_released(released)
    assert not is_released(released.parent / "official_tiny")
    assert not is_released(tmp_path)
    assert not is_released(tmp_path / "nowhere")


def test_the_command_imports_it(released, tmp_path, capsys):
    command(str(released), tmp_path / "imported")
    assert "527,152" in capsys.readouterr().out
    assert PointMapForConditionalGeneration.from_pretrained(tmp_path / "imported")
    with pytest.raises(typer.Exit):
        command(str(tmp_path / "nowhere"), tmp_path / "second")
    assert "neither a folder, nor a tar file, nor a hub id" in capsys.readouterr().err
