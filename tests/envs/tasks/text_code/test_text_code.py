"""TextCode: references score full marks and mistakes do not, and batches are graded in parallel."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.scripted import CarelessExpertAgent
from textmdp.envs import TokenVectorEnv
from textmdp.envs.core.task import END_OF_TURN
from textmdp.envs.judge import Judge
from textmdp.envs.judge.shared import _shared, acquire, release
from textmdp.envs.judge.verdict import TestResult, Verdict
from textmdp.envs.tasks.text_code import TextCode
from textmdp.envs.tasks.text_code.generator.generate import LEVELS
from textmdp.envs.tasks.text_code.scoring import Scoring

RNG = np.random.default_rng(0)
TASK = TextCode()
PARTS = {"passed", "solved", "compiles", "passes_examples"}


class Ledger:
    """Stands in for a judge: passes programs by their text, and keeps what it was asked."""

    def __init__(self, passed=lambda program: 1.0):
        self.passed, self.asked = passed, []

    def submit_each(self, groups, wall, cpu, sharing):
        assert sharing
        return [self.submit(programs, wall, cpu) for programs in groups]

    def submit(self, programs, wall, cpu):
        self.asked += [(program, suite, wall, cpu) for program, suite in programs]
        verdicts = [
            Verdict(tuple(TestResult(i < self.passed(program) * len(suite), "") for i in range(len(suite))), cpu=0.25)
            for program, suite in programs
        ]
        return SimpleNamespace(result=lambda: verdicts, cancel=lambda: None)


def scores(task: TextCode, pairs) -> list[float]:
    states, responses = zip(*pairs, strict=True)
    return [reply.score.total for reply in task.reply_many(states, responses, [RNG] * len(states))]


@pytest.mark.parametrize("difficulty", sorted(LEVELS))
def test_references_score_full_marks_and_mistakes_do_not(difficulty):
    task = TextCode(difficulty, "test")
    states = [state for state, _ in task.problems(range(12))]
    # With a line break behind it the program is run; to the letter, it is known.
    assert scores(task, [(state, task.demonstrate(state, RNG) + "\n") for state in states]) == [1.0] * 12
    assert scores(task, [(state, task.demonstrate(state, RNG)) for state in states]) == [1.0] * 12
    wrong = [state for state in states if task.mistake(state, RNG) != task.demonstrate(state, RNG)]
    earned = scores(task, [(state, task.mistake(state, RNG)) for state in wrong])
    assert np.mean(earned) < 0.95
    assert max(scores(task, [(state, "    return None") for state in states])) <= 0.1


def test_a_careless_expert_is_mostly_wrong():
    states = [state for state, _ in TASK.problems(range(200))]
    assert 0.1 < np.mean(scores(TASK, [(state, TASK.mistake(state, RNG)) for state in states])) < 0.3


@pytest.fixture(scope="module")
def subtraction():
    """The problem with this statement."""
    statement = "Subtract x from 3, then subtract it from y."
    return next(state for state, text in TextCode(split="all").problems(range(10_000)) if statement in text)


@pytest.mark.parametrize(
    ("response", "parts"),
    [
        ("    return y - (3 - x)", (1, 1, 1, 1)),
        ("    return  x+y-3 # the same", (1, 1, 1, 1)),
        ("def f(a, b):\n    return a + b - 3", (1, 1, 1, 1)),
        ("Sure:\n```python\ndef f(x, y):\n    return x + y - 3\n```\nThat is it.", (1, 1, 1, 1)),
        ("    return x - 3 - y", (0, 0, 1, 0)),
        ("    return str(x + y - 3)", (0, 0, 1, 0)),
        ("    return x + y -", (0, 0, 0, 0)),
        ("", (0, 0, 0, 0)),
        ("    raise SystemExit", (0, 0, 1, 0)),
        ("    return x // 0", (0, 0, 1, 0)),
    ],
)
def test_scores_of_responses(subtraction, response, parts):
    got = TASK.reply(subtraction, response, RNG)
    assert (got.state, got.text, got.done) == (subtraction, "", True)
    assert got.score.parts == dict(zip(("passed", "solved", "compiles", "passes_examples"), parts, strict=True))
    assert got.score.total == parts[0]


def test_credit_is_a_fraction_or_all():
    judge = Ledger(lambda program: 0.5)
    state, _ = TASK.problem(0)
    fraction = TextCode(judge=judge).reply(state, "    return 1", RNG).score
    everything = TextCode(judge=judge, credit="all").reply(state, "    return 1", RNG).score
    assert fraction.parts == everything.parts
    assert (fraction.total, everything.total) == (0.6, 0.0)  # 6 of 11 tests, the shown one last
    assert TextCode(judge=judge, credit="all").reply(state, state.problem.solution, RNG).score.total == 1


def test_the_same_program_is_asked_once_in_a_batch():
    judge = Ledger(lambda program: float("x" in program))
    task = TextCode(judge=judge, wall=7.0, cpu=1.5)
    states = [state for state, _ in task.problems(range(6))]
    pairs = [(state, response) for state in states for response in ("    return 1", "    return 2", "    return 1")]
    replies = task.reply_many(*zip(*pairs, strict=True), [RNG] * len(pairs))
    assert [reply.state for reply in replies] == [state for state, _ in pairs]
    assert len(judge.asked) == 12
    assert {(wall, cpu) for _, _, wall, cpu in judge.asked} == {(7.0, 1.5)}
    assert {len(suite) for _, suite, _, _ in judge.asked} == {11}, "hidden tests and the example in one run"
    single = [task.reply(state, response, RNG) for state, response in pairs]
    assert single == replies
    judge.asked.clear()
    task.reply_many(states, [state.problem.solution for state in states], [RNG] * 6)
    assert not judge.asked, "what the tests were made from is known to pass them"


def test_submitted_responses_are_graded_once_and_give_the_same_replies():
    judge = Ledger(lambda program: float("x" in program))
    task = TextCode(judge=judge)
    states = [state for state, _ in task.problems(range(4))]
    responses = ["    return x", "    return 1", states[2].problem.solution, "    return x"]
    pending = task.submit(states[:3], responses[:3], [RNG] * 3)
    assert [program[-12:] for program, *_ in judge.asked] == ["    return x", "    return 1"], "the third is known"
    replies = [future.result() for future in pending]
    assert len(judge.asked) == 2
    assert replies == TextCode(judge=judge).reply_many(states[:3], responses[:3], [RNG] * 3)
    assert pickle.loads(pickle.dumps(TextCode())).reply(states[1], "    return 1", RNG).score.total < 1


def test_rollouts_grade_ahead_and_get_the_same_scores():
    envs = TokenVectorEnv(TextCode(), 24, autoreset_mode="Disabled", copy=False)
    ahead = rollout(CarelessExpertAgent(0.5, seed=1), envs, seed=3)
    one_by_one = [TASK.reply(episode.state, episode.messages[1], RNG).score for episode in ahead.episodes]
    assert [episode.scores[0] for episode in ahead.episodes] == one_by_one
    assert 0 < ahead.returns.mean() < 1


class GatedJudge(Ledger):
    """Fails every program, and grades none before the gate opens; closing it fails those that wait."""

    def __init__(self):
        super().__init__(lambda program: 0.0)
        self.gate, self.closed, self.waiting = threading.Event(), False, threading.Semaphore(0)

    def submit(self, programs, wall, cpu):
        verdicts = super().submit(programs, wall, cpu).result()

        def result():
            self.waiting.release()
            assert self.gate.wait(60)
            if self.closed:
                raise RuntimeError("the judge was closed before this was graded")
            return verdicts

        return SimpleNamespace(result=result, cancel=lambda: None)

    def close(self):
        self.closed = True
        self.gate.set()


def in_threads(count, work):
    """The results of `work` in threads that start together; an error stands for a result."""
    found = []

    def run():
        try:
            found.append(work())
        except RuntimeError as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, found


def test_threads_that_share_a_task_never_pay_a_wrong_program():
    judge = GatedJudge()
    task = TextCode(judge=judge)
    states = [state for state, _ in task.problems(range(3))]
    wrong = ["    return None"] * 3
    threads, found = in_threads(4, lambda: task.reply_many(states, wrong, [RNG] * 3))
    for _ in threads:
        assert judge.waiting.acquire(timeout=60)
    judge.gate.set()
    for thread in threads:
        thread.join()
    assert [[reply.score.total for reply in replies] for replies in found] == [[0.0] * 3] * 4


def test_closing_while_grading_raises():
    judge = GatedJudge()
    task = TextCode(judge=judge)
    state, _ = task.problem(0)
    threads, found = in_threads(2, lambda: task.reply(state, "    return None", RNG))
    for _ in threads:
        assert judge.waiting.acquire(timeout=60)
    task.close()
    judge.close()
    for thread in threads:
        thread.join()
    assert all(isinstance(error, RuntimeError) and "closed before this was graded" in str(error) for error in found)
    assert len(found) == 2


def test_closing_the_shared_judge_while_grading_raises():
    task = TextCode(wall=30.0, cpu=30.0)
    state, _ = task.problem(0)
    (pending,) = task.submit([state], ["    while True: pass"], [RNG])
    for other in list(_shared["best", ()][1]):
        release("best", other)
    with pytest.raises(RuntimeError, match="closed before this was graded"):
        pending.result()


def test_incomplete_verdicts_are_errors_and_never_scores():
    state, _ = TASK.problem(0)
    passed = TestResult(True, "")
    for tests in ((), (passed,) * 3, (passed,) * 10, (passed,) * 12):
        with pytest.raises(RuntimeError, match="results for 10 hidden and 1 visible tests"):
            Scoring("passed", False).score(state.problem, [Verdict(tests, cpu=0.0)])
    assert Scoring("passed", False).score(state.problem, [Verdict((passed,) * 11, cpu=0.0)]).total == 1.0


def test_the_runtime_is_optional():
    judge = Ledger()
    state, _ = TASK.problem(0)
    score = TextCode(judge=judge, measure_runtime=True).reply(state, state.problem.solution, RNG).score
    assert score.parts["runtime"] == 0.25
    assert score.total == 1
    assert {*TextCode(judge=judge).reply(state, state.problem.solution, RNG).score.parts} == PARTS


def test_the_potential_counts_what_may_begin_a_program():
    state, _ = TASK.problem(3)
    reference = state.problem.solution
    values = [TASK.potential(state, reference[:end]) for end in range(len(reference) + 1)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (0.0, 0.5)
    assert TASK.potential(state, reference + ")") == TASK.potential(state, reference + ") + 1") == 0.5
    assert TASK.potential(state, "Well, I say:\n```python\n" + reference) == 0.5
    assert TASK.potential(state, "x = 1\n" * 10_000) < 1


def test_the_mask_is_optional():
    state, _ = TASK.problem(0)
    assert TASK.continuations(state, "") is None
    task = TextCode(grammar=True)
    assert task.continuations(state, "") == ("    ",)
    assert {"x", "("} <= {*task.continuations(state, "    return ")}
    assert END_OF_TURN in task.continuations(state, "    return x")


def test_masked_programs_raise_no_name_errors():
    rng = np.random.default_rng(3)
    for difficulty in ("loops", "lists", "texts"):
        task = TextCode(difficulty, grammar=True)
        jobs = []
        for state, _ in task.problems(range(40)):
            text, token = "", None
            while token != END_OF_TURN:
                options = task.continuations(state, text)
                token = options[rng.integers(len(options))]
                text += token
            jobs.append((state.problem.stub + text, state.problem.hidden))
        for (program, _), verdict in zip(jobs, acquire("best", task).grade(jobs), strict=True):
            for test in verdict.tests:
                assert not test.reason.startswith(("error: NameError", "error: UnboundLocal", "error: Syntax")), program


def test_tasks_and_states_are_values():
    state, prompt = TASK.problem(5)
    assert prompt == state.problem.prompt
    assert pickle.loads(pickle.dumps(state)) == state
    assert hash(pickle.loads(pickle.dumps(state))) == hash(state)
    for task in (TASK, TextCode("lists", grammar=True), TextCode(judge=Judge(workers=1))):
        for twin in (pickle.loads(pickle.dumps(task)), copy.deepcopy(task)):
            assert twin.problem(5) == task.problem(5)
            state, _ = task.problem(5)
            assert twin.reply(state, state.mistake, RNG) == task.reply(state, state.mistake, RNG)


def test_tasks_of_a_process_share_a_judge():
    TASK.reply(TASK.problem(0)[0], "    return x", RNG)
    assert acquire("best", TASK) is acquire("best", TextCode())
    found = []
    state, _ = TASK.problem(1)
    threads = [
        threading.Thread(target=lambda: found.append(TextCode().reply(state, state.mistake, RNG))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(reply == found[0] for reply in found)


def test_the_last_environment_closes_the_shared_judge():
    code = """
