"""TextMath: the expert scores full marks, near misses do not, and the fast grading is the grading."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from paths import SHARED

from textmdp.envs.answers import grade
from textmdp.envs.answers import is_number as checks_as_number
from textmdp.envs.tasks.text_math import TextMath
from textmdp.envs.tasks.text_math.arithmetic import LEVELS, SYMBOLS
from textmdp.envs.tasks.text_math.datasets import Problem

GSM8K = SHARED / "data" / "gsm8k"
needs_gsm8k = pytest.mark.skipif(not GSM8K.is_dir(), reason=f"GSM8K is not at {GSM8K}")
RNG = np.random.default_rng(0)
MANY = np.random.default_rng(1).integers(0, 1 << 62, size=300)
TASK = TextMath()
ANSWERS = st.one_of(
    st.integers(-200, 20_000).map(str),
    st.fractions(-20, 20, max_denominator=99).map(str),
    st.decimals(-99, 99, places=2).map(lambda value: str(value)),
)


def total(task: TextMath, answer: str, response: str) -> float:
    return task.reply(Problem("", answer, answer), response, RNG).score.total


def misses(answer: str) -> list[str]:
    """Near misses: another last digit, another sign, a digit more, a digit less, nothing."""
    value = Fraction(answer)
    digits = answer.removeprefix("-")
    near = [f"{answer}1", str(value + 1), str(value - 1), str(-value), digits[:-1], digits[1:], answer[::-1], "", "-"]
    return [miss for miss in near if not is_number(miss) or Fraction(miss) != value]


def is_number(text: str) -> bool:
    try:
        Fraction(text)
    except (ValueError, ZeroDivisionError):
        return False
    return True


@pytest.mark.parametrize("difficulty", sorted(LEVELS))
@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_the_expert_scores_full_marks_and_near_misses_nothing(difficulty, split):
    task = TextMath(difficulty, split)
    for state, question in task.problems(MANY[:100]):
        answer = task.demonstrate(state, RNG)
        reply = task.reply(state, answer, RNG)
        assert reply.score.parts == {"correct": 1, "format": 1, "length": len(answer)}
        assert (reply.state, reply.text, reply.done, reply.score.total) == (state, "", True, 1)
        assert task.potential(state, answer) == 1
        for form in ("#### {}", "A: {}", "\\boxed{{{}}}", "So it is 5.\nA: {}", "{}.", " {}\n"):
            assert total(task, state.answer, form.format(answer)) == 1, form.format(answer)
        for miss in misses(answer):
            assert total(task, state.answer, miss) == 0, (answer, miss)
            assert task.potential(state, miss) < 1
        # Saying the question again is no answer.
        for echo in (question, question.removesuffix("="), f"A: {question}", f"#### {question.removesuffix('=')}"):
            assert total(task, state.answer, echo) == 0, echo


@pytest.mark.parametrize(
    ("answer", "response", "correct", "readable"),
    [
        ("82", "82", 1, 1),
        ("82", "082", 1, 1),
        ("82", "82.0", 1, 1),
        ("82", "+82", 1, 1),
        ("82", "37+45=82", 1, 1),
        ("82", "**82**", 1, 1),
        ("82", "(82)", 1, 1),
        ("82", "37+45\n#### 82", 1, 1),
        ("82", "#### 82 #### 82", 1, 1),
        ("82", "A: 82", 1, 1),
        ("82", r"Let me think: 37+45 is \boxed{82}.", 1, 1),
        ("82", "The answer is 82.", 1, 1),
        ("1450", "1,450", 1, 1),
        ("5/4", "10/8", 1, 1),
        ("5/4", "1.25", 1, 1),
        ("5/4", "1 1/4", 1, 1),
        ("5/4", r"\frac{5}{4}", 1, 1),
        ("4.5", "9/2", 1, 1),
        ("-3", "-3", 1, 1),
        ("82", "83", 0, 1),
        ("82", "-82", 0, 1),
        ("82", "#### 81 #### 82", 0, 1),  # spraying
        ("82", "#### 82 #### 81", 0, 1),
        ("82", "A: 81\nA: 82", 0, 1),
        ("82", r"\boxed{81} \boxed{82}", 0, None),
        ("82", "81=82", 0, 1),
        ("82", "81\n#### 82\n80\n#### 83", 0, 1),
        ("82", "", 0, 0),
        ("82", "\n", 0, 0),
        ("82", "37+45", 0, 0),
        ("82", "37+45=", 0, 0),
        ("82", "8 2", 0, 0),
        ("82", "82 83", 0, 0),
        ("82", "81,82", 0, 0),
        ("82", "#### ", 0, 0),
        ("82", "82\n81", 0, 0),
        ("82", "8\x002", 0, None),
        ("82", "9" * 100_000, 0, 1),
        ("82", "=" * 100_000 + "8", 0, 1),
        ("82", "(" * 100_000, 0, 0),
        ("82", "A:" * 50_000, 0, 0),
    ],
)
def test_what_counts(answer, response, correct, readable):
    parts = TASK.reply(Problem("37+45=", answer, answer), response, RNG).score.parts
    assert parts["correct"] == correct
    assert readable is None or parts["format"] == readable
    assert parts["length"] == len(response)


SAID = st.one_of(
    st.lists(st.sampled_from(SYMBOLS), max_size=16).map("".join),
    st.text(max_size=30),
    st.text("0123456789+-*/().=, \n#A:$\\{}boxedIis", max_size=40),
)


@settings(max_examples=300)
@given(st.lists(st.tuples(ANSWERS, SAID), max_size=8))
def test_many_replies_are_the_single_ones(pairs):
    states = [Problem("", answer, answer) for answer, _ in pairs]
    texts = [response for _, response in pairs]
    many = TASK.reply_many(states, texts, [RNG] * len(pairs))
    assert many == [TASK.reply(state, response, RNG) for state, response in zip(states, texts, strict=True)]
    for reply in many:
        assert reply.done
        assert reply.score.total == reply.score.parts["correct"]
        assert reply.score.parts["correct"] <= reply.score.parts["format"]


@settings(max_examples=300)
@given(ANSWERS, SAID)
@example("82", "82")
@example("0", "0/1")
@example("0", "-0")
@example("0", "#### 0/0")
def test_nothing_is_correct_that_the_checker_refuses(answer, response):
    if total(TASK, answer, response):
        assert grade(answer, response, symbolic=False).correct


@settings(max_examples=300)
@given(
    ANSWERS,
    ANSWERS,
    st.sampled_from(["", "1+2=", "#### ", "####", "A: ", " A: ", "3*4\nA: ", "7\n#### ", "5#### ", "= ", "*", "("]),
    st.sampled_from(["", ".", " ", "\n", "*", ")"]),
    st.booleans(),
)
def test_final_answers_are_judged_as_the_checker_does(answer, other, before, after, right):
    response = before + (answer if right else other) + after
    assert total(TASK, answer, response) == grade(answer, response, symbolic=False).correct


@settings(max_examples=300)
@given(ANSWERS, st.text("abcdefghijklmnop \\{}$0123456789.", max_size=40))
def test_prose_is_judged_as_the_checker_does(answer, response):
    verdict = grade(answer, response + "k", symbolic=False)
    score = TASK.reply(Problem("", answer, answer), response + "k", RNG).score
    assert score.parts["correct"] == verdict.correct
    number = verdict.answer is not None and checks_as_number(verdict.answer)
    assert score.parts["format"] == (verdict.correct or number), "format means that a number could be read"


def test_words_are_no_number():
    parts = TASK.reply(Problem("", "82", "82"), "I think", RNG).score.parts
    assert (parts["correct"], parts["format"]) == (0, 0)


@settings(max_examples=300)
@given(ANSWERS, SAID)
def test_the_potential_is_a_part_of_the_answer(answer, partial):
    state = Problem("", answer, answer)
    value = TASK.potential(state, partial)
    assert 0 <= value <= 1
    assert value == TASK.potential(state, partial)


@settings(max_examples=300)
@given(ANSWERS, st.sampled_from(["", " ", "#### ", "A: ", "\\boxed{", "1+2=3\n#### ", "A: 7\nA: ", "The answer is "]))
def test_the_potential_grows_with_every_right_character(answer, before):
    state = Problem("", answer, answer)
    values = [TASK.potential(state, before + answer[:end]) for end in range(len(answer) + 1)]
    assert values == [end / len(answer) for end in range(len(answer) + 1)]
    for end in ("", "}", "}$.", "\n", "."):
        assert TASK.potential(state, before + answer + end) == 1
    for wrong in (answer + "1", answer + " 1", answer[:-1], answer[:-1] + ("1" if answer[-1] != "1" else "2")):
        assert TASK.potential(state, before + wrong) < 1


def test_problems_are_the_same_one_by_one():
    for task in (TASK, TextMath("words", "test", 3)):
        assert task.problems(MANY.tolist()) == [task.problem(int(index)) for index in MANY]
        assert task.problems(MANY) == task.problems(MANY.tolist())
        assert all(question == state.question for state, question in task.problems(MANY))


def test_states_are_values():
    state, _ = TASK.problem(5)
    assert pickle.loads(pickle.dumps(state)) == state
    assert hash(state) == hash(TASK.problem(5)[0])
    assert pickle.loads(pickle.dumps(TASK)).problem(5) == TASK.problem(5)


def test_budgets_come_from_the_level():
    for name, level in LEVELS.items():
        task = TextMath(name)
        assert (task.max_response_tokens, task.max_text_bytes) == (level.max_response_tokens, level.max_text_bytes)
        assert task.vocabulary() == level.vocabulary
        assert (task.num_problems, task.max_turns) == (None, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"difficulty": "hard"}, "difficulty='hard' is none of 'entry', 'one-digit'"),
        ({"split": "dev"}, "split='dev' is none of 'train', 'test', 'all'"),
        ({"split": ""}, "split='' is none of"),
        ({"symbolic": True}, "symbolic=True is for data sets"),
        ({"question_field": "q"}, "give dataset= too"),
        ({"difficulty": "words", "dataset": "a.jsonl"}, "with dataset= leave it out"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        TextMath(**arguments)


def test_seeds_are_whole_numbers():
    assert TextMath(seed=np.int64(3)).problem(1) == TextMath(seed=3).problem(1)
    with pytest.raises(TypeError):
        TextMath(seed=1.5)  # type: ignore[arg-type]


# --- Data sets --------------------------------------------------------------------------------------------------------

ROWS = [
    {"problem": "Halve one.", "solution": r"It is \boxed{2}, turned over: $\boxed{\frac{1}{2}}$."},
    {"problem": "Solve x^2=4.", "solution": r"$x = \boxed{\pm 2}$"},
    {"problem": "Where is the Louvre? é", "solution": r"In \boxed{\text{Paris}}."},
    {"problem": "Add.", "answer": "x+1"},
]


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return path


@pytest.mark.parametrize("symbolic", [True, False])
def test_worked_solutions_score_full_marks(rows, symbolic):
    if symbolic:
        pytest.importorskip("math_verify")
    task = TextMath(dataset=rows, symbolic=symbolic)
    assert task.num_problems == 4
    assert task.vocabulary() is None
    assert task.problem(0)[1] == "Halve one.\n"
    assert task.max_text_bytes == max(len((row["problem"] + "\n").encode()) for row in ROWS)
    for index in range(4):
        state, _ = task.problem(index)
        said = task.demonstrate(state, RNG)
        assert task.reply(state, said, RNG).score.total == 1, said
        assert len(said.encode()) < task.max_response_tokens
        assert task.potential(state, said) == 1
        neighbour, _ = task.problem((index + 1) % 4)
        assert task.reply(state, neighbour.solution, RNG).score.total == 0
    assert task.problems(np.array([3, 1])) == [task.problem(3), task.problem(1)]


def test_algebra_is_asked_where_it_is_wanted(rows):
    pytest.importorskip("math_verify")
    sum_of, exact = TextMath(dataset=rows), TextMath(dataset=rows, symbolic=False)
    state, _ = sum_of.problem(3)
    assert sum_of.reply(state, r"\boxed{1+x}", RNG).score.total == 1
    assert sum_of.reply(state, r"\boxed{1+2x}", RNG).score.total == 0
    assert exact.reply(state, r"\boxed{1+x}", RNG).score.total == 0
    assert exact.reply(state, r"\boxed{x+1}", RNG).score.total == 1


def test_an_undecided_answer_is_a_metric_and_no_full_marks(rows, monkeypatch):
    pytest.importorskip("math_verify")
    task = TextMath(dataset=rows)
    state, _ = task.problem(3)
    assert task.reply(state, r"\boxed{1+x}", RNG).score.parts["undecided"] == 0
    monkeypatch.setattr("textmdp.envs.answers.grading.WORKER.ask", lambda gold, answer: None)
    score = task.reply(state, r"\boxed{1+3x-2x}", RNG).score
    assert (score.parts["correct"], score.parts["format"], score.parts["undecided"]) == (0, 1, 1)
    assert score.total == 0
    assert "undecided" not in score.weights
    assert task.reply(state, r"\boxed{x+1}", RNG).score.parts["undecided"] == 0  # decided without algebra


def test_rows_out_of_range(rows):
    task = TextMath(dataset=rows, symbolic=False)
    for index in (-1, 4):
        with pytest.raises(IndexError, match="problems 0 to 3"):
            task.problem(index)


@needs_gsm8k
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_gold_of_gsm8k_scores_and_no_neighbour_does(split):
    pytest.importorskip("math_verify")
    task = TextMath(dataset=GSM8K, split=split)
    states = [state for state, _ in task.problems(range(task.num_problems))]
    assert len(states) == {"train": 7473, "test": 1319}[split]
    for response in (lambda s: s.solution, lambda s: s.answer, lambda s: f"A: {int(s.answer):,}"):
        replies = task.reply_many(states, [response(state) for state in states], [RNG] * len(states))
        assert all(reply.score.total == 1 for reply in replies)
    misses = [str(int(state.answer) + 1) for state in states]
    assert not any(reply.score.total for reply in task.reply_many(states, misses, [RNG] * len(states)))
    turned = states[1:] + states[:1]
    for state, other in zip(states, turned, strict=True):
        expected = state.answer == other.answer
        assert task.reply(state, other.solution, RNG).score.total == expected
    assert all(task.potential(state, state.solution) == 1 for state in states)
    assert max(len(state.solution.encode()) for state in states) < task.max_response_tokens


def test_importing_is_cheap():
    code = (
        "import sys, textmdp.envs.tasks.text_guess, textmdp.envs.tasks.text_math.datasets; "
        "print([name for name in ('torch', 'transformers', 'sympy', 'datasets', 'math_verify') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
