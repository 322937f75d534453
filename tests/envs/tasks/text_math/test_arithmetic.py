"""The supply of arithmetic problems: exact, deterministic, expressible, and split by content."""

from __future__ import annotations

import ast
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textmdp.envs.data.counter_rng import CounterRNG, CounterStreams
from textmdp.envs.tasks.text_math.arithmetic import LEVELS, SYMBOLS, Arithmetic
from textmdp.envs.tasks.text_math.expressions import number, write_decimal

MANY = np.random.default_rng(0).integers(0, 1 << 62, size=20_000)
LEVEL_NAMES = sorted(LEVELS)
EXPRESSIONS = [name for name in LEVEL_NAMES if name != "words"]

# What each story asks, worked out apart from the generator.
STORIES = [
    (r"\w+ has (\d+) \w+\. \w+ has (\d+) \w+\. How many \w+ do they have together\? ", lambda a, b: a + b),
    (r"\w+ has (\d+) \w+ and gives (\d+) to \w+\. How many \w+ does \w+ have now\? ", lambda a, b: a - b),
    (r"\w+ buys (\d+) \w+\. There are (\d+) \w+ in each\. How many \w+ does \w+ buy\? ", lambda a, b: a * b),
    (r"\w+ shares (\d+) \w+ among (\d+) children\. How many \w+ does each child get\? ", lambda a, b: Fraction(a, b)),
    (
        r"\w+ has (\d+) \w+, gives (\d+) to \w+ and finds (\d+) more\. How many \w+ does \w+ have now\? ",
        lambda a, b, c: a - b + c if a >= b else None,
    ),
    (
        r"\w+ has (\d+) \w+ and buys (\d+) \w+ with (\d+) \w+ in each\. How many \w+ does \w+ have now\? ",
        lambda a, b, c: a + b * c,
    ),
    (
        r"\w+ fills (\d+) \w+ with (\d+) \w+ each and sells (\d+) \w+\. How many \w+ are left\? ",
        lambda a, b, c: a * b - c,
    ),
    (
        r"\w+ has (\d+) \w+ and \w+ has (\d+)\. They share them among (\d+) children\. "
        r"How many \w+ does each child get\? ",
        lambda a, b, c: Fraction(a + b, c),
    ),
    (
        r"\w+ has (\d+) \w+\. \w+ has (\d+) times as many\. How many \w+ do they have together\? ",
        lambda a, b: a * (b + 1),
    ),
    (
        r"\w+ packs (\d+) \w+ with (\d+) \w+ each, and \w+ packs (\d+) \w+ with (\d+) \w+ each\. "
        r"How many more \w+ does \w+ pack than \w+\? ",
        lambda a, b, c, d: a * b - c * d,
    ),
    (
        r"\w+ and \w+ each have (\d+) \w+\. \w+ sells (\d+) and \w+ finds (\d+)\. "
        r"How many \w+ do they have together\? ",
        lambda a, b, c: 2 * a - b + c if a >= b else None,
    ),
]


def value_of(text: str) -> Fraction:
    """The exact value of an expression, by Python's own grammar."""

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            left, right = value(node.left), value(node.right)
            if isinstance(node.op, ast.Add):
                return left + right
            if isinstance(node.op, ast.Sub):
                return left - right
            if isinstance(node.op, ast.Mult):
                return left * right
            return left / right if isinstance(node.op, ast.Div) else left % right
        assert isinstance(node, ast.Constant)
        return Fraction(ast.get_source_segment(text, node) or "")  # as written: a float would round

    return value(ast.parse(text, mode="eval").body)


def content_of(text: str) -> str:
    """One text for all expressions that differ by the order of sums and products, by sorting Python's tree."""

    def content(node: ast.expr) -> str:
        if not isinstance(node, ast.BinOp):
            return ast.get_source_segment(text, node) or ""
        kinds = (ast.Add, ast.Sub) if isinstance(node.op, (ast.Add, ast.Sub)) else (ast.Mult, ast.Div)
        return f"{'sum' if kinds[1] is ast.Sub else 'product'}[{' '.join(sorted(parts(node, kinds, False)))}]"

    def parts(node: ast.expr, kinds: tuple[type, type], inverse: bool) -> list[str]:
        if isinstance(node, ast.BinOp) and isinstance(node.op, kinds):
            turned = inverse != isinstance(node.op, kinds[1])
            return parts(node.left, kinds, inverse) + parts(node.right, kinds, turned)
        return [("inverse " if inverse else "") + content(node)]

    return content(ast.parse(text, mode="eval").body)


def tokens_of(text: str, vocabulary: tuple[str, ...]) -> list[str]:
    """Greedy, longest token first."""
    longest_first = sorted(vocabulary, key=len, reverse=True)
    found = []
    while text:
        token = next((token for token in longest_first if text.startswith(token)), None)
        assert token is not None, f"no token for {text!r}"
        found.append(token)
        text = text[len(token) :]
    return found


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_answers_are_exact(name):
    for problem in Arithmetic(name, "all", seed=1).problems(MANY[:3000]):
        assert Fraction(problem.answer) == value_of(problem.question.removesuffix("=")), problem


