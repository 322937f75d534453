"""Potential-based shaping leaves every policy's worth as it was, but for a constant (Ng, Harada & Russell 1999).

For an episode that terminates, the shaped discounted return is the plain one less the potential of its first state,
whatever was done in it. So all policies are ordered as before, and the best one stays the best.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Counting, Echo

from textmdp.envs import ResponseEnv, TokenEnv
from textmdp.envs.tasks.text_guess import TextGuess
from textmdp.envs.tasks.text_math import TextMath

TASKS = [Echo(), Counting(), TextMath(), TextMath("fractions"), TextGuess()]


def discounted(rewards, discount):
    return sum(reward * discount**t for t, reward in enumerate(rewards))


@settings(max_examples=150, deadline=None)
@given(
    task=st.sampled_from(TASKS),
    discount=st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]),
    seed=st.integers(0, 10_000),
    expert=st.booleans(),
)
def test_every_episode_is_worth_the_same_but_for_its_first_potential(task, discount, seed, expert):
    plain, shaped = TokenEnv(task), TokenEnv(task, reward="dense", shaping_discount=discount)
    plain.reset(seed=seed)
    shaped.reset(seed=seed)
    first = task.potential(shaped.episode.state, "")
    rng = np.random.default_rng(seed)
    rewards, shaped_rewards, terminated = [], [], False
    while not terminated:
        if expert and not plain.partial:
            words = iter(plain.actions_for(plain.demonstrate()))
        action = next(words) if expert else int(rng.integers(plain.mdp.tokenizer.vocab_size))
        _, reward, terminated, truncated, _ = plain.step(action)
        _, shaped_reward, *ends, _ = shaped.step(action)
        assert ends == [terminated, truncated]
        assert not truncated
        rewards.append(reward)
        shaped_rewards.append(shaped_reward)
    expected = discounted(rewards, discount) - first
    assert discounted(shaped_rewards, discount) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("discount", [0.7, 1.0])
def test_the_best_policy_stays_the_best_by_enumeration(discount):
    """All responses of up to three tokens to one problem, ordered by what they are worth."""
    task = Echo()
    plain = TokenEnv(task, max_response_tokens=3)
    shaped = TokenEnv(task, max_response_tokens=3, reward="dense", shaping_discount=discount)
    tokens = plain.mdp.tokenizer.encode("012")
    worth = []
    for actions in itertools.product([plain.mdp.tokenizer.end_id, *tokens], repeat=3):
        returns = []
        for env in (plain, shaped):
            env.reset(options={"problem": 12})
            rewards = []
            for action in actions:
                _, reward, terminated, _, _ = env.step(action)
                rewards.append(reward)
                if terminated:
                    break
            returns.append(discounted(rewards, discount))
        worth.append(returns)
    worth = np.array(worth)
    assert np.allclose(worth[:, 0], worth[:, 1])  # the first potential is 0 here
    assert worth[:, 0].max() > 0


def test_a_truncated_episode_keeps_the_potential_that_it_had():
    """The bootstrap value is the shaped value of the last state: its plain value minus its potential."""
    env = TokenEnv(Echo(), context_length=9, reward="dense")
    env.reset(options={"problem": 12})
    _, reward, terminated, truncated, _ = env.step(env.mdp.tokenizer.encode("1")[0])
    assert (reward, terminated, truncated) == (0.5, False, True)


def test_responses_are_shaped_by_turns():
    env = ResponseEnv(Counting(), reward="dense")
    env.reset(seed=0, options={"problem": 3})
    assert [env.step(word)[1] for word in ("4", "9", "6")] == [1.25, 0.25, 0.5]
