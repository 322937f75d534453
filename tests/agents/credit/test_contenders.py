"""Estimators on trial: expectations of the unbiased ones, and what they cost."""

import numpy as np
import pytest

from textmdp.agents.credit.contenders import (
    BRANCHES,
    CONTENDERS,
    Situation,
    TableCritic,
    row,
    vine,
    vine_where_unsure,
)
from textmdp.agents.credit.exact_values import exact_values
from textmdp.agents.credit.tables import policy_gradient, sample_episodes
from textmdp.envs.tasks.diagnostics import TextDelay, TextKeyDoor, TextStopping, TextUmbrella

TASKS = [TextUmbrella(length=1), TextKeyDoor(length=0), TextStopping(turns=3), TextDelay(delay=3)]


def situation(task, episodes=64, seed=0, learn=0):
    values = exact_values(task, "uniform")
    rng = np.random.default_rng(seed)
    critic = TableCritic(values.tree.num_prefixes)
    for _ in range(learn):
        critic.learn(values.tree, sample_episodes(values.tree, values.policy, 64, rng))
    batch = sample_episodes(values.tree, values.policy, episodes, rng, group_size=4)
    return values, Situation(values.tree, values.policy, batch, critic, 0.3, rng)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
@pytest.mark.parametrize("name", CONTENDERS)
def test_advantages_are_finite_and_lie_on_the_policy_s_tokens(name, task):
    _, one = situation(task)
    credit = CONTENDERS[name](one)
    assert credit.advantages.shape == one.batch.mask.shape
    assert np.isfinite(credit.advantages).all()
    assert not credit.advantages[~one.batch.mask].any()
    assert (credit.extra_tokens > 0) == (name in ("vine", "vine where unsure", "remax"))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
@pytest.mark.parametrize("name", ["reinforce", "rloo", "rloo-turn", "remax", "actor-critic", "vine", "exact"])
def test_unbiased_estimators_have_the_exact_gradient_on_average(name, task):
    gradients = []
    for seed in range(40):
        values, one = situation(task, episodes=200, seed=seed)
        advantages = CONTENDERS[name](one).advantages
        gradients.append(policy_gradient(values.tree, values.policy, one.batch.edges, advantages))
    error = np.std(gradients, 0, ddof=1) / np.sqrt(len(gradients))
    assert (np.abs(np.mean(gradients, 0) - values.logit_gradient) <= 4.5 * error + 1e-9).all()


def test_the_critic_learns_the_values():
    values, one = situation(TextKeyDoor(length=0), learn=200)
    assert np.abs(one.critic.values - values.v).max() < 0.15
    assert one.critic.seen.min() > 100


def test_vine_branches_from_each_state_once_and_not_where_v_is_known():
    _, one = situation(TextDelay(delay=3), learn=20)
    # A choice of two arms, then 3 forced tokens: branches from the opening, and from right after each arm.
    assert vine(one).extra_tokens == BRANCHES * (4 + 3 + 3)
    forced = one.batch.mask & (np.arange(one.batch.mask.shape[1]) != one.batch.mask.argmax(1)[:, None])
    assert not vine(one).advantages[forced].any()
    assert vine_where_unsure(one).extra_tokens == 0
    assert vine_where_unsure(one, least=10**9).extra_tokens == vine(one).extra_tokens


def test_branches_tell_the_token_that_earned_it_from_those_that_follow():
    values, one = situation(TextUmbrella(length=4), episodes=400)
    mask = one.batch.mask
    truth = values.a[one.batch.edges[mask]]
    correlation = {
        name: np.corrcoef(CONTENDERS[name](one).advantages[mask], truth)[0, 1] for name in ("vine", "rloo", "exact")
    }
    assert 1.3 * correlation["rloo"] < correlation["vine"] < correlation["exact"]
    assert correlation["exact"] == pytest.approx(1)


@pytest.mark.parametrize("unit", ["tokens", "turns"])
def test_a_discount_leaves_the_umbrella_a_power_of_its_distance(unit):
    """The first token's reward is four turns of one token away: both clocks keep γ^4 of its credit."""
    kept = []
    for seed in range(20):
        values, one = situation(TextUmbrella(length=4, noise=0.0), episodes=400, seed=seed)
        at = np.arange(len(one.batch.edges)), one.batch.mask.argmax(1)
        truth = values.a[one.batch.edges[at]]
        slope = [
            float(truth @ row("rloo", gamma, unit)(one).advantages[at] / (truth @ truth)) for gamma in (1.0, 0.99, 0.9)
        ]
        kept.append(np.array(slope[1:]) / slope[0])
    np.testing.assert_allclose(np.mean(kept, 0), [0.99**4, 0.9**4], rtol=1e-6)
