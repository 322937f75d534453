"""A clip holds the policy near the one that wrote the batch, and the reported numbers are those of the policy."""

from __future__ import annotations

import numpy as np
import pytest

from textmdp.agents import exact_values, rewards_to_go
from textmdp.agents.course.reuse import reuse_batch
from textmdp.agents.credit.tables import policy_gradient, sample_episodes, softmax
from textmdp.envs.tasks.diagnostics import TextUmbrella


@pytest.fixture(scope="module")
def setting():
    old = exact_values(TextUmbrella(length=2), "uniform")
    batch = sample_episodes(old.tree, old.policy, 8, np.random.default_rng(0))
    return old, batch, rewards_to_go(batch.rewards, batch.mask) - 0.5 * batch.mask


def test_without_a_clip_the_first_step_is_the_policy_gradient(setting):
    old, batch, advantages = setting
    found = reuse_batch(old, batch, advantages, steps=1, learning_rate=0.1, clip=0.0)
    assert found.divergence[0] == pytest.approx(0)
    assert found.surrogate[0] == pytest.approx(advantages.sum() / 8)
    logits = np.log(old.policy) + 0.1 * policy_gradient(old.tree, old.policy, batch.edges, advantages)
    after = exact_values(old.tree, softmax(old.tree, logits))
    assert found.expected_return.tolist() == pytest.approx([0.5, after.expected_return])


def test_a_clip_bounds_the_divergence_and_the_promise(setting):
    old, batch, advantages = setting
    free, clipped = (reuse_batch(old, batch, advantages, steps=40, learning_rate=0.5, clip=clip) for clip in (0.0, 0.2))
    assert clipped.divergence[-1] < 0.15 < free.divergence[-1]
    assert clipped.surrogate[-1] < free.surrogate[-1]
    assert (np.diff(free.surrogate) > 0).all()
