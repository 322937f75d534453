"""A whole update of GRPO, ours against TRL's `GRPOTrainer`: sampling, rewards, gradient steps.

    pip install "textmdp[trl]"
    python -m textmdp.benchmarks.trl_comparison                      # seconds an update
    python -m textmdp.benchmarks.trl_comparison --to-accuracy 0.95   # seconds until held-out accuracy reaches it

Both train a copy of one warm start, a Llama of 0.4 million parameters, on TextMath-v0: 512 completions an update, in
groups of 8, of at most 8 tokens; the loss of GRPO with the ratio clipped at 0.2, no KL, Adam at one learning rate; as
many passes over a batch (`--epochs`). They take turns, an update each, in one process, so that a machine that slows
down slows both; a ratio is taken within a turn. TRL's clock runs from the end of one update to that of the next: data
loading and callbacks are in it, as environment and bookkeeping are in ours. In the first part the learning rate is 0:
the policy, and so the work, stays that of the warm start. In the second, evaluations (the same for both) stop both
clocks.

How TRL is set up, and what is checked about it, is in `textmdp.benchmarks.trl_trainer`.
What differs: ours samples in lock-step with an environment, which knows turns; never samples padding; remembers the
log-probabilities of sampling where TRL computes them again (with 2 epochs or more); and leaves out of its backward pass
the groups whose advantages are all 0, the more of them the better the policy.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from transformers import TrainerCallback

from textmdp.agents.algorithms.config import Config
from textmdp.agents.evaluation.evaluate import evaluate
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.training.trainer import Trainer
from textmdp.benchmarks.intervals import Floats, bootstrap, finite, interquartile_mean
from textmdp.benchmarks.learning import RESULTS, held_out_envs, provenance, warm_start
from textmdp.benchmarks.trl_trainer import require_trl, trl_trainer

ENV_ID = "TextMath-v0"
#: The most tokens of a completion, its end included.
TOKENS = 8
#: Updates of each that are not timed: caches fill, and threads and allocators settle.
WARM_UP = 3


@dataclass(frozen=True)
class Setting:
    """What is compared."""

    updates: int
    """The most, of each."""
    epochs: int = 1
    """Passes over the completions of an update."""
    episodes: int = 512
    """Completions of an update."""
    group_size: int = 8
    """Of them about one problem."""
    learning_rate: float = 0.0
    """Of Adam."""
    bar: float | None = None
    """The held-out accuracy that ends the comparison; None to go on to the last update."""
    every: int = 5
    """Updates between two evaluations, where there is a bar."""
    evaluated: int = 1000
    """Held-out problems of an evaluation."""
    seed: int = 0
    """Of everything."""


@dataclass
class Side:
    """One of the two: its policy, the seconds of each update, and the accuracies after some of them."""

    model: LanguageModel
    setting: Setting
    seconds: list[float] = field(default_factory=list)
    accuracies: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.setting.bar is not None:
            self.held_out = held_out_envs(ENV_ID, self.setting.evaluated, max_response_tokens=TOKENS)
            self._evaluate()

    def add(self, seconds: float) -> None:
        """An update was made; where it is time, and never on the clock, evaluate."""
        self.seconds.append(seconds)
        if self.setting.bar is not None and len(self.seconds) % self.setting.every == 0:
            self._evaluate()

    @property
    def over(self) -> bool:
        """Whether it is done: at the bar, or at the last update."""
        return self.reached is not None or len(self.seconds) >= self.setting.updates

    @property
    def reached(self) -> int | None:
        """The update after which the bar was reached."""
        bar = self.setting.bar
        return None if bar is None else next((update for update, accuracy in self.accuracies if accuracy >= bar), None)

    @property
    def seconds_to_bar(self) -> float:
        """The seconds of training until the bar was reached; infinite if it never was."""
        return math.inf if self.reached is None else float(sum(self.seconds[: self.reached]))

    def _evaluate(self) -> None:
        greedy = LanguageModelAgent(self.model, greedy=True)
        seen = evaluate(greedy, self.held_out, episodes=self.setting.evaluated, seed=self.setting.seed, transcripts=0)
        self.accuracies.append((len(self.seconds), seen.accuracy))


class Turns(TrainerCallback):
    """After each update of TRL, one of ours, each on its own clock."""

    def __init__(self, ours: Side, theirs: Side, step: Callable[[], dict[str, float]]) -> None:
        self.ours, self.theirs, self.step = ours, theirs, step
        self.told: list[dict[str, float]] = []  # the metrics of our updates

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """TRL's clock starts."""
        self.began = perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """An optimizer step of TRL: an update has one for each epoch."""
        if state.global_step % self.theirs.setting.epochs:
            return
        if not self.theirs.over:
            self.theirs.add(perf_counter() - self.began)
        if not self.ours.over:
            began = perf_counter()
            self.told.append(self.step())
            self.ours.add(perf_counter() - began)
        control.should_training_stop = self.ours.over and self.theirs.over
        self.began = perf_counter()


