"""Rollouts: the arrays of a batch, for one turn and for many, whatever the agent."""

import copy
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers.vector import FlattenObservation, RecordEpisodeStatistics, TransformReward
from toys import Counting, Echo

from textmdp.agents.rollouts.agent import Action
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.scripted import ExpertAgent, RandomAgent
from textmdp.envs import TokenEnv, TokenVectorEnv


def vector(task, rows=6, **options):
    return TokenVectorEnv(task, rows, autoreset_mode="Disabled", copy=False, **options)


def test_an_expert_earns_full_marks_on_the_last_token_of_each_turn():
    batch = rollout(ExpertAgent(), vector(Counting()), seed=0)
    assert len(batch) == 6
    np.testing.assert_array_equal(batch.returns, 3.0)
    assert batch.terminated.all()
    assert not batch.truncated.any()
    assert batch.finish_reasons == ["stop"] * 6
    assert batch.log_probs is None
    for i in range(6):
        rewarded = np.flatnonzero(batch.rewards[i])
        last = [np.flatnonzero(batch.turns[i] == turn).max() for turn in range(3)]
        np.testing.assert_array_equal(rewarded, last)


THREADS = ThreadPoolExecutor(2)


class SlowEcho(Echo):
    """Keeps a record of the batches that it was asked to grade."""

    def __init__(self):
        self.submitted = []

    def submit(self, states, responses, rngs):
        self.submitted.append([*zip(states, responses, strict=True)])
        replies = [Echo.reply(self, *arguments) for arguments in zip(states, responses, rngs, strict=True)]
        return [SimpleNamespace(result=lambda reply=reply: reply, cancel=lambda: None) for reply in replies]


class SlowCounting(Counting):
    """`Counting`, graded in a thread."""

    def submit(self, states, responses, rngs):
        return [THREADS.submit(self.reply, *arguments) for arguments in zip(states, responses, rngs, strict=True)]


class Blocks(RandomAgent):
    """Says several random tokens at a time: as many as chance has it, up to the end of the turn."""

    def __init__(self, seed, most):
        super().__init__(seed)
        self.most, self.rng = most, np.random.default_rng(seed)

    def act(self, envs, rows):
        tokens = np.stack([super(Blocks, self).act(envs, rows).tokens for _ in range(self.most)], 1)
        ends = np.append(tokens == envs.mdp.tokenizer.end_id, np.ones((len(rows), 1), bool), 1).argmax(1) + 1
        left = envs.turn_starts[rows] + envs.mdp.max_response_tokens - envs.lengths[rows]
        lengths = np.minimum(self.rng.integers(1, self.most + 1, len(rows)), np.minimum(ends, left))
        log_probs = -self.rng.random(tokens.shape, np.float32)
        return Action(tokens, lengths, log_probs)


@pytest.mark.parametrize("agent", [RandomAgent(3), Blocks(3, 1), Blocks(3, 3)], ids=["tokens", "block", "blocks"])
@pytest.mark.parametrize("task", [Echo(), Counting(), SlowEcho(), SlowCounting()])
def test_a_batch_is_what_single_environments_see(task, agent):
    """Replay every row's actions in a `TokenEnv` of the same seed: tokens, roles, rewards, turns, ends."""
    batch = rollout(agent, vector(task, 8), seed=11)
    for i in range(8):
        env = TokenEnv(task)
        env.reset(seed=11 + i)
        turn, over = 0, False
        for t in np.flatnonzero(batch.mask[i]):
            assert not over
            assert env.length == t  # the environment's words came in between
            assert batch.turns[i, t] == turn
            _, reward, terminated, truncated, info = env.step(batch.tokens[i, t])
            assert reward == batch.rewards[i, t]
            turn, over = turn + ("finish_reason" in info), terminated or truncated
        assert (terminated, truncated) == (batch.terminated[i], batch.truncated[i])
        assert info["finish_reason"] == batch.finish_reasons[i]
        assert env.episode.messages == batch.episodes[i].messages
        length = env.length
        np.testing.assert_array_equal(batch.tokens[i, :length], env.tokens)
        np.testing.assert_array_equal(batch.roles[i, :length], env.roles)
        assert not batch.roles[i, length:].any()
        assert batch.lengths[i] == batch.mask[i].sum()
    assert (batch.turns[~batch.mask] == -1).all()
    assert not batch.rewards[~batch.mask].any()
    if batch.log_probs is not None:
        assert ((batch.log_probs != 0) == batch.mask).all()


