"""Training configurations as files."""

from pathlib import Path

import pytest
import yaml

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.training.config import PARTS, TrainConfig
from smolrgpt_core.training.config_file import read_config, write_config

SHIPPED = sorted((Path(__file__).parents[3] / "config" / "train").glob("*.yaml"))
SMALL = {
    "output": "out",
    "start": {"preset": "smolrgpt-nano", "overrides": {"text_config": {"num_hidden_layers": 2}}},
    "trainable": {"language_model": 1e-3, "metric_branch": 1},
    "data": {"sources": [{"kind": "warehouse", "root": "here"}], "styles": {"short": 1}},
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "stage.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_can_be_read_and_name_only_what_exists(path):
    config = read_config(path)
    assert set(config.trainable) <= set(PARTS)
    assert config.data.sources


def test_the_paper_s_stages_are_among_them():
    names = {path.stem for path in SHIPPED}
    assert {"stage1_rgb_connector", "stage2_region_warmup", "stage3_warehouse"} <= names
    rates = {path.stem: set(read_config(path).trainable.values()) for path in SHIPPED}
    assert rates["stage1_rgb_connector"] == rates["stage2_region_warmup"] == {1e-4}
    assert rates["stage3_warehouse"] == {5e-5}
    for path in SHIPPED:
        assert "vision_encoder" not in read_config(path).trainable or "nano" in path.stem


def test_values_of_file_and_command_line_replace_the_defaults(file):
    config = read_config(
        file,
        ["optimizer.steps=7", "data.sources.0.root=there", "validation.source={kind: x, root: y}",
         "start.overrides.text_config.num_hidden_layers=3", "precision=bfloat16"],
    )  # fmt: skip
    assert config.optimizer.steps == 7
    assert config.optimizer.batch_rows == 32
    assert config.data.sources[0].root == "there"
    assert config.validation.source is not None
    assert config.validation.source.kind == "x"
    assert config.start.overrides["text_config"]["num_hidden_layers"] == 3
    assert config.trainable == {"language_model": 1e-3, "metric_branch": 1.0}
    assert isinstance(config.trainable["metric_branch"], float)


@pytest.mark.parametrize(
    ("text", "value"), [("1e-4", 1e-4), ("5E+0", 5.0), ("2", 2.0), ("0.5", 0.5), ("1.0e-3", 1e-3)]
)
def test_numbers_are_written_as_people_write_them(file, text, value):
    changed = read_config(file, [f"trainable.language_model={text}"])
    assert changed.trainable["language_model"] == value
    file.write_text(file.read_text().replace("metric_branch: 1", f"metric_branch: {text}"))
    assert read_config(file).trainable["metric_branch"] == value


def test_what_is_written_is_what_was_read(file, tmp_path):
    config = read_config(file, ["optimizer.epochs=3", "trainable.language_model=1e-5"])
    write_config(config, tmp_path / "again.yaml")
    assert read_config(tmp_path / "again.yaml") == config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optimiser.steps=7", "unknown key `optimiser`; known keys are: output, start"),
        ("optimizer.step=7", "unknown key `optimizer.step`"),
        ("optimizer.steps=many", "`optimizer.steps` must be int, got 'many'"),
        ("optimizer.steps=true", "`optimizer.steps` must be int, got True"),
        ("data.sources.1.root=x", "expected a number below 1, got '1'"),
        ("data.sources=nothing", "`data.sources` must be a list"),
        ("data.sources=[]", "data.sources must name at least one data set"),
        ("trainable={wheels: 0.1}", "trainable must be one of vision_encoder"),
        ("start.checkpoint=x", "exactly one of checkpoint, preset"),
        ("optimizer.batch_rows=7", "multiple of optimizer.micro_rows, got 7 and 8"),
        (
            "data.styles={poem: 1.0}",
            "data.styles must be one of sentence, short, steps, got 'poem'",
        ),
        ("precision=int8", "precision must be one of auto, float32"),
        ("data={}", "missing key `data.sources`"),
        ("steps", "expected key=value"),
        ("seed={", "the value of 'seed={': expected YAML"),
        ("seed=", "`seed` must be int, got None"),
        ("trainable.language_model=fast", "`trainable.language_model` must be float, got 'fast'"),
        ('trainable.language_model="1e-4"', "`trainable.language_model` must be float"),
        ("seed.x=1", "`seed.x`: 1 is neither a mapping"),
    ],
)
def test_what_is_wrong_is_named(file, change, words):
    entries = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**entries, "seed": 1}))
    with pytest.raises(SpatialError) as refused:
        read_config(file, [change])
    assert str(file) in refused.value.message
    assert words in refused.value.message


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("output: [")
    with pytest.raises(SpatialError, match=r"broken\.yaml: expected YAML"):
        read_config(path)
    path.write_text("")
    with pytest.raises(SpatialError, match="missing key `output`"):
        read_config(path)


def test_defaults_are_those_of_the_dataclasses(file):
    config = read_config(file)
    assert config == TrainConfig(
        output="out", start=config.start, trainable=config.trainable, data=config.data
    )
