"""A page that is served by a real process, and real browsers that look at it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from smolrgpt_core.files import write_image
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.page.frames import SimulatedHall
from smolrgpt_core.sim import RenderOptions
from smolrgpt_core.sim.drive import SimulatedDrive
from smolrgpt_core.simulated_data.bag import write_simulated_bag

PATIENCE_S = 60.0
"""Deadline of every wait: a busy machine takes long for what a quiet one does at once."""

START_PATIENCE_S = 240.0
"""Of the start of a server, which takes 3 s of processor time: on two cores that thirty processes
share, more than a minute."""

POLL_S = 0.05

CHROMIUM = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--enable-unsafe-swiftshader",
    "--window-size=1280,900",
    "--force-device-scale-factor=1",
]

Found = TypeVar("Found")


def wait_for(
    find: Callable[[], Found | None],
    told: Callable[[], object] = lambda: "",
    patience_s: float = PATIENCE_S,
) -> Found:
    """What is found in the end; tells what there was instead."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found = find()
        if found:
            return found
        time.sleep(POLL_S)
    pytest.fail(f"not within {patience_s:.0f} s: {told()}")


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`smolrgpt page` as a process, started by `fork_python`."""

    def __init__(
        self, fork_python: Callable[..., Any], log: Path, *words: object, host: str = "127.0.0.1"
    ) -> None:
        self.port = unused_port()
        self._fork_python, self._log = fork_python, log
        self._words = [*map(str, words), "--no-open", "--port", str(self.port), "--host", host]
        self.start()

    def start(self) -> None:
        command = ["smolrgpt_core.cli", "page", *self._words]
        self.process = self._fork_python(command, self._log, Path.cwd(), {})
        self.url = wait_for(self._announced, self.output, START_PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def _announced(self) -> str | None:
        if self.process.poll() is not None:
            pytest.fail(f"the page ended with {self.process.poll()}: {self.output()}")
        found = re.search(r"Page: (\S+)", self.output())
        return found[1] if found else None


class Browser:
    """A window of Chromium, and what a visitor does with it."""

    def __init__(self, downloads: Path) -> None:
        options = webdriver.ChromeOptions()
        for argument in CHROMIUM:
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = shutil.which("chromedriver")
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        assert driver, "tests of the page need chromedriver: run make setup-tests"
        assert chromium, "tests of the page need chromium: run make setup-tests"
        options.binary_location = chromium
        self.downloads = downloads
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(driver))

    def open(self, url: str) -> None:
        self.driver.get(url)
        self.wait(lambda: self.all(".region"))

    def wait(self, find: Callable[[], Found | None]) -> Found:
        """What is found in the end; elements may come and go meanwhile."""

        def found() -> Found | None:
            try:
                return find()
            except StaleElementReferenceException:
                return None

        return wait_for(found, self.told)

    def told(self) -> str:
        """What is seen, and what the browser reports."""
        reported = [entry["message"] for entry in self.driver.get_log("browser")]
        return "\n".join([self.text(), *reported])

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def shown(self, selector: str) -> WebElement:
        """The first such element that is seen, in the end."""
        return self.wait(
            lambda: next((item for item in self.all(selector) if item.is_displayed()), None)
        )

    def text(self) -> str:
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def script(self, code: str, *arguments: object) -> Any:
        return self.driver.execute_script(code, *arguments)

    def region(self, id: int) -> WebElement:
        return self.wait(lambda: self.all(f'[data-region="{id}"]'))[0]

    def pick(self, id: int) -> None:
        """Click where the name of a region would stand: in the widest place of its mask."""
        before = self.region(id).get_attribute("aria-pressed")
        self.point_at(id).click().perform()
        self.wait(lambda: self.region(id).get_attribute("aria-pressed") != before)

    def middle(self, element: WebElement, of: str = "") -> tuple[float, float]:
        """The middle of an element in the window, or `of` its nextSibling."""
        x, y = self.script(
            "const e = arguments[1] ? arguments[0][arguments[1]] : arguments[0];"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]",
            element,
            of,
        )
        return x, y

    def point_at(self, id: int) -> webdriver.ActionChains:
        """Move the mouse to where the name of a region would stand."""
        x, y = self.middle(self.region(id), "nextSibling")
        actions = webdriver.ActionChains(self.driver)
        actions.w3c_actions.pointer_action.move_to_location(round(x), round(y))
        actions.perform()
        return actions

    def picture(self) -> str:
        """Address of the image that is shown, which holds all of it."""
        return str(self.all("svg image")[0].get_attribute("href"))

    def requests(self) -> list[str]:
        """The addresses that the browser has asked for since this was asked last."""
        entries = [json.loads(item["message"]) for item in self.driver.get_log("performance")]
        return [
            item["message"]["params"]["request"]["url"]
            for item in entries
            if item["message"]["method"] == "Network.requestWillBeSent"
        ]

    @property
    def box(self) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, 'input[aria-label="Question"]')

    def ask(self, question: str) -> str:
        """Type a question, and wait for its answer."""
        self.box.send_keys(Keys.CONTROL, "a")
        self.box.send_keys(Keys.DELETE)
        self.box.send_keys(question)
        before = len(self.all(".past"))
        self.box.send_keys(Keys.ENTER)
        return self.next_answer(before)

    def next_answer(self, before: int) -> str:
        self.wait(lambda: len(self.all(".past")) > before)
        return self.wait(lambda: self.read(".answer"))

    def read(self, selector: str) -> str:
        """The text of the first such element; empty while there is none."""
        return next((str(item.text) for item in self.all(selector)), "")

    def buttons(self) -> dict[str, WebElement]:
        """The buttons that are seen, by their text without the name of an icon."""
        shown = [item for item in self.all("button") if item.is_displayed()]
        return {item.text.split("\n")[-1].strip(): item for item in shown}

    def press(self, label: str) -> None:
        """Press the button with this text."""

        def pressed() -> bool:
            button = self.buttons().get(label)
            if button is not None:
                button.click()
            return button is not None

        self.wait(pressed)


@pytest.fixture(scope="module")
def serve(
    fork_python: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Server]]:
    """Starts a page: serve("--seed", 3)."""
    started: list[Server] = []

    def start(*words: object, host: str = "127.0.0.1") -> Server:
        log = tmp_path_factory.mktemp("page") / "log.txt"
        server = Server(fork_python, log, "--answerer", "geometric", *words, host=host)
        started.append(server)
        return server

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where corrections are stored."""
    return tmp_path_factory.mktemp("corrections") / "data"


