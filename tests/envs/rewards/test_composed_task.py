"""Tasks with composed rewards: the same in all views, checked answers, and TRL's functions as they are."""

import math
import pickle
import sys
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from toys import Counting, Echo

import textmdp.envs
from textmdp.envs import Reply, ResponseEnv, Score, Task, TokenVectorEnv
from textmdp.envs.env_checker import check_text_env
from textmdp.envs.rewards import ComposedTask, RewardError
from textmdp.envs.tasks.diagnostics import TextStopping

RNG = np.random.default_rng(0)


class Asked(Task[dict]):
    """A task whose states have columns, and whose score has two parts."""

    num_problems = 4

    def problem(self, index):
        return {"answer": str(index), "level": index % 2}, f"{index}? "

    def reply(self, state, response, rng):
        right = float(response.strip() == state["answer"])
        return Reply(state, "", Score({"right": right, "length": float(len(response))}, {"right": 1.0}), True)

    def demonstrate(self, state, rng):
        return state["answer"]


def scored(rewards, response="1", index=1, task=None):
    composed = ComposedTask(task or Asked(), rewards)
    state, _ = composed.problem(index)
    return composed.reply(state, response, RNG).score


def trl_accuracy(completions, answer, **kwargs):
    """As in TRL's documentation: other columns arrive in `kwargs`."""
    assert {"prompts", "level"} <= kwargs.keys()
    return [1.0 if text == right else 0.0 for text, right in zip(completions, answer, strict=True)]


def test_weights_and_metrics():
    score = scored({"right": 0.5, "length": 0.1})
    assert score.parts == {"right": 1.0, "length": 1.0}
    assert score.total == pytest.approx(0.6)
    assert scored({"length": 2}).total == 2.0  # what is left out is a metric
    assert scored({"right": 0}).total == 0.0


def test_terms_show_in_the_score():
    score = scored("gate(right, length) - 0.5 * length_limit(limit=1)", "1 ")
    assert score.parts == {
        "right": 1.0,
        "length": 2.0,
        "length_limit(limit=1)": -1.0,
        "gate(right, length)": 2.0,
    }
    assert score.weights == {"gate(right, length)": 1.0, "length_limit(limit=1)": -0.5}
    assert score.total == 2.5


def test_a_part_twice_counts_twice():
    assert scored("right + right").total == 2.0


def test_functions_of_trl_work_unchanged():
    assert scored({trl_accuracy: 1.0}).parts["trl_accuracy"] == 1.0
    assert scored({"right": 1, partial(trl_accuracy): 0.5}).total == 1.5


def test_functions_get_what_they_ask_for():
    seen = {}

    def curious(prompts, completions, states, parts, level, missing=None):
        seen.update(prompts=prompts, completions=completions, states=states, parts=parts, level=level, missing=missing)
        return [0.0]

    scored(curious, "x", 3)
    assert seen == {
        "prompts": ["3? "],
        "completions": ["x"],
        "states": [{"answer": "3", "level": 1}],
        "parts": [{"right": 0.0, "length": 1.0}],
        "level": [1],
        "missing": None,
    }


def test_none_does_not_apply():
    def odd_levels_only(level):
        return [None if even else 1.0 for even in (x == 0 for x in level)]

    assert scored({"right": 1, odd_levels_only: 1}, "1", 1).total == 2.0
    score = scored({"right": 1, odd_levels_only: 1}, "2", 2)
    assert score.total == 1.0
    assert "odd_levels_only" not in score.parts


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda completions: [math.nan], r"'<lambda>' returned nan for 'some response'"),
        (lambda completions: [math.inf], r"returned inf for 'some response'"),
        (lambda completions: ["high"], r"returned 'high' for 'some response'"),
        (lambda completions: [], r"returned 0 values for 1 responses"),
        (lambda completions: [1.0, 2.0], r"returned 2 values for 1 responses"),
        (lambda completions: 1 / 0, r"raised ZeroDivisionError: division by zero .* 'some response'"),
        (lambda completions: 1.0, r"raised TypeError"),
        (lambda gold: [1.0], r"asks for 'gold', and this task has the columns 'answer', 'level', 'prompts'"),
    ],
)
def test_a_reward_that_is_not_known_is_an_error(function, message):
    with pytest.raises(RewardError, match=message):
        scored({"right": 1, function: 1}, "some response")


def test_a_name_that_is_nothing_is_an_error():
    with pytest.raises(RewardError, match=r"no part 'rihgt'; did you mean 'right'\?"):
        scored("rihgt")
    with pytest.raises(RewardError, match="the rule 'line_count' needs arguments"):
        scored("line_count")


def test_a_rule_without_arguments_needs_no_brackets():
    assert scored({"right": 1, "politeness": 1}, "please").parts["politeness"] == 0.5


def test_a_part_of_the_task_comes_before_a_rule_of_its_name():
    class Polite(Asked):
        def reply(self, state, response, rng):
            return Reply(state, "", Score.of(politeness=7.0), True)

    assert scored("politeness", task=Polite()).total == 7.0


@pytest.mark.parametrize("task", [Echo, Counting])
def test_views_agree(task):
    check_text_env(ComposedTask(task(), {"politeness": 0.5, "length_limit(limit=2)": 1.0}))


