"""Mixtures of levels: shares, problems that are those of the levels, and limits that hold all of them."""

import numpy as np
import pytest

from textmdp.envs.tasks.text_math import TextMath
from textmdp.envs.tasks.text_math.arithmetic import LEVELS, SYMBOLS, Arithmetic
from textmdp.envs.tasks.text_math.mixtures import Mixture, parse_difficulty
from textmdp.envs.tokenizers import LexiconTokenizer

MANY = np.random.default_rng(0).integers(0, 1 << 62, size=4000)


def test_levels_come_with_their_shares():
    task = TextMath("one-digit:0.2,two-digit:0.8")
    lengths = [len(question) for _, question in task.problems(MANY)]
    assert set(lengths) == {4, 6}
    assert abs(lengths.count(4) / len(lengths) - 0.2) < 0.03


def test_a_problem_is_the_one_of_its_level_and_of_its_index_alone():
    mixture = Mixture(parse_difficulty("one-digit,products:2,words"), "test", 3)
    together = mixture.problems(MANY[:200])
    assert together == [mixture.problems([index])[0] for index in MANY[:200].tolist()]
    sources = [Arithmetic(name, "test", 3).problems(MANY[:200]) for name in ("one-digit", "products", "words")]
    assert all(problem in candidates for problem, *candidates in zip(together, *sources, strict=True))
    other = Mixture(parse_difficulty("one-digit,products:2,words"), "test", 4).problems(MANY[:200])
    assert sum(one == two for one, two in zip(together, other, strict=True)) < 20


@pytest.mark.parametrize("thinking", ["none", "steps"])
def test_limits_hold_every_level_of_the_mixture(thinking):
    mixed = TextMath("two-digit,words", thinking=thinking)
    for name in ("two-digit", "words"):
        alone = TextMath(name, thinking=thinking)
        assert mixed.max_response_tokens >= alone.max_response_tokens
        assert mixed.max_text_bytes >= alone.max_text_bytes
        assert set(mixed.vocabulary()) >= set(alone.vocabulary())


@pytest.mark.parametrize("thinking", ["none", "steps", "mixed"])
def test_all_difficulties_share_limits_by_a_flag(thinking):
    tasks = [TextMath(name, shared=True, thinking=thinking) for name in (*LEVELS, "entry,words:3")]
    for attribute in ("max_response_tokens", "max_text_bytes"):
        assert len({getattr(task, attribute) for task in tasks}) == 1
    assert len({task.vocabulary() for task in tasks}) == 1
    tokenizer = LexiconTokenizer(tasks[0].vocabulary())
    rng = np.random.default_rng(0)
    for task in tasks:
        for state, question in task.problems(MANY[:50]):
            tokenizer.encode(question + task.demonstrate(state, rng))


def test_one_level_alone_is_as_it_was():
    assert TextMath("two-digit:0.3").problems(MANY[:50]) == TextMath("two-digit").problems(MANY[:50])
    assert TextMath("two-digit").vocabulary() == SYMBOLS


@pytest.mark.parametrize(
    ("difficulty", "message"),
    [
        ("one-digit:0.5,hard:0.5", "difficulty='hard' is none of"),
        ("one-digit,one-digit", "has 'one-digit' twice"),
        ("one-digit:0,words:1", "'one-digit:0' has no positive weight"),
        ("one-digit:much", "'one-digit:much' has no positive weight"),
        ("one-digit:nan", "no positive weight"),
        ("", "difficulty='' is none of"),
    ],
)
def test_mixtures_are_checked(difficulty, message):
    with pytest.raises(ValueError, match=message):
        TextMath(difficulty)


def test_shared_limits_are_for_arithmetic():
    with pytest.raises(ValueError, match="leave them out"):
        TextMath(dataset="a.jsonl", shared=True)
