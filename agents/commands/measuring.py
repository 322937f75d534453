"""`textmdp evaluate` and `textmdp check`: how good an agent is, and whether an environment keeps its word."""

from __future__ import annotations

import argparse
import json
import sys
import time

from textmdp.agents.commands.options import (
    MOST_ROWS,
    SCRIPTED,
    UserError,
    add_environment,
    at_least,
    environment_of,
    load_agent,
    make_vector,
    settings,
    token_id,
)
from textmdp.agents.commands.terminal import console, evaluation_table, show
from textmdp.agents.evaluation import evaluate
from textmdp.envs.checking import CHECKS, run_checks
from textmdp.envs.rendering import visible


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `textmdp evaluate`."""
    parser.add_argument("agent", metavar="AGENT", help="random, expert, or the folder of a run")
    add_environment(parser, optional=True)
    parser.add_argument("--episodes", type=at_least(1), default=500, help="how many (default: %(default)s)")
    parser.add_argument("--split", help="train, test or all, where the task has splits (default: test)")
    parser.add_argument(
        "--sampled", action="store_true", help="a model draws its tokens instead of taking the likeliest"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of problems and agent (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, transcripts included")


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Play episodes, and print what they say of the agent."""
    scripted = arguments.agent in SCRIPTED
    if arguments.id is None and scripted:
        raise UserError(f"the agent {arguments.agent!r} needs an environment: textmdp evaluate {arguments.agent} ID")
    env_id, options = environment_of(arguments, run=None if scripted else arguments.agent)
    envs = make_vector(env_id, min(arguments.episodes, MOST_ROWS), options)
    agent = load_agent(arguments.agent, envs, arguments.seed, arguments.sampled)
    # An agent without chance would do the same again on the same problem.
    distinct = not (arguments.sampled or arguments.agent == "random")
    result = evaluate(agent, envs, episodes=arguments.episodes, seed=arguments.seed, distinct=distinct)
    if arguments.json:
        told = {
            "id": env_id,
            "arguments": options,
            "agent": arguments.agent,
            "seed": arguments.seed,
            **result.as_dict(),
        }
        sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        return 0
    given = " ".join(f"{key}={value}" for key, value in options.items())
    show((f"{arguments.agent} on {env_id}", "bold"), (f"   {given}", "dim"))
    how = "" if scripted else "sampled" if arguments.sampled else "greedy"
    console.print(evaluation_table({how: result}))
    if result.episodes < arguments.episodes:
        show((f"The task has no more than {result.problems} distinct problems here: each was played once.", "dim"))
    return 0


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `textmdp check`."""
    add_environment(parser)


def run_check(arguments: argparse.Namespace) -> int:
    """Run the checks of `textmdp.envs.checking` one by one; 1 if one fails."""
    env_id, options = token_id(arguments.id), settings(arguments.set)
    show((env_id, "bold"), "   ", (" ".join(f"{key}={value}" for key, value in options.items()), "dim"))
    began, passed = time.perf_counter(), 0
    checks = run_checks(env_id, **options)
    while True:
        try:
            assured = next(checks)
        except StopIteration:
            break
        except AssertionError as error:
            show(("✗ ", "bold red"), visible(str(error)))
            return 1
        passed += 1
        show(("✓ ", "bold green"), assured)
    show((f"{passed} of {len(CHECKS)} checks passed in {time.perf_counter() - began:.1f} s", "dim"))
    return 0
