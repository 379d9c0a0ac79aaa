"""The letter that an answer chooses, by the rules of several scoring scripts.

They have separate names because results depend on them: most read "A disc" as option A, two read
nothing in "**B**", and one accepts "Both (A) and (B)" whatever the truth. A reader returns the
letters that it accepts, or an empty text if it reads nothing; only `contained_letters` and
`letters_of_two_characters` can return several.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from smolrgpt_core.public_benchmarks.records import OPTION_LETTERS

LetterReader = Callable[[str, Sequence[str]], str]
"""Letters that an answer chooses, from its text and the texts of the options."""

REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
"""Sentences that VLMEvalKit knows as refusals."""

LAST_WORDS = 4
"""VLMEvalKit takes a letter for a choice only among so many last words."""

TAIL_LINES, TAIL_LENGTH = 6, 800
"""Lines and characters at the end of an answer, where VLMEvalKit's cascade looks for a choice."""

_ANSWER_KEYWORDS = ("Answer:", "Answer is", "answer is", "Answer", "answer")


def first_character(answer: str, options: Sequence[str]) -> str:
    """Cambrian's for ADE20K and COCO: first character, after the last "answer is" or "answer:"."""
    return _first_of(_after_keywords(answer).rstrip("."), options)


def first_character_omni(answer: str, options: Sequence[str]) -> str:
    """Cambrian's for Omni3D: as `first_character`, but a colon or comma at the end is cut, too."""
    return _first_of(_after_keywords(answer).rstrip(".:,"), options)


def bare_first_character(answer: str, options: Sequence[str]) -> str:
    """The first character as it is, compared without case (SEED-Bench in lmms-eval)."""
    return _letter_of(answer.strip()[:1], options)


def first_letter(answer: str, options: Sequence[str]) -> str:
    """lmms-eval's: the letter at the start, brackets skipped, also that of a whole word."""
    found = re.match(r"[(\s]*([A-Za-z])", answer)
    return _letter_of(found[1], options) if found else ""


def letters_of_two_characters(answer: str, options: Sequence[str]) -> str:
    """HiSpatial's "truncate": every capital letter of an option in the first two characters."""
    return contained_letters(answer[:2], options)


def contained_letters(answer: str, options: Sequence[str]) -> str:
    """HiSpatial's for CV-Bench: every capital letter of an option, anywhere."""
    return "".join(letter for letter in _letters(options) if letter in answer)


def letter_in_any_case(answer: str, options: Sequence[str]) -> str:
    """HiSpatial's "regex": the first letter that stands alone in any case, else an option's text.

    The article "a" is option A to it.
    """
    found = re.search(rf"\b([{_letters(options)}])\b", answer, re.IGNORECASE)
    return found[1].upper() if found else _named_option(answer, options)


def standalone_letter(answer: str, options: Sequence[str]) -> str:
    """VLMEvalKit's exact matching.

    One option's letter alone among the last words; else "answer is X"; else the only option whose
    text is in an answer that is not much longer than all options. Refusals are not read.
    """
    if any(refusal in answer for refusal in REFUSALS):
        return ""
    words = re.sub(r"[.()\[\],:;!*#{}]", " ", answer).split()
    found = [letter for letter in _letters(options) if letter in words]
    if len(found) == 1 and words.index(found[0]) >= len(words) - LAST_WORDS:
        return found[0]
    stated = re.search(r"answer\s+is\s+\**([A-Za-z])\b", answer, re.IGNORECASE)
    if stated and stated[1].upper() in _letters(options):
        return stated[1].upper()
    if len(answer) > 2 * sum(map(len, options)):
        return ""
    return _named_option(answer, options)


def capital_left(answer: str, options: Sequence[str]) -> str:
    """FlagEvalMM's: the first capital left when all else is deleted.

    Of an answer of one character, that one. The words "The" and "If" and the capitals I, N, S and T
    are deleted first, which its authors may not have meant; then what is before "answer".
    """
    if len(answer) == 1:
        return _letter_of(answer, options)
    text = re.sub(r"[INST]", "", re.sub(r"The|If", "", answer)).strip()
    if labeled := re.match(r"([A-Z])\.", text):
        return _letter_of(labeled[1], options)
    capitals = re.findall(r"[A-Z]", after_answer(text))
    return _letter_of(capitals[0], options) if capitals else ""


def ranked_letter(answer: str, options: Sequence[str]) -> str:
    """lmms-eval's `mcq_extract`: of all letters found, the last one in the strongest form.

    From strong to weak: at the start, at the end, after "the answer is", "(A)", "A.", "A:", "A)",
    "A " and anywhere.
    """
    text = f" {answer.strip().strip(',.!?;:') if answer.strip() else ''} "
    found = list(_ranked_letters(text, _letters(options)))
    return max(found)[2] if found else ""


def first_pattern(answer: str, options: Sequence[str]) -> str:
    """lmms-eval's for 3DSRBench: the first of eight patterns that occurs, capital letters only."""
    letters = f"([{_letters(options)}])"
    patterns = (
        rf"^{letters}[.\s)]", rf"^{letters}$", rf"[Aa]nswer[:\s]+{letters}",
        rf"[Aa]nswer is[:\s]+{letters}", rf"\({letters}\)", rf"{letters}\.", rf"\b{letters}\b",
    )  # fmt: skip
    matches = (re.search(pattern, answer.strip()) for pattern in patterns)
    return next((found[1] for found in matches if found), "")


