"""The card with an answer: what was understood, how it was found, and its confidence."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from nicegui import ui

from smolrgpt_core.answer import Agreement, SpatialAnswer
from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.language.wording import quantity
from smolrgpt_core.page.controls import link
from smolrgpt_core.page.conversation import Exchange

AGREEMENTS = {Agreement.AGREE: "agree", Agreement.DISAGREE: "disagree"}


@dataclass(frozen=True)
class CardActions:
    """What the buttons of a card do.

    Attributes:
        ask: asks another question instead.
        export: gives the question with its frame as a file.
        correct: stores a corrected answer; None: corrections are not stored.
    """

    ask: Callable[[AskedQuestion], Awaitable[None]]
    export: Callable[[Exchange], Awaitable[None]]
    correct: Callable[[Exchange], None] | None


def show_answer(exchange: Exchange, actions: CardActions) -> None:
    """Add the elements of an answer, or of a refusal with alternative questions."""
    answer = exchange.answer
    ui.label(exchange.question).classes("question")
    if answer.ok:
        ui.label(answer.text).classes("answer").mark("answer")
    else:
        status = answer.status.name.lower().replace("_", " ")
        ui.label(f"No answer ({status}): {answer.message}").classes("answer none").mark("answer")
        _remedies(exchange, actions)
    _facts(facts_of(answer))
    if answer.steps:
        with ui.element("ol").classes("steps").props("aria-label=Steps"):
            for step in answer.steps:
                with ui.element("li"):
                    ui.label(step)
    with ui.element("div").classes("bar"):
        export = link("Export", lambda: actions.export(exchange), "download")
        export.tooltip("Download the question and its frame as a file for smolrgpt replay")
        correct = actions.correct
        if correct is not None:
            link("This is wrong", lambda: correct(exchange), "edit")


def _remedies(exchange: Exchange, actions: CardActions) -> None:
    if not exchange.remedies:
        return
    ui.label("Ask instead").classes("heading q-mt-sm")
    with ui.element("div").classes("offers"):
        for remedy in exchange.remedies:
            made = link(remedy.text, lambda remedy=remedy: actions.ask(remedy))
            made.classes("offer remedy")


def _facts(facts: Mapping[str, str]) -> None:
    with ui.element("dl").classes("facts"):
        for name, text in facts.items():
            with ui.element("dt"):
                ui.label(name)
            with ui.element("dd"):
                ui.label(text)


def facts_of(answer: SpatialAnswer) -> dict[str, str]:
    """The facts about an answer besides its sentence, by name; empty values are omitted."""
    unit = answer.unit
    facts = {
        "Understood": answer.understood,
        "Note": answer.message if answer.ok else "",
        "Confidence": "" if math.isnan(answer.confidence) else f"{answer.confidence:.0%}",
        "Model and geometry": AGREEMENTS.get(answer.agreement, ""),
        "Geometry": _value(answer.geometric_value, unit),
        "Model": _value(answer.model_value, unit),
        "Time": f"{answer.latency_s['answer'] * 1000:.0f} ms" if answer.latency_s else "",
    }
    return {name: text for name, text in facts.items() if text}


def _value(value: float | None, unit: str) -> str:
    return "" if value is None else quantity(value, unit)
