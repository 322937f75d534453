"""Charts of the report as SVG: the learning curve, and the split of the time.

Classes of the page's style sheet give the colours, which differ between light and dark mode.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_WIDTH, _HEIGHT = 760, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 14, 44
_SMALL_WIDTH, _SMALL_HEIGHT = 240, 80


class Point(NamedTuple):
    """An accuracy after a number of updates, with its interval."""

    update: float
    accuracy: float
    low: float
    high: float


def learning_curve(
    held_out: Sequence[Point],
    training: Sequence[tuple[float, float]] = (),
    levels: Mapping[str, float] | None = None,
    held_out_name: str = "held-out problems",
) -> str:
    """Return a chart of accuracy over updates: evaluations with their intervals, training episodes, and levels.

    Args:
        held_out: greedy evaluations, in order of updates.
        training: pairs of an update and the success rate of its sampled episodes.
        levels: dashed horizontal lines by name, such as the accuracy after imitation.
        held_out_name: the problems of the evaluations, for the legend.
    """
    last = max([1.0, *(point.update for point in held_out), *(x for x, _ in training)])

    def x(update: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * update / last

    def y(share: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>'
        )
        parts.append(f'<text x="{_LEFT - 8}" y="{y(share) + 4:.1f}" text-anchor="end">{100 * share:.0f} %</text>')
    for tick in _ticks(last):
        parts.append(f'<text x="{x(tick):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">updates</text>')
    if len(training) > 1:
        parts.append(f'<polyline class="behind" points="{_points((x(u), y(s)) for u, s in training)}"/>')
    for name, level in (levels or {}).items():
        parts.append(
            f'<line class="level" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(level):.1f}" y2="{y(level):.1f}"/>'
        )
        above = y(level) - 6 if level < 0.9 else y(level) + 16
        parts.append(
            f'<text class="of-level" x="{_WIDTH - _RIGHT - 4}" y="{above:.1f}" text-anchor="end">'
            f"{html.escape(name)}: {100 * level:.1f} %</text>"
        )
    if held_out:
        edge = [(x(p.update), y(p.high)) for p in held_out] + [(x(p.update), y(p.low)) for p in reversed(held_out)]
        parts.append(f'<polygon class="band" points="{_points(edge)}"/>')
        parts.append(f'<polyline class="line" points="{_points((x(p.update), y(p.accuracy)) for p in held_out)}"/>')
        for p in held_out:
            words = f"update {p.update:g}: {100 * p.accuracy:.1f} % [{100 * p.low:.1f}, {100 * p.high:.1f}]"
            spot = f'cx="{x(p.update):.1f}" cy="{y(p.accuracy):.1f}"'
            parts.append(f'<circle class="dot" {spot} r="3"><title>{words}</title></circle>')
    summary = _curve_in_words(held_out, levels or {})
    legend = (
        f'<span class="key key-line"></span> greedy, {html.escape(held_out_name)}, with Wilson’s 95 % interval '
        '<span class="key key-behind"></span> sampled, training episodes'
    )
    return _figure("Accuracy over updates", summary, _HEIGHT, parts, legend)


def overlaid_curves(groups: Mapping[str, Sequence[Sequence[Point]]]) -> str:
    """Return a chart of accuracy over updates with a colour for each group: thin lines for runs, thick for means.

    Args:
        groups: the evaluations of each run, in order of updates, by the name of the group. The mean of a group is drawn
            over the updates at which all of its runs were evaluated.
    """
    last = max([1.0, *(point.update for runs in groups.values() for run in runs for point in run)])

    def place(update: float, share: float) -> tuple[float, float]:
        across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * update / last
        return across, _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)

    parts, legend, words = [], [], []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = place(0, share)[1]
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{100 * share:.0f} %</text>')
    for tick in _ticks(last):
        parts.append(
            f'<text x="{place(tick, 0)[0]:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'
        )
    for number, (name, runs) in enumerate(groups.items()):
        colour = f"run-{number % 6 + 1}"
        for run in runs:
            spots = _points(place(point.update, point.accuracy) for point in run)
            parts.append(f'<polyline class="thin {colour}" points="{spots}"/>')
        common = sorted(set.intersection(*({point.update for point in run} for run in runs)))
        at = [{point.update: point.accuracy for point in run} for run in runs]
        means = [(update, sum(found[update] for found in at) / len(at)) for update in common]
        if means:
            spots = _points(place(*mean) for mean in means)
            parts.append(
                f'<polyline class="thick {colour}" points="{spots}"><title>{html.escape(name)}</title></polyline>'
            )
            words.append(f"{name}: {100 * means[-1][1]:.1f} percent at update {means[-1][0]:g}")
        count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
        legend.append(f'<span class="key {colour}"></span> {html.escape(name)} ({count})')
    return _figure("Accuracy over updates", "; ".join(words) or "no evaluations", _HEIGHT, parts, " ".join(legend))


def small_curve(title: str, points: Sequence[tuple[float, float]]) -> str:
    """Return a small chart of a metric over updates, with its first, last, least and largest value.

    Args:
        title: of the metric, with its unit.
        points: pairs of an update and a value, in order.
    """
    values = [value for _, value in points]
    low, high = min(values), max(values)
    first, span = points[0][0], max(points[-1][0] - points[0][0], 1)
    spots = _points(
        (_SMALL_WIDTH * (update - first) / span, 4 + (_SMALL_HEIGHT - 8) * (1 - (value - low) / ((high - low) or 1)))
        for update, value in points
    )
    words = f"from {values[0]:.3g} to {values[-1]:.3g}"
    extremes = f"between {low:.3g} and {high:.3g}"
    return (
        f'<figure class="small"><figcaption><strong>{html.escape(title)}</strong> {words}</figcaption>'
        f'<svg viewBox="0 0 {_SMALL_WIDTH} {_SMALL_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{html.escape(title)}, {words}, {extremes}"><title>{extremes}</title>'
        f'<polyline class="line" vector-effect="non-scaling-stroke" points="{spots}"/></svg></figure>'
    )


def time_split(seconds: Mapping[str, float]) -> str:
    """Return a bar that is divided in proportion to the seconds of each part, in their order."""
    total = sum(seconds.values())
    if total <= 0:
        return ""
    parts, legend, at = [], [], 0.0
    for number, (name, value) in enumerate(seconds.items(), start=1):
        width = _WIDTH * value / total
        words = f"{html.escape(name)}: {value:.1f} s, {100 * value / total:.0f} %"
        colour = f"part-{(number - 1) % 6 + 1}"
        parts.append(
            f'<rect class="{colour}" x="{at:.1f}" y="0" width="{max(width - 2, 0.5):.1f}" height="34" rx="3">'
            f"<title>{words}</title></rect>"
        )
        if width > 46:
            parts.append(
                f'<text class="inside" x="{at + width / 2 - 1:.1f}" y="22" text-anchor="middle">'
                f"{100 * value / total:.0f} %</text>"
            )
        legend.append(f'<span class="key {colour}"></span> {html.escape(name)} {value:.1f} s')
        at += width
    summary = ", ".join(f"{name} {value:.1f} seconds" for name, value in seconds.items())
    return _figure("Time", summary, 34, parts, " ".join(legend))


def _figure(title: str, summary: str, height: int, parts: Sequence[str], legend: str) -> str:
    body = "\n".join(parts)
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{html.escape(title)}. {html.escape(summary)}">'
        f"\n{body}\n</svg><figcaption>{legend}</figcaption></figure>"
    )


def _points(places: object) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)  # type: ignore[attr-defined]


def _ticks(last: float) -> list[float]:
    """About six round numbers from 0 to `last`."""
    rough = last / 6
    scale = 10 ** math.floor(math.log10(rough))
    step = max(1.0, next(scale * nice for nice in (1, 2, 5, 10) if scale * nice >= rough))
    return [step * i for i in range(int(last / step) + 1)]


def _curve_in_words(held_out: Sequence[Point], levels: Mapping[str, float]) -> str:
    """The curve in words, for screen readers."""
    words = [f"{name}: {100 * level:.1f} percent" for name, level in levels.items()]
    if held_out:
        first, last = held_out[0], held_out[-1]
        words.append(
            f"from {100 * first.accuracy:.1f} percent at update {first.update:g} "
            f"to {100 * last.accuracy:.1f} percent at update {last.update:g}"
        )
    return "; ".join(words) or "no evaluations"
