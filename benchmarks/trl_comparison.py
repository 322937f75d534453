"""Speed of an update of GRPO, ours against TRL's `GRPOTrainer`: sampling, rewards, gradient steps.

    pip install "textmdp[trl]"
    python -m textmdp.benchmarks.trl_comparison                      # seconds an update
    python -m textmdp.benchmarks.trl_comparison --to-accuracy 0.95   # seconds until held-out accuracy reaches it

Both train a copy of one warm start, a Llama of 0.4 million parameters, on TextMath-v0, with the same settings: 512
completions an update in groups of 8, at most 8 tokens each, GRPO's loss with the ratio clipped at 0.2, no KL penalty,
Adam, and as many passes over a batch (`--epochs`). They alternate, an update each, in one process, so that a machine
that slows down slows both; ratios are of neighbouring updates. TRL's time of an update runs from the end of the one
before, with data loading and callbacks, as ours includes the environment and the metrics. In the first command the
learning rate is 0, so that the policy, and with it the work, stays that of the warm start. In the second, evaluations
are the same for both and not timed.

`textmdp.benchmarks.trl_trainer` describes the setup of TRL and the checks of its fairness. The two differ in that ours
samples in lock-step with an environment, which allows several turns; never samples padding; keeps the log-probabilities
of sampling, which TRL recomputes with 2 epochs or more; and leaves groups whose advantages are all 0 out of the
backward pass. A better policy has more of them.

Output, in `--out`: `trl_comparison.json` (quartiles of seconds and ratios) or `trl_to_accuracy.json` (seconds to the
accuracy, and curves).
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
from textmdp.benchmarks.common import RESULTS, held_out_envs, provenance, warm_start, write_json
from textmdp.benchmarks.intervals import Floats, bootstrap, finite, interquartile_mean
from textmdp.benchmarks.trl_trainer import require_trl, trl_trainer

ENV_ID = "TextMath-v0"
#: Largest number of tokens of a completion, the end-of-turn token included.
TOKENS = 8
#: First updates of each, which aren't timed: they fill caches and start threads.
WARM_UP = 3


@dataclass(frozen=True)
class Setting:
    """The setting of a comparison."""

    updates: int
    """Largest number of updates of each."""
    epochs: int = 1
    """Passes over the completions of an update."""
    episodes: int = 512
    """Completions of an update."""
    group_size: int = 8
    """Completions of one problem."""
    learning_rate: float = 0.0
    """Learning rate of Adam."""
    bar: float | None = None
    """Held-out accuracy that ends the comparison; None for none."""
    every: int = 5
    """Updates between evaluations, if there is a bar."""
    evaluated: int = 1000
    """Held-out problems of an evaluation."""
    seed: int = 0
    """Seed of everything."""


@dataclass
class Side:
    """One of the two trainers: its policy, the seconds of each update, and (update, accuracy) of each evaluation."""

    model: LanguageModel
    setting: Setting
    seconds: list[float] = field(default_factory=list)
    accuracies: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.setting.bar is not None:
            self.held_out = held_out_envs(ENV_ID, self.setting.evaluated, max_response_tokens=TOKENS)
            self._evaluate()

    def add(self, seconds: float) -> None:
        """Add the time of an update, and evaluate, untimed, if an evaluation is due."""
        self.seconds.append(seconds)
        if self.setting.bar is not None and len(self.seconds) % self.setting.every == 0:
            self._evaluate()

    @property
    def done(self) -> bool:
        """True after the bar or the last update is reached."""
        return self.reached is not None or len(self.seconds) >= self.setting.updates

    @property
    def reached(self) -> int | None:
        """The update after which the bar was reached, or None."""
        bar = self.setting.bar
        return None if bar is None else next((update for update, accuracy in self.accuracies if accuracy >= bar), None)

    @property
    def seconds_to_bar(self) -> float:
        """Seconds of training until the bar was reached; infinite if it wasn't."""
        return math.inf if self.reached is None else float(sum(self.seconds[: self.reached]))

    def _evaluate(self) -> None:
        greedy = LanguageModelAgent(self.model, greedy=True)
        result = evaluate(greedy, self.held_out, episodes=self.setting.evaluated, seed=self.setting.seed, transcripts=0)
        self.accuracies.append((len(self.seconds), result.accuracy))


