"""The sampled audit: a shrunk estimator is told from an unbiased one, and the error is stated."""

from __future__ import annotations

import pytest

from textmdp.agents.credit.known_faults import leave_one_out_returns, own_mean
from textmdp.agents.credit.sampled_audit import sampled_audit
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.rollouts.scripted import RandomAgent


@pytest.mark.parametrize("kind", ["random", "language model"])
def test_a_shrunk_estimator_is_convicted_and_its_twin_is_not(kind):
    envs = make_envs("TextScale-v0", 256, scale=1.0)
    agent = RandomAgent(0)
    if kind == "language model":
        model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, width=32, heads=2)
        agent = LanguageModelAgent(model, grammar=True)
    fair = sampled_audit(leave_one_out_returns, agent, envs, group_size=2)
    shrunk = sampled_audit(own_mean, agent, envs, group_size=2)
    assert not fair.biased
    assert abs(fair.slope - 1) <= 4 * fair.error < 0.6
    assert fair.verdict.startswith("not convicted: slope on A ")
    assert shrunk.biased
    assert "as of one that is shrunk by (G − 1)/G = 0.500" in shrunk.verdict
    assert shrunk.tokens > 256 * 4 * 8


def test_a_task_of_several_turns_with_noise():
    envs = make_envs("TextDistractor-v0", 256, noise=0.25)
    found = sampled_audit("rloo", RandomAgent(0), envs, group_size=4, gamma=0.9)
    assert not found.biased
    assert 0 < found.error < 0.3


def test_arguments_are_checked():
    envs = make_envs("TextScale-v0", 6)
    with pytest.raises(ValueError, match="6 rows are no two or more groups of 4"):
        sampled_audit("rloo", RandomAgent(0), envs)
    with pytest.raises(TypeError, match="actor-critic needs V"):
        sampled_audit("actor-critic", RandomAgent(0), envs, group_size=2)
