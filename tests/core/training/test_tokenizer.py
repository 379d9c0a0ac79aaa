"""The tokenizer that a model from nothing gets."""

import pytest
from transformers import AutoTokenizer

from smolrgpt_core.language import MASK
from smolrgpt_core.training.tokenizer import (
    END_OF_TEXT,
    PLACEHOLDERS,
    TURN_END,
    TURN_START,
    train_tokenizer,
)

TEXTS = [
    f"user\nHow far is the pallet {MASK} from the buffer zone {MASK}?",
    f"user\nWhich of these is nearest to the empty transporter? {MASK} {MASK}",
    "assistant\nThe pallet [Region 0] is 3.42 meters away.",
    "assistant\nleft",
] * 3
STRANGE = [
    "Wie weit? 量る\n\t42.07 m",
    "  two  spaces ",
    "don't , stop .",
    "😀",
    "\x00\r\n",
    "a 007",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 2048)


def ids_of(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("text", [*TEXTS[:4], *STRANGE])
def test_every_text_comes_back(tokenizer, text):
    assert tokenizer.decode(ids_of(tokenizer, text)) == text


def test_words_of_the_texts_are_single_tokens(tokenizer):
    for word in ("How", " far", " pallet", " transporter", "assistant", "left", " meters"):
        assert len(ids_of(tokenizer, word)) == 1


def test_digits_stand_alone(tokenizer):
    for number in ("3.42", "17", "2025"):
        assert tokenizer.convert_ids_to_tokens(ids_of(tokenizer, number)) == list(number)
    long = train_tokenizer(["12 12 12.50"] * 50, 2048)
    assert [
        token for token in long.get_vocab() if len(token) > 1 and any(map(str.isdigit, token))
    ] == []


def test_turns_have_tokens_of_their_own(tokenizer):
    ids = ids_of(tokenizer, f"{TURN_START}user\nHow{TURN_END}\n{END_OF_TEXT}")
    assert tokenizer.convert_ids_to_tokens(ids)[0] == TURN_START
    assert tokenizer.eos_token_id in ids
    assert ids[-1] == tokenizer.pad_token_id
    assert len({tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id}) == 3


def test_placeholders_of_regions_are_no_part_of_words(tokenizer):
    assert not any("mask" in token for token in tokenizer.get_vocab())


def test_size_leaves_room_for_the_placeholders():
    assert len(train_tokenizer(TEXTS, 300)) == 300 - PLACEHOLDERS
    assert len(train_tokenizer(["a"], 2048)) < 300


def test_the_same_texts_give_the_same_files(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "one")
    train_tokenizer(iter(TEXTS), 2048).save_pretrained(tmp_path / "two")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "tokenizer.json" in files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_it_reads_the_same_after_saving(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    for text in (*TEXTS[:4], *STRANGE, f"{TURN_START}user\n"):
        assert ids_of(again, text) == ids_of(tokenizer, text)
        assert again.decode(ids_of(again, text)) == text
