"""The zoo's settings, runs in a folder, resuming, and the search for settings."""

import json

import numpy as np
import pytest
import yaml
from stable_baselines3.common.utils import LinearSchedule

from textmdp.agents.cli.main import main
from textmdp.agents.evaluation.evaluate import evaluate
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.sb3 import tuning, zoo
from textmdp.agents.sb3.agent import SB3Agent
from textmdp.agents.sb3.training import Run, train
from textmdp.agents.sb3.zoo import ALGORITHMS, make_env, make_model, settings_for
from textmdp.envs import TASKS

SMALL = {
    "n_envs": 4,
    "n_timesteps": 64,
    "n_steps": 8,
    "batch_size": 16,
    "n_epochs": 1,
    "env_kwargs": {"difficulty": "tiny"},
}


def small(algo, env_id="TextGuess-v0"):
    settings = settings_for(algo, env_id)
    names = {*settings, "n_timesteps", "n_envs", "env_kwargs"}
    settings.update({name: value for name, value in SMALL.items() if name in names})
    if "learning_starts" in settings:
        settings.update(learning_starts=8, buffer_size=100, batch_size=8)
    return settings


def language_model(settings):
    mdp = make_env("TextGuess-v0", settings).unwrapped.envs.mdp
    return LanguageModel.tiny(mdp.tokenizer, mdp.context_length, layers=1, width=16, heads=2)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_the_settings_of_every_id_are_those_of_the_algorithm(algo):
    for name in TASKS:
        settings = settings_for(algo, f"{name}-v0")
        assert settings["n_timesteps"] > 0
        assert settings["gamma"] == 1.0
    settings["env_kwargs"] = {"difficulty": "changed"}
    assert settings_for(algo, f"{name}-v0").get("env_kwargs") != {"difficulty": "changed"}


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_run_is_trained_saved_and_evaluated(algo, tmp_path):
    settings = small(algo)
    run = Run(tmp_path / "run")
    run.begin(algo, "TextGuess-v0", settings, seed=1)
    model = language_model(settings) if algo == "ppo_lm" else None
    trained = train(run, language_model=model, eval_freq=32, eval_episodes=4)
    assert trained.num_timesteps >= 64
    names = {path.name for path in run.folder.iterdir()}
    assert {"config.json", "model.zip", "best_model.zip", "evaluations.npz", "tensorboard"} <= names
    assert np.load(run.folder / "evaluations.npz")["results"].shape == (2, 4)
    assert [*(run.folder / "tensorboard").glob("*/events*")]
    result = evaluate(SB3Agent(run.load()), make_envs("TextGuess-v0", 7, difficulty="tiny"), episodes=7, seed=0)
    assert 0 <= result.accuracy <= 1


@pytest.mark.parametrize("algo", ["ppo_mask", "dqn", "ppo_lm"])
def test_a_run_is_resumed_up_to_its_steps(algo, tmp_path):
    settings = small(algo)
    run = Run(tmp_path / "run")
    run.begin(algo, "TextGuess-v0", {**settings, "n_timesteps": 32}, seed=1)
    model = language_model(settings) if algo == "ppo_lm" else None
    train(run, language_model=model, tensorboard=False, eval_episodes=4)
    with pytest.raises(FileExistsError, match="--resume"):
        run.begin(algo, "TextGuess-v0", settings, seed=1)
    config = json.loads((run.folder / "config.json").read_text())
    config["settings"]["n_timesteps"] = 96
    (run.folder / "config.json").write_text(json.dumps(config))
    resumed = train(Run(run.folder), tensorboard=False, eval_episodes=4)
    assert resumed.num_timesteps == 96
    again = train(Run(run.folder), tensorboard=False, eval_episodes=4)
    assert again.num_timesteps == 96


def test_settings_are_checked():
    with pytest.raises(ValueError, match="algo='sac' is none of ppo"):
        settings_for("sac", "TextMath-v0")
    settings = small("ppo")
    with pytest.raises(ValueError, match="is none of TokenFeaturesExtractor"):
        make_model(
            "ppo", make_env("TextGuess-v0", settings), {**settings, "policy_kwargs": {"features_extractor_class": "X"}}
        )
    with pytest.raises(ValueError, match="give language_model="):
        make_model("ppo_lm", make_env("TextGuess-v0", settings), settings)
    falling = zoo._value("lin_0.002")
    assert isinstance(falling, LinearSchedule)
    assert falling(1.0) == 0.002
    assert falling(0.5) == 0.001


def test_the_search_begins_with_the_settings_given_and_returns_the_best():
    found = []
    best, value = tuning.optimize(
        "ppo_mask", "TextGuess-v0", small("ppo_mask"), trials=2, report=lambda *row: found.append(row)
    )
    assert found[0][2]["learning_rate"] == settings_for("ppo_mask", "TextGuess-v0")["learning_rate"]
    assert value == max(row[1] for row in found)
    assert best in [row[2] for row in found]


# The command line


def test_the_command_line_trains_resumes_and_evaluates(capsys, tmp_path):
    out = str(tmp_path / "run")
    words = ["sb3", "train", "--algo", "ppo_mask", "--env", "TextGuess-v0", "--out", out, "--set", "difficulty=tiny"]
    few = ["--hyperparams", "n_envs=4", "n_steps=8", "batch_size=16", "--eval-episodes", "4", "--eval-freq", "32"]
    assert main([*words, *few, "-n", "64"]) == 0
    assert f"textmdp sb3 evaluate {out}" in capsys.readouterr().out
    assert main([*words[:8], "--resume"]) == 0
    capsys.readouterr()
    assert main([*words, *few]) == 2
    assert "give --resume, --overwrite or another --out" in capsys.readouterr().err
    assert main([*words[:3], "ppo", *words[4:8], "--resume"]) == 2
    assert "has algo=ppo_mask" in capsys.readouterr().err
    assert main(["sb3", "evaluate", out, "--episodes", "8"]) == 0
    shown = capsys.readouterr().out
    for word in ("random", "ppo_mask", "expert", "difficulty=tiny"):
        assert word in shown
    assert main(["sb3", "evaluate", str(tmp_path)]) == 2
    assert "holds no run of `textmdp sb3 train`" in capsys.readouterr().err


def test_the_command_line_fine_tunes_a_language_model(capsys, tmp_path):
    words = ["sb3", "train", "--algo", "ppo_lm", "--env", "TextGuess", "--out", str(tmp_path / "run"), "-n", "64"]
    few = ["n_envs=4", "n_steps=8", "batch_size=16", 'imitation={"steps": 2, "episodes": 8}']
    assert main([*words, "--set", "difficulty=tiny", "--hyperparams", *few, "--eval-episodes", "4"]) == 0
    assert "imitation, 2 steps" in capsys.readouterr().out


def test_the_command_line_searches(capsys):
    words = ["sb3", "train", "--algo", "a2c", "--env", "TextGuess-v0", "--optimize", "--n-trials", "1", "-n", "64"]
    assert main([*words, "--hyperparams", "n_envs=4", "--set", "difficulty=tiny"]) == 0
    shown = capsys.readouterr().out
    assert "best mean return" in shown
    assert yaml.safe_load(shown.partition("a2c:")[1] + shown.partition("a2c:")[2])["a2c"]["TextGuess-v0"]["n_envs"] == 4
