"""Claims of hostile programs: agreement with Python's `==`, forged lines, and the work that they cost."""

from __future__ import annotations

import contextlib
import copy
import datetime
import math
import tracemalloc
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_data import plain, same

from textmdp.envs.judge import claims
from textmdp.envs.judge.claims import ClaimError, matches, parse
from textmdp.envs.judge.inside.wire import EncodingError, decode, encode


@given(plain, plain)
@settings(max_examples=400)
def test_comparison_is_pythons(one, other):
    assert same(one, other) == (one == other)


VARIANTS = [
    *(1, 1.0, True, 1 + 0j, Fraction(1), Decimal("1.0"), "1", b"1", [1], (1,), {1}, {1: 1}, range(1, 2), None),
    *(0, 0.0, -0.0, False, "", b"", [], (), set(), {}, range(0), range(5, 2), deque(), 0j, complex(-0.0, -0.0)),
    *(0.1 + 0.2, 0.3, 2**53 + 1, float(2**53), 2**53, 10**400, math.inf, -math.inf, Decimal("Infinity"), 2**5000),
    *([[1], [2]], [[1.0], [True + 1]], [(1,), (2,)], ([1], [2]), {1, 2}, frozenset({2.0, True}), {2: 1, 1: 2}),
    *({1: [2], (1, 2.0): None}, {(True, 2): None, 1.0: [2.0]}, {(1, 2): 0, 1: [2]}, {"a": 0}, {"a": False}, {"b": 0}),
    *({frozenset({1, (2,)})}, {frozenset({True, (2.0,)})}, {frozenset({1, 2})}, {frozenset()}, {()}, {None}, {""}),
    *("\ud83d\ude00", "😀", "\x00", "\ud800", "é", "e\u0301", b"\x00\xff", bytearray(b"\x00\xff"), range(0, 3, 2)),
    *(range(0, 4, 2), range(3), [0, 1, 2], Decimal("0.1"), 0.1, Fraction(1, 10), Fraction(0.1), Fraction(1, 3)),
    *(datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2), datetime.time(), datetime.timedelta(1), 1 + 1e-9),
    *(deque([1]), Counter("aab"), {"a": 2, "b": 1}, OrderedDict(b=1, a=2), defaultdict(int, a=2, b=1)),
]


@pytest.mark.parametrize("index", range(len(VARIANTS)), ids=lambda index: repr(VARIANTS[index])[:30])
def test_every_pair_of_variants(index):
    for other in VARIANTS:
        assert same(VARIANTS[index], other) == (VARIANTS[index] == other), other


@given(st.floats(allow_nan=False) | st.sampled_from([5e-324, -5e-324, 2.0**-1022, 1.7976931348623157e308]))
def test_keys_are_exact_across_types(number):
    others = [number]  # no set: they are equal
    if math.isfinite(number):
        others += [Fraction(number)]
        if len(str(Decimal(number))) < 900:
            others += [Decimal(number)]
        if number == int(number):
            others += [int(number)]
    for other in others:
        assert same({number}, {other})
        assert same({(other,): 1}, {(number,): 1})
        assert same({number, None}, {None, other})
    assert not same({number}, {math.nextafter(number, 0) if number else 1.0})


NAN = float("nan")


@pytest.mark.parametrize("value", [NAN, [NAN], {NAN}, {NAN: 1}, {1: NAN}, (1, NAN), complex(NAN, 0), Decimal("NaN")])
def test_nan_equals_nothing(value):
    assert not same(value, value)
    assert not same(value, copy.deepcopy(value), 1e9)
    assert not same(0.0, value, 1e9)
    assert not same(value, 0.0, 1e9)


