"""Values by branching: within their errors of the exact ones, for scripted agents and a language model."""

from __future__ import annotations

import numpy as np
import pytest

from textmdp.agents.credit.branching import branched_advantages, branched_values
from textmdp.agents.credit.exact_values import exact_values
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.rollouts.scripted import RandomAgent
from textmdp.envs.views.token_env import TokenEnv


def walk(task, actions, problem=0):
    """Snapshots before each action and after the last, and the rewards."""
    env = TokenEnv(task)
    env.reset(seed=0, options={"problem": problem})
    snapshots, rewards = [env.snapshot()], []
    for action in actions:
        rewards.append(env.step(action)[1])
        snapshots.append(env.snapshot())
    return snapshots, np.array(rewards)


@pytest.mark.parametrize("unit", ["tokens", "turns"])
@pytest.mark.parametrize("kind", ["random", "language model"])
@pytest.mark.parametrize(
    ("id", "text"), [("TextUmbrella-v0", ["leave", "left", "right"]), ("TextLengthBias-v0", ["a", ".", "."])]
)
def test_branched_values_are_the_exact_ones_within_their_errors(id, text, kind, unit):
    envs = make_envs(id, 200)
    tokens = [envs.mdp.tokenizer.encode(word)[0] for word in text]
    if kind == "random":
        agent = policy = RandomAgent(0)
    else:
        policy = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, width=32, heads=2)
        agent = LanguageModelAgent(policy, grammar=True)
    exact = exact_values(envs, policy, gamma=0.9, discount_unit=unit)
    snapshots, rewards = walk(envs.mdp.task, tokens)
    expected = np.array([exact.v[exact.tree.find(snapshot.tokens.tolist())] for snapshot in snapshots])
    found = branched_values(agent, envs, snapshots, 200, gamma=0.9, discount_unit=unit)
    assert (np.abs(found.mean - expected) <= 4.5 * found.error + 1e-12).all()
    assert (found.error < 0.1).all()
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.high).all()
    assert found.tokens >= 200 * len(snapshots)
    advantages, errors = branched_advantages(
        agent, envs, snapshots, rewards, 200, gamma=0.9, discount_unit=unit, seed=2
    )
    turns = np.array([snapshot.episode.turn for snapshot in snapshots])
    decay = np.where((np.diff(turns) > 0) | (unit == "tokens"), 0.9, 1.0)
    assert (np.abs(advantages - (rewards + decay * expected[1:] - expected[:-1])) <= 4.5 * errors + 1e-12).all()


def test_the_end_of_an_episode_is_worth_nothing():
    envs = make_envs("TextDelay-v0", 8, delay=1)
    tokens = [envs.mdp.tokenizer.encode(word)[0] for word in "a."]
    snapshots, rewards = walk(envs.mdp.task, tokens)
    found = branched_values(RandomAgent(0), envs, snapshots, 20)
    assert rewards.tolist() == [0.0, 1.0]
    assert found.mean[1:].tolist() == [1.0, 0.0]
    assert found.error[1:].tolist() == [0.0, 0.0]
    assert 0 < found.mean[0] < 1


def test_arguments_are_checked():
    envs = make_envs("TextDelay-v0", 2)
    with pytest.raises(ValueError, match="samples=1: an interval needs at least 2"):
        branched_values(RandomAgent(0), envs, [], 1)
    with pytest.raises(ValueError, match="discount_unit='words'"):
        branched_values(RandomAgent(0), envs, [], 2, discount_unit="words")
