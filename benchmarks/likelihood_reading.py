"""Answers read by likelihood, for `reading_answers.py`: which option a language model would give.

The model is asked what an answer claims, and the options are compared instead of read: there is
always one, with its share among them as the confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer

from smolrgpt_core.perception.candidates import end_tokens, log_likelihood
from smolrgpt_core.perception.loading import load_model
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerSpec
from smolrgpt_core.public_benchmarks.models import BenchmarkAnswer, most_likely

PROMPT = (
    "Question: {question}\nAnswer: {answer}\nWhich of these does the answer claim: {options}? "
    "Reply with one of them and nothing else."
)


@dataclass(frozen=True, eq=False)
class LikelihoodReader:
    """A causal language model of transformers with a chat template.

    Attributes:
        model: in inference mode.
        tokenizer: of the model.
    """

    model: Any
    tokenizer: Any

    @classmethod
    def from_pretrained(cls, checkpoint: str | Path) -> LikelihoodReader:
        """From a folder or a hub id; errors as of `perception.loading.load_model`."""
        model = load_model(AutoModelForCausalLM, checkpoint, "cpu", "a language model")
        return cls(model, AutoTokenizer.from_pretrained(checkpoint))

    def read(self, asked: AnswerSpec, question: str, answer: str) -> BenchmarkAnswer:
        """The likeliest option with its confidence; no text for a length, which may be any."""
        if not asked.options:
            return BenchmarkAnswer("")
        forms = [asked.spoken(option)[0] for option in asked.options]
        names = asked.names if len(asked.names) == len(forms) else ("",) * len(forms)
        options = [
            f"{form} ({name})" if name else form for form, name in zip(forms, names, strict=True)
        ]
        prompt = PROMPT.format(question=question, answer=answer, options=", ".join(options))
        return most_likely(self, None, prompt, asked)

    @torch.inference_mode()
    def log_likelihoods(
        self, rgb: NDArray[np.uint8] | None, prompt: str, answers: Sequence[str]
    ) -> list[float]:
        """See `LikelihoodModel`; there is no image, and the prompt is computed once."""
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        ids = self.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        ends = end_tokens(self.model, self.tokenizer)
        asked = self.model(ids, use_cache=True)
        found = []
        for answer in answers:
            tokens = self.tokenizer(answer, add_special_tokens=False, return_tensors="pt")
            after = self.model(tokens["input_ids"], past_key_values=asked.past_key_values)
            asked.past_key_values.crop(-tokens["input_ids"].shape[1])
            logits = torch.cat([asked.logits[0, -1:], after.logits[0]])
            found.append(log_likelihood(logits, tokens["input_ids"][0].tolist(), ends))
        return found
