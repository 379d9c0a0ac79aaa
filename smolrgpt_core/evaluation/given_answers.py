"""Reads the answers of a submission as the challenge's own script does, and what it cannot read.

The script is lenient in a choice: the first digits in it count, so that "-1" is 1 and "pallet_3" is
3. A count is cut to a whole number. A quantity in words or with a unit is wrong there; here it is
read as true answers are, and whoever scores is told.
"""

from __future__ import annotations

import math
import re
from itertools import islice

from smolrgpt_core.answer.normalized import NormalizedAnswer, as_float, read_normalized
from smolrgpt_core.language import Category
from smolrgpt_core.language.english import NUMBER_WORDS

_SIDES = {
    f"{side[0] if short else side}": side for side in ("left", "right") for short in (True, False)
} | {f"{side}{end}": side for side in ("left", "right") for end in (" side", "-hand", " hand")}

_WORDS = dict(islice(NUMBER_WORDS.items(), 11))
"""Those that the script knows, zero to ten; it finds them inside of other words, too."""


def read_given(answer: object, category: Category) -> NormalizedAnswer | None:
    """The value of an answer of a submission, as JSON has it; None when it cannot be read."""
    value = read_by_script(answer, category)
    if value is not None:
        return value
    try:
        return read_normalized(answer, category)
    except ValueError:
        # Not readable is a result here, and is counted by whoever asks.
        return None


def read_by_script(answer: object, category: Category) -> NormalizedAnswer | None:
    """The value that the challenge's script sees; None when it cannot be read there."""
    if isinstance(answer, bool) or not isinstance(answer, (str, int, float)):
        return None
    if category is Category.LEFT_RIGHT:
        return _SIDES.get(str(answer).lower().strip())
    if category is Category.MCQ:
        return _first_digits(str(answer))
    try:
        number = as_float(float(answer) if isinstance(answer, str) else answer)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if category is Category.COUNT else number


def _first_digits(text: str) -> int | None:
    text = text.lower()
    for word, number in _WORDS.items():
        text = text.replace(word, str(number))
    found = re.search(r"[0-9]+", text)
    return int(found[0]) if found else None
