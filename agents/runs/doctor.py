"""What is wrong with a training run, in plain words, and what to do about it, from its metrics alone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from textmdp.agents.rollouts.batch_checks import Finding

#: Before the first step ratios are 1 but for rounding: about 1e-6 in float32; more than this is another policy.
RATIO_GAP = LOG_PROB_GAP = 1e-3
#: Groups without differences give no gradient, which is why DAPO (arXiv 2503.14476) draws others for them: beyond
#: this share nine episodes in ten are played for nothing.
ZERO_VARIANCE = 0.9
#: Success beyond which problems are learnt, and below which they are too hard: at either, were all problems alike,
#: 57 % of groups of 8 would still teach.
LEARNT, TOO_HARD = 0.9, 0.1
#: 0.05 nats a token are one token in 100 drawn against the odds: nothing is left to try.
LOW_ENTROPY, FALLEN_ENTROPY = 0.05, 0.1
#: Updates whose mean the fall is measured from; the entropy of a batch varies little.
FIRST_UPDATES = 3
#: Nats an episode: the code of Ziegler et al. 2019 (arXiv 1909.08593) adapts its coefficient towards a target of 6.
#: A rise by a factor means something only once there is a nat to speak of.
FAR_KL, RISING_KL, LITTLE_KL = 10.0, 5.0, 1.0
#: Where most episodes end in the machine's limits, most rewards are never given.
TRUNCATED = 0.5
#: Beyond this, most of the tokens have no gradient left.
CLIPPED = 0.5

#: Metrics that are NaN where they mean nothing.
MAY_BE_NAN = ("explained_variance",)
#: Metrics of what was played, which are spoilt by the task if they are spoilt at all.
PLAYED = ("return", "success", "truncated", "frac_zero_variance_groups")

Advice = tuple[str, str]


class Doctor:
    """Watches the metrics of a run, update by update.

    A finding is told once, when it begins; and again only if it went away for `patience` updates in between. What
    another finding explains is not told.

    Args:
        patience: updates that something must last where one batch may look bad by chance.
    """

    def __init__(self, patience: int = 10) -> None:
        if patience < 1:
            raise ValueError(f"patience={patience} must be at least 1: an alarm needs an update to look at")
        self._history = _History(patience)
        self._patience = patience
        self._absences: dict[str, int] = {}  # of findings that have begun: updates since they last held

    def examine(self, metrics: Mapping[str, float]) -> list[Finding]:
        """What begins to be wrong with this update.

        Args:
            metrics: what the trainer tells of an update. What isn't there is not measured, and nothing is said of it.
                `kl` is in nats an episode; `frac_zero_variance_groups` should be left out where groups are of one.
        """
        history = self._history
        history.add(metrics)
        begun = []
        for alarm in ALARMS:
            if not all(name in history.now for name in alarm.needs):
                continue
            advice = alarm.check(history)
            if advice is not None and not any(name in self._absences for name in alarm.unless):
                if alarm.name not in self._absences:
                    begun.append(Finding(alarm.name, alarm.severity, *advice))
                self._absences[alarm.name] = 0
            elif alarm.name in self._absences:
                self._absences[alarm.name] += 1
                if self._absences[alarm.name] >= self._patience:
                    del self._absences[alarm.name]
        return begun

    def recall(self, updates: Iterable[Mapping[str, float | None]]) -> None:
        """Take up a run where it was left: examine the updates that it had, of which everything has been told.

        Args:
            updates: their metrics as JSON has them, in which None is no number.
        """
        for metrics in updates:
            self.examine({name: math.nan if value is None else value for name, value in metrics.items()})


class _History:
    """What is remembered of each metric: its first values, the last `patience` of them, and its greatest size."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.now: dict[str, float] = {}
        self._first: dict[str, list[float]] = {}
        self._recent: dict[str, deque[float]] = {}
        self._largest: dict[str, float] = {}

    def add(self, metrics: Mapping[str, float]) -> None:
        self.now = {name: value for name, value in metrics.items() if not (name in MAY_BE_NAN and math.isnan(value))}
        for name, value in self.now.items():
            first = self._first.setdefault(name, [])
            if len(first) < FIRST_UPDATES:
                first.append(value)
            self._recent.setdefault(name, deque(maxlen=self.patience + 1)).append(value)
            largest = self._largest.get(name, 0.0)
            self._largest[name] = largest if abs(value) <= largest else abs(value)

    def lasts(self, name: str, holds: Callable[[float], bool]) -> bool:
        """Whether something holds for as many values as patience asks for."""
        recent = [*self._recent[name]][-self.patience :]
        return len(recent) == self.patience and all(map(holds, recent))

    def before(self, name: str) -> float:
        """The value so many updates ago; NaN where there was none."""
        recent = self._recent[name]
        return recent[0] if len(recent) > self.patience else math.nan

    def start(self, name: str) -> float:
        """The mean of the first values."""
        return sum(self._first[name]) / len(self._first[name])

    def always_zero(self, name: str) -> bool:
        """Whether it never was anything else."""
        return self._largest[name] == 0


@dataclass(frozen=True)
class _Alarm:
    """A rule: the metrics that it needs, what it finds, and the findings that make it superfluous."""

    name: str
    needs: tuple[str, ...]
    check: Callable[[_History], Advice | None]
    unless: tuple[str, ...] = ()
    severity: str = "warning"


