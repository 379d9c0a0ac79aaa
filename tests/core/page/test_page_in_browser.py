"""The page in a real browser, served by a real process."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.files import write_depth, write_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.quality.check import check_dataset
from smolrgpt_core.region_files import write_regions
from smolrgpt_core.regions import RegionSet

ELSEWHERE = "This answer is about a different image than the one shown."


@pytest.fixture
def page(hall: Any, browser: Any) -> Any:
    """The page about a simulated hall, opened anew."""
    browser.open(hall.url)
    return browser


@pytest.fixture(scope="module")
def open_page(hall: Any, browser: Any) -> Any:
    """The same page, opened for several questions that are asked one after the other."""
    browser.open(hall.url)
    return browser


def test_a_region_is_picked_and_asked_about(page: Any) -> None:
    page.pick(10)
    assert "Selected: pallet 10" in page.text()
    page.press("How far is pallet 10 from the camera?")
    assert page.next_answer(0).startswith("Pallet 10 is 5.3")
    assert "100%" in page.text()
    page.wait(lambda: page.all("svg .mark"))
    assert page.all("svg .region.asked")[0].get_attribute("data-region") == "10"


def test_regions_are_clicked_into_the_question(page: Any) -> None:
    page.box.send_keys("How far is")
    page.pick(10)
    page.wait(lambda: page.box.get_attribute("value") == "How far is <mask>")
    page.box.send_keys(" from")
    page.pick(13)
    page.wait(lambda: page.box.get_attribute("value") == "How far is <mask> from <mask>")
    page.box.send_keys(Keys.ENTER)
    assert page.next_answer(0).startswith("Pallet 10 is")
    assert "How far is pallet 10 from pallet 13" in page.text()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How far is pallet 10 from pallet 13?", "m from pallet 13."),
        ("How many pallets are in buffer 1?", "in buffer 1"),
        ("Is pallet 10 left or right of pallet 13?", "left of pallet 13"),
        ("Which of pallets 10, 11 and 13 is nearest to the camera?", "is nearest"),
        ("Is pallet 10 in buffer 1?", "Yes"),
        ("Which pallets are in buffer 1?", "are in buffer 1."),
        ("What are the dimensions of pallet 10?", "m"),
        ("Where is pallet 10?", "m"),
    ],
)
def test_each_kind_of_answer(open_page: Any, question: str, answer: str) -> None:
    said = open_page.ask(question)
    assert not said.startswith("No answer")
    assert answer in said


def test_the_keyboard_does_what_the_mouse_does(page: Any) -> None:
    region = page.region(11)
    assert region.get_attribute("aria-label") == "pallet 11"
    assert region.get_attribute("role") == "button"
    page.script("arguments[0].focus()", region)
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait(lambda: page.region(11).get_attribute("aria-pressed") == "true")
    active = page.driver.switch_to.active_element
    assert active.get_attribute("data-region") == "11", "the focus stays"
    active.send_keys(Keys.SPACE)
    page.wait(lambda: page.region(11).get_attribute("aria-pressed") == "false")


def test_a_question_is_asked_by_the_keyboard_alone(page: Any) -> None:
    def press(*keys: str) -> None:
        page.driver.switch_to.active_element.send_keys(*keys)

    press(Keys.TAB)
    assert page.driver.switch_to.active_element.text == "Skip to the questions"
    press(Keys.ENTER)
    page.wait(lambda: page.script("return document.activeElement.ariaLabel") == "Questions")
    press(Keys.TAB)
    press("How many sh")
    page.wait(lambda: page.box.get_attribute("value") == "How many sh")
    press(Keys.TAB)
    page.wait(lambda: page.box.get_attribute("value") == "How many shelves are there?")
    press(Keys.ENTER)
    assert "shelves" in page.next_answer(0)


def test_a_region_lights_up_under_the_mouse(page: Any) -> None:
    def strength() -> float:
        return float(page.region(10).value_of_css_property("fill-opacity"))

    before = strength()
    page.point_at(10)
    page.wait(lambda: strength() > before)


def test_a_refusal_has_a_remedy_that_is_answered(page: Any) -> None:
    said = page.ask("How many wibbles are in buffer 1?")
    assert said.startswith("No answer (bad question)")
    page.wait(lambda: page.all(".remedy"))
    page.press("How many pallets are in buffer 1?")
    assert "in buffer 1" in page.next_answer(1)
    assert not page.all(".remedy")


def test_what_is_typed_narrows_what_is_offered(page: Any) -> None:
    everything = page.wait(lambda: page.all(".offer"))
    page.box.send_keys("how many sh")
    page.wait(lambda: [item.text for item in page.all(".offer")] == ["How many shelves are there?"])
    assert len(everything) > 1


def test_an_earlier_answer_is_shown_again(page: Any) -> None:
    first = page.ask("How many pallets are there?")
    page.ask("How many shelves are there?")
    past = page.all(".past")
    assert len(past) == 2
    past[1].click()
    page.wait(lambda: page.read(".answer") == first)


def test_frames_are_switched(page: Any) -> None:
    before = page.picture()
    page.ask("How many pallets are there?")
    assert ELSEWHERE not in page.text()
    page.pick(10)
    assert "Frame 1 of 8" in page.text()
    page.driver.find_element(By.CSS_SELECTOR, ".q-slider").click()
    page.wait(lambda: page.picture() != before)
    page.wait(lambda: "Nothing is selected." in page.text())
    assert "Frame 1 of 8" not in page.text()
    assert ELSEWHERE in page.text(), "the answer was about the frame before"
    assert not page.ask("How many pallets are there?").startswith("No answer")
    page.wait(lambda: ELSEWHERE not in page.text())


def test_depth_is_a_second_layer_under_the_same_regions(page: Any) -> None:
    color = page.picture()
    page.pick(10)
    page.press("Depth")
    depth = page.wait(lambda: page.picture() != color and page.picture())
    assert "gray: no reading" in page.text()
    assert page.region(10).get_attribute("aria-pressed") == "true"
    page.press("Color")
    page.wait(lambda: page.picture() == color != depth)


def test_space_shows_points_and_boxes(page: Any) -> None:
    page.ask("How far is pallet 10 from pallet 13?")
    page.press("3-D")
    canvas = page.wait(lambda: page.all(".space canvas"))[0]
    page.wait(canvas.is_displayed)
    assert "Could not create" not in page.text()
    page.press("Color")
    page.wait(lambda: page.region(10).is_displayed())


def test_a_corrected_answer_is_a_training_example(page: Any, corrected: Path) -> None:
    page.ask("How far is pallet 10 from pallet 13?")
    page.press("This is wrong")
    field = page.shown('input[aria-label="Correct answer"]')
    field.send_keys("far")
    page.press("Store")
    page.wait(lambda: "expected meters" in page.text())
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("3.4")
    page.press("Store")
    page.wait(lambda: "Stored in" in page.text())
    (record,) = SplitFolder(corrected, "train").read_records()
    assert record.normalized_answer == "3.40"
    assert record.category == "distance"
    assert check_dataset(corrected).clean


def test_what_no_data_set_has_is_not_corrected(page: Any) -> None:
    page.ask("Is buffer 1 empty?")
    page.press("This is wrong")
    page.wait(lambda: "only distances, counts, sides and choices" in page.text())


def test_a_question_is_exported_and_replayed(page: Any) -> None:
    said = page.ask("How far is pallet 10 from pallet 13?")
    page.press("Export")
    path = page.wait(lambda: next(page.downloads.glob("*.zip"), None))
    assert zipfile.is_zipfile(path)
    done = CliRunner().invoke(app, ["replay", str(path), "--answerer", "geometric"])
    assert done.exit_code == 0, done.output
    line = json.loads(done.stdout)
    assert line["text"] == line["recorded"]["text"] == said


def test_two_visitors_have_their_own_state(
    page: Any, hall: Any, browsers: Callable[[], Any]
) -> None:
    other = browsers()
    other.open(hall.url)
    page.pick(10)
    other.pick(13)
    page.ask("How far is pallet 10 from the camera?")
    assert "Selected: pallet 10" in page.text()
    assert "Selected: pallet 13" in other.text()
    assert page.region(13).get_attribute("aria-pressed") == "false"
    assert not other.all(".past")
    other.ask("How many shelves are there?")
    assert len(page.all(".past")) == len(other.all(".past")) == 1


def test_two_visitors_ask_at_once(page: Any, hall: Any, browsers: Callable[[], Any]) -> None:
    other = browsers()
    other.open(hall.url)
    for browser, question in (
        (page, "How many pallets are there?"),
        (other, "Where is pallet 10?"),
    ):
        browser.box.send_keys(question)
    for browser in (page, other):
        browser.box.send_keys(Keys.ENTER)
    assert "pallets" in page.next_answer(0)
    assert "Pallet 10 is" in other.next_answer(0)


def test_nothing_leaves_the_machine(page: Any, hall: Any) -> None:
    page.driver.get_log("performance")
    page.open(hall.url)
    page.press("3-D")
    page.wait(lambda: page.all(".space canvas"))
    requested = page.requests()
    assert len(requested) > 10
    foreign = [url for url in requested if not url.startswith((hall.url, "data:", "blob:"))]
    assert foreign == []


def test_the_browser_reports_no_errors(page: Any) -> None:
    page.driver.get_log("browser")
    page.pick(10)
    page.ask("How far is pallet 10 from pallet 13?")
    page.press("Depth")
    page.wait(lambda: "gray: no reading" in page.text())
    errors = [entry for entry in page.driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


@pytest.mark.parametrize(("width", "columns"), [(1280, 2), (1024, 2), (768, 1)])
def test_it_fits_a_desk_and_a_tablet(page: Any, width: int, columns: int) -> None:
    page.driver.set_window_size(width, 900)
    try:
        page.ask("How far is pallet 10 from pallet 13?")
        inner, needed = page.script(
            "return [window.innerWidth, document.documentElement.scrollWidth]"
        )
        assert needed <= inner, "nothing is cut off at the side"
        left = page.script(
            "return [...document.querySelectorAll('section')].map(s => s.getBoundingClientRect().x)"
        )
        assert len(set(left)) == columns
    finally:
        page.driver.set_window_size(1280, 900)


def test_a_region_is_tapped_on_a_tablet(page: Any) -> None:
    """A tablet held upright, without a mouse."""
    command = page.driver.execute_cdp_cmd
    size = {"width": 820, "height": 1180, "deviceScaleFactor": 2, "mobile": True}
    command("Emulation.setDeviceMetricsOverride", size)
    command("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 5})

    def tap(x: float, y: float) -> None:
        command(
            "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}
        )
        command("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    try:
        page.driver.refresh()
        page.wait(lambda: page.all(".region"))
        assert page.script("return matchMedia('(any-hover: hover)').matches") is False
        tap(*page.middle(page.region(10), "nextSibling"))
        page.wait(lambda: "Selected: pallet 10" in page.text())
        offer = page.wait(lambda: page.buttons().get("How far is pallet 10 from the camera?"))
        page.script("arguments[0].scrollIntoView({block: 'center'})", offer)
        tap(*page.middle(offer))
        assert page.next_answer(0).startswith("Pallet 10 is 5.3")
    finally:
        command("Emulation.clearDeviceMetricsOverride", {})
        command("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_dark_and_light(page: Any) -> None:
    def background() -> str:
        return str(
            page.driver.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
        )

    scheme = {"name": "prefers-color-scheme", "value": "dark"}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    page.wait(lambda: background() == "rgba(18, 20, 26, 1)")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    page.wait(lambda: background() == "rgba(244, 245, 248, 1)")
    button = page.driver.find_element(By.CSS_SELECTOR, '[aria-label="Dark or light"]')
    button.click()
    page.wait(lambda: background() == "rgba(18, 20, 26, 1)")
    button.click()
    page.wait(lambda: background() == "rgba(244, 245, 248, 1)")


def test_every_control_has_a_name(page: Any) -> None:
    unnamed = page.script(
        "return [...document.querySelectorAll('button, input, [role=button], [role=slider]')]"
        ".filter(e => !(e.innerText || e.ariaLabel || e.getAttribute('aria-label') || "
        "(e.labels && e.labels.length))).map(e => e.outerHTML)"
    )
    assert unnamed == []


HOSTILE = (
    '<script>document.title = "executed"</script>',
    '"><img src=x onerror="document.title=\'executed\'">',
    "<svg onload=\"document.title='executed'\">",
    "javascript:document.title='executed'",
)


@pytest.fixture(scope="module")
def hostile(
    frame: RGBDFrame, serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A page about regions whose labels are parts of documents."""
    folder = tmp_path_factory.mktemp("hostile")
    labeled = [
        replace(region, label=HOSTILE[index % len(HOSTILE)], source_label="")
        for index, region in enumerate(frame.regions)
    ]
    write_image(folder / "rgb.png", frame.rgb)
    write_depth(folder / "depth.png", frame.depth)
    write_regions(folder / "regions.json", RegionSet(frame.regions.image_size, tuple(labeled)))
    camera = frame.intrinsics
    files = ("--rgb", folder / "rgb.png", "--depth", folder / "depth.png")
    pinhole = f"{camera.fx},{camera.fy},{camera.cx},{camera.cy}"
    return serve(*files, "--regions", folder / "regions.json", "--intrinsics", pinhole)


