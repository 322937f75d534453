"""Budgets of data sets: they fit the tokenizer in use, and a cut answer is never right by luck."""

from __future__ import annotations

import json

import numpy as np
import pytest
from paths import SHARED

from textmdp.envs import ByteTokenizer, LexiconTokenizer, ResponseEnv, TokenEnv, TokenVectorEnv
from textmdp.envs.data.response_budget import REASONING, response_budget
from textmdp.envs.env_checker import check_text_env
from textmdp.envs.tasks.text_code import TextCode
from textmdp.envs.tasks.text_math import TextMath

GSM8K = SHARED / "data" / "gsm8k"
RNG = np.random.default_rng(0)
#: Four letters a token in plain prose.
WORDS = LexiconTokenizer(
    ("\n", *map(chr, range(32, 127)), "She ", "sells ", "apples ", "the ", "morning", "That ", "leaves ")
)
CODE = {
    "task_id": "HumanEval/900",
    "prompt": 'def double(x):\n    """ Twice x.\n    >>> double(2)\n    4\n    """\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-3) == -6\n"
    "    assert candidate(0) == 0\n    assert candidate(7) == 14\n",
}


def dataset(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def bare(tmp_path, answers):
    """TextMath on rows with bare answers."""
    rows = [{"question": f"Question {i}?", "answer": answer} for i, answer in enumerate(answers)]
    return TextMath(dataset=dataset(tmp_path, rows), answer_field="answer", symbolic=False)


def test_budgets_hold_the_longest_solution_and_room_to_reason():
    solutions = ["a" * 10, "é" * 300, "b" * 500]
    assert response_budget(ByteTokenizer(), solutions) == 64 * -(-(600 + REASONING + 1) // 64)
    assert response_budget(ByteTokenizer(), []) > REASONING
    assert response_budget(WORDS, ["18"]) < response_budget(ByteTokenizer(), ["18"])
    # The longest in bytes need not be the longest in tokens.
    assert response_budget(WORDS, ["apples " * 500, "3" * 3000]) >= 3000


@pytest.mark.parametrize("tokenizer", [None, "bytes", WORDS], ids=["default", "bytes", "words"])
def test_rows_with_bare_answers_leave_room_to_reason(tmp_path, tokenizer):
    task = bare(tmp_path, ["187", "7"])
    env = ResponseEnv(task, tokenizer=tokenizer)
    assert env.mdp.max_response_tokens >= 500
    assert env.mdp.max_response_tokens == task.response_budget(env.mdp.tokenizer)
    env.reset(seed=0, options={"problem": 0})
    reasoning = "She sells 12 apples in the morning. " * 50
    _, reward, terminated, _, info = env.step(f"{reasoning}\n#### 187")
    assert (reward, terminated, info["finish_reason"]) == (1.0, True, "stop")


@pytest.mark.skipif(not GSM8K.is_dir(), reason=f"GSM8K is not at {GSM8K}")
@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), WORDS], ids=["bytes", "words"])
def test_every_solution_of_gsm8k_fits_twice_over(tokenizer):
    task = TextMath(dataset=GSM8K, split="test", symbolic=False)
    budget = task.response_budget(tokenizer)
    solutions = [state.solution for state, _ in task.problems(range(task.num_problems))]
    longest = max(len(tokenizer.encode(solution, errors="replace")) for solution in solutions)
    assert 2 * longest < budget
    assert TokenEnv(task, tokenizer=tokenizer).mdp.max_response_tokens == budget
    assert TokenEnv(task, tokenizer=tokenizer, max_response_tokens=77).mdp.max_response_tokens == 77


