"""A curriculum goes on by success, the same way each time, and after a resumption."""

import copy

import numpy as np
import pytest

from textmdp.agents.algorithms.config import Config
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.training.curriculum import Curriculum
from textmdp.agents.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")
LEVELS = ("entry", "one-digit", "words")
CONFIG = Config(episodes=8, group_size=4, updates=6, seed=3)


def stages(**options):
    return [make_envs("TextMath-v0", 8, difficulty=level, **{"shared": True, **options}) for level in LEVELS]


def trainer(threshold=1e-9, window=2):
    """A model too small to learn; with the lowest threshold, stages end when anything was solved."""
    curriculum = Curriculum(stages(max_response_tokens=4), threshold, window)
    mdp = curriculum.envs.mdp
    model = LanguageModel.tiny(mdp.tokenizer, mdp.context_length, layers=1, width=16, heads=2, seed=0)
    return Trainer(model, curriculum.envs, CONFIG, curriculum=curriculum)


def script(monkeypatch, successes):
    """Make the trainer see these successes, one an update."""
    values = iter(successes)
    monkeypatch.setattr("textmdp.agents.training.trainer.solved", lambda batch, task: np.array([next(values)]))


def without_time(rows):
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in rows]


def test_a_stage_ends_when_enough_of_its_last_updates_is_solved():
    curriculum = Curriculum(stages(), threshold=0.8, window=2)
    seen = []
    for success in (0.9, 0.6, 0.9, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9):
        curriculum.observe(success)
        seen.append(curriculum.stage)
    assert seen == [0, 0, 0, 1, 1, 2, 2, 2, 2], "each stage has a window of its own, and the last one stays"
    assert curriculum.envs is curriculum.stages[2]


def test_training_is_logged_deterministic_and_resumable(monkeypatch):
    successes = [0.9, 0.9, 0.9, 0.1, 0.9, 0.9]
    script(monkeypatch, successes)
    whole = trainer(0.8)
    rows = without_time(whole.run())
    assert [row["curriculum_stage"] for row in rows] == [0, 0, 1, 1, 1, 1]
    assert [row["success"] for row in rows] == successes
    assert whole.curriculum.stage == 2

    script(monkeypatch, successes)
    assert without_time(trainer(0.8).run()) == rows

    script(monkeypatch, successes)
    first = trainer(0.8)
    before = without_time(first.step() for _ in range(3))
    state = copy.deepcopy(first.state())
    second = trainer(0.8)
    second.restore(state)
    assert second.envs is second.curriculum.stages[1]
    second.model.network.load_state_dict(first.model.network.state_dict())
    assert before + without_time(second.run()) == rows


def test_stages_must_share_their_limits():
    with pytest.raises(ValueError, match=r"stage 2 has .* shared=True"):
        Curriculum(
            [
                *stages()[:2],
                make_envs("TextMath-v0", 8, difficulty="words", shared=True, max_response_tokens=5),
            ]
        )


@pytest.mark.parametrize(("options", "error"), [({"threshold": 0.0}, "in \\(0, 1\\]"), ({"window": 0}, "at least 1")])
def test_arguments_are_checked(options, error):
    with pytest.raises(ValueError, match=error):
        Curriculum(stages(), **options)
    with pytest.raises(ValueError, match="at least one stage"):
        Curriculum([])


def test_training_begins_in_the_stage_of_the_curriculum():
    curriculum = Curriculum(stages())
    mdp = curriculum.envs.mdp
    model = LanguageModel.tiny(mdp.tokenizer, mdp.context_length, layers=1, width=16, heads=2, seed=0)
    with pytest.raises(ValueError, match=r"envs=curriculum\.envs"):
        Trainer(model, curriculum.stages[1], CONFIG, curriculum=curriculum)
