"""Reads a question: from text to a program, in every language that has a lexicon.

    text --words--> words without articles, frames and typos --grammar--> readings --> one program

All readings are found. A question with two different programs is refused with both in words; one
that has none is refused with the words that are in the way. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

from smolrgpt_core.errors import SpatialError, Status, bad_question
from smolrgpt_core.language.builders import (
    HOW_LARGE,
    MENTIONED,
    SAME_NOUN,
    TOP_OF_LOAD,
    Asked,
    OnTopic,
    ask,
)
from smolrgpt_core.language.context import without_context
from smolrgpt_core.language.framing import unframed
from smolrgpt_core.language.gist import read_gist
from smolrgpt_core.language.grammar import NoReadingError, Parse, Reading, TooManyReadingsError
from smolrgpt_core.language.lexicon import LANGUAGES, Lexicon, load_lexicon, read_units
from smolrgpt_core.language.meant import classes_of, placed, plain, without_other
from smolrgpt_core.language.normal_form import normal_form
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.placeholders import MASK
from smolrgpt_core.language.preface import questions_behind
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.rewording import in_lower_case, replaced, reworded, without
from smolrgpt_core.language.suggestion import Mentioned, example, like, shortened
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.wording import say, say_phrase
from smolrgpt_core.language.words import (
    Word,
    Words,
    clean_text,
    corrected,
    noun_table,
    quote,
    quote_all,
    split_words,
    with_named_class,
    with_numbers_named,
)
from smolrgpt_core.object_classes import CARRIER, ZONE, known_class
from smolrgpt_core.regions import MAX_REGIONS, RegionSet
from smolrgpt_core.scene.copies import ANY_REGION

QUESTION_RULE = "Q"
UnitAsked = tuple[str, float, str]
"""SI unit, factor and word, as the terminal UNIT has them."""
MAX_WORDS = 250
"""More words than this are no question."""
FOREIGN_WORDS = 3
"""So many unknown words, if they are half of a question, are of another language."""
MOST_RESTATED_WORDS = 40
"""Words of a question that is tried in common words, if it has no reading."""


@dataclass(frozen=True)
class Read:
    """What a text asks.

    Attributes:
        program: what is asked.
        unit: word and size in SI units of the unit in which the answer is to be given; None = SI.
        language: in which it was read.
    """

    program: Program
    unit: tuple[str, float] | None = None
    language: str = LANGUAGES[0]


def read_text(text: str, regions: RegionSet, region_ids: Sequence[int] = ()) -> Read:
    """Read a question about the regions of one frame.

    Args:
        text: in any of `LANGUAGES`.
        regions: of the frame that is asked about.
        region_ids: ids for the `<mask>` placeholders, in order.

    Raises:
        SpatialError: UNKNOWN_REGION for an id that the frame does not have or that is of another
            class; BAD_QUESTION for everything that cannot be read, with the words in the way.
    """
    if len(region_ids) > MAX_REGIONS:
        raise bad_question(
            f"the request has {len(region_ids)} region ids; at most {MAX_REGIONS} are read"
        )
    ids = [regions[id].id for id in region_ids]
    cleaned = clean_text(text)
    if not cleaned:
        raise bad_question("the question is empty; write one, or give a category and region ids")
    check_placeholders(cleaned, ids)
    problems: list[tuple[_Attempt, SpatialError]] = []
    for language in LANGUAGES:
        attempt = _Attempt(cleaned, language, regions, ids)
        try:
            return attempt.read()
        except SpatialError as error:
            problems.append((attempt, error))
        if attempt.knows_all:
            break  # No other language can know more of it.
    # The language in which most was understood explains best what is wrong.
    likeliest, problem = max(problems, key=lambda item: item[0].understood)
    if problem.status is Status.BAD_QUESTION and not isinstance(problem, _NoAnswerError):
        read = _read_restated(cleaned, likeliest.language, regions, ids)
        for attempt, _ in problems:
            read = read or _read_behind(cleaned, attempt.language, regions, ids)
        if read is not None:
            return read
    if isinstance(problem, _UnreadableError):
        raise _with_suggestion(problem, likeliest.nearest(), regions)
    raise problem


def _with_suggestion(
    problem: SpatialError, suggested: Program | None, regions: RegionSet
) -> SpatialError:
    if suggested is None:
        return bad_question(problem.message)
    return bad_question(f'{problem.message}; this would work: "{say(suggested, regions)}"')


def _read_restated(
    text: str, language: str, regions: RegionSet, mask_ids: Sequence[int]
) -> Read | None:
    """A question without what only wraps it, or built in another way; None where none is read.

    Raises:
        SpatialError: BAD_QUESTION for one whose rare words have two meanings.
    """
    lexicon = load_lexicon(language)
    if lexicon.framing is None or lexicon.context is None:
        return None
    tried = {text.strip(" ?.")}

    def first_read(said: str) -> Read | None:
        for question in (said, reworded(said.rstrip(" ?"), lexicon.restatements)):
            bare = question.strip(" ?.")
            if bare not in tried and bare.count(MASK) == len(mask_ids):
                tried.add(bare)
                attempt = _Attempt(question, language, regions, mask_ids)
                with suppress(SpatialError):
                    return attempt.read()
                with suppress(SpatialError):
                    return attempt.read_with_numbers_named()
        return None

    unwrapped = [*unframed(text, lexicon.framing, lexicon.context, lexicon.meaningful)]
    # What is so long costs time with every try.
    is_short = len(text.split()) <= MOST_RESTATED_WORDS
    if is_short:
        with suppress(SpatialError):
            return _Attempt(text, language, regions, mask_ids).read_with_numbers_named()
    unwrapped += [text] if is_short else []
    for question in unwrapped:
        if read := first_read(question):
            return read
    for question in unwrapped if is_short else []:
        common = lexicon.synonyms.texts(question.rstrip(" ?"))
        if found := [read for read in map(first_read, common) if read]:
            return _only_meaning(found, regions)
    return None


def _only_meaning(found: Sequence[Read], regions: RegionSet) -> Read:
    """What all that a question may stand for means.

    Raises:
        SpatialError: BAD_QUESTION where they do not mean the same.
    """
    meanings = {say(read.program, regions): read for read in reversed(found)}
    if len(meanings) > 1:
        first, second, *_ = reversed(meanings)
        raise bad_question(f'this has two meanings: "{first}" or "{second}"')
    return next(iter(meanings.values()))


def _read_behind(
    text: str, language: str, regions: RegionSet, mask_ids: Sequence[int]
) -> Read | None:
    """A question behind statements that do not change it; None where there is none.

    Raises:
        SpatialError: BAD_QUESTION for one that they may change.
    """
    lexicon = load_lexicon(language)
    nouns = noun_table(lexicon, tuple(regions.labels))
    changed: Read | None = None
    for told, question in questions_behind(text, lexicon, nouns):
        with suppress(SpatialError):
            read = _Attempt(question, language, regions, mask_ids).read()
            if told.leaves(read.program):
                return read
            changed = changed or read
    if changed is None:
        return None
    raise bad_question(
        "the text before the question may change what it means; "
        f'ask "{say(changed.program, regions)}" alone, or say all of it in one question'
    )


def check_placeholders(text: str, region_ids: Sequence[int]) -> None:
    """Check that there is an id for each `<mask>`.

    Raises:
        SpatialError: BAD_QUESTION when their numbers differ.
    """
    placeholders = text.count(MASK)
    if placeholders != len(region_ids):
        raise bad_question(
            f"the question has {placeholders} {MASK} but {len(region_ids)} region ids; "
            f"give one id for each {MASK}, in order"
        )


class _UnreadableError(SpatialError):
    """Words that mean nothing, or a form that is not known."""

    def __init__(self, message: str) -> None:
        super().__init__(Status.BAD_QUESTION, message)


def _reasoned(message: str) -> SpatialError:
    """Why a word cannot be answered; where something else can be asked, with a question."""
    return _UnreadableError(message) if "; ask" in message else bad_question(message)


class _NoAnswerError(SpatialError):
    """All words are understood together, and cannot be answered: fewer are another question."""

    def __init__(self, message: str) -> None:
        super().__init__(Status.BAD_QUESTION, message)


class _Attempt:
    """One question in one language.

    Attributes:
        understood: number of words that mean something, which shows the language.
        language: in which it is read.
        knows_all: whether all words do, as they are written.
    """

    COUNTED = frozenset({"many", "which", "any", "viele", "welche", "irgendein"})
    """Words behind which a class is named."""

    def __init__(
        self, text: str, language: str, regions: RegionSet, mask_ids: Sequence[int]
    ) -> None:
        self._written = text
        self.language = language
        self._lexicon = load_lexicon(language)
        self._regions = regions
        self._mask_ids = mask_ids
        self._nouns = {
            word for phrase in noun_table(self._lexicon, tuple(regions.labels)) for word in phrase
        }
        text = self._without_context(text)
        # Patterns for the end of a question do not look for a full stop; "!" may be a command's.
        text = reworded(text.rstrip(" ."), self._lexicon.rewordings)
        text, self._unit = _without_unit(text, self._lexicon)
        written = self._split(without_frames(text, self._lexicon))
        self.knows_all = all(map(self._means_something, written))
        vocabulary = {*self._lexicon.words, *self._nouns}
        self._corrections = corrected(written, self._is_understood, vocabulary, self._nouns)
        self._words = self._corrections[0]
        self.understood = sum(map(self._means_something, self._words))

    def read(self) -> Read:
        """The only reading, of all ways to put typos right.

        Raises:
            SpatialError: as `read_text`.
        """
        found: dict[Read, None] = {}
        problems = []
        for words in self._corrections:
            self._words = words
            try:
                found[self._read_words()] = None
            except SpatialError as error:
                problems.append(error)
        if not found:
            raise problems[0]
        if len(found) > 1:
            first, second, *_ = (say(item.program, self._regions) for item in found)
            raise bad_question(f'this might mean "{first}" or "{second}"; check its spelling')
        return next(iter(found))

    def read_with_numbers_named(self) -> Read:
        """The reading with each number that has no class as a region: "is 7 left of 9".

        Raises:
            SpatialError: as `read_text`.
        """
        table = noun_table(self._lexicon, tuple(self._regions.labels))
        named = with_numbers_named(self._words, table, self._lexicon)
        if named is None or not self._regions_have(named):
            raise bad_question("there is no number without a class")
        self._corrections = [named]
        return self.read()

    def _regions_have(self, words: Sequence[Word]) -> bool:
        """Whether every number behind "region" is an id of the frame."""
        numbers = [
            int(number.key) for region, number in pairwise(words)
            if number.kind == "number" and region.start == number.start
        ]  # fmt: skip
        return all(number in self._regions for number in numbers)

    def _without_context(self, text: str) -> str:
        context = self._lexicon.context
        if context is None:
            return text
        return without_context(text, context, self._lexicon.meaningful | self._nouns)

    def _read_words(self) -> Read:
        self._refuse_unknown_words()
        words = Words(self._words, self._lexicon, self._regions, self._mask_ids)
        parse = Parse(self._lexicon.grammar, words.keys, words.terminals)
        try:
            readings = self._likeliest(parse.read(QUESTION_RULE), parse)
            if not readings and parse.refusal:
                raise _NoAnswerError(parse.refusal)
            readings = readings or self._likeliest(self._by_gist(words, parse), parse)
        except TooManyReadingsError as error:
            raise bad_question(
                "the question can be taken apart in too many ways; say it in fewer words"
            ) from error
        if not readings and words.problems and not parse.reasons:
            raise words.problems[0]
        return self._only(readings, parse)

    def _by_gist(self, words: Words, parse: Parse) -> list[Reading]:
        """The readings of a sentence that no pattern fits."""
        if words.problems:
            return []
        reasons, farthest = list(parse.reasons), parse.farthest
        values = read_gist(self._lexicon.gists, words.keys, parse, self._regions)
        # That phrases within the sentence make no sense shows nothing about the sentence.
        parse.reasons, parse.farthest = reasons, farthest
        words.problems.clear()
        return [
            Reading(len(words.keys), asked) for asked in values
            if not _nests_zones(asked.program, self._regions)
        ]  # fmt: skip

    def _likeliest(self, found: Sequence[Reading], parse: Parse) -> list[Asked]:
        """The cheapest readings that make sense, each once."""
        for cost in sorted({_cost(item) for item in found}):
            if readings := self._of_cost(cost, found, parse):
                if all(_is_unlike_comparison(asked.program, self._regions) for asked in readings):
                    # "The tallest pallet is nearer to us than the shortest": than that one is.
                    dearer = self._of_cost(cost + 1, found, parse)
                    readings = [
                        asked for asked in dearer if _compares_alike(asked.program, self._regions)
                    ] or readings
                return self._with_referents(readings)
        return []

    def _of_cost(self, cost: int, found: Sequence[Reading], parse: Parse) -> list[Asked]:
        """The readings of a cost that make sense, each once."""
        completed = [self._complete(item.value, parse) for item in found if _cost(item) == cost]
        return [asked for asked in dict.fromkeys(completed) if asked]

    def _with_referents(self, readings: list[Asked]) -> list[Asked]:
        """Those in which "the shelf" can be one, if any: of three shelves it takes more words."""
        if len(readings) == 1:
            return readings
        meant = [one for one in readings if not _names_one_of_several(one.program, self._regions)]
        return meant or readings

    def _complete(self, value: Asked | OnTopic, parse: Parse) -> Asked | None:
        """A reading with what its pronouns refer to; None where they refer to nothing."""
        try:
            asked = _with_topics(_in_unit(value, self._unit), self._regions)
        except NoReadingError as error:
            parse.reasons.append(error.reason)
            return None
        return None if _names_a_zone_in_a_zone(asked.program, self._regions) else asked

    def _only(self, programs: Sequence[Asked], parse: Parse) -> Read:
        if not programs:
            if parse.reasons:
                raise bad_question(parse.reasons[-1])
            raise self._unreadable(parse.farthest)
        meanings = {say(asked.program, self._regions): asked for asked in reversed(programs)}
        if len(meanings) > 1:
            likely = {
                text: asked for text, asked in meanings.items()
                if _compares_alike(asked.program, self._regions)
                and not _nests_zones(asked.program, self._regions)
            }  # fmt: skip
            meanings = likely or meanings
        if len(meanings) > 1:
            first, second, *_ = meanings
            raise bad_question(f'this has two meanings: "{first}" or "{second}"')
        (asked,) = meanings.values()
        return Read(asked.program, asked.unit, self.language)

    def _split(self, text: str) -> list[Word]:
        """The words as they are written."""
        words = split_words(text, self._lexicon, self._nouns)
        table = noun_table(self._lexicon, tuple(self._regions.labels))
        words = with_named_class(words, table, self._lexicon)
        if len(words) > MAX_WORDS:
            raise bad_question(f"the question has {len(words)} words; at most {MAX_WORDS} are read")
        return words

    def _is_understood(self, key: str) -> bool:
        """Whether a word is known, if only as one that cannot be answered or as no typo."""
        lexicon = self._lexicon
        return self._is_known(key) or key in lexicon.unanswerable or key in lexicon.distinct

    def _means_something(self, word: Word) -> bool:
        return word.kind != "word" or self._is_known(word.key)

    def _is_known(self, key: str) -> bool:
        return key in self._lexicon.words or key in self._nouns or key in self._lexicon.gists.words

    def _refuse_unknown_words(self) -> None:
        unknown = [
            word for word in self._words if word.kind == "word" and not self._is_known(word.key)
            and not _is_ordinal(word.key)
        ]  # fmt: skip
        for word in unknown:
            reason = self._lexicon.unanswerable.get(word.key)
            if reason:
                raise _reasoned(self._with_reason(word, reason))
        if unknown:
            raise _UnreadableError(self._because_of(unknown))

    def _because_of(self, unknown: Sequence[Word]) -> str:
        """Which words are not known, and what may have been meant."""
        words = [word for word in self._words if word.kind == "word"]
        letters = [word for word in unknown if word.key.isalpha()]
        if len(letters) >= FOREIGN_WORDS and 2 * len(letters) > len(words):
            return "the question seems to be in another language than English and German"
        problem = f"the question cannot be read because of {quote_all(w.text for w in unknown)}"
        meant = like(unknown[0].key, self._nouns) if len(unknown) == 1 else []
        if meant:
            return f"{problem} (do you mean {' or '.join(map(quote, meant))}?)"
        return problem + self._classes_instead(unknown)

    def _classes_instead(self, unknown: Sequence[Word]) -> str:
        """What the frame has, where a word that is not known stands for a class."""
        behind = {second for first, second in pairwise(self._words) if first.key in self.COUNTED}
        classes = sorted({known_class(label) for label in self._regions.labels} - {""})
        if behind.isdisjoint(unknown) or not classes:
            return ""
        return f"; the frame has objects of these classes: {', '.join(classes)}"

    def _with_reason(self, word: Word, reason: str) -> str:
        """Why a word cannot be answered; one that stands for several was never written."""
        is_written = word.text.lower() in self._written.lower()
        return f"{quote(word.text)}: {reason}" if is_written else reason

    def _unreadable(self, farthest: int) -> SpatialError:
        for word in self._words:
            reason = self._lexicon.unanswerable.get(word.key)
            if reason:
                return _reasoned(self._with_reason(word, reason))
        rest = " ".join(word.text for word in self._words[max(farthest, 0) :][:4])
        if rest:
            at = f"at {quote(rest)}"
            return _UnreadableError(f"the question does not fit any form that is understood, {at}")
        return _UnreadableError(
            "something is missing at the end of the question, or it asks several things at once"
        )

    def nearest(self) -> Program | None:
        """A question that works on this frame and is as near to this one as can be."""
        unknown = [word.text for word in self._words if not self._means_something(word)]
        for text in shortened(self._written, unknown, self._nouns):
            if text.count(MASK) == len(self._mask_ids):
                with suppress(SpatialError):
                    return (
                        _Attempt(text, self.language, self._regions, self._mask_ids).read().program
                    )
        return example(self._mentioned(), self._regions)

    def _mentioned(self) -> Mentioned:
        """What is understood of the question, word by word."""
        table = noun_table(self._lexicon, tuple(self._regions.labels))
        words = [word.key for word in self._words]
        numbers = [int(word.key) for word in self._words if word.kind in ("number", "region")
                   and word.key.isdigit()]  # fmt: skip
        ids = [id for id in (*self._mask_ids, *numbers) if id in self._regions]
        classes = [known_class(noun.name) for word in words for noun in table.get((word,), ())]
        return Mentioned(frozenset(words), tuple(dict.fromkeys(ids)), tuple(dict.fromkeys(classes)))


def _nests_zones(program: Program, regions: RegionSet) -> bool:
    """Whether zones are asked for within another: the "area in buffer 2" is none."""
    return any(
        part.operator in (predicates.In, predicates.Holds)
        and ZONE in classes_of(part.parts[0], regions)
        and base.operator is not selections.Region
        and ZONE in classes_of(base, regions)
        for base, predicate in _filters(program)
        for part in predicate.walk()
    )


def _names_a_zone_in_a_zone(program: Program, regions: RegionSet) -> bool:
    """Whether a zone is worded as the one in another: "the area of buffer 2" is its size."""
    for part in program.walk():
        if part.operator is not selections.The or part.parts[0].operator is not selections.Where:
            continue
        of_zones = part.parts[0].parts[0] == selections.All(ZONE)
        if of_zones and _nests_zones(part, regions):
            return True
    return False


def _names_one_of_several(program: Program, regions: RegionSet) -> bool:
    """Whether "the shelf" stands for one of several of a frame, or for none."""
    labels = [region.label for region in regions]
    for part in program.walk():
        if part.operator is not selections.The or part.parts[0].operator is not selections.All:
            continue
        (name,) = part.parts[0].arguments
        named = sum(name in (label, known_class(label)) for label in labels)
        if name not in ("", ANY_REGION) and all(labels) and named != 1:
            return True
    return False


def _compares_alike(program: Program, regions: RegionSet) -> bool:
    """Whether what is compared by its distance is of one class, as far as that is known.

    "Nearer to buffer 1 than buffer 2" is nearer to one than to the other, not nearer to one than
    the other is.
    """
    conditions = _filters(program)
    if program.operator in (questions.Whether, questions.Every):
        conditions.append((program.parts[0], program.parts[1]))
    if not all(_limits_alike(chosen, predicate, regions) for chosen, predicate in conditions):
        return False
    if program.operator is questions.Compare:
        first, second = program.parts
        if not all(
            part.operator is questions.Measure and part.parts[1].parts for part in program.parts
        ):
            return True
        places = [classes_of(part.parts[1].parts[0], regions) for part in (first, second)]
        # Of three alike, "nearer to A than B" is nearer than B is; else it were "than to B". The
        # camera is like none: "nearer to me than B" is nearer than B is.
        return bool(places[0]) and classes_of(first.parts[0], regions) not in places
    return True


def _is_unlike_comparison(program: Program, regions: RegionSet) -> bool:
    """Whether two distances from one thing are compared that are not to places of one class."""
    return program.operator is questions.Compare and not _compares_alike(program, regions)


def _limits_alike(subject: Program, predicate: Program, regions: RegionSet) -> bool:
    """Whether a distance is compared with that of another of its class, or to two of another."""
    alike = classes_of(subject, regions)
    for part in predicate.walk():
        if part.operator is predicates.Nearness:
            places = [classes_of(place, regions) for place in part.parts]
            if alike in places or not places[0]:
                return False
        if part.operator is not predicates.Measures or not part.parts[0].parts:
            continue
        (place,), limit = part.parts[0].parts, part.parts[1]
        if limit.operator is not questions.Measure:
            continue
        compared, other = (classes_of(one, regions) for one in (limit.parts[0], place))
        if other and alike != other and compared not in (alike, set()):
            return False
    return True


def _filters(program: Program) -> list[tuple[Program, Program]]:
    """Each filtered set, and by what it is filtered."""
    return [
        (part.parts[0], part.parts[1]) for part in program.walk()
        if part.operator is selections.Where
    ]  # fmt: skip


def _is_ordinal(key: str) -> bool:
    return key[:1].isdigit()


def without_frames(text: str, lexicon: Lexicon) -> str:
    """The text without what only wraps the question: "could you please tell me ..."."""
    while True:
        stripped = without(lexicon.endings, without(lexicon.frames, text.strip(" ?.!,")))
        if stripped == text or not stripped:
            return text
        text = stripped


def _without_unit(text: str, lexicon: Lexicon) -> tuple[str, UnitAsked | None]:
    """The text without "in cm", wherever it stands, and the unit.

    Raises:
        SpatialError: BAD_QUESTION for two units.
    """
    lowered = in_lower_case(text)
    written = [match["unit"] for match in lexicon.asides.finditer(lowered)]
    found = {lexicon.forms.get(unit, unit) for unit in written}
    if not found:
        return text, None
    if len(found) > 1:
        raise bad_question(f"the answer is asked for in {' and in '.join(sorted(found))}; name one")
    word = found.pop()
    left = replaced(lexicon.asides, " ", text, lowered)
    return left, (*lexicon.units[tuple(word.split())], word)


def _in_unit(value: Asked | OnTopic, unit: UnitAsked | None) -> Asked | OnTopic:
    if unit is None:
        return value
    if isinstance(value, OnTopic):
        return replace(value, asked=ask(value.asked, unit))
    return ask(value, unit)


def _with_topics(value: Asked | OnTopic, regions: RegionSet) -> Asked:
    """The program with what pronouns, and nouns without ids, refer to.

    Raises:
        SpatialError: BAD_QUESTION for a pronoun that refers to nothing.
    """
    asked = value.asked if isinstance(value, OnTopic) else value
    topics = tuple(map(plain, _flat(value.topics))) if isinstance(value, OnTopic) else ()
    noun = None if topics else _only_noun(asked.program)
    program = asked.program if topics else _with_antecedent(asked.program)
    program = plain(program)
    refers = selections.The(MENTIONED()) in program.walk()
    program = program.replaced(lambda part: _in_topics(part, topics, noun, regions, refers))
    program = placed(program, regions)
    program = without_other(program, bool(topics), regions)
    if topics and _says_nothing(program):
        raise NoReadingError("the question asks nothing about what it names")
    if topics and _is_beside_itself(program):
        raise NoReadingError("the question refers back to the region that it asks about; name both")
    if topics and not any(_is_about(program, topic) for topic in topics):
        raise NoReadingError(f"the question says nothing about {say_phrase(topics[0], regions)}")
    if any(part.operator is TOP_OF_LOAD for part in program.walk()):
        raise NoReadingError("loads are not compared by their height; ask which one is the tallest")
    _check_holders(program, regions)
    program = _side_asked(program)
    if program.operator is HOW_LARGE:
        program = _size_of(program.parts[0], regions)
    program = normal_form(program, regions)
    # A unit is checked again, for only now it is known what is asked.
    unit = asked.unit
    was_open = asked.program.operator is HOW_LARGE and program.type is Type.QUANTITY
    if unit is not None and was_open and unit[0] in UNITS_OF_LENGTH:
        raise NoReadingError(f"the size of a zone is an area, no quantity in {unit[0]}")
    return replace(asked, program=program)


SIDES = {
    frozenset({predicates.LeftOf, predicates.RightOf}): "left_right",
    frozenset({predicates.InFrontOf, predicates.Behind}): "front_behind",
    frozenset({predicates.Above, predicates.Below}): "above_below",
}
"""Axes by both of their sides."""


def _side_asked(program: Program) -> Program:
    """For "Is it left of X or right of X", on which side it is: "yes" would be no answer."""
    if program.operator is not questions.Whether or program.parts[1].operator is not predicates.Or:
        return program
    sides = program.parts[1].parts
    axis = SIDES.get(frozenset(side.operator for side in sides))
    if axis is None or sides[0].parts != sides[1].parts:
        return program
    return questions.Side(program.parts[0], sides[0].parts[0], axis)


def _is_beside_itself(program: Program) -> bool:
    """Whether a region is compared with itself."""
    if program.operator is not questions.Whether:
        return False
    region, predicate = program.parts
    beside = frozenset().union(*SIDES)
    return any(
        part.operator in beside and part.parts[0] == region for part in predicate.walk()
    )  # fmt: skip


def _cost(reading: Reading) -> int:
    """Of a reading; one in which a pronoun refers back within the question is less likely."""
    value = reading.value
    refers = isinstance(value, Asked) and selections.The(MENTIONED()) in value.program.walk()
    return reading.cost + (2 if refers else 0)


def _with_antecedent(program: Program) -> Program:
    """The program with "it" as the only region named before it: "pallet 3 ... nearest to it"."""
    pronoun = selections.The(MENTIONED())
    named: list[Program] = []
    for part in program.walk():
        if part == pronoun:
            break
        if part.operator is selections.Region:
            named.append(part)
    if program.operator is questions.Whether and len(set(named)) > 1:
        # "Is pallet 3 left of pallet 4 and behind it?": nothing is behind itself.
        named = [region for region in named if region != program.parts[0]]
    if len(set(named)) != 1:
        return program
    return program.replaced(lambda part: _not_to_itself(named[0] if part == pronoun else part))


def _not_to_itself(part: Program) -> Program:
    """Refuse what is measured from a region to "it", which is that region."""
    measured = part.operator is questions.Measure and part.parts[1].parts
    if measured and measured[0] == part.parts[0]:
        raise NoReadingError("the question refers back to the region that it asks about; name both")
    return part


def _check_holders(program: Program, regions: RegionSet) -> None:
    """Refuse "in buffer 1 and pallet 3": nobody means to be in either."""
    for part in program.walk():
        if part.operator is predicates.In and part.parts[0].operator is selections.Listed:
            zones = {
                known_class(regions[id].label) == ZONE for id in part.parts[0].arguments[0]
                if regions[id].label
            }  # fmt: skip
            if len(zones) > 1:
                raise NoReadingError("this asks two things at once; ask them one at a time")


UNITS_OF_LENGTH = {
    " ".join(phrase)
    for language in LANGUAGES
    for phrase, (unit, _) in read_units(language).items()
    if unit == "m"
}


def _is_about(program: Program, topic: Program) -> bool:
    """Whether a question speaks of what was named before it, or of a part of that."""
    return not _named(topic).isdisjoint(_named(program))


def _says_nothing(program: Program) -> bool:
    """Whether topics are asked who they are, or whether one is in itself."""
    if program.operator is questions.Whether:
        region, predicate = program.parts
        return predicate.operator is predicates.In and predicate.parts[0] == region
    if program.operator is selections.Where:
        return _is_in_itself(*program.parts)
    counted = program.operator in (questions.Exists, questions.Count)
    chosen = program.parts[0] if counted else program
    return chosen.operator in (selections.Listed, selections.Region)


def _is_in_itself(chosen: Program, predicate: Program) -> bool:
    """Whether a list is asked what of it is in or on a member of it."""
    if chosen.operator is not selections.Listed or predicate.operator is not predicates.In:
        return False
    return predicate.parts[0] in [selections.Region(id) for id in chosen.arguments[0]]


def _named(program: Program) -> set[Program | int]:
    """The ids, and the classes of sets, in a program."""
    found: set[Program | int] = set()
    for part in program.walk():
        if part.operator is selections.Region:
            found.add(part.arguments[0])
        elif part.operator is selections.Listed:
            found |= set(part.arguments[0])
        elif part.operator is selections.All:
            found.add(part)
    return found


def _loaded(region: Program, regions: RegionSet) -> Program:
    """What the load of a region is: what a transporter carries; a pallet's box includes it."""
    if CARRIER not in classes_of(region, regions):
        return region
    return selections.The(selections.Where(selections.All(""), predicates.In(region)))


