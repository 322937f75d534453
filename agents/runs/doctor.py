"""The doctor of a training run: finds common failures in the metrics, and says what to do about them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textmdp.agents.rollouts.batch_checks import Finding

#: Undefined, and then NaN, where all returns are equal.
_MAY_BE_NAN = ("explained_variance",)


@dataclass(frozen=True)
class Alarm:
    """A rule, its threshold, and the finding that it makes: a row of `ALARMS`.

    `rule` takes the metrics, NaN where one is missing, and `message` is a format string of them. A `lasting` rule must
    hold for `patience` updates in a row, since one batch may look ill by chance. The alarms in `unless` explain this
    one, and silence it.
    """

    name: str
    rule: Callable[[Mapping[str, Any]], bool]
    message: str
    remedy: str
    lasting: bool = False
    unless: tuple[str, ...] = ()
    severity: str = "warning"


#: Causes stand before their effects, which they silence. Beside the metrics of the trainer, rules read those
#: of `Doctor`: `first_entropy`, `largest_return`, `not_finite` and `ratio_tolerance`.
ALARMS = (
    Alarm(
        "not-finite",
        lambda m: m["not_finite"] != "",
        "{not_finite} at update {update:g}",
        "stop, and go back to a checkpoint with a lower learning_rate or max_grad_norm; if the return is among them, "
        "the task gives scores that aren't finite: `textmdp check ID` finds them",
        severity="error",
    ),
    Alarm(
        "ratio",
        lambda m: m["ratio_gap_first"] > m["ratio_tolerance"],
        "probability ratios are up to {ratio_gap_first:.2g} off 1 before the first step",
        "sampling and training differ; use the same temperature, masks, dropout, dtype and positions in both",
    ),
    Alarm(
        "truncated",
        lambda m: m["truncated"] > 0.5,
        "{truncated:.0%} of the episodes were truncated",
        "they end ungraded; use a larger context_length, a smaller max_response_tokens, or no max_episode_steps",
    ),
    Alarm(
        "nothing-earned",
        lambda m: m["return"] == 0 and m["largest_return"] == 0,
        "no episode has earned anything",
        "there is no signal to learn from; warm-start with imitation_steps, use reward=dense, an easier difficulty, "
        "or a larger max_response_tokens",
        lasting=True,
        unless=("truncated",),
    ),
    Alarm(
        "zero-variance",
        # Equal returns give advantages of 0; DAPO (arXiv 2503.14476) replaces such groups. At a success rate of 0.9
        # or 0.1 on every problem, 57 % of groups of 8 would still differ.
        lambda m: m["frac_zero_variance_groups"] > 0.9,
        "the returns are equal within {frac_zero_variance_groups:.0%} of the groups",
        "such groups give no gradient; if most episodes succeed, the problems are learnt: take harder ones, or stop; "
        "if few do, they are too hard: warm-start with imitation_steps, use an easier difficulty or reward=dense; "
        "otherwise use a larger group_size, or resample",
        lasting=True,
        unless=("nothing-earned",),
    ),
    Alarm(
        "no-gradient",
        lambda m: m["grad_norm"] == 0,
        "the gradient has been exactly 0",
        "no weight changes; check that advantages differ from 0 (rewards, baseline) and that weights aren't frozen",
        lasting=True,
        unless=("nothing-earned", "zero-variance"),
    ),
    Alarm(
        "entropy-collapse",
        # 0.05 nats a token: about one token in 100 isn't the likeliest.
        lambda m: m["entropy"] < min(0.05, 0.1 * m["first_entropy"]) and m["success"] < 0.9,
        "the entropy fell from {first_entropy:.2g} to {entropy:.2g} nats a token at {success:.0%} success",
        "the policy no longer explores; use an entropy_coef, a kl_coef, or a lower learning_rate",
    ),
    Alarm(
        "divergence",
        lambda m: m["kl"] > 10,  # Ziegler et al. 2019 (arXiv 1909.08593) steer towards 6 nats an episode
        "the KL divergence from the reference is {kl:.3g} nats an episode",
        "the policy runs away from the reference; use a larger kl_coef, a lower learning_rate, or a kl_target",
    ),
    Alarm(
        "clipped",
        lambda m: m["clip_fraction"] > 0.5,
        "{clip_fraction:.0%} of the tokens are clipped, and give no gradient",
        "the steps of an update are too long; use a lower learning_rate, or fewer epochs",
    ),
    Alarm(
        "values",
        lambda m: m["explained_variance"] < 0,
        "the value function has predicted returns worse than a constant",
        "the advantages are mostly noise; use a higher value_learning_rate, more epochs, or a baseline of groups",
        lasting=True,
    ),
)


#: An alarm about an update whose model was evaluated on problems that training never shows.
MEMORISING = Alarm(
    "memorising",
    # Beyond the interval of the evaluation, and by a fifth of all problems.
    lambda m: m["success"] - m["evaluation/accuracy"] > 0.2 and m["success"] > m["evaluation/high"],
    "training {success:.0%}, held-out {evaluation/accuracy:.0%}: memorising",
    "the policy knows the answers of the training problems, and not how to find them; use a difficulty with more "
    "problems, fewer imitation steps, or a larger model",
)


class Doctor:
    """Examines the metrics of a run, update by update.

    A finding is reported once, when it begins, and again only after it has been absent for `patience` updates.

    Args:
        patience: updates for which a lasting rule must hold, at least 1.
        tolerance: difference of log-probabilities, in nats, that rounding explains: about 1e-6 in float32, much more
            in bfloat16, see `LanguageModel.tolerance`.
    """

    def __init__(self, patience: int = 10, tolerance: float = 1e-3) -> None:
        if patience < 1:
            raise ValueError(f"patience={patience} must be at least 1: an alarm needs an update to look at")
        self._patience, self._ratio_tolerance = patience, math.expm1(tolerance)
        self._streaks = dict.fromkeys(
            (alarm.name for alarm in (*ALARMS, MEMORISING)), 0
        )  # updates in a row that a rule has held
        self._absences: dict[str, int] = {}  # of findings that have begun: updates since they were last there
        self._first_entropy, self._largest_return = math.nan, 0.0

    def examine(self, metrics: Mapping[str, float]) -> list[Finding]:
        """Return the findings that begin with this update.

        Args:
            metrics: of the update, as `Trainer.step` returns them; an alarm is silent where its metrics are missing.
                `kl` is in nats an episode; leave `frac_zero_variance_groups` out where a group is one episode.
        """
        return self._examine(metrics, ALARMS)

    def examine_held_out(self, metrics: Mapping[str, float]) -> list[Finding]:
        """Return the finding, if it begins here, that success on training problems doesn't carry over to others.

        Args:
            metrics: `success` on problems of training, `evaluation/accuracy` and `evaluation/high` on held-out ones.
        """
        return self._examine(metrics, (MEMORISING,))

    def _examine(self, metrics: Mapping[str, float], alarms: Sequence[Alarm]) -> list[Finding]:
        known, begun = self._derive(metrics), []
        for alarm in alarms:
            self._streaks[alarm.name] = self._streaks[alarm.name] + 1 if alarm.rule(known) else 0
            ill = self._streaks[alarm.name] >= (self._patience if alarm.lasting else 1)
            if ill and not any(name in self._absences for name in alarm.unless):
                if alarm.name not in self._absences:
                    message = alarm.message.format_map(known).replace("%", " %")
                    message += f" for {self._patience} updates" if alarm.lasting else ""
                    begun.append(Finding(alarm.name, alarm.severity, message, alarm.remedy))
                self._absences[alarm.name] = 0
            elif alarm.name in self._absences:
                self._absences[alarm.name] += 1
                if self._absences[alarm.name] >= self._patience:
                    del self._absences[alarm.name]
        return begun

    def recall(self, updates: Iterable[Mapping[str, float | None]]) -> None:
        """Examine the updates of a run that is resumed, of which all findings have been reported.

        Args:
            updates: metrics as `Run.metrics` returns them: None stands for a number that isn't finite.
        """
        for metrics in updates:
            known = {name: math.nan if value is None else value for name, value in metrics.items()}
            self.examine(known)
            if "evaluation/accuracy" in known:
                self.examine_held_out(known)

    def _derive(self, metrics: Mapping[str, float]) -> Mapping[str, Any]:
        """The metrics, NaN where one is missing, and those that need a memory."""
        if math.isnan(self._first_entropy):
            self._first_entropy = metrics.get("entropy", math.nan)
        self._largest_return = max(self._largest_return, abs(metrics.get("return", 0.0)))
        not_finite = ", ".join(
            f"{name} is {value}"
            for name, value in metrics.items()
            if not (math.isfinite(value) or (name in _MAY_BE_NAN and math.isnan(value)))
        )
        derived: dict[str, Any] = {"first_entropy": self._first_entropy, "largest_return": self._largest_return}
        derived |= {"ratio_tolerance": self._ratio_tolerance, "not_finite": not_finite}
        return defaultdict(lambda: math.nan, {**metrics, **derived})
