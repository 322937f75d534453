"""Verdicts: :func:`equivalent` on two answers, :func:`grade` on a reference and a response."""

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


class Verdict(NamedTuple):
    """The judgement of a response."""

    correct: bool
    """Whether the final answer equals the reference."""
    answer: str | None
    """The final answer as written, or None."""
    reason: str
    """``"hash"``, ``"boxed"``, ``"label"``, ``"whole"``, ``"prose"``: where it stood; ``"none"`` or ``"conflict"``."""


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


class _NoVerdictError(Exception):
    """The worker gave no verdict: not cached, since the machine may have been busy."""


@functools.lru_cache(maxsize=CACHE_SIZE)
def _decide(gold: str, answer: str, symbolic: bool) -> bool:
    gold, answer = clean(gold), clean(answer)
    verdict = _exact(gold, answer)
    if verdict is None and symbolic:
        verdict = WORKER.ask(gold, answer)
        if verdict is None:
            raise _NoVerdictError
    return verdict is True


def equivalent(gold: str, answer: str, *, symbolic: bool = True) -> bool:
    r"""Whether two answers are the same; the conventions stand in :mod:`textmdp.envs.answers`.

    Args:
        gold: the reference, always first
        answer: what is judged
        symbolic: ask sympy (in its own process) what cannot be decided exactly; if False, that is not equal

    Returns:
        The verdict. It never raises on any text.

    Raises:
        SymbolicUnavailableError: where algebra is needed and ``textmdp[math]`` is not installed.

    >>> equivalent("0.5", r"\frac{1}{2}"), equivalent("0.333", "1/3"), equivalent("(1, 2)", "(2, 1)")
    (True, False, False)
    """
    try:
        return _decide(gold, answer, symbolic)
    except _NoVerdictError:
        return False


def equivalent_exactly(gold: str, answer: str) -> bool:
    """:func:`equivalent` without algebra."""
    return equivalent(gold, answer, symbolic=False)


def grade(gold: str, response: str, *, symbolic: bool = True) -> Verdict:
    r"""Judge a response by its final answer.

    Args:
        gold: the reference: an answer, or a worked solution that ends in ``\boxed{..}`` or ``#### ..``
        response: what a policy wrote
        symbolic: as in :func:`equivalent`

    Returns:
        The verdict; without a final answer, or with several that differ, it is not correct.

    >>> grade("72", "48 / 2 = 24, and 48 + 24 = 72.\n#### 72")
    Verdict(correct=True, answer='72', reason='hash')
    """
    # Plain integers, the bulk of arithmetic tasks: a few microseconds.
    fast = _FAST.fullmatch(response)
    if fast is not None and _INTEGER.fullmatch(gold) is not None:
        answer = fast[1]
        return Verdict(int(answer) == int(gold), answer, "hash" if "#" in response else "whole")
    found = extract_answer(response, same=functools.partial(equivalent, symbolic=symbolic))
    if found.answer is None:
        return Verdict(False, None, found.reason)
    return Verdict(equivalent(reference(gold), found.answer, symbolic=symbolic), found.answer, found.reason)


@functools.lru_cache(maxsize=1024)
def reference(gold: str) -> str:
    """The reference answer: the marked one where the reference is a worked solution, else all of it."""
    if "boxed" in gold or "####" in gold or "fbox" in gold:
        return extract_answer(gold).answer or gold
    return gold
