"""Strategies for plain data, as the judge compares it."""

from __future__ import annotations

import math
from collections import deque

from hypothesis import strategies as st

from textmdp.envs.judge.claims import matches, parse
from textmdp.envs.judge.inside.wire import encode

numbers = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.integers(-(2**400), 2**400),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, 1e308, 5e-324, float(2**53), 2**53, 2**53 + 1, math.inf, 0.1, 0.1 + 0.2]),
    st.fractions(max_denominator=8),
    st.decimals(allow_nan=False, places=2, min_value=-100, max_value=100),
    st.complex_numbers(allow_nan=False),
)


leaves = st.one_of(
    st.none(),
    numbers,
    st.text(st.characters(exclude_categories=()), max_size=4),
    st.sampled_from(["1", "", "\ud83d\ude00", "😀", "\x00", "\ud800", '"', "\\", "\x7f\n"]),
    st.binary(max_size=3),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.builds(range, st.integers(-3, 3), st.integers(-3, 3), st.sampled_from([1, 2, -1])),
)


hashables = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)


plain = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(deque),
        st.sets(hashables, max_size=3),
        st.dictionaries(hashables, inner, max_size=3),
    ),
    max_leaves=10,
)


def same(expected, claimed, tolerance=None):
    """What the judge thinks of `claimed`: both go over the wire."""
    return matches(parse(encode(expected, strict=True)), parse(encode(claimed).encode()), tolerance)