@pytest.mark.parametrize("name", ["one-digit", "two-digit", "three-digit", "products", "brackets"])
def test_answers_are_written_as_integers(name):
    assert all(re.fullmatch(r"0|-?[1-9]\d*", p.answer) for p in Arithmetic(name, "all").problems(MANY[:2000]))


@pytest.mark.parametrize("name", ["fractions", "expressions"])
def test_fractions_are_in_lowest_terms(name):
    answers = [problem.answer for problem in Arithmetic(name).problems(MANY[:2000])]
    assert all(str(Fraction(answer)) == answer for answer in answers)
    assert any("/" in answer for answer in answers)
    assert any("-" in answer for answer in answers)


def test_stories_are_answered():
    seen = set()
    for problem in Arithmetic("words", "all").problems(MANY[:3000]):
        matches = [(i, re.fullmatch(pattern, problem.question)) for i, (pattern, _) in enumerate(STORIES)]
        [(story, match)] = [(i, match) for i, match in matches if match is not None]
        assert STORIES[story][1](*map(int, match.groups())) == int(problem.answer), problem
        assert problem.answer not in match.groups()  # or saying the story again would earn the reward
        seen.add(story)
    assert seen == set(range(len(STORIES)))


@pytest.mark.parametrize("name", LEVEL_NAMES)
def test_every_question_and_answer_can_be_said(name):
    level = LEVELS[name]
    assert len(set(level.vocabulary)) == len(level.vocabulary)
    for problem in Arithmetic(name, "all").problems(MANY[:3000]):
        tokens_of(problem.question, level.vocabulary)
        # The end of the turn takes one token of the budget.
        assert len(tokens_of(problem.answer, level.vocabulary)) < level.max_response_tokens
        assert len(problem.question.encode()) <= level.max_text_bytes
        if name == "entry":  # no room for thoughts
            continue
        for thought in (f"#### {problem.answer}", f"{problem.question}\nA: {problem.answer}"):
            tokens_of(thought, level.vocabulary)


@pytest.mark.parametrize("name", LEVEL_NAMES)
def test_examples_of_the_table_look_like_problems(name):
    example = LEVELS[name].example
    tokens_of(example, LEVELS[name].vocabulary)
    assert len(example) <= LEVELS[name].max_text_bytes
    assert example.endswith("=") == (name != "words")


def test_flat_levels_reach_their_bound_exactly():
    for name in ("one-digit", "two-digit", "three-digit", "products"):
        longest = max(len(problem.question) for problem in Arithmetic(name, "all").problems(MANY[:5000]))
        assert longest == LEVELS[name].max_text_bytes


@pytest.mark.parametrize("name", LEVEL_NAMES)
def test_train_and_test_share_no_problem(name):
    def content(question: str) -> object:
        if name != "words":
            return content_of(question.removesuffix("=").removesuffix("%10"))
        # Other people and other things make no other problem.
        [story] = [i for i, (pattern, _) in enumerate(STORIES) if re.fullmatch(pattern, question)]
        return story, tuple(re.findall(r"\d+", question))

    # Different seeds too: what is held out does not depend on the seed.
    train = {p.question for p in Arithmetic(name, "train", seed=0).problems(MANY)}
    test = {p.question for p in Arithmetic(name, "test", seed=1).problems(MANY[:5000])}
    assert len(train) >= len(test) > (2 if name == "entry" else 20)
    assert not set(map(content, train)) & set(map(content, test))


@pytest.mark.parametrize("name", ["one-digit", "two-digit", "products"])
def test_about_one_problem_in_five_is_held_out(name):
    # These levels are small enough to see every problem.
    train, test, both = (
        {p.question for p in Arithmetic(name, split).problems(range(200_000))} for split in ("train", "test", "all")
    )
    assert 0.12 < len(test) / (len(train) + len(test)) < 0.28
    assert both == train | test


def test_the_order_of_operands_does_not_change_the_split():
    train = {p.question for p in Arithmetic("two-digit", "train").problems(range(100_000))}
    test = {p.question for p in Arithmetic("two-digit", "test").problems(range(100_000))}
    assert len(train) + len(test) > 16_100  # of 16,200
    for question in test:
        left, sign, right = re.fullmatch(r"(\d+)([+-])(\d+)=", question).groups()
        if sign == "+":
            assert f"{right}+{left}=" not in train


