"""What may come next in a small Python function, token by token: a program that is begun so can always be finished.

A pushdown automaton of the kind that predictive parsers are (Aho, Sethi & Ullman 1986, section 4.4): a stack of symbols
that are still to be written. Two things are added to it: names may be read only where they have been bound for
certain, and the tokens that are left bound what may be begun.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from textmdp.envs.core.task import END_OF_TURN

DIGITS = tuple("0123456789")
#: The indentation of the first line, and the line breaks before the others with theirs, by the depth of blocks.
INDENT, LINES = "    ", ("", "\n    ", "\n        ", "\n            ")
OPERATORS = (" + ", " - ", " * ", " // ", " % ", " / ")
COMPARED = (" > ", " < ", " >= ", " <= ", " == ", " != ")
CALLS = ("len(", "sum(", "sorted(")
#: What may stand right behind a name or a bracket.
ENDINGS = ("[::-1]", "[1:]", "[:-1]", ".upper()")

# What is still to be written: a token; the name of a rule in pointed brackets; or a tuple: an action that happens when
# it is reached, or a rule for what follows a name that is stored in it.
Symbol = str | tuple[str | int, ...]
Rules = dict[Symbol, list[tuple[Symbol, ...]]]

_KNOWN, _TARGET, _LEAVE = "<known>", "<target>", ("leave",)
_ACTIONS = ("bind", "enter", "leave")


def _rules() -> Rules:
    """The grammar, whatever the vocabulary; the rules of a symbol differ in their first token."""
    rules: Rules = {
        "<value>": [("<term>", "<more>")],
        "<more>": [(), *((sign, "<term>", "<more>") for sign in OPERATORS)],
        "<term>": [("-", "<atom>"), ("<atom>",)],
        "<atom>": [
            (_KNOWN, "<ending>"),
            ("<digit>",),
            ("(", "<value>", ")", "<ending>"),
            ("[]",),
            *((call, "<value>", ")", "<ending>") for call in CALLS),
        ],
        "<digit>": [(digit,) for digit in DIGITS],
        "<ending>": [
            (),
            *((ending, "<ending>") for ending in ENDINGS),
            ("[:", "<digit>", "]", "<ending>"),
            ("[", "<value>", "]", "<ending>"),
        ],
        "<condition>": [("<value>", "<compared>", "<value>")],
        "<compared>": [(sign,) for sign in COMPARED],
        "<items>": [("range(", "<value>", ", ", "<value>", ")"), (_KNOWN, "<ending>")],
    }
    for depth in range(1, len(LINES)):
        block, rest = f"<block {depth}>", f"<rest {depth}>"
        rules[rest] = [(), (LINES[depth], block)]
        rules[block] = [("return ", "<value>"), (_TARGET, ("assign", depth))]
        rules["assign", depth] = [
            (" = ", "<value>", ("bind",), rest),
            *((sign, "<value>", rest) for sign in (" += ", " *= ")),
            (".append(", "<value>", ")", rest),
        ]
        if depth + 1 < len(LINES):
            inner = (":", LINES[depth + 1], ("enter",), f"<block {depth + 1}>", _LEAVE, rest)
            rules[block] += [("if ", "<condition>", *inner), ("for ", _TARGET, ("in", depth))]
            rules["in", depth] = [(" in ", "<items>", *inner)]
    return rules


class State(NamedTuple):
    """A program that is begun."""

    stack: tuple[Symbol, ...]
    """What is still to be written, the next symbol last."""
    scopes: tuple[frozenset[str], ...]
    """The names that are bound for certain: the outermost block's first."""


