"""Statistics of one optimizer step, over all its batches and all processes."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from smolrgpt_core.training.losses import LossSums
from smolrgpt_core.training.objectives import StepLoss
from smolrgpt_core.training.rows import LOSS_CATEGORIES
from smolrgpt_core.training.stream import GroupFacts


@dataclass(frozen=True)
class StepResult:
    """Sums over the global batch of a step.

    Attributes:
        loss: mean over its answer tokens, or over its answers.
        gradient_norm: before clipping.
        sums: of weighted losses, by category.
        weights: of the answer tokens, by category: what the sums are divided by.
        answer_tokens: how many.
        rows, questions, tokens: of the batch, without padding.
        terms: of the loss beside the answers, without their weights, by name.
    """

    loss: float
    gradient_norm: float
    sums: Mapping[str, float]
    weights: Mapping[str, float]
    answer_tokens: int
    rows: int
    questions: int
    tokens: int
    terms: Mapping[str, float]

    def is_finite(self, checks_norm: bool) -> bool:
        """Whether the loss and, if requested, the gradient norm are finite."""
        return math.isfinite(self.loss) and (not checks_norm or math.isfinite(self.gradient_norm))

    def record(self) -> dict[str, Any]:
        """The line for the loss log."""
        return {
            "loss": self.loss,
            "gradient_norm": self.gradient_norm,
            "answer_tokens": self.answer_tokens,
            "by_category": {name: self.sums[name] / self.weights[name] for name in self.sums},
            **({"terms": dict(self.terms)} if self.terms else {}),
        }


class StepSums:
    """Accumulates the batches of one process in one step."""

    def __init__(self, device: torch.device, terms: Sequence[str] = ()) -> None:
        """Start at zero, with these further terms of the loss."""
        self._losses = LossSums(device)
        self._terms = dict.fromkeys(terms, torch.zeros((), dtype=torch.float64, device=device))
        self._batches: list[tuple[GroupFacts, torch.Tensor]] = []
        self._counts = [0, 0, 0]

    def add(self, facts: GroupFacts, loss: StepLoss) -> None:
        """Add the loss of a batch."""
        self._losses.add(loss.token_losses, loss.categories, loss.weights)
        self._batches.append((facts, loss.token_losses.sum()))
        for name, value in loss.terms.items():
            self._terms[name] = self._terms[name] + value
        for place, count in enumerate((facts.rows, facts.questions, facts.tokens)):
            self._counts[place] += count

    def batches(self) -> list[dict[str, Any]]:
        """The conversations of each batch, and whether its loss is finite."""
        return [
            {
                "group": facts.number,
                "is_finite": bool(torch.isfinite(loss)),
                "ids": list(facts.ids),
            }
            for facts, loss in self._batches
        ]

    def result(self, add_up: Callable[[torch.Tensor], torch.Tensor], norm: Any) -> StepResult:
        """The sums over all processes; every process must call this.

        Args:
            add_up: sums a tensor over the processes.
            norm: of the gradients, a number or a scalar tensor.
        """
        own = self._losses.values.flatten()
        counts = torch.tensor(self._counts, dtype=own.dtype, device=own.device)
        terms = [term[None] for term in self._terms.values()]
        values = add_up(torch.cat([own, counts, *terms]))
        numbers = torch.cat([values, torch.as_tensor(norm).to(values)[None]]).tolist()
        kinds = len(LOSS_CATEGORIES)
        sums, weights, tokens = (numbers[kinds * part : kinds * (part + 1)] for part in range(3))
        rows, questions, row_tokens, *of_terms, gradient_norm = numbers[3 * kinds :]
        present = [place for place in range(kinds) if tokens[place]]
        return StepResult(
            sum(sums) / sum(weights),
            gradient_norm,
            {LOSS_CATEGORIES[place]: sums[place] for place in present},
            {LOSS_CATEGORIES[place]: weights[place] for place in present},
            int(sum(tokens)),
            int(rows),
            int(questions),
            int(row_tokens),
            dict(zip(self._terms, of_terms, strict=True)),
        )


class Spent:
    """Time and number of questions of a run, including those before it was resumed.

    Args:
        before: facts of the checkpoint that the run goes on from; empty at the start. Processor
            seconds that an earlier version did not count are NaN.
    """

    def __init__(self, before: Mapping[str, Any]) -> None:
        not_counted = math.nan if before else 0.0
        self._seconds = before.get("seconds", 0.0) - time.perf_counter()
        self._processor = before.get("processor_seconds", not_counted) - time.process_time()
        self._questions = before.get("questions", 0)

    def add(self, result: StepResult) -> None:
        """Add a step."""
        self._questions += result.questions

    def facts(self) -> dict[str, float]:
        """The sums so far, as stored in a checkpoint.

        Processor seconds are those of all threads of this process, so that other work on the
        machine makes no difference.
        """
        return {
            "seconds": round(self._seconds + time.perf_counter(), 1),
            "processor_seconds": round(self._processor + time.process_time(), 1),
            "questions": self._questions,
        }


class Throughput:
    """Means and rates since the last report."""

    def __init__(self) -> None:
        """Begin now."""
        self._begin()

    def waited(self, seconds: float) -> None:
        """Add time spent waiting for a batch."""
        self._waited += seconds

    def add(self, result: StepResult) -> None:
        """Add a step."""
        self._results.append(result)

    def take(self) -> dict[str, float]:
        """Return the report and reset the counters. Rates are over all processes."""
        seconds = max(time.perf_counter() - self._began, 1e-9)
        sums: dict[str, float] = defaultdict(float)
        weights: dict[str, float] = defaultdict(float)
        for result in self._results:
            for name in result.sums:
                sums[name] += result.sums[name]
                weights[name] += result.weights[name]
        report = {
            "loss": sum(sums.values()) / sum(weights.values()),
            **{f"loss_{name}": sums[name] / weights[name] for name in sums},
            **self._mean_terms(),
            "gradient_norm": self._results[-1].gradient_norm,
            "rows_per_second": sum(result.rows for result in self._results) / seconds,
            "questions_per_second": sum(result.questions for result in self._results) / seconds,
            "tokens_per_second": sum(result.tokens for result in self._results) / seconds,
            "data_loading_fraction": self._waited / seconds,
        }
        self._begin()
        return report

    def _mean_terms(self) -> dict[str, float]:
        """Further terms of the loss over the steps."""
        return {
            f"term_{name}": sum(result.terms[name] for result in self._results) / len(self._results)
            for name in self._results[-1].terms
        }

    def _begin(self) -> None:
        self._began = time.perf_counter()
        self._waited = 0.0
        self._results: list[StepResult] = []
