"""Buttons of the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui


def link(text: str, on_click: Callable[..., Any], icon: str | None = None) -> ui.button:
    """A button without a frame, in a color that is readable on light and dark backgrounds.

    Args:
        text: on the button.
        on_click: handler.
        icon: name of a Material icon; None: none.
    """
    made = ui.button(text, on_click=on_click, icon=icon, color=None)
    return made.props("flat no-caps").classes("link")


def main_button(text: str, on_click: Callable[..., Any]) -> ui.button:
    """A button for what a dialog is for."""
    return ui.button(text, on_click=on_click).props("no-caps unelevated")
