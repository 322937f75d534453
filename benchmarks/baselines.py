"""Comparison of SB3's agents, language models in SB3 and our own algorithms on equal numbers of environment tokens.

    python -m textmdp.benchmarks.baselines --seeds 0 1 2 3 4

Each agent gets the same number of tokens on each level; those of the imitation that it starts from count, too. SB3's
agents start from random weights, with the settings of `agents/sb3/hyperparameters.yml`; `ppo_plain` is `ppo` with SB3's
own features extractor, which takes token ids for magnitudes. `ppo_lm` (SB3's PPO with a
language model as policy) and our algorithms start from one imitation of a careless expert. Returns are those of the
most likely actions on the problems of training, and normalised: 0 is a random agent, 1 the expert.

Each run is a process of its own on one core, and writes its evaluations to a file in `--work` when it is done: after a
kill the same command goes on with the runs that are left. Figures are interquartile means over seeds with 95 %
bootstrap intervals (`textmdp.benchmarks.intervals`).

Output, in `--out`: `baselines.csv` (a row for each evaluation), `baselines.json` (the figures) and `baselines.png` (a
column for each level: returns over tokens, and at the end); prints the tables.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from textmdp.agents.algorithms.config import Config, ImitationConfig
from textmdp.agents.evaluation.evaluate import evaluate
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.rollouts.agent import Agent
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.rollouts.scripted import ExpertAgent, RandomAgent
from textmdp.agents.training.imitation import imitate
from textmdp.agents.training.trainer import Trainer
from textmdp.benchmarks.common import RESULTS, parallel, provenance, write_csv, write_json
from textmdp.benchmarks.intervals import bootstrap, finite, interquartile_mean

Row = dict[str, Any]

SCRIPTED = ("random", "expert")
#: SB3's PPO with its own extractor, to which token ids are magnitudes.
PLAIN = "ppo_plain"
SB3 = (PLAIN, "ppo", "ppo_mask", "ppo_lstm", "a2c", "dqn", "qrdqn", "trpo")
#: Our algorithms, by the names of `textmdp algorithms`.
OURS = {"our_reinforce": "reinforce", "our_grpo": "grpo", "our_ppo": "ppo"}
AGENTS = (*SCRIPTED, "imitation", *SB3, "ppo_lm", *OURS)
LEVELS = ("TextMath-v0:entry", "TextCode-v0:entry", "TextPoem-v0:couplet", "TextGuess-v0:tiny", "TextMath-v0:two-digit")
#: The part of the tokens that an imitation gets, and its demonstrations a step.
IMITATED, DEMONSTRATIONS = 0.2, 64


class Run(NamedTuple):
    """One run: an agent on a level with a seed."""

    level: str
    """The id and the difficulty, "TextMath-v0:entry"."""
    agent: str
    seed: int
    tokens: int
    """Of the environment."""
    points: int
    """Evaluations after the first."""
    episodes: int
    """Of an evaluation."""
    folder: Path
    """Of the files of runs."""

    @property
    def path(self) -> Path:
        """The file of its evaluations, which names all of its settings."""
        name = f"{self.agent}_{self.seed}_{self.tokens}_{self.points}_{self.episodes}"
        return self.folder / self.level.replace(":", "_") / f"{name}.csv"

    @property
    def env_id(self) -> str:
        """The id."""
        return self.level.partition(":")[0]

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of the environment; agents with action masks get the grammar of programs."""
        grammar = {"grammar": True} if self.agent == "ppo_mask" and self.env_id == "TextCode-v0" else {}
        return {"difficulty": self.level.partition(":")[2], **grammar}


