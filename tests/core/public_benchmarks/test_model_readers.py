"""Answers read and judged by language models: a server of ours that can fail, and a real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.chat_server import ChatServer, ServerSettings
from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec
from smolrgpt_core.public_benchmarks.model_readers.language_model import (
    LanguageModelReader,
    accepted,
)
from smolrgpt_core.public_benchmarks.numbers_in_words import lengths_in, numbers_in
from smolrgpt_core.question_model import QuestionModel
from smolrgpt_core.regions import Box, Region, RegionSet

LENGTH, HOUR = AnswerSpec(AnswerKind.LENGTH), AnswerSpec(AnswerKind.HOUR)
YES_NO, SIDE, COUNT = (AnswerSpec(AnswerKind[name]) for name in ("YES_NO", "SIDE", "COUNT"))
REGION = AnswerSpec(AnswerKind.REGION, ("crate", "barrel"))
LETTER = AnswerSpec(AnswerKind.LETTER, ("a crate", "a barrel"))


@pytest.mark.parametrize(
    ("text", "meters"),
    [
        ("one and a half meters", [1.5]),
        ("a meter and a half", [1.5]),
        ("half a meter", [0.5]),
        ("three quarters of a meter", [0.75]),
        ("twenty-five centimeters", [0.25]),
        ("one hundred and twenty cm", [1.2]),
        ("two point five meters", [2.5]),
        ("5 ft 2 in", [1.5748]),
        ("5 feet and 3 inches", [1.6002]),
        ("1 1/2 feet", [0.4572]),
        ("2\u00bd m", [2.5]),
        ("1,250 mm", [1.25]),
        ("between two and three meters", [2.5]),
        ("The shelf is 2 m tall, the box a foot and a half.", [2.0, 0.4572]),
        ("the one in front is 2 m away", [2.0]),
        ("a chair in a room", []),
        ("2 or 3 m", None),
        ("-1.3 m", None),
    ],
)
def test_lengths_in_words(text: str, meters: list[float] | None) -> None:
    found = lengths_in(text)
    assert (None if found is None else [length.meters for length in found]) == (
        None if meters is None else pytest.approx(meters)
    )


def test_numbers_in_words() -> None:
    assert numbers_in("from two to twenty-one, then 4.5 and a dozen") == [2, 21, 4.5, 12]


@pytest.mark.parametrize(
    ("asked", "answer", "reply", "read"),
    [
        (LENGTH, "The shelf is 3 m off, the box 40 cm wide.",
         {"quote": "40 cm", "value": 40, "unit": "cm"}, "0.4 m"),
        # The unit of the reply is not that of the text; the number is not; the words are not.
        (LENGTH, "It is 120 centimeters.", {"quote": "120 centimeters", "value": 120, "unit": "m"},
         ""),
        (LENGTH, "It is 120 cm.", {"quote": "120 cm", "value": 12, "unit": "cm"}, ""),
        (LENGTH, "It is 120 cm.", {"quote": "20 cm", "value": 20, "unit": "cm"}, ""),
        (LENGTH, "It is wide.", {"quote": "2 m", "value": 2, "unit": "m"}, ""),
        (LENGTH, "It is not 2 m wide.", {"quote": "2 m", "value": 2, "unit": "m"}, ""),
        (LENGTH, "2 m or 3 m", {"quote": "3 m", "value": 3, "unit": "m"}, ""),
        (LENGTH, "It is 2 m.", {"quote": "2 m", "value": 2, "unit": "unclear"}, ""),
        (LENGTH, "It is 2 m.", {"quote": "2 m", "value": "2", "unit": "m"}, ""),
        (LENGTH, "It is 2 m.", {"quote": None, "value": 2, "unit": "m"}, ""),
        (HOUR, "At your ten.", {"quote": "your ten", "answer": "10 o'clock"}, "10 o'clock"),
        (HOUR, "Either 3 or 9 o'clock.", {"quote": "9 o'clock", "answer": "9 o'clock"}, ""),
        (YES_NO, "I would say yes, it is.", {"quote": "yes, it is", "answer": "yes"}, "yes"),
        (YES_NO, "I would say yes, it is.", {"quote": "yes, it is", "answer": "no"}, ""),
        (YES_NO, "It is wider.", {"quote": "It is wider", "answer": "yes"}, ""),
        (REGION, "The barrel is.", {"quote": "The barrel", "answer": "Region [1]"}, "Region [1]"),
        (REGION, "The barrel is.", {"quote": "The barrel", "answer": "Region [0]"}, ""),
        (LETTER, "It must be a barrel.", {"quote": "a barrel", "answer": "B"}, "B"),
        (LETTER, "Both A and B.", {"quote": "A", "answer": "A"}, ""),
        (LETTER, "A is right.", {"quote": "A", "answer": "A"}, "A"),
        (LETTER, "a) It is.", {"quote": "A", "answer": "A"}, ""),
        (LETTER, "A crate is used for transport.", {"quote": "A", "answer": "A"}, ""),
        (LETTER, "A barrel stands there.", {"quote": "a barrel", "answer": "A"}, ""),
        (LETTER, "A barrel stands there.", {"quote": "a barrel", "answer": "B"}, "B"),
        (SIDE, "left-hand", {"quote": "left-hand", "answer": "right"}, ""),
        (COUNT, "I see five there.", {"quote": "five", "answer": "5"}, "5"),
    ],
)  # fmt: skip
def test_only_what_is_quoted_and_found_again_is_accepted(asked, answer, reply, read) -> None:
    assert accepted(asked, reply, answer) == read


def json_model(server, folder: Path, **settings: Any) -> JsonModel:
    return JsonModel(ChatServer.connect(ServerSettings(server.url, **settings)), folder / "kept")


def test_a_reply_is_requested_once_and_stored(chat_server, tmp_path) -> None:
    chat_server.answer = '{"quote": "ten", "answer": "10 o\'clock"}'
    for _ in range(2):
        reader = LanguageModelReader(json_model(chat_server, tmp_path))
        assert reader.read(HOUR, "At what hour?", "At your ten.") == "10 o'clock"
    assert len(chat_server.asked) == 1
    request = chat_server.asked[0]
    assert request["temperature"] == 0
    assert request["seed"] == 0
    schema = request["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["quote", "answer"]
    # A kill within a line: the reply is asked for again.
    kept = tmp_path / "kept"
    kept.write_bytes(kept.read_bytes() + b'{"key": "x", "sa')
    reader = LanguageModelReader(json_model(chat_server, tmp_path))
    assert reader.read(HOUR, "At what hour?", "At your ten.") == "10 o'clock"
    assert reader.read(HOUR, "At what hour?", "Your ten.") == "10 o'clock"
    assert len(chat_server.asked) == 2


@pytest.mark.parametrize("said", ["no JSON", '{"quote": "ten"', '{"quote": "ten"}', "[1]", "", "1"])
def test_a_reply_that_is_no_object_of_the_schema_stays_unread(said, chat_server, tmp_path) -> None:
    chat_server.answer = said
    reader = LanguageModelReader(json_model(chat_server, tmp_path))
    assert reader.read(HOUR, "At what hour?", "At your ten.") == ""


def test_an_answer_that_trickles_in_ends_at_the_deadline(chat_server, tmp_path) -> None:
    chat_server.trickle_s = 0.05
    model = json_model(chat_server, tmp_path, timeout_s=0.5, retries=0)
    with pytest.raises(SpatialError, match=r"had not finished its answer after 0\.5 s"):
        model.server.complete([{"role": "user", "content": "Go."}], 8)


def q_spatial(folder: Path, out: Path, *more: str):
    predictions = out / "answers.jsonl"
    lines = [
        {"id": f"QSpatial_plus/{number}", "prediction": text}
        for number, text in enumerate(("The shelf is 3 m off and the box 40 cm.", "about 1 m", "?"))
    ]
    predictions.write_text("\n".join(map(json.dumps, lines)))
    return CliRunner(env={"COLUMNS": "140"}).invoke(
        app,
        ["benchmark", "q-spatial", "--data", str(folder / "q_spatial"), "--predictions",
         str(predictions), "--output", str(out), "--json", str(out / "told.json"), *more],
    )  # fmt: skip


def test_a_reader_is_asked_what_rules_refuse_and_stands_beside_them(
    chat_server, folder, tmp_path
) -> None:
    chat_server.answer = '{"quote": "40 cm", "value": 40, "unit": "cm"}'
    done = q_spatial(folder, tmp_path, "--reader", chat_server.url)
    assert done.exit_code == 0, done.output
    assert len(chat_server.asked) == 2, "the rules read one of three"
    told = json.loads((tmp_path / "told.json").read_text())["scorers"]
    alone, both = (
        {item["id"]: item["read"] for item in told[name]["verdicts"]}
        for name in ("rules", "rules+model")
    )
    assert alone["QSpatial_plus/0"] == alone["QSpatial_plus/2"] == ""
    assert both["QSpatial_plus/0"] == "40 cm"
    assert both["QSpatial_plus/1"] == alone["QSpatial_plus/1"] == "100 cm"
    assert both["QSpatial_plus/2"] == "", "the quotation is not in it"


def test_a_reader_that_fails_ends_the_command_and_its_replies_stay_stored(
    chat_server, folder, tmp_path
) -> None:
    def answer(body: dict[str, Any]) -> str:
        chat_server.fault = "broken JSON" if len(chat_server.asked) == 2 else ""
        return '{"quote": "40 cm", "value": 40, "unit": "cm"}'

    chat_server.answer = answer
    done = q_spatial(folder, tmp_path, "--reader", chat_server.url)
    assert done.exit_code == 1
    words = " ".join(done.output.split())
    assert f"the server {chat_server.url} did not answer" in words
    assert "the same command resumes" in words
    again = q_spatial(folder, tmp_path, "--reader", chat_server.url)
    assert again.exit_code == 0, again.output
    assert len(chat_server.asked) == 3, "the first reply was kept"


def by_instructions(body: dict[str, Any]) -> str:
    """A judge's reply with the fields that its schema has."""
    fields = body["response_format"]["json_schema"]["schema"]["required"]
    return json.dumps(dict.fromkeys(fields, 1))


