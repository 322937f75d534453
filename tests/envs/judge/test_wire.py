"""The wire format: what arrives, what is reduced to plain data, what is refused, and how much of it."""

from __future__ import annotations

import datetime
import enum
import itertools
import json
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from unittest.mock import ANY, Mock

import pytest
from hypothesis import given
from plain_data import plain, same

from textmdp.envs.judge.claims import matches, parse
from textmdp.envs.judge.inside import wire
from textmdp.envs.judge.inside.wire import EncodingError, Opaque, decode, encode


@given(plain)
def test_values_come_back(value):
    line = encode(value, strict=True)
    assert line.isascii()
    assert "\n" not in line
    assert decode(line) == value
    assert decode(line.encode()) == value
    assert wire.read(line) == value
    assert same(value, value)


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize(
    "numbers",
    [[0], [1, -2, 3], [2**256 - 1, 1 - 2**256], [1, 2**256], [-(2**256), 0], [1, True], [1, 2.0], [1, None], []],
)
def test_rows_of_numbers(kind, numbers):
    value = kind(numbers)
    line = encode([value, {1: value}], strict=True)
    first, second = decode(line)
    assert (first, second) == (value, {1: value})
    assert [(type(one), type(other)) for one, other in zip(first, value, strict=True)] == [
        (type(other), type(other)) for other in value
    ]
    assert line.count(encode(value)) == 2


@pytest.mark.parametrize("kind", [list, tuple])
def test_rows_of_numbers_have_the_limits_of_all_else(kind):
    assert len(encode(kind(range(100)), 400)) <= 400
    for limit in (100, 200, 289):
        with pytest.raises(EncodingError, match=f"longer than {limit}"):
            encode(kind(range(100)), limit)


class LyingStr(str):
    def __str__(self):
        return "lie"

    def __eq__(self, other):
        return True

    __hash__ = None

    def encode(self, *_):
        return b"lie"


class LyingInt(int):
    def __index__(self):
        return 9

    __int__ = __index__

    def __repr__(self):
        return "9"

    def __eq__(self, other):
        return True

    __hash__ = None

    @property
    def __class__(self):
        return str


class LyingFloat(float):
    def __float__(self):
        return 9.0

    def __repr__(self):
        return "9.0"

    def __ne__(self, other):
        return False


class LyingList(list):
    def __iter__(self):
        return iter([9])

    def __len__(self):
        return 1 << 62

    def __getitem__(self, index):
        return 9


class LyingDict(dict):
    def items(self):
        return [("lie", 9)]

    def __iter__(self):
        return itertools.repeat(9)

    def __len__(self):
        return 0


class LyingTuple(tuple):
    def __iter__(self):
        return itertools.count()


class LyingSet(set):
    def __iter__(self):
        return itertools.count()


class LyingBytes(bytes):
    def hex(self):
        return '"}'

    def __len__(self):
        return -1


class LyingComplex(complex):
    real = 9.0
    imag = 9.0


class LyingDecimal(Decimal):
    def __str__(self):
        return '"]}'


class LyingFraction(Fraction):
    numerator = 9
    denominator = 9


class LyingDate(datetime.date):
    def isoformat(self):
        return '"]}'


Point = namedtuple("Point", "x y")


Level = enum.IntEnum("Level", "LOW HIGH")


class Colour(str, enum.Enum):
    RED = "red"


SUBCLASSES = [
    (LyingStr("s"), "s"),
    (LyingInt(3), 3),
    (LyingInt(-(2**300)), -(2**300)),
    (LyingFloat(0.5), 0.5),
    (LyingFloat(-0.0), 0.0),
    (LyingList([1, 2]), [1, 2]),
    (LyingDict(a=1), {"a": 1}),
    (LyingTuple((1, 2)), (1, 2)),
    (LyingSet({1, 2}), {1, 2}),
    (LyingBytes(b"ab"), b"ab"),
    (LyingComplex(1, 2), 1 + 2j),
    (LyingDecimal("1.5"), Decimal("1.5")),
    (LyingFraction(1, 2), Fraction(1, 2)),
    (LyingDate(2020, 1, 2), datetime.date(2020, 1, 2)),
    (Point(1, Level.HIGH), (1, 2)),
    (Colour.RED, "red"),
    (Counter("aab"), {"a": 2, "b": 1}),
    (defaultdict(list, {1: [2]}), {1: [2]}),
    (bytearray(b"ab"), b"ab"),
    (frozenset({1}), frozenset({1})),
]


@pytest.mark.parametrize("index", range(len(SUBCLASSES)))
def test_subclasses_are_their_base(index):
    value, base = SUBCLASSES[index]
    assert same(base, value)
    came_back = decode(encode(value))
    assert type(came_back) is type(base)
    assert came_back == base


def test_order_of_dicts_is_kept():
    ordered = OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    assert list(decode(encode(ordered))) == ["b", "a"]
    assert list(decode(encode({2: 0, 1: 0}))) == [2, 1]