def compare(warm: LanguageModel, setting: Setting) -> Turns:
    """Let both go on from a warm start, in turns, until both are done."""
    config = Config(
        algorithm="grpo",
        updates=setting.updates,
        episodes=setting.episodes,
        group_size=setting.group_size,
        epochs=setting.epochs,
        learning_rate=setting.learning_rate,
        seed=setting.seed,
    )
    envs = make_envs(ENV_ID, config.episodes, max_response_tokens=TOKENS)
    ours, theirs = (Side(copy.deepcopy(warm), setting) for _ in range(2))
    turns = Turns(ours, theirs, Trainer(ours.model, envs, config).step)
    with tempfile.TemporaryDirectory() as folder:
        trl_trainer(theirs.model, envs, config, turns, folder).train()
    return turns


def step_times(turns: Turns) -> dict[str, Any]:
    """Quartiles over turns: of seconds an update, their ratio, our parts of it, and of groups with nothing to learn."""
    ours, theirs = (np.array(side.seconds[WARM_UP:]) for side in (turns.ours, turns.theirs))
    names = ("seconds_env", "seconds_decoding", "seconds_update", "frac_zero_variance_groups")
    parts = {name: np.array([metrics[name] for metrics in turns.told[WARM_UP:]]) for name in names}
    measured = {"seconds_trl": theirs, "seconds_ours": ours, "ratio": theirs / ours, **parts}
    quartiles = {name: np.quantile(values, [0.25, 0.5, 0.75]).tolist() for name, values in measured.items()}
    return {name: {"median": median, "quartiles": [low, high]} for name, (low, median, high) in quartiles.items()}


def race(turns: Turns) -> dict[str, Any]:
    """For each side the seconds and updates to the bar (None: not reached), and its accuracies on the way."""
    return {
        name: {
            "seconds_to_bar": finite(side.seconds_to_bar),
            "updates_to_bar": side.reached,
            "curve": [
                {"update": update, "seconds": round(sum(side.seconds[:update]), 3), "accuracy": accuracy}
                for update, accuracy in side.accuracies
            ],
        }
        for name, side in (("ours", turns.ours), ("trl", turns.theirs))
    }


def over_seeds(races: Sequence[Turns]) -> dict[str, Any]:
    """Seconds to the bar, and how many times as many TRL takes: interquartile means over seeds, and 95 % intervals."""
    ours, theirs = [turns.ours.seconds_to_bar for turns in races], [turns.theirs.seconds_to_bar for turns in races]
    rng = np.random.default_rng(0)
    estimates = {
        "ours": bootstrap(interquartile_mean, ours, rng=rng),
        "trl": bootstrap(interquartile_mean, theirs, rng=rng),
        "ratio": bootstrap(_ratio, theirs, ours, rng=rng, paired=True),
    }
    return {name: [finite(x) for x in estimate] for name, estimate in estimates.items()}


def main() -> None:
    """Compare, print, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, help="of each (default: 40, or at most 200 on the way to an accuracy)")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 2], help="passes over a batch (default 1 2)")
    parser.add_argument("--to-accuracy", type=float, metavar="BAR", help="time the way to this held-out accuracy")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="warm starts (default 0)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch, for both (default: all cores)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder for the results")
    arguments = parser.parse_args()
    require_trl()  # before minutes go into a warm start
    torch.set_num_threads(arguments.threads)
    bar = arguments.to_accuracy
    updates = arguments.updates or (40 + WARM_UP if bar is None else 200)
    rate = 0.0 if bar is None else Config().learning_rate
    found: list[dict[str, Any]] = []
    races: dict[int, list[Turns]] = {epochs: [] for epochs in arguments.epochs}
    for seed in arguments.seeds:
        warm, _ = warm_start(ENV_ID, seed, max_response_tokens=TOKENS)
        for epochs in arguments.epochs:
            setting = Setting(updates, epochs, learning_rate=rate, bar=bar, seed=seed)
            turns = compare(warm, setting)
            races[epochs].append(turns)
            found.append({"setting": asdict(setting), **(step_times(turns) if bar is None else race(turns))})
            print(json.dumps(found[-1]), flush=True)
    figures = {"threads": arguments.threads, "found": found, **provenance("trl_comparison")}
    figures["versions"] |= {library: version(library) for library in ("trl", "accelerate")}
    if bar is not None:
        figures["seconds_to_bar"] = {str(epochs): over_seeds(each) for epochs, each in races.items()}
        print(json.dumps(figures["seconds_to_bar"]))
    name = "trl_comparison" if bar is None else "trl_to_accuracy"
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")


def _ratio(x: ArrayLike, y: ArrayLike) -> Floats:
    return interquartile_mean(x) / interquartile_mean(y)


if __name__ == "__main__":
    main()
