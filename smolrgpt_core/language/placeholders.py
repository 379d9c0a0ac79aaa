"""Placeholders in texts of data sets and prompts, as the public sets write them."""

from __future__ import annotations

import re

MASK = "<mask>"
"""Placeholder for a region in the text of a question."""

IMAGE = "<image>"
"""Stands for the image: before the question, behind it or inside it; carries no meaning."""

_MASK_SPELLINGS = re.compile(r"<mask>\s*<depth>|<mask_rgb>\s*<mask_depth>")


def without_image(text: str) -> str:
    """A text without `<image>`, wherever and however often it stands."""
    # With a space in its place, because words that it separated must not grow together.
    return " ".join(filter(None, map(str.strip, text.split(IMAGE))))


def plain_placeholders(text: str) -> str:
    """A text without `<image>`, and with one `<mask>` for each region.

    A region is also written as `<mask> <depth>` or `<mask_rgb><mask_depth>`.
    """
    return _MASK_SPELLINGS.sub(MASK, without_image(text))


def numbered(text: str) -> str:
    """A text with "Region [k]" for the k-th `<mask>`, from 0."""
    for number in range(text.count(MASK)):
        text = text.replace(MASK, f"Region [{number}]", 1)
    return text
