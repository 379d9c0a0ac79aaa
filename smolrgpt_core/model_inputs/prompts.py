"""Conversations to the tokens that SmolRGPT reads.

R regions stand as R `<mask>` in the messages; each becomes the placeholders of its features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from smolrgpt_core.errors import bad_question
from smolrgpt_core.language import MASK

Message = Mapping[str, str]
"""{"role": "system", "user" or "assistant", "content": text}."""

IGNORED_LABEL = -100
"""Label of a token without loss."""


@dataclass(frozen=True)
class TokenRow:
    """One conversation as tokens.

    Attributes:
        ids: of the tokens.
        labels: the id in the assistant's text, -100 elsewhere.
        question_ids: 1 for the tokens of the first message to the assistant, 2 for those of the
            second, and so on; 0 for answers, and for the image tokens and what stands before them.
    """

    ids: list[int]
    labels: list[int]
    question_ids: list[int]


def prompt_texts(count: int) -> list[str]:
    """Trained tokens before the image tokens of a prompt, as the tokenizer writes them."""
    return [f"<|prompt_{number}|>" for number in range(count)]


def add_prompt_tokens(tokenizer: Any, count: int) -> list[int]:
    """Add the tokens of `prompt_texts` that a tokenizer lacks.

    Returns:
        Their ids, in order.
    """
    texts = prompt_texts(count)
    known = tokenizer.get_vocab()
    missing = [text for text in texts if text not in known]
    if missing:
        tokenizer.add_tokens(missing, special_tokens=True)
    ids: list[int] = tokenizer.convert_tokens_to_ids(texts)
    return ids


class ChatTokenizer(Protocol):
    """What is asked of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, and no others."""
        ...

    def render(self, messages: Sequence[Message], opens_answer: bool) -> str:
        """Messages by the chat template, maybe with the opening of an answer behind them."""
        ...

    def special_tokens(self) -> set[str]:
        """Every text that becomes a token with a meaning of its own."""
        ...


class PromptConfig(Protocol):
    """What is asked of a model's configuration; see `SmolRGPTConfig`."""

    @property
    def prompt_tokens(self) -> int:
        """Number of trained tokens before those of the image."""
        ...

    @property
    def image_token(self) -> str:
        """Placeholder of a piece of the image."""
        ...

    @property
    def image_token_id(self) -> int:
        """Its id."""
        ...

    @property
    def mask_rgb_token(self) -> str:
        """Placeholder of what a region looks like."""
        ...

    @property
    def mask_depth_token(self) -> str:
        """Placeholder of what depth says of a region."""
        ...

    @property
    def depth_branch(self) -> str:
        """How depth enters: image or metric."""
        ...

    @property
    def num_image_tokens(self) -> int:
        """Number of image tokens that open a user turn."""
        ...

    @property
    def max_tokens(self) -> float:
        """The most that the language model takes."""
        ...


