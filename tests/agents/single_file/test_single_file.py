"""Each single file stands alone, has the gradient of its row of the table, and learns."""

import ast
import copy
import importlib
import runpy
import sys

import numpy as np
import pytest
import torch
from paths import ROOT

from textmdp.agents.algorithms.config import Config
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.agents.training.learner import Learner

ALGORITHMS = ("reinforce", "actor_critic", "ppo", "grpo")
LIBRARIES = {"argparse", "dataclasses", "time", "typing", "gymnasium", "numpy", "torch", "transformers"}
FOLDER = ROOT / "agents" / "single_file"
MAX_LINES = 150
UNBOUNDED = 1e9

pytestmark = pytest.mark.usefixtures("one_thread")


def source(algorithm):
    return (FOLDER / f"{algorithm}.py").read_text()


def module(algorithm):
    return importlib.import_module(f"textmdp.agents.single_file.{algorithm}")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_file_is_short(algorithm):
    assert len(source(algorithm).splitlines()) <= MAX_LINES


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_file_stands_alone(algorithm):
    for node in ast.walk(ast.parse(source(algorithm))):
        names = [node.module] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert name.startswith("textmdp.envs") or name.partition(".")[0] in LIBRARIES, name


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_help_has_a_sentence_for_every_argument(algorithm, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [algorithm, "--help"])
    with pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_path(str(FOLDER / f"{algorithm}.py"), run_name="__main__")
    printed = " ".join(capsys.readouterr().out.split())
    for name in module(algorithm).Args.__dataclass_fields__:
        _, found, sentence = printed.rpartition(f"--{name} {name.upper()} ")
        assert found, name
        assert sentence[0].islower(), name


def arguments(file, **values):
    """The arguments of a file, with those of the values that it has."""
    return file.Args(**{name: value for name, value in values.items() if name in file.Args.__dataclass_fields__})


def columns(batch, count):
    """A batch as the files have it: the first `count` of states, actions, mask, rewards, log-probabilities."""
    tokens, mask = torch.from_numpy(batch.tokens), torch.from_numpy(batch.mask)
    rewards, log_probs = torch.from_numpy(batch.rewards).float(), torch.from_numpy(batch.log_probs)
    return [tokens[:, :-1], tokens[:, 1:], mask[:, 1:], rewards[:, 1:], log_probs[:, 1:]][:count]


@pytest.mark.parametrize(
    ("algorithm", "shift"),
    [("reinforce", 0.0), ("actor_critic", 0.0), ("ppo", 0.0), ("ppo", 0.3), ("grpo", 0.0), ("grpo", 0.3)],
)
def test_the_gradient_is_that_of_the_table_s_row(algorithm, shift):
    """`shift`: how far, in nats, the policy that sampled is from the one that learns."""
    file, clips, grouped = module(algorithm), algorithm in ("ppo", "grpo"), algorithm == "grpo"
    episodes, size = 32, 4
    discounts = {} if grouped else {"gamma": 0.9, "gae_lambda": 0.8}
    envs = make_envs("TextMath-v0", episodes, difficulty="one-digit")
    agent = file.Agent(envs, seed=0)
    model = LanguageModel(copy.deepcopy(agent.actor), envs.mdp.tokenizer)
    problems = np.repeat(np.arange(episodes // size), size)
    batch = rollout(LanguageModelAgent(model), envs, problems=problems, groups=problems)
    rng = np.random.default_rng(0)
    rewarded = batch.mask & (batch.mask[:, ::-1].cumsum(1)[:, ::-1] == 1) if grouped else batch.mask  # the last token
    batch.rewards[rewarded] = rng.normal(size=rewarded.sum())

    config = Config(
        algorithm=algorithm.replace("_", "-"),
        episodes=episodes,
        group_size=size,
        epochs=2 if clips else 1,  # with one, the row has no need of the probabilities of sampling
        minibatches=1,
        learning_rate=0.0,
        value_learning_rate=0.0,
        max_grad_norm=UNBOUNDED,
        **discounts,
    )
    learner = Learner(model, config, envs.mdp.max_response_tokens)
    expected = [*model.network.parameters()]
    if learner.value is not None:
        learner.value.head.load_state_dict(agent.critic.state_dict())
        expected += learner.value.head.parameters()
    learner.learn(batch)  # which refuses a first batch that another policy sampled
    batch.log_probs[batch.mask] += rng.normal(0.0, shift, size=batch.mask.sum())
    clipped = learner.learn(batch)["clip_fraction"]
    assert (clipped > 0) == (shift > 0)

    args = arguments(file, max_grad_norm=UNBOUNDED, group_size=size, update_epochs=1, num_minibatches=1, **discounts)
    file.learn(agent, torch.optim.Adam(agent.parameters(), 0.0), columns(batch, 5 if clips else 4), args)
    for own, row in zip(agent.parameters(), expected, strict=True):
        assert row.grad.norm() > 0
        assert (own.grad - row.grad).norm() <= 1e-5 * row.grad.norm()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_file_learns(algorithm, capsys):
    file = module(algorithm)
    first, *_, last = file.main(file.Args())
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["warm", *["update"] * (1 + file.Args().num_updates // 10)]
    assert 0.15 < first < 0.6  # the carry is missing
    assert last > first + 0.3
