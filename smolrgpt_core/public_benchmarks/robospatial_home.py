"""RoboSpatial-Home: yes or no about configuration and compatibility, points in free space."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.letter_readers import after_answer
from smolrgpt_core.public_benchmarks.point_readers import (
    fenced_points,
    first_point,
    fraction_in_mask,
    in_hull,
    in_polygon,
    in_polygon_by_old_rule,
    pixels_in_brackets,
    polygon_of,
    scaled_point,
)
from smolrgpt_core.public_benchmarks.published_files import PublishedRow
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord, Point, text_field
from smolrgpt_core.public_benchmarks.scoring import (
    Answered,
    Figure,
    Outcome,
    Scorer,
    Verdict,
    fraction,
    fractions_by,
    mean_of,
    rounded,
    with_reader,
)
from smolrgpt_core.public_benchmarks.yes_no_readers import (
    YES,
    piece_of_last_line,
    starts_with,
)

CONFIGURATION, COMPATIBILITY, CONTEXT = "configuration", "compatibility", "context"
SPLITS = (CONFIGURATION, COMPATIBILITY, CONTEXT)

ANSWERS = "answers"
"""Unit of figures that are numbers of answers."""

PointTest = Callable[[BenchmarkRecord, str], tuple[float, str]]


def _decider(read: Callable[[str], str], point: PointTest) -> PointTest:
    """A word for yes/no questions, a test of points for the others."""

    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        if record.category == CONTEXT:
            return point(record, answer)
        word = read(answer)
        return float(word == record.truth), word

    return decide


def _by_split(answered: Answered, verdicts: list[Verdict]) -> dict[str, Figure]:
    return fractions_by(answered.records, verdicts, lambda record: record.category)


def _official(answered: Answered) -> Outcome:
    """The authors' rule: a question without a prediction is in no denominator."""
    part = answered.only(lambda record: record.id in answered.answers)
    verdicts = part.verdicts(_decider(starts_with, _in_listed_polygon))
    splits = _by_split(part, verdicts)
    figures = {}
    if len(splits) == len(SPLITS):
        figures["total"] = mean_of(splits[name] for name in SPLITS)
        figures["VQA average"] = mean_of(splits[name] for name in (CONFIGURATION, COMPATIBILITY))
    ill_formed = sum(_is_ill_formed(r, answered.answers[r.id]) for r in part.records)
    figures |= splits | {
        "micro": fraction(verdicts),
        "ill-formed": Figure(ill_formed, len(verdicts), ANSWERS),
    }
    return Outcome(figures, verdicts, _official_notes(answered, part, splits, verdicts))


def _official_notes(
    answered: Answered, part: Answered, splits: dict[str, Figure], verdicts: list[Verdict]
) -> list[str]:
    notes = []
    if left_out := len(answered.records) - len(part.records):
        hits = sum(verdict.hit for verdict in verdicts)
        all_of_them = 100 * hits / len(answered.records)
        notes.append(
            f"questions without a prediction, in no denominator of the authors: {left_out}; as "
            f"wrong answers, they would make micro {all_of_them:.2f}"
        )
    if len(splits) < len(SPLITS):
        notes.append(f"no total: answers to {', '.join(splits)} only")
    hulls = [_in_convex_hull(r, answered.answers[r.id])[0] for r in part.records
             if r.category == CONTEXT]  # fmt: skip
    if hulls and (by_hull := 100 * sum(hulls) / len(hulls)) != splits[CONTEXT].value:
        notes.append(
            "the points of some truths are not in order, so that their outline crosses itself; by "
            f"their convex hull, which is meant, context would be {by_hull:.2f}"
        )
    return notes


def _lmms_eval(answered: Answered) -> Outcome:
    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        return _decider(piece_of_last_line, _any_in_mask)(record, _without_thoughts(answer))

    verdicts = answered.verdicts(decide)
    notes = []
    if unmasked := sum(r.category == CONTEXT and _mask(r) is None for r in answered.records):
        notes.append(
            f"context questions without a mask that decodes: {unmasked}; they count as wrong here "
            "and as -1 each in the published code"
        )
    return Outcome({"micro": fraction(verdicts), **_by_split(answered, verdicts)}, verdicts, notes)


