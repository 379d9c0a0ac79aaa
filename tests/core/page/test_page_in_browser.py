"""The page in a real browser, served by a real process."""

from __future__ import annotations

from typing import Any


def test_a_region_is_picked_and_asked_about(hall: Any, browser: Any) -> None:
    browser.open(hall.url)
    browser.pick(10)
    assert "Selected: pallet 10" in browser.text()
    browser.press("How far is pallet 10 from the camera?")
    assert browser.next_answer(0).startswith("Pallet 10 is 5.3")
    assert "100%" in browser.text()
    assert browser.all("svg .mark"), "what was measured is drawn"
