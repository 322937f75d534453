"""Speed of SB3 on our environments, as ratios within one run.

    python -m textmdp.benchmarks.sb3_speed

- `env`: steps of `SB3VecEnv` against those of `make_vec_env` (SB3's `DummyVecEnv`), 64 environments, random tokens.
- `ppo`: the same for SB3's PPO end to end, with the same policy.
- `cache`: rollouts of `LanguageModelPolicy` with its key-value cache against those without, 64 rows of 48 new tokens.

The two sides of a ratio alternate, and each ratio is the median over `--repeats`. Output: `sb3_speed.json` in `--out`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecMonitor

from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.sb3.language_model_policy import with_language_model
from textmdp.agents.sb3.vec_env import SB3VecEnv
from textmdp.benchmarks.common import RESULTS, provenance, write_json

ROWS, NEW_TOKENS, PROMPT = 64, 48, 8
IDS = ("TextMath-v0", "TextGuess-v0")


def seconds(work: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    began = perf_counter()
    work()
    return perf_counter() - began


def ratios(slow: Callable[[], Any], fast: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Return the median of slow over fast, and the median seconds of both."""
    slow(), fast()
    pairs = [(seconds(slow), seconds(fast)) for _ in range(repeats)]
    return {
        "ratio": round(median(one / other for one, other in pairs), 2),
        "slow_seconds": round(median(one for one, _ in pairs), 4),
        "fast_seconds": round(median(other for _, other in pairs), 4),
    }


def environments(env_id: str, repeats: int, steps: int) -> dict[str, dict[str, float]]:
    """Return the ratios of `DummyVecEnv` to `SB3VecEnv`: the environments alone, and PPO."""
    pair = make_vec_env(env_id, n_envs=ROWS), VecMonitor(SB3VecEnv.make(env_id, ROWS))
    actions = np.random.default_rng(0).integers(1, pair[0].action_space.n, (steps, ROWS))

    def play(envs: Any) -> Callable[[], None]:
        envs.reset()

        def step() -> None:
            for row in actions:
                envs.step(row)

        return step

    alone = ratios(play(pair[0]), play(pair[1]), repeats)
    settings: dict[str, Any] = {"n_steps": steps, "batch_size": steps * ROWS, "n_epochs": 1, "device": "cpu", "seed": 0}
    learners = [PPO("MultiInputPolicy", envs, **settings) for envs in pair]
    plain, native = (partial(model.learn, steps * ROWS) for model in learners)
    whole = ratios(plain, native, repeats)
    return {"env": alone, "ppo": whole}


def cache(repeats: int) -> dict[str, float]:
    """Return the ratio of rollouts of a language model without a cache to those with one."""
    envs = SB3VecEnv.make("TextGuess-v0", ROWS, context_length=PROMPT + NEW_TOKENS)
    mdp = envs.envs.mdp
    model = LanguageModel.tiny(mdp.tokenizer, mdp.context_length)
    policy: Any = with_language_model(PPO, model, envs, device="cpu").policy
    texts = np.random.default_rng(0).integers(3, mdp.tokenizer.vocab_size, (ROWS, PROMPT + NEW_TOKENS))

    @torch.no_grad()
    def decode(use_cache: bool) -> None:
        policy.use_cache = use_cache
        for length in range(PROMPT, PROMPT + NEW_TOKENS):
            tokens = np.where(np.arange(texts.shape[1]) < length, texts, 0)
            policy({"tokens": torch.from_numpy(tokens), "roles": torch.from_numpy((tokens > 0).astype(np.int8))})

    return ratios(lambda: decode(False), lambda: decode(True), repeats)


def main() -> None:
    """Measure the ratios, write and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="pairs of measurements (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=64, help="of an environment, a measurement (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found: dict[str, Any] = {env_id: environments(env_id, arguments.repeats, arguments.steps) for env_id in IDS}
    found["cache"] = cache(arguments.repeats)
    write_json({**found, **provenance("sb3_speed")}, arguments.out / "sb3_speed.json")
    for env_id in IDS:
        for name, figures in found[env_id].items():
            print(f"{env_id} {name}: {figures['ratio']} times as fast")
    print(f"cache: {found['cache']['ratio']} times as fast")


if __name__ == "__main__":
    main()
