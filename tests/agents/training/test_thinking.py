"""Thinking that pays: its warm start, and samples of policies whose ways are known."""

import numpy as np
import pytest

from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.scripted import ExpertAgent
from textmdp.agents.training import thinking
from textmdp.agents.training.thinking import WarmStart, sample


@pytest.mark.parametrize(("share", "expected"), [(1.0, (1, 13, 1, 1)), (0.0, (0, 3, 1, 0))])
def test_an_expert_is_measured_as_one(monkeypatch, share, expected):
    monkeypatch.setattr(thinking, "LanguageModelAgent", lambda model, **_: ExpertAgent())
    envs = WarmStart(steps_share=share).envs(32, "test")
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, seed=0)
    seen = sample(model, envs, transcripts=3)
    assert (seen.thinks, seen.tokens, seen.accuracy, seen.steps_right) == expected
    assert len(seen.transcripts) == 3
    assert all("%10=" in text and "#### " in text for text in seen.transcripts)


def test_the_first_phase_ends_at_its_bar_and_the_second_follows(monkeypatch):
    played = []
    monkeypatch.setattr(thinking, "imitate", lambda model, envs, config: played.append((envs, config)))
    start = WarmStart(worked_steps=40, until=0.7, mixed_steps=5, episodes=8, steps_share=0.25)
    model = start.train(seed=3)
    (worked, first), (mixed, second) = played
    assert (first.steps, first.until, second.steps, second.until) == (40, 0.7, 5, 0.0)
    assert worked.mdp.tokenizer == mixed.mdp.tokenizer == model.tokenizer

    def thinking_share(envs):
        task = envs.mdp.task
        states = [state for state, _ in task.problems(range(200))]
        rng = np.random.default_rng(0)
        return np.mean([" #### " in task.demonstrate(state, rng) for state in states])

    assert thinking_share(worked) == 1
    assert 0.15 < thinking_share(mixed) < 0.35
