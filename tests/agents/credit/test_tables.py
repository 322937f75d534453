"""Sampled episodes have the tree's frequencies, and the gradient of a table is the exact one in expectation."""

from __future__ import annotations

import numpy as np
import pytest

from textmdp.agents.credit.episodes import enumerate_episodes
from textmdp.agents.credit.exact_values import exact_values
from textmdp.agents.credit.tables import policy_gradient, sample_episodes, softmax
from textmdp.envs.tasks.diagnostics import TextKeyDoor, TextStopping, TextUmbrella


@pytest.fixture(
    params=[TextUmbrella(length=2), TextKeyDoor(length=1), TextStopping(turns=3)], ids=lambda task: type(task).__name__
)
def values(request):
    tree = exact_values(request.param, "uniform").tree
    return exact_values(tree, softmax(tree, np.random.default_rng(1).normal(size=tree.num_edges)))


def test_softmax_adds_up_to_one_at_each_prefix(values):
    sums = np.add.reduceat(values.policy, values.tree.first_edge[:-1])
    np.testing.assert_allclose(sums, 1.0)


def test_frequencies_and_rewards_are_those_of_the_tree(values):
    count = 40_000
    batch = sample_episodes(values.tree, values.policy, count, np.random.default_rng(0))
    mass = values.occupancy[values.tree.edge_prefix] * values.policy  # (E,)
    found = np.bincount(batch.edges[batch.mask], minlength=values.tree.num_edges) / count
    assert (np.abs(found - mass) <= 5 * np.sqrt(mass * (1 - mass) / count) + 1e-12).all()
    assert abs(batch.returns.mean() - values.expected_return) <= 5 * batch.returns.std() / np.sqrt(count)
    assert not batch.rewards[~batch.mask].any()
    assert ((batch.turns >= 0) == batch.mask).all()


def test_episodes_of_a_group_share_the_problem_and_not_the_answers(values):
    batch = sample_episodes(values.tree, values.policy, 400, np.random.default_rng(0), group_size=4)
    first = batch.edges[np.arange(400), batch.mask.argmax(1)]
    openings = values.tree.edge_prefix[first].reshape(-1, 4)
    assert (openings == openings[:, :1]).all()
    assert (first.reshape(-1, 4) != first.reshape(-1, 4)[:, :1]).any()
    with pytest.raises(ValueError, match="multiple of group_size=4"):
        sample_episodes(values.tree, values.policy, 6, np.random.default_rng(0), group_size=4)


def test_hidden_state_decides_the_outcome():
    """In the key door the word that is shown is the word that opens, in each sampled episode."""
    tree = exact_values(TextKeyDoor(length=0), "uniform").tree
    batch = sample_episodes(tree, exact_values(tree, "uniform").policy, 500, np.random.default_rng(2))
    for edges, rewards in zip(batch.edges, batch.rewards, strict=True):
        taken = edges[edges >= 0]
        last = tree.text(int(tree.edge_prefix[taken[-1]]))
        if "ask" in last:
            said = tree.mdp.tokenizer.token_text(int(tree.action[taken[-1]]))
            assert rewards.sum() == (said == last[last.index("ask") + 3])


def test_the_expected_gradient_is_the_exact_one(values):
    total = np.zeros(values.tree.num_edges)
    for episodes in enumerate_episodes(values):
        weights = episodes.weight * episodes.probability * episodes.rewards.sum(1) * len(episodes.probability)
        advantages = np.where(episodes.mask, weights[:, None], 0.0)
        total += policy_gradient(values.tree, values.policy, episodes.edges, advantages)
    np.testing.assert_allclose(total, values.logit_gradient, atol=1e-12)
