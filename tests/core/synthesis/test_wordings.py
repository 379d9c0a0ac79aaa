"""Every wording of every form reads back to the program that it was written for."""

from collections import defaultdict

import numpy as np
import pytest

from smolrgpt_core.language import read_question
from smolrgpt_core.language.model_wording import with_placeholders
from smolrgpt_core.synthesis import FORMS, AmbiguityMargins, RegionStyle
from smolrgpt_core.synthesis.drafts import Draft, fits, write
from smolrgpt_core.synthesis.forms import GUESSABLE
from smolrgpt_core.synthesis.generator import is_held_out, shape
from smolrgpt_core.synthesis.view import MarginView
from smolrgpt_core.synthesis.wordings import WORDINGS, _read

IN_FIXED_WORDS = {"composed"}
DRAFTS = 14
LEAST = AmbiguityMargins(
    min_visible_pixels=1, min_visible_fraction=0, min_buffer_visible_fraction=0
)


@pytest.fixture(scope="module")
def drafts(true_scene) -> dict[str, list[tuple[MarginView, Draft]]]:
    """Some drafts of every form; whether they have a clear answer does not matter for words."""
    found: dict[str, list[tuple[MarginView, Draft]]] = defaultdict(list)
    for seed in range(24):
        rng = np.random.default_rng(seed)
        view = MarginView(true_scene(seed), LEAST, rng)
        for name, make in FORMS.items():
            for _ in range(3 if len(found[name]) < DRAFTS else 0):
                draft = make(view, rng)
                if draft is not None:
                    found[name].append((view, draft))
    return found


def test_every_form_has_ten_different_wordings():
    assert set(WORDINGS) == set(FORMS) - IN_FIXED_WORDS
    for name, wordings in WORDINGS.items():
        assert len(set(wordings)) == len(wordings) >= 10, name


@pytest.mark.parametrize("name", sorted(WORDINGS))
def test_every_wording_reads_back(name, drafts):
    for wording in WORDINGS[name]:
        fitting = [item for item in drafts[name] if fits(item[1], wording)]
        assert fitting, wording
        for view, draft in fitting[:2]:
            written = write(draft, wording, view.regions, np.random.default_rng(0))
            for style, (text, ids) in written.items():
                if style is RegionStyle.MASK and name in GUESSABLE:
                    continue
                read = read_question(text, view.regions, None, ids)
                assert read.program == draft.program_in(style, view.regions), text


def test_random_programs_read_back_in_both_styles(drafts):
    assert len({shape(draft.program) for _, draft in drafts["composed"]}) > 10
    for view, draft in drafts["composed"]:
        for text, ids in ((draft.text, ()), with_placeholders(draft.text, view.regions)):
            assert read_question(text, view.regions, None, ids).program == draft.program, text


def test_training_data_have_a_wording_of_every_form_and_leave_some_out():
    out = [
        wording for wordings in WORDINGS.values() for wording in wordings if is_held_out(wording)
    ]
    number = sum(map(len, WORDINGS.values()))
    assert 0.05 < len(out) / number < 0.2
    for wordings in WORDINGS.values():
        assert not all(map(is_held_out, wordings))


@pytest.mark.parametrize("text", ["How far?", "[width]\nHow wide?\n[width]\nHow broad?"])
def test_a_file_of_wordings_without_clear_headings_is_refused(text):
    with pytest.raises(ValueError, match=r"does not belong to a form|two headings"):
        _read(text)
