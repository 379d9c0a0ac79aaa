"""What each `<mask>` of a text is called: the public data sets have no other labels."""

from __future__ import annotations

import re

from smolrgpt_core.language.lexicon import load_lexicon
from smolrgpt_core.language.placeholders import MASK
from smolrgpt_core.language.words import noun_table
from smolrgpt_core.scene.copies import ANY_REGION

_WORD = re.compile(r"<mask>|[a-z]+", re.IGNORECASE)


def mask_labels(text: str) -> tuple[str, ...]:
    """Class of each `<mask>`, such as "pallet", by the last noun before it.

    "the pallets <mask> <mask> and the buffer <mask>" has two pallets and a buffer. The class is
    empty where no noun stands before, or only "region".
    """
    nouns = noun_table(load_lexicon("english"), ())
    longest = max(map(len, nouns))
    words = [word.lower() for word in _WORD.findall(text)]
    labels: list[str] = []
    label, position = "", 0
    while position < len(words):
        if words[position] == MASK:
            labels.append(label)
            position += 1
            continue
        phrases = (tuple(words[position : position + size]) for size in range(longest, 0, -1))
        found = next((phrase for phrase in phrases if phrase in nouns), None)
        if found is not None:
            label = nouns[found][0].name
            label = "" if label == ANY_REGION else label
        position += len(found) if found else 1
    return tuple(labels)
