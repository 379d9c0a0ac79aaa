"""Whatever is offered can be asked about this frame."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations

import pytest

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import read_question
from smolrgpt_core.page.suggestions import completions, remedies, suggestions
from smolrgpt_core.regions import RegionSet


def selections(frame: RGBDFrame) -> list[tuple[int, ...]]:
    """None, one of each class, two, three and four regions."""
    first = [frame.regions.with_label(label)[0].id for label in frame.regions.labels]
    some = [region.id for region in frame.regions][:12:2]
    return [
        (),
        *((id,) for id in first),
        *combinations(first, 2),
        *combinations(some, 3),
        tuple(some[:4]),
    ]


def test_every_suggestion_is_read_and_is_about_the_selection(frame: RGBDFrame) -> None:
    for selected in selections(frame):
        offered = suggestions(frame.regions, selected)
        assert len(offered) >= 3, selected
        assert len(set(offered)) == len(offered)
        for item in offered:
            question = read_question(item.text, frame.regions, None, item.region_ids)
            named = {*question.region_ids, *map(int, re.findall(r"\d+", item.text))}
            assert not selected or named & set(selected), (selected, item)


def test_zones_are_asked_what_zones_are_asked(frame: RGBDFrame) -> None:
    texts = [item.text for item in suggestions(frame.regions, [1])]
    assert "How many pallets are in buffer 1?" in texts
    assert not any("height" in text for text in texts)


def test_labels_of_any_kind_give_suggestions_that_are_read(frame: RGBDFrame) -> None:
    labels = ['<script>alert("x")</script>', '"><img src=x onerror=alert(1)>', "", "in", "42"]
    regions = RegionSet(
        frame.regions.image_size,
        tuple(
            replace(region, label=labels[index % len(labels)], source_label="")
            for index, region in enumerate(frame.regions)
        ),
    )
    ids = [region.id for region in regions]
    for selected in ([], ids[:1], ids[1:2], ids[:2], ids[2:5]):
        for item in suggestions(regions, selected):
            read_question(item.text, regions, None, item.region_ids)
            assert "<script" not in item.text
            assert "<img" not in item.text


def test_completions_have_every_word_and_those_that_continue_it_come_first() -> None:
    texts = ["Is pallet 3 how far?", "How far is pallet 3?", "How many pallets are there?"]
    found = completions([AskedQuestion(text) for text in texts], "how  FAR")
    assert [item.text for item in found] == ["How far is pallet 3?", "Is pallet 3 how far?"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How far is pallet 10 frobnicated?", "pallet 10"),
        ("How heavy is pallet 10?", "?"),
        ("How far is pallet 77?", "?"),
    ],
)
def test_a_refusal_has_remedies_that_are_answered_or_at_least_read(
    frame: RGBDFrame, question: str, expected: str
) -> None:
    asked = AskedQuestion(question)
    answer = ask(frame, asked, GeometricAnswerer())
    assert not answer.ok
    found = remedies(asked, answer, frame.regions)
    assert found
    assert all(expected in item.text for item in found)
    for item in found:
        read_question(item.text, frame.regions, None, item.region_ids)


def test_what_the_message_proposes_comes_first(frame: RGBDFrame) -> None:
    asked = AskedQuestion("How many wibbles are in buffer 1?")
    answer = ask(frame, asked, GeometricAnswerer())
    assert 'this would work: "' in answer.message
    proposed = answer.message.split('this would work: "')[1].split('"')[0]
    assert remedies(asked, answer, frame.regions)[0].text == proposed


def test_an_answer_needs_no_remedy(frame: RGBDFrame) -> None:
    asked = AskedQuestion("How many pallets are there?")
    assert remedies(asked, ask(frame, asked, GeometricAnswerer()), frame.regions) == []
