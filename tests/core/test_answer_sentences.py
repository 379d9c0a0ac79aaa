"""Sentences as models write them: the value is read right, or the sentence is refused.

Expected values were written by hand. `None` marks sentences that must be refused because no value
is clear; a wrong value would be worse than no value.
"""

from __future__ import annotations

from typing import Any

import pytest

from smolrgpt_core.answer import Side, read_answer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import Category

FOOT, INCH, YARD = 0.3048, 0.0254, 0.9144

DISTANCES: list[tuple[str, float | None]] = [
    ("6.36", 6.36),
    ("6.36 m", 6.36),
    ("6.36m", 6.36),
    ("6.36 meters", 6.36),
    ("6.36 metres.", 6.36),
    ("6 meters", 6.0),
    ("0", 0.0),
    ("0.0 m", 0.0),
    (".75 m", 0.75),
    ("about 3.4 m", 3.4),
    ("Approximately 3.42 meters.", 3.42),
    ("It is roughly 3.5 metres away.", 3.5),
    ("Around 12 m.", 12.0),
    ("~4.2 m", 4.2),
    ("≈ 4.2 m", 4.2),
    ("The distance is 3.42 meters.", 3.42),
    ("The distance between them is 3.42 m.", 3.42),
    ("The pallet [Region 0] is 6.36 meters from the pallet [Region 1].", 6.36),
    ("[Region 0] is 6.36 meters away from [Region 1].", 6.36),
    ("The buffer region [Region 1] is 2.10 m from the pallet [Region 0].", 2.1),
    ("Region 3 is 2.5 m from region 4.", 2.5),
    ("Pallet 12 is 4.27 m from buffer 2.", 4.27),
    ("Pallet 7 and shelf 80 are 9.5 meters apart.", 9.5),
    ("They are 9.50 meters apart.", 9.5),
    ("420 cm", 4.2),
    ("The distance is 420 centimeters.", 4.2),
    ("It measures 850 mm.", 0.85),
    ("The gap is 13.8 feet.", 13.8 * FOOT),
    ("13.8 ft", 13.8 * FOOT),
    ("It is 40 inches away.", 40 * INCH),
    ("Five yards.", 5 * YARD),
    ("three meters", 3.0),
    ("Three metres.", 3.0),
    ("It is ten meters away.", 10.0),
    ("zero meters", 0.0),
    ("4.2 m (13.8 ft)", 4.2),
    ("The distance is 4.2 meters, or 420 cm.", 4.2),
    ("**3.42 m**", 3.42),
    ("Answer: 3.42 m", 3.42),
    ("Answer: 3.42", 3.42),
    ("The answer is 3.42.", 3.42),
    ("distance = 3.42 m", 3.42),
    ("The two pallets are 5.1 m apart.", 5.1),
    ("Those two are 5.1 m apart.", 5.1),
    ("Sure! The distance is 5.1 meters.", 5.1),
    ("From what I see, 5.10 meters", 5.1),
    ("The distance is 5.1 meters, as seen from the camera.", 5.1),
    ("", None),
    ("   ", None),
    ("meters", None),
    ("The pallet is close to the buffer.", None),
    ("It is far away.", None),
    ("I cannot tell.", None),
    ("I can't determine the distance.", None),
    ("Unable to measure 3 m with certainty.", None),
    ("The distance is unknown.", None),
    ("It is not 3 meters.", None),
    ("Sorry, I don't know.", None),
    ("3 to 5 meters", None),
    ("Between 3 and 5 meters.", None),
    ("3-5 m", None),
    ("either 3 m or 7 m", None),
    ("The first is 2.5 m and the second 4 m away.", None),
    ("-3.4 m", None),
    ("1,234 m", None),
    ("3.4.5 m", None),
    ("[Region 3]", None),
    ("Region 3", None),
    ("region three", None),
    ("3 pallets", None),
    ("three pallets", None),
    ("the second one", None),
    ("The closest one.", None),
    ("left", None),
    ("3/4 m", None),
    ("3 km", None),
    ("NaN", None),
    ("inf", None),
    ("three point five meters", None),
    ("twenty-five meters", None),
    ("twenty five metres", None),
    ("thirty-two meters", None),
    ("two hundred meters", None),
    ("half a meter", None),
    ("one and a half meters", None),
    ("3 and a half meters", None),
    ("6 m 36 cm", None),
    ("5'", None),
    ('40"', None),
    ("50%", None),
    ("less than 3 m", None),
    ("more than 3 meters", None),
    ("at least 4 m", None),
    ("> 3 m", None),
    ("The pallet is 1.2 m tall.", None),
    ("It moves at 3 m/s.", None),
    ("3 m?", None),
    ("Pallet number 3.", None),
    ("6,36 m", None),
    ("It is 5 meters away from pallet number 3.", 5.0),
    ("1.5 meters apart", 1.5),
    ("Region [0] and Region [1] are 3.2 meters apart.", 3.2),
    ("Regions [0] and [1] are 3.2 meters apart.", 3.2),
    ("From Region [0] to [1]: 320 cm.", 3.2),
    ("Region [4] is the one that is closest.", None),
    ("Region[4].", None),
    ("regions [1], [2] and [3]", None),
]

