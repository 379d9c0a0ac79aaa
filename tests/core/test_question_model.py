"""Questions that a language model rewords where the grammar refuses them."""

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
from smolrgpt_core.question_model import QuestionModel
from smolrgpt_core.region_files import read_regions

FRAME = Path(__file__).parent.parent / "data" / "warehouse"
GAP = "Yo, what's the gap twixt pallet 13 and pallet 15?"


@pytest.fixture(scope="module")
def regions():
    return read_regions(FRAME / "regions.json", (240, 320))


@pytest.fixture
def rewords(chat_server):
    server = ChatServer.connect(ServerSettings(chat_server.url, timeout_s=20, retries=0))
    return QuestionModel(JsonModel(server))


def says(sentence: str) -> str:
    return json.dumps({"sentence": sentence})


def test_what_the_grammar_reads_is_not_shown_to_a_model(rewords, chat_server, regions) -> None:
    asked = AskedQuestion("How far is pallet 13 from pallet 15?")
    assert rewords.reworded(asked, regions) is asked
    with pytest.raises(SpatialError) as error:
        rewords.reworded(AskedQuestion("How far is pallet 99 from pallet 15?"), regions)
    assert error.value.status is Status.UNKNOWN_REGION
    assert not chat_server.asked


@pytest.mark.parametrize(
    ("question", "ids", "sentence"),
    [
        (GAP, (), "What is the clearance between pallet 13 and pallet 15?"),
        ("Yo, what's the gap twixt <mask> and <mask>?", (13, 15),
         "What is the clearance between pallet 13 and pallet 15?"),
        ("What height does pallet thirteen attain?", (), "What is the height of pallet 13?"),
        ("Buffer 2 harbours not which pallets, number-wise?", (),
         "How many pallets are not in buffer 2?"),
    ],
)  # fmt: skip
def test_a_canonical_sentence_stands_for_a_question(
    question, ids, sentence, rewords, chat_server, regions
) -> None:
    chat_server.answer = says(sentence)
    changed = rewords.reworded(AskedQuestion(question, None, ids), regions)
    assert changed == AskedQuestion(sentence)


@pytest.mark.parametrize(
    ("question", "said", "reason"),
    [
        (GAP, says("What is the clearance between pallet 12 and pallet 15?"),
         "numbers are not those"),
        (GAP, says("What is the height of pallet 13?"), "numbers are not those"),
        (GAP, says("How far are pallet 13 and pallet 15 apart?"), "canonical form"),
        (GAP, says("What is the clearance to pallet 99 of pallet 13?"), "99"),
        (GAP, says("pallet 13 frobs pallet 15"), "cannot be read"),
        (GAP, says("unclear"), "no form that asks the same"),
        (GAP, "What is the clearance between pallet 13 and pallet 15?",
         "no form that asks the same"),
        ("Which loads doth buffer 2 harbour not?", says("Which pallets are in buffer 2?"),
         "one of both is negated"),
        ("If the lorry comes, what be the tally of pallets in buffer 2?",
         says("How many pallets are in buffer 2?"), "leaves out 'if'"),
        ("Be transporter 60 portside, left like, of pallet 13, yo?",
         says("Is transporter 60 right of pallet 13?"), "says 'right', and the question 'left'"),
    ],
)  # fmt: skip
def test_a_sentence_that_is_not_accepted_is_refused_with_both_reasons(
    question, said, reason, rewords, chat_server, regions
) -> None:
    chat_server.answer = said
    with pytest.raises(SpatialError, match=reason) as error:
        rewords.reworded(AskedQuestion(question), regions)
    assert error.value.status is Status.BAD_QUESTION
    assert "cannot be read because of" in error.value.message


@pytest.mark.parametrize("fault", ["broken JSON", "dropped", "no completion", "500", "silent"])
def test_a_server_that_fails_is_named(fault, chat_server, regions) -> None:
    timeout_s = 0.5 if fault == "silent" else 20
    server = ChatServer.connect(ServerSettings(chat_server.url, timeout_s=timeout_s, retries=0))
    if fault == "silent":
        chat_server.hold.clear()
    elif fault == "500":
        chat_server.status = 500
    else:
        chat_server.fault = fault
    with pytest.raises(SpatialError, match="the language model was asked: the server") as error:
        QuestionModel(JsonModel(server)).reworded(AskedQuestion(GAP), regions)
    assert error.value.status is Status.MODEL_ERROR
    assert "twixt" in error.value.message, "why it had to be asked"


def ask(question: str, *flags: str) -> Any:
    truth = json.loads((FRAME / "truth.json").read_text())
    return CliRunner().invoke(
        app, ["ask", question, "--rgb", str(FRAME / "rgb.jpg"), "--depth",
              str(FRAME / "depth.png"), "--regions", str(FRAME / "regions.json"), "--intrinsics",
              truth["intrinsics"], "--json", *flags],
    )  # fmt: skip


def test_the_command_answers_what_a_model_reworded_and_says_so(chat_server) -> None:
    chat_server.answer = says("What is the clearance between pallet 13 and pallet 15?")
    off = ask(GAP)
    assert off.exit_code == 3
    assert json.loads(off.stdout)["status"] == "BAD_QUESTION"
    assert not chat_server.asked
    on = ask(GAP, "--reader", chat_server.url)
    told = json.loads(on.stdout)
    assert told["status"] == "OK", told
    assert told["question"] == GAP
    assert told["understood"] == "What is the clearance between pallet 13 and pallet 15?"
    assert "vision reworded the question as" in told["message"]
    assert told["value"] > 0
    chat_server.answer = says("unclear")
    refused = ask(GAP, "--reader", chat_server.url)
    assert refused.exit_code == 3
    assert "no form that asks the same" in json.loads(refused.stdout)["message"]
    lost = ask(GAP, "--reader", "http://127.0.0.1:9/v1")
    assert lost.exit_code == 2
    assert "did not answer" in " ".join(lost.output.split())
