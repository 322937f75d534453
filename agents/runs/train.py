"""A training run from begin to end: imitation, then policy gradient, with evaluations, checkpoints and a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from textmdp.agents.evaluation.evaluate import MOST_ROWS, Evaluation, evaluate
from textmdp.agents.inference.compatibility import load_model
from textmdp.agents.inference.sampler import LanguageModelAgent
from textmdp.agents.models.language_model import LanguageModel
from textmdp.agents.models.lora import add_lora
from textmdp.agents.rollouts.rollout import make_envs
from textmdp.agents.runs.doctor import Doctor, Finding
from textmdp.agents.runs.experiment import ExperimentConfig, NetworkConfig
from textmdp.agents.runs.report import write_report
from textmdp.agents.runs.run import Run
from textmdp.agents.training.curriculum import Curriculum
from textmdp.agents.training.imitation import imitate
from textmdp.agents.training.learner import Metrics
from textmdp.agents.training.trainer import Trainer
from textmdp.envs.tokenizers import Tokenizer

#: The doctor's warning about probability ratios allows at least this difference of log-probabilities, in nats.
_LEAST_TOLERANCE = 1e-3
#: Episodes of an evaluation between updates that the callback gets.
_SHOWN = 5


class Callback(Protocol):
    """Is called while a run goes on."""

    def on_stage(self, name: str) -> None:
        """A stage begins: "setting up", "imitation", "policy gradient" or "evaluating"."""

    def on_imitation_step(self, step: int) -> None:
        """So many steps of the imitation are done."""

    def on_imitation(self, metrics: Metrics) -> None:
        """The imitation was checked."""

    def on_update(self, metrics: Metrics) -> None:
        """An update is done; `metrics` has `evaluation/…` if an evaluation followed."""

    def on_transcripts(self, transcripts: Sequence[Mapping[str, Any]]) -> None:
        """The first episodes of an evaluation between updates, the same problems each time."""

    def on_finding(self, update: int, finding: Finding) -> None:
        """The doctor found something at an update."""

    def on_evaluation(self, stage: str, evaluation: Evaluation) -> None:
        """The evaluation of a stage is done: "untrained", "imitation" or "final"."""


class TrainingError(RuntimeError):
    """Metrics aren't finite any more; the last checkpoint and model are in the folder."""


class Stopped(KeyboardInterrupt):
    """The user stopped the run; its model and report are in the folder."""


