"""Reads answers as SmolRGPT's authors do: two classifiers, then a language model.

    python -m smolrgpt_core.public_benchmarks.model_readers.type_classifiers BASE --data train.json
        --out DIR

trains two sequence classifiers on a warehouse data set, one that predicts the category of a
question and one that predicts that of an answer (section 3.3 of the paper; Longformer there, any
model here). Where both agree, a language model reads the answer and is believed. Where they do not,
theirs takes a constant, which is correct by luck; here the answer stays unread.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from rich.console import Console
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    get_cosine_schedule_with_warmup,
)

from smolrgpt_core.errors import bad_input
from smolrgpt_core.files import read_json, write_file
from smolrgpt_core.language import Category
from smolrgpt_core.perception.loading import load_model
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec
from smolrgpt_core.public_benchmarks.model_readers.language_model import (
    LanguageModelReader,
    believed,
)
from smolrgpt_core.torch_device import torch_device

KINDS = {
    Category.LEFT_RIGHT.name.lower(): AnswerKind.SIDE,
    Category.COUNT.name.lower(): AnswerKind.COUNT,
    Category.DISTANCE.name.lower(): AnswerKind.LENGTH,
    Category.MCQ.name.lower(): AnswerKind.REGION,
}
"""What the language model is to read, by category."""

CATEGORIES = tuple(KINDS)
"""Labels of both classifiers, in the authors' order."""

IMAGE_MARK, REGION_MARK = "<image>", "<mask>"
"""Stand for the image and for a region in a question."""

QUESTIONS, ANSWERS = "questions", "answers"
"""Folders of the two classifiers, and which turn of a record they read."""

BATCH = 32
"""Texts that are classified together."""

WARMUP = 0.03
"""Fraction of the steps."""