def test_no_label_and_no_question_becomes_part_of_the_document(hostile: Any, browser: Any) -> None:
    browser.open(hostile.url)
    ids = [int(item.get_attribute("data-region")) for item in browser.all(".region")][-4:]
    for id in ids:
        browser.script("arguments[0].focus()", browser.region(id))
        browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
        browser.wait(lambda id=id: browser.region(id).get_attribute("aria-pressed") == "true")
    for question in (*HOSTILE, "How far is region 10 from the camera?", "Where is region 1?"):
        browser.ask(question)
    browser.press("3-D")
    browser.wait(lambda: browser.all(".space canvas"))
    assert browser.driver.title == "SmolRGPT"
    assert HOSTILE[0] in browser.text(), "labels and questions are shown as they are"
    added = browser.script(
        "return [document.querySelectorAll('[onerror], [onload], img[src=x]').length,"
        "[...document.scripts].filter(s => s.textContent.startsWith('document.title')).length]"
    )
    assert added == [0, 0]


def test_the_page_comes_back_with_its_server(serve: Callable[..., Any], browser: Any) -> None:
    server = serve("--seed", 1)
    browser.open(server.url)
    browser.ask("How many pallets are there?")
    browser.script("window.isOld = true")
    server.kill()
    server.start()
    # The page is loaded anew, and connected to the server that is there now.
    browser.wait(lambda: browser.script("return !window.isOld && window.did_handshake"))
    browser.wait(lambda: browser.all(".region") and not browser.all(".past"))
    assert not browser.ask("How many pallets are there?").startswith("No answer")


