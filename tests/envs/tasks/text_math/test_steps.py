"""Worked steps: every line is true, the last is the answer; mistakes go on consistently; work is measured."""

from __future__ import annotations

import ast
import re
from fractions import Fraction

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmdp.envs.tasks.text_math import TextMath
from textmdp.envs.tasks.text_math.arithmetic import LEVELS
from textmdp.envs.tasks.text_math.datasets import Problem
from textmdp.envs.tasks.text_math.mistakes import common_mistake
from textmdp.envs.tasks.text_math.steps import way_names
from textmdp.envs.tasks.text_math.steps.work import Work
from textmdp.envs.tasks.text_math.word_problems import equation
from textmdp.envs.tokenizers import LexiconTokenizer

MANY = np.random.default_rng(2).integers(0, 1 << 62, size=10_000)
LEVELS_AND_WAYS = [(name, way) for name, level in LEVELS.items() for way in way_names(level.example)]
RNG = np.random.default_rng(0)


def value_of(text: str) -> Fraction:
    """The exact value of an expression with signs and brackets, by Python's own grammar."""

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.UnaryOp):
            assert isinstance(node.op, ast.USub)
            return -value(node.operand)
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
        return Fraction(ast.get_source_segment(text, node) or "")

    return value(ast.parse(text, mode="eval").body)


def is_true(step: str, question: str) -> bool:
    """True if both sides of an equation are equal, or an expression has the value of the question."""
    if "=" in step:
        left, right = step.split("=")
        return value_of(left) == value_of(right)
    if question.endswith("? "):
        return value_of(step) == value_of(equation(question))
    return value_of(step) == value_of(question.removesuffix("="))


def check_worked(question: str, answer: str, response: str) -> None:
    """Assert that every step is true and that the answer is what the question asks for."""
    work, marker, final = response.rpartition("#### ")
    assert marker
    assert final == answer, (question, response)
    if "%" in question:
        digits = [int(digit) for digit in re.findall(r"\d", question.partition(")")[0])]
        sums = [sum(digits[: end + 1]) % 10 for end in range(len(digits))]
        said = [int(step) for step in work.split()]
        assert said in (sums, [*sums[:-1:2], sums[-1]])
        assert said[-1] == int(answer) == sum(digits) % 10
        return
    steps = work.splitlines()
    assert steps
    for step in steps:
        assert is_true(step, question), (question, step)
    if not question.endswith("? "):
        assert Fraction(final) == value_of(question.removesuffix("="))


def check_level(name: str, way: str, indices: np.ndarray) -> None:
    task = TextMath(name, "all", thinking="steps", way=way)
    tokenizer = LexiconTokenizer(task.vocabulary())
    for state, question in task.problems(indices):
        response = task.demonstrate(state, RNG)
        check_worked(question, state.answer, response)
        # Every token is in the lexicon, and the end of the turn has room.
        assert len(tokenizer.encode(response)) < task.max_response_tokens


@pytest.mark.parametrize(("name", "way"), LEVELS_AND_WAYS)
def test_every_step_is_true_and_the_last_is_the_answer(name, way):
    check_level(name, way, MANY[:500])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), LEVELS_AND_WAYS)
def test_ten_thousand_problems_are_worked_right(name, way):
    check_level(name, way, MANY)


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("thinking", ["none", "steps", "mixed"])
def test_the_expert_earns_full_marks_in_every_mode(name, thinking):
    task = TextMath(name, thinking=thinking)
    worked = 0
    for state, _ in task.problems(MANY[:100]):
        response = task.demonstrate(state, RNG)
        reply = task.reply(state, response, RNG)
        assert reply == task.reply_many([state], [response], [RNG])[0]
        assert reply.score.total == reply.score.parts["correct"] == 1
        assert task.success([reply.score])
        assert task.potential(state, response) == 1
        if thinking != "none":
            assert reply.score.parts["answer_given"] == 1
            steps = reply.score.parts["thinking_tokens"] > 0
            assert reply.score.parts["steps_right"] == steps
            worked += steps
        assert set(reply.score.weights) == {"correct"}
    assert worked in {"none": {0}, "steps": {100}, "mixed": set(range(30, 71))}[thinking]