class Recorder:
    """Evaluates an agent after every so many tokens, and keeps the time of the evaluations out of the seconds."""

    def __init__(self, run: Run, agent: Agent) -> None:
        self._run, self._agent = run, agent
        self._envs = make_envs(run.env_id, min(run.episodes, 128), **run.options)
        self._began, self._next = perf_counter(), 0.0
        self.rows: list[Row] = []

    def at(self, tokens: float, last: bool = False) -> None:
        """Evaluate if it is time to."""
        if tokens < self._next and not last:
            return
        began, run = perf_counter(), self._run
        self._next = (tokens // (run.tokens / run.points) + 1) * run.tokens / run.points
        seconds = began - self._began
        found = evaluate(self._agent, self._envs, episodes=run.episodes, seed=run.seed, distinct=False, transcripts=0)
        names = {"level": run.level, "agent": run.agent, "seed": run.seed, "tokens": int(tokens), "seconds": seconds}
        self.rows.append({**names, "return": found.mean_return, "success": found.accuracy})
        self._began += perf_counter() - began


def work(run: Run) -> list[Row]:
    """Make a run, unless its file is there, and return its evaluations."""
    if not run.path.exists():
        rows = _rows(run)
        new = run.path.with_suffix(".new")
        write_csv(rows, new)
        new.replace(run.path)  # a killed run leaves no file of this name
        print(f"{run.level:24} {run.agent:14} seed {run.seed}  return {rows[-1]['return']:.3f}", flush=True)
    with run.path.open() as file:
        return [_typed(row) for row in csv.DictReader(file)]


def _typed(row: dict[str, str]) -> Row:
    whole, text = ("seed", "tokens"), ("level", "agent")
    return {name: x if name in text else int(x) if name in whole else float(x) for name, x in row.items()}


def _rows(run: Run) -> list[Row]:
    if run.agent in SCRIPTED:
        recorder = Recorder(run, RandomAgent(run.seed) if run.agent == "random" else ExpertAgent())
        recorder.at(0)
        return recorder.rows
    if run.agent in SB3:
        return _train_sb3(run, run.agent, None, 0)
    model, spent, seconds = warm_start(run)
    if run.agent == "ppo_lm":
        rows = _train_sb3(run, "ppo_lm", model, spent)
    else:
        recorder = Recorder(run, LanguageModelAgent(model, greedy=True))
        recorder.at(spent)
        if run.agent in OURS:
            config = Config(algorithm=OURS[run.agent], seed=run.seed, updates=10**6, episodes=128)
            trainer = Trainer(model, make_envs(run.env_id, config.episodes, **run.options), config)
            tokens = float(spent)
            while tokens < run.tokens:
                tokens = spent + trainer.step()["tokens"]
                recorder.at(tokens, last=tokens >= run.tokens)
        rows = recorder.rows
    return [{**row, "seconds": row["seconds"] + seconds} for row in rows]


def warm_start(run: Run) -> tuple[LanguageModel, int, float]:
    """Return a tiny model after imitation, the tokens of its demonstrations, and the seconds of the imitation."""
    envs = make_envs(run.env_id, DEMONSTRATIONS, **run.options)
    model = LanguageModel.tiny(envs.mdp.tokenizer, envs.mdp.context_length, seed=run.seed)
    expert = evaluate(ExpertAgent(), envs, episodes=DEMONSTRATIONS, seed=run.seed, distinct=False, transcripts=0)
    a_step = DEMONSTRATIONS * expert.response_tokens * expert.turns
    steps = max(1, int(IMITATED * run.tokens / a_step))
    began = perf_counter()
    imitate(model, envs, ImitationConfig(steps=steps, episodes=DEMONSTRATIONS, seed=run.seed, check_every=steps))
    return model, int(steps * a_step), perf_counter() - began


def _train_sb3(run: Run, algo: str, model: LanguageModel | None, spent: int) -> list[Row]:
    """The evaluations of an agent of SB3, which has spent some tokens before."""
    from stable_baselines3.common.callbacks import BaseCallback

    from textmdp.agents.sb3.agent import SB3Agent
    from textmdp.agents.sb3.zoo import make_env, make_model, settings_for

    settings = {**settings_for("ppo" if algo == PLAIN else algo, run.env_id), "env_kwargs": run.options}
    if algo == PLAIN:
        settings["policy_kwargs"] = {}
    settings["n_timesteps"] = run.tokens - spent
    env = make_env(run.env_id, settings)
    agent = make_model(
        "ppo" if algo == PLAIN else algo, env, settings, language_model=model, seed=run.seed, device="cpu"
    )
    recorder = Recorder(run, SB3Agent(agent))

    class Evaluations(BaseCallback):
        """Evaluates between updates."""

        def _on_rollout_start(self) -> None:
            recorder.at(spent + self.num_timesteps)

        def _on_step(self) -> bool:
            return True

    agent.learn(run.tokens - spent, Evaluations())
    recorder.at(spent + agent.num_timesteps, last=True)
    env.close()
    return recorder.rows


# Figures


def normalised(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with `score`: the return, of which the random agent's mean is 0 and the expert's 1."""
    ends = {
        (level, agent): np.mean([row["return"] for row in rows if (row["level"], row["agent"]) == (level, agent)])
        for level in {row["level"] for row in rows}
        for agent in SCRIPTED
    }
    scored = []
    for row in rows:
        low, high = (ends[row["level"], agent] for agent in SCRIPTED)
        scored.append({**row, "score": float((row["return"] - low) / (high - low))})
    return scored


def summary(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return for each level and agent: the final score, its interval, the mean over training, and seconds."""
    found: dict[str, dict[str, Any]] = {}
    for level, agent in dict.fromkeys((row["level"], row["agent"]) for row in rows):
        by_seed = curves(rows, level, agent)
        ends = [curve[-1] for curve in by_seed.values()]
        final = np.array([row["score"] for row in ends])
        mean = np.array([np.mean([row["score"] for row in curve]) for curve in by_seed.values()])
        rng = np.random.default_rng(0)
        found.setdefault(level, {})[agent] = {
            "final": [finite(x) for x in bootstrap(interquartile_mean, final, rng=rng)],
            "mean": [finite(x) for x in bootstrap(interquartile_mean, mean, rng=rng)],
            "seconds": round(float(np.mean([row["seconds"] for row in ends])), 1),
            "by_seed": [finite(x) for x in final],
        }
    return found


def curves(rows: Sequence[Row], level: str, agent: str) -> dict[int, list[Row]]:
    """Return the evaluations of an agent on a level, by seed."""
    chosen = [row for row in rows if (row["level"], row["agent"]) == (level, agent)]
    return {seed: [row for row in chosen if row["seed"] == seed] for seed in sorted({row["seed"] for row in chosen})}


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return the final scores as a Markdown table, a row an agent and a column a level, with mean seconds a run."""
    agents = [*dict.fromkeys(agent for level in found.values() for agent in level)]
    lines = [f"| agent | {' | '.join(found)} | seconds a run |", "|---" * (len(found) + 2) + "|"]
    for agent in agents:
        cells = [
            "{:.2f} [{:.2f}, {:.2f}]".format(*level[agent]["final"]) if agent in level else ""
            for level in found.values()
        ]
        seconds = np.mean([level[agent]["seconds"] for level in found.values() if agent in level])
        lines.append(f"| {agent} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw a column for each level: scores over tokens, and final scores with their intervals."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    levels = [*dict.fromkeys(row["level"] for row in rows)]
    agents = [*dict.fromkeys(row["agent"] for row in rows if row["agent"] not in SCRIPTED)]
    colours = dict(zip(agents, colormaps["tab20"].colors, strict=False))  # type: ignore[attr-defined]
    figure = Figure(figsize=(2.6 * len(levels) + 1, 6), layout="constrained")
    panels = figure.subplots(2, len(levels), squeeze=False, sharey="row")
    interval: Callable[..., Any] = partial(bootstrap, interquartile_mean, resamples=2000)
    for column, level in enumerate(levels):
        above, below = panels[0][column], panels[1][column]
        for place, agent in enumerate(agents):
            by_seed = [*curves(rows, level, agent).values()]
            if not by_seed:
                continue
            points = [*zip(*by_seed, strict=False)]  # evaluations of all seeds together
            tokens = [np.mean([row["tokens"] for row in point]) / 1000 for point in points]
            middle = [interquartile_mean([row["score"] for row in point]) for point in points]
            above.plot(tokens, middle, color=colours[agent], linewidth=1.2, marker="." if len(points) == 1 else None)
            end = interval([curve[-1]["score"] for curve in by_seed], rng=np.random.default_rng(0))
            below.plot([end.low, end.high], [-place, -place], color=colours[agent], linewidth=3, alpha=0.5)
            below.plot(end.value, -place, "o", color=colours[agent], markersize=5)
        above.set(title=level, xlabel="thousand tokens", ylim=(-0.05, 1.05))
        below.set(xlabel="final score", xlim=(-0.05, 1.05), yticks=[-i for i in range(len(agents))], yticklabels=agents)
        for panel in (above, below):
            panel.spines[["top", "right"]].set_visible(False)
            panel.title.set_fontsize(9)
            panel.tick_params(labelsize=8)
    panels[0][0].set_ylabel("score: random 0, expert 1")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=140, metadata={"Software": None})


def main() -> None:
    """Make the runs that are left, write the results, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", nargs="+", default=[*LEVELS], metavar="ID:DIFFICULTY", help="default: %(default)s")
    parser.add_argument("--agents", nargs="+", default=[*AGENTS], choices=AGENTS, metavar="NAME", help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="default: 0 1 2 3 4")
    parser.add_argument("--tokens", type=int, default=200_000, help="of the environment, a run (default: %(default)s)")
    parser.add_argument("--points", type=int, default=10, help="evaluations of a run (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=200, help="of an evaluation (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time (default: one a core)")
    parser.add_argument("--work", type=Path, default=Path("runs/baselines"), help="folder of the files of runs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    agents = [*dict.fromkeys((*SCRIPTED, *arguments.agents))]  # which scores are measured by
    setting = arguments.tokens, arguments.points, arguments.episodes, arguments.work
    runs = [
        Run(level, agent, seed, *setting) for level in arguments.levels for agent in agents for seed in arguments.seeds
    ]
    rows = normalised(parallel(work, runs, arguments.jobs))
    write_csv(rows, arguments.out / "baselines.csv")
    found = summary(rows)
    write_json(
        {"levels": found, "tokens": arguments.tokens, "seeds": arguments.seeds, **provenance("baselines")},
        arguments.out / "baselines.json",
    )
    draw(rows, arguments.out / "baselines.png")
    print(table(found))


if __name__ == "__main__":
    main()
