"""Models asked the questions of every benchmark: tiny ones of every family, and a real server."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError, Status, UnansweredError
from smolrgpt_core.model.point_map import FAMILIES
from smolrgpt_core.public_benchmarks.benchmark import score
from smolrgpt_core.public_benchmarks.model_loading import load_benchmark_model
from smolrgpt_core.public_benchmarks.models import BenchmarkAnswer, ModelOptions
from smolrgpt_core.public_benchmarks.questions import (
    BenchmarkQuestion,
    RegionForm,
    question_of,
    without_image,
)
from smolrgpt_core.public_benchmarks.registry import BENCHMARKS
from smolrgpt_core.public_benchmarks.running import BenchmarkRun, predictions_of
from smolrgpt_core.public_benchmarks.shuffling import shuffled

DATA = {
    "spatialrgpt": "spatialrgpt_bench",
    "cv-bench": "cv_bench",
    "q-spatial": "q_spatial",
    "embspatial": "embspatial_bench",
    "robospatial-home": "robospatial_home",
    "3dsrbench": "3dsrbench",
    "realworldqa": "general_vqa/realworldqa.jsonl",
    "pope": "general_vqa/pope.jsonl",
    "mmbench": "general_vqa/mmbench_dev_toy.tsv",
    "seed-bench": "general_vqa/seedbench.jsonl",
    "ai-city": "ai_city",
    "hispatial-tasks": "hispatial_tasks",
}
VARIANTS = (*FAMILIES, "paligemma1", "internvl3_5")


pytestmark = pytest.mark.usefixtures("one_thread")


def answers(name: str, data: Path, model, root: Path, limit: int | None = None) -> dict[str, Any]:
    """What comes of the questions of a fixture."""
    benchmark = BENCHMARKS[name]
    run = BenchmarkRun(root, benchmark, benchmark.read(data), model.described, 0, False)
    with run.locked():
        return run.answer_all(model, limit, lambda done, total: None)


@pytest.mark.parametrize("family", VARIANTS)
def test_every_family_answers_every_benchmark(family, vlm, folder, tmp_path) -> None:
    model = load_benchmark_model(vlm(family), ModelOptions(device="cpu", max_new_tokens=3))
    for name, data in DATA.items():
        benchmark = BENCHMARKS[name]
        replies = answers(name, folder / data, model, tmp_path / name)
        records = benchmark.read(folder / data)
        assert list(replies) == [record.id for record in records.records]
        silent = {id for id, reply in replies.items() if reply.text is None}
        assert silent == {item.id for item in records.records if item.image is None}, name
        report = score(benchmark, records, predictions_of(replies), ())
        assert not report.missing
        assert all(outcome.figures for outcome in report.outcomes.values())


class Counter:
    """Says how many pixels it sees, so that an answer to another question would differ."""

    described: Mapping[str, Any] = {"kind": "counter"}

    def answer(self, question: BenchmarkQuestion) -> BenchmarkAnswer:
        """Sum all that a model is given."""
        if question.image is None:
            raise UnansweredError(Status.NO_RGB, "no image")
        pixels = [int(question.image.plane().sum()), *(region.area for region in question.regions)]
        return BenchmarkAnswer(f"{question.prompt[:20]} {pixels}")


@pytest.mark.parametrize("name", DATA)
def test_every_benchmark_resumes_to_the_same_bytes(name, folder, tmp_path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    answers(name, folder / DATA[name], Counter(), whole)
    answers(name, folder / DATA[name], Counter(), killed, limit=4)
    written = killed / "predictions.jsonl"
    written.write_bytes(written.read_bytes()[:-7])
    answers(name, folder / DATA[name], Counter(), killed)
    assert written.read_bytes() == (whole / "predictions.jsonl").read_bytes()


@pytest.mark.parametrize("name", DATA)
def test_questions_of_every_benchmark_can_go_to_another_process(name, folder, tmp_path) -> None:
    benchmark = BENCHMARKS[name]
    records = benchmark.read(folder / DATA[name]).records
    sent = pickle.dumps([(record, benchmark.asked(record)) for record in records])
    model = Counter()
    for record, (arrived, asked) in zip(records, pickle.loads(sent), strict=True):
        if record.image is not None:
            assert model.answer(question_of(arrived, asked)) == model.answer(question_of(record))


@pytest.mark.parametrize("family", VARIANTS)
def test_a_blind_model_is_not_shown_the_image(family, vlm, folder) -> None:
    options = ModelOptions(device="cpu", max_new_tokens=8, blind=True)
    blind = load_benchmark_model(vlm(family), options)
    records = BENCHMARKS["cv-bench"].read(folder / "cv_bench/test.jsonl").records
    assert records[0].image is None
    with_images = BENCHMARKS["cv-bench"].read(folder / "cv_bench").records
    for without, same in zip(records[:3], with_images[:3], strict=True):
        assert blind.answer(question_of(without)) == blind.answer(question_of(same))


def test_the_own_processor_is_used_wherever_it_can_be(vlm) -> None:
    def sees(family: str) -> Any:
        return load_benchmark_model(vlm(family), ModelOptions(device="cpu")).described["sees"]

    assert sees("idefics3") == "its own processor"
    assert sees("qwen3_vl") == sees("paligemma") == "image once, without tiles"


def asked_about_regions(server, folder: Path, **options: Any) -> list[dict[str, Any]]:
    """Messages to a server about the first question of SpatialRGPT-Bench."""
    record = BENCHMARKS["spatialrgpt"].read(folder / "spatialrgpt_bench").records[0]
    load_benchmark_model(server.url, ModelOptions(**options)).answer(question_of(record))
    return server.asked[-1]["messages"][0]["content"]


def test_regions_as_marks_boxes_or_words_alone(chat_server, folder) -> None:
    image, text = asked_about_regions(chat_server, folder)
    assert text["text"] == "Would a viewer see Region [0] further left than Region [1]?"
    boxes, text = asked_about_regions(chat_server, folder, region_form=RegionForm.BOXES)
    assert text["text"] == (
        "Would a viewer see crate (highlighted by the red box) further left than barrel "
        "(highlighted by the blue box)?"
    )
    assert boxes["image_url"]["url"] != image["image_url"]["url"]
    (text,) = asked_about_regions(chat_server, folder, blind=True)
    assert text["text"] == (
        "Would a viewer see Region [0] (crate) further left than Region [1] (barrel)?"
    )


def test_a_question_never_holds_its_truth(folder) -> None:
    for name, data in DATA.items():
        for record in BENCHMARKS[name].read(folder / data).records:
            question = question_of(record)
            assert not hasattr(question, "truth")
            assert not hasattr(without_image(question), "truth")
            if len(str(record.truth)) > 12:
                assert str(record.truth) not in question.prompt + question.masked


def test_smolrgpt_answers_in_its_own_words_and_needs_depth_for_regions(folder, tmp_path) -> None:
    model = load_benchmark_model(str(NANO), ModelOptions(device="cpu"))
    assert model.described["track"] == "metric depth"
    replies = answers("cv-bench", folder / "cv_bench", model, tmp_path / "cv", limit=3)
    assert len(replies) == 3
    assert all(reply.text is not None for reply in replies.values())
    with pytest.raises(SpatialError, match=r"needs depth.*--depth-model") as error:
        answers("spatialrgpt", folder / "spatialrgpt_bench", model, tmp_path / "regions")
    assert error.value.status is Status.MODEL_ERROR


def test_a_point_map_model_gets_estimated_depth(folder, tiny_vlms, tmp_path) -> None:
    from smolrgpt_core.model.point_map import PointMapConfig, PointMapForConditionalGeneration

    torch.manual_seed(0)
    config = PointMapConfig.preset("warehouse", tiny_vlms.make_config("qwen3_vl"))
    PointMapForConditionalGeneration(config).save_pretrained(tmp_path / "model")
    tiny_vlms.make_processor("qwen3_vl").save_pretrained(tmp_path / "model")
    record = BENCHMARKS["spatialrgpt"].read(folder / "spatialrgpt_bench").records[0]
    blind = ModelOptions(device="cpu", max_new_tokens=3)
    with pytest.raises(UnansweredError, match="--depth-model"):
        load_benchmark_model(str(tmp_path / "model"), blind).answer(question_of(record))
    depth = save_depth_model(tmp_path / "depth")
    options = ModelOptions(device="cpu", max_new_tokens=3, depth_model=depth)
    model = load_benchmark_model(str(tmp_path / "model"), options)
    assert model.described["track"] == "metric depth, estimated"
    assert isinstance(model.answer(question_of(record)).text, str)


def save_depth_model(folder: Path) -> str:
    """A tiny depth model that gives meters."""
    import transformers as tf

    blocks: dict[str, Any] = {"out_indices": [1, 2, 3, 4]}
    beit = tf.Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=1, image_size=28,
        patch_size=14, reshape_hidden_states=False, **blocks,
    )  # fmt: skip
    config = tf.DepthAnythingConfig(
        backbone_config=beit, reassemble_hidden_size=16, neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8, head_hidden_size=4, depth_estimation_type="metric", max_depth=20,
    )  # fmt: skip
    tf.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    tf.DPTImageProcessorPil(
        size={"height": 56, "width": 56}, keep_aspect_ratio=True, ensure_multiple_of=14
    ).save_pretrained(folder)
    return str(folder)


def by_prompt(body: dict[str, Any]) -> str:
    """A letter that follows from the words of a request."""
    words = body["messages"][0]["content"][-1]["text"]
    return "AB"[hashlib.sha256(words.encode()).digest()[0] % 2]


def benchmark(*options: str) -> Any:
    return CliRunner(env={"COLUMNS": "140"}).invoke(app, ["benchmark", *options])


def cv_bench(folder: Path, url: str, output: Path, *options: str) -> list[str]:
    data = str(folder / "cv_bench")
    return ["cv-bench", "--data", data, "--model", url, "--output", str(output), *options]


def test_a_server_is_asked_and_scored_by_the_rules_of_files(chat_server, folder, tmp_path) -> None:
    chat_server.answer = by_prompt
    out = tmp_path / "run"
    done = benchmark(*cv_bench(folder, chat_server.url, out, "--json", str(tmp_path / "all.json")))
    assert done.exit_code == 0, done.output
    result = json.loads((out / "result.json").read_text())
    assert result["run"]["model"]["model"] == "vision"
    assert result["run"]["example_prompt"].endswith("from the given choices directly.")
    data, lines = str(folder / "cv_bench"), str(out / "predictions.jsonl")
    again = benchmark("cv-bench", "--data", data, "--predictions", lines, "--json",
                      str(tmp_path / "file.json"))  # fmt: skip
    assert again.exit_code == 0
    assert (tmp_path / "all.json").read_text() == (tmp_path / "file.json").read_text()
    assert result["scorers"] == json.loads((tmp_path / "file.json").read_text())["scorers"]


def test_a_killed_run_goes_on_to_the_same_result(
    chat_server, folder, tmp_path, warm_python
) -> None:
    chat_server.answer = by_prompt
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert benchmark(*cv_bench(folder, chat_server.url, whole)).exit_code == 0
    chat_server.asked.clear()
    chat_server.hold_at = 8
    call = ["smolrgpt_core.cli", "benchmark", *cv_bench(folder, chat_server.url, killed)]
    process = warm_python(*call)
    assert chat_server.reached.wait(120), process.output.read_text()
    process.kill()
    chat_server.hold.set()
    lines = (killed / "predictions.jsonl").read_bytes()
    assert lines.count(b"\n") == 7
    # What a kill in the middle of a line leaves.
    (killed / "predictions.jsonl").write_bytes(lines + b'{"id": "7", "predic')
    asked = len(chat_server.asked)
    assert benchmark(*cv_bench(folder, chat_server.url, killed)).exit_code == 0
    assert len(chat_server.asked) - asked == 13
    for name in ("predictions.jsonl", "result.json", "run.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("fault", ["broken JSON", "dropped", "no completion", "cut short", "500"])
def test_a_failing_server_ends_the_run_and_keeps_the_answers(
    fault, chat_server, folder, tmp_path
) -> None:
    def answer(body: dict[str, Any]) -> str:
        if len(chat_server.asked) == 4:
            chat_server.fault = "" if fault == "500" else fault
            chat_server.status = 500 if fault == "500" else 200
        return by_prompt(body)

    chat_server.answer = answer
    out = tmp_path / "run"
    done = benchmark(*cv_bench(folder, chat_server.url, out))
    assert done.exit_code == 1, done.output
    words = " ".join(done.output.split())
    assert f"the server {chat_server.url}" in words
    assert "the same command resumes" in words
    kept = (out / "predictions.jsonl").read_bytes().splitlines()
    assert len(kept) >= 3
    chat_server.fault, chat_server.status, chat_server.answer = "", 200, by_prompt
    assert benchmark(*cv_bench(folder, chat_server.url, out)).exit_code == 0
    whole = tmp_path / "whole"
    assert benchmark(*cv_bench(folder, chat_server.url, whole)).exit_code == 0
    assert (out / "predictions.jsonl").read_bytes() == (whole / "predictions.jsonl").read_bytes()


def test_a_server_that_takes_too_long_ends_the_run(chat_server, folder, tmp_path) -> None:
    chat_server.hold.clear()
    done = benchmark(*cv_bench(folder, chat_server.url, tmp_path / "run", "--timeout", "0.2"))
    assert done.exit_code == 1
    assert "APITimeoutError" in done.output


def test_a_server_that_refuses_everything_is_not_asked_everything(
    chat_server, folder, tmp_path
) -> None:
    chat_server.status = 400
    done = benchmark(*cv_bench(folder, chat_server.url, tmp_path / "run"))
    assert done.exit_code == 1
    assert "none of the first 5 questions has an answer" in " ".join(done.output.split())
    assert len(chat_server.asked) == 5


def test_a_question_without_an_answer_is_wrong_and_asked_again(
    chat_server, folder, tmp_path
) -> None:
    def silent_once(body: dict[str, Any]) -> str:
        return "" if len(chat_server.asked) == 3 else by_prompt(body)

    chat_server.answer = silent_once
    out = tmp_path / "run"
    first = benchmark(*cv_bench(folder, chat_server.url, out, "--limit", "10"))
    assert first.exit_code == 0
    output = " ".join(first.output.split())
    assert "without an answer from the model: 1, for example: 2 has no answer" in output
    result = json.loads((out / "result.json").read_text())
    assert result["questions"] == 10
    assert list(result["problems"]) == ["2"]
    assert benchmark(*cv_bench(folder, chat_server.url, out, "--limit", "12")).exit_code == 0
    assert len(chat_server.asked) == 10 + 3
    assert json.loads((out / "result.json").read_text())["problems"] == {}


def test_the_page_shows_wrong_answers_and_why_there_is_none(chat_server, folder, tmp_path) -> None:
    chat_server.answer = lambda body: "" if len(chat_server.asked) == 2 else "<b>Z</b>"
    out = tmp_path / "run"
    assert benchmark(*cv_bench(folder, chat_server.url, out)).exit_code == 0
    page = (out / "report.html").read_text()
    assert "vision on CV-Bench" in page
    assert "20 of 20 wrong or missing answers, by official" in page
    assert "&lt;b&gt;Z&lt;/b&gt;" in page
    assert "<b>Z" not in page
    assert "1 has no answer: the server" in page
    assert page.count("data:image/jpeg;base64,") == 20
    assert all(f"<span>{task}</span>" in page for task in ("Count", "Relation", "Depth"))


def test_a_folder_is_of_one_model_and_one_set_of_questions(chat_server, folder, tmp_path) -> None:
    chat_server.answer = by_prompt
    out = tmp_path / "run"
    assert benchmark(*cv_bench(folder, chat_server.url, out, "--limit", "2")).exit_code == 0
    other = benchmark(*cv_bench(folder, chat_server.url, out, "--server-model", "large"))
    assert other.exit_code == 2
    assert "model.model: 'vision' there, 'large' now" in " ".join(other.output.split())


def test_a_finished_run_that_lost_its_answers_is_refused(chat_server, folder, tmp_path) -> None:
    chat_server.answer = by_prompt
    out = tmp_path / "run"
    call = cv_bench(folder, chat_server.url, out)
    assert benchmark(*call).exit_code == 0
    asked = len(chat_server.asked)
    assert benchmark(*call).exit_code == 0
    assert len(chat_server.asked) == asked, "all answers are there"
    (out / "predictions.jsonl").unlink()
    lost = benchmark(*call)
    assert lost.exit_code == 2
    assert "20 are missing" in " ".join(lost.output.split())


def test_guess_blind_and_shuffled_stand_beside_the_score(chat_server, folder, tmp_path) -> None:
    chat_server.answer = "A"
    out = tmp_path / "run"
    rows = [word for row in ("guess", "blind", "shuffled") for word in ("--beside", row)]
    told = tmp_path / "all.json"
    done = benchmark(*cv_bench(folder, chat_server.url, out, *rows, "--json", str(told)))
    assert done.exit_code == 0, done.output
    assert list(json.loads(told.read_text())) == ["model", "guess", "blind", "shuffled"]
    head = next(line for line in done.output.splitlines() if "CV-Bench, official" in line)
    assert head.split()[-4:] == ["model", "guess", "blind", "shuffled"]
    results = {
        name: json.loads((out / name / "result.json").read_text())
        for name in ("", "guess", "blind", "shuffled")
    }

    def micro(name: str) -> float:
        return results[name]["scorers"]["lmms_eval"]["figures"]["micro"]["value"]

    records = BENCHMARKS["cv-bench"].read(folder / "cv_bench").records
    always_a = 100 * np.mean([record.truth == "A" for record in records])
    assert micro("") == micro("blind") == pytest.approx(always_a)
    assert micro("shuffled") != pytest.approx(always_a)
    chance = np.array([1 / len(record.options) for record in records])
    # Twenty times guessing twenty questions, within four standard errors.
    error = 4 * np.sqrt((chance * (1 - chance)).sum() / 20) / len(records)
    assert micro("guess") == pytest.approx(100 * chance.mean(), abs=100 * error)
    blind = [item for item in chat_server.asked if len(item["messages"][0]["content"]) == 1]
    assert len(blind) == 20
    assert results["shuffled"]["run"]["options"] == "shuffled"


@pytest.mark.parametrize(
    "name", ["cv-bench", "embspatial", "3dsrbench", "realworldqa", "mmbench", "seed-bench"]
)
def test_the_truth_moves_with_its_option(name, folder) -> None:
    data = BENCHMARKS[name].read(folder / DATA[name])
    changed = shuffled(data, seed=3)
    assert any(a.truth != b.truth for a, b in zip(data.records, changed.records, strict=True))
    for before, after in zip(data.records, changed.records, strict=True):
        assert sorted(before.options) == sorted(after.options)
        if not before.options:
            assert after == before
            continue
        true = {record.options["ABCDEF".index(str(record.truth))] for record in (before, after)}
        assert len(true) == 1
        for letter, option in zip("ABCDEF", after.options, strict=False):
            line = rf"^\(?{letter}[.)] {re.escape(option)}\s*$"
            assert re.search(line, after.prompt, re.MULTILINE), after.prompt
    letters = [record.truth for record in changed.records]
    assert letters == [record.truth for record in shuffled(data, seed=3).records]


def test_options_cannot_be_shuffled_where_there_are_none(chat_server, folder, tmp_path) -> None:
    done = benchmark(
        "pope", "--data", str(folder / "general_vqa/pope.jsonl"), "--model", chat_server.url,
        "--output", str(tmp_path / "run"), "--beside", "shuffled",
    )  # fmt: skip
    assert done.exit_code == 2
    assert "no question has options to shuffle" in done.output


@pytest.mark.parametrize("name", DATA)
def test_guessing_is_readable(name, folder, tmp_path) -> None:
    out = tmp_path / "guess"
    done = benchmark(name, "--data", str(folder / DATA[name]), "--model", "guess", "--output",
                     str(out))  # fmt: skip
    assert done.exit_code == 0, done.output
    result = json.loads((out / "result.json").read_text())
    first = next(iter(result["scorers"].values()))
    records = BENCHMARKS[name].read(folder / DATA[name]).records
    categories = [record.category for record in records]
    # A quantity that nothing else is like: nothing to guess from.
    lonely = [r for r in records if not r.options and categories.count(r.category) == 1]
    assert first["unreadable"] <= len(lonely)
    assert any(figure["value"] > 0 for figure in first["figures"].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("cv-bench", "--data", "DATA"), "--model or --predictions"),
        (("cv-bench", "--data", "DATA", "--model", "./nothing"), "no such folder"),
        (("cv-bench", "--data", "DATA", "--model", "geometric", "--timeout", "3"), "need its URL"),
        (("cv-bench", "--data", "DATA", "--model", "guess", "--regions", "circles"), "circles"),
    ],
)
def test_wrong_calls(options, message, folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = str(folder / "cv_bench")
    done = benchmark(*(data if option == "DATA" else option for option in options))
    assert done.exit_code == 2
    assert message in done.output