@pytest.mark.parametrize("name", LEVELS)
def test_a_mistake_errs_in_one_step_and_goes_on(name):
    task = TextMath(name, thinking="steps")
    wrong = 0
    for state, question in task.problems(MANY[:200]):
        response = task.mistake(state, RNG)
        parts = task.reply(state, response, RNG).score.parts
        assert parts["answer_given"] == parts["format"] == 1
        assert parts["steps_right"] < 1
        assert parts["thinking_tokens"] > 0
        wrong += 1 - parts["correct"]
        steps = response.partition("#### ")[0].splitlines()
        equations = [step for step in steps if "=" in step]
        # The answer follows from the wrong step: nothing else is false but its copies further on.
        false = [step for step in equations if not is_true(step, question)]
        assert len(false) <= max(3, len(equations) // 2), (question, response)
    assert wrong > 150


def test_errors_go_on():
    task = TextMath("three-digit", thinking="steps", way="columns")
    state = Problem("702+399=", "1101", "1101")
    seen = {task.mistake(state, np.random.default_rng(seed)) for seed in range(40)}
    assert len(seen) > 3
    for response in seen:
        *steps, final = response.replace("#### ", "").splitlines()
        columns = [int(step.partition("=")[2]) for step in steps]
        assert int(final) % 10 == columns[0] % 10, "the answer is made of the columns as they stand"


@pytest.mark.parametrize(("name", "way"), [("products", "rows"), ("fractions", "least"), ("modular-5", "totals")])
def test_the_potential_counts_right_steps(name, way):
    task = TextMath(name, thinking="steps", way=way)
    for state, _ in task.problems(MANY[:50]):
        response = task.demonstrate(state, RNG)
        values = [task.potential(state, response[:end]) for end in range(len(response) + 1)]
        assert values == sorted(values)
        assert values[0] == 0
        assert values[-1] == 1
        count = len(re.findall(r"[^# \n]+[ \n]", response.partition("####")[0]))
        before = task.potential(state, response.partition("####")[0])
        assert before == count / (count + 1)
        wrong = task.mistake(state, RNG)
        if task.reply(state, wrong, RNG).score.total == 0:
            assert max(task.potential(state, wrong[:end]) for end in range(len(wrong) + 1)) < 1


SAID = st.text("0123456789+-*/().=, \n#A:", max_size=40)


@settings(max_examples=200)
@given(st.sampled_from([*LEVELS]), st.integers(0, 1 << 40), SAID)
def test_any_response_is_measured(name, index, response):
    task = TextMath(name, thinking="mixed")
    state, _ = task.problem(index)
    plain = TextMath(name).reply(state, response, RNG).score.parts
    parts = task.reply(state, response, RNG).score.parts
    assert {part: parts[part] for part in plain} == plain
    assert 0 <= parts["steps_right"] <= 1
    assert 0 <= parts["thinking_tokens"] <= len(response)
    assert parts["answer_given"] in (0, 1)
    assert 0 <= task.potential(state, response) <= 1


@pytest.mark.parametrize(
    ("response", "measures"),
    [
        ("8+7=15\n6+5+1=12\n#### 125", (1.0, 16, 1)),
        ("8+7=15\n6+5+1=12\n", (1.0, 16, 0)),
        ("8+7=15\n6+5+1=12", (0.5, 15, 0)),
        ("8+7=15\n6+5=11\n#### 115", (0.5, 14, 1)),
        ("68+50=118\n118+7=125\n#### 125", (1.0, 20, 1)),
        ("8+7=15\n118+7=125\n#### 125", (0.5, 17, 1)),
        ("#### 125", (0.0, 0, 1)),
        ("125", (0.0, 0, 0)),
        ("", (0.0, 0, 0)),
        ("1=1\n1=1\n#### 125", (0.0, 8, 1)),
    ],
)
def test_measures(response, measures):
    task = TextMath("two-digit", thinking="steps")
    parts = task.reply(Problem("68+57=", "125", "125"), response, RNG).score.parts
    assert (parts["steps_right"], parts["thinking_tokens"], parts["answer_given"]) == measures


def test_direct_answers_of_mixed_demonstrations_have_the_marker():
    task = TextMath("modular-5", thinking="mixed", steps_share=0.0)
    state, question = task.problem(3)
    assert task.demonstrate(state, RNG) == f"#### {state.answer}"
    assert task.mistake(state, RNG) == f"#### {common_mistake(question, state.answer)}"


def test_process_rewards_are_an_option():
    env = gym.make(
        "TextMathResponse-v0", difficulty="products", thinking="steps", rewards={"correct": 1.0, "steps_right": 0.5}
    ).unwrapped
    env.reset(seed=0)
    assert env.step(env.demonstrate())[1] == 1.5
    env.reset(seed=0)
    steps = env.demonstrate().partition("####")[0]
    assert env.step(f"{steps}#### 1")[1] == 0.5


def test_the_grammar_allows_answers_and_no_steps():
    task = TextMath("modular-5", grammar=True)
    assert task.has_grammar
    assert not TextMath("modular-5").has_grammar
    state, _ = task.problem(0)

    def allows(response: str) -> bool:
        tokens = LexiconTokenizer(task.vocabulary())
        pieces = [tokens.decode([one]) for one in tokens.encode(response)]
        partials = ["".join(pieces[:end]) for end in range(len(pieces) + 1)]
        return all(
            token in task.continuations(state, partial) for partial, token in zip(partials, [*pieces, ""], strict=True)
        )

    assert all(allows(response) for response in ("7", "#### 7", "-33", "#### 19/12", "26.922"))
    assert not any(allows(response) for response in ("6 7", "6 5 6 7 #### 7", "3+4=7", "#### ", "", "-", "1/", "7\n"))
    assert TextMath("modular-5").continuations(state, "") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thinking": "yes"}, "thinking='yes' is none of 'none', 'steps', 'mixed'"),
        ({"thinking": "mixed", "steps_share": 1.5}, "steps_share=1.5 must lie in"),
        ({"way": "columns"}, 'use thinking="steps" or "mixed"'),
        ({"thinking": "steps", "way": "rows"}, "way='rows' is none of 'columns', 'places'"),
        ({"thinking": "steps", "dataset": "a.jsonl"}, "with dataset= leave them out"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        TextMath(**arguments)


def test_numbers_stay_natural_where_columns_need_it():
    work = Work(error_at=0, error=-1)
    assert work.write("0+0=", 0) == 1
    work = Work(error_at=0, error=1)
    assert work.write_digit("9-0=", 9) == 0
    assert work.steps == ["9-0=0"]


def test_the_grammar_keeps_to_the_vocabulary():
    task = TextMath("entry", grammar=True)
    assert set(task.continuations(task.problem(0)[0], "")) == set("0123456789")


@pytest.mark.parametrize("story", ["Ann has 12 coins. ", "12-5"])
def test_no_story_no_equation(story):
    with pytest.raises(ValueError, match="none of the stories"):
        equation(story)
