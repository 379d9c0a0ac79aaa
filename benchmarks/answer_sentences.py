"""Answers as vision-language models word them, with what they mean, for `reading_answers.py`.

Written as many models talk (terse, verbose, hedging, reasoning first, marked up, refusing), after
the rules and before any reader was run on them. A slot is filled with several values; what a
sentence means is the value that went in, or "" where a careful person would not say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec

FILLS = 5
"""So many values for each wording."""


@dataclass(frozen=True)
class Sentence:
    """An answer with its question and what it means.

    Attributes:
        asked: what the question asks for.
        question: in words.
        text: the answer.
        meaning: as the rules would say it; empty for nothing that can be relied on.
    """

    asked: AnswerSpec
    question: str
    text: str
    meaning: str


_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
          "eleven", "twelve")  # fmt: skip

_LENGTH_FORMS = (
    ("{a} meters", lambda a, b: a),
    ("{a}m", lambda a, b: a),
    ("{a} m", lambda a, b: a),
    ("{a} metres", lambda a, b: a),
    ("{b} centimeters", lambda a, b: b / 100),
    ("{b} cm", lambda a, b: b / 100),
    ("{b}cm", lambda a, b: b / 100),
    ("{a} feet", lambda a, b: a * 0.3048),
    ("{a} ft", lambda a, b: a * 0.3048),
    ("{b} inches", lambda a, b: b * 0.0254),
    ("{f}'{i}\"", lambda a, b: (b % 8 + 1) * 0.3048 + (b % 11) * 0.0254),
    ("{f} feet {i} inches", lambda a, b: (b % 8 + 1) * 0.3048 + (b % 11) * 0.0254),
    ("{n} meters", lambda a, b: b % 12 + 1),
    ("{n} feet", lambda a, b: (b % 12 + 1) * 0.3048),
    ("{n} and a half meters", lambda a, b: b % 12 + 1.5),
    ("half a meter", lambda a, b: 0.5),
    ("twenty-five centimeters", lambda a, b: 0.25),
    ("a meter and a half", lambda a, b: 1.5),
    ("three quarters of a meter", lambda a, b: 0.75),
    ("one hundred and twenty centimeters", lambda a, b: 1.2),
    ("{n} point five meters", lambda a, b: b % 12 + 1.5),
    ("{b} millimeters", lambda a, b: b / 1000),
    ("{a} yards", lambda a, b: a * 0.9144),
)

_LENGTHS = (
    "{L}", "{L}.", "About {L}.", "Approximately {L}", "It is {L}.", "It's around {L} wide.",
    "The width of Region [0] is {L}.", "Region [0] measures {L} across.",
    "I would estimate the height to be {L}.", "Roughly {L}, give or take.", "**{L}**",
    "The answer is {L}.", "Answer: {L}", "The distance between them is approximately {L}.",
    "They are {L} apart from each other.", "From the image, the gap looks like {L}.",
    "Region [0] and Region [1] are {L} apart.", "The pallet stands {L} tall.",
    "Based on the size of the door, I would say {L}.", "My best guess would be {L}.",
    "The vertical separation of the two objects is {L}.", "Likely {L}, judging by the perspective.",
    "Sure! The crate is {L} in height.", "Considering typical pallets, this one is {L} wide.",
    "Given the perspective, the object in the middle is {L} away from the one on the left.",
    "The cabinet's height is {L}", "Its width: {L}", "width = {L}",
    "Horizontally, the two are {L} apart.", "The object is {L} high from base to top.",
    "Let me think. The box is larger than the chair. So it should be {L}.",
    "The estimated measurement comes to {L}.",
    "Region [1] is at a distance of {L} from Region [0] in the scene.",
    "A standard door is 2 meters tall; the shelf next to it is {L}.",
    "The chair is about 50 cm wide, so the table must be {L} wide.",
    "If the shelf is 2 m tall, then the box beside it is {L} tall.",
    "The width is {L}. The height cannot be told.",
    "Compared with the 3 m shelf, Region [0] is {L} wide.",
    "First I measured 4 m, but after checking again the width is {L}.",
    "The box is not 9 m wide; it is {L} wide.",
    "It measures {L} in width, and 80 cm in depth.",
    "Region [0] has a width of {L}, while Region [1] has a width of 7 m.",
    "The two regions are {L} apart, or in other words rather close.",
)  # fmt: skip
_NO_LENGTHS = (
    "I cannot determine the distance from this image.", "The object is quite wide.",
    "It is wider than Region [1].", "Sorry, I can't measure objects in images.",
    "Somewhere between close and far.", "Not enough information.", "It is larger than 3 m.",
    "Two of them.", "The box is {n} times as wide as the crate.", "{a}",
    "It could be 1 m or 4 m, it is hard to say.", "Unknown.", "The width is {a} units.",
    "If it were a car it would be {a} m, but it is not.",
    "I do not know, but certainly not {a} meters.",
)  # fmt: skip

_HOURS = (
    "{h} o'clock", "{h} o'clock.", "{h}", "At {h} o'clock.", "It is at {h} o'clock.", "{H} o'clock",
    "Around {h} o'clock", "Region [1] is at {h} o'clock from Region [0].",
    "The direction is {h} o'clock.", "Answer: {h} o'clock", "**{h} o'clock**",
    "It lies in the {h} o'clock direction.", "Facing 12, the crate is at {h} o'clock.",
    "If Region [0] is at 12 o'clock, Region [1] is at {h} o'clock.",
    "If one looks along 12 o'clock, the barrel would be at your {h} o'clock.",
    "I would say {H}.", "You will find it at your {h}.", "Toward {h} o'clock",
    "Region [1] can be found at {h} o'clock relative to Region [0].",
    "Looking ahead, about {h} o'clock.", "It's in the direction of {H} o'clock.",
    "the {h} o'clock position", "Roughly at {h} o'clock, slightly behind.",
    "Region [1] is positioned near {h}.", "Hour: {h}", "At the hour of {H}.",
    "{h} o\u2019clock", "{h} O'Clock", "{h}:00", "In terms of a clock face: {h}.",
    "Not at 6 but at {h} o'clock.", "The shelf is at 2 o'clock, and Region [1] is at {h} o'clock.",
    "The answer is {h}.", "I'd place it at {H} o'clock.", "{h} oclock",
    "Its bearing is {h} o'clock, to be exact.",
)  # fmt: skip
_NO_HOURS = (
    "To the right.", "It is behind Region [0].", "Between 2 and 4 o'clock.", "I cannot tell.",
    "At 15 o'clock.", "Either 3 or 9 o'clock.", "In front of you.", "North-east.",
    "Half past two.", "There is no clock in this image.",
)  # fmt: skip

_YES_NO = {
    "yes": (
        "Yes",
        "yes.",
        "Yes, it is.",
        "Yes, Region [0] is wider than Region [1].",
        "Correct.",
        "True",
        "That is correct.",
        "Indeed it is.",
        "Yep",
        "Certainly.",
        "Definitely yes.",
        "Yes - the crate is clearly to the left.",
        "Answer: Yes",
        "The answer is yes.",
        "**Yes**",
        "I believe the answer is yes.",
        "Based on the image, yes.",
        "It is true that it is wider.",
        "Absolutely, the first is taller.",
        "Affirmative.",
        "I would say yes, it is.",
        "In the image Region [0] appears taller, so yes.",
        "Right, it is.",
        "Sure is.",
        "Looking at both, yes.",
        "Yes! It does.",
        "(yes)",
        "My answer would be yes.",
        "Without a doubt, yes.",
        "Yes, although only slightly.",
        "Yes, not just a little.",
        "It is not hard to see: yes.",
        "The statement is true.",
        "Yeah, it is closer.",
        "To be honest, yes, it is in front.",
        "Of course it is, yes.",
        "Region [0] is in front of Region [1], yes.",
        "After comparing, the answer: yes.",
        "Actually, yes, it is bigger.",
        "Yes.\n\nThe left object has a larger extent.",
        "It seems that the correct answer is yes.",
        "I think yes.",
        "Yes it is",
        "The claim is correct.",
    ),
    "no": (
        "No",
        "no.",
        "No, it is not.",
        "No, Region [0] is narrower than Region [1].",
        "Incorrect.",
        "False",
        "That is not correct.",
        "Nope",
        "Certainly not.",
        "Definitely not.",
        "No - the crate is clearly to the right.",
        "Answer: No",
        "The answer is no.",
        "**No**",
        "I believe the answer is no.",
        "Based on the image, no.",
        "It is not true.",
        "Absolutely not, the first is shorter.",
        "Negative.",
        "I would say no, it is not.",
        "In the image Region [0] appears shorter, so no.",
        "Wrong, it is not.",
        "It isn't.",
        "Looking at both, no.",
        "No! It does not.",
        "(no)",
        "My answer would be no.",
        "Without a doubt, no.",
        "No, although it is close.",
        "No, not even a little.",
        "It is not hard to see: no.",
        "The statement is false.",
        "Nah, it is farther.",
        "To be honest, no, it is behind.",
        "Of course it is not.",
        "Region [0] is not in front of Region [1].",
        "After comparing, the answer: no.",
        "Actually, it is smaller.",
        "No.\n\nThe left object has a smaller extent.",
        "It seems that the correct answer is no.",
        "I think not.",
        "No it isn't",
        "The claim is incorrect.",
    ),
    "": (
        "I cannot say yes or no.",
        "Maybe.",
        "It depends on the viewpoint.",
        "Unclear.",
        "Perhaps.",
        "I'm not sure whether it is.",
        "There is no way to tell.",
        "They look about the same.",
        "Possibly yes, possibly no.",
        "I am unable to answer that.",
        "Region [0].",
        "Is it wider? That is hard to say.",
        "No idea.",
        "Not enough information to decide.",
        "No objects are highlighted.",
    ),
}

_REGIONS = (
    "Region [{k}]", "Region [{k}].", "region [{k}] is wider.", "It is Region [{k}].",
    "The answer is Region [{k}].", "Region [{k}] is taller than Region [{o}].", "[{k}]",
    "Standing taller between the two is Region [{k}].", "Region {k}", "Region {k}.",
    "I would pick Region [{k}].", "Region [{k}] appears larger than the other one.",
    "Out of the two, Region [{k}] is closer.", "Answer: Region [{k}]", "**Region [{k}]**",
    "Of Region [0] and Region [1], Region [{k}] is the larger one.",
    "Region [{o}] is smaller, so the answer is Region [{k}].", "The {n} is taller.", "The {n}.",
    "Compared to the {m}, the {n} is bigger.", "The {n} is the taller one.",
    "The {n} (Region [{k}])", "Region [{k}] (the {n})", "It's the {n}.",
    "Region [{k}] is bigger, not Region [{o}].", "Positioned more to the left is Region [{k}].",
    "I'd say the {n} is wider than the {m}.", "Between the {n} and the {m}, the {n} is wider.",
    "Region [{k}] has the greater height.", "the region [{k}]", "Region[{k}]",
    "The object in Region [{k}] is above the other.", "My choice: Region [{k}]",
    "Clearly Region [{k}], as it reaches higher.", "Region [{k}] is on the left side.",
    "From the viewer's perspective, Region [{k}] appears more on the left side.",
    "Region [{k}] is below Region [{o}].", "Appearing wider is the {n}.",
    "Region [{o}] is not the wider one; Region [{k}] is.", "Number {k}.",
)  # fmt: skip
_NO_REGIONS = (
    "Both are the same.", "Region [0] and Region [1] are equally tall.", "I cannot tell.",
    "Neither of them.", "Yes.", "The one on the left.", "Region [7]",
    "Either Region [0] or Region [1].", "The taller one.", "It is not clear which one is meant.",
)  # fmt: skip

_SIDES = (
    "{s}", "{S}", "{S}.", "It is on the {s}.", "To the {s}.", "The pallet is on the {s} side.",
    "[Region 0] is to the {s} of [Region 1].", "The transporter is {s} of the pallet.",
    "From the camera's view, it is to the {s}.", "The answer is {s}.", "Answer: {s}",
    "On the {s}-hand side.", "It appears further {s}.", "Looking from the camera, {s}.",
    "The first pallet is located to the {s} side of the second one.", "**{S}**", "Toward the {s}.",
    "I think the pallet lies on the {s}.", "The buffer is positioned {s} of the shelf.",
    "{S} side", "It sits {s} of the other pallet in the image.", "The correct answer is: {s}",
    "It's not on the {t}; it's on the {s}.", "Seen from here, the crate is more to the {s}.",
    "[Region 0] is situated on the {s} of [Region 1].", "The {s} one.", "{s}ward", "Far {s}.",
    "The pallet [Region 0] is to the {s} when viewed from the front.", "Slightly to the {s}.",
    "Relative to the shelf, the pallet is {s}.", "The region is left or right? It is {s}.",
    "Compared with Region 1, Region 0 is more to the {s}.", "{S}, from the viewer's perspective.",
    "It is right there on the {s}.", "The pallet stays {s} of center.", "leftmost? No, {s}.",
    "Of the two, this pallet is to the {s}.", "It is {s}.", "My answer: {s} side of the image.",
)  # fmt: skip
_NO_SIDES = (
    "In the middle.", "I cannot tell left from right here.", "Behind it.", "Above.",
    "One pallet is left.", "That is right.", "On both sides.", "Right behind the shelf.",
    "Nothing left to see.", "Either left or right.",
)  # fmt: skip

_COUNTS = (
    "{c}", "{c}.", "{C}", "{C}.", "There are {c} pallets in the buffer.",
    "There are {C} pallets in the buffer zone.", "The count is {c}.", "I can see {C} objects.",
    "Answer: {c}", "**{c}**", "The answer is {C}.", "In total, {c} pallets.", "{c} pallets",
    "The number of pallets is {c}.", "The buffer [Region 0] holds {c} pallets.",
    "A total of {C} pallets stand in it.", "{C} in total.", "I count {c}.",
    "Buffer region 0 contains {c} pallets.", "There seem to be {C} of them.",
    "I see {c} pallets on the floor inside the zone.", "It has {C} pallets in it.",
    "Within the buffer: {c}.", "We can find {C} pallets inside.", "There are {c}.",
    "Number of objects: {c}", "The zone is occupied by {C} pallets.",
    "Of the 9 pallets in view, {c} are in the buffer.", "Counting them one by one gives {c}.",
    "Pallets: {c}", "Exactly {C} pallets.", "The total is {c}, all in the left zone.",
    "Looking at [Region 0], {c} pallets are inside and the others are outside.",
    "[Region 0] has {C} pallets.", "{c} pallet(s)", "The buffer currently stores {c} loads.",
    "At first glance 8, but only {c} stand in the zone.", "There are {C} pallets and no shelf.",
    "I counted twice and got {c}.", "It is {c}",
)  # fmt: skip
_NO_COUNTS = (
    "Several.", "Many pallets.", "I cannot count them.", "More than 3.", "A few.", "Some of them.",
    "Between 2 and 4.", "It is hard to tell.", "Less than 5 pallets.", "At least two.",
)  # fmt: skip

_LETTERS = (
    "{l}", "({l})", "{l}.", "({l}) {x}", "{l}. {x}", "{l}) {x}", "Answer: {l}",
    "The answer is {l}.",
    "The answer is ({l}).", "**{l}**", "**({l})** {x}", "Option {l}", "The correct option is {l}.",
    "I choose {l}.", "{x}", "{x}.", "The {x} one.", "It is the {x}.", "The answer is {x}.",
    "I think the answer is {l}, because it is closer.", "Based on the image, the answer is ({l}).",
    "{l} is the correct choice here.", "The correct answer is ({l}) {x}.", "My answer is {l}",
    "The {x} is closer to the camera.", "Final answer: {l}", "Among the options, {l} fits best.",
    "The {y} is farther away, so the answer is {l}.", "It must be {x}, hence ({l}).", "{l}: {x}",
    "answer is {l}", "So I go with option ({l}).", "Not {m}, but {l}.", "Choice {l} it is.",
    "The object closest to the camera is the {x}.", "I would select ({l}), the {x}.",
    "\\boxed{{{l}}}", "<answer>{l}</answer>", "[{l}]", "The {x} (option {l}).",
)  # fmt: skip
_NO_LETTERS = (
    "None of the above.", "I cannot tell.", "Both A and B.", "A or B", "All of them.",
    "It depends.", "Either the crate or the barrel.", "E", "Neither.", "The options are unclear.",
)  # fmt: skip

_NAMES = (("crate", "barrel"), ("pallet", "shelf"), ("chair", "table"), ("lamp", "desk"))
_CHOICES = (("crate", "barrel", "shelf", "table"), ("chair", "lamp", "desk", "sofa"))
_QUESTIONS = {
    AnswerKind.LENGTH: "How wide is Region [0]?",
    AnswerKind.HOUR: "If you are at Region [0] and look ahead, at what hour is Region [1]?",
    AnswerKind.YES_NO: "Is Region [0] wider than Region [1]?",
    AnswerKind.REGION: "Which is taller, Region [0] or Region [1]?",
    AnswerKind.SIDE: "Is the pallet [Region 0] to the left or right of [Region 1]?",
    AnswerKind.COUNT: "How many pallets are in the buffer [Region 0]?",
    AnswerKind.LETTER: "Which object is closest to the camera?",
}


def sentences(seed: int = 0) -> list[Sentence]:
    """All sentences, the same for the same seed; over 200 of each kind."""
    rng = np.random.default_rng(seed)
    found: list[Sentence] = []
    for make in (_lengths, _hours, _yes_no, _regions, _sides, _counts, _letters):
        found += make(rng)
    return found


def _sentence(asked: AnswerSpec, text: str, meaning: str) -> Sentence:
    return Sentence(asked, _QUESTIONS[asked.kind], text, meaning)


def _lengths(rng: np.random.Generator) -> list[Sentence]:
    asked, found = AnswerSpec(AnswerKind.LENGTH), []
    for wording in _LENGTHS:
        for _ in range(FILLS):
            form, meters = _LENGTH_FORMS[int(rng.integers(len(_LENGTH_FORMS)))]
            a, b = round(float(rng.uniform(0.3, 9)), 2), int(rng.integers(8, 240))
            said = form.format(a=a, b=b, f=b % 8 + 1, i=b % 11, n=_WORDS[b % 12 + 1])
            meaning = f"{meters(a, b):.6g} m"
            found.append(_sentence(asked, wording.format(L=said), meaning))
    for wording in _NO_LENGTHS:
        a, b = round(float(rng.uniform(0.3, 9)), 2), int(rng.integers(2, 10))
        found.append(_sentence(asked, wording.format(a=a, n=_WORDS[b]), ""))
    return found


def _hours(rng: np.random.Generator) -> list[Sentence]:
    asked, found = AnswerSpec(AnswerKind.HOUR), []
    for wording in _HOURS:
        for hour in rng.permutation(12)[: FILLS + 1] + 1:
            text = wording.format(h=hour, H=_WORDS[hour])
            found.append(_sentence(asked, text, f"{hour} o'clock"))
    return found + [_sentence(asked, text, "") for text in _NO_HOURS]


def _yes_no(rng: np.random.Generator) -> list[Sentence]:
    """Every wording with two questions, so that what a reader makes of it is not by chance."""
    asked = AnswerSpec(AnswerKind.YES_NO)
    questions = (
        _QUESTIONS[asked.kind],
        "Does Region [0] come behind Region [1]?",
        "Is Region [0] to the left of Region [1]?",
    )
    return [
        Sentence(asked, question, text, meaning)
        for meaning, wordings in _YES_NO.items()
        for text in wordings
        for question in questions[: 3 if meaning else 1]
    ]


def _regions(rng: np.random.Generator) -> list[Sentence]:
    found = []
    for wording in _REGIONS:
        for _ in range(FILLS):
            names = _NAMES[int(rng.integers(len(_NAMES)))]
            k = int(rng.integers(2))
            text = wording.format(k=k, o=1 - k, n=names[k], m=names[1 - k])
            found.append(_sentence(AnswerSpec(AnswerKind.REGION, names), text, f"Region [{k}]"))
    asked = AnswerSpec(AnswerKind.REGION, _NAMES[0])
    return found + [_sentence(asked, text, "") for text in _NO_REGIONS]


def _sides(rng: np.random.Generator) -> list[Sentence]:
    asked, found = AnswerSpec(AnswerKind.SIDE), []
    sides = ("left", "right")
    for wording in _SIDES:
        for place in rng.integers(2, size=FILLS):
            side, other = sides[place], sides[1 - place]
            text = wording.format(s=side, S=side.capitalize(), t=other)
            found.append(_sentence(asked, text, side))
    return found + [_sentence(asked, text, "") for text in _NO_SIDES]


def _counts(rng: np.random.Generator) -> list[Sentence]:
    asked, found = AnswerSpec(AnswerKind.COUNT), []
    for wording in _COUNTS:
        for count in rng.permutation(7)[:FILLS] + 1:
            text = wording.format(c=count, C=_WORDS[count])
            found.append(_sentence(asked, text, str(count)))
    return found + [_sentence(asked, text, "") for text in _NO_COUNTS]


def _letters(rng: np.random.Generator) -> list[Sentence]:
    found = []
    for wording in _LETTERS:
        for _ in range(FILLS):
            names = _CHOICES[int(rng.integers(len(_CHOICES)))]
            k, other = (int(place) for place in rng.permutation(4)[:2])
            text = wording.format(l="ABCD"[k], x=names[k], y=names[other], m="ABCD"[other])
            found.append(_sentence(AnswerSpec(AnswerKind.LETTER, names), text, "ABCD"[k]))
    asked = AnswerSpec(AnswerKind.LETTER, _CHOICES[0])
    return found + [_sentence(asked, text, "") for text in _NO_LETTERS]
