"""The speed of TextSupport: a customer's turn, a tool call, and the vector environment with customers that answer.

    python -m textmdp.benchmarks.support_speed

Turns are an expert's at the default difficulty, timed one by one: understanding, judging, the customer's words and the
score. The texts of an expert repeat, as those of a trained policy do, so understanding is mostly cached; *fresh words*
are sentences that were never read before. The vector environment repeats recorded actions of experts, restarts and new
scenarios included; tokens are those of the policy and of the environment.

Output, in `--out`: `support_speed.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import gymnasium as gym
import numpy as np

from textmdp.agents.rollouts.scripted import ExpertAgent
from textmdp.benchmarks.common import RESULTS, provenance, write_json
from textmdp.envs.core.randomness import turn_generator
from textmdp.envs.tasks.text_support import TextSupport
from textmdp.envs.tasks.text_support.tools import parse
from textmdp.envs.views.vector_env import TokenVectorEnv


def turns(dialogues: int) -> dict[str, list[float]]:
    """Return the quartiles, in microseconds, of customers' turns, tool calls, fresh words and new scenarios."""
    task = TextSupport()
    times: dict[str, list[float]] = {"customer": [], "call": [], "fresh_words": [], "scenario": []}
    for index in range(dialogues):
        began = perf_counter()
        state, _ = task.problem(index)
        times["scenario"].append(perf_counter() - began)
        done = False
        while not done:
            response = task.demonstrate(state, turn_generator(index, 1000 + state.turns))
            rng = turn_generator(index, state.turns)
            began = perf_counter()
            reply = task.reply(state, response, rng)
            took = perf_counter() - began
            if parse(response) is not None:
                times["call"].append(took)
            else:
                times["customer"].append(took)
                fresh = f"{response} I wrote that in dialogue {index}, turn {state.turns}."
                began = perf_counter()
                task.reply(state, fresh, rng)
                times["fresh_words"].append(perf_counter() - began)
            state, done = reply.state, reply.done
    return {name: [round(1e6 * q, 1) for q in np.percentile(ts, (25, 50, 75))] for name, ts in times.items()}


def record(envs: TokenVectorEnv[Any], steps: int) -> list[Any]:
    """Return the actions, (n,) each, of experts from a reset with seed 0."""
    envs.reset(seed=0)
    expert, rows, actions = ExpertAgent(), np.arange(envs.num_envs), []
    for _ in range(steps):
        actions.append(expert.act(envs, rows).tokens)
        envs.step(actions[-1])
    return actions


def tokens_per_second(rows: int, steps: int, rounds: int) -> dict[str, list[float]]:
    """Return the rates of each round: of the policy's tokens, and of all tokens that enter the dialogues."""
    envs = gym.make_vec("TextSupport-v0", rows, autoreset_mode="SameStep")
    assert isinstance(envs, TokenVectorEnv)
    actions = record(envs, steps)
    rates: dict[str, list[float]] = {"policy": [], "all": []}
    for _ in range(rounds):
        envs.reset(seed=0)
        before, written = envs.lengths.copy(), int(envs.lengths.sum())
        began = perf_counter()
        for action in actions:
            envs.step(action)
            # A row that began anew holds an opening; what it gained otherwise is what was appended.
            grown = envs.lengths - before
            written += int(np.where(grown > 0, grown, envs.lengths).sum())
            before = envs.lengths.copy()
        seconds = perf_counter() - began
        rates["policy"].append(rows * steps / seconds)
        rates["all"].append(written / seconds)
    return rates


def measure(dialogues: int, rows: int, steps: int, rounds: int) -> dict[str, Any]:
    """Return all figures: quartiles in microseconds, and medians of rates in tokens per second."""
    rates = tokens_per_second(rows, steps, rounds)
    return {
        "microseconds": turns(dialogues),
        "tokens_per_second": {name: round(float(np.median(found))) for name, found in rates.items()},
        "rows": rows,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialogues", type=int, default=2000, help="behind the turns (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=256, help="of the vector environment (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=150, help="of a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(arguments)
    figures = measure(options.dialogues, options.rows, options.steps, options.rounds)
    write_json({**figures, **provenance("support_speed")}, options.out / "support_speed.json")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
