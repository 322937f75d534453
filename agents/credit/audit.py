"""The referee: says whether an advantage estimator is right, by exact expectations over all groups of episodes.

```python
from textmdp.agents.credit.audit import audit

print(audit("rloo"))
```
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textmdp.agents.credit.bias import statistics
from textmdp.agents.credit.cases import (
    GAMMAS,
    GROUP_SIZES,
    VALUE_KINDS,
    Case,
    Groups,
    diagnostic_tasks,
    enumerate_groups,
)
from textmdp.agents.credit.counterexample import counterexample
from textmdp.agents.credit.estimators import Estimator, estimator_of
from textmdp.agents.credit.faults import (
    EXTRA_DISCOUNTS,
    ROUNDING,
    factor_in_words,
    first_fit,
    fit,
    ignores_scale,
    pay_for_turns,
    same_for_every_token,
    silent_turns,
    writes_off_policy,
)
from textmdp.envs.core.task import Task

CLOCKS = ("tokens", "turns")


@dataclass(frozen=True)
class AuditRow:
    """The figures of an estimator on one diagnostic, by enumeration; see `Statistics` for their definitions.

    Attributes:
        diagnostic: the name of the task.
        gamma: γ.
        clock: "tokens" or "turns", by which the exact A is discounted.
        group_size: G.
        groups: the number of groups that were summed over.
        values: the kind of V that the estimator was given, from `VALUE_KINDS`; "" for none.
        bias: the largest absolute bias of a token.
        variance, correlation, sign_agreement, cosine: see `Statistics`.
    """

    diagnostic: str
    gamma: float
    clock: str
    group_size: int
    groups: int
    values: str
    bias: float
    variance: float
    correlation: float
    sign_agreement: float
    cosine: float


@dataclass(frozen=True)
class Audit:
    """A verdict on an estimator.

    Attributes:
        name: of the estimator.
        faults: in words; empty if it is unbiased.
        notes: properties that are no faults.
        rows: the figures by diagnostic, discount and clock.
        counterexample: the smallest one, token by token; "" if there is none.
        seconds: that the audit took.
    """

    name: str
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    rows: tuple[AuditRow, ...]
    counterexample: str
    seconds: float

    @property
    def biased(self) -> bool:
        """True if a fault was found."""
        return bool(self.faults)

    @property
    def verdict(self) -> str:
        """One sentence: "unbiased", or "biased: …" with the faults."""
        sentence = f"biased: {'; '.join(self.faults)}" if self.faults else "unbiased"
        if not self.faults and any(note.startswith(_OF_V) for note in self.notes):
            sentence += " with the exact V"
        return f"{sentence}. {' '.join(f'{note[0].upper()}{note[1:]}.' for note in self.notes)}".strip()

    def __str__(self) -> str:
        """The verdict, a table of the figures, and the counterexample."""
        lines = [f"{self.name}: {self.verdict}", "", _HEADER]
        for row in self.rows:
            lines.append(
                f"{row.diagnostic:16}{row.values:8}{row.gamma:5g} {row.clock:7}{row.group_size:2d}{row.bias:11.4g}"
                f"{row.variance:11.4g}{row.correlation:7.2f}{row.sign_agreement:7.2f}{row.cosine:8.3f}"
            )
        lines.append("")
        lines.append(
            f"All expectations are sums over every group of episodes ({sum(row.groups for row in self.rows)} in all), "
            f"exact but for rounding. {self.seconds:.1f} s."
        )
        if self.counterexample:
            lines += ["", self.counterexample]
        return "\n".join(lines)


_OF_V = "its bias is that of V"
_HEADER = "diagnostic      V           γ clock   G    max|bias|  variance   corr   sign  cosine"


def audit(
    estimator: str | Callable[..., Any] | Estimator,
    *,
    discount_unit: str = "tokens",
    tasks: Sequence[Task[Any]] | None = None,
    group_sizes: Sequence[int] = GROUP_SIZES,
    gammas: Sequence[float] = GAMMAS,
) -> Audit:
    """Judge an advantage estimator by its expectations over all groups of episodes of small diagnostics.

    An estimator is unbiased if its expectation given a prefix and a token is A up to a constant of the prefix, which no
    expected gradient sees. Each group is a batch of its own, of G episodes of one problem.

    Args:
        estimator: a row of the table of algorithms by name, or a function; see
            `textmdp.agents.credit.estimators.estimator_of` for the signatures.
        discount_unit: the clock of the table's rows, "tokens" or "turns".
        tasks: the diagnostics; None for those of the course.
        group_sizes: the sizes G of groups, two or more so that a factor (G − 1)/G shows.
        gammas: the discounts; the first must be 1.

    Raises:
        TypeError, ValueError: the estimator can't be called; see `estimator_of`.
    """
    began = time.perf_counter()
    judged = estimator_of(estimator, discount_unit)
    cases = [Case(task) for task in (diagnostic_tasks() if tasks is None else tasks)]
    plain = _enumerate(cases, judged, 1.0, group_sizes)
    if not plain:
        raise ValueError("no diagnostic is small enough to enumerate its groups: use smaller tasks or groups")
    discounted = {
        gamma: _enumerate(cases, judged, gamma, group_sizes[:1])
        for gamma in gammas
        if gamma < 1.0 and judged.takes_gamma
    }
    faults, notes, repairs = _judge(plain)
    for gamma, results in discounted.items():
        more, words = _judge_discount(plain, results, repairs, gamma, bool(faults))
        faults += more
        notes += words
    kinds: dict[str, list[Groups]] = {}
    if judged.takes_values:
        kinds = {kind: _enumerate(cases, judged, 1.0, group_sizes[:1], kind) for kind in VALUE_KINDS[1:]}
        notes.append(_about_values(kinds))
    first = "exact" if judged.takes_values else ""
    smallest = [groups for groups in plain if groups.size == group_sizes[0]]
    rows = [_row(groups, clock, first) for groups in smallest for clock in CLOCKS[:1]]
    rows += [_row(groups, clock, first) for results in discounted.values() for groups in results for clock in CLOCKS]
    rows += [_row(groups, "tokens", kind) for kind, results in kinds.items() for groups in results]
    example = ""
    if faults:
        wrong = [*smallest, *(groups for results in discounted.values() for groups in results)]
        example = next(filter(None, (counterexample(groups) for groups in wrong)), "")
    return Audit(judged.name, tuple(faults), tuple(notes), tuple(rows), example, time.perf_counter() - began)


def _enumerate(
    cases: Sequence[Case], estimator: Estimator, gamma: float, sizes: Sequence[int], kind: str = "exact"
) -> list[Groups]:
    found = (enumerate_groups(case, estimator, gamma, size, kind) for case in cases for size in sizes)
    return [groups for groups in found if groups is not None]


def _judge(plain: list[Groups]) -> tuple[list[str], list[str], Any]:
    """Faults and notes without discounting, and the fit that explains them (None if nothing does)."""
    faults, notes = [], []
    found = first_fit(plain, "tokens")
    one_turn = [groups for groups in plain if not groups.case.tree.turn.any()]
    explained = found or (first_fit(one_turn, "tokens") if one_turn else None)
    if explained is not None:
        faults += [repair.words for repair in explained.repairs]
        words = factor_in_words(explained.factors)
        if words and not (explained.repairs and words.startswith("multiplied")):
            faults.append(words)
    if found is None:
        more = _unexplained([groups for groups in plain if explained is None or groups.case.tree.turn.any()])
        faults += [words for words in more if not (words.startswith("divides") and faults)]
    if writes_off_policy(plain):
        notes.append("tokens of the environment get advantages, too: mask the loss")
    if same_for_every_token(plain):
        notes.append("every token of an episode gets the same")
    return faults, notes, found


def _unexplained(plain: list[Groups]) -> list[str]:
    """Faults that no repair undoes, from the most special to the most general."""
    silent = silent_turns(plain)
    if silent:
        turns = ", ".join(str(turn + 1) for turn in silent)
        return [f"spread over the wrong tokens: those of turn {turns} get 0 whatever happens"]
    faults = []
    if ignores_scale(plain):
        faults.append("divides by a deviation of the batch: twice the rewards give the same advantages")
    stopping = [groups for groups in plain if groups.case.name == "TextStopping"]
    if stopping and not faults:
        largest = max(stopping, key=lambda groups: groups.size)
        pay = pay_for_turns(largest, statistics(largest, largest.advantages, "tokens"))
        if pay is not None:
            words = f"pays {pay:+.2g} for every further turn (in TextStopping, G = {largest.size})"
            faults.append(words.replace("-", "−"))
    if not faults:
        biases = {groups.case.name: statistics(groups, groups.advantages, "tokens").largest_bias for groups in plain}
        worst = max(biases, key=lambda name: biases[name])
        faults.append(f"its expectation isn't A: off by up to {biases[worst]:.2g} in {worst}")
    return faults


def _judge_discount(
    plain: list[Groups], results: list[Groups], found: Any, gamma: float, faulty: bool
) -> tuple[list[str], list[str]]:
    """Faults and notes with discounting."""
    by_case = {groups.case.name: groups for groups in plain if groups.size == results[0].size}
    if all(np.allclose(groups.advantages, by_case[groups.case.name].advantages) for groups in results):
        return [], ["it ignores γ"]
    if found is None:
        return [], []
    fits = [clock for clock in CLOCKS if fit(results, found.repairs, clock) is not None]
    if fits:
        return [], [f"it discounts by {' or by '.join(fits)}"]
    for extra in EXTRA_DISCOUNTS.values():
        for clock in CLOCKS:
            if fit(results, (*found.repairs, extra), clock) is not None:
                return [extra.words], [f"it discounts by {clock}"]
    errors = [statistics(groups, groups.advantages, "tokens").largest_bias for groups in results]
    if faulty:
        return [], [f"with γ = {gamma:g} there is more than that: off by up to {max(errors):.2g}"]
    return [f"right without discounting, and off by up to {max(errors):.2g} with γ = {gamma:g}"], []


def _about_values(kinds: dict[str, list[Groups]]) -> str:
    """A sentence about the bias with a V that isn't exact."""
    biases = {
        kind: max(statistics(groups, groups.advantages, "tokens").largest_bias for groups in results)
        for kind, results in kinds.items()
    }
    exact = [first_fit(results, "tokens") for results in kinds.values()]
    if max(biases.values()) <= ROUNDING or all(found is not None and not found.repairs for found in exact):
        return "a wrong V adds no bias"
    return f"{_OF_V}: " + ", ".join(f"up to {bias:.2g} with a {kind} V" for kind, bias in biases.items())


def _row(groups: Groups, clock: str, kind: str) -> AuditRow:
    found = statistics(groups, groups.advantages, clock)
    return AuditRow(
        groups.case.name,
        groups.gamma,
        clock,
        groups.size,
        len(groups.probability),
        kind,
        found.largest_bias,
        found.variance,
        found.correlation,
        found.sign_agreement,
        found.cosine,
    )
