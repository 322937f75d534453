"""Steps per second of the environments, as ratios within one run, since machines are noisy.

    python -m textmdp.benchmarks.throughput

Random actions on TextMath-v0, grading included; for `append`, tokens of responses that run into their budgets. Every
environment is warmed up once; then each round steps each of them for a tenth of a second, in turn (backwards in every
other round), so that a machine that slows down slows all of them. A ratio is taken within a round; the table shows the
median over rounds and its quartiles.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from textmdp.agents.rollouts.rollout import make_envs
from textmdp.envs import Reply, Score, Task, TokenVectorEnv

ENV_ID = "TextMath-v0"
#: Seconds of stepping before the first timing, in which caches fill and the memory allocator settles.
WARM_UP = 0.5
IMPORT = "import time; t = time.perf_counter(); import textmdp.envs; print(time.perf_counter() - t)"


Rate = Callable[[float], float]


def vector_steps(num_envs: int, native: bool, **options: Any) -> Rate:
    """A function from seconds to the steps per second of a vector environment, over all rows."""
    mode: dict[str, Any] = {} if native else {"vectorization_mode": "sync"}
    envs = gym.make_vec(ENV_ID, num_envs, **mode, **options)
    rng = np.random.default_rng(0)
    actions = rng.integers(envs.single_action_space.n, size=(97, num_envs))  # type: ignore[attr-defined]
    envs.reset(seed=0)
    return lambda seconds: num_envs * _rate(lambda i: envs.step(actions[i % 97]), seconds)


def appended_tokens(num_envs: int, count: int) -> Rate:
    """A function from seconds to the tokens per second of `append`, `count` to each row in a call, resets included."""
    envs = make_envs(ENV_ID, num_envs)
    rng = np.random.default_rng(0)
    words = np.setdiff1d(np.flatnonzero(envs.mdp.usable), envs.mdp.tokenizer.end_id)  # turns end by their budget
    tokens = rng.choice(words, (num_envs, count))
    envs.reset(seed=0)
    appended = 0

    def append(i: int) -> None:
        nonlocal appended
        over = envs.over
        if over.any():
            envs.reset(options={"reset_mask": over})
        left = envs.turn_starts + envs.mdp.max_response_tokens - envs.lengths
        lengths = np.minimum(left, count)
        envs.append(np.arange(num_envs), tokens, lengths)
        appended += int(lengths.sum())

    def rate(seconds: float) -> float:
        nonlocal appended
        appended, start = 0, time.perf_counter()
        _rate(append, seconds)
        return appended / (time.perf_counter() - start)

    return rate


def single_steps() -> Rate:
    """A function from seconds to the steps per second of one environment from `gym.make`, resets included."""
    env = gym.make(ENV_ID)
    actions = np.random.default_rng(0).integers(env.action_space.n, size=997).tolist()  # type: ignore[attr-defined]
    env.reset(seed=0)

    def step(i: int) -> None:
        _, _, terminated, truncated, _ = env.step(actions[i % 997])
        if terminated or truncated:
            env.reset()

    return lambda seconds: _rate(step, seconds)


class Endless(Task[int]):
    """Very long responses, to measure the cost of a step as the episode grows."""

    max_response_tokens = 4096
    max_text_bytes = 8

    def problem(self, index: int) -> tuple[int, str]:
        """Every problem is the same."""
        return 0, "go: "

    def reply(self, state: int, response: str, rng: np.random.Generator) -> Reply[int]:
        """Reward nothing."""
        return Reply(0, "", Score({}), True)

    def demonstrate(self, state: int, rng: np.random.Generator) -> str:
        """The empty response."""
        return ""


def cost_by_length(num_envs: int = 256, tokens: int = 4000, repeats: int = 5) -> tuple[float, float]:
    """The cost of a step in µs at the start of a response, and the cost added by 1,000 tokens, by least squares."""
    envs = TokenVectorEnv(Endless(), num_envs, copy=False)
    action = np.full(num_envs, 50)
    times = np.empty((repeats, tokens))
    for repeat in range(repeats):
        envs.reset(seed=0)
        for i in range(tokens):
            start = time.perf_counter()
            envs.step(action)
            times[repeat, i] = time.perf_counter() - start
    fastest = times.min(axis=0)[100:] * 1e6
    slope, start = np.polyfit(np.arange(100, tokens), fastest, 1)
    return float(start), float(slope * 1000)


def import_seconds() -> float:
    """The duration of `import textmdp.envs` in a fresh interpreter."""
    return float(subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout)


def _rate(step: Callable[[int], Any], seconds: float) -> float:
    """Calls of `step` per second."""
    start, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        for _ in range(20):
            step(done)
            done += 1
    return done / elapsed


def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """All figures: medians over rounds, and ratios within rounds."""
    runs = {
        "native vector, n = 1024": vector_steps(1024, native=True),
        "SyncVectorEnv, n = 64": vector_steps(64, native=False),
        "native vector, n = 1024, autoreset SameStep": vector_steps(1024, native=True, autoreset_mode="SameStep"),
        "native vector, n = 64": vector_steps(64, native=True),
        "native vector, n = 1024, append of up to 16": appended_tokens(1024, 16),
        "single, gym.make": single_steps(),
    }
    for rate in runs.values():
        rate(WARM_UP)
    rows: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(rounds):
        for name in list(runs)[:: -1 if i % 2 else 1]:
            rows[name].append(runs[name](seconds))
    native, sync = np.array(rows["native vector, n = 1024"]), np.array(rows["SyncVectorEnv, n = 64"])
    start, per_thousand = cost_by_length()
    low, median, high = np.percentile(native / sync, [25, 50, 75])
    return {
        "steps_per_second": {name: float(np.median(values)) for name, values in rows.items()},
        "native_over_sync": {"median": median, "quartiles": [low, high]},
        "step_us_n256": start,
        "step_us_n256_added_by_1000_tokens": per_thousand,
        "import_seconds": float(np.median([import_seconds() for _ in range(5)])),
        "python": platform.python_version(),
        "gymnasium": gym.__version__,
        "numpy": np.__version__,
    }


def main() -> None:
    """Measure and print; with `--out`, write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60, help="rounds, each timing everything once (default 60)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of each timing (default 0.1)")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()
    figures = measure(arguments.rounds, arguments.seconds)
    print(f"{ENV_ID}, random actions, grading included; medians of {arguments.rounds} rounds\n")
    for name, rate in figures["steps_per_second"].items():
        print(f"  {name:45} {rate:12,.0f} steps/s")
    ratio = figures["native_over_sync"]
    low, high = ratio["quartiles"]
    print(
        f"\n  native (1024) over SyncVectorEnv (64)         {ratio['median']:12.1f} ×   quartiles {low:.1f}–{high:.1f}"
    )
    print(
        f"  a step of 256 rows takes {figures['step_us_n256']:.1f} µs at the start of a response; "
        f"1,000 tokens more add {figures['step_us_n256_added_by_1000_tokens']:+.2f} µs"
    )
    print(f"  import textmdp.envs takes {figures['import_seconds']:.2f} s")
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
