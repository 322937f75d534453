"""The vector view against single ones: every mode, option and branch."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Counting, Digits, Echo

from textmdp.envs import ResponseEnv, TokenEnv, TokenVectorEnv
from textmdp.envs.env_checker import difference
from textmdp.envs.tasks.text_guess import TextGuess
from textmdp.envs.tasks.text_math import TextMath

MODES = list(AutoresetMode)


@settings(max_examples=60, deadline=None)
@given(
    task=st.sampled_from([Echo(), Counting(), Digits()]),
    mode=st.sampled_from(MODES),
    seed=st.integers(0, 1000),
    budget=st.integers(1, 5),
    room=st.integers(10, 40),
    reward=st.sampled_from(["sparse", "dense"]),
)
def test_rows_are_single_environments(task, mode, seed, budget, room, reward):
    options = {"max_response_tokens": budget, "context_length": room, "reward": reward}
    singles = SyncVectorEnv([lambda: TokenEnv(task, **options)] * 4, autoreset_mode=mode)
    vector = TokenVectorEnv(task, 4, autoreset_mode=mode, **options)
    rng = np.random.default_rng(seed)
    assert not difference(singles.reset(seed=seed), vector.reset(seed=seed))
    for _ in range(40):
        over = vector.over
        if mode is AutoresetMode.DISABLED and over.any():
            options = [{"reset_mask": over.copy()} for _ in range(2)]
            assert not difference(singles.reset(options=options[0]), vector.reset(options=options[1]))
        actions = rng.integers(vector.mdp.tokenizer.vocab_size, size=4)
        assert not difference(singles.step(actions), vector.step(actions))


def test_a_time_limit_truncates_like_gymnasium_s():
    gym.register("Echo-v0", lambda: TokenEnv(Echo()), max_episode_steps=3)
    singles = gym.make_vec("Echo-v0", 3, vectorization_mode="sync")
    vector = TokenVectorEnv(Echo(), 3, max_episode_steps=3)
    assert not difference(singles.reset(seed=1), vector.reset(seed=1))
    for _ in range(12):
        actions = np.array([4, 4, 1])
        expected, got = singles.step(actions), vector.step(actions)
        assert not difference(expected, got)
    del gym.registry["Echo-v0"]


class Deferred:
    """A future that computes its result when it is asked for, and counts how often."""

    def __init__(self, compute):
        self.compute, self.asked, self.cancelled = compute, 0, False

    def result(self):
        """The result."""
        assert not self.cancelled
        self.asked += 1
        return self.compute()

    def cancel(self):
        """Give it up."""
        self.cancelled = True


class SlowDigits(Digits):
    """`Digits`, graded in the background."""

    def __init__(self):
        self.futures = []

    def submit(self, states, responses, rngs):
        new = [Deferred(partial(self.reply, *arguments)) for arguments in zip(states, responses, rngs, strict=True)]
        self.futures += new
        return new


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(MODES),
    seed=st.integers(0, 1000),
    reward=st.sampled_from(["sparse", "dense"]),
    subset=st.integers(0, 15),
)
def test_submitting_ahead_changes_nothing(mode, seed, reward, subset):
    plain, ahead = (TokenVectorEnv(task, 4, autoreset_mode=mode, reward=reward) for task in (Digits(), SlowDigits()))
    rng = np.random.default_rng(seed)
    assert not difference(plain.reset(seed=seed), ahead.reset(seed=seed))
    for _ in range(40):
        over = plain.over
        if mode is AutoresetMode.DISABLED and over.any():
            results = [envs.reset(options={"reset_mask": over.copy()}) for envs in (plain, ahead)]
            assert not difference(*results)
        actions = rng.integers(plain.mdp.tokenizer.vocab_size, size=4)
        actions[rng.random(4) < 0.5] = plain.mdp.tokenizer.end_id
        rows = [row for row in range(4) if subset >> row & 1 and not ahead.over[row]]
        ahead.submit(rows)  # some of them go on after all
        assert not difference(plain.step(actions), ahead.step(actions))
    graded = [future for future in ahead.mdp.task.futures if future.asked]
    assert len(graded) >= sum(episode.turn for episode in ahead.episodes)
    assert all(future.asked == 1 for future in graded)


def test_submitted_rows_that_go_on_elsewhere_are_graded_anew():
    envs = TokenVectorEnv(SlowDigits(), 3, autoreset_mode="Disabled")
    envs.reset(seed=0, options={"problem": [0, 1, 2]})
    one = int(envs.mdp.tokenizer.encode("1")[0])
    envs.step([one] * 3)
    snapshot = envs.snapshot([0])[0]
    envs.submit([0, 1, 2])
    envs.restore([snapshot], [1], noise=3)
    envs.branch([0], [2])
    envs.reset(options={"reset_mask": np.array([True, False, False])})
    submitted = envs.mdp.task.futures[:]
    envs.step([envs.mdp.tokenizer.end_id] * 3)
    assert not any(future.asked for future in submitted), "another state, another reply"
    assert [episode.messages[1] for episode in envs.episodes] == ["", "1", "1"]


def test_closing_cancels_what_was_submitted_and_an_episode_that_is_over_cannot_be():
    envs = TokenVectorEnv(SlowDigits(), 2, autoreset_mode="Disabled")
    envs.reset(seed=0)
    envs.submit([1])
    envs.submit([1])
    (future,) = envs.mdp.task.futures
    envs.close()
    assert future.cancelled
    for _ in range(3):
        envs.step([envs.mdp.tokenizer.end_id] * 2)
    with pytest.raises(gym.error.ResetNeeded, match=r"rows \[0\] are over"):
        envs.submit([0])


def test_an_error_in_one_future_cancels_the_others():
    envs = TokenVectorEnv(SlowDigits(), 3, autoreset_mode="Disabled")
    envs.reset(seed=0)
    envs.submit([0, 1, 2])
    futures = envs.mdp.task.futures
    futures[1].compute = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        envs.step([envs.mdp.tokenizer.end_id] * 3)
    assert all(future.cancelled for future in futures)


class Interrupted(Counting):
    """`Counting` whose grading fails while `fails` is set."""

    fails = False

    def reply(self, state, response, rng):
        if self.fails:
            raise OSError("the grader is gone")
        return super().reply(state, response, rng)


@pytest.mark.parametrize("reward", ["sparse", "dense"])
@pytest.mark.parametrize("last", ["end", "budget"])
def test_a_step_whose_grading_fails_changes_nothing_and_can_be_repeated(reward, last):
    task = Interrupted()
    single, response = (view(task, reward=reward) for view in (TokenEnv, ResponseEnv))
    vector = TokenVectorEnv(task, 2, autoreset_mode="Disabled", reward=reward)
    one, end = int(vector.mdp.tokenizer.encode("1")[0]), vector.mdp.tokenizer.end_id
    single.reset(seed=0, options={"problem": 0})
    response.reset(seed=0, options={"problem": 0})
    vector.reset(seed=[0, 0], options={"problem": [0, 0]})
    tokens = [one, end] if last == "end" else [one, one, one]
    for token in tokens[:-1]:
        single.step(token)
        vector.step([token, token])
    attempts = [
        (single, lambda: single.step(tokens[-1])),
        (response, lambda: response.step("1" if last == "end" else "111")),
        (vector, lambda: vector.step([tokens[-1], one if last == "end" else end])),
    ]
    if reward == "sparse":
        attempts.insert(2, (vector, lambda: vector.append([0], [tokens[-1:]], [1])))
    for env, attempt in attempts:
        before = env.snapshot()
        task.fails = True
        with pytest.raises(OSError, match="the grader is gone"):
            attempt()
        task.fails = False
        after = env.snapshot()
        assert after == before
        assert [s.episode for s in np.atleast_1d(after)] == [s.episode for s in np.atleast_1d(before)]
    task.fails = False
    expected = single.step(tokens[-1])
    got = vector.step([tokens[-1], one])
    assert not difference(expected[1:4], tuple(part[0] for part in got[1:4]))
    assert response.step("1" if last == "end" else "111")[2:4] == expected[2:4]
    assert single.episode.messages == vector.episodes[0].messages == response.episode.messages


def test_a_list_of_seeds_and_problems_of_rows():
    vector = TokenVectorEnv(Echo(), 3)
    _, info = vector.reset(seed=[5, None, 5])
    assert info["problem"][0] == info["problem"][2]
    _, info = vector.reset(options={"problem": [7, 7, 9]})
    assert info["message"].tolist() == ["say 7: ", "say 7: ", "say 9: "]
    with pytest.raises(ValueError, match="2 numbers for 3 environments"):
        vector.reset(options={"problem": [1, 2]})
    with pytest.raises(ValueError, match="2 seeds for 3 environments"):
        vector.reset(seed=[1, 2])
    with pytest.raises(ValueError, match=r"in 0\.\.39"):
        vector.reset(options={"problem": [1, 2, 40]})


def test_disabled_autoreset_steps_some_rows_and_leaves_the_others():
    vector = TokenVectorEnv(Echo(), 4, autoreset_mode="Disabled", copy=False)
    vector.reset(seed=0)
    before = vector.snapshot()
    vector.step_rows([1, 3], [4, 1])
    after = vector.snapshot()
    assert [before[i] == after[i] for i in range(4)] == [True, False, True, False]
    with pytest.raises(gym.error.ResetNeeded, match=r"rows \[3\] are over"):
        vector.step_rows([2, 3], [4, 4])
    with pytest.raises(gym.error.ResetNeeded, match=r"rows \[3\] are over: reset them with"):
        vector.step([4, 4, 4, 4])
    vector.reset(options={"reset_mask": vector.over})
    vector.step([4, 4, 4, 4])
    with pytest.raises(RuntimeError, match="step_rows needs"):
        TokenVectorEnv(Echo(), 2).step_rows([0], [4])


@pytest.mark.parametrize("actions", [[3, 3], [3.0, 3.0, 3.0], [3, 3, 99], [3, -1, 3], [[3, 3, 3]]])
def test_bad_actions_change_nothing(actions):
    vector = TokenVectorEnv(Echo(), 3)
    with pytest.raises(gym.error.ResetNeeded):
        vector.step([3, 3, 3])
    vector.reset(seed=0)
    before = vector.snapshot()
    with pytest.raises(ValueError, match="actions"):
        vector.step(actions)
    assert vector.snapshot() == before


@pytest.mark.parametrize("mask", [[True, False, True], np.zeros(3, bool), np.ones(2, bool), np.ones(3, int)])
def test_a_mask_is_a_bool_array_with_something_in_it(mask):
    vector = TokenVectorEnv(Echo(), 3, autoreset_mode="Disabled")
    vector.reset(seed=0)
    with pytest.raises(ValueError, match="reset_mask"):
        vector.reset(options={"reset_mask": mask})


def test_a_caller_s_options_stay_as_they_are():
    options = {"reset_mask": np.ones(2, bool)}
    TokenVectorEnv(Echo(), 2).reset(options=options)
    assert list(options) == ["reset_mask"]


def test_copies_stay_and_views_move():
    for copy in (True, False):
        vector = TokenVectorEnv(Echo(), 2, copy=copy)
        observation, _ = vector.reset(seed=0)
        length = int(vector.lengths[0])
        vector.step([4, 4])
        assert (observation["tokens"][0, length] == 4) == (not copy)


def test_branches_repeat_the_noise_or_draw_it_afresh():
    vector = TokenVectorEnv(Counting(), 6, autoreset_mode="Disabled")
    vector.reset(seed=0)
    vector.branch([0] * 5, [1, 2, 3, 4, 5], noise=[0, 0, 1, 2, 3])
    assert len({tuple(row) for row in vector.tokens.tolist()}) == 1
    _, _, _, _, info = vector.step([1] * 6)
    noise = info["score"]["noise"].tolist()
    assert noise[0] == noise[1] == noise[2]
    assert len(set(noise)) == 4
    vector.episodes[0].messages += ("x",)
    assert vector.episodes[1].messages[-1] != "x", "branches share nothing that changes"
    with pytest.raises(ValueError, match="must be two rows of one length"):
        vector.branch([0, 1], [2])


def test_a_single_episode_branches_into_rows():
    env = TokenEnv(Counting())
    env.reset(seed=3)
    env.step(4)
    vector = TokenVectorEnv(Counting(), 4)
    vector.restore([env.snapshot()] * 4)
    _, rewards, *_ = vector.step([1] * 4)
    assert len(set(rewards)) == 1
    assert rewards[0] == env.step(1)[1]


def test_rendering_gives_a_transcript_a_row():
    vector = TokenVectorEnv(Echo(), 2, render_mode="ansi")
    vector.reset(seed=0)
    assert all("say" in text for text in vector.render())


def test_the_cost_of_a_step_does_not_depend_on_the_length_so_far():
    """Counted, not timed: a step in the middle of a response reads and writes one column."""
    vector = TokenVectorEnv(Echo(), 8, max_response_tokens=400, tokenizer="bytes", copy=False)
    vector.reset(seed=0)
    decoded = []
    decode = type(vector.mdp.tokenizer).decode_many
    vector.mdp.tokenizer.decode_many = lambda rows: decoded.append(rows) or decode(vector.mdp.tokenizer, rows)
    for _ in range(300):
        vector.step([50] * 8)
    assert not decoded


def test_the_metadata_of_one_environment_is_its_own():
    TokenVectorEnv(Echo(), 1, autoreset_mode="SameStep")
    assert TokenVectorEnv(Echo(), 1).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def of_row(info, row):
    """The info of one row."""
    return {
        key: of_row(value, row) if isinstance(value, dict) else value[row]
        for key, value in info.items()
        if not key.startswith("_") and info["_" + key][row]
    }


@settings(max_examples=80, deadline=None)
@given(
    task=st.sampled_from([Echo(), Counting(), Digits(), TextMath(), TextGuess()]),
    seed=st.integers(0, 1000),
    budget=st.integers(1, 9),
    room=st.integers(20, 60),
    most=st.integers(1, 12),
    often=st.floats(0, 0.5),
)
def test_append_is_step_rows_token_by_token(task, seed, budget, room, most, often):
    options = {"max_response_tokens": budget, "context_length": task.max_text_bytes + room}
    one, other = (TokenVectorEnv(task, 5, autoreset_mode="Disabled", **options) for _ in range(2))
    rng, end, words = np.random.default_rng(seed), one.mdp.tokenizer.end_id, one.mdp.tokenizer.vocab_size
    assert not difference(one.reset(seed=seed), other.reset(seed=seed))
    for _ in range(12):
        if one.over.any():
            mask = {"reset_mask": one.over}
            assert not difference(one.reset(options=dict(mask)), other.reset(options=dict(mask)))
        rows = rng.permutation(5)[: rng.integers(1, 6)]
        tokens = np.where(rng.random((len(rows), most)) < often, end, rng.integers(words, size=(len(rows), most)))
        stops = np.append(tokens == end, np.ones((len(rows), 1), bool), axis=1).argmax(1) + 1  # up to the first end
        left = np.minimum(one.turn_starts[rows] + budget, one.mdp.context_length) - one.lengths[rows]
        lengths = np.minimum(rng.integers(1, most + 1, len(rows)), np.minimum(stops, left))
        tokens[np.arange(most) >= lengths[:, None]] = -1  # what lies behind a length does not count
        observation, rewards, terminated, truncated, info = one.append(rows, tokens, lengths)
        for k in range(most):
            some = lengths > k
            if not some.any():
                break
            seen, earned, ended, cut, told = other.step_rows(rows[some], tokens[some, k])
            for row, last in zip(rows[some], lengths[some] == k + 1, strict=True):
                if last:
                    assert rewards[row] == earned[row]
                    assert (terminated[row], truncated[row]) == (ended[row], cut[row])
                    assert not difference(of_row(info, row), of_row(told, row))
                else:
                    assert not any((earned[row], ended[row], cut[row]))
                    assert not of_row(told, row).keys() - {"action_mask"}
        assert not difference(observation, seen)
        assert not any(of_row(info, row) or rewards[row] for row in np.setdiff1d(np.arange(5), rows))
        assert one.snapshot() == other.snapshot()


@pytest.mark.parametrize(
    ("rows", "tokens", "lengths", "words"),
    [
        ([0, 0], [[4], [4]], [1, 1], "each once"),
        ([-1], [[4]], [1], r"in 0\.\.2"),
        ([3], [[4]], [1], r"in 0\.\.2"),
        ([0], [[4]], [0], r"lengths \[0\] must lie in 1\.\.1"),
        ([0], [[4]], [2], r"lengths \[2\] must lie in 1\.\.1"),
        ([0], [[4, 99]], [2], "actions 4..99 are no tokens"),
        ([0, 1], [[4, 1], [1, 4]], [2, 2], r"turns of rows \[1\] end before"),
        ([2], [[4] * 7], [7], r"turns of rows \[2\] end before the last of their \[7\] tokens"),
        ([0], [[4.0]], [1], "whole numbers"),
        ([0], [4], [1], r"must be \(m,\), \(m, K\) and \(m,\)"),
        ([0, 1], [[4, 4]], [1], r"must be \(m,\), \(m, K\) and \(m,\)"),
    ],
)
def test_bad_blocks_change_nothing(rows, tokens, lengths, words):
    vector = TokenVectorEnv(Echo(), 3, autoreset_mode="Disabled")
    with pytest.raises(gym.error.ResetNeeded, match="no episodes yet"):
        vector.append(rows, tokens, lengths)
    vector.reset(seed=0)
    before = vector.snapshot()
    with pytest.raises(ValueError, match=words):
        vector.append(rows, tokens, lengths)
    assert vector.snapshot() == before


def test_append_leaves_finished_episodes_and_dense_rewards_to_others():
    vector = TokenVectorEnv(Echo(), 2, autoreset_mode="Disabled")
    vector.reset(seed=0)
    vector.append([1], [[4, 1]], [2])
    with pytest.raises(gym.error.ResetNeeded, match=r"rows \[1\] are over"):
        vector.append([0, 1], [[4], [4]], [1, 1])
    for options in ({"reward": "dense"}, {"max_episode_steps": 3}, {"autoreset_mode": "NextStep"}):
        other = TokenVectorEnv(Echo(), 2, **{"autoreset_mode": "Disabled", **options})
        other.reset(seed=0)
        assert not other.can_append
        with pytest.raises(RuntimeError, match="use step_rows"):
            other.append([0], [[4]], [1])
