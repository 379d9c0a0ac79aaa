"""A small parser for grammars that are data: rules in a text file, programs out.

A grammar file has one rule a line (indented lines continue it):

    NAME: pattern => expression

- A pattern is words, `(a|b c|d)` for one of several, `[x]` for what may be missing, and the names
  of other rules in capitals; `ONE:x` binds what the rule stands for to the name x.
- `~ONE:x` is a phrase that costs 1 where it could have been attached to the phrase before it.
- An expression builds the value: names of operators and of builders as functions, bound names,
  numbers, and text in quotes.

All readings of a sentence are found. Every rule is tried at most once at every word, so the time
grows with a low power of the number of words, whatever they are.

Attachment: a phrase that could be part of the phrase right before it, and is not, costs 1
("the pallet in the buffer left of shelf 3": it is the buffer that is left). The reader keeps the
cheapest of the readings that make sense.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smolrgpt_core.language.program import ProgramError

Bindings = tuple[tuple[str, Any], ...]
Build = Callable[[Mapping[str, Any]], Any]


class GrammarError(ValueError):
    """A grammar file that cannot be used; the message states where and why."""


class NoReadingError(Exception):
    """Raised by a builder: the words fit the rule, and make no sense.

    Args:
        reason: reported where the sentence has no other reading.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class RefusedError(NoReadingError):
    """Raised by a builder: the words are understood, and cannot be answered."""


MAX_NESTING = 150
"""Rules within rules; a phrase within a phrase takes about ten."""


@dataclass(frozen=True)
class Reading:
    """One way to read some words as a rule.

    Attributes:
        end: the word after the last.
        value: what they stand for.
        cost: by the attachment of phrases.
        open: whether another phrase may still be attached to the last words.
    """

    end: int
    value: Any
    cost: int = 0
    open: bool = False


Terminal = Callable[[int], Sequence[Reading]]
"""Reads the words at a position by other means than rules: numbers, nouns, ids."""


@dataclass
class _State:
    """A place in the patterns of a rule.

    Attributes:
        words: where a word leads.
        rules: where a rule leads: its name, the name that it is bound to, the state, and whether it
            costs something where it could be attached to what stands before it.
        builds: for the end of a pattern: what builds the value.
        skips: where nothing leads; only until the patterns are joined.
    """

    words: dict[str, list[int]] = field(default_factory=dict)
    rules: list[tuple[str, str, int, bool]] = field(default_factory=list)
    builds: list[Build] = field(default_factory=list)
    skips: list[int] = field(default_factory=list)


