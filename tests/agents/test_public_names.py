"""The public names of `textmdp.agents`: complete, typed, cheap to import, and enough for an experiment."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from importlib.resources import files

import pytest
from paths import ROOT

import textmdp.agents as agents

SOURCE = (ROOT / "agents" / "__init__.py").read_text()


def imported_for_type_checkers():
    """The public names and their modules, as type checkers see them."""
    return {
        alias.name: node.module
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("textmdp.")
        for alias in node.names
    }


def test_the_names_are_those_that_type_checkers_see():
    assert len(agents.__all__) == len(set(agents.__all__))
    assert set(agents.__all__) == set(imported_for_type_checkers())


@pytest.mark.parametrize(("name", "module"), sorted(imported_for_type_checkers().items()))
def test_a_name_is_that_of_its_module(name, module):
    assert getattr(agents, name) is getattr(import_module(module), name)


def test_a_name_that_does_not_exist_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'Trainr'"):
        agents.Trainr  # noqa: B018
    assert set(agents.__all__) <= set(dir(agents))


def test_importing_the_package_is_light():
    code = (
        "import sys, textmdp.agents\n"
        "from textmdp.agents import Config, ExpertAgent, evaluate, make_envs, rollout\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize("package", ["envs", "agents", "benchmarks"])
def test_type_checkers_may_read_the_installed_package(package):
    """PEP 561; where a wheel is installed, as in CI, this is about the wheel."""
    assert (files(f"textmdp.{package}") / "py.typed").is_file()


#: The library in an experiment: environment, model, warm start, rollout, advantages, gradient step, evaluation.
EXPERIMENT = """\
import numpy as np
import torch
from textmdp.agents import OBJECTIVES, AdvantageInputs, ImitationConfig, LanguageModel, LanguageModelAgent
from textmdp.agents import evaluate, imitate, make_envs, rollout, time_steps

envs, held_out = make_envs("TextMath-v0", 512), make_envs("TextMath-v0", 500, split="test")
model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length)  # a Llama from scratch
imitate(model, make_envs("TextMath-v0", 128), ImitationConfig(steps=300))  # an expert that often forgets the carry
sampling, greedy = LanguageModelAgent(model), LanguageModelAgent(model, greedy=True)
before = evaluate(greedy, held_out, episodes=500, seed=0)

optimizer = torch.optim.Adam(model.trainable(), lr=3e-4)
for update in range(15):
    problems = np.random.default_rng(update).integers(2**62, size=64).repeat(8)  # (B,) 8 episodes of each
    batch = rollout(sampling, envs, problems=problems, groups=problems)
    inputs = AdvantageInputs(batch.rewards, batch.mask, time_steps(batch.mask, batch.turns), batch.groups)
    advantages = torch.from_numpy(OBJECTIVES["rloo"].advantages(inputs, gamma=1.0))  # (B, T)
    log_probs = model.log_probs(torch.from_numpy(batch.tokens), torch.from_numpy(batch.roles)).log_probs  # (B, T)
    loss = -(advantages * log_probs).sum() / len(batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
after = evaluate(greedy, held_out, episodes=500, seed=0)
print(after.episodes, after.accuracy > before.accuracy)  # prints: 500 True
"""


@pytest.mark.slow
def test_an_experiment_in_25_lines(tmp_path):
    assert len(EXPERIMENT.splitlines()) <= 25
    command = [sys.executable, "-W", "error", "-c", EXPERIMENT]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr
    assert [line for line in re.findall(r"# prints: (.*)", EXPERIMENT) if line not in result.stdout] == []
