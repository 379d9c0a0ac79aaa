"""Many questions at once: which are answered together, which are refused, what is counted.

One node with a scripted answerer: a question of left and right keeps it busy for as long as a test
wants, so that what is asked meanwhile waits together; a choice makes it fail.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from smolrgpt_ros.msg import SpatialAnswer
from smolrgpt_ros.srv import SpatialQuery
from std_srvs.srv import Trigger

from smolrgpt_core.errors import Status
from smolrgpt_core.language import Category
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_ros.qos import SERVICE_QOS

SCRIPTED = Path(__file__).parent / "node_with_scripted_answerer.py"

BAD = {"question": "Colorless green ideas sleep furiously"}
CHOICE = {"category": Category.MCQ, "region_ids": [1, 2, 3]}
COUNT = {"question": "How many pallets do you see?"}
DISTANCE = {"category": Category.DISTANCE, "region_ids": [1, 2]}
DISTANCE_BACK = {"category": Category.DISTANCE, "region_ids": [2, 1]}
SLOW = {"category": Category.LEFT_RIGHT, "region_ids": [1, 2]}


@pytest.fixture(scope="module")
def node(start_node: Any, slow_answer: Any) -> Any:
    arguments = {
        "answerer": "scripted",
        "max_pending": "8",
        # Nothing here is about patience, and the machine may be busy.
        "input_wait": "30.0",
        "max_age": "30.0",
        "timeout": "60.0",
    }
    return start_node(
        SCRIPTED,
        *[a for k, v in arguments.items() for a in ("-p", f"{k}:={v}")],
        environment=slow_answer.environment,
    )


@pytest.fixture
def operator(
    graph: Any, node: Any, camera: Any, make_operator: Any, wait_for: Any
) -> Iterator[Any]:
    """Before and after each test the node answers correctly, with the settings of its start."""
    operator = make_operator(graph)
    wait_for(lambda: operator.ask(**DISTANCE).status == Status.OK, "an answer before the test")
    yield operator
    assert operator.set(max_batch=8, encode="on_demand").successful
    answer = operator.ask(**DISTANCE)
    assert (Status(answer.status), answer.value) == (Status.OK, pytest.approx(3.0, abs=0.3))
    assert node.process.poll() is None


def stats(operator: Any) -> dict[str, Any]:
    response = operator.graph.call(Trigger, "/spatial_query/stats", Trigger.Request())
    assert response.success
    return json.loads(response.message)


def queue_length(operator: Any) -> int:
    return stats(operator)["queue"]["length"]


@pytest.fixture
def new_frames(operator: Any, wait_for: Any) -> Callable[[], None]:
    """Wait until the node has got some frames more."""

    def wait() -> None:
        before = stats(operator)["inputs"]["regions"]["received"]
        wait_for(
            lambda: stats(operator)["inputs"]["regions"]["received"] > before + 3, "new frames"
        )

    return wait


@pytest.fixture
def ask_while_busy(operator: Any, node: Any, slow_answer: Any, wait_for: Any) -> Any:
    """Answers to questions that wait together while another one is answered.

    Call: ask_while_busy(*questions, meanwhile=called with the futures when all wait or are done).
    """

    def ask(
        *questions: dict[str, Any], meanwhile: Callable[[list[Any]], None] = lambda _: None
    ) -> list[SpatialAnswer]:
        before = node.output.count("a slow answer")
        with slow_answer.held():
            slow = operator.ask_async(**SLOW)
            wait_for(lambda: node.output.count("a slow answer") > before, "a busy answerer")
            futures = [operator.ask_async(**question) for question in questions]
            wait_for(
                lambda: sum(f.done() for f in futures) + queue_length(operator) >= len(futures),
                "the questions to wait",
            )
            meanwhile(futures)
        assert operator.graph.result(slow).answer.status == Status.OK
        return [operator.graph.result(future).answer for future in futures]

    return ask


def statuses(answers: list[SpatialAnswer]) -> list[Status]:
    return [Status(answer.status) for answer in answers]


def stamps(answers: list[SpatialAnswer]) -> set[int]:
    return {time_to_ns(answer.header.stamp) for answer in answers}


@pytest.mark.parametrize(("max_batch", "calls"), [(8, 1), (2, 2), (1, 4)])
def test_questions_that_wait_are_answered_together(
    operator: Any, ask_while_busy: Any, max_batch: int, calls: int
) -> None:
    assert operator.set(max_batch=max_batch).successful
    before = stats(operator)
    answers = ask_while_busy(DISTANCE, COUNT, DISTANCE_BACK, DISTANCE)
    after = stats(operator)
    assert statuses(answers) == [Status.OK] * 4
    assert [list(answer.region_ids) for answer in answers[::2]] == [[1, 2], [2, 1]]
    assert answers[1].value == 2.0
    assert after["calls"] - before["calls"] == 1 + calls
    assert len(stamps(answers)) <= calls
    for answer in answers:
        parts = answer.latency_wait, answer.latency_convert, answer.latency_answer
        assert min(answer.latency_wait, answer.latency_answer) > 0.0
        assert sum(parts) <= answer.latency_total


def test_waiting_questions_are_asked_about_the_newest_frame(
    operator: Any, ask_while_busy: Any, new_frames: Any
) -> None:
    asked_ns: list[int] = []

    def wait_for_frames(futures: list[Any]) -> None:
        asked_ns.append(operator.graph.node.get_clock().now().nanoseconds)
        new_frames()

    (answer,) = ask_while_busy(DISTANCE, meanwhile=wait_for_frames)
    assert time_to_ns(answer.header.stamp) > asked_ns[0]


def test_frames_of_one_stamp_and_of_another_are_not_mixed(
    operator: Any, ask_while_busy: Any, wait_for: Any
) -> None:
    old = operator.ask(**DISTANCE).header.stamp
    wait_for(lambda: operator.ask(**DISTANCE).header.stamp != old, "a newer frame")

    def age_s() -> float:
        return (operator.graph.node.get_clock().now().nanoseconds - time_to_ns(old)) / 1e9

    first, second, newest = ask_while_busy(
        {**DISTANCE, "stamp": old},
        {**COUNT, "stamp": old},
        {**DISTANCE, "max_age": Duration(sec=2)},
        meanwhile=lambda _: wait_for(lambda: age_s() > 2.5, "the frame to be old"),
    )
    assert first.header.stamp == second.header.stamp == old
    assert time_to_ns(newest.header.stamp) > time_to_ns(old)


def test_one_bad_question_spoils_no_other(operator: Any, ask_while_busy: Any) -> None:
    unknown = {"category": Category.DISTANCE, "region_ids": [1, 99]}
    answers = ask_while_busy(DISTANCE, BAD, COUNT, unknown)
    expected = [Status.OK, Status.BAD_QUESTION, Status.OK, Status.UNKNOWN_REGION]
    assert statuses(answers) == expected


def test_answerer_that_fails_fails_its_batch_only(
    operator: Any, ask_while_busy: Any, node: Any, wait_for: Any
) -> None:
    node.forget_output()
    answers = ask_while_busy(DISTANCE, CHOICE, BAD, COUNT)
    failed = [answers[0], answers[1], answers[3]]
    assert statuses(failed) == [Status.MODEL_ERROR] * 3
    assert Status(answers[2].status) is Status.BAD_QUESTION
    assert all("the engine caught fire" in answer.message for answer in failed)
    assert operator.ask(**DISTANCE).status == Status.OK
    wait_for(lambda: "Traceback" in node.output, "the traceback")
    assert node.output.count("in answer_batch") == 1


def test_late_questions_are_refused_in_time_and_never_asked(
    operator: Any, ask_while_busy: Any, wait_for: Any
) -> None:
    before = stats(operator)
    timeout = Duration(nanosec=300_000_000)
    late, patient = ask_while_busy(
        {**CHOICE, "timeout": timeout},
        DISTANCE,
        meanwhile=lambda futures: wait_for(futures[0].done, "the refusal while others wait"),
    )
    assert statuses([late, patient]) == [Status.TIMEOUT, Status.OK]
    assert "other questions were answered first" in late.message
    assert late.latency_total >= 0.3
    after = stats(operator)
    assert after["calls"] - before["calls"] == 2
    assert after["refusals"]["TIMEOUT"] - before["refusals"].get("TIMEOUT", 0) == 1
    assert after["refusals"].get("MODEL_ERROR") == before["refusals"].get("MODEL_ERROR")


def test_full_queue_refuses_at_once(operator: Any, ask_while_busy: Any) -> None:
    done: list[bool] = []
    answers = ask_while_busy(
        *[DISTANCE] * 9, meanwhile=lambda futures: done.extend(f.done() for f in futures)
    )
    assert sorted(statuses(answers)) == [Status.OK] * 7 + [Status.BUSY] * 2
    busy = [answer for answer in answers if answer.status == Status.BUSY]
    assert sum(done) == 2, "the refusals came while the others waited"
    assert all("8 questions are already pending" in answer.message for answer in busy)


def test_no_request_of_a_burst_is_lost(operator: Any, wait_for: Any) -> None:
    client = operator.graph.node.create_client(
        SpatialQuery, "/spatial_query", qos_profile=SERVICE_QOS
    )
    assert client.wait_for_service(60.0)
    questions = [f"How far is pallet 1 from pallet 2 ({number})?" for number in range(300)]
    futures = [client.call_async(SpatialQuery.Request(question=text)) for text in questions]
    wait_for(lambda: all(future.done() for future in futures), "all responses")
    answers = [future.result().answer for future in futures]
    operator.graph.node.destroy_client(client)
    assert [answer.question for answer in answers] == questions
    assert set(statuses(answers)) <= {Status.OK, Status.BUSY, Status.BAD_QUESTION}


def test_every_frame_is_prepared_while_nobody_asks(
    operator: Any, node: Any, new_frames: Any, wait_for: Any
) -> None:
    assert "prepared" not in node.output
    new_frames()
    assert operator.ask(**DISTANCE).latency_convert > 0
    assert operator.set(encode="every_frame").successful
    wait_for(lambda: node.output.count("prepared") > 5, "frames to be prepared")
    answer = operator.ask(**DISTANCE)
    assert Status(answer.status) is Status.OK
    assert answer.latency_convert == 0.0
    prepared = f"prepared {time_to_ns(answer.header.stamp)}"
    wait_for(lambda: prepared in node.output, "the line about the frame")
    assert not operator.set(encode="sometimes").successful


def test_frames_that_cannot_be_prepared_are_reported_now_and_then(
    operator: Any, node: Any, camera: Any, new_frames: Any, wait_for: Any
) -> None:
    assert operator.set(encode="every_frame").successful
    begun_s = time.monotonic()
    with camera.fault(changes={"rgb": lambda message: setattr(message, "encoding", "no_such")}):
        wait_for(lambda: "frames cannot be prepared" in node.output, "the warning")
        new_frames()
        operator.restart()
        assert Status(operator.ask(**DISTANCE).status) is Status.BAD_INPUT
    # Now and then is every 10 s, and once for each activation.
    most = 2 + (time.monotonic() - begun_s) / 10.0
    assert node.output.count("frames cannot be prepared") <= most
    wait_for(lambda: operator.ask(**DISTANCE).status == Status.OK, "an answer")


def test_stats_and_diagnostics_agree(operator: Any, ask_while_busy: Any, wait_for: Any) -> None:
    reports = operator.graph.collect(DiagnosticArray, "/diagnostics")
    seen: list[dict[str, Any]] = []
    (answer,) = ask_while_busy(DISTANCE, meanwhile=lambda _: seen.append(stats(operator)))
    assert answer.status == Status.OK
    busy = seen[0]
    assert busy["queue"] == {"length": 1, "pending": 2, "max_pending": 8}
    assert busy["state"] == "active"
    assert busy["answerer"] == {"answerer": "scripted"}
    assert busy["inputs"]["rgb"]["received"] > 0
    assert busy["memory_bytes"] > 10 * 2**20
    wait_for(lambda: stats(operator)["answers"] == busy["answers"] + 2, "both in the statistics")
    wait_for(lambda: stats(operator)["queue"]["pending"] == 0, "an idle node")
    idle = stats(operator)
    assert idle["queue"]["length"] == 0
    latency = idle["latency"]["answer"]
    assert latency["p99_s"] > latency["median_s"] > 0
    assert set(idle["latency"]) == {"wait", "convert", "answer", "total"}
    del reports[:]
    wait_for(lambda: reports, "a report")
    values = {
        status.name: {item.key: item.value for item in status.values}
        for status in reports[-1].status
    }
    answers, service = values["spatial_query: answers"], values["spatial_query: service"]
    assert answers["ok"] == str(idle["answers"])
    assert float(answers["latency_answer_p99_s"]) == pytest.approx(latency["p99_s"], abs=1e-3)
    assert service["answerer"] == "scripted"
    assert service["queue_length"] == "0"
    assert int(service["memory_bytes"]) > 10 * 2**20


def test_stats_of_a_node_that_is_not_configured(operator: Any) -> None:
    assert operator.change(Transition.TRANSITION_DEACTIVATE)
    assert operator.change(Transition.TRANSITION_CLEANUP)
    unconfigured = stats(operator)
    assert operator.change(Transition.TRANSITION_CONFIGURE)
    assert operator.change(Transition.TRANSITION_ACTIVATE)
    assert (unconfigured["state"], unconfigured["answerer"]) == ("unconfigured", {})
    assert unconfigured["inputs"] == {}


def test_cleanup_waits_for_the_answerer(
    operator: Any, node: Any, slow_answer: Any, wait_for: Any
) -> None:
    node.forget_output()
    with slow_answer.held():
        slow = operator.ask_async(**SLOW)
        wait_for(lambda: "a slow answer" in node.output, "a busy answerer")
        assert operator.change(Transition.TRANSITION_DEACTIVATE)
        assert not slow.done()
        cleanup = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CLEANUP))
        cleaning = operator.graph.call_async(ChangeState, "/spatial_query/change_state", cleanup)
        wait_for(lambda: stats(operator)["state"] == "unconfigured", "the beginning of cleanup")
        assert not cleaning.done()
    assert operator.graph.result(slow).answer.status == Status.OK
    assert operator.graph.result(cleaning).success
    assert "still busy" not in node.output
    assert operator.change(Transition.TRANSITION_CONFIGURE)
    assert operator.change(Transition.TRANSITION_ACTIVATE)
