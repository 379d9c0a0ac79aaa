"""Reads a question: typed, in plain English, or with `<mask>` placeholders.

    text --tokens--> words with a meaning --references--> who is spoken of --roles--> question

A question that is not understood completely is refused with the words that are in the way and an
example that works; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.question.attachment import attach
from smolrgpt_core.question.references import Reference, all_references, noun_phrases_of
from smolrgpt_core.question.resolution import Resolver
from smolrgpt_core.question.roles import assign_roles
from smolrgpt_core.question.spatial_question import (
    MASK,
    Category,
    SpatialQuestion,
    check_placeholders,
)
from smolrgpt_core.question.tokens import bad_question, clean_text, tokenise
from smolrgpt_core.question.vocabulary import noun_phrases, pluralise
from smolrgpt_core.question.wording import (
    as_sentence,
    canonical_text,
    common_noun,
    example,
    likely_category,
)
from smolrgpt_core.regions import MAX_REGIONS, RegionSet


def read_question(
    text: str,
    regions: RegionSet,
    category: Category | None = None,
    region_ids: Sequence[int] = (),
) -> SpatialQuestion:
    """Read a question about the regions of one frame.

    Regions are named by `<mask>` (with `region_ids` in order), "[Region 3]", "region 3",
    "pallet 3", "pallets 3, 4 and 5", or by what they are: "the buffer", "which pallet", "the
    empty transporter", "the leftmost buffer".

    Args:
        text: the question; may be empty when category and ids say it all: distance of two regions
            (or of one to the camera); side of the first seen from the second; how many of all but
            the last stand in the last; which of all but the last is nearest to the last.
        regions: of the frame that is asked about.
        category: what the question must be; None reads it from the text.
        region_ids: ids for the `<mask>` placeholders.

    Raises:
        SpatialError: UNKNOWN_REGION for an id that the frame does not have; BAD_QUESTION for
            everything that cannot be read, with the words in the way and an example.
    """
    if len(region_ids) > MAX_REGIONS:
        raise bad_question(
            f"the request has {len(region_ids)} region ids; at most {MAX_REGIONS} are read"
        )
    ids = tuple(regions[id].id for id in region_ids)
    try:
        cleaned = clean_text(text)
        if not cleaned:
            cleaned = canonical_text(category, [regions[id] for id in ids])
        check_placeholders(cleaned, ids)
        question = _read(cleaned, regions, ids)
        if category is not None and question.category is not category:
            raise bad_question(
                f"the request has the category {category.name}, but the text asks for "
                f"{question.category.name}; make them agree, or leave the category open"
            )
    except SpatialError as error:
        if error.status is not Status.BAD_QUESTION:
            raise
        hint = example(regions, category or likely_category(text))
        stop = "" if error.message.endswith(("?", ".")) else "."
        raise bad_question(f"{error.message}{stop} An example that works: {hint}") from error
    return question


def _read(text: str, regions: RegionSet, region_ids: Sequence[int]) -> SpatialQuestion:
    tokens = tokenise(text, region_ids, noun_phrases(regions.labels))
    items = attach(noun_phrases_of(tokens, regions))
    resolver = Resolver(regions)
    roles = assign_roles(items, resolver)
    masked, mask_ids = _with_placeholders(text, all_references(items), resolver)
    return SpatialQuestion(
        category=roles.category,
        text=masked,
        region_ids=mask_ids,
        target_ids=roles.targets.ids,
        anchor_ids=roles.anchors.ids,
        criterion=roles.criterion,
        rank=roles.rank,
        target_load=roles.targets.load,
        anchor_load=roles.anchors.load,
        negated=roles.negated,
        asked_side=roles.asked_side,
        target_choice=roles.targets.choice,
        anchor_choice=roles.anchors.choice,
    )


def _with_placeholders(
    text: str, references: Sequence[Reference], resolver: Resolver
) -> tuple[str, tuple[int, ...]]:
    """The text with a `<mask>` for every region that it names or means, and their ids."""
    pieces: list[str] = []
    ids: list[int] = []
    position = 0
    for reference in references:
        named = reference.ids or resolver.expanded.get(reference, ())
        ids.extend(named)
        if named and not reference.placeholders:
            start, replacement = _replacement(text, reference, named, resolver.regions)
            pieces += [text[position:start], replacement]
            position = max(reference.end, reference.noun_end)
    if not pieces:
        return text, tuple(ids)
    return as_sentence("".join([*pieces, text[position:]])), tuple(ids)


def _replacement(
    text: str, reference: Reference, ids: Sequence[int], regions: RegionSet
) -> tuple[int, str]:
    """Where the words of a reference start, and what to write for them.

    "pallet 3" becomes "the pallet <mask>", "region 3" and "[Region 3]" get their label, "pallets"
    and "the buffer" keep their words.
    """
    noun = text[reference.start : reference.noun_end]
    if reference.ids and noun.lower() in ("", "region", "regions"):
        noun = common_noun([regions[id] for id in ids], plural=len(ids) > 1)
    elif len(reference.ids) > 1 and not reference.plural:
        noun = pluralise(noun)
    article = "" if reference.determined or reference.modified or not reference.ids else "the "
    if reference.start == 0 and article:
        noun = noun[:1].lower() + noun[1:]
    return reference.start, f"{article}{noun} {' '.join([MASK] * len(ids))}"