COUNTS: list[tuple[str, float | None]] = [
    ("3", 3),
    ("3.", 3),
    ("0", 0),
    ("3.0", 3),
    ("three", 3),
    ("Three.", 3),
    ("Three pallets.", 3),
    ("3 pallets", 3),
    ("There are 3 pallets.", 3),
    ("There are three pallets in the buffer.", 3),
    ("There are 3 pallets in the buffer region [Region 0].", 3),
    ("[Region 0] contains 3 pallets.", 3),
    ("The buffer [Region 2] holds 4 pallets.", 4),
    ("Buffer 2 holds 4 pallets.", 4),
    ("Buffer 2 holds four of them.", 4),
    ("A total of 5 pallets are inside.", 5),
    ("The total is 5.", 5),
    ("I count 2 transporters.", 2),
    ("I see two transporters.", 2),
    ("None of the pallets are in the buffer.", 0),
    ("None.", 0),
    ("No pallets are in buffer 2.", 0),
    ("There are no pallets in the buffer.", 0),
    ("There are zero pallets.", 0),
    ("Zero", 0),
    ("One pallet.", 1),
    ("There is one pallet in the buffer.", 1),
    ("There is 1 pallet.", 1),
    ("Exactly twelve pallets.", 12),
    ("**2**", 2),
    ("Answer: 2", 2),
    ("count = 2", 2),
    ("The number of pallets in the buffer region is 3.", 3),
    ("The number of pallets is three, i.e. 3.", 3),
    ("Two pallets are not in the buffer.", 2),
    ("Approximately 4 pallets.", 4),
    ("Region 4 has 2 pallets.", 2),
    ("In total there are 7.", 7),
    ("", None),
    ("pallets", None),
    ("several", None),
    ("many pallets", None),
    ("A few pallets.", None),
    ("I cannot count them.", None),
    ("Unclear.", None),
    ("2 or 3", None),
    ("2-3 pallets", None),
    ("Between 2 and 4 pallets.", None),
    ("3 of the 5 pallets are inside.", None),
    ("There are 2 pallets on the left and 1 on the right.", None),
    ("2.5 pallets", None),
    ("3 meters", None),
    ("The distance is 3 m.", None),
    ("-2", None),
    ("[Region 3]", None),
    ("Region 3", None),
    ("region three", None),
    ("left", None),
    ("1,234", None),
    ("The second one.", None),
    ("Pallet 3.", None),
    ("Pallets 3 and 4.", None),
    ("Pallet number 3.", None),
    ("twenty-one pallets", None),
    ("thirty-two pallets", None),
    ("a dozen pallets", None),
    ("half of the 4 pallets", None),
    ("more than 3 pallets", None),
    ("at least 2", None),
    ("fewer than five pallets", None),
    ("Are there 3?", None),
    ("3%", None),
    ("Two pallets, [Region 1] and [Region 3].", 2),
    ("No, there are 3 pallets.", 3),
]

SIDES: list[tuple[str, str | None]] = [
    ("left", "left"),
    ("right", "right"),
    ("Left", "left"),
    ("LEFT.", "left"),
    ("Right.", "right"),
    ("Left side", "left"),
    ("right side", "right"),
    ("the left side", "left"),
    ("To the left.", "left"),
    ("to the right", "right"),
    ("On the right.", "right"),
    ("It is on the left.", "left"),
    ("The pallet [Region 0] is to the left of the pallet [Region 1].", "left"),
    ("[Region 0] is positioned to the right of [Region 1].", "right"),
    ("The shelf [Region 0] appears on the right side of the transporter [Region 1].", "right"),
    ("Pallet 7 is left of pallet 3.", "left"),
    ("Yes, it is to the left.", "left"),
    ("Yes, pallet 3 is on the right of the buffer.", "right"),
    ("From the camera's view, it is on the left.", "left"),
    ("It lies left, when seen from here.", "left"),
    ("Answer: right", "right"),
    ("**right**", "right"),
    ("The answer is left.", "left"),
    ("It seems to be on the right-hand side.", "right"),
    ("left-hand side", "left"),
    ("Definitely left, about 2 m.", "left"),
    ("", None),
    ("neither", None),
    ("Neither left nor right.", None),
    ("both", None),
    ("left or right", None),
    ("Left and right.", None),
    ("It is not on the left.", None),
    ("It isn't to the right.", None),
    ("The left one is to the right.", None),
    ("I cannot tell whether it is left.", None),
    ("Unknown.", None),
    ("in front", None),
    ("behind", None),
    ("above", None),
    ("yes", None),
    ("no", None),
    ("3.4 m", None),
    ("[Region 0]", None),
    ("leftmost", None),
    ("It is in the middle.", None),
    ("That's right.", None),
    ("That is right, they are close.", None),
    ("You are right.", None),
    ("It is right next to the buffer.", None),
    ("It is right behind the shelf.", None),
    ("There is one pallet left.", None),
    ("Nothing left.", None),
    ("The truck has left.", None),
    ("Is it left? No.", None),
    ("The opposite of left.", None),
    ("It is slightly right of the transporter.", "right"),
    ("It is far to the left of [Region 2].", "left"),
]

