"""`textmdp evaluate`: accuracy, return and lengths of an agent."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

from textmdp.agents.cli.options import (
    SCRIPTED,
    UserError,
    add_environment,
    add_sampling,
    add_split,
    at_least,
    environment_of,
    load_agent,
    one_line,
    sampling_of,
    settings,
    task_name,
)
from textmdp.agents.cli.terminal import show, show_difficulties, show_evaluations
from textmdp.agents.cli.watched import Watched
from textmdp.agents.evaluation.evaluate import MOST_ROWS, Evaluation, choose_problems, evaluate
from textmdp.agents.evaluation.pass_at_k import at_k, final_answer, sample_problems
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.runs.experiment import takes
from textmdp.envs.views.vector_env import TokenVectorEnv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp evaluate`."""
    parser.add_argument(
        "agent",
        metavar="AGENT",
        help="random, expert, the folder of a run, or a pretrained causal language model: a folder or a hub name",
    )
    add_environment(parser, optional=True)
    parser.add_argument("--episodes", type=at_least(1), default=500, help="number of episodes (default: %(default)s)")
    add_split(parser)
    parser.add_argument(
        "--sampled", action="store_true", help="let a model sample its tokens instead of taking the most probable"
    )
    add_sampling(parser)
    parser.add_argument(
        "--samples",
        metavar="N",
        type=at_least(1),
        help="also sample N episodes of each problem, for pass@k (the probability that at least one of k samples is "
        "right) and maj@k (that the most frequent of k answers is)",
    )
    parser.add_argument(
        "--k",
        metavar="K",
        type=at_least(1),
        nargs="+",
        help="each k of pass@k, up to N; maj@k is given for the largest (default: 1 N)",
    )
    parser.add_argument(
        "--difficulties",
        metavar="NAME",
        nargs="+",
        help="evaluate on each of these difficulties, which `textmdp envs` lists, and print a row for each",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="seed of problems and agent (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, transcripts included")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate the agent, and print the results."""
    scripted = arguments.agent in SCRIPTED
    ks = _ks(arguments)
    env_id, options = environment_of(arguments, f"textmdp evaluate {arguments.agent} ID")
    variants = _variants(arguments, env_id, options)
    rows = min(arguments.episodes * (arguments.samples or 1), MOST_ROWS)
    # All environments are made before the first is used, so that a wrong name is an error at once.
    made = {name: make_envs(env_id, rows, **variant) for name, variant in variants.items()}
    results, refused = {}, {}
    for name, envs in made.items():
        try:
            results[name] = _evaluate(arguments, envs, ks, variants[name])
        except ValueError as error:  # another vocabulary, or a longer context, than the model's
            if not arguments.difficulties:
                raise
            refused[name] = one_line(error)
    if not results:
        raise UserError("; ".join(f"{name}: {why}" for name, why in refused.items()))
    if arguments.json:
        _print_json(arguments, env_id, options, results, refused)
        return 0
    shown = " ".join(f"{key}={value}" for key, value in options.items())
    show((f"{arguments.agent} on {env_id}", "bold"), (f"   {shown}", "dim"))
    if arguments.difficulties:
        show_difficulties(results)
        for name, why in refused.items():
            show((f"{name} ", "bold"), ("left out: ", "yellow"), why)
        return 0
    result = results[""]
    how = "" if scripted else "sampled" if arguments.sampled else "greedy"
    show_evaluations({how: result})
    if result.episodes < arguments.episodes:
        show((f"There are no more than {result.problems} distinct problems here: one episode of each.", "dim"))
    return 0


def _ks(arguments: argparse.Namespace) -> list[int]:
    """Each k of pass@k; none without samples."""
    samples, ks = arguments.samples, arguments.k
    if samples is None:
        if ks is not None:
            raise UserError(f"--k {max(ks)} is about samples, and none are drawn: add --samples {max(ks)}")
        return []
    if ks is not None and max(ks) > samples:
        raise UserError(f"--k {max(ks)} is more than --samples {samples}: draw --samples {max(ks)} or more")
    return sorted({*(ks or (1, samples))})


def _variants(arguments: argparse.Namespace, env_id: str, options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The arguments of the environments to evaluate in, by difficulty; "" if there is only one."""
    if not arguments.difficulties:
        return {"": options}
    if not takes(env_id, "difficulty"):
        raise UserError(f"--difficulties: {task_name(env_id)} has none; leave --difficulties out")
    if "difficulty" in settings(arguments.set):
        raise UserError("--set gives a difficulty, and so does --difficulties; leave one out")
    options.pop("difficulty", None)  # of the run
    return {name: {**options, "difficulty": name} for name in arguments.difficulties}


def _evaluate(
    arguments: argparse.Namespace, envs: TokenVectorEnv[Any], ks: list[int], options: dict[str, Any]
) -> Evaluation:
    """The evaluation in one environment."""
    name, seed = arguments.agent, arguments.seed
    sampling = sampling_of(arguments, bool(arguments.sampled or ks))
    agent = load_agent(name, envs, seed, arguments.sampled, sampling if arguments.sampled else None)
    # A deterministic agent would repeat itself on the same problem.
    distinct = not (arguments.sampled or name == "random")
    with Watched(agent, "evaluating") as watched:
        result = evaluate(watched, envs, episodes=arguments.episodes, seed=seed, distinct=distinct)
    if not ks:
        return result
    problems = choose_problems(envs.mdp.task, arguments.episodes, seed)
    sampler = load_agent(name, envs, seed, sampled=True, sampling=sampling)
    with Watched(sampler, "sampling") as watched:
        samples = sample_problems(watched, envs, problems=problems, samples=arguments.samples, seed=seed)
    # Solutions of a data set's problems are worked out: votes count their final answers.
    estimates = at_k(samples, ks, final_answer if options.get("dataset") else str.strip)
    return replace(result, samples=arguments.samples, at_k=estimates)


def _print_json(
    arguments: argparse.Namespace,
    env_id: str,
    options: dict[str, Any],
    results: dict[str, Evaluation],
    refused: dict[str, str],
) -> None:
    """Print one object: the evaluation, or one for each difficulty, and why others were left out."""
    by_name = {name: result.as_dict() for name, result in results.items()}
    record = {
        "id": env_id,
        "arguments": options,
        "agent": arguments.agent,
        "seed": arguments.seed,
        **({"difficulties": by_name, "left_out": refused} if arguments.difficulties else by_name[""]),
    }
    sys.stdout.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