def test_a_function_is_called_once_for_all_rows():
    calls = []

    def counted(completions):
        calls.append(len(completions))
        return [0.0] * len(completions)

    envs = TokenVectorEnv(ComposedTask(Asked(), {"right": 1, counted: 1}), 8, autoreset_mode="Disabled")
    envs.reset(seed=0)
    _, rewards, terminated, _, infos = envs.step(np.full(8, envs.mdp.tokenizer.end_id))
    assert terminated.all()
    assert calls == [8]
    assert infos["score"]["counted"].shape == (8,)
    assert rewards.tolist() == [0.0] * 8


def test_prompts_are_the_transcript():
    prompts = []

    def watch(prompts_so_far=None, **columns):
        prompts.append(columns["prompts"][0])
        return [0.0]

    env = ResponseEnv(ComposedTask(Counting(), {watch: 1.0}))
    env.reset(seed=0, options={"problem": 1})
    transcript = env.episode.messages[0]
    terminated = False
    while not terminated:
        _, _, terminated, _, info = env.step("1")
        assert prompts[-1] == transcript
        transcript += "1" + info["message"]
    assert len(prompts) > 1


def test_success_and_the_budget_s_cut_are_the_task_s_own():
    class Cut(Asked):
        """Only whole responses are right."""

        def reply_to_cut(self, state, response, reply):
            return reply._replace(score=Score({"right": 0.0, "length": 9.0}, {"right": 1.0}))

    task = ComposedTask(Cut(), "right - 0.5 * length")
    env = TokenVectorEnv(task, 1, max_response_tokens=2, autoreset_mode="Disabled")
    for last, total, success in ((env.mdp.tokenizer.end_id, 0.5, True), (ord("1") + 3, -4.5, False)):
        env.reset(seed=0, options={"problem": 1})
        env.step(np.array([ord("1") + 3]))
        _, rewards, terminated, _, infos = env.step(np.array([last]))
        assert terminated.all()
        assert rewards.tolist() == [total]
        assert infos["is_success"].tolist() == [success]


def test_slow_tasks_stay_slow_and_functions_are_called_once_for_what_was_submitted_together():
    calls = []

    def counted(completions):
        calls.append(len(completions))
        return [1.0] * len(completions)

    class Slow(Asked):
        def submit(self, states, responses, rngs):
            return Task.submit(self, states, responses, rngs)

        def reply_many(self, states, responses, rngs):
            return [self.reply(*turn) for turn in zip(states, responses, rngs, strict=True)]

    task = ComposedTask(Slow(), {"right": 1, counted: 1})
    assert task.slow
    assert not ComposedTask(Asked(), "right").slow
    states = [state for state, _ in task.problems([0, 1, 2])]
    pending = task.submit(states, ["0", "1", "x"], [RNG] * 3)
    assert not calls
    assert [future.result().score.total for future in pending] == [2.0, 2.0, 1.0]
    assert calls == [3]
    assert [future.result() for future in pending] == task.reply_many(states, ["0", "1", "x"], [RNG] * 3)


def test_outcomes_have_composed_scores():
    composed = ComposedTask(TextStopping(turns=2), {"paid": 2.0, "correct": 1.0})
    state, _ = composed.problem(0)
    after = composed.outcomes(state, "go")[0].reply.state
    outcomes = composed.outcomes(after, "go")
    assert [(outcome.probability, outcome.reply.score.total) for outcome in outcomes] == [(0.5, 1.0), (0.5, 3.0)]
    composed = ComposedTask(Counting(), "correct")
    with pytest.raises(TypeError, match="override Task"):
        composed.outcomes(composed.problem(0)[0], "1")


def test_every_id_takes_rewards():
    for name in textmdp.envs.TASKS:
        for env_id in (f"{name}-v0", f"{name}Response-v0"):
            env = gym.make(env_id, rewards="length_limit(limit=1)")
            assert isinstance(env.unwrapped.mdp.task, ComposedTask)
            env.close()


def test_composed_tasks_are_pickled():
    composed = ComposedTask(Asked(), {"right": 1, "politeness(cap=1)": 0.5})
    again = pickle.loads(pickle.dumps(composed))
    state, _ = again.problem(1)
    assert again.reply(state, "1", RNG) == composed.reply(state, "1", RNG)


def test_a_reward_function_of_trl_from_a_file_on_three_tasks(tmp_path, monkeypatch):
    """As TRL's documentation writes them: `completions` and `**kwargs`, a list of floats back."""
    (tmp_path / "rewards_from_a_file.py").write_text(
        "def brevity(completions, **kwargs):\n    return [1.0 / (1 + len(completion)) for completion in completions]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    for name, own in (("TextMath", "correct"), ("TextPoem", "lines"), ("TextCode", "passed")):
        rewards = {own: 1.0, "rewards_from_a_file:brevity": 0.5}
        env = gym.make(f"{name}Response-v0", rewards=rewards)
        env.reset(seed=0)
        response = env.unwrapped.demonstrate()
        _, reward, _, _, info = env.step(response)
        assert reward == pytest.approx(1.0 + 0.5 / (1 + len(response)))
        assert info["score"]["rewards_from_a_file:brevity"] == pytest.approx(1 / (1 + len(response)))
        env.close()
        envs = gym.make_vec(f"{name}-v0", 3, rewards=rewards, autoreset_mode="Disabled")
        envs.reset(seed=0)
        _, rewards, terminated, _, infos = envs.step(np.full(3, envs.mdp.tokenizer.end_id))
        assert terminated.all()
        assert infos["score"]["rewards_from_a_file:brevity"].tolist() == [1.0] * 3  # empty responses
        envs.close()
