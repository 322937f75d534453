"""Speed of sampling against transformers' `generate` on the same network and prompts, as ratios within one run.

    python -m textmdp.benchmarks.decoding

Llamas from scratch, prompts of 16 random tokens, responses of 48: the end-of-turn token is forbidden. Prompts are all
different, or come in groups, as GRPO's do (for `generate` by `num_return_sequences`). Ours is a whole rollout with
`LanguageModelAgent`, including resets, steps and log-probabilities. `generate` samples from the full distribution, with
its dynamic and its static cache, of which the faster one counts. All run once to warm up, then in turn (backwards in
every other repeat). A ratio is taken within a repeat; the table shows the median and its quartiles.

Then updates of GRPO in groups of 4, after a first one: the shares of time of the environment, grading included, and of
decoding; the rest is the gradient's. `TEXTMDP_KERNEL=0` in the environment measures decoding without the kernel in C.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from textmdp.agents.algorithms.config import Config
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import rollout
from textmdp.agents.rollouts.trajectories import Trajectories
from textmdp.agents.training.trainer import Trainer
from textmdp.benchmarks.common import provenance
from textmdp.envs import Reply, Score, Task, TokenVectorEnv

PROMPT, RESPONSE = 16, 48
#: Layers, width and heads by millions of parameters.
SHAPES = {0.3: (2, 112, 4), 1.0: (4, 144, 4), 5.0: (5, 288, 8)}
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789+-*/=() "


class RandomPrompts(Task[int]):
    """Prompts of 16 random characters; the reward is the share of vowels in the response."""

    max_response_tokens = RESPONSE
    max_text_bytes = PROMPT
    num_problems = 1 << 12

    def __init__(self) -> None:
        drawn = np.random.default_rng(0).choice([*LETTERS], (self.num_problems, PROMPT))
        self.prompts = ["".join(letters) for letters in drawn]

    def problem(self, index: int) -> tuple[int, str]:
        """Random characters."""
        return 0, self.prompts[index]

    def reply(self, state: int, response: str, rng: np.random.Generator | None) -> Reply[int]:
        """Reward the share of vowels."""
        return Reply(0, "", Score.of(vowels=sum(map(response.count, "aeiou")) / RESPONSE), True)

    def reply_many(
        self, states: Sequence[int], responses: Sequence[str], rngs: Sequence[np.random.Generator]
    ) -> list[Reply[int]]:
        """The same for many, without generators."""
        return [self.reply(state, response, None) for state, response in zip(states, responses, strict=True)]

    def demonstrate(self, state: int, rng: np.random.Generator) -> str:
        """Vowels only."""
        return "a" * RESPONSE

    def vocabulary(self) -> Sequence[str]:
        """Single characters."""
        return tuple(LETTERS)


def matmul_peak(size: int = 1024, repeats: int = 10) -> float:
    """Operations per second of a large float32 matrix product, the best of some repeats."""
    one = torch.randn(size, size)
    fastest = min(seconds(lambda: one @ one) for _ in range(repeats))
    return 2 * size**3 / fastest


def operations(model: LanguageModel, batch: int, group: int) -> float:
    """Operations of a batch: two per parameter and token, four per entry of attention; shared prompts count once."""
    config = model.network.config

    def forward_operations(tokens: int) -> float:
        attention = 4 * config.num_hidden_layers * config.hidden_size * tokens * (tokens + 1) / 2
        return 2 * model.num_parameters * tokens + attention

    prompt, row = forward_operations(PROMPT), forward_operations(PROMPT + RESPONSE - 1)
    return batch * (row - prompt) + batch // group * prompt


def seconds(call: Callable[[], object]) -> float:
    """The duration of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """The duration of each way in each repeat; backwards in every other one."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats):
        for name in list(ways)[:: -1 if repeat % 2 else 1]:
            taken[name].append(seconds(ways[name]))
    return taken


def parts_of_an_update(model: LanguageModel, envs: TokenVectorEnv[Any], batch: int) -> dict[str, float]:
    """The shares of time of the environment, decoding and the gradient, over as many updates as fill 2 seconds."""
    config = Config(algorithm="grpo", episodes=batch, group_size=4, learning_rate=0.0, micro_batch=64)
    trainer = Trainer(model, envs, config)
    trainer.step()
    taken = dict.fromkeys(("env", "decoding", "update"), 0.0)
    while sum(taken.values()) < 2.0:
        metrics = trainer.step()
        taken = {part: seconds + metrics[f"seconds_{part}"] for part, seconds in taken.items()}
    return {part: seconds / sum(taken.values()) for part, seconds in taken.items()}


def measure(parameters: float, batch: int, group: int, repeats: int) -> dict[str, Any]:
    """The figures of a model and a batch.

    Args:
        parameters: of the model, in millions, a key of `SHAPES`.
        batch: episodes of a rollout.
        group: episodes of each prompt; it divides `batch`.
        repeats: timings of each way.
    """
    envs = TokenVectorEnv(
        RandomPrompts(), batch, autoreset_mode="Disabled", copy=False, context_length=PROMPT + RESPONSE
    )
    layers, width, heads = SHAPES[parameters]
    model = LanguageModel.tiny(envs.mdp.tokenizer, PROMPT + RESPONSE, layers=layers, width=width, heads=heads)
    model.forbidden_tokens[envs.mdp.tokenizer.end_id] = True
    agent = LanguageModelAgent(model)
    problems = np.repeat(np.arange(batch // group), group).tolist()
    batches: list[Trajectories] = [rollout(agent, envs, seed=0, problems=problems)]
    assert (batches[0].lengths == RESPONSE).all()
    prompts = torch.from_numpy(batches[0].tokens[::group, :PROMPT].copy())

    def generate(cache: str | None) -> None:
        with torch.inference_mode():
            found = model.network.generate(
                input_ids=prompts,
                attention_mask=torch.ones_like(prompts),
                do_sample=True,
                top_k=0,
                max_new_tokens=RESPONSE,
                min_new_tokens=RESPONSE,  # suppresses the end token
                num_return_sequences=group,
                cache_implementation=cache,
            )
        assert found.shape == (batch, PROMPT + RESPONSE)

    ways: dict[str, Callable[[], object]] = {
        "textmdp": lambda: batches.append(rollout(agent, envs, seed=0, problems=problems)),
        "generate, dynamic cache": lambda: generate(None),
        "generate, static cache": lambda: generate("static"),
    }
    taken = in_turns(ways, repeats + 1)
    rates = {name: batch * RESPONSE / np.array(times[1:]) for name, times in taken.items()}  # the first warms up
    medians = {name: float(np.median(rate)) for name, rate in rates.items()}
    best = max([*ways][1:], key=medians.__getitem__)
    low, median, high = np.percentile(rates["textmdp"] / rates[best], [25, 50, 75])
    used = operations(model, batch, group) / (batch * RESPONSE)  # for each token that is sampled
    peak = matmul_peak()
    return {
        "parameters": model.num_parameters,
        "batch": batch,
        "group": group,
        "tokens_per_second": medians,
        "ratio": {"median": median, "quartiles": [low, high], "over": best},
        "share_of_matmul_peak": {name: rate * used / peak for name, rate in medians.items()},
        "matmul_peak_gflops": peak / 1e9,
        "share_of_environment": float(np.median([b.seconds_env / (b.seconds_env + b.seconds_agent) for b in batches])),
        "parts_of_an_update": parts_of_an_update(model, envs, batch),
    }


def sweep(
    name: str,
    description: str | None,
    heading: str,
    measure: Callable[[float, int, int, int], dict[str, Any]],
    line: Callable[[dict[str, Any]], str],
    batches: Sequence[int],
    repeats: int,
) -> None:
    """Measure every model, batch and group of the command line, and print; with `--out`, write JSON.

    Args:
        name: of the benchmark.
        description: for its help.
        heading: of the table.
        measure: gives the figures for parameters, batch, group and repeats.
        line: formats the figures for the table.
        batches: default of `--batches`.
        repeats: default of `--repeats`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--parameters", type=float, nargs="+", choices=SHAPES, default=[*SHAPES], help="in millions (default: all)"
    )
    parser.add_argument(
        "--batches", type=int, nargs="+", default=batches, help=f"(default {' '.join(map(str, batches))})"
    )
    parser.add_argument("--groups", type=int, nargs="+", default=[1, 8], help="episodes of a prompt (default 1 8)")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"timings of each way (default {repeats})")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    print(f"prompts of {PROMPT} tokens, responses of {RESPONSE}; {torch.get_num_threads()} threads\n")
    print(f"parameters  batch  group {heading}")
    runs = []
    for parameters, batch, group in itertools.product(arguments.parameters, arguments.batches, arguments.groups):
        run = measure(parameters, batch, group, arguments.repeats)
        runs.append(run)
        print(f"{run['parameters']:10,} {batch:6} {group:6} {line(run)}", flush=True)
    if arguments.out:
        results = {"threads": torch.get_num_threads(), **provenance(name), "runs": runs}
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


def _line(run: dict[str, Any]) -> str:
    rates, ratio, share = run["tokens_per_second"], run["ratio"], run["share_of_matmul_peak"]
    low, high = ratio["quartiles"]
    return (
        f"{rates['textmdp']:9,.0f} {rates[ratio['over']]:9,.0f} {ratio['median']:6.2f} × {low:5.2f}–{high:.2f} "
        f"{share['textmdp']:10.0%} to {share[ratio['over']]:4.0%} {run['share_of_environment']:25.1%} "
        f"{run['parts_of_an_update']['env']:9.1%}"
    )


def main() -> None:
    """Measure and print; with `--out`, write the figures as JSON."""
    heading = "  textmdp  generate   ratio  quartiles    of the matmul peak  environment: of a rollout, of an update"
    sweep("decoding", __doc__, heading, measure, _line, (64, 256, 1024), 5)


if __name__ == "__main__":
    main()
