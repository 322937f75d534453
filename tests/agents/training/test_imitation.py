"""Imitation: the mistakes of careless experts, learning from them, and policy-gradient training afterwards."""

import numpy as np
import pytest
from toys import Echo

from textmdp.agents.algorithms.config import Config
from textmdp.agents.evaluation.evaluate import evaluate
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.agents.rollouts.scripted import CarelessExpertAgent, ExpertAgent
from textmdp.agents.training.imitation import ImitationConfig, imitate
from textmdp.agents.training.trainer import Trainer
from textmdp.envs import TokenVectorEnv
from textmdp.envs.tasks.text_math import TextMath
from textmdp.envs.tasks.text_math.mistakes import common_mistake


def vector(task, rows=32):
    return TokenVectorEnv(task, rows, autoreset_mode="Disabled", copy=False)


@pytest.mark.parametrize(
    ("question", "answer", "careless"),
    [
        ("37+45=", "82", "72"),  # no carry
        ("37+42=", "79", "79"),  # nothing to carry
        ("95+87=", "182", "72"),  # not even of the highest column
        ("52-17=", "35", "45"),  # no borrow
        ("12-45=", "-33", "33"),  # no sign
        ("15-42=", "-27", "37"),  # neither
        ("100-99=", "1", "111"),
        ("5-5=", "0", "0"),
        ("7*(2+3)=", "35", "36"),  # no plain sum: the last digit
        ("1/2-3/4=", "-1/4", "1/5"),
        ("1/2+1/9=", "1/9", "1/2"),  # a denominator may not become zero
        ("3.5-4=", "-0.5", "0.6"),
    ],
)
def test_slips(question, answer, careless):
    assert common_mistake(question, answer) == careless


@pytest.mark.parametrize("difficulty", ["one-digit", "two-digit", "fractions", "decimals", "words"])
def test_slips_are_answers_and_most_are_wrong(difficulty):
    task = TextMath(difficulty)
    generator = np.random.default_rng(0)
    states = [state for state, _ in task.problems(range(400))]
    replies = [task.reply(state, task.mistake(state, generator), generator) for state in states]
    assert all(reply.score.parts["format"] for reply in replies)
    wrong = 1 - np.mean([reply.score.total for reply in replies])
    assert wrong > (0.1 if difficulty == "one-digit" else 0.5)


def test_a_careless_expert_errs_at_its_mistake_rate_and_is_reproducible():
    envs = vector(TextMath(), 400)
    always = rollout(CarelessExpertAgent(1.0), envs, seed=0)
    for episode in always.episodes:
        assert episode.messages[1] == common_mistake(episode.state.question, episode.state.answer)
    never = rollout(CarelessExpertAgent(0.0), envs, seed=0)
    assert (never.returns == 1).all()
    half = rollout(CarelessExpertAgent(0.5, seed=3), envs, seed=0).returns
    assert abs(half.mean() - (1 + always.returns.mean()) / 2) < 0.1
    assert (half == rollout(CarelessExpertAgent(0.5, seed=3), envs, seed=0).returns).all()
    with pytest.raises(ValueError, match=r"mistake_rate=1.5 must lie in \[0, 1\]"):
        CarelessExpertAgent(1.5)


def test_a_task_without_mistakes_can_be_imitated_all_the_same():
    with pytest.raises(TypeError, match=r"Echo has no mistakes.*mistake_rate=0"):
        rollout(CarelessExpertAgent(1.0), vector(Echo()), seed=0)
    assert (rollout(CarelessExpertAgent(0.0), vector(Echo()), seed=0).returns == 1).all()


def test_imitation_learns_and_is_reproducible():
    def run():
        envs = vector(Echo(), 64)
        model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, width=32, seed=1)
        reported = []
        history = imitate(
            model, envs, ImitationConfig(steps=60, episodes=64, mistake_rate=0.0, check_every=20), reported.append
        )
        assert reported == history
        return history

    first, second = run(), run()
    losses = [check["loss"] for check in first]
    assert [check["step"] for check in first] == [20, 40, 60]
    assert losses[0] > 2 * losses[-1]
    assert losses == [check["loss"] for check in second]
    assert first[-1]["accuracy"] > 0.5


@pytest.mark.parametrize(("name", "value"), [("steps", -1), ("episodes", 0), ("check_every", 0)])
def test_bad_settings_name_the_rule(name, value):
    with pytest.raises(ValueError, match=f"{name}={value} must be at least"):
        ImitationConfig(**{name: value})


@pytest.mark.slow
def test_rewards_take_the_default_warm_start_from_half_right_to_right():
    config = Config(seed=7)
    envs = make_envs("TextMath-v0", config.episodes)
    held_out = make_envs("TextMath-v0", 256, split="test")
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, seed=7)
    greedy = LanguageModelAgent(model, greedy=True)
    imitate(model, make_envs("TextMath-v0", 128), ImitationConfig(seed=7))
    assert 0.2 <= evaluate(greedy, held_out, episodes=1000, seed=0).accuracy <= 0.5
    for _ in Trainer(model, envs, config).run():
        pass
    assert evaluate(greedy, held_out, episodes=1000, seed=0).accuracy >= 0.95
    assert (rollout(ExpertAgent(), held_out, seed=0).returns == 1).all()


def test_imitation_ends_at_its_accuracy():
    envs = vector(Echo(), 64)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, width=32, seed=1)
    config = ImitationConfig(steps=400, episodes=64, mistake_rate=0.0, check_every=10, until=0.9)
    *before, last = imitate(model, envs, config)
    assert last["step"] < 400
    assert last["accuracy"] >= 0.9 > max((check["accuracy"] for check in before), default=0.0)