class AlwaysEqual:
    def __eq__(self, other):
        return True

    def __bool__(self):
        return True

    __hash__ = None


class Meta(type):
    @property
    def __name__(cls):
        raise SystemExit

    @property
    def __mro__(cls):
        raise SystemExit

    def __subclasscheck__(cls, other):
        raise SystemExit


class Shadow(metaclass=Meta):
    @property
    def __class__(self):
        raise SystemExit

    def __getattr__(self, name):
        raise SystemExit


class Recursive:
    def __repr__(self):
        return repr(self)


OPAQUE = [
    AlwaysEqual(),
    ANY,
    Mock(),
    Shadow(),
    Recursive(),
    object,
    SimpleNamespace(a=1),
    len,
    NotImplemented,
    ...,
]


@pytest.mark.parametrize("index", range(len(OPAQUE)))
def test_what_is_not_plain_data_equals_nothing(index):
    value = OPAQUE[index]
    line = encode(value)
    for expected in (0, 9, None, True, [], "", ()):
        assert not matches(parse(encode(expected)), parse(line))
    assert not matches(parse(line), parse(line))
    assert isinstance(decode(line), Opaque)
    assert encode([value, 1]) != encode([1])
    with pytest.raises(EncodingError, match="not plain data"):
        encode([value], strict=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: (i * i for i in range(3)),
        lambda: map(int, "014"),
        lambda: iter([0, 1, 4]),
        lambda: {0: 1, 1: 1, 4: 1}.keys(),
        lambda: {0: 0, 1: 1, 4: 4}.values(),
        lambda: reversed([4, 1, 0]),
        lambda: filter(None.__eq__, []),
    ],
)
def test_iterators(make):
    wanted = list(make())
    came_back = decode(encode(make()))
    assert list(came_back) == wanted
    assert not same(wanted, make())  # as in Python: a list equals no generator
    with pytest.raises(EncodingError, match="not plain data"):
        encode(make(), strict=True)


def fails():
    yield 1
    raise SystemExit("0")


class Hostile:
    def __init__(self, error):
        self.error = error

    def __iter__(self):
        return self

    def __next__(self):
        raise self.error


UNBOUNDED = [
    (itertools.count(), "more than 20000 items"),
    (itertools.repeat([]), "more than 20000 items"),
    (itertools.repeat("x" * 1000), "longer than"),
    (fails(), "raised SystemExit"),
    (Hostile(KeyboardInterrupt()), "raised KeyboardInterrupt"),
    (Hostile(MemoryError()), "raised MemoryError"),
    (Hostile(RecursionError()), "raised RecursionError"),
    ("x" * (1 << 21), "longer than"),
    ("\ud800" * (1 << 20), "longer than"),
    ("\x00" * (1 << 18), "longer than"),
    (b"x" * (1 << 20), "longer than"),
    (1 << (5 << 20), "longer than"),
    ([0] * (1 << 20), "longer than"),
    (["x" * 1000] * 2000, "longer than"),
]


@pytest.mark.parametrize("index", range(len(UNBOUNDED)))
def test_the_encoder_is_bounded(index):
    value, rule = UNBOUNDED[index]
    with pytest.raises(EncodingError, match=rule):
        encode(value)


def test_nesting_is_bounded():
    def nest(depth, wrap):
        value = 0
        for _ in range(depth):
            value = wrap(value)
        return value

    for wrap in (lambda v: [v], lambda v: (v,), lambda v: frozenset([v]), lambda v: {0: v}, lambda v: deque([v])):
        deep = nest(wire.MAX_DEPTH, wrap)
        assert same(deep, deep)
        assert decode(encode(deep)) == deep
        with pytest.raises(EncodingError, match="nested deeper"):
            encode(nest(wire.MAX_DEPTH + 1, wrap))
    assert same(nest(100, lambda v: (v,)), nest(100, lambda v: (v,)))
    with pytest.raises(EncodingError, match="holds itself"):
        encode(nest(10**5, lambda v: [v]))
    itself = []
    itself.append(itself)
    with pytest.raises(EncodingError, match="holds itself"):
        encode(itself)
    itself = {}
    itself[0] = itself
    with pytest.raises(EncodingError, match="holds itself"):
        encode(itself)
    wide = nest(60, lambda v: [v, v])  # 2**60 leaves that share memory
    with pytest.raises(EncodingError, match="longer than"):
        encode(wide)


@pytest.mark.parametrize("value", [Fraction(1, 10**2000), Decimal("1e5000"), range(10**200), Decimal("sNaN")])
def test_exotic_values_beyond_bounds_are_opaque(value):
    assert isinstance(decode(encode(value)), Opaque)


def test_aware_times_are_opaque():
    assert isinstance(decode(encode(datetime.datetime.now(datetime.timezone.utc))), Opaque)


def test_lines_are_json():
    """So that another implementation can read them."""
    assert json.loads(encode({"a": [1, (2,), b"\xff"], 2: {3}})) == {
        "d": [["a", [1, {"t": [2]}, {"b": "ff"}]], [2, {"s": [3]}]]
    }