@pytest.mark.parametrize(
    ("expected", "claimed", "close"),
    [
        (1.0, 1.0 + 1e-7, True),
        (1.0, 1.0 + 1e-5, False),
        (1.0, 1, True),
        (1e12, 1e12 + 1e5, True),
        (1e12, 1e12 + 1e7, False),
        (0.0, 9e-7, True),
        (1.5, math.inf, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (math.inf, 1e308, False),
        (1e308, -1e308, False),
        (1.0, 10**400, False),
        (1.0, 1.0 + 1e-9j, False),
        (1 + 1j, 1 + 1.0000001j, True),
        (1 + 1j, 1, False),
        (1 + 0j, 1.0000001, True),
        (1, 1.0000001, False),
        (True, 1.0000001, False),
        ([1.0, {"a": (2.0,)}], [1.0000001, {"a": (1.9999999,)}], True),
        ({1.0}, {1.0000001}, False),
        ({1.0: 0}, {1.0000001: 0}, False),
        (1.0, "1.0", False),
        (1.0, None, False),
        (1.0, [1.0], False),
        (1.5, Decimal("1.5"), True),
        (1.5, Fraction(3, 2), True),
    ],
)
def test_tolerance(expected, claimed, close):
    assert same(expected, claimed, 1e-6) is close


def test_zero_tolerance_is_exact():
    assert same(0.3, 0.3, 0.0)
    assert not same(0.3, 0.1 + 0.2, 0.0)
    assert not same(math.inf, 1.0, 0.0)


FORGED = [
    b"",
    b"\xff",
    "é".encode(),
    b"nul",
    b"1 2",
    b"[1,]",
    b"'a'",
    b'"\\ud800',
    b'"a\nb"',
    b"{}",
    b'{"t":[],"t":[]}',
    b'{"t":[],"s":[]}',
    b'{"t":1}',
    b'{"t":{"t":[]}}',
    b'{"z":[]}',
    b'{"__class__":"Suite"}',
    b'{"s":null}',
    b'{"d":[1]}',
    b'{"d":[[1]]}',
    b'{"d":[[1,2,3]]}',
    b'{"d":[{"t":[1,2]}]}',
    b'{"i":1}',
    b'{"i":"1"}',
    b'{"i":"0x"}',
    b'{"i":"0x1_0"}',
    b'{"i":" 0x1"}',
    b'{"u":"zz"}',
    b'{"u":"ff"}',
    b'{"b":"0"}',
    b'{"b":[0]}',
    b'{"c":[1,2]}',
    b'{"c":[1.0]}',
    b'{"x":1}',
    b'{"g":"x"}',
    b'{"r":["Decimal","1e5"]}',
    b'{"r":["Decimal","1E99999999"]}',
    b'{"r":["Fraction","1/0"]}',
    b'{"r":["date","2020-13-01"]}',
    b'{"r":["range","0,1,0"]}',
    b'{"r":["eval","1"]}',
    b'{"r":["Decimal",1]}',
    b'{"r":"Decimal"}',
    b"1" * 101,
    b"[0." + b"1" * 101 + b"]",
    b"1e" + b"1" * 101,
    b"[" * 200_000 + b"]" * 200_000,
    b'{"t":' * 10_000,
    b'[["\\"]]",' + b"[" * 400 + b"]" * 400 + b"]",
]


@pytest.mark.parametrize("line", FORGED, ids=lambda line: repr(line[:40]))
def test_forged_lines_are_refused(line):
    with pytest.raises(ClaimError):
        parse(line)
    with pytest.raises(EncodingError):
        decode(line)


def test_brackets_and_digits_in_strings_do_not_count():
    for text in ("[" * 5000, "]" * 5000, '"' * 5000, "\\" * 5001, '\\"[' * 5000, "1" * 5000, '[{"'):
        assert parse(encode([text]).encode()) == [text]


def test_the_limit_is_on_the_line():
    assert parse(b'"' + b"x" * 98 + b'"', 100) == "x" * 98
    with pytest.raises(ClaimError, match="limit is 100"):
        parse(b'"' + b"x" * 99 + b'"', 100)
    assert len(parse(b'"' + b"x" * (2 << 20) + b'"', None)) == 2 << 20


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_fuzzed_bytes_only_raise_claim_errors(data):
    with contextlib.suppress(ClaimError):
        parse(data)


fragments = st.sampled_from(
    [*'[]{}:,"\\-.eE0123456789tsdqgbcirux ', *('{"t":[', '{"d":[[', "]}", "NaN", "Infinity", "null", "true", "\\ud83d")]
)


@given(st.lists(fragments, max_size=60).map("".join))
@settings(max_examples=500)
def test_fuzzed_fragments_only_raise_claim_errors(text):
    try:
        tree = parse(text.encode())
    except ClaimError:
        return
    for expected in (1, [1], {1}, {1: 2}, (1, 2), "a", {(1, 2)}, 1.0):
        matches(parse(encode(expected)), tree, 1e-6)
        matches(tree, parse(encode(expected)), 1e-6)
    with contextlib.suppress(EncodingError):
        decode(text)


@given(plain, st.data())
@settings(max_examples=200)
def test_damaged_lines_only_raise_claim_errors(value, data):
    line = bytearray(encode(value).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ClaimError):
        matches(parse(encode(value)), parse(bytes(line)))


def colliding(form, count=11_000):
    return ",".join(form.format(k * ((1 << 61) - 1)) for k in range(1, count)).join(('{"s":[', "]}")).encode()


LONG = {
    "ints": b"[" + b"1," * 125_000 + b"1]",
    "lists": b"[" + b"[]," * 75_000 + b"1]",
    "tuples": b"[" + b'{"t":[]},' * 27_000 + b"1]",
    "pairs": b'{"d":[' + b"[1,1]," * 40_000 + b"[1,1]]}",
    "quotes": b'"\\' + b'"\\' * 125_000,
    "open quotes": b'"' * 250_000,
    "backslashes": b'"' + b"\\" * 250_000,
    "a long integer": b'{"i":"0x' + b"f" * 250_000 + b'"}',
    "digits in pieces": b"[" + (b"1" * 99 + b",") * 2_500 + b"1]",
    "brackets": b"[]" * 125_000,
    "open brackets": b"[" * 250_000,
    "colliding integers": colliding("{}"),
    "colliding tuples": colliding('{{"t":[{}]}}', 8_000),
    "colliding sets": colliding('{{"s":[{}]}}', 8_000),
    "tiny floats": b'{"s":[' + b"5e-324," * 35_000 + b"1]}",
    "large floats": b'{"s":[{"s":[' + b"1e308," * 40_000 + b"1]}]}",
    "deep tuples": b'{"s":[' + b'{"t":[' * 100 + b'"' + b"x" * 250_000 + b'"' + b"]}" * 100 + b"]}",
    "deep sets": b'{"s":[' + (b'{"s":[' * 100 + b"1" + b"]}" * 100 + b",") * 300 + b"1]}",
    "common prefixes": b'{"s":[{"s":[' + b",".join(b'"%s%d"' % (b"x" * 1000, k) for k in range(250)) + b"]}]}",
}


@pytest.mark.parametrize("name", LONG)
def test_hostile_lines_cost_linear_work(name, monkeypatch):
    """No clock: the work is counted in comparisons of keys and the memory in bytes."""
    tracemalloc.start()
    try:
        tree = parse(LONG[name], 2 << 20)
        items = tree.items if type(tree) is claims.Node else tree if type(tree) is list else []
        many = claims.Node("s", list(range(len(items))))
        keys = []
        key = claims._key
        monkeypatch.setattr(claims, "_key", lambda value: keys.append(1) or key(value))
        for expected in (many, 1.0, Decimal(1)):
            assert not matches(expected, tree, 1e-6)
        assert len(keys) <= 8 * len(LONG[name])
    except ClaimError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 200 * len(LONG[name])


def test_nothing_hostile_is_ever_hashed(monkeypatch):
    """Every `set` and `dict` that a comparison builds is made of keys of the expected side: texts of trusted values."""
    collide = parse(colliding("{}"), 2 << 20)
    assert type(collide) is claims.Node
    assert type(collide.items) is list
    assert not matches(claims.Node("s", list(range(1, len(collide.items) + 1))), collide)
    assert matches(parse(encode({k * ((1 << 61) - 1) for k in range(1, 50)})), parse(colliding("{}", 50)))


def test_a_huge_int_against_a_decimal_or_fraction():
    """Python's own comparison would convert millions of digits."""
    huge = parse(b'{"i":"0x' + b"f" * 1_000_000 + b'"}')
    for expected in (Decimal("1E+900"), Fraction(10**900, 7), 1.5, 1e308, math.inf, Decimal("Infinity"), 1 + 1j):
        assert not matches(expected, huge)
        assert not matches(expected, huge, 1e-6)


def test_sets_with_elements_twice_are_no_sets():
    for line in (b'{"s":[1,1]}', b'{"s":[1,1.0]}', b'{"s":[1,true]}'):
        assert not matches(parse(encode({1, 2})), parse(line))
        assert not matches(parse(encode({1})), parse(line))
    assert not matches(parse(encode({frozenset({1, 2})})), parse(b'{"s":[{"s":[1,1]}]}'))
    assert not matches(parse(encode({1: 1, 2: 2})), parse(b'{"d":[[1,1],[1,1]]}'))


def test_unhashable_keys_match_nothing():
    for line in (b'{"s":[[1]]}', b'{"s":[{"d":[]}]}', b'{"s":[{"g":[]}]}', b'{"s":[{"x":"C"}]}'):
        assert not matches(parse(encode({1})), parse(line))
        assert not matches(parse(encode({(1,)})), parse(line))
