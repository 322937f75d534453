"""Suites and verdicts: what is refused and in which words, equality by content, and what a verdict says."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle

import pytest

from textmdp.envs.judge import Suite, TestResult, Verdict, asserts, calls, operations, stdio, unittests
from textmdp.envs.judge.inside.wire import decode
from textmdp.envs.judge.verdict import error_reason, printable

SUITES = [
    calls("f", [((1, [2]), {"key": {3}}), ([], {})], expected=[0, None]),
    calls("f", [((1,), {})], expected=[0.5], tolerance=1e-6),
    asserts("f", ["assert f(1) == 2", "def check(g):\n    assert g(1)\ncheck(f)"], setup="import math"),
    stdio("3 4\n", "7\n"),
    stdio(["1", ""], ["", "2"]),
    stdio("1", "2", tolerance=1e-6, preamble="import math"),
    stdio("1", "2", compare=print),
    calls("f", [(([2, 1],), {})], expected=[[1, 2]], check="argument 0"),
    operations([(["LRUCache", "put", "get"], [[2], [1, 1], [1]])], expected=[[None, None, 1]]),
    unittests(["f", "g"], "from solution import f, g\ndef test_f(): assert f() == g()"),
]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: type(suite).__name__)
def test_suites_are_values(suite):
    assert isinstance(suite, Suite)
    twin = pickle.loads(pickle.dumps(suite))
    assert twin == suite == copy.deepcopy(suite)
    assert hash(twin) == hash(suite)
    assert [other == suite for other in SUITES].count(True) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(suite, dataclasses.fields(suite)[0].name, ("0",))


def test_lengths():
    assert [len(suite) for suite in SUITES] == [2, 1, 2, 1, 2, 1, 1, 1, 1, 1]


def test_inputs_arrive_as_they_were():
    args, kwargs = decode(SUITES[0].inputs[0])
    assert (args, kwargs) == ((1, [2]), {"key": {3}})
    assert decode(SUITES[0].inputs[1]) == [(), {}]


def test_a_suite_keeps_what_it_was_given():
    given = [1]
    suite = calls("f", [((given,), {})], expected=[given])
    given.append(2)
    assert suite == calls("f", [(([1],), {})], expected=[[1]])
    assert suite != calls("f", [(([1],), {})], expected=[[1.0]])


def test_falsy_expected_values_count():
    falsy = [0, "", [], False, None, (), {}, 0.0]
    suite = calls("f", [((number,), {}) for number in range(len(falsy))], expected=falsy)
    assert [decode(line) for line in suite.expected] == falsy


@pytest.mark.parametrize("entry", ["", "f()", "a.b", "1f", "def", "f ", "__import__('os')", None, 3])
def test_an_entry_is_an_identifier(entry):
    for make in (lambda: calls(entry, [((), {})], [0]), lambda: asserts(entry, ["assert f()"])):
        with pytest.raises(ValueError, match="must be the name of a function") as error:
            make()
        assert repr(entry) in str(error.value)


@pytest.mark.parametrize(
    ("inputs", "expected", "rule"),
    [
        ([], [], "an empty suite"),
        ([((), {})], [], "1 inputs but 0 expected values"),
        ([((), {})], [0, 0], "1 inputs but 2 expected values"),
        ([((), {}), (1, 2)], [0, 0], r"test 1: an input must be a pair .* got \(1, 2\)"),
        ([((), {}), ((1,),)], [0, 0], "test 1: an input must be a pair"),
        ([(1,)], [0], "test 0: an input must be a pair"),
        ([("ab", {})], [0], "test 0: an input must be a pair"),
        ([((), [])], [0], "test 0: keyword arguments must be a dict"),
        ([((), {1: 2})], [0], "test 0: keyword arguments must be a dict"),
        ([((object(),), {})], [0], "test 0: an argument must be plain data: a object is not plain data; got .*object"),
        ([((), {"x": len})], [0], "test 0: an argument must be plain data"),
        ([((iter([]),), {})], [0], "test 0: an argument must be plain data: a list_iterator"),
        ([((), {}), ((), {})], [0, [{"x": object}]], "test 1: the expected value must be plain data"),
        ([((), {})], [(i for i in ())], "test 0: the expected value must be plain data: a generator"),
        ("f(1)", [0], "not a string"),
        ([((), {})], "0", "not a string"),
    ],
)
def test_what_calls_refuses(inputs, expected, rule):
    with pytest.raises((ValueError, TypeError), match=rule):
        calls("f", inputs, expected)


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf, True])
def test_a_tolerance_is_a_number(tolerance):
    with pytest.raises(ValueError, match=f"tolerance must be a finite number >= 0 or None, got {tolerance!r}"):
        calls("f", [((), {})], [0], tolerance)


@pytest.mark.parametrize(
    ("tests", "setup", "rule"),
    [
        ([], "", "an empty suite"),
        ("assert f()", "", "not one string"),
        (["assert f()", ""], "", "test 1 is empty"),
        (["assert f()", "# nothing"], "", "test 1 is empty"),
        (["assert f()", "\n\nassert f( =="], "", "test 1, line 3: not Python"),
        (["assert f()"], "import", "setup, line 1: not Python"),
        (["assert f()", "assert '\x00'"], "", "test 1.*not Python"),
        (["assert " + "(" * 300 + ")" * 300], "", "test 0.*not Python"),
        (["f(1)"], "", "neither the tests nor the setup hold an assert"),
        ([b"assert f()"], "", "test 0 must be Python source, got b'assert"),
        (["assert f()"], None, "setup must be Python source, got None"),
        (["x = 1\nassert eval(f())"], "", "test 0, line 2: uses eval, which could run"),
        (["exec(f())"], "assert 1", "uses exec"),
        (["assert f()"], "import os\nimport pickle as p", "setup, line 2: uses pickle"),
        (["from pickle import loads\nassert loads(f())"], "", "test 0, line 1: uses pickle"),
        (["import marshal\nassert f()"], "", "uses marshal"),
        (["assert __import__('pickle').loads(f())"], "", "uses __import__"),
        (["from builtins import eval as e\nassert e(f())"], "", "uses builtins"),
        (["run = eval\nassert run(f())"], "", "uses eval"),
    ],
)
def test_what_asserts_refuses(tests, setup, rule):
    with pytest.raises((ValueError, TypeError), match=rule):
        asserts("f", tests, setup)


@pytest.mark.parametrize(
    "test",
    [
        "if f(3) != 9: raise ValueError('no')",
        "import unittest\nunittest.TestCase().assertEqual(f(3), 9)",
        "import pytest\nwith pytest.raises(ValueError): f(None)",
        "import pytest\nf(3) == 9 or pytest.fail('no')",
    ],
)
def test_tests_may_fail_without_the_word_assert(test):
    assert asserts("f", [test]).tests == (test,)


@pytest.mark.parametrize(
    ("tests", "expected", "rule"),
    [
        ([(["A", "b"], [[1]])], [[None, 1]], "test 0: there must be arguments for each of the names"),
        ([(["A"], [[]]), (["B"], [[]])], [[None], [None]], "test 1: .* the same class in all tests"),
        ([(["A", "b"], [[], []])], [[None]], "test 0: 2 operations need as many expected results"),
        ([(["A", "b c"], [[], []])], [[None, 1]], "must be the name of a function"),
        ([("A", [[]])], [[None]], "must be a pair"),
        ([(["A"], [[object()]])], [[None]], "plain data"),
        ([], [], "an empty suite"),
        ([(["A"], [[]])], [], "1 inputs but 0 expected"),
    ],
)
def test_what_operations_refuses(tests, expected, rule):
    with pytest.raises((ValueError, TypeError), match=rule):
        operations(tests, expected)


@pytest.mark.parametrize("check", ["argument", "argument -1", "argument 0 ", "results", 0])
def test_what_check_refuses(check):
    with pytest.raises(ValueError, match="check must be"):
        calls("f", [(([1],), {})], [[1]], check=check)


def test_a_checked_argument_is_there():
    with pytest.raises(ValueError, match="test 1: check='argument 1', but the input has no such argument"):
        calls("f", [((1, 2), {}), ((1,), {})], [0, 0], check="argument 1")
    calls("f", [((), {"nums": [1]})], [[1]], check="argument nums")


def test_what_asserts_allows():
    asserts("f", ["import re, math\nassert re.compile('a').match(f())"])  # a method of that name runs nothing
    asserts("f", ["check(f)"], setup="def check(candidate):\n    assert candidate(1) == 2")
    asserts("f", ["assert f(1) == 2 and f('eval(1)')\r\n"])


@pytest.mark.parametrize(
    ("stdin", "expected", "rule"),
    [
        ("1", ["1"], "not one of each"),
        (["1"], "1", "not one of each"),
        ([], [], "an empty suite"),
        (["1", "2"], ["1"], "2 inputs but 1 expected outputs"),
        (["1", 2], ["1", "2"], "case 1: stdin must be a string, got 2"),
        (["1"], [b"1"], "case 0: expected must be a string, got b'1'"),
        ("\ud800", "1", "case 0: stdin has no UTF-8"),
        ("1", "\ud800", "case 0: expected has no UTF-8"),
    ],
)
def test_what_stdio_refuses(stdin, expected, rule):
    with pytest.raises((ValueError, TypeError), match=rule):
        stdio(stdin, expected)


def test_verdicts_count():
    verdict = Verdict((TestResult(True, "passed"), TestResult(False, "wrong"), TestResult(False, "timeout")), "hi", 1.0)
    assert (verdict.passed, verdict.total, verdict.score) == (1, 3, 1 / 3)
    assert pickle.loads(pickle.dumps(verdict)) == verdict
    assert hash(verdict) == hash(copy.deepcopy(verdict))


@pytest.mark.parametrize(
    ("name", "message", "reason"),
    [
        ("ZeroDivisionError", "division by zero", "error: ZeroDivisionError: division by zero"),
        ("ValueError", "", "error: ValueError"),
        ("E", "a\nb\x1b[2J\r", r"error: E: a\nb\x1b[2J\r"),
        ("E", "\ud800\u202e\u2028é", r"error: E: \ud800\u202e\u2028é"),
        ("E", "x" * 1000, "error: E: " + "x" * 189 + "…"),
        ("E", "\x00" * 1000, "error: E: " + "\\x00" * 47 + "\\…"),
    ],
)
def test_reasons_are_one_printable_line(name, message, reason):
    assert error_reason(name, message) == reason
    assert len(reason) <= 200
    assert reason.isprintable()


def test_printable_is_short_and_lazy():
    assert printable("abc", 3) == "abc"
    assert printable("abcd", 3) == "ab…"
    assert len(printable("\x00" * 10**6, 50)) == 50