def _vlmevalkit(answered: Answered) -> Outcome:
    verdicts = answered.verdicts(_decider(starts_with, _in_polygon_scaled))
    return Outcome(
        {"micro": fraction(verdicts), **_by_split(answered, verdicts)},
        verdicts,
        ["as shipped at e8e78f05 its reader of points raises an error, and context is 0"],
    )


def _flagevalmm(answered: Answered) -> Outcome:
    def last_line(rule: PointTest) -> PointTest:
        return lambda record, answer: rule(record, _normalized_last_line(answer))

    by_mask = answered.verdicts(last_line(_decider(starts_with, _fraction_in_mask)))
    by_polygon = answered.verdicts(last_line(_decider(starts_with, _in_old_polygon)))
    figures = {"micro": rounded(fraction(by_mask), 4)}
    figures |= {k: rounded(v, 4) for k, v in _by_split(answered, by_mask).items()}
    figures["polygon: micro"] = rounded(fraction(by_polygon), 4)
    for name, figure in _by_split(answered, by_polygon).items():
        of_split = [r for r in answered.records if r.category == name]
        texts = [_normalized_last_line(answered.answers.get(r.id, "")) for r in of_split]
        ill_formed = sum(map(_is_ill_formed, of_split, texts))
        figures[f"polygon: {name}"] = rounded(figure, 4)
        figures[f"polygon: {name} ill-formed"] = Figure(ill_formed, len(texts), ANSWERS)
    return Outcome(figures, by_mask)


