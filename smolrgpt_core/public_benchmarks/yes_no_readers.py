"""Yes or no in an answer, by the rules of several scoring scripts.

A reader returns "yes", "no", or an empty text when it reads neither.
"""

from __future__ import annotations

import re

YES, NO = "yes", "no"

NEGATIONS = frozenset({"No", "no", "not"})
"""Words that mean no to LLaVA's script for POPE."""

AFFIRMING = frozenset({"yes", "yeah", "yep", "correct", "true", "indeed", "right"})
NOT_KNOWN = frozenset({"idea", "clue", "way", "information"})
"""What follows a "no" that answers nothing."""

DENYING = frozenset({"no", "nope", "incorrect", "false", "wrong", "actually"})


def starts_with(answer: str) -> str:
    """What an answer starts with (RoboSpatial): "nope", "Not sure" are no, "Yesterday" is yes."""
    text = answer.strip().lower()
    return next((word for word in (YES, NO) if text.startswith(word)), "")


def piece_of_last_line(answer: str) -> str:
    """lmms-eval for RoboSpatial: the piece of a word that the last line has, if not both."""
    line = answer.strip().lower().split("\n")[-1]
    return _one_of(YES in line, NO in line)


def exact(answer: str) -> str:
    """lmms-eval for POPE: the bare word; "Yes." is neither."""
    text = answer.strip().lower()
    return text if text in (YES, NO) else ""


def one_word(answer: str) -> str:
    """VLMEvalKit for POPE: the word that an answer has, if not both."""
    words = _words(answer)
    return _one_of(YES in words, NO in words)


def negated_first_sentence(answer: str) -> str:
    """LLaVA for POPE: no if the first sentence has No, no or not; anything else means yes."""
    words = answer.split(".")[0].replace(",", "").split()
    return NO if NEGATIONS & set(words) else YES


def leading_word(answer: str) -> str:
    """For the rules of this project: the first word that affirms or denies, if it leads.

    Only the first two words are read, so that "I cannot say yes" is no yes.
    """
    words = _words(answer)[:2]
    if words[:1] == [NO] and words[1:] and words[1] in NOT_KNOWN:
        return ""
    for word in words:
        if word in AFFIRMING:
            return YES
        if word in DENYING and words[1:] != [YES]:
            return NO
    return ""


def _words(answer: str) -> list[str]:
    return re.findall(r"[a-z]+", answer.lower())


def _one_of(yes: bool, no: bool) -> str:
    if yes == no:
        return ""
    return YES if yes else NO