def test_frames_of_a_recording_and_of_the_library(
    recording: Path, serve: Callable[..., Any], browser: Any
) -> None:
    server = serve("--recording", recording, "--root", recording.parent)
    browser.open(server.url)
    assert "Recording drive" in browser.text()
    assert "Frame 1 of 3" in browser.text()
    before = browser.picture()
    browser.driver.find_element(By.CSS_SELECTOR, ".q-slider").click()
    browser.wait(lambda: "Frame 2 of 3" in browser.text() and browser.picture() != before)
    assert not browser.ask("How many pallets are there?").startswith("No answer")
    browser.press("Open ...")
    seed = browser.shown('input[aria-label="Seed"]')
    seed.send_keys(Keys.CONTROL, "a")
    seed.send_keys("5")
    browser.press("Open hall")
    browser.wait(lambda: "Simulated hall 5" in browser.text())
    browser.press("Open ...")
    browser.shown(".q-select").click()
    browser.shown(".q-menu .q-item").click()
    browser.wait(lambda: "drive" in browser.read(".q-select"))
    browser.press("Open recording")
    browser.wait(lambda: "Recording drive" in browser.text() and "Frame 1 of 3" in browser.text())


def test_own_files_are_sent(page: Any, frame: RGBDFrame, tmp_path: Path) -> None:
    write_image(tmp_path / "mine.png", frame.rgb)
    write_depth(tmp_path / "depth.png", frame.depth)
    (tmp_path / "bad.json").write_text("[{]")
    write_regions(tmp_path / "good.json", frame.regions)
    page.press("Open ...")
    fields = page.wait(lambda: page.all("input[type=file]")[:3])
    for field, name in zip(fields, ("mine.png", "depth.png", "bad.json"), strict=True):
        field.send_keys(str(tmp_path / name))
        page.wait(lambda name=name: f": {name}" in page.text())
    for name in ("fx", "fy", "cx", "cy"):
        value = f"{getattr(frame.intrinsics, name):.3f}"
        page.all(f'input[aria-label="{name}"]')[0].send_keys(value)
    page.press("Open files")
    page.wait(lambda: "expected JSON" in page.text())
    page.shown(".q-notification button").click()
    page.all("input[type=file]")[2].send_keys(str(tmp_path / "good.json"))
    page.wait(lambda: ": good.json" in page.text())
    page.press("Open files")
    page.wait(lambda: page.read(".source") == "mine.png" and not page.all(".q-dialog__inner"))
    assert page.ask("How far is pallet 10 from the camera?").startswith("Pallet 10 is 5.3")