def marked_letter(answer: str, options: Sequence[str]) -> str:
    """lmms-eval's for MMBench: a letter as a word of its own or with a mark, else an option's text.

    Among more than three words a single "A" may be the article, and is passed over.
    """
    words = answer.split()
    letters = _letters(options)
    marks = ["{}", "{}.", "{},", "{}:", "{})", "{}).", "({})", "({}).", ":{}", ":{},", ":{}.",
             ":{})", ":{})."]  # fmt: skip
    for mark in marks:
        found = [letter for letter in letters if mark.format(letter) in words]
        if len(found) == 1 and not (mark == "{}" and "A" in words and len(words) > 3):
            return found[0]
    return _named_option(answer, options)


def cascade(answer: str, options: Sequence[str]) -> str:
    """VLMEvalKit's for its spatial benchmarks.

    In this order: an answer tag; a letter before the end of a tag; the last lines, from below (a
    letter alone, a label, one single capital), first those after the thoughts; "the answer is X";
    one single capital in the whole text.
    """
    letters = _letters(options)
    text = "".join(char for char in answer.strip() if unicodedata.category(char) != "Cf")
    if tagged := re.search(r"<\s*answer\b[^>]*>\s*([A-J])\b.*?<\s*/\s*answer\s*>", text, _TAGS):
        return _letter_of(tagged[1], options)
    closed = rf"(?<![A-Za-z])[(\[{{]?\s*([{letters}])\s*[)\]}}]?\s*</\s*(?:answer|think)\s*>"
    if before_tag := re.search(closed, text[-TAIL_LENGTH:], _TAGS):
        return before_tag[1].upper()
    thoughts = re.split(r"<\s*/?\s*think\s*>", text, flags=re.IGNORECASE)
    for part in (thoughts[-1], text[-TAIL_LENGTH:]):
        if letter := _from_last_lines(part.splitlines()[-TAIL_LINES:]):
            return _letter_of(letter, options)
    phrase = rf"answer(?:\s*is)?\s*[:>=]?\s*[(\[{{]?\s*([{letters}])\s*[)\]}}]?\b"
    if stated := re.search(phrase, text, re.IGNORECASE):
        return stated[1].upper()
    alone = set(re.findall(rf"(?<![A-Za-z])([{letters}])(?![A-Za-z])", text))
    return alone.pop() if len(alone) == 1 else ""


_TAGS = re.IGNORECASE | re.DOTALL


def _letters(options: Sequence[str]) -> str:
    return OPTION_LETTERS[: len(options)]


def _letter_of(character: str, options: Sequence[str]) -> str:
    letter = character.upper()
    return letter if letter and letter in _letters(options) else ""


def _after_keywords(answer: str) -> str:
    text = answer.lower().strip()
    for keyword in ("answer is", "answer is:", "answer:"):
        text = text.split(keyword)[-1]
    return text.strip()


def after_answer(text: str) -> str:
    """FlagEvalMM's: what follows the last "Answer:", "answer is" or the like, if there is one."""
    keyword = next((keyword for keyword in _ANSWER_KEYWORDS if keyword in text), None)
    return text.split(keyword)[-1] if keyword else text


def _first_of(text: str, options: Sequence[str]) -> str:
    return _letter_of(text.lstrip("(").rstrip(")")[:1], options)


def _named_option(answer: str, options: Sequence[str]) -> str:
    """The letter of the only option whose text occurs in an answer."""
    named = [
        letter
        for letter, option in zip(_letters(options), options, strict=False)
        if option.lower() in answer.lower()
    ]
    return named[0] if len(named) == 1 else ""


def _ranked_letters(text: str, letters: str) -> Iterator[tuple[int, int, str]]:
    """Strength, position and letter of every form in which a letter occurs."""
    stripped, lower = text.strip(), text.lower()
    phrases = r"(?:answer|option|choice) is|i choose|i select|i pick"
    ends = [found.end() for found in re.finditer(phrases, lower)]
    for letter in letters:
        if re.match(rf"{letter}(?![A-Za-z])", stripped):
            yield 10, 0, letter
        if re.search(rf"(?<![A-Za-z]){letter}$", stripped):
            yield 9, len(text) - 1, letter
        for end in ends[:1]:
            if (place := text.find(letter, end)) >= 0:
                yield 7, place, letter
        for strength, form in enumerate(("{}", "{} ", "{})", "{}:", "{}.", "({})")):
            if (place := text.rfind(form.format(letter))) >= 0:
                yield strength, place, letter


def _from_last_lines(lines: Sequence[str]) -> str:
    """The choice of the lowest line that has one."""
    for line in reversed(lines):
        alone = re.fullmatch(r"[*_`>()\[\]\s]*([A-Fa-f])[*_`()\[\]\s]*", line)
        labeled = re.match(r"\s*([A-Fa-f])\s*[.:)\]-]\s+", line)
        if found := alone or labeled:
            return found[1]
        single = set(re.findall(r"(?<![A-Za-z])([A-F])\s*[*_`)\]}]*(?=$|[\s.,:;!?)\]])", line))
        if len(single) == 1:
            return single.pop()
    return ""