@pytest.mark.skipif(not GSM8K.is_dir(), reason=f"GSM8K is not at {GSM8K}")
def test_no_beginning_of_a_solution_of_gsm8k_is_right_by_luck():
    """Whatever the budget, an answer that was cut after its first digits, or right behind the last, is not right."""
    task = TextMath(dataset=GSM8K, split="test", symbolic=False)
    for index in range(0, 1319, 40):
        state, _ = task.problem(index)
        begun = state.solution.rindex("####") + 5
        for response in (state.solution[:end] for end in range(begun + 1, len(state.solution) + 1)):
            reply = task.reply(state, response, RNG)
            assert task.reply_to_cut(state, response, reply).score.total == 0
        closed = state.solution + "\nSo"
        assert task.reply_to_cut(state, closed, task.reply(state, closed, RNG)).score.total == 1


@pytest.mark.parametrize(
    ("answer", "response", "right"),
    [
        ("18", "#### 187", 0),  # cut in the middle of the number
        ("18", "#### 18.5", 0),
        ("18", "#### 18,000", 0),
        ("1/2", "#### 1/24", 0),
        ("18", "The answer is 187", 0),
        ("18", "187", 0),
        ("18", "#### 18\nThat is the answer, since", 1),
        ("18", r"So it is \boxed{18}. Let us", 1),
        ("18", r"\boxed{18}", 1),
        ("187", "#### 187\n", 1),
    ],
)
def test_an_answer_that_touches_the_cut_is_not_right(tmp_path, answer, response, right):
    task = bare(tmp_path, [answer])
    budget = len(response) if right else response.rindex(answer) + len(answer)
    for view in (TokenEnv, ResponseEnv):
        env = view(task, max_response_tokens=budget)
        env.reset(seed=0)
        if view is ResponseEnv:
            _, reward, _, _, info = env.step(response)
        else:
            for token in env.mdp.tokenizer.encode(response)[:budget]:
                _, reward, _, _, info = env.step(token)
        assert (info["finish_reason"], reward) == ("length", right)
        assert info["score"]["correct"] == right
    vector = TokenVectorEnv(task, 2, max_response_tokens=budget)
    vector.reset(seed=0)
    for token in vector.mdp.tokenizer.encode(response)[:budget]:
        _, rewards, *_ = vector.step([token, token])
    assert rewards.tolist() == [right, right]


def test_generated_problems_are_graded_as_they_stand():
    for task, response in ((TextMath(), None), (TextCode(), None)):
        state, _ = task.problem(0)
        response = task.demonstrate(state, RNG)
        reply = task.reply(state, response, RNG)
        assert task.reply_to_cut(state, response, reply) is reply
        assert task.response_budget(ByteTokenizer()) == task.max_response_tokens


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("    return x + x", 0),  # which may go on: `return x + x * y`
        ("    return x + x\n", 1),
        ("    return x + x  # twice", 0),
        ("def double(x):\n    return x + x", 0),
        ("```python\ndef double(x):\n    return x + x", 0),
        ("```python\ndef double(x):\n    return x + x\n", 1),
        ("```python\ndef double(x):\n    return x + x\n```", 1),
        ("```python\ndef double(x):\n    return x + x\n```\nThis is ri", 1),
        ("    return x + x\n\nprint(dou", 1),
    ],
)
def test_a_program_that_touches_the_cut_earns_nothing(tmp_path, response, right):
    task = TextCode(dataset=dataset(tmp_path, [CODE]))
    env = ResponseEnv(task, max_response_tokens=len(response))
    env.reset(seed=0)
    _, reward, _, _, info = env.step(response)
    assert (info["finish_reason"], reward, info["score"]["solved"]) == ("length", right, right)
    env = ResponseEnv(task)
    env.reset(seed=0)
    assert env.mdp.max_response_tokens > REASONING
    assert env.step(response)[1] == 1, "the same program, complete"


@pytest.mark.parametrize("options", [{"max_response_tokens": 12}, {"max_response_tokens": 12, "tokenizer": WORDS}])
def test_the_views_agree_about_cut_responses(tmp_path, options):
    check_text_env(bare(tmp_path, ["187", "7", "-12"]), **options)
