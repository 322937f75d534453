"""What programs print against what they should: lines, exact texts, words with a tolerance, and a caller's function."""

from __future__ import annotations

import pytest

from textmdp.envs.judge import Judge, stdio
from textmdp.envs.judge.outputs import compared

PATIENT = {"wall": 60.0, "cpu": 30.0}


@pytest.mark.parametrize(
    ("printed", "expected", "lines", "exact", "tokens"),
    [
        ("1 2\n", "1 2\n", True, True, True),
        ("1 2", "1 2\n", True, False, True),
        ("1 2 \n\n", "1 2\n", True, False, True),
        ("1  2\n", "1 2\n", False, False, True),
        ("1\n2\n", "1 2\n", False, False, True),
        (" 1 2", "1 2", False, False, True),
        ("12", "1 2", False, False, False),
        ("1 2 3", "1 2", False, False, False),
        ("", "", True, True, True),
        ("", "\n", True, False, True),
        ("1\u00a02", "1 2", False, False, False),
        ("\udcff", "?", False, False, False),
    ],
)
def test_comparisons_by_name(printed, expected, lines, exact, tokens):
    found = [compared("", printed, expected, name, None).passed for name in ("lines", "exact", "tokens")]
    assert found == [lines, exact, tokens]


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("0.3333", "0.333333", True),
        ("0.33", "0.333333", False),
        ("3", "3.0000", True),
        ("3.0004", "3", True),
        ("1000100", "1000000", True),
        ("1002000", "1000000", False),
        (".5 5.", "0.5 5", True),
        ("1e-1", "0.1", True),
        ("YES 0.5", "YES 0.5001", True),
        ("yes 0.5", "YES 0.5", False),
        ("nan", "1", False),
        ("1", "nan", False),
        ("inf", "1e999", False),
        ("1e999", "1", False),
        ("1", "1e999", False),
        ("1e999", "2e999", False),
        ("0x1", "1", False),
        ("1_0", "10", False),
        ("\u0661", "1", False),
        ("1" * 100_000, "1", False),
        ("1 1", "1", False),
    ],
)
def test_a_tolerance_is_for_numbers(printed, expected, same):
    suite = stdio("", expected, tolerance=1e-3)
    assert suite.compare == "tokens"
    assert compared("", printed, expected, suite.compare, suite.tolerance).passed is same


def is_a_divisor(given: str, printed: str, expected: str) -> bool:
    return int(given) % int(printed) == 0 and int(printed) > 1


def test_a_function_decides():
    suite = stdio(["6\n", "35\n"], ["2", "5"], compare=is_a_divisor)
    programs = [f"n = int(input()); print({value})" for value in ("n", "2", "'x'", "0")]
    with Judge(1) as judge:
        found = [[t.reason for t in v.tests] for v in judge.grade([(p, suite) for p in programs], **PATIENT)]
    assert found[0] == ["passed", "passed"]
    assert found[1] == ["passed", "wrong"]
    assert found[2] == ["wrong: the comparison raised ValueError: invalid literal for int() with base 10: 'x\\n'"] * 2
    assert found[3] == ["wrong: the comparison raised ZeroDivisionError: integer modulo by zero"] * 2 or all(
        reason.startswith("wrong: the comparison raised ZeroDivisionError") for reason in found[3]
    )


def test_a_function_that_returns_nothing_is_an_error_and_no_verdict():
    with Judge(1) as judge, pytest.raises(TypeError, match="returned None; it must return whether"):
        judge.grade([("print(1)", stdio("", "1", compare=lambda given, printed, expected: None))], **PATIENT)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"compare": "words"}, "must be a function or one of"),
        ({"compare": "exact", "tolerance": 1e-6}, 'tolerance is for compare="tokens"'),
        ({"tolerance": -1.0}, "finite number >= 0"),
        ({"preamble": "import"}, "preamble: not Python"),
    ],
)
def test_what_is_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        stdio("", "", **options)
