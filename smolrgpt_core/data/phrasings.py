"""How each kind of question can be put into words.

Fields in braces are the mentions and words of the kind's draft. A template is used only when it
names every mention of a draft. Adding a line here is enough to add a phrasing; it must read back
to the same roles, which the tests check.
"""

from __future__ import annotations

PHRASINGS: dict[str, tuple[str, ...]] = {
    "distance": (
        "How far is {first} from {second}?",
        "How far apart are {first} and {second}?",
        "How distant is {first} from {second}?",
        "How many meters apart are {first} and {second}?",
        "What is the distance between {first} and {second}?",
        "What is the distance from {first} to {second} in meters?",
        "Could you measure the distance between {first} and {second}?",
        "Can you tell me how far {first} is from {second}?",
        "From {first}, how far is {second}?",
        "Considering {first} and {second}, how far apart are they?",
        "Give me the distance from {first} to {second}.",
        "Estimate the distance of {first} from {second}.",
    ),
    "distance_to_camera": (
        "How far away is {first}?",
        "How far is {first} from the camera?",
        "How far is {first} from us?",
        "What is the distance between the camera and {first}?",
        "What is the distance from {first} to the camera?",
        "Measure the distance from the camera to {first}.",
        "How distant is {first} from the camera?",
        "How many meters away from the camera is {first}?",
    ),
    "distance_of_outermost": (
        "Considering {targets}, how far is the {which} {noun} from {second}?",
        "What is the distance between the {which} {noun} among {targets} and {second}?",
        "How far is the {which} {noun} of {targets} from {second}?",
        "Given {targets}, what is the distance from the {which} {noun} to {second}?",
        "Looking at {targets}, how many meters is the {which} {noun} away from {second}?",
        "Find the distance from the {which} {noun} among {targets} to {second}.",
    ),
    "distance_to_empty": (
        "How far is {first} from the {which} empty transporter among {transporters}?",
        "Given {transporters}, how far is {first} from the {which} empty transporter?",
        "What is the distance between {first} and the {which} empty transporter among "
        "{transporters}?",
        "Considering {transporters}, how many meters is {first} away from the {which} empty "
        "transporter?",
        "Measure the distance from {first} to the {which} empty transporter of {transporters}.",
    ),
    "count_inside": (
        "How many of {targets} are in {place}?",
        "How many {nouns} are there in {place} among {targets}?",
        "How many of {targets} does {place} contain?",
        "Given {targets}, how many {nouns} are in {place}?",
        "Considering {place} and {targets}, how many {nouns} are inside the buffer?",
        "Considering {targets}, how many are standing in {place}?",
        "Of {targets}, how many stand in {place}?",
        "Among {targets}, how many are inside {place}?",
        "Looking at {targets}, how many {nouns} are within {place}?",
        "In {place}, how many of {targets} are there?",
        "Count the {nouns} in {place} among {targets}.",
        "What is the number of {nouns} inside {place}, given {targets}?",
        "What is the total number of {nouns} in {place} among {targets}?",
        "Given {distractors} and {targets}, how many {nouns} are in {place}?",
        "Considering {targets} and {distractors}, how many {nouns} are inside {place}?",
    ),
    "count_outside": (
        "How many of {targets} are not in {place}?",
        "How many of {targets} are outside {place}?",
        "Given {targets}, how many {nouns} are not in {place}?",
        "Among {targets}, how many are not inside {place}?",
        "Considering {place} and {targets}, how many {nouns} are outside the buffer?",
        "Of {targets}, how many aren't in {place}?",
        "Given {distractors} and {targets}, how many {nouns} are not in {place}?",
        "What is the number of {nouns} outside {place}, given {targets}?",
        "Count the {nouns} not in {place} among {targets}.",
    ),
    "count_class_inside": (
        "How many {targets} are in {place}?",
        "How many {targets} does {place} hold?",
        "Count the {targets} in {place}.",
        "What is the number of {targets} in {place}?",
    ),
    "count_visible": (
        "How many {targets} do you see?",
        "How many {targets} are there in the image?",
        "How many {targets} are visible in total?",
        "Count the {targets} in this picture.",
        "What is the number of {targets} in the scene?",
    ),
    "count_in_outermost": (
        "Given {places} and {targets}, how many {nouns} are in the {which} buffer?",
        "Considering {places} and {targets}, what is the number of {nouns} in the {which} buffer "
        "region?",
        "Considering {targets}, what is the total number of {nouns} in the {which} buffer region "
        "among {places}?",
        "How many of {targets} are in the {which} buffer among {places}?",
        "Among {targets}, how many are inside the {which} buffer of {places}?",
        "Looking at {places} and {targets}, count the {nouns} in the {which} buffer.",
    ),
    "count_in_nearest": (
        "Given {places} and {targets}, what is the count of {nouns} in the buffer region closest "
        "to {other}?",
        "Considering {places} and {targets}, how many {nouns} are there in the buffer nearest to "
        "{other}?",
        "Given {targets} and {places}, how many {nouns} stand in the buffer nearest to {other}?",
        "Looking at {places} and {targets}, what is the number of {nouns} in the buffer closest "
        "to {other}?",
        "How many of {targets} are in the buffer among {places} that is closest to {other}?",
    ),
    "left_or_right": (
        "Is {target} left or right of {anchor}?",
        "Is {target} to the left or right of {anchor}?",
        "Is {target} on the left side or the right side of {anchor}?",
        "Is {target} to the right or to the left of {anchor}?",
        "On which side of {anchor} is {target}?",
        "Which side of {anchor} is {target} on?",
        "From this viewpoint, does {target} appear on the left or right of {anchor}?",
        "In the image, is {target} left or right relative to {anchor}?",
        "Does {target} stand left or right of {anchor}?",
        "Relative to {anchor}, is {target} on the left or on the right?",
        "Tell me on which side of {anchor} {target} is.",
        "Looking from this angle, is {target} located to the left or right of {anchor}?",
    ),
    "is_on_side": (
        "Is {target} {side} of {anchor}?",
        "Is {target} to the {side} of {anchor}?",
        "Is {target} on the {side} side of {anchor}?",
        "Is {target} situated on the {side} of {anchor}?",
        "Does {target} appear on the {side} of {anchor}?",
        "From this viewpoint, does {target} appear on the {side}-hand side of {anchor}?",
        "Relative to {anchor}, is {target} on the {side}?",
    ),
    "nearest": (
        "Which of {targets} is {most} {than} {anchor}?",
        "Which of {targets} is the {most} one {than} {anchor}?",
        "Of {targets}, which is the {most} {than} {anchor}?",
        "Among {targets}, which {noun} is {most} {than} {anchor}?",
        "Considering {targets}, which one is {most} {than} {anchor}?",
        "Given {targets}, which {noun} is the {most} {than} {anchor}?",
        "Given {targets} and {anchor}, which {noun} is {most} {than} the {anchor_noun}?",
        "Given {distractors} and {targets}, which {noun} is the {most} {than} {anchor}?",
        "Considering {targets} and {distractors}, which {noun} is {most} {than} {anchor}?",
        "From {targets}, select the {noun} that is {most} {than} {anchor}.",
        "Identify the {noun} {most} {than} {anchor} among {targets}.",
        "Which {noun} is {most} {than} {anchor}: {targets}?",
        "Which {noun} among {targets} is {most} {than} {anchor}?",
    ),
    "nearest_to_camera": (
        "Which of {targets} is {most} {than} the camera?",
        "Among {targets}, which {noun} is the {most} {than} us?",
        "Given {targets}, which one is {most} {than} the robot?",
        "Which {noun} among {targets} is {most} {than} the camera?",
        "From {targets}, select the {noun} that is {most} {than} the camera.",
    ),
    "nearest_of_class": (
        "Which {targets} is {most} {than} {anchor}?",
        "What is the {most} {targets} {than} {anchor}?",
        "Find the {targets} that is {most} {than} {anchor}.",
        "Identify the {targets} {most} {than} {anchor}.",
        "Select the {targets} that is the {most} {than} {anchor}.",
    ),
    "nearest_empty": (
        "Which of {transporters} is the {most} empty transporter to {anchor}?",
        "Among {transporters}, which empty transporter is {most} to {anchor}?",
        "Given {transporters}, which empty transporter is the {most} to {anchor}?",
        "Which empty transporter among {transporters} is {most} to {anchor}?",
        "Considering {transporters}, which is the {most} empty transporter to {anchor}?",
    ),
    "outermost": (
        "Which of {targets} is the {most}?",
        "Among {targets}, which {noun} is the {most}?",
        "Considering {targets}, which one is the {most} in the image?",
        "From this viewpoint, which of {targets} is the {most}?",
        "Which {noun} among {targets} is the {most}?",
        "Given {distractors} and {targets}, which {noun} is the {most}?",
        "Considering {targets} and {distractors}, which {noun} is the {most}?",
        "Identify the {most} one of {targets}.",
        "Looking at {targets}, which {noun} is the {most} in the image?",
    ),
    "which_inside": (
        "Which of {targets} is in {place}?",
        "Among {targets}, which {noun} stands in {place}?",
        "Given {targets}, which {noun} is inside {place}?",
        "Which {noun} among {targets} is located within {place}?",
        "Considering {targets}, which {noun} is in {place}?",
        "From {targets}, which {noun} is in {place}?",
    ),
    "which_outside": (
        "Which of {targets} is not in {place}?",
        "Among {targets}, which {noun} is outside {place}?",
        "Given {targets}, which {noun} isn't inside {place}?",
        "Which {noun} among {targets} is not standing in {place}?",
        "From {targets}, which {noun} is not in {place}?",
        "Which of {targets} stands outside {place}?",
    ),
    "which_holds": (
        "Which of {places} contains {target}?",
        "In which of {places} is {target}?",
        "Which of {places} is {target} standing in?",
        "Among {places}, which one holds {target}?",
        "Which buffer among {places} contains {target}?",
        "Given {places}, which one is {target} in?",
    ),
    "pickup": (
        "Given {transporters} and {targets}, which {noun} is the best choice for automated pickup "
        "by the empty transporter?",
        "Considering {transporters} and {targets}, which {noun} is nearest to the empty "
        "transporter?",
        "Considering {targets} and {transporters}, which {noun} is the optimal choice to pick up "
        "for the empty transporter?",
        "Given {transporters} and {targets}, which is the {noun} closest to the empty transporter?",
        "Among {targets}, which {noun} is the most suitable for automated picking by the empty "
        "transporter of {transporters}?",
    ),
}