def _hispatial(answered: Answered) -> Outcome:
    part = answered.only(lambda record: record.category == CONFIGURATION)

    def decide(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
        words = ("yes", "true") if record.truth == YES else ("no", "false")
        read = [word for word in ("yes", "true", "no", "false") if word in answer.lower()]
        return float(any(word in read for word in words)), " ".join(read)

    verdicts = part.verdicts(decide)
    figures = {CONFIGURATION: fraction(verdicts)} if verdicts else {}
    return Outcome(figures, verdicts, ["only configuration is scored by this rule"])


def _in_listed_polygon(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
    return _tested(first_point(answer), record, in_polygon)


def _in_convex_hull(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
    return _tested(first_point(answer), record, in_hull)


def _in_old_polygon(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
    return _tested(first_point(answer), record, in_polygon_by_old_rule)


def _in_polygon_scaled(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
    return _tested(scaled_point(answer, _size(record)), record, in_polygon_by_old_rule)


def _tested(
    point: Point | None, record: BenchmarkRecord, inside: Callable[[Point, list[Point]], bool]
) -> tuple[float, str]:
    if point is None:
        return 0.0, ""
    return float(inside(point, polygon_of(str(record.truth)))), f"({point[0]:g}, {point[1]:g})"


def _any_in_mask(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
    mask = _mask(record)
    if mask is None:
        return 0.0, ""
    pixels = fenced_points(answer, mask.shape)
    return float(fraction_in_mask(pixels, mask) > 0), " ".join(map(str, pixels))


def _fraction_in_mask(record: BenchmarkRecord, answer: str) -> tuple[float, str]:
    mask = _mask(record)
    if mask is None:
        return 0.0, ""
    pixels = pixels_in_brackets(answer, mask.shape)
    return fraction_in_mask(pixels, mask), " ".join(map(str, pixels))


def _mask(record: BenchmarkRecord) -> Any:
    """The mask (H, W) of a context question; None when there is none that decodes."""
    try:
        return None if record.mask is None else record.mask.plane()
    except SpatialError:
        # Reported among the flaws of the data when it was read.
        return None


def _size(record: BenchmarkRecord) -> tuple[int, int] | None:
    """(height, width) of the image, or of the mask; None when neither decodes."""
    for image in (record.image, record.mask):
        try:
            if image is not None:
                return image.plane().shape
        except SpatialError:
            # Without a size, points in pixels are unreadable, and counted as such.
            continue
    return None


def _is_ill_formed(record: BenchmarkRecord, answer: str) -> bool:
    """What the authors count as such: an empty answer, or one without a point."""
    return first_point(answer) is None if record.category == CONTEXT else not answer.strip()


def _without_thoughts(answer: str) -> str:
    text = re.sub(r"^.*?</(?:think|thought)>", "", answer, flags=re.DOTALL)
    tagged = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL | re.IGNORECASE)
    return (tagged[1] if tagged else text).strip()


def _normalized_last_line(answer: str) -> str:
    """FlagEvalMM's: what follows "Answer:", or an equals sign, in the last line."""
    line = answer.strip().split("\n")[-1]
    text = after_answer(line) if "nswer" in line else line.split(" = ")[-1]
    return text.strip().removeprefix(":").strip().rstrip(".,:;")


class RoboSpatialHome(Benchmark):
    """350 questions in three splits."""

    name = "robospatial-home"
    title = "RoboSpatial-Home"
    hub = "chanhee-luke/RoboSpatial-Home"
    files = ("annotations.json", "co*-*.parquet")
    id_fields = ("img",)
    refusing = "lmms_eval"
    scorers: ClassVar = with_reader(
        refusing,
        {
            "official": Scorer(
                "authors: starts with yes or no, first point in the polygon; mean of splits",
                _official,
            ),
            "lmms_eval": Scorer(
                "lmms-eval: yes or no in the last line, any point of a fenced block in the mask; "
                "micro",
                _lmms_eval,
            ),
            "vlmevalkit": Scorer(
                "VLMEvalKit: starts with, first point in any scale, old polygon test; micro",
                _vlmevalkit,
            ),
            "flagevalmm": Scorer(
                "FlagEvalMM: last line; fraction of points in the mask, and old polygon test; "
                "micro",
                _flagevalmm,
            ),
            "hispatial": Scorer("HiSpatial: true word anywhere; configuration only", _hispatial),
        },
    )

    def parse(self, row: PublishedRow) -> BenchmarkRecord:
        """The record of a row of either form; both name the same questions alike.

        Raises:
            ValueError: the row cannot be used; the message states what was expected and what was
            found.
        """
        split = text_field(row.fields, "category")
        truth = text_field(row.fields, "answer")
        if split not in SPLITS:
            raise ValueError(f"expected a category of {SPLITS}, got {split!r}")
        problems: tuple[str, ...] = ()
        if split == CONTEXT:
            polygon_of(truth)
        elif truth.strip().lower() not in ("yes", "no"):
            raise ValueError(f"expected yes or no, got {truth!r:.60}")
        image, missing = row.image("img")
        mask, _ = row.image("mask")
        record = BenchmarkRecord(
            id=self.question_id({**row.fields, "id": f"{split}_{row.number}"}),
            question=text_field(row.fields, "question"),
            prompt=text_field(row.fields, "question"),
            truth=truth if split == CONTEXT else truth.strip().lower(),
            category=split,
            image=image,
            source=split,
            mask=mask,
            depth=row.image("depth_image")[0],
        )
        if split == CONTEXT and _mask(record) is None:
            problems = ("no mask that decodes",)
        return replace(record, problems=(*missing, *problems))

    def guess(
        self, record: BenchmarkRecord, alike: Sequence[BenchmarkRecord], rng: np.random.Generator
    ) -> str:
        """Of a context question any point of the image; see `Benchmark.guess`."""
        if record.category != CONTEXT:
            return super().guess(record, alike, rng)
        x, y = rng.random(2)
        return f"[({x:.3f}, {y:.3f})]"

    def question_id(self, row: Any) -> str:
        """The split with the number in it, as in the names of the images.

        Raises:
            KeyError: the row has neither an image nor an id.
        """
        image = row.get("img")
        if isinstance(image, str):
            return Path(image).stem.removeprefix("img_")
        if "id" not in row:
            raise KeyError("img, or id")
        return str(row["id"])