def _not_finite(history: _History) -> Advice | None:
    spoilt = [name for name, value in history.now.items() if not math.isfinite(value)]
    if not spoilt:
        return None
    first = next((name for name in PLAYED if name in spoilt), spoilt[0])
    others = f" (and so are {', '.join(name for name in spoilt if name != first)})" if len(spoilt) > 1 else ""
    message = f"{first} is {history.now[first]} at update {history.now.get('update', math.nan):g}{others}"
    if first in PLAYED:
        return message, "stop: the task gives scores that are no numbers; `textmdp check ID` finds which"
    return message, (
        "stop, and go back to a checkpoint: the weights are lost; lower learning_rate, and clip gradients with a "
        "smaller max_grad_norm"
    )


def _ratios(history: _History) -> Advice | None:
    gap = history.now["ratio_gap_first"]
    if not gap > RATIO_GAP:
        return None
    return f"probability ratios are {gap:.2g} off 1 before the first step", (
        "the policy that is trained is not the one that acted; let temperature, masks, dropout and dtype be the same "
        "in sampling and training"
    )


def _log_probs(history: _History) -> Advice | None:
    gap = history.now["log_prob_gap"]
    if not gap > LOG_PROB_GAP:
        return None
    return f"log-probabilities of sampling and of training are {gap:.2g} apart", (
        "look for what differs between the two passes: temperature, masks, dropout, dtype, positions, the cache"
    )


def _nothing_earned(history: _History) -> Advice | None:
    if not (history.always_zero("return") and history.lasts("return", lambda value: value == 0)):
        return None
    return f"no episode has earned anything in {history.patience} updates", (
        "nothing can be learnt from 0 alone; warm-start with imitation_steps, use reward=dense, an easier difficulty, "
        "or a larger max_response_tokens"
    )


def _zero_variance(history: _History) -> Advice | None:
    if not history.lasts("frac_zero_variance_groups", lambda value: value > ZERO_VARIANCE):
        return None
    message = (
        f"in {100 * history.now['frac_zero_variance_groups']:.0f} % of the groups all episodes earned the same, "
        f"for {history.patience} updates"
    )
    success = history.now.get("success", math.nan)
    if success > LEARNT:
        return f"{message}, nearly all full marks", "these problems are learnt; take harder ones, or stop here"
    if success < TOO_HARD:
        return f"{message}, nearly none full marks", (
            "these problems are too hard; warm-start with imitation_steps, take an easier difficulty, reward=dense, a "
            "larger group_size, or resample"
        )
    return f"{message}, all right or all wrong", (
        "a group teaches by its differences; take problems in between, a larger group_size, or resample"
    )


def _no_gradient(history: _History) -> Advice | None:
    if not history.lasts("grad_norm", lambda value: value == 0):
        return None
    return f"the gradient has been exactly 0 for {history.patience} updates", (
        "no weight can change; look whether advantages are all 0 (rewards, baseline), and whether weights are frozen"
    )


def _entropy(history: _History) -> Advice | None:
    now, start = history.now["entropy"], history.start("entropy")
    if not (now < LOW_ENTROPY and now < FALLEN_ENTROPY * start and history.now["success"] < LEARNT):
        return None
    return (
        f"the entropy fell from {start:.2g} to {now:.2g} nats a token at {100 * history.now['success']:.0f} % success",
        (
            "the policy repeats itself and tries nothing new; give it an entropy_coef, a lower learning_rate, or a "
            "kl_coef"
        ),
    )


def _divergence(history: _History) -> Advice | None:
    now, before = history.now["kl"], history.before("kl")
    far, rising = now > FAR_KL, now > LITTLE_KL and now > RISING_KL * before
    if not (far or rising):
        return None
    how = f"rose from {before:.2g} to {now:.3g}" if rising else f"is {now:.3g}"
    return f"the divergence from the reference {how} nats an episode", (
        "the policy runs away from where it began; use a larger kl_coef, a lower learning_rate, or a kl_target"
    )


def _truncated(history: _History) -> Advice | None:
    if not history.now["truncated"] > TRUNCATED:
        return None
    return f"{100 * history.now['truncated']:.0f} % of the episodes were truncated before the task was over", (
        "what they would have earned is lost; use a larger context_length, a smaller max_response_tokens, or no "
        "max_episode_steps"
    )


def _clipped(history: _History) -> Advice | None:
    if not history.now["clip_fraction"] > CLIPPED:
        return None
    return f"{100 * history.now['clip_fraction']:.0f} % of the tokens are clipped", (
        "the steps of an update are too long; use a lower learning_rate, or fewer epochs"
    )


def _values(history: _History) -> Advice | None:
    if not history.lasts("explained_variance", lambda value: value < 0):
        return None
    return f"the value function has foretold returns worse than a constant for {history.patience} updates", (
        "its advantages are mostly noise; use a higher value_learning_rate, more epochs, or a baseline of groups"
    )


#: What is looked for, causes before what follows from them.
ALARMS = (
    _Alarm("not-finite", (), _not_finite, severity="error"),
    _Alarm("ratio", ("ratio_gap_first",), _ratios),
    _Alarm("log-probs", ("log_prob_gap",), _log_probs, unless=("ratio",)),
    _Alarm("truncated", ("truncated",), _truncated),
    _Alarm("nothing-earned", ("return",), _nothing_earned, unless=("truncated",)),
    _Alarm("zero-variance", ("frac_zero_variance_groups",), _zero_variance, unless=("nothing-earned",)),
    _Alarm("no-gradient", ("grad_norm",), _no_gradient, unless=("nothing-earned", "zero-variance")),
    _Alarm("entropy-collapse", ("entropy", "success"), _entropy),
    _Alarm("divergence", ("kl",), _divergence),
    _Alarm("clipped", ("clip_fraction",), _clipped),
    _Alarm("values", ("explained_variance",), _values),
)
