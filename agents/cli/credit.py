"""`textmdp credit`: the credit microscope, a page and colours in the terminal."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from textmdp.agents.algorithms.advantages import DISCOUNT_UNITS
from textmdp.agents.cli.options import (
    SCRIPTED,
    add_environment,
    add_split,
    at_least,
    environment_of,
    load_agent,
)
from textmdp.agents.cli.terminal import show
from textmdp.agents.evaluation.evaluate import choose_problems
from textmdp.agents.microscope.colours import chosen, show_credit
from textmdp.agents.microscope.examine import examine
from textmdp.agents.microscope.page import write_page
from textmdp.agents.microscope.settings import Settings
from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.rollouts.scripted import ExpertAgent
from textmdp.agents.runs.run import Run
from textmdp.envs.views.vector_env import TokenVectorEnv


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `textmdp credit`."""
    parser.add_argument("agent", metavar="AGENT", help="random, expert, or the folder of a run")
    add_environment(parser, optional=True)
    add_split(parser)
    parser.add_argument("--problem", metavar="I", type=at_least(0), nargs="+", help="these problems, a group of each")
    parser.add_argument(
        "--problems", type=at_least(1), default=2, help="number of problems to draw (default: %(default)s)"
    )
    parser.add_argument(
        "--group-size",
        type=at_least(2),
        help="episodes of a problem, of which the best and the worst are shown (default: that of the run, or 8)",
    )
    parser.add_argument(
        "--samples",
        type=at_least(2),
        default=Settings.samples,
        help="branches of each state, and of each alternative (default: %(default)s)",
    )
    parser.add_argument(
        "--alternatives",
        type=at_least(1),
        default=Settings.alternatives,
        help="tokens to compare at each position, the most likely ones (default: %(default)s)",
    )
    parser.add_argument("--gamma", type=float, help="discount factor γ (default: that of the run, or 1)")
    parser.add_argument(
        "--gae-lambda", type=float, help="λ of actor-critic and ppo (default: that of the run, or 0.95)"
    )
    parser.add_argument(
        "--discount-unit", choices=DISCOUNT_UNITS, help="unit of time (default: that of the run, or tokens)"
    )
    parser.add_argument(
        "--max-prefixes",
        type=at_least(0),
        default=Settings.max_prefixes,
        help="most prefixes of a task that is solved exactly, 0 for never (default: %(default)s)",
    )
    parser.add_argument("--estimator", metavar="NAME", nargs="+", help="estimators to print (default: four of them)")
    parser.add_argument(
        "--seed", type=at_least(0), default=0, help="seed of problems, episodes and branches (default: %(default)s)"
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("credit.html"), help="the page (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the colours, and write the page."""
    name = arguments.agent
    scripted = name in SCRIPTED
    trained = {} if scripted else Run.open(name).config["settings"]
    settings = _settings(arguments, trained)
    env_id, options = environment_of(arguments, f"textmdp credit {name} ID")
    envs = make_envs(env_id, 1, **options)
    agent, others = _agents(name, envs, arguments.seed, scripted, trained)
    problems = arguments.problem or choose_problems(envs.mdp.task, arguments.problems, arguments.seed)
    credit = examine(agent, env_id, options, problems, settings, name=name, **others)
    names = chosen(credit, arguments.estimator)
    path = write_page(credit, arguments.out)  # first, since a reader of the colours such as `head` may end this
    show_credit(credit, names)
    show(f"The page with all estimators, alternatives and branches: {path}")
    return 0


def _settings(arguments: argparse.Namespace, trained: dict[str, Any]) -> Settings:
    """The flags; those that were left out are the run's, or the defaults."""

    def setting(name: str) -> Any:
        given = getattr(arguments, name)
        return trained.get(name, getattr(Settings, name)) if given is None else given

    return Settings(
        group_size=max(setting("group_size"), 2),
        samples=arguments.samples,
        alternatives=arguments.alternatives,
        gamma=setting("gamma"),
        gae_lambda=setting("gae_lambda"),
        discount_unit=setting("discount_unit"),
        max_prefixes=arguments.max_prefixes,
        seed=arguments.seed,
    )


def _agents(
    name: str, envs: TokenVectorEnv[Any], seed: int, scripted: bool, trained: dict[str, Any]
) -> tuple[Agent, dict[str, Any]]:
    """The agent; and its greedy version, value function and running mean, where there are any."""
    agent: Any = load_agent(name, envs, seed, sampled=True)
    if scripted:
        return agent, {"greedy": agent} if isinstance(agent, ExpertAgent) else {}
    from textmdp.agents.models.value_function import ValueFunction  # torch: seconds

    greedy: Any = load_agent(name, envs, seed)
    agent.grammar = greedy.grammar = bool(trained.get("grammar", False))
    others: dict[str, Any] = {"greedy": greedy}
    state = (Run.open(name).read_checkpoint() or {}).get("learner", {})
    if state.get("running_mean") is not None:
        others["running_mean"] = float(state["running_mean"])
    if state.get("value") is not None:
        value = ValueFunction(agent.model, trained.get("value_trunk", "detached"))
        value.load_state_dict(state["value"])
        others["value"] = value
    return agent, others
