"""Plain data as one line of ASCII JSON: what arguments and results travel in between the judge and its sandboxes.

| value                                        | on the wire                                                  |
|----------------------------------------------|--------------------------------------------------------------|
| None, bool, int below 2**256, float, str     | as in JSON; NaN, Infinity, -Infinity                         |
| list                                         | JSON array                                                   |
| larger int; str that holds surrogates        | `{"i": "-0xff"}`; `{"u": hex of UTF-8 with surrogatepass}`   |
| tuple, deque, set, frozenset                 | `{"t": [...]}`, `{"q": [...]}`, `{"s": [...]}`, `{"f": [...]}` |
| dict                                         | `{"d": [[key, value], ...]}`                                 |
| bytes, bytearray; complex                    | `{"b": hex}`; `{"c": [real, imaginary]}`                     |
| range, Decimal, Fraction, date, datetime, …  | `{"r": [name of the type, text]}`                            |
| iterators and views of dicts, read to the end| `{"g": [...]}`                                               |
| scalars and arrays of numpy                  | as what their `tolist` returns                               |
| anything else                                | `{"x": name of its type}`, which equals nothing              |

Sub-classes are reduced to the type above that they derive from, by that type's own methods: a Counter is a dict, a
namedtuple a tuple, an IntEnum an int, whatever they override. The encoder runs beside hostile code and is
a convenience there, not a boundary: what it wrote is a claim, and `loads` checks every line as if an enemy had made it.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from json.encoder import encode_basestring_ascii
from typing import Any

from . import named

#: The longest line, in characters, where the caller names no other limit.
LIMIT = 1 << 20
#: How deep containers may be nested.
MAX_DEPTH = 100
#: The most items that are taken from an iterator.
MAX_ITEMS = 20_000
#: Decimal digits of the longest numbers that are written in decimal; larger ints are written in hexadecimal.
MAX_DIGITS = 100

_SMALL = 1 << 256
_BRACKETS = 3 * MAX_DEPTH + 8  # a pair of a dict takes three, and a message may wrap its value in a few
_STEP = [0] * 256
for _bracket in b"[{":
    _STEP[_bracket] = 1
for _bracket in b"]}":
    _STEP[_bracket] = -1
_NO_BRACKETS = bytes(byte for byte in range(256) if not _STEP[byte])
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{%d}" % (MAX_DIGITS + 1))
_SURROGATES = re.compile("[\ud800-\udfff]")
_type_name: Callable[[type], str] = type.__dict__["__name__"].__get__  # no metaclass can override it


class EncodingError(ValueError):
    """A value that has no line: too long, too deep, or an iterator that fails; or a line that has no value."""


class TooLongError(EncodingError):
    """A value whose line would be longer than the limit."""


class Opaque:
    """Stands for a result that is not plain data: equal to nothing but itself."""

    __slots__ = ("type_name",)

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def __repr__(self) -> str:
        return f"<{self.type_name}: not plain data>"


def encode(value: object, limit: int = LIMIT, *, strict: bool = False) -> str:
    """The line of `value`, without a line break.

    Args:
        value: anything. User code runs only where an iterator is read.
        limit: the most characters of the line.
        strict: refuse iterators and what is not plain data, instead of reading the one and marking the other.

    Raises:
        TooLongError: where the line would be longer than `limit`.
        EncodingError: where a value is nested deeper than `MAX_DEPTH` (or holds
            itself), an iterator fails or yields more than `MAX_ITEMS`; with `strict`, where it is not plain data.
    """
    writer = _Writer(limit, strict)
    try:
        writer.write(value, 0)
    except EncodingError:
        raise
    except BaseException as error:  # an iterator's code, or what a lying type made of it: SystemExit included
        raise EncodingError(f"a {_type_name(type(value))} raised {_type_name(type(error))}") from None
    return "".join(writer.parts)


def decode(line: str | bytes, limit: int | None = None) -> object:
    """The value of a line that `encode` wrote. Iterators come back as iterators, the rest opaque (see `Opaque`).

    Meant for sandboxes: it builds sets and dicts, whose cost an enemy can drive up.

    Raises:
        EncodingError: where the line is no value.
    """
    try:
        return loads(line, _build, limit)
    except TypeError as error:  # an unhashable key
        raise EncodingError(f"not a value: {error}") from None


def read(line: str) -> Any:
    """The value of a line that the judge wrote itself, just now: as `decode`, and unchecked."""
    return _decoder(_build).raw_decode(line)[0]


def loads(line: str | bytes, node: Callable[[str, list[Any]], object], limit: int | None = None) -> object:
    """Read a line in time and memory linear in its length, whoever wrote it.

    Leaves are built here; `node` gets the tag (one of t, q, s, f, d, g, x) and the items of everything else: pairs for
    "d", one type's name for "x".

    Raises:
        EncodingError: for whatever is not in the format: the only exception apart from `node`'s own.
    """
    data = line if isinstance(line, bytes) else line.encode("ascii", "backslashreplace")
    if limit is not None and len(data) > limit:
        raise EncodingError(f"a line of {len(data)} characters; the limit is {limit}")
    # Everything outside strings. Escapes go first, so that each remaining quote begins or ends a string.
    outside = b"".join(data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    brackets = outside.translate(None, _NO_BRACKETS)
    if len(brackets) > _BRACKETS and max(accumulate(map(_STEP.__getitem__, brackets))) > _BRACKETS:
        raise EncodingError(f"nested deeper than {_BRACKETS} brackets")
    if _LONG_NUMBER.search(outside):  # converting decimal digits takes quadratic time
        raise EncodingError(f"a number of more than {MAX_DIGITS} digits")

    try:
        return _decoder(node).decode(data.decode("ascii"))
    except EncodingError:
        raise
    except (ValueError, RecursionError) as error:
        raise EncodingError(f"not in the format: {type(error).__name__}") from None


@functools.cache
def _decoder(node: Callable[[str, list[Any]], object]) -> json.JSONDecoder:
    """What reads the JSON of a line: to make one takes longer than to read a short line."""

    def tagged(pairs: list[tuple[str, object]]) -> object:
        if len(pairs) != 1:
            raise EncodingError("an object must have exactly one key, its tag")
        [(tag, content)] = pairs
        if tag in _LEAVES:
            return _LEAVES[tag](content)
        if tag == "x":
            return node(tag, [_text(content)])
        if tag not in ("t", "q", "s", "f", "d", "g") or type(content) is not list:
            raise EncodingError("an unknown tag, or one whose content is no array")
        if tag == "d" and any(type(pair) is not list or len(pair) != 2 for pair in content):
            raise EncodingError("a dict must be an array of pairs")
        return node(tag, content)

    return json.JSONDecoder(object_pairs_hook=tagged)


_BUILDERS: dict[str, Callable[[list[Any]], object]] = {
    "t": tuple,
    "q": deque,
    "s": set,
    "f": frozenset,
    "d": dict,
    "g": iter,
    "x": lambda content: Opaque(str(content[0])),
}


def _build(tag: str, content: list[Any]) -> object:
    return _BUILDERS[tag](content)


class _Writer:
    """Collects the parts of one line and counts them against the limit."""

    def __init__(self, limit: int, strict: bool) -> None:
        self.parts: list[str] = []
        self.room = limit
        self.limit = limit
        self.strict = strict

    def put(self, text: str) -> None:
        self.room -= len(text)
        if self.room < 0:
            raise TooLongError(f"longer than {self.limit} characters")
        self.parts.append(text)

    def write(self, value: Any, depth: int) -> None:
        kind = type(value)  # never value.__class__, which may lie
        if value is None or kind is bool:
            self.put("null" if value is None else "true" if value else "false")
        elif issubclass(kind, str):
            self.write_text(value)
        elif issubclass(kind, int):
            number = int.__index__(value)
            if number.bit_length() > 4 * self.room:
                raise TooLongError(f"longer than {self.limit} characters")
            self.put(int.__repr__(number) if -_SMALL < number < _SMALL else f'{{"i":"{number:#x}"}}')
        elif issubclass(kind, float):
            self.put(_float(float.__float__(value)))
        elif kind in (list, tuple) and depth < MAX_DEPTH and self.write_numbers(value):
            pass
        elif issubclass(kind, list):
            self.write_items("[", list.__iter__(value), "]", depth)
        elif issubclass(kind, tuple):
            self.write_items('{"t":[', tuple.__iter__(value), "]}", depth)
        elif issubclass(kind, dict):
            of = OrderedDict if issubclass(kind, OrderedDict) else dict
            self.write_pairs(of.items(value), depth)
        elif issubclass(kind, set):
            self.write_items('{"s":[', set.__iter__(value), "]}", depth)
        elif issubclass(kind, frozenset):
            self.write_items('{"f":[', frozenset.__iter__(value), "]}", depth)
        else:
            self.write_rare(value, kind, depth)

    def write_numbers(self, values: list[int] | tuple[int, ...]) -> bool:
        """Write nothing but ints of the usual size, at several times the speed of one by one; else False."""
        if {*map(type, values)} != {int} or 2 * len(values) > self.room:
            return False
        if not -_SMALL < min(values) <= max(values) < _SMALL:
            return False
        text = ",".join(map(repr, values))
        self.put(f"[{text}]" if type(values) is list else f'{{"t":[{text}]}}')
        return True

    def write_rare(self, value: Any, kind: type, depth: int) -> None:
        if issubclass(kind, (bytes, bytearray)):
            of = bytes if issubclass(kind, bytes) else bytearray
            if 2 * of.__len__(value) > self.room:
                raise TooLongError(f"longer than {self.limit} characters")
            self.put(f'{{"b":"{of.hex(value)}"}}')
        elif issubclass(kind, complex):
            real, imag = (complex.__dict__[part].__get__(value) for part in ("real", "imag"))
            self.put(f'{{"c":[{_float(real)},{_float(imag)}]}}')
        elif issubclass(kind, deque):
            self.write_items('{"q":[', deque.__iter__(value), "]}", depth)
        elif (text := named.write(value, kind)) is not None:
            self.put('{{"r":["{}","{}"]}}'.format(*text))
        elif self.strict:
            raise EncodingError(f"a {_type_name(kind)} is not plain data")
        elif (numpy := sys.modules.get("numpy")) is not None and issubclass(kind, (numpy.generic, numpy.ndarray)):
            plain = value.tolist()
            self.put_opaque(kind) if type(plain) is kind else self.write(plain, depth + 1)
        elif hasattr(kind, "__next__") or kind in (type({}.keys()), type({}.values()), type({}.items())):
            self.write_items('{"g":[', _bounded(value), "]}", depth)
        else:
            self.put_opaque(kind)

    def put_opaque(self, kind: type) -> None:
        self.put(f'{{"x":{encode_basestring_ascii(_type_name(kind)[:80])}}}')

    def write_text(self, value: str) -> None:
        text = str.__str__(value)
        if len(text) > self.room:
            raise TooLongError(f"longer than {self.limit} characters")
        if not text.isascii() and _SURROGATES.search(text):  # JSON would join a pair of them into one character
            hexadecimal = text.encode("utf-8", "surrogatepass").hex()
            self.put(f'{{"u":"{hexadecimal}"}}')
        else:
            self.put(encode_basestring_ascii(text))

    def write_items(self, opening: str, items: Iterable[object], closing: str, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise EncodingError(f"nested deeper than {MAX_DEPTH} containers, or a container that holds itself")
        self.put(opening)
        for index, item in enumerate(items):
            if index:
                self.put(",")
            self.write(item, depth + 1)
        self.put(closing)

    def write_pairs(self, pairs: Iterable[tuple[object, object]], depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise EncodingError(f"nested deeper than {MAX_DEPTH} containers, or a container that holds itself")
        self.put('{"d":[')
        for index, (key, value) in enumerate(pairs):
            self.put(",[" if index else "[")
            self.write(key, depth + 1)
            self.put(",")
            self.write(value, depth + 1)
            self.put("]")
        self.put("]}")


def _bounded(iterator: Iterable[object]) -> Iterator[object]:
    for index, item in enumerate(iterator):
        if index == MAX_ITEMS:
            raise EncodingError(f"an iterator that yields more than {MAX_ITEMS} items")
        yield item


def _float(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return float.__repr__(value)


def _text(content: object) -> str:
    if type(content) is not str:
        raise EncodingError("a tag whose content must be a string")
    return content


def _read_int(content: object) -> int:
    text = _text(content)
    if not re.fullmatch(r"-?0x[0-9a-f]+", text):
        raise EncodingError("not a hexadecimal number")
    return int(text, 16)


def _read_complex(content: object) -> complex:
    if type(content) is not list or [type(part) for part in content] != [float, float]:
        raise EncodingError("a complex number must be two floats")
    return complex(*content)


def _read_named(content: object) -> object:
    if type(content) is not list or [type(part) for part in content] != [str, str]:
        raise EncodingError("a named type must be its name and a text")
    try:
        return named.read(*content)
    except (ValueError, ArithmeticError) as error:
        raise EncodingError(f"not a {content[0][:80]}: {error}") from None


_LEAVES: dict[str, Callable[[object], object]] = {
    "i": _read_int,
    "u": lambda content: bytes.fromhex(_text(content)).decode("utf-8", "surrogatepass"),
    "b": lambda content: bytes.fromhex(_text(content)),
    "c": _read_complex,
    "r": _read_named,
}