class Grammar:
    """Rules of one language, compiled.

    Args:
        text: of the grammar file.
        functions: operators and builders by name, for expressions.
        terminals: names of rules that are read by other means.

    Attributes:
        words: every word that stands in a pattern.

    Raises:
        GrammarError: syntax, unknown names, or a rule that starts with itself.
    """

    def __init__(
        self, text: str, functions: Mapping[str, Callable[..., Any]], terminals: Sequence[str]
    ) -> None:
        self.words: set[str] = set()
        self._functions = functions
        self._states: list[_State] = []
        self.starts: dict[str, int] = {}
        self.terminals = frozenset(terminals)
        for number, line in _lines(text):
            try:
                self._add(line)
            except GrammarError as error:
                raise GrammarError(f"line {number}: {error}") from error
        self._close()
        self.first_words, self.first_terminals = self._first()

    @property
    def states(self) -> Sequence[_State]:
        """All states."""
        return self._states

    def _add(self, line: str) -> None:
        match = re.fullmatch(r"([A-Z][A-Z0-9_]*): (.*?) => (.*)", line)
        if match is None:
            raise GrammarError(f"expected 'NAME: pattern => expression', got {line!r}")
        name, pattern, expression = match.groups()
        start = self.starts.setdefault(name, self._new())
        items = _PatternReader(pattern).read()
        end = self._link(items, [start])
        bound = {item.bound for item in _flat(items) if item.bound}
        build = compile_expression(expression, self._functions, bound)
        for state in end:
            self._states[state].builds.append(build)

    def _new(self) -> int:
        self._states.append(_State())
        return len(self._states) - 1

    def _link(self, items: Sequence[_Item], before: list[int]) -> list[int]:
        for item in items:
            before = [self._link_one(item, before)]
        return before

    def _link_one(self, item: _Item, before: list[int]) -> int:
        after = self._new()
        for state in before:
            if item.options:
                for option in item.options:
                    for end in self._link(option, [self._skip_to_new(state)]):
                        self._states[end].skips.append(after)
            elif item.rule:
                self._states[state].rules.append((item.rule, item.bound, after, item.detached))
            else:
                self.words.add(item.word)
                self._states[state].words.setdefault(item.word, []).append(after)
        return after

    def _skip_to_new(self, state: int) -> int:
        new = self._new()
        self._states[state].skips.append(new)
        return new

    def _close(self) -> None:
        """Join the patterns: take the skips out, and let those that begin alike share a path."""
        open_states = self._states
        self._states = []
        joined: dict[frozenset[int], int] = {}
        waiting: list[tuple[int, _State]] = []

        def join(indices: Sequence[int]) -> int:
            reached = frozenset(
                other for index in indices for other in _reachable(open_states, index)
            )
            if reached not in joined:
                joined[reached] = len(self._states)
                self._states.append(_State())
                members = [open_states[index] for index in sorted(reached)]
                waiting.append((joined[reached], _merged(members)))
            return joined[reached]

        self.starts = {name: join([start]) for name, start in self.starts.items()}
        while waiting:
            index, merged = waiting.pop()
            state = self._states[index]
            state.builds = merged.builds
            state.words = {word: [join(targets)] for word, targets in merged.words.items()}
            branches: dict[tuple[str, str, bool], list[int]] = {}
            for name, bound, target, detached in merged.rules:
                branches.setdefault((name, bound, detached), []).append(target)
            state.rules = [
                (name, bound, join(targets), detached)
                for (name, bound, detached), targets in branches.items()
            ]
        unknown = {
            rule for state in self._states for rule, *_ in state.rules
        } - set(self.starts) - self.terminals  # fmt: skip
        if unknown:
            raise GrammarError(f"no such rule: {', '.join(sorted(unknown))}")

    def _first(self) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
        """The words, and the terminals, that each rule can start with."""
        empty = [name for name, start in self.starts.items() if self._states[start].builds]
        if empty:
            raise GrammarError(f"the rule {empty[0]} must have at least one word")
        words: dict[str, set[str]] = {name: set() for name in self.starts}
        terminals: dict[str, set[str]] = {name: set() for name in self.starts}
        starting = {
            name: {rule for rule, *_ in self._states[start].rules}
            for name, start in self.starts.items()
        }
        _refuse_circles(starting)
        for name in _inside_out(starting):
            words[name] |= set(self._states[self.starts[name]].words)
            for rule in starting[name]:
                if rule in self.terminals:
                    terminals[name].add(rule)
                else:
                    words[name] |= words[rule]
                    terminals[name] |= terminals[rule]
        return (
            {name: frozenset(found) for name, found in words.items()},
            {name: frozenset(found) for name, found in terminals.items()},
        )


def _reachable(states: Sequence[_State], index: int) -> list[int]:
    """The states that can be reached without a word."""
    found, waiting = [index], [index]
    while waiting:
        for target in states[waiting.pop()].skips:
            if target not in found:
                found.append(target)
                waiting.append(target)
    return found


def _merged(states: Sequence[_State]) -> _State:
    """What leads on from any of several states."""
    merged = _State()
    for state in states:
        for word, targets in state.words.items():
            merged.words.setdefault(word, []).extend(targets)
        merged.rules += state.rules
        merged.builds += state.builds
    return merged


