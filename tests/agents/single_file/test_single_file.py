"""Each single file stands alone, has the gradient of its row of the table, and learns."""

import ast
import importlib
import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from paths import ROOT

from textmdp.agents.algorithms.config import Config
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs, rollout
from textmdp.agents.training.learner import Learner

ALGORITHMS = ("reinforce", "actor_critic", "ppo", "grpo")
#: What differs from the files before it is all that a file should need to import.
LIBRARIES = {"argparse", "dataclasses", "time", "typing", "gymnasium", "numpy", "torch", "transformers"}
MAX_LINES = 150

pytestmark = pytest.mark.usefixtures("one_thread")


def source(algorithm):
    return (ROOT / "agents" / "single_file" / f"{algorithm}.py").read_text()


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
def test_help_has_a_sentence_for_every_argument(algorithm):
    command = [sys.executable, "-m", f"textmdp.agents.single_file.{algorithm}", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "tests", check=True)
    for name in module(algorithm).Args.__dataclass_fields__:
        _, found, sentence = " ".join(result.stdout.split()).rpartition(f"--{name} {name.upper()} ")
        assert found, name
        assert sentence[0].islower(), name


@pytest.fixture(params=ALGORITHMS)
def setup(request):
    """A single file, its agent, a learner of the same row with the same weights, and a batch for each of them."""
    file = module(request.param)
    episodes, group_size = 32, 4
    envs = make_envs("TextMath-v0", episodes, difficulty="one-digit")
    agent = file.Agent(envs, seed=0)
    args = file.Args(max_grad_norm=1e9, learning_rate=0.0)
    for name, value in {"update_epochs": 1, "num_minibatches": 1, "group_size": group_size}.items():
        if hasattr(args, name):
            setattr(args, name, value)
    config = Config(
        algorithm=request.param.replace("_", "-"),
        episodes=episodes,
        group_size=group_size,
        epochs=1,
        minibatches=1,
        learning_rate=0.0,
        value_learning_rate=0.0,
        max_grad_norm=1e9,
    )
    learner = Learner(LanguageModel(agent.actor, envs.mdp.tokenizer), config, longest=envs.mdp.max_response_tokens)
    return file, agent, args, learner, envs


