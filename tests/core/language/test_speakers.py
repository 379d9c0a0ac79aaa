"""One question as many speakers would say it: operators, managers, engineers, non-native ones."""

import re
from pathlib import Path

import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import Box, Region, RegionSet

LABELS = {
    **dict.fromkeys((1, 2), "buffer"),
    **dict.fromkeys((3, 5, 7, 9, *range(10, 24)), "pallet"),
    **dict.fromkeys((60, 61, 62, 63), "transporter"),
    **dict.fromkeys((80, 81), "shelf"),
}
HALL = RegionSet(
    (100, 1000),
    tuple(
        Region.from_box(id, label, Box(10 * place, 5, 8, 8))
        for place, (id, label) in enumerate(LABELS.items())
    ),
)
DATA = Path(__file__).parents[2] / "data" / "language"
FILES = (
    "english_speakers.txt",
    "english_gists.txt",
    "english_voices.txt",
    "english_restated.txt",
    "english_orders.txt",
    "english_forms.txt",
    "english_clauses.txt",
    "english_notes.txt",
    "german_speakers.txt",
    "german_gists.txt",
    "german_traps.txt",
    "german_everyday.txt",
    "arrangements.txt",
)
REFUSED = "REFUSE"


TRAPS = ("english_traps.txt",)
"""Files with sentences that are refused or mean what they stand under, and nothing else."""


def groups(files: tuple[str, ...] = FILES) -> list[tuple[str, str, list[str]]]:
    """File, a plain sentence that is surely read right, and what is said for it."""
    found: list[tuple[str, str, list[str]]] = []
    for name in files:
        for line in (DATA / name).read_text(encoding="utf-8").splitlines():
            if line.startswith("= "):
                found.append((name, line.removeprefix("= "), []))
            elif line and not line.startswith("#"):
                found[-1][2].append(line)
    return found


def understood(line: str) -> str:
    """What a line of a file is read as, as its canonical sentence."""
    parts = re.fullmatch(r"((?:\d+ )+\| )?(.*?)( \[[a-z0-9 %']+\])?", line)
    assert parts is not None
    ids, text, unit = parts.groups()
    numbers = tuple(map(int, ids.rstrip("| ").split())) if ids else ()
    try:
        read = read_text(text, HALL, numbers)
    except SpatialError:
        return REFUSED
    wanted = (unit or " []")[2:-1]
    assert (read.unit[0] if read.unit else "") == wanted, line
    return say(read.program, HALL)


def canonical(meaning: str) -> str:
    """The canonical sentence for a line with "="."""
    return meaning if meaning == REFUSED else say(read_text(meaning, HALL).program, HALL)


@pytest.mark.parametrize(
    ("file", "meaning", "lines"), groups(), ids=[f"{file}: {said}" for file, said, _ in groups()]
)
def test_all_speakers_are_understood(file, meaning, lines):
    wanted = canonical(meaning)
    wrong = {line: read for line in lines if (read := understood(line)) != wanted}
    assert not wrong


@pytest.mark.parametrize(("file", "meaning", "lines"), groups(TRAPS))
def test_no_trap_is_taken_for_another_question(file, meaning, lines):
    read = {line: understood(line) for line in lines}
    allowed = (canonical(meaning), REFUSED)
    assert not {line: said for line, said in read.items() if said not in allowed}


@pytest.mark.parametrize("meaning", sorted({said for _, said, _ in groups()} - {REFUSED}))
def test_the_canonical_sentence_reads_back(meaning):
    program = read_text(meaning, HALL).program
    assert read_text(say(program, HALL), HALL).program == program
