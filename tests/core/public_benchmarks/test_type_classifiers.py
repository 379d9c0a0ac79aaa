"""The authors' way to read answers: classifiers of types are trained, saved and used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel
from typer.testing import CliRunner

from smolrgpt_core.chat_server import ChatServer, ServerSettings
from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.public_benchmarks.model_readers import type_classifiers
from smolrgpt_core.public_benchmarks.model_readers.language_model import LanguageModelReader
from smolrgpt_core.public_benchmarks.model_readers.type_classifiers import (
    CATEGORIES,
    ClassifiedReader,
    TypeClassifier,
)

TURNS = {
    "left_right": ("Is <mask> left or right of <mask>?", "It is on the left."),
    "count": ("Count the pallets in <mask>.", "There are 4 pallets."),
    "distance": ("How far is <mask> from <mask>?", "3.2 meters apart."),
    "mcq": ("Which of <mask> <mask> <mask> is nearest?", "[Region 2] is nearest."),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A data set with one wording for each category."""
    records = [
        {"category": name, "conversations": [{"from": "human", "value": question},
                                             {"from": "gpt", "value": answer}]}
        for name, (question, answer) in TURNS.items()
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("types") / "train.json"
    path.write_text(json.dumps(records))
    return path


@pytest.fixture(scope="module")
def trained(data, tiny_vlms) -> Path:
    """Both classifiers, trained by the command on a model that anybody could name."""
    base = data.parent / "base"
    torch.manual_seed(0)
    config = BertConfig(vocab_size=160, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=512)  # fmt: skip
    BertModel(config).save_pretrained(base)
    tiny_vlms.make_tokenizer("smolvlm").save_pretrained(base)
    out = data.parent / "out"
    type_classifiers.main([str(base), "--data", str(data), "--val", str(data), "--out", str(out),
                           "--steps", "60", "--batch", "8", "--rate", "3e-3",
                           "--device", "cpu"])  # fmt: skip
    return out


def test_the_command_trains_both(trained) -> None:
    told = json.loads((trained / "training.json").read_text())
    assert set(told) == {"questions", "answers"}
    for which in told.values():
        assert which["accuracy"] == 1
        assert which["last_loss"] < which["first_loss"] / 4


def test_an_answer_is_read_where_question_and_answer_agree(trained, chat_server, tmp_path) -> None:
    chat_server.answer = '{"quote": "4", "answer": "4"}'
    server = ChatServer.connect(ServerSettings(chat_server.url))
    questions, answers = (
        TypeClassifier.from_pretrained(trained / which, "cpu") for which in ("questions", "answers")
    )
    reader = ClassifiedReader(
        questions, answers, LanguageModelReader(JsonModel(server, tmp_path / "kept"))
    )
    question, answer = TURNS["count"]
    assert reader.read(question, answer) == "4"
    assert reader.read(question, TURNS["left_right"][1]) == ""
    assert reader.read(question, " ") == ""
    assert len(chat_server.asked) == 1
    chat_server.answer = '{"quote": "2", "answer": "Region [2]"}'
    assert reader.read(*TURNS["mcq"]) == "Region [2]"


def test_the_command_scores_what_the_classifiers_and_the_model_read(
    trained, chat_server, folder, tmp_path
) -> None:
    rows = {row["id"]: row for row in json.loads((folder / "ai_city" / "val.json").read_text())}
    counts = [id for id, row in rows.items() if row["category"] == "count"]
    given = tmp_path / "answers.jsonl"
    given.write_text("".join(
        json.dumps({"id": id, "prediction": TURNS["count"][1]}) + "\n" for id in counts
    ))  # fmt: skip
    chat_server.answer = '{"quote": "4", "answer": "4"}'
    call = ["benchmark", "ai-city", "--data", str(folder / "ai_city"), "--predictions", str(given),
            "--classifiers", str(trained), "--output", str(tmp_path / "run")]  # fmt: skip
    result = tmp_path / "result.json"
    reader = ["--reader", chat_server.url, "--json", str(result)]
    done = CliRunner().invoke(app, [*call, *reader])
    assert done.exit_code == 0, done.output
    scorer = json.loads(result.read_text())["scorers"]["classifiers+model"]
    read = {item["id"]: item["read"] for item in scorer["verdicts"]}
    # The classifier of questions has seen one wording, and not all are that of a count to it.
    classifier = TypeClassifier.from_pretrained(trained / "questions", "cpu")
    asked, _ = type_classifiers.texts_of(folder / "ai_city" / "val.json", "questions")
    kinds = dict(zip(rows, classifier.categories(asked), strict=True))
    assert {id for id, text in read.items() if text} == {
        id for id in counts if kinds[id] == "count"
    }
    assert any(read.values())
    without = CliRunner().invoke(app, call)
    assert without.exit_code == 2
    assert "--reader" in without.output


def test_other_labels_and_other_files_are_refused(trained, tmp_path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(trained / "answers" / name, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"] = {str(place): f"LABEL_{place}" for place in range(4)}
    config["label2id"] = {f"LABEL_{place}": place for place in range(4)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="has the labels"):
        TypeClassifier.from_pretrained(tmp_path, "cpu")
    other = tmp_path / "other.json"
    other.write_text('[{"category": "color"}]')
    with pytest.raises(SpatialError, match=f"a category of .*{CATEGORIES[0]}"):
        type_classifiers.texts_of(other, "questions")