def test_a_slow_task_grades_ahead_and_once():
    """All responses that end by themselves wait for one another; those that the budget cuts end when they must."""
    task = SlowEcho()
    slow, fast = (
        rollout(RandomAgent(3), vector(task, 32), seed=11),
        rollout(RandomAgent(3), vector(Echo(), 32), seed=11),
    )
    stopped = [i for i in range(32) if slow.finish_reasons[i] == "stop"]
    assert 0 < len(stopped) < 32
    for name in ("tokens", "roles", "rewards", "turns", "terminated", "truncated", "problems"):
        np.testing.assert_array_equal(getattr(slow, name), getattr(fast, name))
    assert slow.finish_reasons == fast.finish_reasons
    assert sum(map(len, task.submitted)) == 32
    ahead = [(episode.state, episode.messages[1]) for episode in (slow.episodes[i] for i in stopped)]
    cut = [(episode.state, episode.messages[1]) for i, episode in enumerate(slow.episodes) if i not in stopped]
    graded = [pair for batch in task.submitted for pair in batch]
    assert sorted(graded) == sorted(ahead + cut)


def test_problems_and_groups_are_kept():
    wanted = [3, 3, 1, 1, 3, 3]
    batch = rollout(ExpertAgent(), vector(Counting()), seed=0, problems=wanted)
    assert batch.problems.tolist() == wanted
    assert batch.groups.tolist() == [0, 1, 2, 3, 4, 5]
    envs = vector(Counting())
    batch = rollout(ExpertAgent(), envs, seed=0, problems=wanted, groups=[0, 0, 1, 1, 2, 2])
    assert batch.groups.tolist() == [0, 0, 1, 1, 2, 2]  # and not by problem
    some = rollout(ExpertAgent(), envs, problems=wanted, groups=[0, 0, 1, 1, 2, 2], rows=np.array([5, 2]))
    assert some.groups.tolist() == [2, 1]
    for groups in ([0, 0, 1], [0.0] * 6):
        with pytest.raises(ValueError, match="6 whole numbers"):
            rollout(ExpertAgent(), envs, groups=groups)


def test_some_rows_run_and_the_others_stay_as_they_are():
    envs, whole = vector(Counting()), vector(Counting())
    wanted, rows = [3, 3, 1, 1, 0, 4], np.array([4, 0, 2])
    for each in (envs, whole):
        rollout(ExpertAgent(), each, seed=0)
    before, counts = envs.tokens.copy(), np.array(envs.rng_state[1])
    batch = rollout(ExpertAgent(), envs, problems=wanted, rows=rows)
    every = rollout(ExpertAgent(), whole, problems=wanted)
    assert batch.problems.tolist() == [0, 3, 1]
    assert [episode.messages for episode in batch.episodes] == [every.episodes[row].messages for row in rows]
    for name in ("tokens", "roles", "rewards", "turns"):
        found, expected = getattr(batch, name), getattr(every, name)[rows]
        np.testing.assert_array_equal(found, expected[:, : found.shape[1]])
    assert batch.lengths.tolist() == every.lengths[rows].tolist()
    others = np.setdiff1d(np.arange(6), rows)
    np.testing.assert_array_equal(envs.tokens[others], before[others])
    np.testing.assert_array_equal(np.array(envs.rng_state[1]) - counts, np.isin(np.arange(6), rows))


def test_a_seed_decides_and_later_resets_go_on():
    envs = vector(Echo())
    first = rollout(RandomAgent(0), envs, seed=5)
    second = rollout(RandomAgent(0), envs)
    again = rollout(RandomAgent(0), envs, seed=5)
    np.testing.assert_array_equal(first.tokens, again.tokens)
    assert first.problems.tolist() != second.problems.tolist()


def test_a_batch_is_a_copy():
    envs = vector(Echo())
    batch = rollout(ExpertAgent(), envs, seed=0)
    kept, messages = batch.tokens.copy(), batch.episodes[0].messages
    rollout(RandomAgent(0), envs)
    np.testing.assert_array_equal(batch.tokens, kept)
    assert batch.episodes[0].messages == messages


