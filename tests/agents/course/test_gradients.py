"""The moments of a gradient are those of sampled gradients, and an unbiased estimator's mean is the exact gradient."""

from __future__ import annotations

import numpy as np
import pytest

from textmdp.agents import exact_values, rewards_to_go
from textmdp.agents.algorithms.baselines import leave_one_out
from textmdp.agents.course.gradients import gradient_moments, learning_curve, values_along
from textmdp.agents.credit.tables import policy_gradient, sample_episodes, softmax
from textmdp.envs.tasks.diagnostics import TextScale, TextUmbrella


def reinforce(batch, values):
    return rewards_to_go(batch.rewards, batch.mask)


def minus_others(batch, values):
    return batch.mask * (reinforce(batch, values) - leave_one_out(batch.returns, batch.groups)[:, None])


@pytest.fixture(scope="module")
def values():
    tree = exact_values(TextScale(scale=3.0), "uniform").tree
    return exact_values(tree, softmax(tree, np.random.default_rng(0).normal(size=tree.num_edges)))


@pytest.mark.parametrize(("estimator", "size"), [(reinforce, 1), (minus_others, 2), (minus_others, 3)])
def test_moments_are_those_of_samples(values, estimator, size):
    moments = gradient_moments(values, estimator, size)
    assert moments.bias < 1e-12
    np.testing.assert_allclose(moments.mean, values.logit_gradient, atol=1e-12)
    batch = sample_episodes(values.tree, values.policy, 20_000 * size, np.random.default_rng(1), size)
    advantages, problem = estimator(batch, values), values.tree.edge_prefix[batch.edges[::size, :].max(1)]
    gradients = np.array(
        [
            policy_gradient(values.tree, values.policy, batch.edges[i : i + size], advantages[i : i + size])
            for i in range(0, len(advantages), size)
        ]
    )
    within = np.mean([gradients[problem == p].var(0).sum() for p in np.unique(problem)])
    assert size * within == pytest.approx(moments.variance, rel=0.05)


def test_a_biased_estimator_has_its_bias(values):
    moments = gradient_moments(values, lambda batch, _: 2 * reinforce(batch, _))
    assert moments.bias == pytest.approx(np.linalg.norm(values.logit_gradient))


def test_a_table_learns_and_a_seed_repeats_it():
    tree = exact_values(TextUmbrella(length=1), "uniform").tree
    options = {"updates": 40, "batch_size": 16, "learning_rate": 1.0, "seed": 3}
    curve = learning_curve(tree, reinforce, **options)
    assert curve[0] == pytest.approx(0.5)
    assert curve[-1] > 0.9
    np.testing.assert_array_equal(curve, learning_curve(tree, reinforce, **options))


def test_values_along_are_those_of_the_states(values):
    batch = sample_episodes(values.tree, values.policy, 4, np.random.default_rng(2))
    found = values_along(batch, values.v, values.tree)
    for row in range(4):
        (position,) = np.flatnonzero(batch.mask[row])
        assert found[row, position] == values.v[values.tree.edge_prefix[batch.edges[row, position]]]
        assert not np.delete(found[row], position).any()
