"""Question forms that only the color image answers: what color something is."""

from __future__ import annotations

import numpy as np

from smolrgpt_core.language.operators import questions
from smolrgpt_core.object_classes import CARRIER
from smolrgpt_core.synthesis.drafts import Draft
from smolrgpt_core.synthesis.forms.draws import named, region, some
from smolrgpt_core.synthesis.forms.registry import form
from smolrgpt_core.synthesis.view import MarginView


@form
def color(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """The color of a transporter, the one class whose paint the simulator knows."""
    ids = some(view.seen(CARRIER), 1, rng)
    if not ids:
        return None
    return Draft(questions.Color(region(ids[0])), {"target": named(*ids)})


COLOR_FORMS = (color.__name__,)
"""Forms that geometry cannot answer, and no model was trained on."""