import gymnasium as gym, textmdp.envs
from textmdp.envs.judge import Judge
from textmdp.envs.judge.shared import _shared, acquire
from textmdp.envs.tasks.text_code import TextCode

def answer(task):
    state, _ = task.problem(0)
    return task.reply(state, state.mistake, None).score.total

envs = [gym.make_vec("TextCode-v0", 2), gym.make("TextCode-v0"), gym.make("TextCodeResponse-v0")]
tasks = [envs[0].mdp.task, *(env.unwrapped.mdp.task for env in envs[1:])]
before = [answer(task) for task in tasks]
judge = acquire("best", tasks[0])
for env in envs:
    assert not judge._closed
    env.close()
    env.close()
assert judge._closed and not _shared
assert [answer(task) for task in tasks] == before and acquire("best", tasks[0]) is not judge
with Judge(workers=1) as own:
    task = TextCode(judge=own)
    textmdp.envs.TokenVectorEnv(task).close()
    assert not own._closed and answer(task) == before[0]
print("done")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout == "done\n", result.stderr


def test_making_a_task_starts_nothing():
    code = (
        "import sys, textmdp.envs, gymnasium as gym; env = gym.make('TextCode-v0'); env.reset(seed=0); "
        "import threading; from textmdp.envs.judge.shared import acquire; "
        "print(threading.active_count(), acquire('best', env.unwrapped.mdp.task)._engine, "
        "'textmdp.envs.judge.inside.zygote' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert result == "1 None False\n"


def test_budgets_come_from_the_level():
    for name, level in LEVELS.items():
        task = TextCode(name)
        assert (task.max_response_tokens, task.max_text_bytes) == (level.max_response_tokens, level.max_text_bytes)
        assert task.vocabulary() == level.vocabulary
        assert (task.num_problems, task.max_turns) == (None, 1)
        assert f"| `{name}`" in TextCode.__doc__
        assert level.example in TextCode.__doc__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"difficulty": "hard"}, "difficulty='hard' is none of 'entry', 'one-step'"),
        ({"split": "dev"}, "split='dev' is none of 'train', 'test', 'all'"),
        ({"credit": "some"}, "credit='some' is none of 'fraction', 'all'"),
        ({"wall": 0}, "wall=0 must be a positive number of seconds"),
        ({"cpu": float("inf")}, "cpu=inf must be"),
        ({"isolation": "none"}, "isolation"),
        ({"isolation": "A", "judge": Ledger()}, "judge= has its own"),
        ({"modules": ["numpy"], "judge": Ledger()}, "judge= has its own"),
        ({"modules": ["json"]}, "of the standard library"),
        ({"preamble": "import math"}, "are for data sets: give dataset= too"),
        ({"tolerance": 0.1}, "are for data sets: give dataset= too"),
        ({"skip_untested": True}, "give dataset= too"),
        ({"cpu": 1.0, "test_cpu": 2.0}, "test_cpu=2.0 must be positive seconds, at most those of all tests"),
        ({"difficulty": "loops", "dataset": "a.jsonl"}, "with dataset= leave it out"),
        ({"grammar": True, "dataset": "a.jsonl"}, "data sets have none"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        TextCode(**arguments)


def test_seeds_are_whole_numbers():
    assert TextCode(seed=np.int64(3)).problem(1) == TextCode(seed=3).problem(1)
    with pytest.raises(TypeError):
        TextCode(seed=1.5)  # type: ignore[arg-type]


# --- Data sets --------------------------------------------------------------------------------------------------------

ROWS = [
    {
        "task_id": "HumanEval/900",
        "prompt": 'def double(x):\n    """ Twice x.\n    >>> double(2)\n    4\n    """\n',
        "entry_point": "double",
        "canonical_solution": "    return 2 * x\n",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-3) == -6\n"
        "    assert candidate(0) == 0\n    assert candidate(7) == 14\n",
    },
    {
        "task_id": "HumanEval/901",
        "prompt": 'def last(xs):\n    """ The last item of a list, None where there is none. """\n',
        "entry_point": "last",
        "canonical_solution": "    return xs[-1] if xs else None\n",
        "test": "def check(candidate):\n    assert candidate([1, 2]) == 2\n    assert candidate([]) is None\n",
    },
]


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return path