@pytest.fixture(scope="module")
def with_models(serve: Callable[..., Any], depth_model: Path) -> Any:
    """A page that takes photographs."""
    return serve("--seed", 0, "--depth-model", depth_model)


def send_photograph(browser: Any, path: Path) -> None:
    browser.press("Open ...")
    browser.wait(lambda: browser.all("input[type=file]"))[0].send_keys(str(path))
    browser.wait(lambda: f": {path.name}" in browser.text())
    browser.press("Open files")


CANCEL_AT_ONCE = """
new MutationObserver((_, observer) => {
  const stage = document.querySelector('.stage.running');
  if (!stage) return;
  observer.disconnect();
  window.cancelled = stage.innerText.split('\\n')[0];
  [...document.querySelectorAll('.q-dialog button')].find(b => b.innerText === 'Cancel').click();
}).observe(document.body, {childList: true, subtree: true, attributes: true});
"""
"""Cancels with the first stage that is seen: the models take a second to load."""


def test_a_photograph_is_cancelled_and_then_made(
    with_models: Any, browser: Any, photograph: Path, tmp_path: Path
) -> None:
    browser.open(with_models.url)
    before = browser.picture()
    browser.script(CANCEL_AT_ONCE)
    send_photograph(browser, photograph)
    browser.wait(lambda: browser.script("return window.cancelled"))
    browser.wait(lambda: not browser.all(".q-dialog__inner"))
    assert (browser.read(".source"), browser.picture()) == ("Simulated hall 0", before)
    assert not browser.ask("How many pallets are there?").startswith("No answer")

    browser.driver.refresh()
    browser.wait(lambda: browser.all(".region"))
    broken = tmp_path / "<img src=x onerror=document.title='executed'>.png"
    broken.write_bytes(photograph.read_bytes()[:200])
    send_photograph(browser, broken)
    assert browser.shown(".stage.failed").text.startswith("Read the image")
    browser.wait(lambda: "it is damaged" in browser.text())
    assert browser.driver.title == "SmolRGPT"
    assert not browser.all("img[src=x]")
    browser.shown(".q-notification button").click()
    browser.all("input[type=file]")[0].send_keys(str(photograph))
    browser.wait(lambda: ": mine.png" in browser.text())
    browser.press("Open files")
    browser.wait(lambda: browser.read(".source").startswith("mine.png; depth estimated by"))
    browser.wait(lambda: not browser.all(".q-dialog__inner"))
    assert not browser.ask("How many pallets are there?").startswith("No answer")


