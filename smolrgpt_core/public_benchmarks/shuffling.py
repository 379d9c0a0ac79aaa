"""The questions of a benchmark with their options in another order.

Models that prefer a letter or have memorized the published order score differently on these.
"""

from __future__ import annotations

import re
from dataclasses import replace
from zlib import crc32

import numpy as np

from smolrgpt_core.errors import bad_input
from smolrgpt_core.public_benchmarks.records import (
    OPTION_LETTERS,
    BenchmarkData,
    BenchmarkRecord,
)


def shuffled(data: BenchmarkData, seed: int) -> BenchmarkData:
    """The same questions; options, their lines in the prompts and the true letters are permuted.

    The order follows from the seed and the id of a question. Questions without options stay.

    Raises:
        SpatialError: BAD_INPUT when no question has options.
    """
    records = tuple(_shuffled(record, seed) for record in data.records)
    changed = sum(old is not new for old, new in zip(data.records, records, strict=True))
    if not changed:
        raise bad_input("no question has options to shuffle; omit the shuffled run")
    left = len(records) - changed
    notes = [f"questions whose options stay, as there are none in the prompt: {left}"] * bool(left)
    return replace(data, records=records, notes=(*data.notes, *notes))


def _shuffled(record: BenchmarkRecord, seed: int) -> BenchmarkRecord:
    """The record with its options in another order; itself where the prompt has no such lines."""
    if not record.options:
        return record
    rng = np.random.default_rng([seed, crc32(record.id.encode())])
    order = [int(place) for place in rng.permutation(len(record.options))]
    options = tuple(record.options[place] for place in order)
    prompt = _with_options(record.prompt, record.options, options)
    if prompt is None:
        return record
    question = _with_options(record.question, record.options, options) or record.question
    truth = OPTION_LETTERS[order.index(OPTION_LETTERS.index(str(record.truth)))]
    return replace(record, options=options, prompt=prompt, question=question, truth=truth)


def _with_options(text: str, old: tuple[str, ...], new: tuple[str, ...]) -> str | None:
    """A text with other options in lines such as "(A) left" or "B. a desk"; None without them."""
    for letter, before, after in zip(OPTION_LETTERS, old, new, strict=False):
        line = re.search(
            rf"^\(?{letter}[.)]\s+(?P<option>{re.escape(before)})\s*$", text, re.MULTILINE
        )
        if line is None:
            return None
        text = text[: line.start("option")] + after + text[line.end("option") :]
    return text
