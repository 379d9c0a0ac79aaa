"""How long the page takes beside the answer itself, in a headless Chromium.

From the key that asks a question to the answer in the document, and to the second image that the
browser draws after that; of both the time of the answer, as the page tells it, is subtracted.

    python benchmarks/page_latency.py --repeats 3 --write-docs
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
from dataclasses import dataclass

from performance_page import Table, describe_machine, publish
from rich.progress import track
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

SEED = 2_000_000
PATIENCE_S = 120
CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")

ASK = """
const done = arguments[0], start = performance.now();
const past = () => document.querySelectorAll('.past').length, before = past();
const time = () => [...document.querySelectorAll('dt')].find(e => e.innerText === 'Time');
const look = () => {
  if (past() === before) return;
  seen.disconnect();
  const answered = performance.now() - start;
  requestAnimationFrame(() => requestAnimationFrame(() => done(
    [answered, performance.now() - start, parseFloat(time().nextSibling.innerText)])));
};
const seen = new MutationObserver(look);
seen.observe(document.body, {childList: true, subtree: true, characterData: true});
document.querySelector('input[aria-label="Question"]').dispatchEvent(
  new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}));
"""
"""Asks what is written; tells milliseconds until it is answered and drawn, and of the answer."""


@dataclass(frozen=True)
class Asked:
    """Milliseconds of one question."""

    answered: float
    drawn: float
    answer: float


def measure(answerer: str, repeats: int) -> list[Asked]:
    """Ask what the page offers about its frame, after a first round that warms it up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--seed", str(SEED), "--answerer", answerer, "--port", str(port), "--no-open"]
    command = [sys.executable, "-m", "smolrgpt_core.cli", "page", *words]
    # By this NiceGUI would take the process for a test of its own.
    environment = {name: os.environ[name] for name in os.environ.keys() - {"PYTEST_CURRENT_TEST"}}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            return _ask_all(f"http://127.0.0.1:{port}/", repeats)
        finally:
            server.kill()


def _ask_all(url: str, repeats: int) -> list[Asked]:
    options = webdriver.ChromeOptions()
    for argument in CHROMIUM:
        options.add_argument(argument)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as driver:
        driver.set_script_timeout(PATIENCE_S)
        driver.get(url)
        wait = WebDriverWait(driver, PATIENCE_S)
        wait.until(lambda found: found.find_elements(By.CSS_SELECTOR, ".offer"))
        offered = [item.text for item in driver.find_elements(By.CSS_SELECTOR, ".offer")]
        names = re.findall(r"aria-label=\"(pallet \d+)\"", driver.page_source)
        questions = [*offered, *(f"How far is {name} from the camera?" for name in names[:6])]
        rounds = [_ask(driver, question) for _ in range(repeats + 1) for question in questions]
        return rounds[len(questions) :]


def _ask(driver: webdriver.Chrome, question: str) -> Asked:
    box = driver.find_element(By.CSS_SELECTOR, 'input[aria-label="Question"]')
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(question)
    # What is offered follows each letter; asking waits for none of it.
    driver.execute_async_script("requestIdleCallback(arguments[0], {timeout: 1000})")
    return Asked(*driver.execute_async_script(ASK))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--answerers", nargs="+", default=["geometric", "fused"])
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for answerer in track(arguments.answerers):
        found = measure(answerer, arguments.repeats)
        answered = [item.answered - item.answer for item in found]
        drawn = [item.drawn - item.answer for item in found]
        answer = statistics.median(item.answer for item in found)
        cells = [str(len(found)), f"{answer:.0f} ms"]
        cells += [
            f"{statistics.median(each):.0f}, {max(each):.0f} ms" for each in (answered, drawn)
        ]
        rows.append((answerer, *cells))
    columns = ("answerer", "questions", "answer itself", "beside it, answered", "beside it, drawn")
    note = "Median and largest. The page and the browser run on the same cores."
    table = Table("Time of the page beside the answer", columns, tuple(rows), note)
    publish("Page", describe_machine(), [table], arguments.write_docs)


if __name__ == "__main__":
    main()
