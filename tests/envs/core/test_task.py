"""The ledger, and what the base class of tasks gives."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import Counting, Echo, rng

from textmdp.envs import Outcome, Score, Task
from textmdp.envs.core.episode import Episode
from textmdp.envs.core.randomness import TurnGenerators, branch_key, episode_keys, problem_indices, turn_generator


def test_the_reward_is_the_weighted_sum_and_metrics_add_nothing():
    score = Score({"tests": 0.5, "style": 2.0}, {"tests": 1.0, "style": -0.25}).metrics(length=7)
    assert score.total == 0.0
    assert Score.of(a=1, b=0.5).total == 1.5
    assert score.parts == {"tests": 0.5, "style": 2.0, "length": 7.0}
    assert pickle.loads(pickle.dumps(score)) == score
    assert hash(pickle.loads(pickle.dumps(score))) == hash(score)


def test_success_leaves_penalties_out():
    task = Counting()  # full marks are 3
    full = [Score.of(correct=1.0)] * 3
    assert task.success(full)
    assert task.success([Score({"correct": 1.0, "length": 9.0}, {"correct": 1.0, "length": -0.1})] * 3)
    assert task.success([Score.of(correct=1.0, length=-0.3)] * 3)
    assert task.success([Score.of(correct=0.1)] * 30), "sums of floats are rounded"
    assert not task.success(full[:2])
    assert not task.success([*full[:2], Score({"correct": 0.0, "length": 9.0}, {"correct": 1.0})])
    assert not task.success([])


def test_a_weight_without_its_part_and_a_reward_that_is_no_number_are_refused():
    with pytest.raises(ValueError, match=r"weights for parts that the score lacks: \['wit'\]"):
        Score({"tests": 1.0}, {"wit": 1.0})
    with pytest.raises(ValueError, match="must be finite, got nan"):
        Score.of(correct=float("nan"))


def test_a_task_without_a_potential_says_so():
    class Plain(Echo):
        potential = Task.potential

    with pytest.raises(TypeError, match="Plain has no potential"):
        Plain().potential("1", "")


def test_replies_together_are_replies_one_by_one():
    task = Counting()
    states = [task.problem(i)[0] for i in range(5)]
    responses = [str(i % 3) for i in range(5)]
    together = task.reply_many(
        states, responses, TurnGenerators([Episode(key=k, scores=(Score({}),) * 2) for k in range(5)])
    )
    alone = [task.reply(states[k], responses[k], turn_generator(k, 2)) for k in range(5)]
    assert together == alone


def test_by_default_submitting_answers_at_once():
    task = Counting()
    states = [task.problem(i)[0] for i in range(5)]
    responses = [str(i % 3) for i in range(5)]
    episodes = [Episode(key=k) for k in range(5)]
    pending = task.submit(states, responses, TurnGenerators(episodes))
    assert [future.result() for future in pending] == task.reply_many(states, responses, TurnGenerators(episodes))
    assert not task.slow


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32))
def test_keys_of_rows_are_keys_of_one(root, episode):
    roots, episodes = np.array([1, root], np.uint64), np.array([0, episode], np.uint64)
    assert episode_keys(roots, episodes)[1] == episode_keys(roots[1:], episodes[1:])[0]


def test_turns_and_keys_have_streams_of_their_own():
    draws = {turn_generator(key, turn).random() for key in range(30) for turn in range(30)}
    assert len(draws) == 900
    shifted = turn_generator(5, 0).random(64)
    assert not set(shifted) & set(turn_generator(5, 1).random(64)), "turns must not be one stream, shifted"
    assert turn_generator(5, 1).random() == turn_generator(5, 1).random()


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32))
def test_generators_are_those_of_their_whole_key(key, turn):
    words = np.array([key, 0], np.uint64)
    expected = np.random.Generator(np.random.Philox(key=words, counter=np.array([0, 0, 0, turn], np.uint64)))
    found = pickle.loads(pickle.dumps(turn_generator(key, turn)))
    assert (found.random(5) == expected.random(5)).all()


def test_problems_are_drawn_evenly_and_differ_between_neighbouring_seeds():
    keys = episode_keys(np.full(40_000, 3, np.uint64), np.arange(40_000, dtype=np.uint64))
    counts = np.bincount(problem_indices(keys, 10), minlength=10)
    assert abs(counts - 4000).max() < 5 * np.sqrt(4000)
    endless = problem_indices(keys, None)
    assert endless.min() >= 0
    assert len(set(endless.tolist())) == len(keys)
    others = problem_indices(episode_keys(np.full(40_000, 4, np.uint64), np.arange(40_000, dtype=np.uint64)), None)
    assert not set(endless.tolist()) & set(others.tolist())


def test_fresh_noise_is_another_key_and_none_is_the_same():
    assert branch_key(77, 0) == 77
    assert len({branch_key(77, noise) for noise in range(100)}) == 100


def test_outcomes_are_the_reply_of_a_task_without_chance():
    state, _ = Echo().problem(7)
    assert Echo().outcomes(state, "7") == [Outcome(1.0, Echo().reply(state, "7", rng()))]


def test_chance_without_outcomes_is_refused():
    state, _ = Counting().problem(0)
    with pytest.raises(TypeError, match=r"the replies of Counting draw random numbers \(rng.random\).*override Task"):
        Counting().outcomes(state, "1")
