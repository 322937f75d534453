"""Agents that write: scripted ones, and language models that learn by policy gradient.

The names below are all that a program that uses the library imports; each is loaded when it is first used, so importing
this package is fast and needs neither torch nor transformers.

Shapes, in every docstring and trailing comment of `textmdp.agents`:

- B: episodes of a batch
- T: positions of the longest episode of a batch
- V: tokens of the vocabulary
- G: episodes of a group, which are started together from the same problem
- n: rows of a vector environment
- m: those of its rows that an agent is asked about
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Takes effect if torch is imported later. Its threads wait in busy loops by default: with one other process on a
# machine of two cores, training a tiny model was measured to take 30 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from textmdp.agents.algorithms.advantages import (
        discount_weights,
        discounted_returns,
        explained_variance,
        generalized_advantages,
        rewards_to_go,
        time_steps,
        whiten,
    )
    from textmdp.agents.algorithms.baselines import batch_mean, group_mean, group_std, leave_one_out, running_mean
    from textmdp.agents.algorithms.config import Config, ImitationConfig
    from textmdp.agents.algorithms.objectives import OBJECTIVES, AdvantageInputs, Objective, token_weights
    from textmdp.agents.credit.audit import Audit, audit
    from textmdp.agents.credit.branching import BranchedValues, branched_values
    from textmdp.agents.credit.exact_values import ExactValues, exact_values
    from textmdp.agents.evaluation.evaluate import Evaluation, evaluate
    from textmdp.agents.inference.sampler import LanguageModelAgent
    from textmdp.agents.models.language_model import LanguageModel, TokenStatistics
    from textmdp.agents.models.lora import AdaptedModel, add_lora
    from textmdp.agents.models.value_function import ValueFunction
    from textmdp.agents.rollouts.agent import Action, Agent
    from textmdp.agents.rollouts.rollout import make_envs, rollout
    from textmdp.agents.rollouts.scripted import CarelessExpertAgent, ExpertAgent, NoisyExpertAgent, RandomAgent
    from textmdp.agents.rollouts.trajectories import Trajectories
    from textmdp.agents.training.imitation import imitate
    from textmdp.agents.training.learner import Learner
    from textmdp.agents.training.trainer import Trainer

__all__ = [
    "OBJECTIVES",
    "Action",
    "AdaptedModel",
    "AdvantageInputs",
    "Agent",
    "Audit",
    "BranchedValues",
    "CarelessExpertAgent",
    "Config",
    "Evaluation",
    "ExactValues",
    "ExpertAgent",
    "ImitationConfig",
    "LanguageModel",
    "LanguageModelAgent",
    "Learner",
    "NoisyExpertAgent",
    "Objective",
    "RandomAgent",
    "TokenStatistics",
    "Trainer",
    "Trajectories",
    "ValueFunction",
    "add_lora",
    "audit",
    "batch_mean",
    "branched_values",
    "discount_weights",
    "discounted_returns",
    "evaluate",
    "exact_values",
    "explained_variance",
    "generalized_advantages",
    "group_mean",
    "group_std",
    "imitate",
    "leave_one_out",
    "make_envs",
    "rewards_to_go",
    "rollout",
    "running_mean",
    "time_steps",
    "token_weights",
    "whiten",
]

#: The module of each public name, below `textmdp.agents`: the imports above, as `__getattr__` makes them.
_MODULES = {
    name: module
    for module, names in {
        "algorithms.advantages": (
            "discount_weights discounted_returns explained_variance generalized_advantages rewards_to_go time_steps "
            "whiten"
        ),
        "algorithms.baselines": "batch_mean group_mean group_std leave_one_out running_mean",
        "algorithms.config": "Config ImitationConfig",
        "algorithms.objectives": "OBJECTIVES AdvantageInputs Objective token_weights",
        "credit.audit": "Audit audit",
        "credit.branching": "BranchedValues branched_values",
        "credit.exact_values": "ExactValues exact_values",
        "evaluation.evaluate": "Evaluation evaluate",
        "inference.sampler": "LanguageModelAgent",
        "models.language_model": "LanguageModel TokenStatistics",
        "models.lora": "AdaptedModel add_lora",
        "models.value_function": "ValueFunction",
        "rollouts.agent": "Action Agent",
        "rollouts.rollout": "make_envs rollout",
        "rollouts.scripted": "CarelessExpertAgent ExpertAgent NoisyExpertAgent RandomAgent",
        "rollouts.trajectories": "Trajectories",
        "training.imitation": "imitate",
        "training.learner": "Learner",
        "training.trainer": "Trainer",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
