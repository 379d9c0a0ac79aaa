"""A hall whose people have words of their own is asked the same questions in them."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import read_question
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.simulated_data.hall_words import HallWords
from smolrgpt_core.simulated_data.randomization import Randomization, read_randomization
from smolrgpt_core.simulated_data.run import SimulationRun
from smolrgpt_core.simulated_data.scenes import SimulationSettings
from smolrgpt_core.synthesis import WAREHOUSE_FORMS, generate_questions
from smolrgpt_core.synthesis.generator import MisreadError
from smolrgpt_core.synthesis.wordings import WORDINGS

OWN = Path(__file__).parents[3] / "config" / "randomization_own_words.yaml"
NOUNS = {"pallet": "skid", "transporter": "tugger", "buffer": "lane", "shelf": "rack"}
PLURALS = {"pallets": "skids", "transporters": "tuggers", "buffers": "lanes", "shelves": "racks"}


def scene_of(random_scene, seed: int) -> TrueScene:
    return TrueScene(*random_scene(seed))


@pytest.mark.parametrize("seed", range(3))
def test_questions_mean_the_same_in_other_nouns(random_scene, seed):
    scene, words = scene_of(random_scene, seed), HallWords(NOUNS)
    labeled = words.labeled(scene.regions)
    assert {region.label for region in labeled} <= {*NOUNS.values()}
    made = generate_questions(scene, np.random.default_rng(seed), per_form=2)
    assert len(made) > 10
    for item in made:
        said = words.reworded(item, scene.regions)
        spoken = f"{said.text} {said.freeform_answer}".lower().replace(",", " ").split()
        assert not {*NOUNS, *PLURALS} & {word.strip(".?:") for word in spoken}
        read = read_question(said.text, labeled, None, said.region_ids)
        assert read.program == item.program
        assert said.text.count("<mask>") == len(said.region_ids)
        assert (said.truth, said.normalized_answer) == (item.truth, item.normalized_answer)


def test_nouns_keep_their_number_and_their_capital():
    words = HallWords({"pallet": "box pallet", "transporter": "agv", "buffer": "dock bay"})
    said = words.renamed(
        "Pallets <mask> and the transporter <mask>: in the buffer zones or buffer?"
    )
    assert said == "Box pallets <mask> and the agv <mask>: in the dock bays or dock bay?"


def test_own_wordings_take_the_place_of_the_others(random_scene):
    wordings = {"distance": ("Say how far {first} is from {second}.",)}
    made = [
        item
        for seed in range(3)
        for item in generate_questions(
            scene_of(random_scene, seed), np.random.default_rng(seed), per_form=3,
            forms=["distance", "left_or_right"], wordings=wordings,
        )
    ]  # fmt: skip
    texts = {form: [item.text for item in made if item.form == form] for form in
             ("distance", "left_or_right")}  # fmt: skip
    assert texts["distance"]
    assert all(text.startswith("Say how far") for text in texts["distance"])
    assert texts["left_or_right"]


def test_a_noun_that_is_read_as_something_else_is_reported(random_scene):
    scene = scene_of(random_scene, 0)
    made = generate_questions(scene, np.random.default_rng(0), per_form=2)
    words = HallWords({"pallet": "distance", "transporter": "camera"})
    with pytest.raises(MisreadError, match="was made for"):
        [words.reworded(item, scene.regions) for item in made]


@pytest.mark.parametrize(
    ("nouns", "wordings", "expected"),
    [
        ({"palet": "skid"}, {}, "words.nouns must be of buffer, pallet, transporter, shelf"),
        ({"pallet": "Skid 3"}, {}, "words.nouns.pallet must be lowercase words"),
        ({"pallet": "shelf"}, {}, "is 'shelf', which is the name of shelf too"),
        ({"pallet": "load", "shelf": "load"}, {}, "which is the name of shelf too"),
        ({}, {"distanse": ("?",)}, "words.wordings must be of nearest, "),
        ({}, {"distance": ()}, "words.wordings.distance must have at least one"),
        (
            {},
            {"distance": ("How far is {one}?",)},
            "has the fields one; this form has first, second",
        ),
        ({}, {"distance": ("How far is {first?",)}, "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(nouns, wordings, expected):
    with pytest.raises(SpatialError) as caught:
        HallWords(nouns, wordings)
    assert expected in caught.value.message


def test_the_shipped_hall_has_its_own_words():
    words = read_randomization(OWN).words
    assert dict(words.nouns) == NOUNS
    assert {*words.wordings, "nearest_of_class"} == set(WAREHOUSE_FORMS)
    shipped = {wording for wordings in WORDINGS.values() for wording in wordings}
    assert not shipped & {wording for wordings in words.wordings.values() for wording in wordings}


def test_a_data_set_in_other_words_is_read_back(tmp_path):
    own = read_randomization(OWN)
    varied = Randomization.from_dict(
        {"camera": {"width": 160, "height": 120}, "rendering": {"min_region_pixels": 8},
         "margins": {"min_visible_pixels": 8}, "words": own.to_dict()["words"]}
    )  # fmt: skip
    run = SimulationRun(
        SimulationSettings(1, 3, 2, 8, (1.0, 0.0, 0.0), randomization=varied), tmp_path
    )
    with run.locked():
        assert list(run.make_scenes(1)) == [0]
        run.finish()
    records = SplitFolder(tmp_path, "train").read_records()
    labels = {label for record in records for label in mask_labels(record.question)}
    assert labels
    # A word for a known class is that class, as with every data set.
    assert labels <= {"pallet", "tugger", "buffer", "shelf"}
    assert any("skid" in record.question for record in records)


def test_steps_are_in_the_words_of_the_hall(tmp_path):
    words = {"nouns": NOUNS, "wordings": {"distance": ["Say how far {first} is from {second}."]}}
    varied = Randomization.from_dict({"camera": {"width": 160, "height": 120}, "words": words})
    settings = SimulationSettings(1, 3, 2, 8, (1.0, 0.0, 0.0), randomization=varied,
                                  mixture="warehouse")  # fmt: skip
    run = SimulationRun(settings, tmp_path)
    with run.locked():
        assert list(run.make_scenes(1)) == [0]
        run.finish()
    records = SplitFolder(tmp_path, "train").read_records()
    steps = " ".join(record.reasoning for record in records).lower()
    assert "skid" in steps
    assert not any(noun in steps for noun in NOUNS)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--bag", "OUT"], "a recording"),
        (["--out", "OUT", "--spatialrgpt-bench", "40"], "a set in the layout of SpatialRGPT-Bench"),
        (["--out", "OUT", "--scenes", "1", "--mixture", "language"], "the mixture language"),
    ],
)
def test_words_are_refused_where_nothing_could_be_done_with_them(tmp_path, options, what):
    named = [option.replace("OUT", str(tmp_path / "out")) for option in options]
    found = CliRunner().invoke(app, ["simulate", "--randomization", str(OWN), *named])
    assert found.exit_code == 2
    assert f"{what} does not use it" in found.output.replace("\n", " ")
    assert not (tmp_path / "out").exists()
