"""Assert code of data sets: what becomes a call, what stays code, and which tests are worth what."""

from __future__ import annotations

import ast

import pytest

from textmdp.envs.tasks.text_code.formats.conversion import (
    CodeTest,
    assert_test,
    block_tests,
    constant,
    example_tests,
    parse,
)
from textmdp.envs.tasks.text_code.formats.suites import is_weak, shown_calls, without_gifts


@pytest.mark.parametrize(
    ("source", "args", "expected"),
    [
        ("assert f(1) == 2", (1,), 2),
        ("assert 2 == f(1)", (1,), 2),
        ("assert (f(1)) == (2), 'no'", (1,), 2),
        ("assert f(-1, (2,), [3], {4}, {'a': None}) == +1.5", (-1, (2,), [3], {4}, {"a": None}), 1.5),
        ("assert f(3 * 5, 'a' + 'b', 2 ** 10) == [1.0 / 3] * 2", (15, "ab", 1024), [1.0 / 3] * 2),
        ("assert f(set([1]), tuple([]), float('inf')) == set()", ({1}, (), float("inf")), set()),
        ("assert f() is None", (), None),
        ("assert f(b'x', 2j, math.inf) == True", (b"x", 2j, float("inf")), True),
    ],
)
def test_asserts_that_are_calls(source, args, expected):
    call = assert_test(parse(source).body[0], "f").call
    assert (call.args, call.kwargs, call.expected) == (args, {}, expected)
    assert type(call.expected) is type(expected)


@pytest.mark.parametrize(
    "source",
    [
        "assert f(1)",
        "assert not f(1)",
        "assert f(1) is True",
        "assert f(1) != 2",
        "assert f(1) == 2 == 2",
        "assert abs(f(1) - 2.0) < 1e-6",
        "assert math.isclose(f(1), 2.0)",
        "assert set(f(1)) == {1}",
        "assert tuple(f(1)) == (1,)",
        "assert f(1) == f(2)",
        "assert f(x) == 1",
        "assert f(*[1]) == 1",
        "assert f(**{'a': 1}) == 1",
        "assert f(1)[0] == 1",
        "assert f(1) == g(2)",
        "assert f(1) == '%d' % 1",
        "assert f(1) == 9 ** 9 ** 9",
        "assert f(1) == 'a' * 10 ** 9",
        "assert f(1) == 1 / 0",
        "assert f(1) == [1] + 2",
        "assert f(1) == ...",
        "assert f(1) == {**{}}",
        "for x in [1]:\n    assert f(x) == 1",
    ],
)
def test_asserts_that_stay_code(source):
    test = assert_test(parse(source).body[0], "f")
    assert test.call is None
    assert ast.dump(parse(test.source)) == ast.dump(parse(source))


def test_constants_agree_with_python():
    for source in ("1 / 3", "7 // 2", "-7 % 3", "2 ** -1", "[1, (2, {3: 'a'})] + []", "0.1 + 0.2", "'ab' * 2", "--1"):
        assert constant(ast.parse(source, mode="eval").body) == ast.literal_eval(repr(eval(source)))  # noqa: S307


def test_statements_before_asserts_go_with_those_that_need_them():
    body = parse("assert f(1) == 1\nxs = [1]\nxs.append(2)\nprint\nassert f(xs) == 2\nimport os\nassert f(3) == 3").body
    first, second, third = block_tests(body, "f")
    assert first.call is not None
    assert (second.call, second.source) == (None, "xs = [1]\nxs.append(2)\nassert f(xs) == 2")
    assert third.call is not None


def test_examples_of_docstrings():
    text = """
    >>> f(1)  # comment
    2
    >>> f([1,
    ...    2])
    [2, 3]

    Or:
    >>> round(f(0.5), 1)
    1.5
    >>> f(3) == 4
    >>> x = f(1)
    >>> f(2)
    <object at 0x1>
    >>> g(2)
    3
    """
    assert [test.source for test in example_tests(text, "f")] == [
        "assert f(1) == 2", "assert f([1, 2]) == [2, 3]", "assert round(f(0.5), 1) == 1.5", "assert f(3) == 4"
    ]  # fmt: skip
    assert example_tests("  >>>f(1)\n", "f") == []


def test_calls_that_a_text_shows():
    text = "def f(1): f(1, 'a)') is 2; e.f(3), g(f([2, (3)])), f(x), f(4, f(5) ... and f (6)."
    assert shown_calls(text, "f") == {repr(((1, "a)"), {})), repr((([2, 3],), {})), repr(((5,), {}))}


def test_weak_tests():
    def tests(*sources: str) -> list[CodeTest]:
        return [assert_test(parse(source).body[0], "f") for source in sources]

    assert is_weak(tests("assert f(1) == 2", "assert f(2) == 2"), "f")
    assert is_weak(tests("assert f(1) == 1", "assert f(2, 3) == 2"), "f")
    assert is_weak(tests("assert not f(1)", "assert not f(2)"), "f")
    assert not is_weak(tests("assert f(1)", "assert not f(2)"), "f")
    assert not is_weak(tests("assert f(1) == 1", "assert f(2) == 3"), "f")
    assert is_weak([], "f")


def test_a_function_without_a_body_earns_nothing():
    tests = block_tests(parse("assert f(0) == None\nassert f(1) == 1\nassert not f(2)\nassert f(3) == False").body, "f")
    assert [test.source for test in without_gifts(tests, "f")] == [
        "assert f(1) == 1\nassert f(0) == None",
        "assert f(1) == 1",
        "assert f(1) == 1\nassert not f(2)",
        "assert f(3) == False",
    ]
    assert without_gifts(tests[:1], "f") == tests[:1]
