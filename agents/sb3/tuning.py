"""A search for settings with Optuna, in the space of RL Baselines3 Zoo narrowed to token views."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from textmdp.agents.sb3.zoo import Settings, make_env, make_model

if TYPE_CHECKING:
    import optuna

#: What is searched for each kind of algorithm.
_ON_POLICY = ("ppo", "ppo_mask", "ppo_lstm")


def suggest(trial: optuna.Trial, algo: str, settings: Settings) -> Settings:
    """The settings of a trial: those given, with the suggestions in their place."""
    tried = copy.deepcopy(settings)
    tried["learning_rate"] = trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    if algo in _ON_POLICY:
        tried["n_steps"] = trial.suggest_categorical("n_steps", _with(settings, "n_steps", 16, 32, 64))
        tried["batch_size"] = trial.suggest_categorical("batch_size", _with(settings, "batch_size", 256, 512, 1024))
        tried["n_epochs"] = trial.suggest_int("n_epochs", 1, 8)
    if algo in (*_ON_POLICY, "a2c"):
        tried["ent_coef"] = trial.suggest_float("ent_coef", 1e-3, 0.1, log=True)
        tried["gae_lambda"] = trial.suggest_categorical("gae_lambda", _with(settings, "gae_lambda", 0.9, 0.95, 1.0))
    if algo in ("dqn", "qrdqn"):
        tried["gradient_steps"] = trial.suggest_categorical(
            "gradient_steps", _with(settings, "gradient_steps", 1, 2, 4)
        )
        tried["target_update_interval"] = trial.suggest_categorical(
            "target_update_interval", _with(settings, "target_update_interval", 500, 2000, 8000)
        )
        tried["exploration_fraction"] = trial.suggest_float("exploration_fraction", 0.1, 0.8)
    if algo == "trpo":
        tried["target_kl"] = trial.suggest_float("target_kl", 3e-3, 0.1, log=True)
    return tried


def optimize(
    algo: str,
    env_id: str,
    settings: Settings,
    *,
    trials: int,
    seed: int = 0,
    storage: str | None = None,
    report: Callable[[int, float, Settings], None] | None = None,
) -> tuple[Settings, float]:
    """The best settings of a study, and their mean return over the last episodes of training.

    Trials that fall behind the median of the others are stopped early.

    Args:
        algo: a key of `textmdp.agents.sb3.zoo.ALGORITHMS`, but not `ppo_lm`.
        env_id: id of a token view.
        settings: the settings of the first trial, and of all that is not searched.
        trials: the number of trials.
        seed: of the study and of every trial.
        storage: the URL of a data base that keeps the study, such as "sqlite:///study.db"; it is continued there.
        report: called with the number, the return and the settings of each trial that was not stopped.

    Raises:
        ImportError: Optuna is not installed.
        ValueError: the algorithm is `ppo_lm`.
    """
    if algo == "ppo_lm":
        raise ValueError("ppo_lm has few settings beside those of its model: give them with --hyperparams")
    try:
        import optuna
    except ImportError as error:
        raise ImportError('--optimize needs Optuna: pip install "textmdp[tuning]"', name="optuna") from error
    from stable_baselines3.common.callbacks import BaseCallback

    class Pruner(BaseCallback):
        """Reports the mean return after each tenth of the training."""

        def __init__(self, trial: optuna.Trial) -> None:
            super().__init__()
            self._trial, self._tenth, self.pruned = trial, 0, False

        def _on_step(self) -> bool:
            tenth = 10 * self.num_timesteps // int(settings["n_timesteps"])
            if tenth > self._tenth and self.model.ep_info_buffer:
                self._tenth = tenth
                self._trial.report(_mean_return(self.model), tenth)
                self.pruned = self._trial.should_prune()
            return not self.pruned

    def objective(trial: optuna.Trial) -> float:
        tried = suggest(trial, algo, settings)
        env = make_env(env_id, tried)
        model = make_model(algo, env, tried, seed=seed, stats_window_size=1000)
        callback = Pruner(trial)
        try:
            model.learn(int(settings["n_timesteps"]), callback)
        except (AssertionError, ValueError) as error:  # weights that have become NaN
            raise optuna.TrialPruned(str(error)) from error
        finally:
            env.close()
        if callback.pruned:
            raise optuna.TrialPruned
        trial.set_user_attr("settings", yaml.safe_dump(tried))
        if report is not None:
            report(trial.number, _mean_return(model), tried)
        return _mean_return(model)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage,
        study_name=f"{algo}-{env_id}",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3),
    )
    if not study.trials:
        probe = optuna.trial.FixedTrial(settings)
        suggest(probe, algo, settings)
        study.enqueue_trial(probe.params)
    study.optimize(objective, n_trials=trials)
    return yaml.safe_load(study.best_trial.user_attrs["settings"]), study.best_value


def _with(settings: Settings, name: str, *choices: float) -> list[float]:
    """The choices, and the value given."""
    return [*dict.fromkeys((settings.get(name, choices[0]), *choices))]


def _mean_return(model: Any) -> float:
    return float(np.mean([episode["r"] for episode in model.ep_info_buffer])) if model.ep_info_buffer else -np.inf