@dataclass(frozen=True)
class TypeTraining:
    """How a classifier is trained; the defaults are the authors', but for the length of texts.

    Attributes:
        steps: of the optimizer.
        batch: texts in a step.
        rate: peak learning rate.
        weight_decay: of AdamW.
        longest: tokens of a text; theirs pads all to 4096.
        seed: of the order of texts.
    """

    steps: int = 250
    batch: int = 128
    rate: float = 2e-5
    weight_decay: float = 0.01
    longest: int = 512
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TypeClassifier:
    """Predicts the category of a text.

    Attributes:
        model: with one label for each of `CATEGORIES`.
        tokenizer: of the model.
        longest: tokens of a text that it reads.
    """

    model: Any
    tokenizer: Any
    longest: int

    @classmethod
    def from_pretrained(
        cls, checkpoint: str | Path, device: str = "auto", longest: int = TypeTraining.longest
    ) -> TypeClassifier:
        """A trained classifier; errors as of `perception.loading.load_model`.

        Args:
            checkpoint: folder or hub id.
            device: "auto", or a device of PyTorch.
            longest: tokens of a text that it reads.

        Raises:
            ValueError: its labels are others than `CATEGORIES`.
        """
        model = load_model(
            AutoModelForSequenceClassification, checkpoint, device, "a classifier of types"
        )
        labels = tuple(model.config.id2label[place] for place in range(model.config.num_labels))
        if labels != CATEGORIES:
            raise ValueError(
                f"a classifier of types has the labels {CATEGORIES}, {str(checkpoint)!r} has "
                f"{labels}; train it with python -m {__name__}"
            )
        return cls(model, AutoTokenizer.from_pretrained(checkpoint), longest)

    @torch.inference_mode()
    def categories(self, texts: Sequence[str]) -> list[str]:
        """The category of each text."""
        self.model.eval()
        found: list[str] = []
        for start in range(0, len(texts), BATCH):
            logits = self.model(**self.inputs(texts[start : start + BATCH])).logits
            found += [CATEGORIES[place] for place in logits.argmax(dim=-1).tolist()]
        return found

    def inputs(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Token ids (B, T) and their mask, on the device of the model."""
        encoded = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        return {name: value.to(self.model.device) for name, value in encoded.items()}


@dataclass(frozen=True, eq=False)
class ClassifiedReader:
    """Reads answers as SmolRGPT's authors do, but for their constants.

    Attributes:
        questions: predicts the category of a question.
        answers: predicts that of an answer.
        reader: with the language model.
    """

    questions: TypeClassifier
    answers: TypeClassifier
    reader: LanguageModelReader

    @classmethod
    def from_pretrained(cls, folder: Path, reader: LanguageModelReader) -> ClassifiedReader:
        """With the two classifiers that `train` has saved in a folder; errors as of theirs."""
        of_questions, of_answers = (
            TypeClassifier.from_pretrained(folder / name) for name in (QUESTIONS, ANSWERS)
        )
        return cls(of_questions, of_answers, reader)

    def read(self, question: str, answer: str) -> str:
        """The answer in the form of `AnswerSpec.by_rules`; empty when it stays unread.

        Raises:
            SpatialError: as of `JsonModel.reply`.
        """
        if not answer.strip():
            return ""
        category = self.questions.categories([question])[0]
        if category != self.answers.categories([answer])[0]:
            return ""
        asked = AnswerSpec(KINDS[category], ("",) * question.count(REGION_MARK))
        reply = self.reader.claimed(asked, question, answer)
        return "" if reply is None else believed(asked, reply)


def texts_of(path: Path, which: str) -> tuple[list[str], list[int]]:
    """The questions or answers of a warehouse data set, with their labels.

    Args:
        path: JSON file in the layout of the warehouse data set.
        which: `QUESTIONS` or `ANSWERS`.

    Raises:
        SpatialError: BAD_INPUT when it has no such records.
    """
    turn = (QUESTIONS, ANSWERS).index(which)
    try:
        pairs = [
            (_words(record["conversations"][turn]["value"]), CATEGORIES.index(record["category"]))
            for record in read_json(path)
        ]
    except (LookupError, TypeError, ValueError) as error:
        raise bad_input(
            f"{path}: expected records with two turns and a category of {CATEGORIES}: {error!r}"
        ) from error
    if not pairs:
        raise bad_input(f"{path}: expected records of the warehouse data set, it has none")
    return [text for text, _ in pairs], [label for _, label in pairs]


def _words(turn: str) -> str:
    """A turn without the mark of the image, which a question to a reader lacks."""
    return turn.replace(IMAGE_MARK, "").strip()


def train(
    base: str | Path, data: Path, which: str, out: Path, settings: TypeTraining, device: str
) -> list[float]:
    """Train one of the classifiers, and save it.

    Args:
        base: folder or hub id of any model that transformers has a sequence classifier for.
        data: JSON file with the training records.
        which: `QUESTIONS` or `ANSWERS`.
        out: folder for the checkpoint.
        settings: of the training.
        device: "auto", or a device of PyTorch.

    Returns:
        The loss of every step.

    Raises:
        SpatialError: BAD_INPUT as of `texts_of`.
        OSError, ValueError: there is no such model or device.
    """
    texts, labels = texts_of(data, which)
    torch.manual_seed(settings.seed)
    names = dict(enumerate(CATEGORIES))
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=len(names), id2label=names,
        label2id={name: place for place, name in names.items()},
    ).to(torch_device(device))  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(base)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    # Decoders find the last token of a text by it, and many checkpoints lack it.
    model.config.pad_token_id = tokenizer.pad_token_id
    made = TypeClassifier(model, tokenizer, settings.longest)
    losses = _train(made, texts, torch.tensor(labels), settings)
    model.save_pretrained(out)
    made.tokenizer.save_pretrained(out)
    return losses


def _train(
    made: TypeClassifier, texts: Sequence[str], labels: torch.Tensor, settings: TypeTraining
) -> list[float]:
    optimizer = torch.optim.AdamW(
        made.model.parameters(), lr=settings.rate, weight_decay=settings.weight_decay
    )
    schedule = get_cosine_schedule_with_warmup(
        optimizer, int(WARMUP * settings.steps), settings.steps
    )
    order = torch.Generator().manual_seed(settings.seed)
    losses = []
    made.model.train()
    for _ in range(settings.steps):
        chosen = torch.randint(len(texts), (settings.batch,), generator=order)
        inputs = made.inputs([texts[place] for place in chosen.tolist()])
        loss = made.model(**inputs, labels=labels[chosen].to(made.model.device)).loss
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def accuracy(classifier: TypeClassifier, data: Path, which: str) -> float:
    """Fraction of a data set's questions or answers whose category is predicted correctly.

    Args:
        classifier: to measure.
        data: JSON file in the layout of the warehouse data set.
        which: `QUESTIONS` or `ANSWERS`.

    Raises:
        SpatialError: as `texts_of`.
    """
    texts, labels = texts_of(data, which)
    found = classifier.categories(texts)
    return fmean(CATEGORIES[label] == name for label, name in zip(labels, found, strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train both classifiers, and print their accuracy on held-out records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="folder or hub id of the model to begin with")
    parser.add_argument("--data", type=Path, required=True, help="train.json of a warehouse set")
    parser.add_argument("--val", type=Path, help="val.json, for the accuracy")
    parser.add_argument("--out", type=Path, required=True, help="folder for both classifiers")
    parser.add_argument("--steps", type=int, default=TypeTraining.steps)
    parser.add_argument("--batch", type=int, default=TypeTraining.batch)
    parser.add_argument("--rate", type=float, default=TypeTraining.rate)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    settings = TypeTraining(options.steps, options.batch, options.rate)
    results = {}
    for which in (QUESTIONS, ANSWERS):
        losses = train(
            options.base, options.data, which, options.out / which, settings, options.device
        )
        results[which] = {"first_loss": losses[0], "last_loss": losses[-1]}
        if options.val is not None:
            made = TypeClassifier.from_pretrained(options.out / which, options.device)
            results[which]["accuracy"] = accuracy(made, options.val, which)
    write_file(options.out / "training.json", json.dumps(results, indent=1).encode())
    Console().print_json(data=results, indent=1)


if __name__ == "__main__":
    main()
