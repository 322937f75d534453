"""Batches of episodes: groups, and batches merged into one."""

from dataclasses import replace

import numpy as np
import pytest
from toys import Counting, Echo

from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.scripted import ExpertAgent, RandomAgent
from textmdp.agents.rollouts.trajectories import merge
from textmdp.envs import TokenVectorEnv


def collect(task, rows, groups=None, agent=None):
    return rollout(
        agent or ExpertAgent(), TokenVectorEnv(task, rows, autoreset_mode="Disabled"), seed=rows, groups=groups
    )


def test_merging_keeps_episodes_whole_and_groups_apart():
    one, other = collect(Counting(), 4, [7, 7, 0, 0]), collect(Counting(), 3, [0, 1, 1], RandomAgent(0))
    rows = [np.array([3, 0, 1]), np.array([2, 1])]
    merged = merge([one, other], rows)
    assert len(merged) == 5
    assert merged.groups.tolist() == [0, 7, 7, 9, 9]
    for index, (batch, row) in enumerate([(one, 3), (one, 0), (one, 1), (other, 2), (other, 1)]):
        length = np.count_nonzero(batch.roles[row])
        for name in ("tokens", "roles", "rewards", "turns"):
            np.testing.assert_array_equal(getattr(merged, name)[index, :length], getattr(batch, name)[row, :length])
        assert merged.episodes[index] is batch.episodes[row]
        assert not merged.roles[index, length:].any()
        assert (merged.turns[index, length:] == -1).all()
        for name in ("problems", "terminated", "truncated", "returns", "lengths"):
            assert getattr(merged, name)[index] == getattr(batch, name)[row]
    assert merged.seconds_env == one.seconds_env + other.seconds_env


def test_merging_nothing_of_a_batch():
    one, other = collect(Echo(), 2), collect(Echo(), 3)
    merged = merge([one, other], [np.array([], np.int64), np.array([0])])
    assert merged.groups.tolist() == [2]
    assert merged.problems.tolist() == other.problems[:1].tolist()


def test_groups_fit_the_batch():
    batch = collect(Echo(), 3)
    assert replace(batch, groups=np.array([4, 4, 2])).groups.tolist() == [4, 4, 2]
    with pytest.raises(ValueError, match="one number for each of 3 episodes"):
        replace(batch, groups=np.array([4, 4]))
