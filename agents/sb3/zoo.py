"""Algorithms by the names of RL Baselines3 Zoo, and their settings for each id (`hyperparameters.yml`)."""

from __future__ import annotations

import copy
import importlib
from importlib import resources
from typing import Any

import yaml
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecMonitor

from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.sb3.features import TokenFeaturesExtractor
from textmdp.agents.sb3.language_model_policy import with_language_model
from textmdp.agents.sb3.vec_env import SB3VecEnv

#: The classes "module:Class" by the names of the zoo; `ppo_lm` is PPO with `LanguageModelPolicy`.
ALGORITHMS = {
    "ppo": "stable_baselines3:PPO",
    "a2c": "stable_baselines3:A2C",
    "dqn": "stable_baselines3:DQN",
    "qrdqn": "sb3_contrib:QRDQN",
    "trpo": "sb3_contrib:TRPO",
    "ppo_mask": "sb3_contrib:MaskablePPO",
    "ppo_lstm": "sb3_contrib:RecurrentPPO",
    "ppo_lm": "stable_baselines3:PPO",
}
#: The features extractors that settings may name.
EXTRACTORS = {"TokenFeaturesExtractor": TokenFeaturesExtractor}
#: Settings that are not arguments of the algorithm.
_OF_TRAINING = ("n_envs", "n_timesteps", "policy", "env_kwargs", "imitation")

Settings = dict[str, Any]


def algorithm_class(algo: str) -> type[BaseAlgorithm]:
    """The class of an algorithm.

    Raises:
        ValueError: there is no algorithm of that name.
    """
    if algo not in ALGORITHMS:
        raise ValueError(f"algo={algo!r} is none of {', '.join(ALGORITHMS)}")
    module, _, name = ALGORITHMS[algo].partition(":")
    return getattr(importlib.import_module(module), name)


def settings_for(algo: str, env_id: str) -> Settings:
    """The settings of an algorithm for an id, or its defaults for an id of others.

    Beside the algorithm's own arguments there are `n_envs`, `n_timesteps`, `policy`, `env_kwargs` (the arguments of the
    environment) and, for `ppo_lm`, `imitation` (those of `ImitationConfig`).
    """
    algorithm_class(algo)
    text = resources.files("textmdp.agents.sb3").joinpath("hyperparameters.yml").read_text()
    table = yaml.safe_load(text)[algo]
    return copy.deepcopy(table.get(env_id, table["default"]))


def make_env(env_id: str, settings: Settings) -> VecMonitor:
    """The environment of settings: `n_envs` rows, with returns and lengths of episodes in their infos."""
    envs = SB3VecEnv.make(env_id, settings["n_envs"], **settings.get("env_kwargs", {}))
    return VecMonitor(envs, info_keywords=())


def make_model(
    algo: str, env: Any, settings: Settings, *, language_model: LanguageModel | None = None, **others: Any
) -> BaseAlgorithm:
    """An untrained model.

    Args:
        algo: a key of `ALGORITHMS`.
        env: an environment or `VecEnv`.
        settings: as `settings_for` returns them.
        language_model: the beginning of `ppo_lm`.
        others: further arguments of the algorithm: `seed`, `device`, `tensorboard_log`, `verbose`.

    Raises:
        ValueError: the settings name an unknown extractor, or `ppo_lm` lacks its language model.
    """
    kind = algorithm_class(algo)
    arguments = {name: _value(value) for name, value in settings.items() if name not in _OF_TRAINING}
    if algo == "ppo_lm":
        if language_model is None:
            raise ValueError("ppo_lm starts from a language model: give language_model=")
        return with_language_model(kind, language_model, env, **arguments, **others)
    own = dict(arguments.pop("policy_kwargs", {}))
    if "features_extractor_class" in own:
        name = own["features_extractor_class"]
        if name not in EXTRACTORS:
            raise ValueError(f"features_extractor_class={name!r} is none of {', '.join(EXTRACTORS)}")
        own["features_extractor_class"] = EXTRACTORS[name]
    return kind(settings["policy"], env, policy_kwargs=own, **arguments, **others)


def _value(value: Any) -> Any:
    """A setting; `lin_0.001` is a schedule that falls from 0.001 to 0, in the zoo's words."""
    if isinstance(value, str) and value.startswith("lin_"):
        return LinearSchedule(float(value[4:]), 0.0, 1.0)
    return value
