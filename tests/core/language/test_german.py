"""German questions are read as the English ones are: a second language is a file of words."""

import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language.reader import Read, read_text
from smolrgpt_core.regions import Box, Region, RegionSet

LABELS = {
    1: "buffer",
    2: "buffer",
    10: "pallet",
    11: "pallet",
    12: "pallet",
    32: "pallet",
    60: "transporter",
    61: "transporter",
    80: "shelf",
    81: "shelf",
}
REGIONS = RegionSet(
    (100, 200),
    tuple(
        Region.from_box(id, label, Box(10 * place, 5, 8, 8))
        for place, (id, label) in enumerate(LABELS.items())
    ),
)


def read(text: str, *masks: int) -> Read:
    return read_text(text, REGIONS, masks)


@pytest.mark.parametrize(
    ("german", "english"),
    [
        (
            "Wie weit ist Palette 10 von Palette 11 entfernt?",
            "How far is pallet 10 from pallet 11?",
        ),
        (
            "Wie weit sind die Paletten 10 und 11 voneinander entfernt?",
            "How far is pallet 10 from pallet 11?",
        ),
        ("Wie weit bin ich von Palette 10 entfernt?", "How far is pallet 10 from the camera?"),
        (
            "wie weit ist die naechste palette weg",
            "How far is (the pallet that is nearest to the camera) from the camera?",
        ),
        (
            "Wie weit ist die nächste Palette von Transporter 60 entfernt?",
            "How far is (the pallet that is nearest to transporter 60) from transporter 60?",
        ),
        (
            "Wie groß ist der Abstand von Palette 10 zum nächsten Regal?",
            "How far is pallet 10 from the shelf that is nearest to pallet 10?",
        ),
        (
            "Ich hätte gerne gewusst, wie weit es von hier bis zu Palette 10 ist.",
            "How far is pallet 10 from the camera?",
        ),
        (
            "Kannst du mir die Entfernung zwischen Palette 10 und 11 sagen?",
            "How far is pallet 10 from pallet 11?",
        ),
        (
            "Horizontaler Abstand zwischen Palette 10 und Palette 11",
            "What is the horizontal distance between pallet 10 and pallet 11?",
        ),
        (
            "Wie viel Platz ist zwischen Regal 80 und Regal 81?",
            "What is the clearance between shelf 80 and shelf 81?",
        ),
        (
            "Wie breit ist die Lücke zwischen Palette 10 und Palette 11?",
            "What is the clearance between pallet 10 and pallet 11?",
        ),
        (
            "Wie viele Paletten stehen weder in Puffer 1 noch in Puffer 2?",
            "How many pallets are not in buffer 1 and not in buffer 2?",
        ),
        (
            "Könnten Sie mir bitte sagen, wie viele Paletten in den Puffern 1 und 2 stehen?",
            "How many pallets are in buffers 1 and 2?",
        ),
        (
            "Wie viele der Paletten 10, 11 und 12 sind leer?",
            "How many of pallets 10, 11 and 12 are empty?",
        ),
        ("Wie viele Paletten trägt Transporter 60?", "How many pallets are on transporter 60?"),
        (
            "In welchem Puffer stehen die meisten Paletten?",
            "Which buffer is the one with the largest number of pallets held?",
        ),
        ("Welche Palette ist die 2. von rechts?", "Which pallet is the second rightmost?"),
        ("Welche ist die zweite Palette von links?", "Which pallet is the second leftmost?"),
        (
            "Welcher freie Transporter ist am drittnächsten zu Palette 10?",
            "Which transporter that is empty is third nearest to pallet 10?",
        ),
        (
            "Welche Palette ist Transporter 60 am nächsten?",
            "Which pallet is nearest to transporter 60?",
        ),
        (
            "Was ist größer, die Palette 10 oder die Palette 12?",
            "Which of pallets 10 and 12 is the largest?",
        ),
        (
            "Welche Palette ist breiter, 10 oder 11?",
            "Which of pallets 10 and 11 is the widest?",
        ),
        (
            "Von den Paletten 10, 11 und 12: welche steht am weitesten rechts?",
            "Which of pallets 10, 11 and 12 is the rightmost?",
        ),
        ("Welche Palette trägt Transporter 60?", "Which pallet is on transporter 60?"),
        ("Welche Paletten enthält Puffer 2?", "Which pallets are in buffer 2?"),
        (
            "Wo ist der Transporter, der Palette 32 trägt?",
            "Where is the transporter that is holding pallet 32?",
        ),
        (
            "Wie hoch ist die Palette, die der Transporter 60 trägt?",
            "What is the height of the pallet that is on transporter 60?",
        ),
        (
            "Wie breit ist der Puffer, in dem Palette 10 steht?",
            "What is the width of the buffer that is holding pallet 10?",
        ),
        (
            "Wie viele Paletten stehen in dem Puffer, in dem Transporter 60 steht?",
            "How many pallets are in the buffer that is holding transporter 60?",
        ),
        (
            "Wie weit ist die Palette die am nächsten zu Regal 80 steht von Puffer 1 entfernt?",
            "How far is (the pallet that is nearest to shelf 80) from buffer 1?",
        ),
        (
            "Wie weit ist Palette 10 vom leeren Stapler entfernt, der links von Regal 80 steht?",
            "How far is pallet 10 from the transporter that is empty and left of shelf 80?",
        ),
        (
            "Liste mir alle Paletten auf, die näher als 4,5 Meter an der Kamera stehen.",
            "Which pallets have a distance to the camera of less than 4.5 m?",
        ),
        (
            "Nenne alle Paletten, die in Puffer 1 oder Puffer 2 stehen und leer sind.",
            "Which pallets are in buffers 1 and 2 and empty?",
        ),
        ("Welche Paletten stehen in keinem Puffer?", "Which pallets are not in buffers?"),
        (
            "Welche Paletten sind mehr als 2 m, aber weniger als 5 m von Regal 80 entfernt?",
            "Which pallets are more than 2 m from shelf 80 and with a distance to shelf 80 of"
            " less than 5 m?",
        ),
        (
            "Welche Paletten stehen im Umkreis von 300 cm um Transporter 60?",
            "Which pallets are within 3 m of transporter 60?",
        ),
        (
            "Welche zwei Paletten sind am nächsten zur Kamera?",
            "List the 2 of pallets with the smallest distance to the camera.",
        ),
        (
            "Gibt es in Puffer 1 leere Paletten?",
            "Are there any pallets that are empty and in buffer 1?",
        ),
        ("Stehen Paletten in Puffer 2?", "Are there any pallets that are in buffer 2?"),
        ("Sind die Paletten in Puffer 2 leer?", "Are all (pallets that are in buffer 2) empty?"),
        (
            "Ist eine der Paletten 10 und 11 leer?",
            "Are there any pallets 10 and 11 that are empty?",
        ),
        (
            "Ist keiner der Transporter frei?",
            "Is it false that there are some transporters that are empty?",
        ),
        (
            "Steht mehr als eine Palette in Puffer 1?",
            "Is there more than 1 pallet that is in buffer 1?",
        ),
        (
            "Stehen in Puffer 1 mehr Paletten als in Puffer 2?",
            "Is the number of (pallets that are in buffer 1) more than the number of pallets "
            "that are in buffer 2?",
        ),
        (
            "Ist Palette 10 näher an Transporter 60 als Palette 11?",
            "Is pallet 10 with a distance to transporter 60 of less than the distance to "
            "transporter 60 of pallet 11?",
        ),
        ("Ist Palette 10 höher als 1,2 m?", "Is pallet 10 with a height of more than 1.2 m?"),
        (
            "Steht Palette 10 zwischen Regal 80 und Regal 81?",
            "Is pallet 10 between shelf 80 and shelf 81?",
        ),
        (
            "Steht Palette 10 links oder rechts von Transporter 60?",
            "Is pallet 10 left or right of transporter 60?",
        ),
        (
            "Wenn ich an Regal 80 stehe und zu Regal 81 schaue, ist Palette 12 links oder rechts?",
            "Is pallet 12 left or right of somebody who stands at shelf 80 and looks at shelf 81?",
        ),
        (
            "Stimmt es, dass kein Transporter beladen ist?",
            "Is it false that there are some transporters that are not empty?",
        ),
        (
            "In Puffer 1 stehen mehr als drei Paletten, richtig oder falsch?",
            "Are there more than 3 pallets in buffer 1?",
        ),
        (
            "Ist in Puffer 1 noch Platz für eine weitere Palette?",
            "Is there room for another pallet in buffer 1?",
        ),
        (
            "Passt ein 1,2 m breites Fahrzeug zwischen Regal 80 und Regal 81 durch?",
            "Is the clearance between shelf 80 and shelf 81 at least 1.2 m?",
        ),
        ("Wie viel Platz ist in Puffer 1 noch frei?", "What is the free area of buffer 1?"),
        ("Wie groß ist Palette 10?", "What are the dimensions of pallet 10?"),
        (
            "Wie viel höher ist Palette 10 als Palette 11?",
            "What is the difference between the height of pallet 10 and the height of pallet 11?",
        ),
        (
            "In welcher Richtung liegt Palette 10 von Transporter 60 aus?",
            "In which direction is pallet 10 from transporter 60?",
        ),
        (
            "Sortiere die Transporter nach Entfernung zur Kamera",
            "List transporters in order of distance to the camera.",
        ),
        (
            "In welcher Reihenfolge stehen die Paletten von links nach rechts?",
            "Order the pallets from left to right",
        ),
        ("Wird Palette 10 von Transporter 60 getragen?", "Is pallet 10 on transporter 60?"),
        (
            "Wie weit ist Plaette zehn von Palette elf entfrent?",
            "How far is pallet 10 from pallet 11?",
        ),
        (
            "Wie hoch sind die Paletten 10, 11 und 12 zusammen?",
            "What is the total height of pallets 10, 11 and 12?",
        ),
        (
            "Wie groß ist das Gesamtvolumen der Paletten in Puffer 1?",
            "What is the total volume of the pallets in buffer 1?",
        ),
        ("Wie groß ist die Gesamthöhe der Palette 10?", "What is the height of pallet 10?"),
        (
            "Wie hoch sind die Paletten in Puffer 1 im Durchschnitt?",
            "What is the average height of the pallets in buffer 1?",
        ),
        (
            "Durchschnittlicher Abstand der Paletten in Puffer 1 zur Kamera",
            "What is the average distance to the camera of the pallets in buffer 1?",
        ),
        (
            "In welchem Verhältnis steht die Höhe von Palette 10 zur Höhe von Palette 12?",
            "What is the ratio of the height of pallet 10 to the height of pallet 12?",
        ),
        (
            "Wie viel mal so weit von Puffer 1 entfernt wie Palette 12 ist Palette 10?",
            "What is the ratio of the distance from pallet 10 to buffer 1 to the distance from "
            "pallet 12 to buffer 1?",
        ),
        (
            "Ist Palette 10 doppelt so hoch wie Palette 12?",
            "Is pallet 10 twice as tall as pallet 12?",
        ),
        (
            "Wie groß ist der Winkel zwischen Palette 10 und Palette 12 von Transporter 60 aus?",
            "What is the angle between pallet 10 and pallet 12 from transporter 60?",
        ),
        (
            "Wie weit ist der gelbe Transporter 60 von Palette 12 entfernt?",
            "How far is the yellow transporter 60 from pallet 12?",
        ),
        (
            "Wie viele Paletten sind zwischen 1 und 2 m hoch?",
            "How many pallets are between 1 m and 2 m tall?",
        ),
        (
            "Sind mehr als die Hälfte der Paletten beladen?",
            "Are there more loaded pallets than empty pallets?",
        ),
        (
            "Welche zwei Paletten stehen am nächsten beieinander?",
            "Which two pallets are nearest to each other?",
        ),
        # The plural of Puffer is Puffer: what stands before it tells the number.
        ("Wie viele Paletten stehen im Puffer?", "How many pallets are in the buffer?"),
        ("Wie viele Paletten stehen in Puffern?", "How many pallets are in buffers?"),
        ("Wie viele Paletten stehen außerhalb der Puffer?", "How many pallets are not in buffers?"),
        ("Sind die Puffer leer?", "Are all buffers empty?"),
        ("Ist der Puffer leer?", "Is the buffer empty?"),
        # A relative pronoun tells by its gender, number and place to which noun it belongs.
        (
            "Wie hoch ist die Palette im leeren Puffer, die am weitesten links steht?",
            "What is the height of the leftmost pallet in (the empty buffer)?",
        ),
        (
            "Wie hoch ist die Palette im Puffer, der am weitesten links liegt?",
            "What is the height of the pallet in (the leftmost buffer)?",
        ),
        (
            "Wie viele Paletten stehen im Puffer, der am nächsten zum Stapler ist, der leer ist?",
            "How many pallets are in the buffer nearest to the empty transporter?",
        ),
        (
            "Wo ist die Palette, die in dem Puffer steht, der leer ist?",
            "Where is the pallet that is in the empty buffer?",
        ),
    ],
)
def test_is_read_as_in_english(german: str, english: str) -> None:
    found = read(german)
    assert found.language == "german"
    assert found.program == read(english).program


