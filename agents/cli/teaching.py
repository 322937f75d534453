"""The course of a training run: imitation, then policy gradient; evaluated on held-out problems, all of it kept."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Protocol

from textmdp.agents.cli.options import MOST_ROWS
from textmdp.agents.cli.plan import Plan
from textmdp.agents.evaluation.evaluate import Evaluation, evaluate
from textmdp.agents.inference.compatibility import load_model
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.models.lora import add_lora
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.runs.doctor import Doctor, Finding
from textmdp.agents.runs.report import write_report
from textmdp.agents.runs.run import Run
from textmdp.agents.training.imitation import imitate
from textmdp.agents.training.learner import Metrics
from textmdp.agents.training.trainer import Trainer
from textmdp.envs.tokenizers import Tokenizer


class Watcher(Protocol):
    """What is told of a run while it goes on."""

    def stage(self, name: str) -> None:
        """Something else begins."""

    def imitated(self, metrics: Metrics) -> None:
        """A check of the imitation."""

    def updated(self, metrics: Metrics) -> None:
        """An update; with `evaluation/…` where it was followed by an evaluation."""

    def found(self, update: int, finding: Finding) -> None:
        """Something that looks wrong."""

    def evaluated(self, stage: str, evaluation: Evaluation) -> None:
        """A whole evaluation: "untrained", "imitation", "final"."""


class TrainingError(RuntimeError):
    """Training went wrong beyond repair; the last whole checkpoint and model are in the folder."""


class Stopped(KeyboardInterrupt):
    """The user asked for an end, and the run's folder is in order."""


class StopSignal:
    """Turns the first Ctrl-C into a question that `check` answers between updates; a second one interrupts at once.

    Args:
        tell: called at the first, so that the user knows.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self.asked = False
        self._tell = tell
        self._before: Any = None

    def check(self) -> None:
        """Raises `Stopped` if the user asked for an end."""
        if self.asked:
            raise Stopped

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._tell()


def teach(plan: Plan, run: Run, watcher: Watcher, stop: StopSignal, state: dict[str, Any] | None = None) -> None:
    """Train a model as planned, and leave it, its evaluations and a report in the run's folder.

    Args:
        plan: what is trained, and how.
        run: where it is kept.
        watcher: is told of it.
        stop: asked between updates.
        state: the checkpoint to go on from; None to begin.

    Raises:
        Stopped: the user asked for an end: the model as it is then, and a report, are in the folder.
        TrainingError: the weights or the metrics are no numbers any more; what was saved before that is in the folder.
    """
    watcher.stage("setting up")
    envs = make_envs(plan.env_id, plan.training.episodes, **plan.arguments)
    measuring = plan.measuring
    rows = min(MOST_ROWS, max(measuring.evaluate_episodes, measuring.final_episodes))
    held_out = make_envs(plan.env_id, rows, **plan.held_out())
    model = make_model(plan, envs.mdp.tokenizer, envs.mdp.context_length)
    training = plan.training
    greedy = LanguageModelAgent(model, greedy=True, temperature=training.temperature, grammar=training.grammar)

    def measure(stage: str) -> None:
        watcher.stage("evaluating")
        result = evaluate(greedy, held_out, episodes=measuring.final_episodes, seed=plan.seed)
        run.save_evaluation(stage, result)
        watcher.evaluated(stage, result)
        stop.check()

    def imitated(metrics: Metrics) -> None:
        run.log({f"imitation/{name}": value for name, value in metrics.items()}, step=int(metrics["step"]))
        watcher.imitated(metrics)
        stop.check()

    try:
        if state is None:
            measure("untrained")
        if state is None and plan.imitation.steps:
            watcher.stage("imitation")
            demonstrated = make_envs(plan.env_id, plan.imitation.episodes, **plan.arguments)
            imitate(model, demonstrated, plan.imitation, imitated)
            run.save_model(model)
            measure("imitation")
        watcher.stage("policy gradient")
        trainer = Trainer(model, envs, plan.training)
        if state is None:
            run.save_checkpoint(trainer.state())
        else:
            trainer.restore(state)
        doctor = Doctor(tolerance=max(1e-3, model.tolerance))
        doctor.recall(row for row in run.metrics() if "update" in row)
        for metrics in trainer.run():
            for finding in doctor.examine(metrics):
                run.log_finding(trainer.num_updates, finding)
                watcher.found(trainer.num_updates, finding)
                if finding.severity == "error":
                    raise TrainingError(f"update {metrics['update']:.0f}: {finding}")
            if metrics["update"] % measuring.evaluate_every == 0:
                began = time.perf_counter()
                result = evaluate(greedy, held_out, episodes=measuring.evaluate_episodes, seed=plan.seed, transcripts=0)
                low, high = result.accuracy_interval
                metrics |= {"evaluation/accuracy": result.accuracy, "evaluation/low": low, "evaluation/high": high}
                metrics |= {"evaluation/return": result.mean_return, "evaluation/episodes": result.episodes}
                run.save_model(model)
                metrics["seconds_evaluation"] = time.perf_counter() - began
            run.log(metrics, step=int(metrics["update"]))
            watcher.updated(metrics)
            if metrics["update"] % measuring.checkpoint_every == 0 or stop.asked or not trainer.updates_left:
                run.save_checkpoint(trainer.state())
            stop.check()
            if 0.0 < measuring.until <= metrics.get("evaluation/accuracy", 0.0):
                break
        measure("final")
        run.save_model(model)
    except KeyboardInterrupt:
        run.save_model(model)
        raise Stopped from None
    finally:
        write_report(run)
        run.close()


def make_model(plan: Plan, tokenizer: Tokenizer, context_length: int) -> LanguageModel:
    """The model that training starts from."""
    network = plan.network
    if network.model:
        model = load_model(network.model, tokenizer, dtype=network.dtype)
    else:
        size = {"layers": network.layers, "width": network.width, "heads": network.heads}
        model = LanguageModel.tiny(tokenizer, context_length, **size, seed=plan.seed)
    return add_lora(model, network.lora_rank, seed=plan.seed) if network.lora_rank else model
