"""Evaluations as rows of text, for terminals and reports."""

from __future__ import annotations

from collections.abc import Sequence

from textmdp.agents.evaluation.evaluate import Evaluation
from textmdp.agents.evaluation.intervals import Interval


def share(value: float, interval: Interval | None = None) -> str:
    """Return a share in percent, with its interval."""
    text = f"{100 * value:.1f} %"
    return text if interval is None else f"{text} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def evaluation_rows(evaluations: Sequence[Evaluation]) -> list[list[str]]:
    """Return the rows of a table with a column for each evaluation: a label, and its cells."""
    reasons = dict.fromkeys(reason for e in evaluations for reason in e.finish_reasons)
    parts = dict.fromkeys(name for e in evaluations for name in e.scores)
    at_k = dict.fromkeys(name for e in evaluations for name in e.at_k)
    rows = [
        ["episodes", *(f"{e.episodes}" for e in evaluations)],
        ["accuracy", *(share(e.accuracy, e.accuracy_interval) for e in evaluations)],
        *([name, *(_at_k(e, name) for e in evaluations)] for name in at_k),
        ["mean return", *(_mean(e.mean_return, e.return_interval) for e in evaluations)],
        ["response tokens", *(f"{e.response_tokens:.2f}" for e in evaluations)],
        ["turns", *(f"{e.turns:.2f}" for e in evaluations)],
        ["terminated", *(share(e.terminated) for e in evaluations)],
    ]
    for reason in reasons:
        shares = (share(e.finish_reasons.get(reason, 0.0)) for e in evaluations)
        rows.append([f"ended by {reason or 'step limit'}", *shares])
    a_turn = ", mean of turns" if any(e.turns > 1 for e in evaluations) else ""
    for part in parts:
        rows.append(
            [f"score: {part}{a_turn}", *(f"{e.scores[part]:.3g}" if part in e.scores else "–" for e in evaluations)]
        )
    return rows


def _at_k(evaluation: Evaluation, name: str) -> str:
    if name not in evaluation.at_k:
        return "–"
    mean, low, high = evaluation.at_k[name]
    return share(mean, (low, high))


def _mean(value: float, interval: Interval) -> str:
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