CHOICES: list[tuple[str, int | None]] = [
    ("[Region 3]", 3),
    ("[Region 0]", 0),
    ("Region 3", 3),
    ("region 12.", 12),
    ("3", 3),
    ("3.", 3),
    ("The pallet [Region 5].", 5),
    ("The pallet [Region 5] is the closest.", 5),
    ("[Region 5] is the nearest to [Region 2].", 5),
    ("[Region 5] is the closest to the transporter [Region 2].", 5),
    ("The pallet [Region 5] is the nearest to the buffer [Region 0].", 5),
    ("The nearest pallet is [Region 5].", 5),
    ("The closest one is [Region 1].", 1),
    ("The nearest pallet to [Region 2] is [Region 5].", 5),
    ("The optimal choice is [Region 4].", 4),
    ("The best pallet to pick up is the pallet [Region 4].", 4),
    ("[Region 2] is the leftmost.", 2),
    ("The leftmost buffer is [Region 2].", 2),
    ("The rightmost pallet is [Region 7].", 7),
    ("[Region 4] is the farthest from [Region 0].", 4),
    ("It is [Region 6].", 6),
    ("That would be [Region 6].", 6),
    ("Answer: [Region 6]", 6),
    ("**[Region 6]**", 6),
    ("I would choose [Region 6].", 6),
    ("The pallet [Region 3] is in the buffer [Region 0].", 3),
    ("The pallet [Region 3] is not in the buffer [Region 0].", 3),
    ("[Region 1] is the second nearest to [Region 4].", 1),
    ("region 3 is the most suitable.", 3),
    ("[ Region 3 ]", 3),
    ("REGION 3", 3),
    ("", None),
    ("None of them.", None),
    ("neither", None),
    ("I cannot tell.", None),
    ("Unsure.", None),
    ("[Region 1] or [Region 2]", None),
    ("[Region 1] and [Region 2] are close.", None),
    ("[Region 1] is not the nearest.", None),
    ("[Region 1] isn't the closest one.", None),
    ("The pallet on the left.", None),
    ("left", None),
    ("the second one", None),
    ("the first", None),
    ("3.5", None),
    ("-1", None),
    ("3 or 4", None),
    ("3 meters", None),
    ("pallets", None),
    ("Region", None),
    ("[Region x]", None),
    ("[Region 1], [Region 2], [Region 3]", None),
    ("The nearest is [Region 1], the farthest is [Region 2].", None),
    ("Not [Region 3].", None),
    ("It is not [Region 3].", None),
    ("All except [Region 3].", None),
    ("Anything but [Region 3].", None),
    ("Any other than [Region 3].", None),
    ("[Region 3] is wrong.", None),
    ("[Region 3]?", None),
    ("Maybe [Region 3].", 3),
]


COUNTS += [
    ("Region [0] has three pallets.", 3),
    ("Regions [0], [5] hold 2 pallets.", 2),
    ("In Region [ 4 ] there are none.", 0),
    ("I see pallets in Region [4].", None),
    ("The pallets stand in Region [1].", None),
    ("I see pallet [4].", None),
    ("REGION[2]", None),
]

CHOICES += [
    ("Region [2]", 2),
    ("region[12].", 12),
    ("Region [2] is closest to Region [0].", 2),
    ("The nearest one is Region [3].", 3),
    ("Regions [1] and [2]", None),
    ("Not Region [3].", None),
]


def refused(text: str, category: Category) -> bool:
    with pytest.raises(SpatialError) as caught:
        read_answer(text, category)
    return caught.value.status is Status.MODEL_ERROR


def test_there_are_enough_sentences() -> None:
    tables: list[list[tuple[str, Any]]] = [DISTANCES, COUNTS, SIDES, CHOICES]
    sentences = [(category, text) for category, cases in enumerate(tables) for text, _ in cases]
    assert len(set(sentences)) == len(sentences) >= 200


@pytest.mark.parametrize(("text", "meters"), DISTANCES)
def test_distances(text: str, meters: float | None) -> None:
    if meters is None:
        assert refused(text, Category.DISTANCE)
    else:
        answer = read_answer(text, Category.DISTANCE)
        assert answer.value == pytest.approx(meters, abs=1e-9)
        assert answer.unit == "m"


@pytest.mark.parametrize(("text", "number"), COUNTS)
def test_counts(text: str, number: float | None) -> None:
    if number is None:
        assert refused(text, Category.COUNT)
    else:
        assert read_answer(text, Category.COUNT).value == number


@pytest.mark.parametrize(("text", "side"), SIDES)
def test_sides(text: str, side: str | None) -> None:
    if side is None:
        assert refused(text, Category.LEFT_RIGHT)
    else:
        assert read_answer(text, Category.LEFT_RIGHT).side is Side[side.upper()]


@pytest.mark.parametrize(("text", "index"), CHOICES)
def test_choices(text: str, index: int | None) -> None:
    if index is None:
        assert refused(text, Category.MCQ)
    else:
        assert read_answer(text, Category.MCQ).region_index == index
