"""`textmdp rollout`: print the episodes of an agent, or write them to a file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from textmdp.agents.cli.options import (
    add_environment,
    add_sampling,
    add_split,
    at_least,
    environment_of,
    load_agent,
    sampling_of,
)
from textmdp.agents.cli.terminal import show, show_transcript
from textmdp.agents.evaluation.evaluate import MOST_ROWS, choose_problems, rollouts
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.rollouts.transcripts import Record, records, write_transcripts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp rollout`."""
    add_environment(parser, optional=True)
    parser.add_argument(
        "--agent",
        required=True,
        metavar="AGENT",
        help="random, expert, the folder of a run, or a causal language model",
    )
    parser.add_argument("--episodes", type=at_least(1), default=5, help="number of episodes (default: %(default)s)")
    parser.add_argument("--problem", metavar="I", type=at_least(0), help="use problem I in every episode")
    add_split(parser)
    parser.add_argument(
        "--greedy", action="store_true", help="let a model take the most probable token instead of sampling"
    )
    add_sampling(parser)
    parser.add_argument("--seed", type=at_least(0), default=0, help="seed of problems and agent (default: %(default)s)")
    parser.add_argument(
        "--save", metavar="FILE", type=Path, help="write the episodes here as JSON, one a line; see `textmdp score`"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print transcripts, and write them to a file."""
    env_id, options = environment_of(arguments, f"textmdp rollout ID --agent {arguments.agent}")
    envs = make_envs(env_id, min(arguments.episodes, MOST_ROWS), **options)
    sampled = not arguments.greedy
    agent = load_agent(arguments.agent, envs, arguments.seed, sampled, sampling_of(arguments, sampled))
    problems = _problems(envs.mdp.task, arguments)
    returns: list[float] = []

    def shown() -> Iterator[Record]:
        for batch in rollouts(agent, envs, problems, arguments.seed):
            for record in records(batch, envs.mdp.tokenizer, env_id, options, arguments.agent):
                returns.append(record["return"])
                show_transcript(record, f"episode {len(returns)}")
                yield record

    if arguments.save is None:
        for _ in shown():
            pass
    else:
        write_transcripts(arguments.save, shown())
    episodes = f"{len(returns)} episode{'s' * (len(returns) > 1)}"
    show((f"{episodes} of {env_id}, mean return {sum(returns) / len(returns):g}", "bold"))
    if arguments.save is not None:
        show(f"written to {arguments.save}")
    return 0


def _problems(task: Any, arguments: argparse.Namespace) -> Sequence[int]:
    if arguments.problem is not None:
        return [arguments.problem] * arguments.episodes
    chosen = choose_problems(task, arguments.episodes, arguments.seed)
    return [chosen[i % len(chosen)] for i in range(arguments.episodes)]
