"""`textmdp sb3`: train, tune and evaluate agents of Stable-Baselines3."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmdp.agents.cli.options import (
    UserError,
    add_settings,
    at_least,
    new_run_folder,
    quiet_transformers,
    settings,
    task_name,
    token_id,
    with_split,
)
from textmdp.agents.cli.terminal import show, show_evaluations

if TYPE_CHECKING:
    from textmdp.agents.models.language_model import LanguageModel
    from textmdp.agents.rollouts.agent import Agent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands `train` and `evaluate`."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="sb3_command", parser_class=type(parser))
    text = "train an agent, with settings that are tuned for the id"
    train = commands.add_parser("train", help=text, description=f"{text.capitalize()}.")
    train.add_argument("--algo", default="ppo_mask", help="ppo, ppo_mask, ppo_lstm, ppo_lm, a2c, dqn, qrdqn or trpo")
    train.add_argument("--env", metavar="ID", required=True, help="id of an environment, see `textmdp envs`")
    add_settings(train)
    train.add_argument("--hyperparams", metavar="KEY=VALUE", nargs="+", default=[], help="settings of the algorithm")
    train.add_argument(
        "-n", "--n-timesteps", type=at_least(1), metavar="N", help="environment steps, tokens of all rows"
    )
    train.add_argument(
        "--out", metavar="FOLDER", type=Path, help="folder of the run (default: runs/sb3-ALGO-TASK-DATE)"
    )
    train.add_argument("--seed", type=at_least(0), default=0, help="of everything (default: %(default)s)")
    train.add_argument("--eval-freq", type=at_least(1), default=20_000, help="steps between evaluations")
    train.add_argument("--eval-episodes", type=at_least(1), default=100, help="of an evaluation")
    train.add_argument("--resume", action="store_true", help="continue the run in --out from its last checkpoint")
    train.add_argument("--overwrite", action="store_true", help="replace a run in --out")
    train.add_argument("--tensorboard", action=argparse.BooleanOptionalAction, default=True, help="write event files")
    train.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, help="a progress bar (default: on terminals)"
    )
    train.add_argument("--verbose", action="store_true", help="print SB3's tables")
    train.add_argument("--model", metavar="FOLDER", help="the language model that ppo_lm starts from: a run's folder")
    train.add_argument(
        "--optimize", action="store_true", help="search for settings with Optuna instead, and print them"
    )
    train.add_argument("--n-trials", type=at_least(1), default=20, help="of --optimize (default: %(default)s)")
    train.add_argument("--storage", metavar="URL", help="data base of the study, such as sqlite:///study.db")
    text = "evaluate a trained agent beside a random one and the expert"
    evaluate = commands.add_parser("evaluate", help=text, description=f"{text.capitalize()}.")
    evaluate.add_argument("folder", metavar="FOLDER", type=Path, help="of a run")
    add_settings(evaluate)
    evaluate.add_argument("--split", help="train, test or all, if the task has splits (default: that of the training)")
    evaluate.add_argument("--episodes", type=at_least(1), default=200, help="number of episodes (default: %(default)s)")
    evaluate.add_argument("--seed", type=at_least(0), default=0, help="of the problems (default: %(default)s)")
    evaluate.add_argument("--sampled", action="store_true", help="sample tokens instead of taking the most likely ones")
    evaluate.add_argument("--last", action="store_true", help="the last model, not the one with the best evaluation")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    return (_train if arguments.sb3_command == "train" else _evaluate)(arguments)


def _train(arguments: argparse.Namespace) -> int:
    from textmdp.agents.sb3.training import Run, train  # seconds, which `--help` does without
    from textmdp.agents.sb3.zoo import settings_for

    env_id = token_id(arguments.env)
    folder = arguments.out or new_run_folder(f"sb3-{arguments.algo}-{task_name(env_id)}")
    record = Run(folder)
    if arguments.resume:
        if not arguments.out:
            raise UserError("--resume continues the run in --out: name its folder")
        chosen = record.config["settings"]
        _check_resumed(arguments, record.config, env_id)
    else:
        chosen = settings_for(arguments.algo, env_id)
        chosen.update(settings(arguments.hyperparams))
        if arguments.set:
            chosen["env_kwargs"] = settings(arguments.set)
        if arguments.n_timesteps:
            chosen["n_timesteps"] = arguments.n_timesteps
    if arguments.optimize:
        return _optimize(arguments, env_id, chosen)
    model = _language_model(arguments, env_id, chosen) if arguments.algo == "ppo_lm" and not arguments.resume else None
    if not arguments.resume:
        record.begin(arguments.algo, env_id, chosen, arguments.seed, arguments.overwrite)
    shown = " ".join(f"{name}={value}" for name, value in chosen.get("env_kwargs", {}).items())
    show((f"{arguments.algo} on {env_id}", "bold"), (f"   {shown}   seed {arguments.seed}   {folder}", "dim"))
    train(
        record,
        language_model=model,
        eval_freq=arguments.eval_freq,
        eval_episodes=arguments.eval_episodes,
        tensorboard=arguments.tensorboard,
        progress_bar=sys.stderr.isatty() if arguments.progress is None else arguments.progress,
        verbose=int(arguments.verbose),
    )
    show(("evaluate     ", "dim"), f"textmdp sb3 evaluate {shlex.quote(str(folder))}")
    if arguments.tensorboard:
        show(("tensorboard  ", "dim"), f"tensorboard --logdir {shlex.quote(str(folder / 'tensorboard'))}")
    return 0


def _check_resumed(arguments: argparse.Namespace, config: dict[str, Any], env_id: str) -> None:
    """Refuse to resume a run of another algorithm or id, or with other settings."""
    for name, value in (("algo", arguments.algo), ("env", env_id)):
        if config[name] != value:
            raise UserError(f"the run in {arguments.out} has {name}={config[name]}: give --{name} {config[name]}")
    if arguments.set or arguments.hyperparams or arguments.n_timesteps or arguments.optimize:
        raise UserError("--resume continues with the settings of the run: leave --set, --hyperparams and -n out")


def _optimize(arguments: argparse.Namespace, env_id: str, chosen: dict[str, Any]) -> int:
    import yaml

    from textmdp.agents.sb3.tuning import optimize

    best, value = optimize(
        arguments.algo,
        env_id,
        chosen,
        trials=arguments.n_trials,
        seed=arguments.seed,
        storage=arguments.storage,
        report=lambda number, found, _: show(f"trial {number}: mean return {found:.3f}"),
    )
    show((f"best mean return {value:.3f}", "bold"))
    show(yaml.safe_dump({arguments.algo: {env_id: best}}, sort_keys=False))
    return 0


def _language_model(arguments: argparse.Namespace, env_id: str, chosen: dict[str, Any]) -> LanguageModel:
    """The model in --model, or a tiny one after imitation."""
    from textmdp.agents.algorithms.config import ImitationConfig
    from textmdp.agents.models.language_model import LanguageModel
    from textmdp.agents.rollouts.rollout import make_envs
    from textmdp.agents.runs.run import Run
    from textmdp.agents.training.imitation import imitate

    quiet_transformers()
    config = ImitationConfig(**{"seed": arguments.seed, **chosen.get("imitation", {})})
    envs = make_envs(env_id, config.episodes, **chosen.get("env_kwargs", {}))
    if arguments.model:
        return Run.open(arguments.model).load_model(envs.mdp.tokenizer)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, seed=arguments.seed)
    if config.steps:
        show((f"imitation, {config.steps} steps", "dim"))
        imitate(model, envs, config)
    return model


def _evaluate(arguments: argparse.Namespace) -> int:
    from textmdp.agents.evaluation.evaluate import MOST_ROWS, evaluate
    from textmdp.agents.rollouts.rollout import make_envs
    from textmdp.agents.rollouts.scripted import ExpertAgent, RandomAgent
    from textmdp.agents.sb3.agent import SB3Agent
    from textmdp.agents.sb3.training import Run

    record = Run(arguments.folder)
    config = record.config
    options = {**config["settings"].get("env_kwargs", {}), **settings(arguments.set)}
    if arguments.split:
        options = with_split(config["env"], options, arguments.split)
    best = not arguments.last and (arguments.folder / "best_model.zip").is_file()
    agents: dict[str, Agent] = {
        "random": RandomAgent(arguments.seed),
        config["algo"]: SB3Agent(record.load(best), deterministic=not arguments.sampled),
        "expert": ExpertAgent(),
    }
    rows = min(arguments.episodes, MOST_ROWS)
    results = {}
    for name, agent in agents.items():
        envs = make_envs(config["env"], rows, **options)
        results[name] = evaluate(
            agent, envs, episodes=arguments.episodes, seed=arguments.seed, distinct=False, transcripts=0
        )
        envs.close()
    shown = " ".join(f"{name}={value}" for name, value in options.items())
    show((f"{arguments.folder} on {config['env']}", "bold"), (f"   {shown}", "dim"))
    show_evaluations(results)
    return 0
