"""Figures of published scorers of lengths, points, yes/no and judged sentences."""

from __future__ import annotations

import json
from ast import literal_eval

import pytest

from .figures import values

SCORE_NAMES = {
    "Qual_overall_acc": "qualitative",
    "Quan_overall_acc": "quantitative",
    **{
        f"Qual_{group}_acc": group
        for group in (
            "left/right", "below/above", "behind/front", "big/small", "tall/short", "wide/thin",
        )
    },
    **{
        f"Quan_{raw}_{end}": f"{group}{' error' if end == 'err' else ''}"
        for raw, group in (
            ("direct_distance", "direct distance"),
            ("horizontal_distance", "horizontal distance"),
            ("vertical_distance", "vertical distance"),
            ("width", "width"),
            ("height", "height"),
            ("direction", "direction"),
        )
        for end in ("acc", "err")
    },
    **{
        f"Quan_{raw}_absrel": f"{group} abs rel"
        for raw, group in (
            ("distance_data", "direct distance"),
            ("horizontal_distance_data", "horizontal distance"),
            ("vertical_distance_data", "vertical distance"),
            ("width_data", "width"),
            ("height_data", "height"),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("form", ["SpatialRGPT-Bench_v1.json", "val-00000-of-00001.parquet"])
def test_spatialrgpt_bench(form, scored, expected) -> None:
    published = expected("spatialrgpt_bench")
    outcome = scored(
        "spatialrgpt",
        f"spatialrgpt_bench/{form}",
        "spatialrgpt_bench/predictions.jsonl",
        ["official"],
        judgments="spatialrgpt_bench/judge_replies.jsonl",
    ).outcomes["official"]
    truth = published["score"]
    failed = truth.pop("Match_fail_count")
    # The file has 100 times the hours of a direction's error, the print has degrees.
    degrees = truth.pop("Quan_direction_err") / 100 * 30
    assert f"Direction: {truth['Quan_direction_acc']} / {degrees}" in published["printed"]
    assert values(outcome) == pytest.approx(
        {SCORE_NAMES[name]: value for name, value in truth.items()} | {"direction error": degrees}
    )
    # One more: a mark of null is a reply, but says nothing.
    assert outcome.unread == failed + 1
    marks = [q["evaluation"] for q in published["per_question"] if "evaluation" in q]
    assert [verdict.hit for verdict in outcome.verdicts[: len(marks)]] == marks
    for verdict, quantity in zip(outcome.verdicts, published["per_question"], strict=True):
        if "response" in quantity:
            unit = "o'clock" if quantity["category"] == "direction" else "m"
            response = quantity["response"]
            assert verdict.read == ("" if response == "N/A" else f"{response:g} {unit}")


def test_spatialrgpt_bench_as_printed(scored, expected) -> None:
    published = expected("spatialrgpt_bench")
    outcome = scored(
        "spatialrgpt", "spatialrgpt_bench", "spatialrgpt_bench/predictions.jsonl", ["official"],
        judgments="spatialrgpt_bench/judge_replies.jsonl",
    ).outcomes["official"]  # fmt: skip
    found = values(outcome)
    printed = dict(line.split(": ") for line in published["printed"] if ": " in line)
    assert int(printed.pop("Match Fail Count")) == outcome.unread - 1
    for name, prefix in (("Qual Overall Acc", "qualitative"), ("Quan Overall Acc", "quantitative")):
        assert found[prefix] == pytest.approx(float(printed.pop(name)))
    assert len(printed) == 12
    for name, figures in printed.items():
        rate, *error = map(float, figures.split(" / "))
        assert found[name.lower()] == pytest.approx(rate)
        if error:
            kind = "error" if name == "Direction" else "abs rel"
            assert found[f"{name.lower()} {kind}"] == pytest.approx(error[0])


Q_NAMES = {"delta_2": "", "delta_1_point_5": " < 1.5"}


def test_q_spatial(scored, expected) -> None:
    published = expected("q_spatial")
    outcomes = scored(
        "q-spatial",
        "q_spatial",
        "q_spatial/predictions.jsonl",
        ("official", "vlmevalkit_regex", "vlmevalkit_judge"),
    ).outcomes
    official = values(outcomes["official"])
    assert official["overall"] == pytest.approx(
        100 * published["overall"]["authors_mean_of_the_two_splits"]
    )
    for split in ("QSpatial_plus", "QSpatial_scannet"):
        notebook = published[split]["authors_notebook"]
        unread = {v.id for v in outcomes["official"].verdicts if not v.read}
        raised = [f"{split}/{q['index']}" for q in published["per_question"][split]
                  if "raised" in q["authors"]]  # fmt: skip
        assert len(raised) == notebook["raised"]
        assert set(raised) <= unread
        assert official[split] == pytest.approx(
            100 * notebook["success_rate_counting_raised_as_failure"]
        )
        for name in ("vlmevalkit_regex", "vlmevalkit_judge"):
            for key, share in published[split][name].items():
                kind, bound = next(
                    (key.removesuffix(end).strip("_"), n)
                    for end, n in Q_NAMES.items()
                    if key.endswith(end)
                )
                found = values(outcomes[name])[f"{split} {kind}".strip() + bound]
                assert found == pytest.approx(100 * share), (split, name, key)


def test_q_spatial_question_by_question(scored, expected) -> None:
    published = expected("q_spatial")["per_question"]
    outcomes = scored(
        "q-spatial",
        "q_spatial",
        "q_spatial/predictions.jsonl",
        ("official", "vlmevalkit_regex", "vlmevalkit_judge"),
    ).outcomes
    questions = {f"{split}/{q['index']}": q for split, listed in published.items() for q in listed}
    for verdict in outcomes["official"].verdicts:
        truth = questions[verdict.id]["authors"]
        assert verdict.hit == truth.get("success", False), verdict
        unread = "raised" in truth or truth["pred_cm"] == "nan"
        assert verdict.read == ("" if unread else f"{truth['pred_cm']:g} cm")
    for name in ("vlmevalkit_regex", "vlmevalkit_judge"):
        for verdict in outcomes[name].verdicts:
            truth = questions[verdict.id][f"{name}_cm"]
            if isinstance(truth, str) or verdict.read == "":
                # VLMEvalKit's 0 for a reply without its form is not something that it read.
                assert verdict.read == ""
                assert truth in (
                    "raised IndexError", "raised ValueError", "nan", 0,
                )  # fmt: skip
            else:
                assert verdict.read == f"{truth:g} cm"


def test_q_spatial_answers_in_meters(scored, expected) -> None:
    published = expected("q_spatial")
    outcome = scored(
        "q-spatial",
        "q_spatial",
        "q_spatial/predictions.jsonl",
        ["hispatial"],
        answer_field="prediction_metres",
    ).outcomes["hispatial"]
    truth = [q["hispatial_hit"] for listed in published["per_question"].values() for q in listed]
    assert [verdict.hit for verdict in outcome.verdicts] == truth
    assert outcome.figures["micro"].value == pytest.approx(
        100 * published["overall"]["hispatial_micro"]
    )
    for split in ("QSpatial_plus", "QSpatial_scannet"):
        figure, hispatial = outcome.figures[split], published[split]["hispatial"]
        assert figure.value == pytest.approx(100 * hispatial["accuracy"])
        assert figure.of == hispatial["total"]
        assert figure.value * figure.of / 100 == pytest.approx(hispatial["correct"])


ROBO_SCORERS = ("official", "lmms_eval", "vlmevalkit", "flagevalmm", "hispatial")


@pytest.fixture(params=["parquet", "json"])
def robospatial(request, scored, tmp_path, folder):
    """Both published forms."""
    data = folder / "robospatial_home"
    if request.param == "parquet":
        for path in data.glob("*.parquet"):
            (tmp_path / path.name).symlink_to(path)
        data = tmp_path
    return scored(
        "robospatial-home", str(data), "robospatial_home/results.json", ROBO_SCORERS
    ).outcomes


def test_robospatial_home(robospatial, expected) -> None:
    published = expected("robospatial_home")
    authors = published["robospatial_eval"]
    unmatched = authors["unmatched_entries"]
    official = robospatial["official"]
    assert values(official) == pytest.approx(
        {
            "total": authors["total (board: mean of three)"],
            "VQA average": authors["vqa_average (board)"],
            "micro": authors["accuracy"],
            "ill-formed": authors["illformed_responses"],
            **authors["category_accuracy"],
        }
    )
    assert official.figures["micro"].of == authors["num_total"]
    counted = {"micro": authors, **authors["category_stats"]}
    for name, counts in counted.items():
        figure = official.figures[name]
        assert figure.of == counts["num_total"]
        assert figure.value * figure.of / 100 == pytest.approx(counts["num_correct"])
    assert (
        f"without a prediction, in no denominator of the authors: {unmatched};" in official.notes[0]
    )
    # One truth's points are not in order; its answer lies in their hull.
    hull = authors["category_stats"]["context"]
    by_hull = 100 * (hull["num_correct"] + 1) / hull["num_total"]
    assert official.notes[-1].endswith(f"context would be {by_hull:.2f}")
    lmms_eval = {name: 100 * share for name, share in published["lmms_eval"].items()}
    assert values(robospatial["lmms_eval"]) == pytest.approx(
        {"micro": lmms_eval.pop("overall"), **lmms_eval}
    )
    vlmevalkit = published["vlmevalkit"]
    assert values(robospatial["vlmevalkit"]) == pytest.approx(
        {"micro": vlmevalkit["accuracy (micro)"], **vlmevalkit["category_accuracy"]}
    )
    assert published["vlmevalkit_as_shipped"]["context accuracy"] == 0
    assert any("as shipped" in note for note in robospatial["vlmevalkit"].notes)
    assert robospatial["hispatial"].figures["configuration"].value == pytest.approx(
        100 * published["hispatial"]["configuration accuracy"]
    )


def test_robospatial_home_by_flagevalmm(robospatial, expected) -> None:
    published = expected("robospatial_home")["flagevalmm"]
    truth = {
        "micro": published["accuracy"],
        "polygon: micro": published["accuracy_ori"],
    }
    for results, prefix in (("results_v2", ""), ("results_ori", "polygon: ")):
        for split, counts in published[results].items():
            figure = robospatial["flagevalmm"].figures[f"{prefix}{split}"]
            assert figure.of == counts["total"]
            # The script has four decimals.
            right = figure.value * figure.of / 100
            assert right == pytest.approx(counts["num_correct"], abs=1e-4)
    for split, figures in published["results_ori"].items():
        truth[split] = published["results_v2"][split]["accuracy"]
        truth[f"polygon: {split}"] = figures["accuracy"]
        truth[f"polygon: {split} ill-formed"] = figures["illformed_responses"]
    assert values(robospatial["flagevalmm"]) == truth


def test_robospatial_home_question_by_question(robospatial, expected) -> None:
    questions = expected("robospatial_home")["per_question"]
    listed = [q for q in questions if q["prediction"] is not None]
    by_split: dict[str, int] = {}
    ids = []
    for question in questions:
        number = by_split.setdefault(question["category"], 0)
        ids.append(f"{question['category']}_{number}")
        by_split[question["category"]] += 1
    for name in ROBO_SCORERS:
        found = {verdict.id: verdict.hit for verdict in robospatial[name].verdicts}
        for id, question in zip(ids, questions, strict=True):
            if id not in found:
                assert name == "hispatial" or question not in listed
                continue
            truth = question["robospatial_eval" if name == "official" else name]
            if isinstance(truth, dict):
                truth = truth.get("correct", truth.get("accuracy"))
            assert found[id] == truth, (name, question)


def test_robospatial_home_point_by_point(robospatial, expected) -> None:
    asked = [q for q in expected("robospatial_home")["per_question"] if q["category"] == "context"]
    for name, published in (("official", "robospatial_eval"), ("vlmevalkit", "vlmevalkit")):
        read = {verdict.id: verdict.read for verdict in robospatial[name].verdicts}
        for place, question in enumerate(asked):
            found = read[f"context_{place}"]
            assert question[published]["parsable"] is bool(found)
            truth = literal_eval(question[published]["parsed"])
            assert (literal_eval(found) if found else None) == truth, (name, question)


POPE_NAMES = {
    "llava": {
        "Accuracy": "accuracy", "Precision": "precision", "Recall": "recall", "F1 score": "F1",
        "Yes ratio": "yes ratio",
    },
    "lmms_eval": {
        "pope_accuracy": "accuracy", "pope_precision": "precision", "pope_recall": "recall",
        "pope_f1_score": "F1", "pope_yes_ratio": "yes ratio",
    },
    "vlmevalkit": {
        "Overall": "F1", "acc": "accuracy", "precision": "precision", "recall": "recall",
    },
}  # fmt: skip

ALL_ROWS = {"all": "", "Overall": "", "mean_of_three": "mean"}


@pytest.mark.parametrize("scorer", POPE_NAMES)
def test_pope(scorer, scored, expected) -> None:
    published = expected("general_vqa")["pope"]
    outcome = scored(
        "pope", "general_vqa/pope.jsonl", "general_vqa/pope_predictions.jsonl", [scorer]
    ).outcomes[scorer]
    found = values(outcome)
    factor = 1 if scorer == "vlmevalkit" else 100
    for category, figures in published[scorer].items():
        for name, value in figures.items():
            ours = f"{ALL_ROWS.get(category, category)} {POPE_NAMES[scorer][name]}".strip()
            assert found[ours] == pytest.approx(factor * value), ours


def test_pope_words(scored, expected, folder) -> None:
    """One row for each distinct question, as VLMEvalKit has them."""
    outcome = scored(
        "pope", "general_vqa/pope.jsonl", "general_vqa/pope_predictions.jsonl", ["vlmevalkit"]
    ).outcomes["vlmevalkit"]
    asked = [json.loads(line) for line in (folder / "general_vqa/pope.jsonl").open()]
    distinct = {
        (q["image"], q["question"]): verdict.read
        for q, verdict in zip(asked, outcome.verdicts, strict=True)
    }
    truth = expected("general_vqa")["pope"]["vlmevalkit_extracted"]
    assert [read.capitalize() or "Unknown" for read in distinct.values()] == truth