@pytest.fixture(scope="module")
def hall(serve: Callable[..., Server], corrected: Path) -> Server:
    """A page about a simulated hall that stores corrections."""
    return serve("--seed", 0, "--corrections", corrected)


@pytest.fixture
def browsers(tmp_path: Path) -> Iterator[Callable[[], Browser]]:
    """Starts browsers, each a visitor of its own; a test closes its own."""
    started: list[Browser] = []

    def start() -> Browser:
        started.append(Browser(tmp_path / f"downloads_{len(started)}"))
        return started[-1]

    yield start
    for browser in started:
        browser.driver.quit()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that tests use one after the other."""
    browser = Browser(tmp_path_factory.mktemp("downloads"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def free_port() -> int:
    """A port at which nothing is served."""
    return unused_port()


@pytest.fixture(scope="session")
def frame() -> RGBDFrame:
    """What the page shows first."""
    return SimulatedHall(0).frame(0)


@pytest.fixture(scope="session")
def depth_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DepthPro that sees everything at some meters, with a view of about 60 degrees."""
    import torch
    from transformers import DepthProForDepthEstimation

    folder = tmp_path_factory.mktemp("depth_model")
    place = Path(__file__).parents[1] / "perception" / "conftest.py"
    spec = spec_from_file_location("tiny_perception_models", place)
    assert spec is not None
    assert spec.loader is not None
    tiny = module_from_spec(spec)
    spec.loader.exec_module(tiny)
    torch.manual_seed(0)
    tiny.depth_pro(folder)
    model = DepthProForDepthEstimation.from_pretrained(folder)
    last = [layer for layer in model.head.layers if isinstance(layer, torch.nn.Conv2d)][-1]
    assert last.bias is not None
    with torch.no_grad():
        last.weight.mul_(1e-3)
        last.bias.fill_(0.1)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def photograph(tmp_path_factory: pytest.TempPathFactory, frame: RGBDFrame) -> Path:
    """Color alone."""
    path = tmp_path_factory.mktemp("photograph") / "mine.png"
    write_image(path, frame.rgb)
    return path


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of three frames."""
    path = tmp_path_factory.mktemp("recordings") / "drive"
    drive = SimulatedDrive(
        seed=3,
        frame_count=3,
        intrinsics=CameraIntrinsics.from_vertical_fov(320, 240, 60.0),
        options=RenderOptions(shadows=False, supersampling=1),
    )
    write_simulated_bag(path, drive)
    return path
