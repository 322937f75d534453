"""Rows of APPS as problems: a function, or a program that reads standard input; see `datasets`."""

from __future__ import annotations

from typing import Any

from textmdp.envs.data.dataset_rows import kind_of
from textmdp.envs.judge import Suite, stdio
from textmdp.envs.tasks.text_code.formats.conversion import CodeTest, call_test
from textmdp.envs.tasks.text_code.formats.fields import Fields
from textmdp.envs.tasks.text_code.formats.suites import apart, shown_calls, suite_of
from textmdp.envs.tasks.text_code.problem import CodeProblem

# What its authors put in front of programs, but for numpy.
_IMPORTS = """import sys
import time
import itertools
from itertools import accumulate, product, permutations, combinations
import collections
from collections import Counter, OrderedDict, deque, defaultdict, ChainMap
from functools import lru_cache
import math
from math import sqrt, sin, cos, tan, ceil, fabs, floor, gcd, exp, log, log2
import fractions
from typing import List, Tuple
import random
import heapq
from heapq import *
"""

# Answers came as JSON, which has no tuples, and some of them in a list of their own.
_SAME = """def same(out, exp):
    if isinstance(out, tuple):
        out = list(out)
    plain = [list(item) if isinstance(item, tuple) else item for item in out] if isinstance(out, list) else out
    return out == exp or plain == exp or (len(exp) > 0 and (out == exp[0] or plain == exp[0]))"""


def apps(fields: Fields) -> CodeProblem | None:
    """A row of APPS; None where it holds no test.

    Raises:
        DataError: it cannot be read.
    """
    cases = fields.json("input_output") or {}
    if not isinstance(cases, dict):
        raise fields.error("input_output", f"an object is expected, not {kind_of(cases)}")
    inputs, outputs, entry = cases.get("inputs") or [], cases.get("outputs") or [], cases.get("fn_name") or ""
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise fields.error("input_output", "'inputs' and 'outputs' must be equally long lists")
    if not inputs:
        return None
    question = fields.text("question").strip()
    starter = fields.text("starter_code", needed=False).rstrip()
    solutions = fields.json("solutions") or [""]
    if not isinstance(solutions, list) or not isinstance(solutions[0], str):
        raise fields.error("solutions", "a list of texts is expected")
    try:
        visible, hidden = _called(question, entry, inputs, outputs) if entry else _read(question, inputs, outputs)
    except (TypeError, ValueError) as error:
        raise fields.error("input_output", error) from error
    asked = f"{question}\n\n{starter}".rstrip()
    return CodeProblem(
        prompt=f"{asked}\n\nUse {'Call-Based' if entry else 'Standard Input'} format\n",
        preamble=_IMPORTS,
        stub=f"{_IMPORTS}\n{starter}\n" if starter and entry else "",
        entry=entry,
        visible=visible,
        hidden=hidden,
        solution=solutions[0].replace("\r\n", "\n"),
    )


def _called(question: str, entry: str, inputs: list[Any], outputs: list[Any]) -> tuple[Suite | None, Suite]:
    """The suites of a function."""
    tests = []
    for number, (args, expected) in enumerate(zip(inputs, outputs, strict=True)):
        if not isinstance(args, list):
            raise ValueError(f"input {number}: a list of arguments is expected, not {kind_of(args)}")
        test = call_test(entry, tuple(args), {}, expected)
        if isinstance(expected, list):
            written = ", ".join(map(repr, args))
            test = CodeTest(f"assert same({entry}({written}), {expected!r})", test.called)
        tests.append(test)
    shown, hidden = apart(tests, shown_calls(question, entry))
    return suite_of(entry, shown, _SAME) if shown else None, suite_of(entry, hidden, _SAME)


def _read(question: str, inputs: list[Any], outputs: list[Any]) -> tuple[Suite | None, Suite]:
    """The suites of a program that reads standard input. What the question quotes, in lines of its own, is shown."""
    cases = [(_lines(given), _lines(printed)) for given, printed in zip(inputs, outputs, strict=True)]
    text = f"\n{_flat(question)}\n"
    quoted = [all(f"\n{_flat(part)}\n" in text for part in case) for case in cases]
    shown = [case for case, is_shown in zip(cases, quoted, strict=True) if is_shown]
    hidden = [case for case in cases if case not in shown] or cases
    return stdio(*zip(*shown, strict=True)) if shown else None, stdio(*zip(*hidden, strict=True))


def _lines(value: Any) -> str:
    """A text, or lines that are joined."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise ValueError(
            f"inputs and outputs must be texts or lists of texts where no fn_name is given, not {value!r}"[:200]
        )
    return value


def _flat(text: str) -> str:
    """The text without blank lines and without white space around its lines."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
