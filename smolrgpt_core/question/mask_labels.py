"""What each `<mask>` of a text is called: the public data sets have no other labels."""

from __future__ import annotations

import re

from smolrgpt_core.question.spatial_question import MASK
from smolrgpt_core.question.vocabulary import LONGEST_PHRASE, noun_phrases

_WORD = re.compile(r"<mask>|[a-z]+", re.IGNORECASE)


def mask_labels(text: str) -> tuple[str, ...]:
    """Class of each `<mask>`, such as "pallet", by the last noun before it.

    "the pallets <mask> <mask> and the buffer <mask>" has two pallets and a buffer. The class is
    empty where no noun stands before, or only "region".
    """
    nouns = noun_phrases(())
    words = [word.lower() for word in _WORD.findall(text)]
    labels: list[str] = []
    label, position = "", 0
    while position < len(words):
        if words[position] == MASK:
            labels.append(label)
            position += 1
            continue
        phrases = (
            tuple(words[position : position + size]) for size in range(LONGEST_PHRASE, 0, -1)
        )
        found = next((phrase for phrase in phrases if phrase in nouns), None)
        if found is not None:
            label = nouns[found].value.concept
        position += len(found) if found else 1
    return tuple(labels)