def test_a_context_that_runs_out_truncates():
    batch = rollout(ExpertAgent(), vector(Counting(), context_length=7), seed=0)
    assert batch.truncated.all()
    assert not batch.terminated.any()


def test_environments_that_reset_themselves_are_refused():
    with pytest.raises(ValueError, match='"Disabled"'):
        rollout(RandomAgent(0), TokenVectorEnv(Echo(), 2))


def test_allowed_tokens_are_kept_at_their_positions():
    class Narrow(RandomAgent):
        """Tells in every other call what it could choose."""

        calls = 0

        def act(self, envs, rows):
            action = super().act(envs, rows)
            self.calls += 1
            if self.calls % 2 == 0:
                return action
            allowed = np.zeros((len(rows), envs.single_action_space.n), bool)
            allowed[np.arange(len(rows)), action.tokens] = True
            return action._replace(allowed=allowed)

    batch = rollout(Narrow(0), vector(Echo()), seed=0)
    start = int(np.flatnonzero(batch.mask[0])[0])
    assert batch.allowed.shape[:2] == batch.tokens.shape
    assert batch.allowed[0, start].sum() == 1
    assert batch.allowed[0, start, batch.tokens[0, start]]
    assert batch.allowed[0, start + 1].all()
    assert batch.allowed[~batch.mask].all()
    assert rollout(RandomAgent(0), vector(Echo()), seed=0).allowed is None


class StepLimit(gym.vector.VectorWrapper):
    """Truncates every episode after some steps, as Gymnasium's TimeLimit does for a single environment."""

    def __init__(self, env, most):
        super().__init__(env)
        self.most, self.steps = most, 0

    def reset(self, **arguments):
        self.steps = 0
        return super().reset(**arguments)

    def step(self, actions):
        observations, rewards, terminated, truncated, info = super().step(actions)
        self.steps += 1
        return observations, rewards, terminated, truncated | (self.steps >= self.most), info


@pytest.mark.parametrize("task", [Echo(), Counting(), SlowEcho()])
@pytest.mark.parametrize("agent", [RandomAgent(3), ExpertAgent()])
def test_wrapped_environments_give_the_same_batch_and_see_every_step(task, agent):
    wrapped = RecordEpisodeStatistics(vector(task, 8))
    plain = vector(task, 8, max_episode_steps=10**6)  # a token at a time, as under a wrapper
    for seed in (1, None, 2):
        agent_again = copy.deepcopy(agent)
        expected, batch = rollout(agent, plain, seed=seed), rollout(agent_again, wrapped, seed=seed)
        for name in ("tokens", "roles", "rewards", "turns", "terminated", "truncated", "problems"):
            np.testing.assert_array_equal(getattr(batch, name), getattr(expected, name))
        assert batch.finish_reasons == expected.finish_reasons
        assert sorted([*wrapped.return_queue][-8:]) == sorted(batch.returns)
        assert sorted([*wrapped.length_queue][-8:]) == sorted(batch.lengths)
    assert wrapped.episode_count == 24


def test_wrappers_change_rewards_and_ends():
    doubled = TransformReward(vector(Counting()), lambda rewards: 2 * rewards)
    np.testing.assert_array_equal(rollout(ExpertAgent(), doubled, seed=0).returns, 6.0)
    batch = rollout(ExpertAgent(), StepLimit(vector(Counting()), 2), seed=0)
    assert batch.truncated.all()
    assert not batch.terminated.any()
    assert batch.lengths.tolist() == [2] * 6
    some = rollout(ExpertAgent(), doubled, rows=np.array([4, 1]))
    assert some.returns.tolist() == [6.0, 6.0]
    single = gym.vector.SyncVectorEnv([lambda: TokenEnv(Echo())])
    with pytest.raises(TypeError, match="make_envs"):
        rollout(ExpertAgent(), single)
    with pytest.raises(TypeError, match="single_observation_space"):
        rollout(ExpertAgent(), FlattenObservation(vector(Echo())))


def test_an_environment_is_itself_again_after_a_wrapped_rollout():
    envs = vector(Echo())
    with pytest.raises(ValueError, match="broken"):
        rollout(ExpertAgent(), TransformReward(envs, lambda rewards: _broken()), seed=0)
    assert envs.can_append
    envs.reset(seed=0)
    assert envs.step(np.full(6, envs.mdp.tokenizer.end_id))[2].all()


def _broken():
    raise ValueError("broken")