@pytest.mark.parametrize(
    ("german", "unit"),
    [
        ("Wie weit, in Fuß, ist Palette 10 von der Kamera weg?", ("ft", 0.3048)),
        ("Wie viele Zentimeter ist Palette 10 von Palette 11 entfernt?", ("cm", 0.01)),
        ("Höhe der Palette 10 in mm", ("mm", 0.001)),
        ("Wie weit ist Palette 10 von der Kamera entfernt?", None),
    ],
)
def test_the_unit_that_was_asked_for(german: str, unit: tuple[str, float] | None) -> None:
    assert read(german).unit == unit


def test_masks_are_regions() -> None:
    assert read("Ist <mask> links von <mask>?", 10, 11).program == (
        read("Is pallet 10 left of pallet 11?").program
    )


@pytest.mark.parametrize(
    "german",
    [
        # What only looks like a question about one of two, or about all of them.
        "Wie weit ist die Palette 10 oder die Palette 11 entfernt?",
        "Wie weit ist Palette 10 von Puffer 1 und Puffer 2 entfernt?",
        "Wie weit ist der leere Transporter von Palette 11 und Palette 12 entfernt?",
        "Ist Palette 10 leer oder beladen?",
        "Sind nicht alle Paletten leer?",
        # How much higher, or how many times as high?
        "Wievielmal höher ist Palette 10 als Palette 12?",
        # Words that change the meaning and are not understood.
        "Steht nur eine Palette in Puffer 1?",
        "Ist fast jede Palette leer?",
        "Ist Palette 10 doppelt so groß wie Palette 11?",
        # Who carries whom cannot be told from the words.
        "Welche Paletten tragen die Transporter 60 und 61?",
        # Not to be answered from a picture.
        "Wie viele Paletten kann Transporter 60 tragen?",
        "Wie viele Paletten waren gestern in Puffer 1?",
        "Soll ich Palette 10 nehmen?",
        "Ist Palette 10 neben Palette 11?",
        # Refers back to nothing.
        "Wie weit ist sie entfernt?",
        "Welche Palette ist die zweite?",
    ],
)
def test_is_refused_rather_than_guessed(german: str) -> None:
    with pytest.raises(SpatialError) as refusal:
        read(german)
    assert refusal.value.status is Status.BAD_QUESTION


def test_a_name_of_another_class_is_reported() -> None:
    with pytest.raises(SpatialError, match="region 60 is a transporter") as refusal:
        read("Ist Palette 60 leer?")
    assert refusal.value.status is Status.UNKNOWN_REGION


def test_two_meanings_are_named() -> None:
    with pytest.raises(SpatialError, match="this has two meanings") as refusal:
        read("Welche Paletten tragen die Transporter 60 und 61?")
    assert "pallets are on transporters 60 and 61" in str(refusal.value)
    assert "pallets hold one of transporters 60 and 61" in str(refusal.value)
