"""`page_node` beside a real camera and a real query node, and a browser that looks at it."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from smolrgpt_core.errors import Status

CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Window:
    """A window of Chromium."""

    def __init__(self, url: str, wait_for: Any) -> None:
        options = webdriver.ChromeOptions()
        for argument in CHROMIUM:
            options.add_argument(argument)
        driver = shutil.which("chromedriver")
        assert driver, "this test needs chromium-driver: run make setup-tests"
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(driver))
        self._wait_for = wait_for
        self.driver.get(url)

    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait; elements may come and go meanwhile."""

        def holds() -> object:
            try:
                return condition()
            except StaleElementReferenceException:
                return False

        self._wait_for(holds, what)

    def image(self) -> str:
        # In one step: the next image may take its place at any time.
        return self.driver.execute_script(
            "const image = document.querySelector('svg.picture image');"
            "return image ? image.getAttribute('href') || '' : ''"
        )

    def regions(self) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, ".region"))

    def ask(self, question: str) -> None:
        box = self.driver.find_element(By.CSS_SELECTOR, "input[aria-label=Question]")
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(question, Keys.ENTER)

    def live(self) -> bool:
        switch = self.driver.find_element(By.CSS_SELECTOR, "[role=switch]")
        return switch.get_attribute("aria-checked") == "true"


@pytest.fixture(scope="module")
def operator(graph: Any, start_node: Any, camera: Any, make_operator: Any, wait_for: Any) -> Any:
    """Of a query node that answers."""
    start_node("spatial_query_node")
    operator = make_operator(graph)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    return operator


@pytest.fixture
def look(wait_for: Any) -> Iterator[Callable[[str], Window]]:
    """Call: look(url); the windows are closed after the test."""
    windows: list[Window] = []

    def open_window(url: str) -> Window:
        windows.append(Window(url, wait_for))
        return windows[-1]

    yield open_window
    for window in windows:
        window.driver.quit()


def url_of(node: Any, wait_for: Any) -> str:
    """The address that the node has logged."""
    wait_for(lambda: re.search(r"page: (http\S+)", node.output), "the page")
    found = re.search(r"page: (http\S+)", node.output)
    assert found
    return found[1]


@pytest.mark.timeout(300)
def test_a_visitor_sees_the_camera_and_asks_the_node(
    start_node: Any, camera: Any, operator: Any, wait_for: Any, look: Any
) -> None:
    node = start_node("page_node", "-p", f"port:={free_port()}", "-p", "rate:=10.0")
    window = look(url_of(node, wait_for))
    window.until(lambda: window.regions() == 3, "the regions of the camera")
    assert window.live()
    assert "Open" not in window.text(), "the node sees its own camera only"
    window.ask("How many pallets are there?")
    window.until(lambda: "2 pallets" in window.text(), "the answer of the node")
    assert not window.live()
    operator.ask("How far is pallet 1?")
    window.until(lambda: "How far is pallet 1?" in window.text(), "the answer to another client")
    window.until(lambda: "The last " in window.text(), "the times of the answers")
    bars = ".latency svg path"
    window.until(lambda: window.driver.find_elements(By.CSS_SELECTOR, bars), "their plot")
    state = "return document.querySelector('[aria-label=\"State of the nodes\"]').textContent"

    def is_reported(*texts: str) -> bool:
        return all(text in window.driver.execute_script(state) for text in texts)

    shown = ("/spatial_query", "answered", "messages a second")
    window.until(lambda: is_reported(*shown), "the state of the nodes")
    reports = operator.graph.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
    window.until(lambda: reports.get_subscription_count(), "the page to listen")
    for full_name in ("/other/spatial_query", "/neighbor"):
        name = full_name.rpartition("/")[2]
        status = DiagnosticStatus(name=name, hardware_id=full_name)
        reports.publish(DiagnosticArray(status=[status]))
    window.until(lambda: is_reported("/neighbor"), "what was reported last")
    assert not is_reported("/other"), "a robot in another namespace"
    loaded = window.driver.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert any("echart" in address for address in loaded)
    own = re.compile(r"(http|ws)://127\.0\.0\.1:\d+/|data:|blob:")
    assert [address for address in loaded if not own.match(address)] == []
    assert node.stop() == 0


@pytest.mark.timeout(300)
def test_the_image_follows_the_camera_until_a_question_was_asked(
    start_node: Any, camera: Any, operator: Any, wait_for: Any, look: Any
) -> None:
    node = start_node("page_node", "-p", f"port:={free_port()}", "-p", "rate:=10.0")
    window = look(url_of(node, wait_for))
    window.until(lambda: window.regions() == 3, "the regions of the camera")
    before = window.image()
    assert before

    def brighten(message: Any) -> None:
        message.data = bytes([200]) * len(message.data)

    with camera.fault(changes={"rgb": brighten}):
        window.until(lambda: window.image() != before, "the brighter image")
    assert node.stop() == 0


@pytest.mark.timeout(300)
def test_without_node_or_camera_the_page_says_so_and_goes_on_later(
    start_node: Any, camera: Any, graph: Any, make_operator: Any, wait_for: Any, look: Any
) -> None:
    node = start_node(
        "page_node", "-p", f"port:={free_port()}", "-p", "rate:=10.0", "-p", "timeout:=0.5",
        "-r", "spatial_query:=nobody", "-r", "__node:=watching",
    )  # fmt: skip
    window = look(url_of(node, wait_for))
    window.until(lambda: window.regions() == 3, "the regions of the camera")
    window.ask("How many pallets are there?")
    window.until(lambda: "/nobody is not available" in window.text(), "the refusal")
    make_operator(graph, node="/watching", service="/nobody").change(
        Transition.TRANSITION_DEACTIVATE
    )
    window.driver.refresh()
    window.until(lambda: "not active" in window.text(), "the reason")
    make_operator(graph, node="/watching", service="/nobody").change(Transition.TRANSITION_ACTIVATE)
    window.until(lambda: window.regions() == 3, "the regions again")
    assert node.stop() == 0


def test_a_port_in_use_is_reported(start_node: Any, wait_for: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        node = start_node("page_node", "-p", f"port:={port}")
        wait_for(lambda: "choose another port" in node.output, "the reason")
        assert node.stop() == 0