def test_a_judge_has_a_scorer_of_its_own(chat_server, folder, tmp_path) -> None:
    chat_server.answer = by_instructions
    data = folder / "spatialrgpt_bench"
    call = ["benchmark", "spatialrgpt", "--data", str(data), "--predictions",
            str(data / "predictions.jsonl"), "--output", str(tmp_path), "--json",
            str(tmp_path / "told.json"), "--judge", chat_server.url]  # fmt: skip
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "told.json").read_text())["scorers"]
    assert list(told) == ["judge", "rules"]
    assert told["judge"]["figures"]["qualitative"]["value"] > 90, "it agrees with every answer"
    asked = chat_server.asked[0]["messages"]
    assert "True answer:" in asked[1]["content"]
    other = CliRunner().invoke(app, ["benchmark", "q-spatial", "--data", str(folder / "q_spatial"),
                                     *call[4:]])  # fmt: skip
    assert other.exit_code == 2
    assert "omit --judge" in other.output


def test_a_real_model_on_a_real_server_reads(small_model, tmp_path) -> None:
    server = ChatServer.connect(ServerSettings(small_model, timeout_s=200))
    assert "135" in server.model
    model = JsonModel(server, tmp_path / "kept")
    assert "n_params" in model.described["weights"]
    reader = LanguageModelReader(model)
    claimed = reader.claimed(SIDE, "Is it left or right?", "It is on the left side of it.")
    assert claimed is not None
    assert set(claimed) == {"quote", "answer"}
    assert claimed["answer"] in ("left", "right", "unclear")
    claimed = reader.claimed(LENGTH, "How wide is it?", "It is 3 m.")
    assert claimed is not None
    assert set(claimed) == {"quote", "value", "unit"}
    # What it claims may be wrong; what is accepted is in the text.
    assert reader.read(LENGTH, "How wide is it?", "It is 3 m.") in ("", "3 m")


def test_a_real_model_rewords_a_question_or_it_stays_refused(small_model) -> None:
    server = ChatServer.connect(ServerSettings(small_model, timeout_s=200))
    boxes = [Region.from_box(id, "pallet", Box(20 * id, 1, 9, 9)) for id in (1, 2)]
    asked = AskedQuestion("Yo, what's the gap twixt pallet 1 and pallet 2?")
    rewords, regions = QuestionModel(JsonModel(server)), RegionSet((20, 60), tuple(boxes))
    said = rewords.sentence(asked.text)
    try:
        taken = rewords.reworded(asked, regions).text
    except SpatialError as error:
        taken = ""
        if error.status is not Status.BAD_QUESTION:
            raise
    # Which form a model takes is its own; what is taken has the numbers of the question.
    assert taken in ("", said)
    assert not taken or {"1", "2"} <= set(taken.strip("?").split())


def test_a_real_server_refuses_what_is_too_long(small_model) -> None:
    server = ChatServer.connect(ServerSettings(small_model, timeout_s=200))
    with pytest.raises(SpatialError, match="context"):
        server.complete([{"role": "user", "content": "word " * 4000}], 8)