class Prompts:
    """Writes conversations as the model reads them.

    Args:
        tokenizer: of the language model.
        config: of the model.
    """

    def __init__(self, tokenizer: ChatTokenizer, config: PromptConfig) -> None:
        self._tokenizer = tokenizer
        self._config = config

    def prompt(self, conversation: Sequence[Message], with_image: bool, regions: int) -> str:
        """The text that the model reads, see `SmolRGPTProcessor.prompt`.

        Args:
            conversation: messages with their roles.
            with_image: whether the image tokens come first.
            regions: number of regions that the text refers to.

        Raises:
            SpatialError: BAD_QUESTION.
        """
        return "".join(text for text, _ in self._segments(conversation, with_image, regions))

    def _segments(
        self, conversation: Sequence[Message], with_image: bool, regions: int
    ) -> list[tuple[str, bool]]:
        """The prompt in pieces, each with whether it is the assistant's text."""
        self._check_messages(conversation, regions)
        messages = self._write_placeholders(conversation, with_image)
        segments: list[tuple[str, bool]] = []
        done = ""
        for count, message in enumerate(messages, start=1):
            if message["role"] == "assistant":
                opened = self._tokenizer.render(messages[: count - 1], opens_answer=True)
                segments.append((opened[len(done) :], False))
                done = opened
            rendered = self._tokenizer.render(messages[:count], opens_answer=False)
            if not rendered.startswith(done):
                raise ValueError(
                    "chat_template must write messages one after the other, this one changes what "
                    "it wrote before; set config.chat_template to one that does not"
                )
            segments.append((rendered[len(done) :], message["role"] == "assistant"))
            done = rendered
        if messages[-1]["role"] != "assistant":
            segments.append(
                (self._tokenizer.render(messages, opens_answer=True)[len(done) :], False)
            )
        return segments

    def _write_placeholders(
        self, conversation: Sequence[Message], with_image: bool
    ) -> list[dict[str, str]]:
        """The messages with the tokens of regions, and those of the image before the question."""
        region_tokens = self._config.mask_rgb_token + self._config.mask_depth_token
        messages = [
            {"role": message["role"], "content": message["content"].replace(MASK, region_tokens)}
            for message in conversation
        ]
        if with_image:
            asked = next(message for message in messages if message["role"] == "user")
            trained = "".join(prompt_texts(self._config.prompt_tokens))
            image_tokens = self._config.image_token * self._config.num_image_tokens
            asked["content"] = trained + image_tokens + asked["content"]
        return messages

    def tokenize(
        self, conversation: Sequence[Message], with_image: bool, regions: int, with_labels: bool
    ) -> TokenRow:
        """Tokens of one conversation.

        Args:
            conversation: messages with `<mask>` for regions.
            with_image: whether the first user's turn opens with the image tokens.
            regions: number of `<mask>`.
            with_labels: refuse a conversation that there is nothing to learn from.

        Raises:
            SpatialError: BAD_QUESTION as `prompt`, for more tokens than the language model takes,
                and with labels for a conversation without an answer at its end.
        """
        row = TokenRow([], [], [])
        question, was_answer = 0, True
        for text, is_answer in self._segments(conversation, with_image, regions):
            new = self._tokenizer.encode(text)
            question += was_answer
            was_answer = is_answer
            row.ids.extend(new)
            row.labels.extend(new if is_answer else [IGNORED_LABEL] * len(new))
            row.question_ids.extend([0 if is_answer else question] * len(new))
        head = self.head_length(row.ids)
        row.question_ids[:head] = [0] * head
        limit = self._config.max_tokens
        if len(row.ids) > limit:
            raise bad_question(
                f"image, text and regions make {len(row.ids)} tokens, but the language model takes "
                f"{limit}; ask a shorter question or about fewer regions"
            )
        if with_labels and conversation[-1]["role"] != "assistant":
            raise bad_question(
                "a conversation to train on must end with the assistant's answer, this one ends "
                f"with the {conversation[-1]['role']}'s message"
            )
        return row

    def head_length(self, ids: Sequence[int]) -> int:
        """Number of tokens up to the last image token, which no question changes."""
        images = [place for place, id in enumerate(ids) if id == self._config.image_token_id]
        return images[-1] + 1 if images else 0

    def _check_messages(self, conversation: Sequence[Message], regions: int) -> None:
        if not any(message["role"] == "user" for message in conversation):
            raise bad_question("a conversation needs a user's message, got none")
        for message in conversation:
            role, text = message["role"], message["content"]
            if not text.replace(MASK, "").strip():
                raise bad_question(f"the {role}'s message is empty; write a question")
            found = sorted(token for token in self._tokenizer.special_tokens() if token in text)
            if found:
                raise bad_question(
                    f"the {role}'s message contains {', '.join(found)}, which is a control token "
                    f"of the model; remove it, and write {MASK} for a region"
                )
            if role == "assistant" and MASK in text and self._config.depth_branch == "metric":
                raise bad_question(
                    f"the assistant's message holds {MASK}, which the metric depth branch cannot "
                    "say; name regions in questions, and as [Region k] in answers"
                )
        placeholders = sum(message["content"].count(MASK) for message in conversation)
        if placeholders != regions:
            raise bad_question(
                f"the text has {placeholders} {MASK} but there are {regions} masks; give one mask "
                f"for each {MASK}, in order"
            )
