"""Vine's closed-form moments are those of gradients with sampled branches; learnt values come to the exact ones."""

from __future__ import annotations

import numpy as np
import pytest

from textmdp.agents import exact_values
from textmdp.agents.course.value_tables import learn_values, td_step
from textmdp.agents.course.vine import from_each_state, vine_moments
from textmdp.agents.credit.tables import policy_gradient, sample_episodes, softmax
from textmdp.envs.tasks.diagnostics import TextKeyDoor, TextUmbrella


@pytest.mark.parametrize("task", [TextUmbrella(length=1), TextUmbrella(length=2, noise=0.0)])
def test_vine_moments_are_those_of_samples(task):
    tree = exact_values(task, "uniform").tree
    values = exact_values(tree, softmax(tree, np.random.default_rng(0).normal(size=tree.num_edges)))
    moments, cost = vine_moments(values, 3)
    assert moments.bias < 1e-12
    rng = np.random.default_rng(1)
    # Returns to go of every prefix from many independent episodes: the branches are drawn from these.
    pool = sample_episodes(tree, values.policy, 50_000, rng)
    to_go = pool.rewards[:, ::-1].cumsum(1)[:, ::-1]
    left = pool.mask[:, ::-1].cumsum(1)[:, ::-1]
    prefixes = tree.edge_prefix[pool.edges[pool.mask]]
    returns = {p: to_go[pool.mask][prefixes == p] for p in np.unique(prefixes)}
    tokens = {p: left[pool.mask][prefixes == p].mean() for p in np.unique(prefixes)}
    batch, spent = sample_episodes(tree, values.policy, 20_000, rng), 0.0
    gradients, problem = [], []
    for edges, rewards in zip(batch.edges, batch.rewards, strict=True):
        places = np.flatnonzero(edges >= 0)
        states = tree.edge_prefix[edges[places]]
        v = np.array([*(rng.choice(returns[s], 3).mean() for s in states), 0.0])
        spent += len(places) + 3 * sum(tokens[s] for s in states)
        advantages = np.zeros(rewards.shape)
        advantages[places] = rewards[places] + v[1:] - v[:-1]
        gradients.append(policy_gradient(tree, values.policy, edges[None], advantages[None]))
        problem.append(states[0])
    gradients, problem = np.array(gradients), np.array(problem)
    shares = [(problem == p).mean() for p in np.unique(problem)]
    within = sum(w * gradients[problem == p].var(0).sum() for w, p in zip(shares, np.unique(problem), strict=True))
    assert within == pytest.approx(moments.variance, rel=0.05)
    assert spent / len(gradients) == pytest.approx(cost, rel=0.02)


def test_what_follows_each_state():
    values = exact_values(TextUmbrella(length=2, noise=0.5), "uniform")
    following = from_each_state(values)
    root = values.tree.find(values.tree.mdp.tokenizer.encode("rain? "))
    assert following.tokens[root] == pytest.approx(3)
    assert following.variance[root] == pytest.approx(0.25 + 2 * 0.25)  # the first token's, and twice the noise


@pytest.mark.parametrize("gae_lambda", [0.0, 0.5, 1.0])
def test_learnt_values_come_to_the_exact_ones(gae_lambda):
    values = exact_values(TextKeyDoor(length=0), "uniform")
    tables = learn_values(values, gae_lambda, batches=60, batch_size=256, learning_rate=0.3, seed=0)
    assert np.abs(tables[0] - values.v).max() > 0.3
    assert np.abs(tables[-1] - values.v).max() < 0.1


def test_a_step_of_rate_one_with_lambda_one_takes_the_mean_return():
    values = exact_values(TextUmbrella(length=1), "uniform")
    tree, batch = values.tree, sample_episodes(values.tree, values.policy, 40, np.random.default_rng(3))
    v = td_step(np.zeros(tree.num_prefixes), batch, tree, 1.0, 1.0)
    first = tree.edge_prefix[batch.edges[np.arange(40), batch.mask.argmax(1)]]
    for prefix in np.unique(first):
        assert v[prefix] == pytest.approx(batch.returns[first == prefix].mean())
