"""Frames with other classes than a warehouse's are asked about their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.language import read_question
from smolrgpt_core.language.conventions import HISPATIAL
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.synthesis import generate_mixture
from smolrgpt_core.synthesis.forms import draws
from smolrgpt_core.synthesis.generator import MisreadError
from smolrgpt_core.synthesis.margins import AmbiguityMargins
from smolrgpt_core.synthesis.view import MarginView

OTHERS = {"pallet": "office chair", "transporter": "potted plant", "shelf": "tv", "buffer": "area"}


def renamed(random_scene, names: dict[str, str], seed: int = 1) -> TrueScene:
    truth, regions = random_scene(seed)

    def name(label: str) -> str:
        return names.get(label, label)

    objects = tuple(replace(item, label=name(item.label)) for item in truth.objects)
    labeled = tuple(
        replace(region, label=name(region.label), source_label="") for region in regions
    )
    return TrueScene(replace(truth, objects=objects), RegionSet(regions.image_size, labeled))


def view_of(scene: TrueScene) -> MarginView:
    return MarginView(scene, AmbiguityMargins(), np.random.default_rng(0))


def test_a_warehouse_is_asked_about_its_classes(random_scene):
    view = view_of(renamed(random_scene, {}))
    assert draws.objects(view) == draws.OBJECTS
    assert draws.solid(view) == draws.SOLID
    assert draws.classes(view) == draws.CLASSES


def test_another_scene_is_asked_about_what_it_shows(random_scene):
    view = view_of(renamed(random_scene, OTHERS))
    things = ("office chair", "potted plant", "tv")
    assert draws.objects(view) == draws.solid(view) == things
    assert draws.classes(view) == (*things, "area")


def test_a_warehouse_with_another_class_is_asked_about_both(random_scene):
    view = view_of(renamed(random_scene, {"transporter": "ladder"}))
    assert draws.objects(view) == ("pallet", "ladder")
    assert draws.classes(view) == ("pallet", "shelf", "buffer", "ladder")


@pytest.mark.parametrize("seed", range(3))
def test_questions_about_other_classes_are_read_as_meant(random_scene, seed):
    scene = renamed(random_scene, OTHERS, seed)
    made = generate_mixture(scene, np.random.default_rng(seed), "hispatial", 25)
    assert len(made) == 25
    families = {family for family, _ in made}
    assert len(families) >= 5
    for _, item in made:
        read = read_question(item.text, scene.regions, None, item.region_ids)
        assert read.program is not None
        assert HISPATIAL.meant(read.program) == item.program
    assert any("office chair" in item.text for _, item in made)


def test_labels_that_are_read_as_something_else_are_reported(random_scene):
    scene = renamed(random_scene, {"pallet": "bottle no 3"})
    told: list[str] = []
    made = generate_mixture(scene, np.random.default_rng(0), "hispatial", 20, misread=told.append)
    assert len(made) == 20
    assert told
    assert all("was made for" in text or "parsed differently" in text for text in told)
    with pytest.raises(MisreadError):
        generate_mixture(scene, np.random.default_rng(0), "hispatial", 20)


class Unsized:
    """A scene in which the size of some regions cannot be told."""

    def __init__(self, scene: TrueScene, ids: set[int]) -> None:
        self._scene, self._ids = scene, ids

    def __getattr__(self, name: str):
        return getattr(self._scene, name)

    def place(self, id: int):
        placed = self._scene.place(id)
        return replace(placed, unsized="is cut off") if id in self._ids else placed


def test_what_has_no_size_is_not_asked_for_it(random_scene):
    scene = renamed(random_scene, {})
    ids = {region.id for region in scene.regions if region.label in ("pallet", "shelf")}
    made = generate_mixture(Unsized(scene, ids), np.random.default_rng(0), "hispatial", 60)
    sizes = [item for family, item in made if family == "size"]
    asked = {id for item in sizes for id in item.region_ids}
    assert sizes
    assert not asked & ids
    assert any(ids & {*item.region_ids} for _, item in made)
