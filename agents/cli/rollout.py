"""`textmdp rollout`: print the episodes of an agent, or write them to a file."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from textmdp.agents.cli.options import (
    SCRIPTED,
    UserError,
    add_environment,
    add_split,
    at_least,
    environment_of,
    load_agent,
)
from textmdp.agents.cli.terminal import show, show_transcript
from textmdp.agents.evaluation.evaluate import MOST_ROWS, choose_problems, rollouts, transcript
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.rollouts.trajectories import Trajectories


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp rollout`."""
    add_environment(parser, optional=True)
    parser.add_argument("--agent", required=True, metavar="AGENT", help="random, expert, or the folder of a run")
    parser.add_argument("--episodes", type=at_least(1), default=5, help="number of episodes (default: %(default)s)")
    parser.add_argument("--problem", metavar="I", type=at_least(0), help="use problem I in every episode")
    add_split(parser)
    parser.add_argument(
        "--greedy", action="store_true", help="let a model take the most probable token instead of sampling"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="seed of problems and agent (default: %(default)s)")
    parser.add_argument(
        "--jsonl", metavar="FILE", type=Path, help="write the episodes here, one a line, with their tokens"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print transcripts, and write traces."""
    scripted = arguments.agent in SCRIPTED
    if arguments.id is None and scripted:
        raise UserError(
            f"the agent {arguments.agent!r} needs an environment: textmdp rollout ID --agent {arguments.agent}"
        )
    env_id, options = environment_of(arguments, run=None if scripted else arguments.agent)
    envs = make_envs(env_id, min(arguments.episodes, MOST_ROWS), **options)
    agent = load_agent(arguments.agent, envs, arguments.seed, sampled=not arguments.greedy)
    problems = _problems(envs.mdp.task, arguments)
    returns: list[float] = []
    with contextlib.ExitStack() as files:
        stream = _open(arguments.jsonl, files)
        for batch in rollouts(agent, envs, problems, arguments.seed):
            for row in range(len(batch)):
                record = transcript(batch, row, envs.mdp.tokenizer)
                show_transcript(record, f"episode {len(returns) + 1}")
                returns.append(record["return"])
                if stream is not None:
                    origin = {"id": env_id, "arguments": options, "agent": arguments.agent}
                    trace = {**origin, **record, **_tokens(batch, row)}
                    stream.write(json.dumps(trace, ensure_ascii=False) + "\n")
    episodes = f"{len(returns)} episode{'s' * (len(returns) > 1)}"
    show((f"{episodes} of {env_id}, mean return {sum(returns) / len(returns):g}", "bold"))
    if arguments.jsonl is not None:
        show(f"written to {arguments.jsonl}")
    return 0


def _problems(task: Any, arguments: argparse.Namespace) -> Sequence[int]:
    if arguments.problem is not None:
        return [arguments.problem] * arguments.episodes
    chosen = choose_problems(task, arguments.episodes, arguments.seed)
    return [chosen[i % len(chosen)] for i in range(arguments.episodes)]


def _tokens(batch: Trajectories, row: int) -> dict[str, Any]:
    """The token-level columns of an episode."""
    length = int((batch.roles[row] != 0).sum())
    columns: dict[str, Any] = {
        "tokens": batch.tokens,
        "roles": batch.roles,
        "rewards": batch.rewards,
        "turns": batch.turns,
    }
    if batch.log_probs is not None:
        columns["log_probs"] = batch.log_probs
    return {name: column[row, :length].tolist() for name, column in columns.items()}


def _open(path: Path | None, files: contextlib.ExitStack) -> TextIO | None:
    if path is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    return files.enter_context(path.open("w", encoding="utf-8"))