def test_a_page_that_is_started_with_a_photograph(
    serve: Callable[..., Any], browser: Any, photograph: Path, depth_model: Path
) -> None:
    server = serve("--rgb", photograph, "--depth-model", depth_model)
    browser.open(server.url)
    assert "objects found by the segmenter of the package" in browser.read(".source")
    assert "Depth is estimated by a model, not measured" in browser.text()
    assert not browser.ask("How many pallets are there?").startswith("No answer")


def test_beyond_loopback_the_token_is_needed(serve: Callable[..., Any], browser: Any) -> None:
    server = serve("--seed", 1, host="0.0.0.0")
    assert "warning: 0.0.0.0 is reachable from other machines" in server.output()
    base, _, token = server.url.partition("?token=")
    assert len(token) >= 32
    for address in (base, f"{base}?token=wrong", f"{base}_nicegui_ws/socket.io/?EIO=4"):
        with pytest.raises(HTTPError) as refused:
            urlopen(address)
        assert refused.value.code == 401
    browser.driver.get(base)
    assert "open the address with the token" in browser.text()
    browser.open(server.url)
    assert browser.driver.current_url == base, "the token is not in the history"
    assert not browser.ask("How many pallets are there?").startswith("No answer")


def test_on_loopback_other_web_sites_get_nothing(hall: Any) -> None:
    assert "warning" not in hall.output()
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(hall.url, headers=headers))
        assert refused.value.code == 403