def test_data_sets_are_graded_by_their_own_tests(rows):
    task = TextCode(dataset=rows)
    assert (task.num_problems, task.vocabulary()) == (2, None)
    states = [state for state, _ in task.problems([0, 1])]
    assert task.problem(0)[1].startswith("def double(x):")
    assert scores(task, [(state, task.demonstrate(state, RNG)) for state in states]) == [1.0, 1.0]
    assert scores(task, [(states[0], "    return x + 2\n"), (states[1], "    return None\n")])[0] < 1
    whole = "```python\ndef double(x):\n    return x + x\n```"
    assert task.reply(states[0], whole, RNG).score.parts == dict.fromkeys(PARTS, 1.0)
    assert task.continuations(states[0], "") is None
    assert 0 < task.potential(states[0], "    return 2 *") < 1
    assert len((states[0].problem.stub + states[0].problem.solution).encode()) < task.max_response_tokens


def test_options_of_the_judge_reach_the_programs_of_a_data_set(tmp_path, rows):
    cases = {"inputs": ["1 3\n", "2 3\n", "5 3\n"], "outputs": ["0.333\n", "0.667\n", "1.667\n"]}
    row = {"question": "Divide.", "input_output": json.dumps(cases), "solutions": "[]", "starter_code": ""}
    path = tmp_path / "apps.jsonl"
    path.write_text(json.dumps(row))
    program = "import numpy\nx, y = numpy.array(input().split(), dtype=float)\nprint(f'{x / y:.6f} ')"
    options = [{}, {"tolerance": 1e-3}, {"modules": ["numpy"]}, {"modules": ["numpy"], "tolerance": 1e-3}]
    found = []
    for chosen in options:
        task = TextCode(dataset=path, wall=30.0, cpu=20.0, **chosen)
        found.append(scores(task, [(task.problem(0)[0], program)]))
        task.close()
    assert found == [[0.0], [0.0], [0.0], [1.0]]
    task = TextCode(dataset=rows, preamble="HALF = 0.5")
    assert scores(task, [(task.problem(0)[0], "    return int(x / HALF)\n")]) == [1.0]
    with pytest.raises(ValueError, match="this data set has none"):
        TextCode(dataset=rows, compare="tokens")
    with pytest.raises(ValueError, match="compare must be a function or one of"):
        TextCode(dataset=path, compare="words")


