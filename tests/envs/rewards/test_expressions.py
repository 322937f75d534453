"""Expressions of parts: how they are read, what they are worth, and what is refused."""

import pickle

import pytest

from textmdp.envs.rewards import Clip, Gate, Part, Product, Sequence, Sum, parse
from textmdp.envs.rewards.rules import LengthLimit, Politeness

A, B, C = Part("a"), Part("b"), Part("c")


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        ("a", A, "a"),
        ("-a", Sum(((-1.0, A),)), "-a"),
        ("a + 0.1 * b", Sum(((1.0, A), (0.1, B))), "a + 0.1 * b"),
        ("a - b*2 - c", Sum(((1.0, A), (-2.0, B), (-1.0, C))), "a - 2 * b - c"),
        ("2 * (a + b)", Sum(((2.0, A), (2.0, B))), "2 * a + 2 * b"),
        ("a * b", Product((A, B)), "a * b"),
        ("a * b * c", Product((Product((A, B)), C)), "a * b * c"),
        ("0.5 * a * b", Product((Sum(((0.5, A),)), B)), "(0.5 * a) * b"),
        ("0.5 * (a * b)", Sum(((0.5, Product((A, B))),)), "0.5 * a * b"),
        ("product(a, b, c)", Product((A, B, C)), "a * b * c"),
        ("gate(a, b)", Gate(A, B), "gate(a, b)"),
        ("gate(a, b, at_least=0)", Gate(A, B, 0.0), "gate(a, b, at_least=0)"),
        ("sequence(a, b, c)", Sequence((A, B, C)), "sequence(a, b, c)"),
        ("clip(a + b, 0, -1 + 2)", None, None),
        ("clip(a + b, -1, 1)", Clip(Sum(((1.0, A), (1.0, B))), -1.0, 1.0), "clip(a + b, -1, 1)"),
        ({"a": 1, "b": 0}, Sum(((1.0, A), (0.0, B))), "a + 0 * b"),
        ({"gate(a, b)": 2}, Sum(((2.0, Gate(A, B)),)), "2 * gate(a, b)"),
        ({A: 1, Gate(A, B): 0.5}, Sum(((1.0, A), (0.5, Gate(A, B)))), "a + 0.5 * gate(a, b)"),
    ],
)
def test_reads(text, expected, shown):
    if expected is None:
        with pytest.raises(ValueError, match="is none of a part's name"):
            parse(text)
        return
    found = parse(text)
    assert found == expected
    assert str(found) == shown
    assert parse(found) == found
    assert pickle.loads(pickle.dumps(found)) == found
    values = {"a": 0.3, "b": -2.0, "c": 5.0}
    assert parse(str(found)).value(values) == pytest.approx(found.value(values))  # what is shown can be read again


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a - 2 * b", {"a": 1.0, "b": 0.25}, 0.5),
        ("a * b", {"a": 0.5, "b": 0.5}, 0.25),
        ("gate(a, b)", {"a": 1.0, "b": 0.7}, 0.7),
        ("gate(a, b)", {"a": 0.99, "b": 0.7}, 0.0),
        ("gate(a, b, at_least=0.5)", {"a": 0.5, "b": 0.7}, 0.7),
        ("sequence(a, b, c)", {"a": 1.0, "b": 1.0, "c": 1.0}, 1.0),
        ("sequence(a, b, c)", {"a": 1.0, "b": 0.5, "c": 1.0}, 0.5),
        ("sequence(a, b, c)", {"a": 0.0, "b": 1.0, "c": 1.0}, 0.0),
        ("clip(3 * a, 0, 1)", {"a": 1.0}, 1.0),
        ("clip(3 * a, 0, 1)", {"a": -1.0}, 0.0),
        ("a + b", {"a": 1.0}, 1.0),  # b does not apply
    ],
)
def test_values(text, values, expected):
    assert parse(text).value(values) == pytest.approx(expected)


def test_rules_take_arguments():
    (part,) = parse("length_limit(200, unit='words')").parts()
    assert part.function == LengthLimit(200, "words")
    assert part.name == "length_limit(200, unit='words')"
    (part,) = parse("0.5 * politeness(cap=1)").parts()
    assert part.function == Politeness(1)


def test_functions_by_path_and_by_object():
    (part,) = parse("os.path:basename").parts()
    assert part.name == "os.path:basename"
    assert part.function("a/b") == "b"

    def shortness(completions):
        return [-len(text) for text in completions]

    (part,) = parse(shortness).parts()
    assert (part.name, part.function) == ("shortness", shortness)
    (_, other) = parse({"a": 1, shortness: 2}).parts()
    assert other.function is shortness


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("", ValueError, "is no expression of parts"),
        ("a +", ValueError, "is no expression of parts"),
        ("1", ValueError, "'1' is none of a part's name"),
        ("2 * 3", ValueError, r"'2 \* 3' is none of"),
        ("a / b", ValueError, "'a / b' is none of"),
        ("a.b", ValueError, "'a.b' is none of"),
        ("__import__('os').system('true')", ValueError, "is none of"),
        ("[a]", ValueError, "is none of"),
        ("open('x')", ValueError, r"there is no open\(…\); there are gate, sequence"),
        ("gate(a)", ValueError, r"gate\(…\) takes a condition"),
        ("gate(a, 1)", ValueError, r"gate\(…\) takes a condition"),
        ("clip(a)", ValueError, r"clip\(…\) takes a part"),
        ("clip(a, 1, 0)", ValueError, "the lower bound comes first"),
        ("sequence()", ValueError, r"sequence\(…\) takes steps"),
        ("length_limit(limit=a)", ValueError, "'a' is none of"),
        ("length_limit(most=3)", ValueError, "unexpected keyword argument 'most'"),
        ("no_such_module:function", ImportError, "there is no module 'no_such_module'"),
        ("os:no_such_function", ImportError, "'os' has no 'no_such_function'"),
        ("os:name", TypeError, "and no function"),
        ({}, ValueError, "has no part"),
        ({"a": "1"}, TypeError, "the weight of 'a' must be a number"),
        ({"a": True}, TypeError, "the weight of 'a' must be a number"),
        (3, TypeError, "neither a text, a function nor a mapping"),
    ],
)
def test_refuses(spec, error, message):
    with pytest.raises(error, match=message):
        parse(spec)
