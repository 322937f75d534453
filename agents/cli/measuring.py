"""`textmdp evaluate` and `textmdp check`: how good an agent is, and whether an environment keeps its word."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from typing import Any

from textmdp.agents.cli.options import (
    MOST_ROWS,
    SCRIPTED,
    UserError,
    add_environment,
    at_least,
    environment_of,
    load_agent,
    settings,
    takes,
    task_name,
    token_id,
)
from textmdp.agents.cli.terminal import console, difficulty_table, evaluation_table, show
from textmdp.agents.evaluation.evaluate import Evaluation, choose_problems, evaluate
from textmdp.agents.evaluation.pass_at_k import at_k, final_answer, sample_problems
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.envs.env_checker import CHECKS, run_checks
from textmdp.envs.views.rendering import visible
from textmdp.envs.views.vector_env import TokenVectorEnv


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `textmdp evaluate`."""
    parser.add_argument("agent", metavar="AGENT", help="random, expert, or the folder of a run")
    add_environment(parser, optional=True)
    parser.add_argument("--episodes", type=at_least(1), default=500, help="how many (default: %(default)s)")
    parser.add_argument("--split", help="train, test or all, where the task has splits (default: test)")
    parser.add_argument(
        "--sampled", action="store_true", help="a model draws its tokens instead of taking the likeliest"
    )
    parser.add_argument(
        "--samples",
        metavar="N",
        type=at_least(1),
        help="besides, N sampled episodes of each problem, for pass@k: the share of problems that at least one of k "
        "samples solves; and maj@k: that the most frequent of k answers solves",
    )
    parser.add_argument(
        "--k",
        metavar="K",
        type=at_least(1),
        nargs="+",
        help="which k, up to N; maj@k is told of the greatest (default: 1 N)",
    )
    parser.add_argument(
        "--difficulties",
        metavar="NAME",
        nargs="+",
        help="evaluate the same agent on each of these difficulties, as `textmdp envs` lists them: a row for each",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of problems and agent (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, transcripts included")


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Play episodes, and print what they say of the agent."""
    scripted = arguments.agent in SCRIPTED
    if arguments.id is None and scripted:
        raise UserError(f"the agent {arguments.agent!r} needs an environment: textmdp evaluate {arguments.agent} ID")
    ks = _ks(arguments)
    env_id, options = environment_of(arguments, run=None if scripted else arguments.agent)
    variants = _variants(arguments, env_id, options)
    rows = min(arguments.episodes * (arguments.samples or 1), MOST_ROWS)
    # All are made before the first is played: a wrong name is told at once.
    made = {name: make_envs(env_id, rows, **given) for name, given in variants.items()}
    results = {name: _evaluated(arguments, envs, ks, variants[name]) for name, envs in made.items()}
    if arguments.json:
        _print_json(arguments, env_id, options, results)
        return 0
    given = " ".join(f"{key}={value}" for key, value in options.items())
    show((f"{arguments.agent} on {env_id}", "bold"), (f"   {given}", "dim"))
    if arguments.difficulties:
        console.print(difficulty_table(results))
        return 0
    result = results[""]
    how = "" if scripted else "sampled" if arguments.sampled else "greedy"
    console.print(evaluation_table({how: result}))
    if result.episodes < arguments.episodes:
        show((f"The task has no more than {result.problems} distinct problems here: each was played once.", "dim"))
    return 0


def _ks(arguments: argparse.Namespace) -> list[int]:
    """Which pass@k are asked for; none without samples."""
    samples, ks = arguments.samples, arguments.k
    if samples is None:
        if ks is not None:
            raise UserError(f"--k {max(ks)} is about samples, and none are drawn: add --samples {max(ks)}")
        return []
    if ks is not None and max(ks) > samples:
        raise UserError(f"--k {max(ks)} is more than --samples {samples}: draw --samples {max(ks)} or more")
    return sorted({*(ks or (1, samples))})


def _variants(arguments: argparse.Namespace, env_id: str, options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The arguments of the environments to evaluate in, by difficulty; "" for the only one."""
    if not arguments.difficulties:
        return {"": options}
    if not takes(env_id, "difficulty"):
        raise UserError(f"--difficulties: {task_name(env_id)} has none; leave --difficulties out")
    if "difficulty" in settings(arguments.set):
        raise UserError("--set gives a difficulty, and so does --difficulties; leave one out")
    options.pop("difficulty", None)  # of the run
    return {name: {**options, "difficulty": name} for name in arguments.difficulties}


def _evaluated(
    arguments: argparse.Namespace, envs: TokenVectorEnv[Any], ks: list[int], options: dict[str, Any]
) -> Evaluation:
    """The evaluation that a command line asks for, in one environment."""
    name, seed = arguments.agent, arguments.seed
    agent = load_agent(name, envs, seed, arguments.sampled)
    # An agent without chance would do the same again on the same problem.
    distinct = not (arguments.sampled or name == "random")
    result = evaluate(agent, envs, episodes=arguments.episodes, seed=seed, distinct=distinct)
    if not ks:
        return result
    problems = choose_problems(envs.mdp.task, arguments.episodes, seed)
    drawing = load_agent(name, envs, seed, sampled=True)
    samples = sample_problems(drawing, envs, problems=problems, samples=arguments.samples, seed=seed)
    # Of a worked solution only the final answer can be voted for.
    told = at_k(samples, ks, final_answer if options.get("dataset") else str.strip)
    return replace(result, samples=arguments.samples, at_k=told)


def _print_json(
    arguments: argparse.Namespace, env_id: str, options: dict[str, Any], results: dict[str, Evaluation]
) -> None:
    """One object: the evaluation, or one for each difficulty."""
    by_name = {name: result.as_dict() for name, result in results.items()}
    told = {
        "id": env_id,
        "arguments": options,
        "agent": arguments.agent,
        "seed": arguments.seed,
        **({"difficulties": by_name} if arguments.difficulties else by_name[""]),
    }
    sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `textmdp check`."""
    add_environment(parser)


def run_check(arguments: argparse.Namespace) -> int:
    """Run the checks of `textmdp.envs.env_checker` one by one; 1 if one fails."""
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
