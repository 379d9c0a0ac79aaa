"""What readers make of answers, beyond those of the fixtures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smolrgpt_core.public_benchmarks import letter_readers, point_readers
from smolrgpt_core.public_benchmarks.q_spatial import is_within
from smolrgpt_core.public_benchmarks.quantity_readers import (
    centimeters_of_tuple,
    hour_by_rules,
    hours_apart,
    length_by_rules,
    tagged_centimeters,
)
from smolrgpt_core.public_benchmarks.yes_no_readers import (
    exact,
    leading_word,
    negated_first_sentence,
    one_word,
    piece_of_last_line,
    starts_with,
)

READERS = {
    name: getattr(letter_readers, name)
    for name in (
        "first_character", "first_letter", "contained_letters", "letters_of_two_characters",
        "letter_in_any_case", "standalone_letter", "capital_left", "ranked_letter", "cascade",
    )
}  # fmt: skip

COLORS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("answer", "letters"),
    [
        # Of first_character, first_letter, contained, two characters, in any case, standalone,
        # capital left, ranked, cascade.
        ("**B**", ["", "", "B", "", "B", "B", "B", "B", "B"]),
        ("A disc", ["A", "A", "A", "A", "A", "A", "A", "A", "A"]),
        ("above", ["A", "A", "", "", "", "", "", "", ""]),
        ("The answer is (C).", ["C", "", "C", "", "C", "C", "C", "C", "C"]),
        ("Both A and B", ["B", "B", "AB", "B", "A", "", "B", "B", ""]),
        ("green", ["", "", "", "", "B", "B", "", "", ""]),
        ("a green one", ["A", "A", "", "", "A", "B", "", "", ""]),
        ("", [""] * 9),
        ("D", [""] * 9),
    ],
)
def test_letters(answer: str, letters: list[str]) -> None:
    assert [reader(answer, COLORS) for reader in READERS.values()] == letters


def test_a_standalone_letter_counts_among_the_last_four_words_only() -> None:
    assert letter_readers.standalone_letter("B is what I take", COLORS) == ""
    assert letter_readers.standalone_letter("B is my choice", COLORS) == "B"


def test_a_refusal_is_not_read() -> None:
    refusal = "I'm sorry, but without the image provided I say B"
    assert letter_readers.standalone_letter(refusal, COLORS) == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        # Of starts_with, piece of last line, exact, one word, negated first sentence, leading word.
        ("Yes.", ["yes", "yes", "", "yes", "yes", "yes"]),
        ("nope", ["no", "no", "", "", "yes", "no"]),
        ("Yesterday it was, but no.", ["yes", "", "", "no", "no", ""]),
        ("The answer is no.", ["", "no", "", "no", "no", ""]),
        ("I cannot say yes", ["", "", "", "yes", "yes", ""]),
        ("Actually, yes, it is.", ["", "yes", "", "yes", "yes", "yes"]),
        ("No idea.", ["no", "no", "", "no", "no", ""]),
        ("No room.\nyes", ["no", "yes", "", "", "no", "no"]),
        ("", ["", "", "", "", "yes", ""]),
    ],
)
def test_yes_and_no(answer: str, words: list[str]) -> None:
    readers = (
        starts_with, piece_of_last_line, exact, one_word, negated_first_sentence, leading_word,
    )  # fmt: skip
    assert [reader(answer) for reader in readers] == words


@pytest.mark.parametrize(
    ("answer", "meters"),
    [
        ("40 cm", 0.4),
        ("about 1.5 meters wide.", 1.5),
        ("four feet", 1.2192),
        ("1 ft 2 in", 0.3556),
        ("5'2\"", 1.5748),
        ("6 feet and 3 inches", 1.905),
        ("1/2 m", 0.5),
        ("twenty-five centimeters", 0.25),
        ("one hundred and twenty centimeters", 1.2),
        ("four point five meters", 4.5),
        ("the shelf is 2 m tall, the box half a meter", None),
        ("1 1/2 feet", 0.4572),
        ("1,250 mm", 1.25),
        ("40-60 cm", 0.5),
        ("between 1 and 2 meters", 1.5),
        ("1 meter (3.28 feet)", 1.0),
        ("\\scalar{40} \\distance_unit{cm}", 0.4),
        ("39.37 inches", 0.999998),
        ("3 in", 0.0762),
        ("about 3 in.", 0.0762),
        ("Of the two the one in front is 2 m away", 2.0),
        ("pallet 2 in the back", None),
        ("Region [2] is 2.5 m tall", 2.5),
        ("0.4", None),
        ("-1.3 m", None),
        ("1 m or 2 m", None),
        ("I am unable to measure that.", None),
        ("3 minutes", None),
        ("1/0 m", None),
        ("1" * 400 + " m", None),
        ("1" * 1900, None),
        ("2.5.3 m", None),
        ("1 m" * 1000, None),
        ('The answer is "236"', None),
        ('The answer is "236" cm', 2.36),
        ('The answer is 236"', 236 * 0.0254),
    ],
)
def test_lengths_by_rules(answer: str, meters: float | None) -> None:
    assert length_by_rules(answer) == (None if meters is None else pytest.approx(meters, rel=1e-6))


@pytest.mark.parametrize(
    ("answer", "hour"),
    [
        ("It is near 2 o'clock.", 2),
        ("At twelve o'clock.", 12),
        ("Region [1] is at 3 o\u2019clock", 3),
        ("behind, so 7", 7),
        ("13 o'clock", None),
        ("at 1:30", None),
        ("between 2 and 3", None),
        ("Between 2 and 4 o'clock.", None),
        ("Either 3 or 9 o'clock.", None),
        ("Half past two.", None),
        ("On the opposite side from the one that is left.", None),
        ("The one on the left is at seven", 7),
        ("At the one o'clock position.", 1),
        ("to the right", None),
        ("9" * 400, None),
    ],
)
def test_hours_by_rules(answer: str, hour: int | None) -> None:
    assert hour_by_rules(answer) == hour


@pytest.mark.parametrize(
    ("first", "second", "apart"), [(12, 1, 1), (1, 12, 1), (10, 2, 4), (6, 12, 6), (3, 3, 0)]
)
def test_hours_wrap_at_twelve(first: int, second: int, apart: int) -> None:
    assert hours_apart(first, second) == apart


def test_a_factor_of_two_is_too_much() -> None:
    assert not is_within(100, 50, 2)
    assert not is_within(25, 50, 2)
    assert is_within(math.nextafter(100, 0), 50, 2)
    assert is_within(math.nextafter(25, 50), 50, 2)
    assert not is_within(0, 50, 2)
    assert not is_within(-50, 50, 2)


def test_tags_of_q_spatial() -> None:
    assert tagged_centimeters("scalar{40-60} distance_unit{cm}", 1.0) == 50
    assert tagged_centimeters("scalar{-1.3} distance_unit{M}", 1.0) == 130
    assert tagged_centimeters("scalar{3} distance_unit{yards}", 1.0) == 3
    assert tagged_centimeters("scalar{3} distance_unit{yards}", 0.0) == 0
    assert tagged_centimeters("scalar{3}", 1.0) is None
    empty = tagged_centimeters("scalar{} distance_unit{cm}", 1.0)
    assert empty is not None
    assert math.isnan(empty)
    assert centimeters_of_tuple("(40-60, cm)") == 50
    assert centimeters_of_tuple("(-1, cm)") is None


SQUARE = [(0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6)]
BOW = [SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]]


def test_the_old_polygon_test_fails_right_of_a_vertical_edge() -> None:
    assert point_readers.in_polygon((0.4, 0.4), SQUARE)
    assert not point_readers.in_polygon_by_old_rule((0.4, 0.4), SQUARE)


def test_points_that_are_not_in_order_make_a_crossing_outline() -> None:
    assert not point_readers.in_polygon((0.4, 0.25), BOW)
    assert point_readers.in_hull((0.4, 0.25), BOW)


def test_points_in_several_scales() -> None:
    size = (80, 100)
    assert point_readers.first_point("so [500, 300] or (0.1, 0.2)") == (0.1, 0.2)
    assert point_readers.first_point("[[0.5, 0.3]]") == (0.5, 0.3)
    assert point_readers.scaled_point('[{"point_2d": [500, 250]}]', size) == (0.5, 0.25)
    assert point_readers.scaled_point("(50, 40)", size) == (0.5, 0.5)
    assert point_readers.scaled_point("(50, 40)", None) is None
    assert point_readers.fenced_points('```json\n[{"point_2d": [500, 250]}]\n```', size) == [
        (50, 20)
    ]
    assert point_readers.pixels_in_brackets("(0.5, 0.25), (7, 8)", size) == [(50, 20), (7, 8)]


def test_numbers_that_no_image_has_are_outside() -> None:
    mask = np.ones((8, 10), dtype=np.uint8)
    huge = "9" * 400
    for answer in (f"({huge}, {huge})", f"({huge}.5, 0.5)"):
        assert point_readers.fraction_in_mask(
            point_readers.pixels_in_brackets(answer, mask.shape), mask
        ) == 0  # fmt: skip
    assert point_readers.fenced_points(f'```\n[{{"point_2d": [{huge}, 1]}}]\n```', (8, 10)) == []
    outside = point_readers.first_point(f"({huge}, 0.3)")
    assert outside is not None
    assert not point_readers.in_polygon(outside, SQUARE)
