"""Trains a small tokenizer for a small model: byte pair encoding on the texts of the task.

It can encode any text, since its alphabet is bytes. Digits are separate tokens, so that numbers are
processed digit by digit. The same texts always give the same tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from smolrgpt_core.language import MASK

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
PLACEHOLDERS = 3
"""Ids that the processor adds after the vocabulary, for image and regions."""


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Train a tokenizer with at most `vocabulary_size` tokens, including placeholders.

    Args:
        texts: inputs and outputs of the model, including the chat template.
        vocabulary_size: above 262: bytes, special tokens and placeholders.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size - PLACEHOLDERS,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_pieces(texts), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=TURN_END, bos_token=TURN_START, pad_token=END_OF_TEXT
    )


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    """What lies between placeholders of regions, which are tokens of their own."""
    for text in texts:
        yield from text.split(MASK)