def _size_of(region: Program, regions: RegionSet) -> Program:
    """For "How large": the area of a zone, length, width and height of anything else."""
    if ZONE in classes_of(region, regions):
        return questions.Measure(region, attributes.FootprintArea())
    return questions.Dimensions(region)


def _flat(topics: Sequence[Program]) -> tuple[Program, ...]:
    """Topics one by one: "the buffers ... and the pallets ..." are two."""
    flat: list[Program] = []
    for topic in topics:
        flat.extend(_flat(topic.parts) if topic.operator is selections.Either else [topic])
    return tuple(flat)


def _only_noun(program: Program) -> Program | None:
    """What "the free one" is one of: the class that the question speaks of."""
    nouns = {part for part in program.walk() if part.operator is selections.All}
    return nouns.pop() if len(nouns) == 1 else None


def _in_topics(
    part: Program,
    topics: Sequence[Program],
    noun: Program | None,
    regions: RegionSet,
    refers: bool,
) -> Program:
    """A part of a program with what was spoken of before in it.

    Args:
        part: with its own parts done.
        topics: what was spoken of.
        noun: what "one" is one of; None where that is not known.
        regions: of the frame.
        refers: whether "it" is in the question: of "pallet 3", then, a noun is another one.
    """
    if part.operator is selections.All and topics:
        members = [topic for topic in topics if _covers(topic, part.arguments[0], regions)]
        if refers and len(members) == 1 and members[0].operator is selections.Region:
            return part
        return _together(members, part.arguments[0], regions) if members else part
    if part.operator is questions.Measure and part.arguments[1].operator is TOP_OF_LOAD:
        return questions.Measure(_loaded(part.parts[0], regions), attributes.Top())
    if part.operator is selections.Alike and topics:
        alike = [topic for topic in topics if topic.type is Type.REGIONS]
        return alike[0] if len(alike) == 1 else part
    if part.operator is SAME_NOUN and noun is not None:
        return noun
    if part.operator in (MENTIONED, SAME_NOUN):
        return _spoken_of(topics)
    if part.operator is selections.The and part.parts[0].operator is selections.Listed:
        (ids,) = part.parts[0].arguments
        if len(ids) > 1 and topics:
            raise NoReadingError("several things were mentioned; name the one that is meant")
        return selections.Region(ids[0]) if len(ids) == 1 else part
    if part.operator is selections.Member and part.parts[0].type is Type.REGION:
        raise NoReadingError("two regions are needed here, got 1")
    if part.operator is selections.The and part.parts[0].type is Type.REGION:
        return part.parts[0]
    if part.operator is selections.Member and part.parts[0].operator is selections.Listed:
        ids, rank = part.parts[0].arguments[0], round(part.arguments[1])
        return selections.Region(ids[rank - 1]) if rank <= len(ids) else part
    if part.operator is selections.Exactly and part.parts[0].operator is selections.Listed:
        listed, number = part.arguments
        return listed if len(listed.arguments[0]) == round(number) else part
    return part


def _covers(topic: Program, name: str, regions: RegionSet) -> bool:
    """Whether a topic has members of a class."""
    return name in classes_of(topic, regions) or (
        name == "" and bool(classes_of(topic, regions) - {ZONE})
    ) or (name == ANY_REGION)  # fmt: skip


def _together(members: Sequence[Program], name: str, regions: RegionSet) -> Program:
    """The members of topics that are of a class."""
    ids: list[int] = []
    for topic in members:
        if topic.operator is selections.Region:
            ids.append(topic.arguments[0])
        elif topic.operator is selections.Listed:
            ids.extend(topic.arguments[0])
        else:
            return topic
    fitting = [
        id for id in ids
        if name in ("", ANY_REGION)
        or name in (regions[id].label, known_class(regions[id].label))
        or not regions[id].label
    ]  # fmt: skip
    return selections.Listed(tuple(dict.fromkeys(fitting)))


def _spoken_of(topics: Sequence[Program]) -> Program:
    if len(topics) != 1:
        what = "nothing was mentioned before" if not topics else "several things were mentioned"
        raise NoReadingError(
            f"the question refers back (it, that, they, one), but {what}; name the region"
        )
    return topics[0]
