"""Verdicts: :func:`decide` and :func:`equivalent` on two answers, :func:`grade` on a reference and a response."""

import enum
import functools
import re
from typing import NamedTuple

from textmdp.envs.answers.exact import parse_quantity, same_quantity
from textmdp.envs.answers.extraction import extract_answer
from textmdp.envs.answers.notation import clean
from textmdp.envs.answers.structure import Judge, compare
from textmdp.envs.answers.symbolic import WORKER

MAX_STRUCTURE = 4_000
"""Characters; longer answers are only compared as text and as one number."""
CACHE_SIZE = 16_384
"""Verdicts kept by each process."""

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_FAST = re.compile(r"\s*(?:####\s*)?(-?[0-9]{1,18})\s*")


class Outcome(enum.Enum):
    """The result of a comparison."""

    RIGHT = "right"
    """The answers are equal."""
    WRONG = "wrong"
    """The answers differ, or their equality cannot be shown."""
    UNDECIDED = "undecided"
    """Algebra ran out of processor time or memory, twice: this says nothing about the answer."""


class Verdict(NamedTuple):
    """The judgement of a response."""

    outcome: Outcome
    """Comparison of the final answer with the reference; a response without one final answer is ``WRONG``."""
    answer: str | None
    """The final answer as written, or None."""
    reason: str
    """Place of the answer: ``"hash"``, ``"boxed"``, ``"tag"``, ``"label"``, ``"whole"`` or ``"prose"``; without
    one answer ``"none"`` or ``"conflict"``."""

    @property
    def correct(self) -> bool:
        """The outcome is ``RIGHT``."""
        return self.outcome is Outcome.RIGHT

    @property
    def undecided(self) -> bool:
        """The outcome is ``UNDECIDED``."""
        return self.outcome is Outcome.UNDECIDED


def _unknown(kind: str, gold: str, answer: str) -> bool | None:
    """The leaf that knows nothing beyond exact numbers and text."""
    return None


def _exact(gold: str, answer: str) -> bool | None:
    """True, False, or None where only algebra can tell; both texts cleaned."""
    if max(len(gold), len(answer)) > MAX_STRUCTURE:
        number, other = parse_quantity(gold), parse_quantity(answer)
        same_number = number is not None and other is not None and same_quantity(number, other)
        return same_number or (bool(gold) and gold == answer)
    return compare(gold, answer, Judge(_unknown))


class _UndecidedError(Exception):
    """The worker gave no verdict: an exception, so that it is not cached."""


@functools.lru_cache(maxsize=CACHE_SIZE)
def _decide(gold: str, answer: str, symbolic: bool) -> Outcome:
    gold, answer = clean(gold), clean(answer)
    verdict = _exact(gold, answer)
    if verdict is None and symbolic:
        verdict = WORKER.ask(gold, answer)
        if verdict is None:
            raise _UndecidedError
    return Outcome.RIGHT if verdict is True else Outcome.WRONG


def decide(gold: str, answer: str, *, symbolic: bool = True) -> Outcome:
    r"""Compare two answers; the conventions are those of :mod:`textmdp.envs.answers`.

    Args:
        gold: the reference, always first
        answer: the answer to judge
        symbolic: ask sympy (in its own process) for what cannot be decided exactly; if False, that is ``WRONG``

    Returns:
        The outcome. It never raises on any text.

    Raises:
        SymbolicUnavailableError: where algebra is needed and ``textmdp[math]`` is not installed.
    """
    try:
        return _decide(gold, answer, symbolic)
    except _UndecidedError:
        return Outcome.UNDECIDED


def equivalent(gold: str, answer: str, *, symbolic: bool = True) -> bool:
    r"""Return True if :func:`decide` finds the two answers equal.

    >>> equivalent("0.5", r"\frac{1}{2}"), equivalent("0.333", "1/3"), equivalent("(1, 2)", "(2, 1)")
    (True, False, False)
    """
    return decide(gold, answer, symbolic=symbolic) is Outcome.RIGHT


def exactly_equivalent(gold: str, answer: str) -> bool:
    """:func:`equivalent` without algebra."""
    return equivalent(gold, answer, symbolic=False)


def grade(gold: str, response: str, *, symbolic: bool = True) -> Verdict:
    r"""Judge a response by its final answer.

    Args:
        gold: the reference: an answer, or a worked solution that ends in ``\boxed{..}`` or ``#### ..``
        response: a policy's text
        symbolic: as in :func:`decide`

    Returns:
        The verdict; without a final answer, or with several that differ, it is not correct.

    >>> grade("72", "48 / 2 = 24, and 48 + 24 = 72.\n#### 72")
    Verdict(outcome=<Outcome.RIGHT: 'right'>, answer='72', reason='hash')
    """
    # Plain integers, the bulk of arithmetic tasks: a few microseconds.
    fast = _FAST.fullmatch(response)
    if fast is not None and _INTEGER.fullmatch(gold) is not None:
        outcome = Outcome.RIGHT if int(fast[1]) == int(gold) else Outcome.WRONG
        return Verdict(outcome, fast[1], "hash" if "#" in response else "whole")
    undecided = False

    def same(first: str, second: str) -> bool:
        nonlocal undecided
        if undecided:  # the answers conflict as far as is known, and more questions would only cost more time
            return False
        outcome = decide(first, second, symbolic=symbolic)
        undecided = outcome is Outcome.UNDECIDED
        return outcome is Outcome.RIGHT

    found = extract_answer(response, same)
    if found.answer is None:
        return Verdict(Outcome.UNDECIDED if undecided else Outcome.WRONG, None, found.reason)
    return Verdict(decide(reference(gold), found.answer, symbolic=symbolic), found.answer, found.reason)


@functools.lru_cache(maxsize=1024)
def reference(gold: str) -> str:
    """The reference answer: the marked one where the reference is a worked solution, else all of it."""
    if "boxed" in gold or "####" in gold or "fbox" in gold:
        return extract_answer(gold, exactly_equivalent).answer or gold
    return gold
