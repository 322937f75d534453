"""The report of a run, one HTML page without scripts, fonts or images from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from textmdp.agents.evaluation.evaluate import Evaluation
from textmdp.agents.evaluation.rows import evaluation_rows, share
from textmdp.agents.runs.charts import Point, learning_curve, small_curve, time_split
from textmdp.agents.runs.run import Run
from textmdp.envs.core.task import Score
from textmdp.envs.views.rendering import ledger, visible

STYLE = (resources.files("textmdp.agents.runs") / "report.css").read_text(encoding="utf-8")

#: Titles of the evaluations of a run, in their order.
STAGES = {"untrained": "before training", "imitation": "after imitation", "final": "after reinforcement"}

#: Titles of the metrics of time.
TIMES = {
    "seconds_env": "environment",
    "seconds_reward": "reward",
    "seconds_decoding": "decoding",
    "seconds_update": "update",
    "seconds_evaluation": "evaluation",
}
#: Titles of the metrics of reinforcement that have a curve.
CURVES = {
    "return": "return of an episode",
    "entropy": "entropy, nats a token",
    "kl": "KL from the reference, nats an episode",
    "approx_kl": "KL from the policy of the batch, nats a token",
    "clip_fraction": "share of clipped tokens",
    "grad_norm": "norm of the gradient",
    "response_tokens": "tokens of a response",
}


def write_report(run: Run) -> Path:
    """Write report.html of a run, finished or not; returns its path."""
    path = run.folder / "report.html"
    fresh = path.with_suffix(".html.new")
    fresh.write_text(page(run.config, run.metrics(), run.evaluations(), run.findings()), encoding="utf-8")
    fresh.replace(path)
    return path


def page(
    config: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    evaluations: Mapping[str, Evaluation],
    findings: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the HTML page of a run.

    Args:
        config: the content of config.json.
        metrics: the lines of metrics.jsonl.
        evaluations: by stage, see `STAGES`.
        findings: the lines of findings.jsonl.
    """
    title = f"{config['id']} · a run of textmdp"
    stages = {STAGES[name]: evaluations[name] for name in STAGES if name in evaluations}
    sections = [
        _section("Learning curve", _curve(config, metrics, evaluations)),
        _section("Warnings", _findings(findings)),
        _section("Reinforcement", _reinforcement(config, metrics)),
        _section("Transcripts", _transcripts(stages)),
        _section("Evaluation", _evaluation_table(config, stages)),
        _section("Time", time_split(times(metrics))),
        _section("Settings", _settings(config)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{_text(config['id'])}</h1>{_headline(config, metrics, evaluations)}</header>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


def points_of(metrics: Sequence[Mapping[str, Any]], evaluations: Mapping[str, Evaluation]) -> list[Point]:
    """Return the accuracies of a run in order of updates, those after imitation (at 0) and at the end among them."""
    measured = [
        Point(row["update"], row["evaluation/accuracy"], row["evaluation/low"], row["evaluation/high"])
        for row in metrics
        if row.get("evaluation/accuracy") is not None
    ]
    first = evaluations.get("imitation", evaluations.get("untrained"))
    if first is not None:
        measured.insert(0, Point(0, first.accuracy, *first.accuracy_interval))
    if (final := evaluations.get("final")) is not None:
        last = _last_update(metrics)
        measured = [point for point in measured if point.update < last]
        measured.append(Point(last, final.accuracy, *final.accuracy_interval))
    return measured


def times(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the seconds of each part of a run, by title, without parts that took none."""
    imitation = max((row.get("imitation/seconds") or 0.0 for row in metrics), default=0.0)
    spent = {"imitation": imitation}
    for key, name in TIMES.items():
        spent[name] = sum(row.get(key) or 0.0 for row in metrics)
    return {name: seconds for name, seconds in spent.items() if seconds > 0}


# Sections


def _headline(
    config: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], evaluations: Mapping[str, Evaluation]
) -> str:
    given = ", ".join(f"{name} = {_json(value)}" for name, value in config["arguments"].items()) or "default arguments"
    before, after = evaluations.get("imitation", evaluations.get("untrained")), evaluations.get("final")
    lines = [f'<p class="given">{_text(given)} · seed {config["seed"]} · {_text(config["began"])}</p>']
    if before is not None and after is not None:
        kind, seconds = "held-out problems" if config["held_out"] else "problems", sum(times(metrics).values())
        lines.append(
            f'<p class="result"><span>{share(before.accuracy)}</span> → <strong>{share(after.accuracy)}</strong> '
            f"of {after.episodes} {kind} solved, before and after {_last_update(metrics)} updates; {seconds:.0f} s</p>"
        )
    else:
        lines.append(f'<p class="result">Ended early, after {_last_update(metrics)} updates.</p>')
    return "".join(lines)


def _curve(
    config: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], evaluations: Mapping[str, Evaluation]
) -> str:
    measured, levels = points_of(metrics, evaluations), {}
    if (imitation := evaluations.get("imitation")) is not None:
        levels[STAGES["imitation"]] = imitation.accuracy
    training = [(row["update"], row["success"]) for row in metrics if row.get("success") is not None]
    if not measured and not training:
        return ""
    return learning_curve(measured, training, levels, _problems(config)) + _curve_table(measured)


def _reinforcement(config: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> str:
    """The algorithm, its time, and the curves of its metrics; those that are constant are left out."""
    rows = [row for row in metrics if "update" in row]
    if not rows:
        return ""
    seconds = sum(row.get(key) or 0.0 for row in rows for key in TIMES)
    episodes, tokens = (int(max(row.get(name) or 0 for row in rows)) for name in ("episodes", "tokens"))
    algorithm = str(config["settings"].get("algorithm", "policy gradient"))
    words = (
        f"<p><code>{_text(algorithm)}</code>: {len(rows)} updates in {seconds:.0f} s, {episodes:,} episodes, "
        f"{tokens:,} tokens.</p>"
    )
    curves = []
    for name, title in CURVES.items():
        points = [(row["update"], row[name]) for row in rows if row.get(name) is not None]
        if len({value for _, value in points}) > 1:
            curves.append(small_curve(title, points))
    return f'{words}<div class="curves">{"".join(curves)}</div>'


def _curve_table(measured: Sequence[Point]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{p.update:g}</th><td>{share(p.accuracy)}</td><td>{share(p.low)} – {share(p.high)}</td></tr>"
        for p in measured
    )
    head = "<tr><th scope=col>update</th><th scope=col>accuracy</th><th scope=col>Wilson 95 %</th></tr>"
    return f"<details><summary>The curve in numbers</summary><table><thead>{head}</thead>{rows}</table></details>"


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    """The doctor's findings, in their order."""
    if not findings:
        return ""
    head = "".join(f"<th scope=col>{name}</th>" for name in ("update", "finding", "advice"))
    rows = "".join(
        f"<tr><th scope=row>{finding['update']}</th>"
        f"<td>{_text(finding['severity'])}: {_text(finding['message'])}</td><td>{_text(finding['remedy'])}</td></tr>"
        for finding in findings
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>{rows}</table></div>'


def _evaluation_table(config: Mapping[str, Any], stages: Mapping[str, Evaluation]) -> str:
    if not stages:
        return ""
    head = "".join(f"<th scope=col>{_text(name)}</th>" for name in stages)
    rows = "".join(
        f"<tr><th scope=row>{_text(label)}</th>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>"
        for label, *cells in evaluation_rows([*stages.values()])
    )
    return (
        f"<p>Greedy decoding on {_problems(config)}, the same ones at each stage. Brackets are 95 % intervals, "
        "Wilson’s for the accuracy. A turn ends by stop (the end-of-turn token) or by length (the budget of tokens). "
        "Scores are means of the parts of the reward, and of the task’s metrics.</p>"
        f'<div class="wide"><table><thead><tr><td></td>{head}</tr></thead>{rows}</table></div>'
    )


def _transcripts(stages: Mapping[str, Evaluation]) -> str:
    """The same problems at each stage, side by side."""
    shown = {name: stage for name, stage in stages.items() if stage.transcripts}
    if not shown:
        return ""
    problems = [record["problem"] for record in [*shown.values()][-1].transcripts]
    blocks = []
    for number, problem in enumerate(problems, start=1):
        cells = []
        for name, stage in shown.items():
            record = next((r for r in stage.transcripts if r["problem"] == problem), None)
            if record is not None:
                earned = f"return {record['return']:g}"
                cells.append(f"<article><h4>{_text(name)} <span>{earned}</span></h4>{_transcript(record)}</article>")
        title = f'<h3 title="--problem {problem}">Problem {number}</h3>'
        blocks.append(f"<section>{title}<div class=stages>{''.join(cells)}</div></section>")
    key = '<p><span class="environment">environment</span> <span class="policy">policy</span></p>'
    return key + "".join(blocks)


def _transcript(record: Mapping[str, Any]) -> str:
    """An episode of `transcripts.transcript`. A model wrote its texts: they are escaped, control characters shown."""
    scores = iter(record["scores"])
    parts = ['<p class="said">']
    ledgers = []
    for message in record["messages"]:
        role = message["role"]
        text = visible(message["text"])
        shown = _text(text) if text else '<i class="nothing">empty</i>'
        parts.append(f'<span class="hidden">{role}: </span><span class="{role}">{shown}</span>')
        if role == "policy":
            score = next(scores, None)
            ledgers.append("cut off: not graded" if score is None else ledger(Score(score["parts"], score["weights"])))
    parts.append("</p>")
    parts += [f'<p class="ledger">{_text(line)}</p>' for line in ledgers]
    ended = "" if record["terminated"] else ", truncated"
    parts.append(f'<p class="ledger">ended by {_text(record["finish_reason"] or "step limit")}{ended}</p>')
    return "".join(parts)


def _settings(config: Mapping[str, Any]) -> str:
    groups = {
        "Settings": config["settings"],
        "Environment": {"id": config["id"], **config["arguments"], "vocabulary": config["tokenizer"]["vocab_size"]},
        "Machine": {**config["versions"], "platform": config["platform"]},
    }
    tables = "".join(
        f"<div><h3>{_text(name)}</h3><table>"
        + "".join(f"<tr><th scope=row>{_text(k)}</th><td>{_text(_json(v))}</td></tr>" for k, v in group.items())
        + "</table></div>"
        for name, group in groups.items()
    )
    again = f"<p>Repeat the run with <code>{_text(config['command'])}</code></p>" if config.get("command") else ""
    return f"{again}<details><summary>All settings</summary><div class=settings>{tables}</div></details>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{body}</section>" if body else ""


def _problems(config: Mapping[str, Any]) -> str:
    """The problems of the evaluations; a task without splits can hold none out."""
    return "held-out problems" if config["held_out"] else "training problems"


def _last_update(metrics: Sequence[Mapping[str, Any]]) -> int:
    return int(max((row.get("update") or 0 for row in metrics), default=0))


def _text(text: str) -> str:
    return html.escape(text)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