class Alternation(TrainerCallback):
    """Runs an update of ours after each of TRL's, and times both."""

    def __init__(self, ours: Side, theirs: Side, step: Callable[[], dict[str, float]]) -> None:
        self.ours, self.theirs, self.step = ours, theirs, step
        self.metrics: list[dict[str, float]] = []  # of our updates

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start timing TRL."""
        self.began = perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the time of TRL's update, which has an optimizer step for each epoch, and run ours."""
        if state.global_step % self.theirs.setting.epochs:
            return
        if not self.theirs.done:
            self.theirs.add(perf_counter() - self.began)
        if not self.ours.done:
            began = perf_counter()
            self.metrics.append(self.step())
            self.ours.add(perf_counter() - began)
        control.should_training_stop = self.ours.done and self.theirs.done
        self.began = perf_counter()


def compare(warm: LanguageModel, setting: Setting) -> Alternation:
    """Train two copies of a warm start alternately until both are done."""
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
    turns = Alternation(ours, theirs, Trainer(ours.model, envs, config).step)
    with tempfile.TemporaryDirectory() as folder:
        trl_trainer(theirs.model, envs, config, turns, folder).train()
    return turns


def step_times(turns: Alternation) -> dict[str, Any]:
    """Return quartiles over updates: of the seconds, their ratio, the parts of ours, and the zero-variance groups."""
    ours, theirs = (np.array(side.seconds[WARM_UP:]) for side in (turns.ours, turns.theirs))
    names = ("seconds_env", "seconds_decoding", "seconds_update", "frac_zero_variance_groups")
    parts = {name: np.array([metrics[name] for metrics in turns.metrics[WARM_UP:]]) for name in names}
    measured = {"seconds_trl": theirs, "seconds_ours": ours, "ratio": theirs / ours, **parts}
    quartiles = {name: np.quantile(values, [0.25, 0.5, 0.75]).tolist() for name, values in measured.items()}
    return {name: {"median": median, "quartiles": [low, high]} for name, (low, median, high) in quartiles.items()}


def race(turns: Alternation) -> dict[str, Any]:
    """Return, for each trainer, the seconds and updates to the bar, or None, and its learning curve."""
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


def over_seeds(races: Sequence[Alternation]) -> dict[str, Any]:
    """Return seconds to the bar and their ratio: interquartile means over seeds, with 95 % intervals."""
    ours, theirs = [turns.ours.seconds_to_bar for turns in races], [turns.theirs.seconds_to_bar for turns in races]
    rng = np.random.default_rng(0)
    estimates = {
        "ours": bootstrap(interquartile_mean, ours, rng=rng),
        "trl": bootstrap(interquartile_mean, theirs, rng=rng),
        "ratio": bootstrap(_ratio, theirs, ours, rng=rng, paired=True),
    }
    return {name: [finite(x) for x in estimate] for name, estimate in estimates.items()}


def main() -> None:
    """Compare, print the figures, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, help="updates of each (default: 40, or at most 200 with --to-accuracy)")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 2], help="passes over a batch (default 1 2)")
    parser.add_argument("--to-accuracy", type=float, metavar="BAR", help="time until this held-out accuracy")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of warm starts (default 0)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of torch (default: all cores)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    require_trl()  # before the warm start, which takes minutes
    torch.set_num_threads(arguments.threads)
    bar = arguments.to_accuracy
    updates = arguments.updates or (40 + WARM_UP if bar is None else 200)
    rate = 0.0 if bar is None else Config().learning_rate
    found: list[dict[str, Any]] = []
    races: dict[int, list[Alternation]] = {epochs: [] for epochs in arguments.epochs}
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
    write_json(figures, arguments.out / f"{name}.json")


def _ratio(x: ArrayLike, y: ArrayLike) -> Floats:
    return interquartile_mean(x) / interquartile_mean(y)


if __name__ == "__main__":
    main()