def test_long_results_of_data_sets(tmp_path):
    """HumanEval+ has results of more than a judge's default of 1 MiB, in calls and in statements."""
    size = 3 << 20
    calls_row = {
        "task_id": "T/0",
        "prompt": 'def repeat(n):\n    """Repeat x."""\n',
        "entry_point": "repeat",
        "canonical_solution": "    return 'x' * n\n",
        "test": f"def check(candidate):\n    assert candidate({size}) == '{'x' * size}'\n",
    }
    statement = f"def check(candidate):\n    for n in (2, {size}):\n        assert candidate(n) == 'x' * n\n"
    for row in (calls_row, {**calls_row, "test": statement}):
        path = tmp_path / "long.jsonl"
        path.write_text(json.dumps(row) + "\n", "utf-8")
        task = TextCode(dataset=path)
        state, _ = task.problem(0)
        assert scores(task, [(state, task.demonstrate(state, RNG)), (state, "    return 'y' * n\n")]) == [1.0, 0.0]
        with Judge(1) as own:
            assert TextCode(dataset=path, judge=own).reply(state, task.demonstrate(state, RNG), RNG).score.total == 1.0


def test_a_mistake_of_a_data_set_is_another_program(rows):
    task = TextCode(dataset=rows)
    for state, _ in task.problems([0, 1]):
        mistake = task.mistake(state, RNG)
        assert mistake != state.problem.solution
        assert task.reply(state, mistake, RNG).score.parts["compiles"] == 1


def test_rows_out_of_range(rows):
    for index in (-1, 2):
        with pytest.raises(IndexError, match="problems 0 to 1"):
            TextCode(dataset=rows).problem(index)
