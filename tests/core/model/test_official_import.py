"""Import of checkpoints in the authors' layout: from folders and tar files, all or nothing."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest
import torch
import typer
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from smolrgpt_core.cli.import_checkpoint import import_checkpoint as command
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.official import import_checkpoint

from ..hub_server import hub_server


@pytest.fixture
def source(official, tmp_path):
    """A copy of the checkpoint that may be changed."""
    return shutil.copytree(official, tmp_path / "source")


def change_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def change_weights(folder, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def make_tar(path, **folders):
    with tarfile.open(path, "w") as archive:
        for name, folder in folders.items():
            for file in ("config.json", "model.safetensors"):
                archive.add(folder / file, f"weights/{name}/{file}")
    return path


def assert_nothing_written(destination):
    assert not destination.exists()
    assert [name for name in os.listdir(destination.parent) if name.startswith(".")] == []


def test_the_report_says_what_was_found(official, tmp_path):
    report = import_checkpoint(official, tmp_path / "out")
    assert report.stage == "sft"
    assert report.parameters == 308016
    assert report.sizes["text layers"] == 3
    assert report.sizes["image tokens"] == 16
    assert report.dtype == "float32"
    assert report.ignored == ("decoder.rotary_embd.inv_freq",)
    assert report.others == ()
    assert sorted(os.listdir(tmp_path)) == ["out"]


def test_what_is_written_loads_with_its_tokenizer(official, tmp_path):
    import_checkpoint(official, tmp_path / "out")
    model = SmolRGPTForConditionalGeneration.from_pretrained(tmp_path / "out")
    processor = SmolRGPTProcessor.from_pretrained(tmp_path / "out")
    assert model.generation_config.eos_token_id == processor.tokenizer.eos_token_id == 2
    assert (
        model.config.chat_template
        == json.loads((official / "config.json").read_text())["lm_chat_template"]
    )
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 308016


@pytest.mark.parametrize("present", [["head"], ["embedding"], ["head", "embedding"]])
def test_a_tied_head_may_be_stored_under_either_name(source, official, tmp_path, present):
    names = {"head": "decoder.head.weight", "embedding": "decoder.token_embedding.weight"}

    def store(weights):
        head = weights.pop(names["head"])
        weights.update({names[name]: head.clone() for name in present})

    change_weights(source, store)
    import_checkpoint(source, tmp_path / "out")
    model = SmolRGPTForConditionalGeneration.from_pretrained(tmp_path / "out")
    head = load_file(official / "model.safetensors")["decoder.head.weight"]
    assert torch.equal(model.lm_head.weight, head)
    assert torch.equal(model.get_input_embeddings().weight, head)


def test_an_untied_head_stays_apart(source, tmp_path):
    change_config(source, lm_tie_weights=False)
    embedding = torch.rand(357, 64)
    change_weights(source, lambda w: w.update({"decoder.token_embedding.weight": embedding}))
    import_checkpoint(source, tmp_path / "out")
    model = SmolRGPTForConditionalGeneration.from_pretrained(tmp_path / "out")
    assert torch.equal(model.get_input_embeddings().weight, embedding)
    assert not torch.equal(model.lm_head.weight, embedding)


def test_tied_weights_that_differ_are_refused(source, tmp_path):
    change_weights(
        source, lambda w: w.update({"decoder.token_embedding.weight": torch.zeros(357, 64)})
    )
    with pytest.raises(ValueError, match="differ"):
        import_checkpoint(source, tmp_path / "out")
    assert_nothing_written(tmp_path / "out")


def test_every_key_that_does_not_fit_is_listed(source, tmp_path):
    def spoil(weights):
        del weights["MP_depth.proj.weight"]
        del weights["decoder.head.weight"]
        weights["sonar_refiner.refiner.0.bias"] = torch.zeros(4)
        weights["rgb_refiner.refiner.1.weight"] = torch.zeros(3)

    change_weights(source, spoil)
    with pytest.raises(ValueError, match="nothing was imported") as caught:
        import_checkpoint(source, tmp_path / "out")
    assert str(caught.value).splitlines()[1:] == [
        "  missing: MP_depth.proj.weight (64, 192)",
        "  missing: decoder.token_embedding.weight (357, 64)",
        "  extra: sonar_refiner.refiner.0.bias (4,)",
        "  rgb_refiner.refiner.1.weight: file has (3,), the configuration wants (64,)",
    ]
    assert_nothing_written(tmp_path / "out")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vit_cls_flag": True}, "vit_cls_flag"),
        ({"lm_attn_scaling": 0.5}, "lm_attn_scaling"),
        ({"mp_image_token_length": 64}, "mp_image_token_length"),
        ({"lm_tokenizer": "/no/such/tokenizer"}, "--tokenizer"),
        ({"lm_base_vocab_size": 300}, "tokenizer"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(source, tmp_path, values, message):
    change_config(source, **values)
    with pytest.raises(ValueError, match=message):
        import_checkpoint(source, tmp_path / "out")
    assert_nothing_written(tmp_path / "out")


def test_keys_missing_from_the_configuration_are_named(source, tmp_path):
    path = source / "config.json"
    values = json.loads(path.read_text())
    del values["lm_n_heads"], values["vit_ln_eps"]
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="lm_n_heads, vit_ln_eps"):
        import_checkpoint(source, tmp_path / "out")


def test_the_tokenizer_may_lie_elsewhere(source, official, tmp_path):
    shutil.rmtree(source / "tokenizer")
    report = import_checkpoint(source, tmp_path / "out", official / "tokenizer")
    assert report.tokenizer == str(official / "tokenizer")


def test_an_existing_destination_is_left_alone(official, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        import_checkpoint(official, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["notes.txt"]


@pytest.mark.parametrize("content", [b"no tar file at all", b""])
def test_a_file_that_is_no_tar_file_is_refused(tmp_path, content):
    (tmp_path / "weights.tar").write_bytes(content)
    with pytest.raises(ValueError, match="tar file"):
        import_checkpoint(tmp_path / "weights.tar", tmp_path / "out")


def test_a_file_that_is_no_safetensors_file_is_refused(source, tmp_path):
    (source / "model.safetensors").write_bytes(b"pickled")
    with pytest.raises(ValueError, match="safetensors"):
        import_checkpoint(source, tmp_path / "out")
    assert_nothing_written(tmp_path / "out")


def test_the_last_or_the_named_stage_of_a_tar_file(official, source, tmp_path):
    change_config(source, stage="refiner_alignment")
    archive = make_tar(tmp_path / "weights.tar", stage2=source, stage3=official)
    tokenizer = official / "tokenizer"
    last = import_checkpoint(archive, tmp_path / "last", tokenizer)
    assert last.stage == "sft"
    assert last.others == ("weights/stage2/config.json",)
    named = import_checkpoint(archive, tmp_path / "named", tokenizer, stage="refiner_alignment")
    assert named.source == f"{archive}:weights/stage2/config.json"
    with pytest.raises(ValueError, match=r"mixed.*stage3/config.json \(sft\)"):
        import_checkpoint(archive, tmp_path / "other", tokenizer, stage="mixed")
    weights = load_file(tmp_path / "last" / "model.safetensors")
    assert torch.equal(
        weights["model.connectors.rgb.projection.weight"],
        load_file(official / "model.safetensors")["MP.proj.weight"],
    )


def test_an_unpacked_tar_file_works_as_well(official, tmp_path):
    shutil.copytree(official, tmp_path / "weights" / "best_warehouse")
    report = import_checkpoint(tmp_path / "weights", tmp_path / "out")
    assert report.source.endswith("best_warehouse")


def test_two_checkpoints_of_one_stage_are_not_guessed_between(official, tmp_path):
    archive = make_tar(tmp_path / "weights.tar", one=official, two=official)
    with pytest.raises(ValueError, match=r"one/config.json.*two/config.json"):
        import_checkpoint(archive, tmp_path / "out", official / "tokenizer")


@pytest.mark.parametrize("name", ["../evil/config.json", "/tmp/evil/config.json"])
def test_a_tar_file_that_leaves_its_folder_is_refused(official, tmp_path, name):
    archive = make_tar(tmp_path / "weights.tar", fine=official)
    with tarfile.open(archive, "a") as opened:
        member = tarfile.TarInfo(name)
        member.size = 2
        opened.addfile(member, io.BytesIO(b"{}"))
    with pytest.raises(ValueError, match="outside its folder"):
        import_checkpoint(archive, tmp_path / "out", official / "tokenizer")
    assert_nothing_written(tmp_path / "out")


def test_links_in_a_tar_file_are_not_followed(official, tmp_path):
    with tarfile.open(tmp_path / "weights.tar", "w") as archive:
        archive.add(official / "config.json", "weights/config.json")
        link = tarfile.TarInfo("weights/model.safetensors")
        link.type, link.linkname = tarfile.SYMTYPE, str(official / "model.safetensors")
        archive.addfile(link)
    with pytest.raises(ValueError, match="holds no checkpoint"):
        import_checkpoint(tmp_path / "weights.tar", tmp_path / "out", official / "tokenizer")


@pytest.fixture
def hub(official):
    """Address of a model hub with one repository, owner/smolrgpt, which holds the checkpoint."""

    def content_of(path: str) -> bytes:
        owner, _, file = path.partition("/smolrgpt/resolve/main/")
        found = owner == "/owner" and (official / file).is_file()
        return (official / file).read_bytes() if found else b""

    with hub_server(content_of) as address:
        yield address


def test_a_hub_id_is_fetched(hub, official, tmp_path):
    command = "import sys; from smolrgpt_core.model.official import import_checkpoint as run; "
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            command + "print(run('owner/smolrgpt', sys.argv[1], sys.argv[2]).parameters)",
            str(tmp_path / "out"),
            str(official / "tokenizer"),
        ],
        env={**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert run.stdout.strip() == "308016", run.stderr
    SmolRGPTProcessor.from_pretrained(tmp_path / "out")


def test_a_source_that_is_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="neither a folder, nor a tar file, nor a hub id"):
        import_checkpoint("/no/such/folder", tmp_path / "out")


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint"):
        import_checkpoint(tmp_path, tmp_path / "out")


def test_the_command_prints_a_table_or_the_reason(official, tmp_path):
    app = typer.Typer()
    app.command()(command)
    arguments = [str(official), str(tmp_path / "out")]
    run = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert run.exit_code == 0
    assert "308,016" in run.stdout
    assert "sft" in run.stdout
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "exists already" in again.output


@pytest.mark.parametrize(
    ("content", "reason"), [("[]", "expected an object"), ("{", "expected JSON")]
)
def test_the_command_says_what_is_wrong_with_a_configuration(source, tmp_path, content, reason):
    (source / "config.json").write_text(content)
    app = typer.Typer()
    app.command()(command)
    run = CliRunner().invoke(app, [str(source), str(tmp_path / "out")])
    assert run.exit_code == 1
    assert f"{source / 'config.json'}: {reason}" in run.output