@pytest.mark.parametrize("name", LEVEL_NAMES)
@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_a_problem_depends_on_its_index_alone(name, split):
    indices = [0, 7, (1 << 62) - 1, 123_456_789_123, 7]
    together = Arithmetic(name, split, 3).problems(indices)
    assert together == Arithmetic(name, split, 3).problems(np.array(indices))
    assert together == [Arithmetic(name, split, 3).problems([index])[0] for index in indices]
    assert together[1] == together[4]


@pytest.mark.parametrize("name", ["three-digit", "brackets", "expressions"])
def test_seeds_and_splits_share_nothing_systematic(name):
    orders = [
        [p.question for p in Arithmetic(name, split, seed).problems(range(2000))]
        for split, seed in (("train", 0), ("train", 1), ("train", -1), ("train", 2**40), ("test", 0), ("all", 0))
    ]
    for i, one in enumerate(orders):
        assert len(set(one)) > 1900
        for other in orders[:i]:
            assert len(set(one) & set(other)) < 60
            for shift in (0, 1, 2, -1):
                same = sum(a == b for a, b in zip(one[10 + shift :], other[10:-10], strict=False))
                assert same < 5


def test_problems_stay_what_they_are():
    # The same on every platform and in every release: results would not compare otherwise.
    assert [
        [problem.question for problem in Arithmetic(name, "train", 0).problems([0, 1 << 61])] for name in LEVEL_NAMES
    ] == PINNED


PINNED = [
    ["(63+8+19)*7=", "53+55*(61-70)="],
    ["3.9-8.04=", "6.52*7="],
    ["4+1=", "3+0="],
    ["(6-8)*(53+9)=", "7-(7+9)+6*4+22="],
    ["9/8*2/5=", "5/6-1/6="],
    ["(4+0+6+6+9)%10=", "(8+1+9+9+4)%10="],
    ["(4+7+9+5+8+1)%10=", "(1+3+0+9+9+0)%10="],
    ["3+9=", "2+5="],
    ["17*32=", "26*55="],
    ["249+581=", "437+232="],
    ["47+60=", "40-14="],
    [
        "Max has 20 shells and Ben has 44. They share them among 2 children. How many shells does each child get? ",
        "Tom fills 33 cases with 25 books each and sells 60 books. How many books are left? ",
    ],
]


@pytest.mark.parametrize("index", [-1, 1 << 62])
def test_indices_out_of_range(index):
    with pytest.raises(IndexError, match="numbered from 0"):
        Arithmetic().problems([3, index])


def test_no_problems():
    assert Arithmetic().problems([]) == []


def test_names_are_checked():
    with pytest.raises(ValueError, match="'entry', 'one-digit', 'two-digit'"):
        Arithmetic("hard")
    with pytest.raises(ValueError, match="'train', 'test', 'all'"):
        Arithmetic(split="validation")


def test_the_default_vocabulary_is_small():
    assert 20 <= len(SYMBOLS) <= 24


def test_draws_are_even():
    draws = CounterRNG(1)
    counts = np.bincount([draws.below(6) for _ in range(6000)], minlength=6)
    assert np.all(abs(counts - 1000) < 150)
    assert sorted(draws.sample("abc", 3)) == ["a", "b", "c"]
    assert {draws.between(2, 4) for _ in range(100)} == {2, 3, 4}


def test_streams_with_other_names_differ():
    indices = np.arange(1000, dtype=np.uint64)
    one, other = CounterStreams(0, "train").starts(indices), CounterStreams(1, "train").starts(indices)
    assert len(np.intersect1d(one, other)) == 0
    assert len(np.intersect1d(one[1:] - one[:-1], other[1:] - other[:-1])) == 0


@settings(max_examples=200)
@given(st.integers(-(10**9), 10**9), st.integers(0, 8))
def test_decimals_are_written_exactly(units, places):
    text = write_decimal(Fraction(units, 10**places))
    assert Fraction(text) == Fraction(units, 10**places)
    assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?", text)


@st.composite
def terms(draw, depth=3):
    if depth == 0 or draw(st.booleans()):
        return number(draw(st.integers(1, 99)))
    left, right = draw(terms(depth - 1)), draw(terms(depth - 1))
    sign = draw(st.sampled_from("+-*/"))
    if sign == "/" and right.value == 0:
        sign = "+"
    return {"+": left.__add__, "-": left.__sub__, "*": left.__mul__, "/": left.__truediv__}[sign](right)


@settings(max_examples=200)
@given(terms())
def test_terms_say_what_they_are_worth(term):
    assert value_of(term.text) == term.value


@settings(max_examples=200)
@given(terms(), terms(), terms())
@example(number(1) - number(1), number(2) - number(2), number(3))  # both differences are of the summands +1, -1, +2, -2
def test_contents_know_no_order(one, two, three):
    assert (one + two).content == (two + one).content
    assert (one * two).content == (two * one).content
    assert (one - two + three).content == (one + three - two).content
    same = content_of((one - two).text) == content_of((two - one).text)
    assert ((one - two).content == (two - one).content) is same