class Parse:
    """The readings of one sentence.

    Args:
        grammar: of its language.
        tokens: the words.
        terminals: what reads the rules that the grammar leaves open, by name.
        limit: steps after which parsing ends without a reading.

    Attributes:
        farthest: the farthest word at which anything was looked for.
        reasons: why words that fit a rule make no sense.
        refusal: why all words together, which are understood, have no answer; "" where none is.

    Raises:
        TooManyReadingsError: by `read`, when the limit is reached.
    """

    def __init__(
        self,
        grammar: Grammar,
        tokens: Sequence[str],
        terminals: Mapping[str, Terminal],
        limit: int = 10_000,
    ) -> None:
        self._grammar = grammar
        self._tokens = [*tokens, ""]
        self._terminals = terminals
        self._known: dict[tuple[str, int], list[Reading]] = {}
        self._left = limit
        self._depth = 0
        self.farthest = 0
        self.reasons: list[str] = []
        self.refusal = ""

    def read(self, rule: str) -> list[Reading]:
        """The readings of all words as a rule; empty where there is none."""
        return [item for item in self.at(rule, 0) if item.end == len(self._tokens) - 1]

    def at(self, rule: str, position: int) -> list[Reading]:
        """The readings of a rule that start at a word."""
        key = (rule, position)
        found = self._known.get(key)
        if found is None:
            self._known[key] = found = []
            if rule in self._grammar.terminals:
                self._known[key] = found = list(self._terminals[rule](position))
            elif self._can_start(rule, position):
                self._known[key] = found = self._nested(rule, position)
        return found

    def _nested(self, rule: str, position: int) -> list[Reading]:
        """As `_derive`, unless phrases within phrases are so deep that Python could not follow."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise TooManyReadingsError
        found = self._derive(rule, position)
        self._depth -= 1
        return found

    def _can_start(self, rule: str, position: int) -> bool:
        if position > self.farthest:
            self.farthest = position
        if self._tokens[position] in self._grammar.first_words[rule]:
            return True
        # A loop takes half the time that `any` of a generator takes, and this is asked most often.
        for name in self._grammar.first_terminals[rule]:  # noqa: SIM110
            if self.at(name, position):
                return True
        return False

    def _derive(self, rule: str, position: int) -> list[Reading]:
        states = self._grammar.states
        best: dict[tuple[int, Any, bool], Reading] = {}
        waiting: list[tuple[int, int, Bindings, int, bool, bool]] = [
            (self._grammar.starts[rule], position, (), 0, False, False)
        ]
        while waiting:
            index, at, bound, cost, is_open, was_open = waiting.pop()
            self._spend()
            state = states[index]
            for target in state.words.get(self._tokens[at], ()):
                waiting.append((target, at + 1, bound, cost, False, was_open))
            for name, variable, target, detached in state.rules:
                extra = cost + (detached and was_open)
                for item in self.at(name, at):
                    more = (*bound, (variable, item)) if variable else bound
                    waiting.append(
                        (target, item.end, more, extra + item.cost, item.open, item.open)
                    )
            for build in state.builds:
                self._finish(build, position, at, bound, cost, is_open, best)
        return list(best.values())

    def _finish(
        self,
        build: Build,
        start: int,
        end: int,
        bound: Bindings,
        cost: int,
        is_open: bool,
        best: dict[tuple[int, Any, bool], Reading],
    ) -> None:
        self.farthest = max(self.farthest, end)
        try:
            value = build(dict(bound))
        except ProgramError:
            return
        except NoReadingError as error:
            if error.reason:
                self.reasons.append(error.reason)
                if isinstance(error, RefusedError) and start == 0 and end == len(self._tokens) - 1:
                    self.refusal = error.reason
            return
        if isinstance(value, Costly):
            value, cost = value.value, cost + value.cost
        if isinstance(value, Edge):
            value, is_open = value.value, value.is_open
        key = (end, value, is_open)
        if key not in best or best[key].cost > cost:
            best[key] = Reading(end, value, cost, is_open)

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooManyReadingsError


class TooManyReadingsError(Exception):
    """A sentence that takes too long to be read."""


@dataclass(frozen=True)
class Costly:
    """What a builder returns for a reading that is less likely."""

    value: Any
    cost: int


@dataclass(frozen=True)
class Edge:
    """What a builder returns to declare whether something can be attached to the words."""

    value: Any
    is_open: bool


@dataclass(frozen=True)
class _Item:
    """A word, a rule, or several options of a pattern."""

    word: str = ""
    rule: str = ""
    bound: str = ""
    detached: bool = False
    options: tuple[tuple[_Item, ...], ...] = ()


class _PatternReader:
    """Reads the left side of a rule."""

    _TOKEN = re.compile(
        r"\s*(\(|\)|\[|\]|\||~?[A-Z][A-Z0-9_]*(?::[a-z_]+)?(?![a-z])|[^\s()\[\]|]+)"
    )

    def __init__(self, text: str) -> None:
        self._tokens = self._TOKEN.findall(text)
        self._at = 0

    def read(self) -> tuple[_Item, ...]:
        items = self._sequence()
        if self._at < len(self._tokens):
            raise GrammarError(f"unexpected {self._tokens[self._at]!r} in a pattern")
        return items

    def _sequence(self) -> tuple[_Item, ...]:
        items = []
        while self._at < len(self._tokens) and self._tokens[self._at] not in (")", "]", "|"):
            items.append(self._item())
        return tuple(items)

    def _item(self) -> _Item:
        token = self._tokens[self._at]
        self._at += 1
        if token in ("(", "["):
            options = [self._sequence()]
            while self._at < len(self._tokens) and self._tokens[self._at] == "|":
                self._at += 1
                options.append(self._sequence())
            self._expect(")" if token == "(" else "]")
            return _Item(options=(*options, ()) if token == "[" else tuple(options))
        if token.lstrip("~")[:1].isupper():
            rule, _, bound = token.lstrip("~").partition(":")
            return _Item(rule=rule, bound=bound, detached=token[0] == "~")
        return _Item(word=_ESCAPES.get(token, token))

    def _expect(self, token: str) -> None:
        if self._at >= len(self._tokens) or self._tokens[self._at] != token:
            raise GrammarError(f"expected {token!r} in a pattern")
        self._at += 1


_ESCAPES = {"\\lp": "(", "\\rp": ")"}
"""Parentheses as words of a sentence."""


def _lines(text: str) -> list[tuple[int, str]]:
    """Rules with the number of their first line; "#" starts a comment at the start of a line."""
    rules: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and rules:
            rules[-1] = (rules[-1][0], f"{rules[-1][1]} {line.strip()}")
        else:
            rules.append((number, line.strip()))
    return rules


def _flat(items: Sequence[_Item]) -> list[_Item]:
    found = []
    for item in items:
        found.append(item)
        for option in item.options:
            found += _flat(option)
    return found


def compile_expression(
    expression: str, functions: Mapping[str, Callable[..., Any]], bound: set[str]
) -> Build:
    """A function of the bindings from the right side of a rule.

    Args:
        expression: as it stands in the lexicon.
        functions: that it may call, by name.
        bound: names that the left side binds.

    Raises:
        GrammarError: it is not an expression, or uses an unknown name.
    """
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        raise GrammarError(f"not an expression: {expression!r}") from error
    return _compile_node(node, functions, bound)


def _compile_node(
    node: ast.expr, functions: Mapping[str, Callable[..., Any]], bound: set[str]
) -> Build:
    if isinstance(node, ast.Constant):
        constant = node.value
        return lambda values: constant
    if isinstance(node, ast.Name) and node.id in bound:
        name = node.id
        return lambda values: values[name].value if name in values else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id not in functions:
            raise GrammarError(f"no operator or builder {node.func.id!r}")
        function = functions[node.func.id]
        parts = [_compile_node(part, functions, bound) for part in node.args]
        return lambda values: _call(function, [part(values) for part in parts])
    raise GrammarError(f"cannot be part of an expression: {ast.unparse(node)}")


def _call(function: Callable[..., Any], arguments: list[Any]) -> Any:
    """What a builder makes of the results of others, with what those cost."""
    cost = sum(part.cost for part in arguments if isinstance(part, Costly))
    if not cost:
        return function(*arguments)
    built = function(*[part.value if isinstance(part, Costly) else part for part in arguments])
    return (
        Costly(built.value, built.cost + cost) if isinstance(built, Costly) else Costly(built, cost)
    )


def _refuse_circles(starting: Mapping[str, set[str]]) -> None:
    for name in starting:
        seen, waiting = set(), [name]
        while waiting:
            for rule in starting.get(waiting.pop(), ()):
                if rule == name:
                    raise GrammarError(f"the rule {name} can start with itself")
                if rule not in seen:
                    seen.add(rule)
                    waiting.append(rule)


def _inside_out(starting: Mapping[str, set[str]]) -> list[str]:
    """The rules, each after those that it can start with."""
    ordered: list[str] = []

    def add(name: str) -> None:
        if name in ordered or name not in starting:
            return
        for rule in sorted(starting[name]):
            add(rule)
        ordered.append(name)

    for name in starting:
        add(name)
    return ordered
