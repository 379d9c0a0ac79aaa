"""Questions of a mixture about one frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from smolrgpt_core.language.conventions import Conventions
from smolrgpt_core.scene.spatial_scene import SpatialScene
from smolrgpt_core.synthesis.drafts import RegionStyle
from smolrgpt_core.synthesis.formats import as_choice, as_statement
from smolrgpt_core.synthesis.generator import MisreadError, QuestionGenerator, QuestionWithTruth
from smolrgpt_core.synthesis.margins import AmbiguityMargins
from smolrgpt_core.synthesis.mixtures import MIXTURES, Family, Format, Mixture

_Key = TypeVar("_Key")

TRIES = 6
"""So often a form is tried before another one of its family is."""


def generate_mixture(
    scene: SpatialScene,
    rng: np.random.Generator,
    mixture: str,
    count: int,
    margins: AmbiguityMargins | None = None,
    style: RegionStyle = RegionStyle.MASK,
    misread: Callable[[str], None] | None = None,
    wordings: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> list[tuple[str, QuestionWithTruth]]:
    """Questions with the names of their families, in random order; fewer if a frame offers no more.

    Args:
        scene: as of `generate_questions`.
        rng: as of `generate_questions`.
        mixture: name in `MIXTURES`.
        count: number to draw. Families that the frame does not offer are skipped; the others keep
            their relative weights.
        margins: as of `generate_questions`.
        style: as of `generate_questions`.
        misread: collects why texts were discarded that are parsed differently than intended, as
            with labels that have a meaning of their own; None: raise an error.
        wordings: as of `generate_questions`.

    Raises:
        ValueError: for an unknown mixture.
        MisreadError: a text is parsed differently than intended.
    """
    if mixture not in MIXTURES:
        raise ValueError(f"a mixture must be one of {sorted(MIXTURES)}, got {mixture!r}")
    chosen = MIXTURES[mixture]
    generator = QuestionGenerator(
        scene, rng, margins, style, conventions=chosen.conventions, for_models=chosen.for_models,
        wordings=wordings,
    )  # fmt: skip
    open_families = dict(chosen.families)
    made: list[tuple[str, QuestionWithTruth]] = []
    while len(made) < count and open_families:
        name = _draw({name: item.weight for name, item in open_families.items()}, rng)
        item = _of_family(generator, open_families[name], rng, misread)
        if item is None:
            del open_families[name]
            continue
        made.append((name, _in_a_format(item, chosen, style, scene, rng, misread)))
    return made


def _draw(weights: dict[_Key, float], rng: np.random.Generator) -> _Key:
    relative = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(weights), p=relative / relative.sum()))]


def _of_family(
    generator: QuestionGenerator,
    family: Family,
    rng: np.random.Generator,
    misread: Callable[[str], None] | None,
) -> QuestionWithTruth | None:
    for index in rng.permutation(len(family.forms)):
        for _ in range(TRIES):
            form = family.forms[int(index)]
            item = _unless_misread(partial(generator.make, form), misread)
            if item is not None:
                return item
    return None


def _unless_misread(
    make: Callable[[], QuestionWithTruth | None], misread: Callable[[str], None] | None
) -> QuestionWithTruth | None:
    """What is made; None, and reported to `misread`, if its text is not read as it was meant."""
    try:
        return make()
    except MisreadError as error:
        if misread is None:
            raise
        misread(str(error))
        return None


def _in_a_format(
    item: QuestionWithTruth,
    mixture: Mixture,
    style: RegionStyle,
    scene: SpatialScene,
    rng: np.random.Generator,
    misread: Callable[[str], None] | None,
) -> QuestionWithTruth:
    """The question in a format, drawn by the weights of those that it has."""
    weights = dict(mixture.formats)
    while weights:
        wanted = _draw(weights, rng)
        make = partial(_in_format, item, wanted, style, scene, rng, mixture.conventions)
        changed = _unless_misread(make, misread)
        if changed is not None:
            return changed
        del weights[wanted]
    return item


def _in_format(
    item: QuestionWithTruth,
    wanted: Format,
    style: RegionStyle,
    scene: SpatialScene,
    rng: np.random.Generator,
    conventions: Conventions,
) -> QuestionWithTruth | None:
    """The question in a format; None where it has no such form."""
    if wanted is Format.CHOICE:
        return as_choice(item, scene.regions, rng, conventions)
    if wanted is Format.TRUE_FALSE:
        return as_statement(item, style, scene.regions, rng)
    return item
