"""Maps the raw confidence of an answerer to the probability that it is correct.

A curve for each kind of question and for what the answer rests on, fitted on answers with known
truth (`smolrgpt_core.evaluation.calibration_fit`), lies beside the weights of a checkpoint as
`calibration.json`. It holds for the images and the questions that it was fitted on, and for those
very weights, which it names by their fingerprint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from smolrgpt_core.answerer_settings import ANSWER_STYLES, AgreementTolerances
from smolrgpt_core.checkpoints.weights import check_fingerprint
from smolrgpt_core.language import Category
from smolrgpt_core.settings_file import read_json_entries, write_json_entries

FORMAT = 1
"""Version of the file; others are refused."""

_OF = " of "

SATURATION = 1e-6
"""Raw confidences closer to 0 or 1 than this are taken as that close."""


class Evidence(Enum):
    """What an answer rests on."""

    MODEL = "model"
    """The model, geometry was not asked."""
    MODEL_WITH_GEOMETRY = "model_with_geometry"
    """The model, and geometry agrees."""
    GEOMETRY_WITH_MODEL = "geometry_with_model"
    """Geometry, and the model agrees; distances differ within the tolerances."""
    MODEL_AGAINST_GEOMETRY = "model_against_geometry"
    GEOMETRY_AGAINST_MODEL = "geometry_against_model"
    MODEL_ONLY = "model_only"
    """The model, geometry has no answer."""
    GEOMETRY_ONLY = "geometry_only"
    """Geometry, the model has no answer."""
    CONFIRMED_GEOMETRY = "confirmed_geometry"
    """A number that is too uncertain for geometry by itself, and the model agrees."""
    GEOMETRY = "geometry"
    """Geometry; the model's answer does not count: it was not trained on what is alike."""


@dataclass(frozen=True)
class ConfidenceCurve:
    """Probability of being correct as a function of raw confidence: linear in the log-odds.

    Attributes:
        slope: at least 0, so that more confidence never means less.
        intercept: log-odds at a raw confidence of 0.5.
        samples: answers that it was fitted on.
        right: how many of them were correct.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    slope: float
    intercept: float
    samples: int
    right: int

    def __post_init__(self) -> None:
        if not 0 <= self.slope < math.inf:
            raise ValueError(f"slope must be a number and not negative, got {self.slope}")
        if not math.isfinite(self.intercept):
            raise ValueError(f"intercept must be finite, got {self.intercept}")
        if not 0 <= self.right <= self.samples:
            raise ValueError(f"right must be 0 to {self.samples} (samples), got {self.right}")

    def __call__(self, confidence: float) -> float:
        """The calibrated confidence; NaN of NaN."""
        return _logistic(self.slope * log_odds(confidence) + self.intercept)


def raised(confidence: float, log_odds_added: float) -> float:
    """A confidence with its log-odds raised by an amount."""
    return _logistic(log_odds(confidence) + log_odds_added)


def _logistic(value: float) -> float:
    # In a form that does not overflow.
    return 0.5 * (1 + math.tanh(value / 2))


def log_odds(confidence: float) -> float:
    """Of a raw confidence, kept away from 0 and 1."""
    bounded = min(max(confidence, SATURATION), 1 - SATURATION)
    return math.nan if math.isnan(confidence) else math.log(bounded / (1 - bounded))


@dataclass(frozen=True)
class Calibration:
    """All curves of a checkpoint, and where they apply.

    Attributes:
        answer_style: "sentence" or "short": of the answers that it was fitted on.
        curves: by the value of `Evidence`, then by `curve_name`: by category ("distance", ...) and,
            where there were enough answers, by category and what is measured
            ("quantity of VerticalDistance"); those that there was no answer for are missing.
        tolerances: by which agreement was decided.
        data: name and split of the data set, for people.
        questions: that were asked.
        weights_sha256: fingerprint of the weights that answered, see `weights_fingerprint`.
        format: `FORMAT`.

    Raises:
        ValueError: for an unknown name or format, or without a fingerprint.
    """

    answer_style: str
    curves: Mapping[str, Mapping[str, ConfidenceCurve]]
    tolerances: AgreementTolerances = field(default_factory=AgreementTolerances)
    data: str = ""
    questions: int = 0
    weights_sha256: str = ""
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(
                f"format must be {FORMAT}, got {self.format}: it was written by another version; "
                "run `smolrgpt calibrate` again"
            )
        if self.answer_style not in ANSWER_STYLES:
            raise ValueError(
                f"answer_style must be one of {', '.join(ANSWER_STYLES)}, got {self.answer_style!r}"
            )
        check_fingerprint(self.weights_sha256)
        _check_names("curves", self.curves, [item.value for item in Evidence])
        for name, by_category in self.curves.items():
            categories = [item.partition(_OF)[0] for item in by_category]
            _check_names(f"curves.{name}", categories, [item.name.lower() for item in Category])

    def confidence(
        self, evidence: Evidence, category: Category, raw: float, measure: str = ""
    ) -> float:
        """Probability that an answer is correct; NaN where nothing is known of such answers.

        Args:
            evidence: what the answer rests on.
            category: of the question.
            raw: confidence of the answerer, 0 to 1.
            measure: what the question measures, see `measure_of`; the curve of its category
                holds where it has none of its own
        """
        return confidence_by(self.curves, evidence, category, raw, measure)

    def knows(self, evidence: Evidence, category: Category, measure: str) -> bool:
        """Whether it was fitted on questions that measure something.

        Args:
            evidence: whose answer it is, and the other's answer.
            category: of the question.
            measure: what it measures, see `measure_of`.
        """
        return curve_name(category, measure) in self.curves.get(evidence.value, {})


def confidence_by(
    curves: Mapping[str, Mapping[str, ConfidenceCurve]],
    evidence: Evidence,
    category: Category,
    raw: float,
    measure: str = "",
) -> float:
    """As `Calibration.confidence`, by its curves."""
    named = curves.get(evidence.value, {})
    curve = named.get(curve_name(category, measure)) or named.get(curve_name(category))
    return math.nan if curve is None else curve(raw)


def curve_name(category: Category, measure: str = "") -> str:
    """Name of the curve of a category, or of those questions of it that measure one thing."""
    name = category.name.lower()
    return f"{name}{_OF}{measure}" if measure else name


def read_calibration(path: Path) -> Calibration:
    """Read the file.

    Raises:
        SpatialError: BAD_INPUT that names the file and what is wrong in it.
    """
    return read_json_entries(Calibration, path)


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write the file, completely or not at all."""
    write_json_entries(path, calibration)


def _check_names(where: str, names: Iterable[str], known: list[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{where} must be named {', '.join(known)}, got {unknown[0]!r}")
