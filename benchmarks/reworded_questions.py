"""What a language model makes of questions that the grammar refuses.

Two kinds: plain questions in words that the grammar does not have, which should become the sentence
that they mean; and those of `tests/data/language/english_traps.txt` that ask two things or what the
language cannot say, and must stay refused. Counted with the checks of `question_model`, and without
them, where any sentence that can be read is believed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path

from small_language_model import running

from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.chat_server import ChatServer, ServerSettings
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.language import read_question
from smolrgpt_core.language.wording import say
from smolrgpt_core.question_model import QuestionModel
from smolrgpt_core.regions import Box, Region, RegionSet

FILE = Path(__file__).resolve().parent.parent / "tests/data/language/english_traps.txt"
REFUSED = "REFUSE"
LABELS = {
    **dict.fromkeys((1, 2), "buffer"),
    **dict.fromkeys((3, 5, 7, 9, *range(10, 24)), "pallet"),
    **dict.fromkeys((60, 61, 62, 63), "transporter"),
    **dict.fromkeys((80, 81), "shelf"),
}
"""The regions that the questions are about."""

SAYABLE = {
    "What is the clearance between pallet 3 and pallet 5?": (
        "What's the gap twixt pallet 3 and pallet 5?",
        "Breathing space amid pallet 3 and pallet 5, please?",
    ),
    "How far is pallet 3 from pallet 5?": (
        "What interval parts pallet 3 from pallet 5?",
        "By how many strides, metrically, doth pallet 3 shun pallet 5?",
    ),
    "How many pallets are in buffer 2?": (
        "Tell me what buffer 2 presently harbours, number-wise, in terms of pallets",
        "Buffer 2 accommodates what tally of pallets?",
        "What pallet quantity dwells inside buffer 2?",
    ),
    "How many pallets are not in buffer 2?": ("What tally of pallets dwells not in buffer 2?",),
    "Which pallets are in buffer 1?": (
        "Enumerate whichever pallets buffer 1 harbours.",
        "Roll-call of pallets dwelling in buffer 1, please?",
    ),
    "What is the height of pallet 7?": (
        "What height does pallet 7 attain?",
        "Pallet 7 rises to what altitude, base unto crown?",
    ),
    "What is the width of pallet 7?": (
        "What breadthwise measure doth pallet 7 exhibit, its width?",
    ),
    "Is there room for another pallet in buffer 1?": (
        "Any chance one more pallet squeezes into buffer 1?",
        "Might buffer 1 swallow an extra pallet?",
    ),
    "Is buffer 1 empty?": ("Is buffer 1 devoid of cargo altogether?",),
    "Is transporter 60 left or right of pallet 3?": (
        "To which flank of pallet 3, left or right, has transporter 60 drifted?",
    ),
    "Is transporter 60 left of pallet 3?": (
        "Could transporter 60 be regarded as sitting left of pallet 3?",
    ),
    "Which pallet is nearest to transporter 61?": (
        "Which pallet hugs transporter 61 nearest of them, pray?",
        "Name the pallet that snuggles nearest transporter 61.",
    ),
    "How far is pallet 9 from the camera?": ("How many metres sunder pallet 9 from the lens?",),
    "Where is pallet 9?": ("Whereabouts, pray, doth pallet 9 repose?",),
    "In which direction is pallet 3 from pallet 5?": (
        "Whither must one point, from pallet 5, so as to hit pallet 3?",
    ),
    "Is pallet 3 behind shelf 80?": ("Does pallet 3 lurk behind shelf 80, obscured?",),
}
"""Wordings by what they mean; those that the grammar reads are skipped."""

HALL = RegionSet(
    (100, 1000),
    tuple(
        Region.from_box(id, label, Box(10 * place, 5, 8, 8))
        for place, (id, label) in enumerate(LABELS.items())
    ),
)


def main() -> None:
    """Print the counts, and what was read wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="", help="server; by default SmolLM2-135M in llama.cpp")
    parser.add_argument("--model", default="", help="name of the model there")
    parser.add_argument("--each", type=int, default=50, help="questions of both kinds")
    arguments = parser.parse_args()
    with nullcontext(arguments.url) if arguments.url else running() as url:
        server = ChatServer.connect(ServerSettings(url, arguments.model, timeout_s=300))
        rewords = QuestionModel(JsonModel(server))
        print(dict(rewords.model.described))
        for name, asked in refused(arguments.each).items():
            counts: Counter[str] = Counter()
            for text, meaning in asked:
                counts.update(results(rewords, text, meaning))
            print(f"{name}: {len(asked)}; {dict(sorted(counts.items()))}", flush=True)


def refused(each: int) -> dict[str, list[tuple[str, str]]]:
    """Questions that the grammar refuses, evenly from the file, with what they mean."""
    sayable = [
        (text, meaning)
        for meaning, texts in SAYABLE.items()
        for text in texts
        if understood(text) == REFUSED
    ]
    traps = []
    meaning = ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            meaning = line.removeprefix("= ")
        elif line and not line.startswith("#") and "|" not in line and understood(line) == REFUSED:
            traps += [(line, meaning)] if meaning == REFUSED else []
    return {"sayable": sayable[:each], "to be refused": traps[:: len(traps) // each][:each]}


def understood(text: str) -> str:
    """The canonical sentence of a question."""
    with suppress(SpatialError):
        program = read_question(text, HALL).program
        if program is not None:
            return say(program, HALL)
    return REFUSED


def results(rewords: QuestionModel, text: str, meaning: str) -> list[str]:
    """What comes of a question with and without the checks; prints what is wrong with them."""
    checked = REFUSED
    with suppress(SpatialError):
        checked = understood(rewords.reworded(AskedQuestion(text), HALL).text)
    believed = understood(rewords.sentence(text))
    if checked not in (REFUSED, meaning):
        print(f"{text!r} became {checked!r}, means {meaning!r}", flush=True)
    return [
        f"{name}: {'refused' if got == REFUSED else 'right' if got == meaning else 'wrong'}"
        for name, got in (("checked", checked), ("believed", believed))
    ]


if __name__ == "__main__":
    main()
