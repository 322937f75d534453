"""Training runs of SB3 in a folder: evaluations, checkpoints, TensorBoard, resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.callbacks import MaskableEvalCallback
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, EvalCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.sb3.zoo import Settings, algorithm_class, make_env, make_model

CONFIG, MODEL, BUFFER = "config.json", "model.zip", "replay_buffer.pkl"
#: Rows of the environment of evaluations.
_EVALUATED = 16


class Run:
    """The folder of a run: `config.json`, the last `model.zip`, `best_model.zip`, `evaluations.npz`, `tensorboard/`.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def config(self) -> dict[str, Any]:
        """The name of the algorithm, the id, the settings and the seed.

        Raises:
            FileNotFoundError: the folder holds no run.
        """
        path = self.folder / CONFIG
        if not path.is_file():
            raise FileNotFoundError(f"{self.folder} holds no run of `textmdp sb3 train`: it has no {CONFIG}")
        return json.loads(path.read_text())

    def begin(self, algo: str, env_id: str, settings: Settings, seed: int, overwrite: bool = False) -> None:
        """Write the configuration of a new run.

        Raises:
            FileExistsError: the folder holds a run.
        """
        if (self.folder / CONFIG).exists() and not overwrite:
            raise FileExistsError(f"{self.folder} holds a run: give --resume, --overwrite or another --out")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / MODEL).unlink(missing_ok=True)
        config = {"algo": algo, "env": env_id, "seed": seed, "settings": settings}
        (self.folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")

    def load(self, best: bool = False, env: Any = None) -> BaseAlgorithm:
        """The last model, or the one with the best evaluation."""
        kind = algorithm_class(self.config["algo"])
        return kind.load(self.folder / ("best_model.zip" if best else MODEL), env=env, device="auto")

    def save(self, model: BaseAlgorithm) -> None:
        """Save a model, and the replay buffer of one that learns from old steps."""
        new = self.folder / "model.new.zip"
        model.save(new)
        if isinstance(model, OffPolicyAlgorithm):
            model.save_replay_buffer(self.folder / BUFFER)
        new.replace(self.folder / MODEL)


class _Checkpoints(BaseCallback):
    """Saves the model every so many steps."""

    def __init__(self, run: Run, every: int) -> None:
        super().__init__()
        self._run, self._every, self._saved = run, every, 0

    def _on_training_start(self) -> None:
        self._saved = self.num_timesteps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:  # between two updates, so that a resumed run repeats none
        if self.num_timesteps - self._saved >= self._every:
            self._saved = self.num_timesteps
            self._run.save(self.model)


def train(
    run: Run,
    *,
    language_model: LanguageModel | None = None,
    eval_freq: int = 10_000,
    eval_episodes: int = 100,
    tensorboard: bool = True,
    progress_bar: bool = False,
    verbose: int = 0,
) -> BaseAlgorithm:
    """Train the run of a folder, or continue it from its last checkpoint, up to the steps of its settings.

    Args:
        run: with a configuration (`Run.begin`).
        language_model: the beginning of `ppo_lm`.
        eval_freq: environment steps between evaluations, and between checkpoints.
        eval_episodes: the episodes of an evaluation.
        tensorboard: write event files to the folder `tensorboard`.
        progress_bar: show a progress bar.
        verbose: 1 for SB3's tables.
    """
    config = run.config
    settings, seed = config["settings"], config["seed"]
    env = make_env(config["env"], settings)
    log = str(run.folder / "tensorboard") if tensorboard else None
    resumed = (run.folder / MODEL).is_file()
    if resumed:
        model = run.load(env=env)
        model.tensorboard_log = log
        if isinstance(model, OffPolicyAlgorithm) and (run.folder / BUFFER).is_file():
            model.load_replay_buffer(run.folder / BUFFER)
    else:
        others = {"seed": seed, "tensorboard_log": log, "verbose": verbose}
        model = make_model(config["algo"], env, settings, language_model=language_model, **others)
    left = int(settings["n_timesteps"]) - model.num_timesteps
    if left > 0:
        rows = min(_EVALUATED, eval_episodes)
        evaluated = make_env(config["env"], {**settings, "n_envs": rows})
        evaluated.seed(seed + 1_000_000)
        kind = MaskableEvalCallback if isinstance(model, MaskablePPO) else EvalCallback
        evaluation = kind(
            evaluated,
            n_eval_episodes=eval_episodes,
            eval_freq=max(1, eval_freq // settings["n_envs"]),
            log_path=str(run.folder),
            best_model_save_path=str(run.folder),
            deterministic=True,
            verbose=verbose,
            warn=False,
        )
        callback = CallbackList([evaluation, _Checkpoints(run, eval_freq)])
        model.learn(left, callback, reset_num_timesteps=not resumed, progress_bar=progress_bar, tb_log_name="run")
        run.save(model)
        evaluated.close()
    env.close()
    return model