def train(
    config: ExperimentConfig,
    run: Run,
    callback: Callback,
    should_stop: Callable[[], bool] = lambda: False,
    state: dict[str, Any] | None = None,
) -> None:
    """Train a model, and leave it, its evaluations and a report in the run's folder.

    Args:
        config: of the run.
        run: its folder.
        callback: is called while the run goes on.
        should_stop: asked after each update, check of the imitation and evaluation; True ends the run.
        state: checkpoint to resume from; None to begin.

    Raises:
        Stopped: `should_stop` returned True, or Ctrl-C was pressed.
        TrainingError: the doctor found an error.
    """

    def stop_if_asked() -> None:
        if should_stop():
            raise Stopped

    callback.on_stage("setting up")
    curriculum = make_curriculum(config)
    envs = curriculum.envs if curriculum else make_envs(config.env_id, config.training.episodes, **config.arguments)
    evaluation = config.evaluation
    rows = min(MOST_ROWS, max(evaluation.evaluate_episodes, evaluation.final_episodes))
    held_out = make_envs(config.env_id, rows, **config.held_out())
    model = make_model(config.network, envs.mdp.tokenizer, envs.mdp.context_length, config.seed)
    training = config.training
    splits = config.held_out() != config.arguments
    doctor = Doctor(tolerance=max(_LEAST_TOLERANCE, model.tolerance))
    greedy = LanguageModelAgent(model, greedy=True, temperature=training.temperature, grammar=training.grammar)

    def evaluate_stage(stage: str) -> Evaluation:
        callback.on_stage("evaluating")
        result = evaluate(greedy, held_out, episodes=evaluation.final_episodes, seed=config.seed)
        run.save_evaluation(stage, result)
        callback.on_evaluation(stage, result)
        stop_if_asked()
        return result

    def tell(update: int, findings: list[Finding]) -> None:
        for finding in findings:
            run.log_finding(update, finding)
            callback.on_finding(update, finding)
            if finding.severity == "error":
                raise TrainingError(f"update {update}: {finding}")

    def on_imitation(metrics: Metrics) -> None:
        run.log({f"imitation/{name}": value for name, value in metrics.items()}, step=int(metrics["step"]))
        callback.on_imitation(metrics)
        stop_if_asked()

    try:
        if state is None:
            evaluate_stage("untrained")
        if state is None and config.imitation.steps:
            callback.on_stage("imitation")
            demonstrated = make_envs(config.env_id, config.imitation.episodes, **config.arguments)
            history = imitate(model, demonstrated, config.imitation, on_imitation, callback.on_imitation_step)
            run.save_model(model)
            result = evaluate_stage("imitation")
            if splits:
                metrics = {"success": history[-1]["accuracy"], "evaluation/accuracy": result.accuracy}
                tell(0, doctor.examine_held_out({**metrics, "evaluation/high": result.accuracy_interval[1]}))
        callback.on_stage("policy gradient")
        trainer = Trainer(model, envs, training, curriculum=curriculum)
        if state is None:
            run.save_checkpoint(trainer.state())
        else:
            trainer.restore(state)
        doctor.recall(row for row in run.metrics() if "update" in row)
        for metrics in trainer.run():
            tell(trainer.num_updates, doctor.examine(metrics))
            if metrics["update"] % evaluation.evaluate_every == 0:
                began = time.perf_counter()
                result = evaluate(
                    greedy, held_out, episodes=evaluation.evaluate_episodes, seed=config.seed, transcripts=_SHOWN
                )
                metrics |= _evaluation_metrics(result, time.perf_counter() - began)
                callback.on_transcripts(result.transcripts)
                run.save_model(model)
                if splits:
                    tell(trainer.num_updates, doctor.examine_held_out(metrics))
            run.log(metrics, step=int(metrics["update"]))
            callback.on_update(metrics)
            if metrics["update"] % evaluation.checkpoint_every == 0 or should_stop() or not trainer.updates_left:
                run.save_checkpoint(trainer.state())
            stop_if_asked()
            if 0.0 < evaluation.until <= metrics.get("evaluation/accuracy", 0.0):
                break
        evaluate_stage("final")
        run.save_model(model)
    except KeyboardInterrupt:
        run.save_model(model)
        raise Stopped from None
    finally:
        write_report(run)
        run.close()


def make_curriculum(config: ExperimentConfig) -> Curriculum | None:
    """Return the stages of the policy gradient; None for a run without.

    Raises:
        ValueError: stages differ in their limits, or evaluations would.
    """
    if not config.curriculum.stages:
        return None
    episodes, arguments = config.training.episodes, config.curriculum.arguments(config.arguments)
    stages = [make_envs(config.env_id, episodes, **options) for options in arguments]
    curriculum = Curriculum(stages, config.curriculum.threshold, config.curriculum.window)
    mdp, own = curriculum.envs.mdp, make_envs(config.env_id, 1, **config.arguments).mdp
    if (mdp.tokenizer, mdp.context_length) != (own.tokenizer, own.context_length):
        raise ValueError(
            f"the stages {config.curriculum.stages!r} have another tokenizer or context length than imitation and "
            "evaluations: give them all the same, in TextMath with --set shared=true"
        )
    return curriculum


def make_model(config: NetworkConfig, tokenizer: Tokenizer, context_length: int, seed: int) -> LanguageModel:
    """Return the model that training starts from; `seed` is that of random weights."""
    if config.model:
        model = load_model(config.model, tokenizer, dtype=config.dtype)
    else:
        size = {"layers": config.layers, "width": config.width, "heads": config.heads}
        model = LanguageModel.tiny(tokenizer, context_length, **size, seed=seed)
    if config.lora_rank:
        model = add_lora(model, config.lora_rank, seed=seed)
    if config.gradient_checkpointing:
        model.checkpoint_gradients()
    return model


def _evaluation_metrics(result: Evaluation, seconds: float) -> Metrics:
    """The metrics of an evaluation between updates."""
    low, high = result.accuracy_interval
    return {
        "evaluation/accuracy": result.accuracy,
        "evaluation/low": low,
        "evaluation/high": high,
        "evaluation/return": result.mean_return,
        "evaluation/episodes": result.episodes,
        **{f"evaluation/score/{name}": value for name, value in result.scores.items()},
        "seconds_evaluation": seconds,
    }