class ProgramGrammar:
    """The bodies of functions with these parameters that can be written in this vocabulary.

    Every body is Python that compiles, and reads no name before it is bound; it may still fail in other ways, such as
    a division by zero, and return nothing.

    Args:
        vocabulary: tokens; what needs others is not part of the grammar.
        parameters: the names of the function's arguments.
        names: other names that may be bound.

    >>> grammar = ProgramGrammar(("    ", "return ", "x", "(", ")", " + ", "1", "2"), ("x",))
    >>> grammar.following("    return x", 9)
    (' + ', '')
    >>> grammar.following("    return (x + ", 8)  # a number, a bracket and the end of the turn fit, and no more
    ('x', '1', '2')
    """

    def __init__(self, vocabulary: Sequence[str], parameters: Sequence[str], names: Sequence[str] = ()) -> None:
        rules, known = _rules(), {*vocabulary}
        self._targets = tuple(sorted({*parameters, *names} & known))
        self._shortest = _shortest(rules, known)
        self._rules = {  # without what can't be finished in this vocabulary
            symbol: [rule for rule in choices if self._length(rule) < math.inf] for symbol, choices in rules.items()
        }
        tokens = {part for choices in self._rules.values() for rule in choices for part in rule if part in known}
        longest = sorted({str(token) for token in tokens} | {*self._targets, INDENT}, key=len, reverse=True)
        self._lexeme = re.compile("|".join(map(re.escape, longest)))
        self._start = State(("<block 1>", INDENT), (frozenset(parameters),))
        # Rows that sample the same problem begin alike, and different beginnings leave the same to be written.
        self._begun = lru_cache(maxsize=1 << 14)(self._parse)
        self._next = lru_cache(maxsize=1 << 11)(self._options)

    def following(self, text: str, budget: int) -> tuple[str, ...]:
        """The tokens that may follow `text`, so that the whole and the end of the turn take at most `budget` tokens.

        `END_OF_TURN` is among them where the text is a body; behind a text that is no beginning of one, it is alone.
        A beginning that was met before takes 3 µs, a new one some 50.
        """
        begun = self._begun(text)
        if begun is None:
            return (END_OF_TURN,)
        state, written = begun
        left = budget - written - 1
        found = [token for token, (_, length) in self._next(state).items() if length < left]
        if self._length(state.stack) == 0 or not found:
            found.append(END_OF_TURN)
        return tuple(found)

    def accepts(self, text: str) -> bool:
        """Whether a text is a body of the grammar."""
        begun = self._begun(text)
        return begun is not None and self._length(begun[0].stack) == 0

    def _parse(self, text: str) -> tuple[State, int] | None:
        """The state after a text, and of how many tokens it is; None where it is no beginning."""
        state, position, count = self._start, 0, 0
        while position < len(text):
            lexeme = self._lexeme.match(text, position)
            after = self._next(state).get(lexeme[0]) if lexeme else None
            if lexeme is None or after is None:
                return None
            state, position, count = after[0], lexeme.end(), count + 1
        return state, count

    def _options(self, state: State) -> dict[str, tuple[State, float]]:
        """What may be next: the state after it, and how many tokens it takes from there at least."""
        return {token: (after, self._length(after.stack)) for token, after in self._expanded(*state)}

    def _expanded(self, stack: tuple[Symbol, ...], scopes: tuple[frozenset[str], ...]) -> Iterator[tuple[str, State]]:
        """The tokens that the next symbol can begin with, and those behind it where it can be nothing."""
        while stack:
            top, stack = stack[-1], stack[:-1]
            if isinstance(top, tuple) and top[0] in _ACTIONS:
                scopes = _act(top, scopes)
                continue
            if top == _KNOWN:
                yield from ((name, State(stack, scopes)) for name in sorted(frozenset().union(*scopes)))
                return
            if top == _TARGET:  # the symbol behind it is told the name
                rest, behind = stack[:-1], stack[-1]
                yield from ((name, State((*rest, (*behind, name)), scopes)) for name in self._targets)
                return
            rules = self._choices(top, scopes)
            if rules is None:
                yield str(top), State(stack, scopes)
                return
            for rule in rules:
                if rule:
                    yield from self._expanded((*stack, *reversed(rule)), scopes)
            if () not in rules:
                return

    def _choices(self, symbol: Symbol, scopes: tuple[frozenset[str], ...]) -> list[tuple[Symbol, ...]] | None:
        """What a symbol can be written as; None for a token."""
        if isinstance(symbol, str) or len(symbol) == 2:
            return self._rules.get(symbol)
        name = symbol[2]
        bound = any(name in scope for scope in scopes)
        return [
            tuple((*part, name) if part in (("bind",), ("enter",)) else part for part in rule)
            for rule in self._rules[symbol[:2]]
            if bound or rule[0] in (" = ", " in ")
        ]

    def _length(self, symbols: tuple[Symbol, ...]) -> float:
        """The fewest tokens that symbols are written in, whatever names are stored in them."""
        return sum([self._shortest[part if isinstance(part, str) else _bare(part)] for part in symbols])


def _bare(symbol: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A symbol without the name that is stored in it."""
    return symbol[:1] if symbol[0] in _ACTIONS else symbol[:2]


def _shortest(rules: Rules, vocabulary: Collection[str]) -> dict[Symbol, float]:
    """The fewest tokens that each symbol is written in; infinity where the vocabulary lacks some."""
    lengths: dict[Symbol, float] = {_KNOWN: 1, _TARGET: 1, **{(action,): 0 for action in _ACTIONS}}
    for part in [part for choices in rules.values() for rule in choices for part in rule] + [INDENT]:
        if part not in lengths and part not in rules:
            lengths[part] = 1 if part in vocabulary else math.inf
    lengths.update(dict.fromkeys(rules, math.inf))
    changed = True
    while changed:
        changed = False
        for symbol, choices in rules.items():
            shortest = min(sum(lengths[part] for part in rule) for rule in choices)
            changed |= shortest < lengths[symbol]
            lengths[symbol] = min(shortest, lengths[symbol])
    return lengths


def _act(action: tuple[str | int, ...], scopes: tuple[frozenset[str], ...]) -> tuple[frozenset[str], ...]:
    """The scopes after an action: a name is bound, or a block is entered or left."""
    if action[0] == "leave":
        return scopes[:-1]
    names = frozenset(str(name) for name in action[1:])
    if action[0] == "enter":
        return (*scopes, names)
    return (*scopes[:-1], scopes[-1] | names)
